"""What we asked and nobody has answered yet. There is no second try (BEP 5, "KRPC Protocol")."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.wire.dht.compact import Contact
from icworkshop_gui.wire.dht.lookup import Search
from icworkshop_gui.wire.dht.node_id import RandBytes, is_global

LATE_AFTER: Final = 1.0
"""Seconds after which an answer is late: somebody else is asked beside."""
TIMEOUT: Final = 8.0
"""Seconds after which there will be none."""
PENDING_MAX: Final = 1_000
"""Questions open at once."""
PENDING_PER_HOST: Final = 20
"""The same to one address: we are no weapon against it."""


@dataclass(slots=True)
class Question:
    """Only whom it went to may answer it."""

    endpoint: Endpoint
    contact: Contact | None
    """None while its id is not known."""
    search: Search | None


class Questions:
    """Pure but for `randbytes`, which makes the transaction ids that nobody can guess."""

    def __init__(self, randbytes: RandBytes) -> None:
        self._randbytes = randbytes
        self._open: dict[bytes, Question] = {}
        self._hosts: Counter[str] = Counter()
        # In the order in which they were asked, which is the order in which their time is over.
        self._soon_late: deque[tuple[float, bytes]] = deque()
        self._soon_over: deque[tuple[float, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def goes_to(self, host: str) -> bool:
        """Is an answer from there expected?"""
        return host in self._hosts

    def ask_already(self, endpoint: Endpoint) -> bool:
        """Is a question to it open?"""
        return self.goes_to(endpoint.host) and any(question.endpoint == endpoint for question in self._open.values())

    def ask(self, endpoint: Endpoint, contact: Contact | None, search: Search | None, now: float) -> bytes | None:
        """A fresh transaction id; None when too many questions are open already."""
        if len(self._open) >= PENDING_MAX:
            return None
        if is_global(endpoint.host) and self._hosts[endpoint.host] >= PENDING_PER_HOST:
            return None
        transaction = self._randbytes(4)
        while transaction in self._open:
            transaction = self._randbytes(4)
        self._open[transaction] = Question(endpoint, contact, search)
        self._hosts[endpoint.host] += 1
        if search is not None:
            self._soon_late.append((now + LATE_AFTER, transaction))
        self._soon_over.append((now + TIMEOUT, transaction))
        return transaction

    def answered(self, transaction: bytes, source: Endpoint) -> Question | None:
        """The question that `source` answers; None when it was not asked, or somebody else was."""
        question = self._open.get(transaction)
        return self._take(transaction) if question is not None and question.endpoint == source else None

    def late(self, now: float) -> list[Question]:
        """Those that a lookup waits for since a second; each is named once."""
        found = []
        while self._soon_late and self._soon_late[0][0] <= now:
            question = self._open.get(self._soon_late.popleft()[1])
            if question is not None:
                found.append(question)
        return found

    def over(self, now: float) -> list[Question]:
        """Those that nobody will answer; they are closed."""
        found = []
        while self._soon_over and self._soon_over[0][0] <= now:
            transaction = self._soon_over.popleft()[1]
            if transaction in self._open:
                found.append(self._take(transaction))
        return found

    def next_timer(self) -> float:
        """When the next one is late or over."""
        first = math.inf
        for queue in (self._soon_late, self._soon_over):
            while queue and queue[0][1] not in self._open:
                queue.popleft()
            if queue:
                first = min(first, queue[0][0])
        return first

    def _take(self, transaction: bytes) -> Question:
        question = self._open.pop(transaction)
        host = question.endpoint.host
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
        return question
