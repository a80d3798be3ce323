"""Before any route: is the Host ours, does the asker ask too much; after it: one line of numbers for each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.registry.schema import API
from icworkshop_gui.server.limits import limit_key
from icworkshop_gui.server.rest.desk import Desk, error_answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BYTES = (".icpkg", "/download")


class Guard:
    """ASGI middleware. Other sites' pages may read the catalog; they may not write: no route but GET is opened
    to them, and a preflight is never answered."""

    def __init__(self, app: App, desk: Desk) -> None:
        self._app = app
        self._desk = desk
        self.active = 0
        """Requests under way."""
        self.idle = asyncio.Event()
        """Set while there are none."""
        self.idle.set()
        desk.metrics.describe("icw_http_requests_total", "Answers, by method and status.")
        desk.metrics.describe("icw_http_seconds_total", "Seconds until answers began, by method.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "OTHER"
        is_read = scope["path"].startswith(API) and method in ("GET", "HEAD")

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._desk.metrics.add("icw_http_requests_total", method=method, status=str(message["status"]))
                self._desk.metrics.add("icw_http_seconds_total", time.perf_counter() - began, method=method)
                if is_read:
                    MutableHeaders(scope=message)["Access-Control-Allow-Origin"] = "*"
            await send(message)

        self.active += 1
        self.idle.clear()
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await error_answer(refusal)(scope, receive, noting)
            else:
                await self._app(scope, receive, noting)
        finally:
            self.active -= 1
            if not self.active:
                self.idle.set()

    def _refusal(self, scope: Scope) -> RegistryError | None:
        path = scope["path"]
        if not path.startswith(API):
            return None
        host = Headers(scope=scope).get("host", "")
        if not self._desk.is_our_host(host):
            return RegistryError("bad_host", "this server does not go by that name")
        client = scope.get("client")
        limit = self._desk.bytes_limit if path.endswith(_BYTES) else self._desk.api_limit
        wait = limit.take(limit_key(client[0] if client else ""))
        if wait:
            return RegistryError("rate_limited", "too many questions from this address", retry_after=wait)
        return None
