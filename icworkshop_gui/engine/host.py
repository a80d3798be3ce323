"""The engine's thread: its own loop, one way in (`submit`), one way out (`subscribe`), an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.errors import UserError, WorkshopError
from icworkshop_gui.engine.api.commands import Command
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.facade import Subscriber
from icworkshop_gui.engine.api.snapshots import SnapshotDelta
from icworkshop_gui.engine.net.real import RealNetwork
from icworkshop_gui.engine.session import Session, SessionConfig
from icworkshop_gui.engine.world import World
from icworkshop_gui.store.disk import ThreadDisk
from icworkshop_gui.store.paths import data_dir as data_dir  # the window's way to it: it has one door

R = TypeVar("R")
log = logging.getLogger("icw.host")

STOP_SECONDS = 10.0
"""How long an orderly stop may take before the thread is left behind."""


BEHIND = 5
"""Steps of niceness between the engine's threads and the window's."""


def stand_back() -> None:
    """This thread, and those it starts from now on, let the others of the program go first. On Linux, where each
    thread has a niceness of its own; elsewhere it belongs to the whole process, window included.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + BEHIND)


class EngineHost:
    """An engine on a thread of its own; implements EngineFacade.

    `data_dir` holds store, settings and transfers; it is locked, so that two engines never share one.
    `settings` overrides the file for this run; `sources` are Workshop servers beside the configured ones.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        sources: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        listen_host: str | None = None,
        listen: bool = True,
        active: bool = True,
        memory: Path | None = None,
        stands_back: bool = False,
    ) -> None:
        """`active` False: transfers are known but none runs. `memory`: where it is remembered what sources said, when
        not in `data_dir`. `stands_back`: a window runs in this program, and goes
        first where the system can tell threads apart.
        """
        self._stands_back = stands_back
        self._config = SessionConfig(
            data_dir=data_dir,
            sources=tuple(sources),
            overrides=dict(settings or {}),
            listen_host=listen_host,
            listen=listen,
            active=active,
            memory=memory,
        )
        self._subscribers: list[Subscriber] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._stop: asyncio.Event | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._main, name="icw-engine", daemon=True)

    def start(self) -> EngineHost:
        """Start the thread; returns when the engine is up. UserError when it cannot start, with the reason."""
        started: Future[None] = Future()
        self._started = started
        self._thread.start()
        started.result()
        return self

    # --- EngineFacade ----------------------------------------------------------------------------

    def submit(self, command: Command[R]) -> Future[R]:
        future: Future[R] = Future()
        loop = self._loop
        if self._closing or loop is None:
            future.set_exception(UserError("The program is closing."))
            return future
        try:
            loop.call_soon_threadsafe(self._dispatch, command, future)
        except RuntimeError:  # the loop ended between the check and the call
            future.set_exception(UserError("The program is closing."))
        return future

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        loop = self._loop
        if loop is None or self._closing:
            raise UserError("The program is closing.")

        def add() -> None:
            # Everything is told before it joins the others, or their delta would come first.
            if self._session is not None:
                callback(self._session.publisher.everything())
            self._subscribers.append(callback)

        def remove() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        loop.call_soon_threadsafe(add)

        def unsubscribe() -> None:
            try:
                loop.call_soon_threadsafe(remove)
            except RuntimeError:
                pass  # the loop has ended: nobody is called any more

        return unsubscribe

    def close(self, timeout: float = STOP_SECONDS) -> None:
        if not self._closing:
            self._closing = True
            loop, stop = self._loop, self._stop
            if loop is not None and stop is not None:
                try:
                    loop.call_soon_threadsafe(stop.set)
                except RuntimeError:
                    pass
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    # --- the engine's thread ---------------------------------------------------------------------

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            log.exception("the engine ended")
            if not self._started.done():
                self._started.set_exception(error)

    async def _run(self) -> None:
        if self._stands_back:
            stand_back()
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        world = World(
            clock=SystemClock(),
            rng=random.SystemRandom(),
            network=RealNetwork(host=self._config.listen_host or ""),
            disk=ThreadDisk(),
        )
        session = Session(world, self._config, self._publish)
        try:
            try:
                await session.start()
            except (WorkshopError, OSError) as error:
                self._started.set_exception(error)
                return
            self._session = session
            self._started.set_result(None)
            await self._stop.wait()
        finally:
            self._closing = True
            await session.stop()
            await world.network.aclose()
            world.disk.close()

    def _publish(self, fact: SnapshotDelta | Event) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(fact)
            except Exception:
                log.exception("a subscriber raised")

    def _dispatch(self, command: Command[R], future: Future[R]) -> None:
        assert self._session is not None
        if not future.set_running_or_notify_cancel():
            return
        self._session.perform(command, future)
