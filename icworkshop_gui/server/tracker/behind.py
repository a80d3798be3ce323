"""A uvicorn without a port of its own: the web server behind a `TrackerFront`."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn

GRACE = 5
"""Seconds that requests get to finish when the server stops; open WebSockets never do by themselves."""


class UvicornBehind:
    """Runs an ASGI app's start-up and shutdown, and makes a protocol for each connection that is handed to it.

        behind = UvicornBehind(app)
        await behind.start()
        front = TrackerFront(tracker, host, port, then=behind.protocol)
        await front.start()
        …
        await front.aclose()
        await behind.aclose()

    `options` go to `uvicorn.Config`.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "lifespan": "auto",
            "access_log": False,
            "log_config": None,
            "timeout_graceful_shutdown": GRACE,
        }
        self._config = uvicorn.Config(app, **(defaults | options))
        self._server = uvicorn.Server(self._config)

    async def start(self) -> None:
        """RuntimeError when the app's own start-up fails; the log says why."""
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        try:
            await self._server.startup(sockets=[])
        except SystemExit as error:  # some versions end the program there
            raise RuntimeError("the web server's start-up failed") from error
        if self._server.should_exit:
            raise RuntimeError("the web server's start-up failed")

    def protocol(self) -> asyncio.Protocol:
        """For one connection."""
        protocol: asyncio.Protocol = self._config.http_protocol_class(  # type: ignore[call-arg]
            config=self._config, server_state=self._server.server_state, app_state=self._server.lifespan.state
        )
        return protocol

    async def aclose(self) -> None:
        """Let requests finish for GRACE seconds, then run the app's shutdown."""
        await self._server.shutdown(sockets=[])
