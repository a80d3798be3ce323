"""Dials candidates and says hello: from an endpoint to a stream whose other end has introduced itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import RemoteProtocolError
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.wire.peer.handshake import Handshake, HandshakeReceiver

Dial = Callable[[Endpoint], Awaitable[Stream]]


class Connector:
    """Attempts under way. Each ends in exactly one of `on_greeted` and `on_failed`, or in `close`."""

    def __init__(
        self,
        *,
        dial: Dial,
        ours: Handshake,
        timeout: float,
        on_greeted: Callable[[Endpoint, Stream, Handshake, bytes], None],
        on_failed: Callable[[Endpoint, str], None],
    ) -> None:
        self._dial = dial
        self._ours = ours
        self._timeout = timeout
        self._on_greeted = on_greeted
        self._on_failed = on_failed
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._greetings: dict[Endpoint, _Greeting] = {}

    @property
    def dialing(self) -> int:
        return len(self._tasks) + len(self._greetings)

    def connect(self, endpoint: Endpoint) -> None:
        if endpoint not in self._tasks and endpoint not in self._greetings:
            self._tasks[endpoint] = asyncio.get_running_loop().create_task(self._attempt(endpoint))

    async def _attempt(self, endpoint: Endpoint) -> None:
        try:
            stream = await self._dial(endpoint)
        except (OSError, TimeoutError) as error:
            del self._tasks[endpoint]
            self._on_failed(endpoint, str(error) or type(error).__name__)
            return
        del self._tasks[endpoint]
        greeting = self._greetings[endpoint] = _Greeting(self, endpoint, stream, self._timeout)
        stream.start(greeting)
        stream.write([self._ours.encode()])

    async def close(self) -> None:
        """Give up every attempt."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for greeting in list(self._greetings.values()):
            greeting.give_up()
        self._greetings.clear()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _greeted(self, greeting: _Greeting, theirs: Handshake, leftover: bytes) -> None:
        del self._greetings[greeting.endpoint]
        self._on_greeted(greeting.endpoint, greeting.stream, theirs, leftover)

    def _not_greeted(self, greeting: _Greeting, reason: str) -> None:
        if self._greetings.get(greeting.endpoint) is greeting:
            del self._greetings[greeting.endpoint]
            self._on_failed(greeting.endpoint, reason)


class _Greeting:
    """A connection that we opened and whose handshake is awaited."""

    def __init__(self, connector: Connector, endpoint: Endpoint, stream: Stream, timeout: float) -> None:
        self.endpoint = endpoint
        self.stream = stream
        self._connector = connector
        self._receiver = HandshakeReceiver()
        self._timer = asyncio.get_running_loop().call_later(timeout, self._fail, "no handshake")

    def buffer(self) -> memoryview:
        return self._receiver.buffer()

    def received(self, count: int) -> None:
        try:
            theirs = self._receiver.received(count)
        except RemoteProtocolError as error:
            self._fail(error.reason)
            return
        if theirs is not None:
            self._timer.cancel()
            self.stream.pause_reading()
            self._connector._greeted(self, theirs, self._receiver.leftover)

    def writable(self) -> None:
        """A handshake is all that was written."""

    def closed(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._connector._not_greeted(self, str(error) if error else "closed before the handshake")

    def give_up(self) -> None:
        self._timer.cancel()
        self.stream.abort()

    def _fail(self, reason: str) -> None:
        self.give_up()
        self._connector._not_greeted(self, reason)
