"""Engines and a Workshop server on loopback, for tests of the whole chain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import Command
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.snapshots import EngineView, SnapshotDelta, TransferSnapshot, TransferState
from icworkshop_gui.engine.host import EngineHost
from icworkshop_gui.registry.publish import publish
from tests.helpers.programs import Program

R = TypeVar("R")
PATIENCE = 20.0
COMPLETE = (TransferState.SEEDING, TransferState.FINISHED)


class Engine:
    """An EngineHost, everything it said, and waits for what it will say."""

    def __init__(self, host: EngineHost) -> None:
        self.host = host
        self.view = EngineView()
        self.events: list[Event] = []
        host.subscribe(self._hear)

    def _hear(self, fact: SnapshotDelta | Event) -> None:
        if isinstance(fact, SnapshotDelta):
            self.view.apply(fact)
        else:
            self.events.append(fact)

    def ask(self, command: Command[R]) -> R:
        return self.host.submit(command).result(PATIENCE)

    def until(self, true: Callable[[EngineView], bool], timeout: float = PATIENCE) -> EngineView:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                if true(self.view):
                    return self.view
            except (KeyError, RuntimeError):
                pass  # not there yet, or changed under our eyes
            time.sleep(0.02)
        raise AssertionError(f"never came true: {self.view.transfers}")

    def complete(self, transfer: TransferId, timeout: float = PATIENCE) -> TransferSnapshot:
        return self.until(lambda view: view.transfers[transfer].state in COMPLETE, timeout).transfers[transfer]

    def heard(self, kind: type[Event], timeout: float = 5.0) -> Event:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for event in tuple(self.events):
                if isinstance(event, kind):
                    return event
            time.sleep(0.02)
        raise AssertionError(f"no {kind.__name__} in {self.events}")


@contextmanager
def engine(folder: Path, *sources: str, listen_host: str = "127.0.0.1", **settings: str) -> Iterator[Engine]:
    """`settings`: last part of the key, in text form; sharing is not limited unless said so."""
    # Tests that run at the same time share the loopback's multicast group: only those about it take part.
    chosen = {"listen_port": "0", "max_upload_speed": "unlimited", "lsd": "false", **settings}
    host = EngineHost(
        data_dir=folder,
        sources=sources,
        settings={f"workshop.p2p.{key}": value for key, value in chosen.items()},
        listen_host=listen_host,
    ).start()
    try:
        yield Engine(host)
    finally:
        host.close()


class Workshop:
    """A server in a child process."""

    def __init__(self, program: Program, url: str, token: str) -> None:
        self.program = program
        self.url = url
        self.token = token

    def publish(self, package: Path) -> None:
        asyncio.run(publish(self.url, package, self.token))


@contextmanager
def workshop(folder: Path, *flags: str) -> Iterator[Workshop]:
    """A server on free ports of 127.0.0.1, with a token for every publisher."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = folder / "tokens"
    tokens.write_text("test admin secret-of-the-tests-0123456789\n", encoding="utf-8")
    tokens.chmod(0o600)
    arguments = ("--data", folder / "data", "--host", "127.0.0.1", "--port", "0", "--bt-port", "0", "--udp-port", "0")
    with Program(
        *arguments, "--token-file", tokens, "--drain-seconds", "0", "--json", *flags, module="icworkshop_gui.server"
    ) as program:
        ready = program.event("ready")
        yield Workshop(program, ready["url"], "secret-of-the-tests-0123456789")
