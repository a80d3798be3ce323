"""Rate limits: token buckets in a tree (program, tiers, transfers), and classes of connections across it.

One tree for each direction. Sans-IO: the time is an argument, and `LimiterTicker` drives it in production.
`ThrottledStream` applies it to a connection, so that nobody else meets a `Budget`.

    down = Limiter(None)                               # the whole program, one for each direction
    down.add_class(ConnectionClass.UTP, 500_000)       # all connections over uTP together
    urgent = down.child(weight=16)                     # a tier
    mine = urgent.child(200_000)                       # one transfer
    mine.set_rate(None, now)                           # None: no limit; 0: nothing may pass (DESIGN §4.13)
    mine.move(down.child())                            # to another tier, with all its connections

Invariants: what is granted comes out of every limited bucket on the way to the root, and of those of the connection's
classes. A bucket that nobody waits for holds at most `BURST` seconds of its rate, so an idle line does not save up.
Those who wait are served in weighted fair order between the children of a node and in turn within a leaf, and nobody
overtakes them. Where no bucket on its way limits, a budget costs the look at one attribute.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final
from weakref import WeakSet

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.core.units import BytesPerSecond

TICK: Final = 0.02
"""Seconds between hand-outs while somebody waits. A new rate is in force after one."""

BURST: Final = 0.03
"""Seconds of its rate that an idle bucket holds: what may pass at once after a pause."""

STALL_MAX: Final = 0.045
"""Seconds of its rate that a bucket makes up for when the hand-out comes late while somebody waits. With more than
that the second after a stall would be over its limit by more than 5 %."""

QUANTUM: Final = 1448
"""Bytes below which nothing is handed out unless less is wanted: one TCP segment. Keeps system calls worth making."""

SEGMENT: Final = 1460
"""Bytes of the stream that one packet carries, as far as headers are estimated."""

UNBOUNDED: Final = 1 << 40
"""What is available where nothing limits; bytes."""


class ConnectionClass(StrEnum):
    """What connections have in common whatever they are for."""

    TCP = "tcp"
    UTP = "utp"
    LAN = "lan"


CHATTER: Final = 64_000
"""Bytes a second that pass a limit of 0: handshakes, requests, haves. Enough for the requests of 60 MB/s."""


class Limiter:
    """One bucket. It has children or budgets, not both."""

    def __init__(self, rate: BytesPerSecond | None, *, weight: float = 1.0, chatter: int = CHATTER) -> None:
        self._chatter = chatter
        """Bytes a second that pass although the rate is 0."""
        self._is_shut = rate == 0
        self._rate = chatter if self._is_shut else rate
        self._weight = weight
        self._parent: Limiter | None = None
        self._root: Limiter = self
        self._path: tuple[Limiter, ...] = (self,)
        """From here to the root."""
        self._children: WeakSet[Limiter] = WeakSet()
        self._budgets: WeakSet[Budget] = WeakSet()
        self._tokens = 0.0
        self._filled_at = float("-inf")
        self._waiters = 0
        """Budgets that wait in or beneath this bucket."""
        self._waiting: deque[Budget] = deque()
        self._active: dict[Limiter, None] = {}  # ordered, unlike a set: runs must repeat exactly
        """Children with somebody waiting."""
        self._virtual_time = 0.0
        """What passed here by its weight; who is behind the other children of the parent goes first."""
        self._progress = 0.0
        """The virtual time of the child that was served last."""
        # Only used by the root
        self._classes: dict[ConnectionClass, Limiter] = {}
        self._exempt: frozenset[ConnectionClass] = frozenset()
        self._count_headers = False
        self._granted: list[Budget] = []
        self.on_work: Callable[[], None] = _nothing
        """Called when `tick` has something to do again; the driver sets it on the root."""

    # --- building --------------------------------------------------------------------------------

    def child(self, rate: BytesPerSecond | None = None, *, weight: float = 1.0) -> Limiter:
        """A limiter under this one. `weight` is its share of this one's rate while more is wanted than there is."""
        if self._budgets:
            raise ValueError("this limiter has connections of its own")
        child = Limiter(rate, weight=weight)
        child._attach(self)
        return child

    def add_class(self, name: ConnectionClass, rate: BytesPerSecond | None = None) -> Limiter:
        """A bucket across the tree for all connections of this class; on the root, before the first connection."""
        if self._parent is not None:
            raise ValueError("classes belong to the root")
        # A class at 0 is a transport that is off: nothing at all passes.
        bucket = self._classes[name] = Limiter(rate, chatter=0)
        bucket._root = self
        return bucket

    def budget(
        self, on_grant: Callable[[], None], *, classes: tuple[ConnectionClass, ...] = (), header: int = 0
    ) -> Budget:
        """For one connection. `on_grant` is called from `tick` when it may go on after waiting.

        `header`: bytes that the network adds to each packet, counted when the root counts headers.
        """
        if self._children:
            raise ValueError("connections belong to a limiter without children")
        known = self._root._classes
        budget = Budget(self, on_grant, tuple(name for name in classes if name in known), header)
        self._budgets.add(budget)
        for name in budget._classes:
            known[name]._budgets.add(budget)
        return budget

    def move(self, parent: Limiter) -> None:
        """Under another node of the same tree, with everybody who waits here."""
        if parent._root is not self._root or self._parent is None or self in parent._path:
            raise ValueError("a limiter moves within its tree")
        if parent is self._parent:
            return
        budgets = list(self._all_budgets())
        waiting = [(budget, budget._wanted) for budget in budgets if budget._wanted]
        for budget in budgets:
            budget._withdraw()
        self._parent._children.discard(self)
        # Its past among others says nothing here.
        self._virtual_time = 0.0
        self._attach(parent)
        for budget, wanted in waiting:
            budget._queue(wanted)

    def _attach(self, parent: Limiter) -> None:
        self._parent, self._root = parent, parent._root
        parent._children.add(self)
        self._rewire()

    def _rewire(self) -> None:
        assert self._parent is not None
        self._path = (self, *self._parent._path)
        for child in self._children:
            child._rewire()
        for budget in self._budgets:
            budget._rewire()

    def _all_budgets(self) -> Iterator[Budget]:
        yield from self._budgets
        for child in self._children:
            yield from child._all_budgets()

    # --- settings --------------------------------------------------------------------------------

    @property
    def rate(self) -> BytesPerSecond | None:
        """Bytes a second; None for no limit, 0 when no payload may pass."""
        return 0 if self._is_shut else self._rate

    def set_rate(self, rate: BytesPerSecond | None, now: float) -> None:
        """In force at the next `tick`. A debt of the old rate is forgiven: it would hold the new one up."""
        if rate == self.rate:
            return
        self._is_shut = rate == 0
        rate = self._chatter if self._is_shut else rate
        self._fill(now)
        rewire = (rate is None) != (self._rate is None)
        self._rate = rate
        self._tokens = max(0.0, min(self._tokens, self._capacity(BURST)))
        if rewire:
            for budget in list(self._all_budgets()):
                budget._rewire()
        self._root.on_work()

    def set_weight(self, weight: float) -> None:
        self._weight = weight

    def set_exempt(self, classes: frozenset[ConnectionClass]) -> None:
        """Connections of these classes pass all limits but those of their classes; on the root."""
        if classes != self._exempt:
            self._exempt = classes
            self._rewire_all()

    def count_headers(self, on: bool) -> None:
        """Whether the headers of packets come out of the limits, as an estimate; on the root."""
        if on != self._count_headers:
            self._count_headers = on
            self._rewire_all()

    def _rewire_all(self) -> None:
        for budget in list(self._all_budgets()):
            budget._rewire()
        self.on_work()

    @property
    def unlimited(self) -> bool:
        """True when neither this bucket nor one above it limits."""
        return all(bucket._rate is None for bucket in self._path)

    @property
    def shut(self) -> bool:
        """True when this bucket or one above it is for no payload: who drives a transfer asks for none, and gives
        none, then. What is said besides still passes, or sharing paused would stop every download: its requests could
        not leave.
        """
        return any(bucket._is_shut for bucket in self._path)

    # --- the hand-out ----------------------------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Hand out what has come in. To be called on the root every `TICK`; True while it must be called again."""
        if self._parent is not None:
            raise ValueError("only the root ticks")
        for budget in self._granted:
            budget._return_grant()
        self._granted.clear()
        if not self._waiters:
            return False
        served = self._serve(now)
        self._granted.extend(served)
        for budget in served:
            budget._on_grant()
        return any(budget._may_hope for leaf in self._leaves() for budget in leaf._waiting)

    def _leaves(self) -> Iterator[Limiter]:
        """Those with somebody waiting."""
        if self._waiting:
            yield self
        for child in self._active:
            yield from child._leaves()

    def _busy(self) -> Iterator[Limiter]:
        """Every bucket of the tree that somebody waits for."""
        yield self
        for child in self._active:
            yield from child._busy()

    def _serve(self, now: float) -> list[Budget]:
        shares: dict[Limiter, float] = {}
        for bucket in (*self._busy(), *self._classes.values()):
            bucket._fill(now)
            if bucket._rate is not None and bucket._waiters:
                # Fixed for this hand-out: a share of what is left would give the last in the queue the least, always.
                shares[bucket] = bucket._tokens / bucket._waiters
        queues = {leaf: deque(leaf._waiting) for leaf in self._leaves()}
        open_ = {node: list(node._active) for node in self._busy() if node._active}
        served: dict[Budget, None] = {}
        while (leaf := self._next(open_)) is not None:
            queue = queues[leaf]
            budget = queue.popleft()
            part = min((shares[bucket] for bucket in budget._limits), default=UNBOUNDED)
            amount = min(budget._wanted, max(QUANTUM, part), budget._tokens())
            least = min(QUANTUM, budget._wanted)
            if amount < least:
                short = leaf._short_of(least)
                if short is not None:
                    queue.clear()
                    short._catch_up()
                elif not queue:
                    leaf._catch_up()
            else:
                leaf._note_progress()
                budget._spend(amount)
                budget._grant += amount
                budget._wanted -= amount
                served[budget] = None
                if budget._wanted > 0:
                    queue.append(budget)
            if not queue:
                self._shut(leaf, open_)
        for budget in served:
            # Who got a part goes on with that, and asks again.
            budget._leave_queue()
        return list(served)

    def _next(self, open_: dict[Limiter, list[Limiter]]) -> Limiter | None:
        """The leaf whose turn it is."""
        node = self
        if not self._waiters or (self in open_ and not open_[self]):
            return None
        while node in open_:
            node = min(open_[node], key=_by_virtual_time)
        return node if node._waiting or node is not self else None

    def _shut(self, leaf: Limiter, open_: dict[Limiter, list[Limiter]]) -> None:
        """Nothing more for it in this hand-out."""
        node = leaf
        if node is self:
            open_[self] = []
        while node._parent is not None:
            open_[node._parent].remove(node)
            if open_[node._parent]:
                return
            node = node._parent

    def _short_of(self, least: float) -> Limiter | None:
        """The bucket nearest the root that cannot give `least`."""
        for bucket in reversed(self._path):
            if bucket._rate is not None and bucket._tokens < least:
                return bucket
        return None

    def _catch_up(self) -> None:
        """What held it up was its own limit, so it has no claim against the others for what they had meanwhile."""
        if self._parent is not None:
            self._virtual_time = max(self._virtual_time, self._parent._progress)

    def _note_progress(self) -> None:
        node = self
        while node._parent is not None:
            node._parent._progress = max(node._parent._progress, node._virtual_time)
            node = node._parent

    # --- the bucket ------------------------------------------------------------------------------

    def _enqueue(self, budget: Budget) -> None:
        self._waiting.append(budget)
        for node in self._path:
            node._waiters += 1
            parent = node._parent
            if parent is not None and node not in parent._active:
                # Who was away starts level with the others: it can neither claim the past nor owe it.
                node._virtual_time = max(node._virtual_time, parent._progress)
                parent._active[node] = None
        for name in budget._classes:
            self._root._classes[name]._waiters += 1
        self._root.on_work()

    def _dequeue(self, budget: Budget) -> None:
        self._waiting.remove(budget)
        for node in self._path:
            node._waiters -= 1
            if not node._waiters and node._parent is not None:
                del node._parent._active[node]
        for name in budget._classes:
            self._root._classes[name]._waiters -= 1

    def _capacity(self, seconds: float) -> float:
        if not self._rate:
            return 0.0
        return max(self._rate * seconds, QUANTUM)

    def _fill(self, now: float) -> None:
        elapsed, self._filled_at = now - self._filled_at, now
        if not self._rate:
            self._tokens = 0.0 if self._rate is None else min(self._tokens, 0.0)
            return
        limit = self._capacity(STALL_MAX if self._waiters else BURST)
        self._tokens = min(self._tokens + self._rate * elapsed, limit)


