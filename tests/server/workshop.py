"""A Workshop server on loopback for tests: no engine unless one is given, every port free, all gone afterwards."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from icworkshop_gui.core.catalog import PackageRef, Release
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import AddTorrent, Command
from icworkshop_gui.engine.api.events import Listening
from icworkshop_gui.server.app import Ready, WorkshopServer
from icworkshop_gui.server.catalog import Asset, Catalog, NewRelease
from icworkshop_gui.server.config import ServerConfig
from icworkshop_gui.server.tokens import Scope


class FakeSeed:
    """Takes every torrent and remembers it."""

    def __init__(self, port: int = 45678) -> None:
        self.commands: list[Command[Any]] = []
        self.port = port
        self.closed = False

    def submit(self, command: Command[Any]) -> Future[Any]:
        self.commands.append(command)
        future: Future[Any] = Future()
        future.set_result(TransferId(str(len(self.commands))))
        return future

    def subscribe(self, callback: Callable[[Any], object]) -> Callable[[], None]:
        callback(Listening(port=self.port))
        return lambda: None

    def close(self, timeout: float = 10.0) -> None:
        self.closed = True

    @property
    def torrents(self) -> list[AddTorrent]:
        return [command for command in self.commands if isinstance(command, AddTorrent)]


class Running:
    """A server, where it is, and an HTTP client."""

    def __init__(self, server: WorkshopServer, ready: Ready, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.ready = ready
        self.http = http
        self.api = f"{ready.url}/api/v1"

    def token(self, publisher: str = "alice", scope: Scope = Scope.PUBLISH) -> str:
        return self.server.tokens.create(publisher, scope)[1]

    async def publish(self, package: bytes, token: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        wanted = {"Authorization": f"Bearer {token or self.token()}", **headers}
        async with self.http.post(f"{self.api}/publish", data=io.BytesIO(package), headers=wanted) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, Any]:
        url = path if path.startswith("http") else f"{self.ready.url}{path}"
        async with self.http.get(url, headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers


def config_for(folder: Path, **settings: Any) -> ServerConfig:
    config = ServerConfig(data=folder / "data", host="127.0.0.1", port=0, bt_port=0, udp_port=0, drain_seconds=5)
    return replace(config, **settings)


@asynccontextmanager
async def workshop(folder: Path, seed: FakeSeed | None = None, **settings: Any) -> AsyncIterator[Running]:
    factory = (lambda _config: seed) if seed is not None else None
    server = WorkshopServer(config_for(folder, **settings), engine=factory)
    ready = await server.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
            yield Running(server, ready, http)
    finally:
        await server.stop()


def run(work: Callable[[], Any]) -> Any:
    """One test's coroutine, with an end."""

    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await work()

    return asyncio.run(bounded())


def release(ref: str, **fields: Any) -> Release:
    parsed = PackageRef.parse(ref)
    made = Release(
        ref=parsed,
        title=parsed.name.replace("-", " ").title(),
        summary="",
        category="maps",
        license="MIT",
        size=1000,
        sha256="ab" * 32,
        published_at=1000.0,
    )
    return replace(made, **fields)


def shelve(catalog: Catalog, *releases: Release, readme: str = "") -> None:
    """Into the catalog, without files behind them."""
    with catalog.bulk() as add:
        for made in releases:
            add(NewRelease(release=made, readme=readme, mtime_ns=0, assets={Asset.MANIFEST: b"package: {}"}))