def _by_virtual_time(limiter: Limiter) -> float:
    return limiter._virtual_time


class Budget:
    """One connection's part in a limiter. Made by `Limiter.budget`."""

    __slots__ = (
        "__weakref__",
        "_classes",
        "_cost",
        "_grant",
        "_header",
        "_limiter",
        "_limits",
        "_on_grant",
        "_wanted",
        "unlimited",
    )

    def __init__(
        self, limiter: Limiter, on_grant: Callable[[], None], classes: tuple[ConnectionClass, ...], header: int
    ) -> None:
        self._limiter = limiter
        self._on_grant = on_grant
        self._classes = classes
        self._header = header
        # Both in tokens: bytes of the stream times `_cost`.
        self._grant = 0.0
        self._wanted = 0.0
        self._cost = 1.0
        self._limits: tuple[Limiter, ...] = ()
        """The buckets that limit it now."""
        self.unlimited = True
        """An attribute, not a property: it is asked for every read and write."""
        self._rewire()

    def _rewire(self) -> None:
        """Find again what limits it."""
        self._return_grant()
        root = self._limiter._root
        path = () if root._exempt.intersection(self._classes) else self._limiter._path
        buckets = (*path, *(root._classes[name] for name in self._classes))
        self._limits = tuple(bucket for bucket in buckets if bucket._rate is not None)
        self.unlimited = not self._limits
        self._cost = 1 + self._header / SEGMENT if root._count_headers else 1.0

    @property
    def waiting(self) -> bool:
        return self._wanted > 0

    @property
    def _may_hope(self) -> bool:
        return all(bucket._rate != 0 for bucket in self._limits)

    def available(self, now: float) -> int:
        """Bytes that may pass now without waiting; 0 when others came first."""
        if self._grant > 0:
            return self._in_bytes(self._grant)
        if self._wanted:
            return 0
        tokens: float = UNBOUNDED
        for bucket in self._limits:
            if bucket._waiters:
                # What the hand-out left over nobody could take who waits: their other buckets are empty.
                tokens = min(tokens, bucket._tokens - QUANTUM)
            else:
                bucket._fill(now)
                tokens = min(tokens, bucket._tokens)
        return self._in_bytes(tokens)

    def charge(self, count: int) -> None:
        """`count` bytes have passed. More than was available becomes a debt that later bytes wait for."""
        if self.unlimited:
            return
        tokens = count * self._cost
        from_grant = min(self._grant, tokens)
        self._grant -= from_grant
        if tokens > from_grant:
            self._spend(tokens - from_grant)

    def take(self, wanted: int, now: float) -> int:
        """Bytes of `wanted` that may pass now. When none may, `on_grant` will be called: take again then."""
        if wanted <= 0 or self.unlimited:
            return wanted
        allowed = min(wanted, self.available(now))
        if allowed < min(wanted, QUANTUM) and not (allowed and self._grant):
            self.wait(wanted)
            return 0
        self.charge(allowed)
        return allowed

    def wait(self, wanted: int) -> None:
        """Queue for up to `wanted` bytes, at least 1; `on_grant` is called once they may pass."""
        self._return_grant()
        self._queue(max(1, wanted) * self._cost)

    def close(self) -> None:
        """Leave the queue and return what was granted and not used."""
        self._withdraw()

    def _queue(self, tokens: float) -> None:
        if not self._wanted:
            self._limiter._enqueue(self)
        self._wanted = tokens

    def _leave_queue(self) -> None:
        self._wanted = 0.0
        self._limiter._dequeue(self)

    def _withdraw(self) -> None:
        if self._wanted:
            self._leave_queue()
        self._return_grant()

    def _tokens(self) -> float:
        return min((bucket._tokens for bucket in self._limits), default=UNBOUNDED)

    def _in_bytes(self, tokens: float) -> int:
        # What was asked for must come out whole, whatever the division rounds.
        return max(0, int(tokens / self._cost + 1e-6))

    def _spend(self, tokens: float) -> None:
        """Negative gives back."""
        for bucket in self._limits:
            bucket._tokens -= tokens
        for node in self._limiter._path:
            node._virtual_time += tokens / node._weight

    def _return_grant(self) -> None:
        if self._grant > 0:
            self._spend(-self._grant)
        self._grant = 0.0


class LimiterTicker:
    """Calls `tick` of a root on the running loop, only while somebody waits."""

    def __init__(self, root: Limiter, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        root.on_work = self._arm

    def _arm(self) -> None:
        if self._timer is None:
            # On a grid: a late hand-out must not make all later ones late.
            now = self._loop.time()
            self._due = max(self._due + TICK, now) if self._due + 2 * TICK > now else now + TICK
            self._timer = self._loop.call_at(self._due, self._run)

    def _run(self) -> None:
        self._timer = None
        if self._root.tick(self._clock.now()):
            self._arm()

    def close(self) -> None:
        self._root.on_work = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing() -> None:
    """Until a driver is attached."""
