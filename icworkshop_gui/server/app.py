"""Composition root of the Workshop server: constructs the parts, connects them, starts and ends them in order."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from icworkshop_gui import __version__
from icworkshop_gui.core.clock import Clock, SystemClock
from icworkshop_gui.core.errors import NotFound, RegistryError, UserError, WorkshopError
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.content import is_local_url
from icworkshop_gui.engine.host import EngineHost
from icworkshop_gui.registry.schema import API
from icworkshop_gui.server.addresses import own_address
from icworkshop_gui.server.catalog import Catalog, StoredPackage
from icworkshop_gui.server.config import ServerConfig
from icworkshop_gui.server.metrics import Metrics
from icworkshop_gui.server.publishing import Publisher
from icworkshop_gui.server.rest.catalog import catalog_routes
from icworkshop_gui.server.rest.desk import Desk, error_answer
from icworkshop_gui.server.rest.docs import docs_routes
from icworkshop_gui.server.rest.guard import Guard
from icworkshop_gui.server.rest.health import health_routes
from icworkshop_gui.server.rest.lobby import lobby_routes
from icworkshop_gui.server.rest.packages import package_routes
from icworkshop_gui.server.rest.publish import publish_routes
from icworkshop_gui.server.seeder import Engine, Seeder
from icworkshop_gui.server.tokens import Tokens
from icworkshop_gui.server.tracker.expiry import Expiry
from icworkshop_gui.server.tracker.front import TrackerFront
from icworkshop_gui.server.tracker.http import HttpAnswers, TrackerApp
from icworkshop_gui.server.tracker.tracker import Tracker, TrackerAccess
from icworkshop_gui.server.tracker.udp import UdpTrackerServer

ENGINE_SECONDS = 5.0
"""For the engine's first word, which its port is in."""
FLUSH_SECONDS = 10.0
"""Between two writes of the download counters."""
REANNOUNCE_SECONDS = 60.0
"""Between two reminders to the tracker that the seed is there."""
CONNECTIONS_MAX = 2000
KEEP_ALIVE = 15
"""Seconds that an idle connection is kept."""

log = logging.getLogger("icw.server")

EngineFactory = Callable[[ServerConfig], Engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where the server listens."""

    url: str
    port: int
    bt_port: int
    """0 without a seed."""
    udp_port: int
    data: Path


def start_engine(config: ServerConfig) -> Engine:
    """The production engine, started. Blocks until it is up; UserError when it cannot start."""
    return EngineHost(
        data_dir=config.engine,
        listen_host=config.host or None,
        settings={
            "workshop.p2p.listen_port": str(config.bt_port),
            "workshop.p2p.max_upload_speed": config.upload_limit,
            "workshop.p2p.sharing": "true",
            # What only this house can reach is told to nobody outside it.
            "workshop.p2p.dht": "true" if config.public_url and not is_local_url(config.public_url) else "false",
            # Whoever knows of its packages knows where it is.
            "workshop.p2p.lsd": "false",
        },
    ).start()


class WorkshopServer:
    """One server over one data folder. `start`, then `stop`, once each, on one loop."""

    def __init__(
        self, config: ServerConfig, *, clock: Clock | None = None, engine: EngineFactory | None = start_engine
    ) -> None:
        """Opens the catalog. `engine` None: nothing is seeded. UserError when the data cannot be used."""
        self.config = config
        self._clock = clock if clock is not None else SystemClock()
        self._engine_factory = engine if config.seed else None
        _make_folders(config)
        self._known: set[bytes] = set()
        access = TrackerAccess.open() if config.open_tracker else TrackerAccess.whitelist(self._known.__contains__)
        self.tracker = Tracker(self._clock, random.SystemRandom(), access=access)
        self.catalog = Catalog(config.database, config.packages, self.tracker.counts)
        self.tokens = Tokens(self.catalog.engines, self._clock)
        for file in config.token_file:
            self.tokens.take_in(Path(file))
        publisher = Publisher(
            self.catalog,
            config.incoming,
            clock=self._clock,
            max_size=config.max_package_size,
            swarm_min_size=config.swarm_min_size,
            published=self._published,
        )
        self.desk = Desk(
            config=config,
            clock=self._clock,
            catalog=self.catalog,
            tokens=self.tokens,
            publisher=publisher,
            metrics=Metrics(),
            udp_port=lambda: self._udp.port,
            checks=self._checks,
            workshop=self._workshop,
        )
        self.desk.metrics.gauges(self._gauges)
        self.app = build_app(self.desk)
        self._guard = Guard(self.app, self.desk)
        self._answers = HttpAnswers(self.tracker, config.trusted_proxies)
        self._udp = UdpTrackerServer(self.tracker, config.host, config.udp_port)
        self._expiry = Expiry(self.tracker)
        self._seeder: Seeder | None = None
        self._seed_address = b""
        self._front: TrackerFront | None = None
        self._web: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._seeding_begun = self._engine_factory is None
        self._started_at = time.time()

    @property
    def asgi(self) -> Guard:
        """REST without sockets and tracker, for tests in memory."""
        return self._guard

    async def start(self) -> Ready:
        """Open every port. UserError names the one that is taken."""
        self._loop = asyncio.get_running_loop()
        packages = await asyncio.to_thread(lambda: list(self.catalog.all_stored()))
        for package in packages:
            self._know(package)
        try:
            await self._udp.start()
        except OSError as error:
            raise UserError(_taken("udp_port", self.config.udp_port, error)) from error
        self._front = await self._start_web()
        self._expiry.start()
        if self._engine_factory is not None:
            engine = await asyncio.to_thread(self._engine_factory, self.config)
            self._seeder = Seeder(engine, self.catalog, self._seeded)
            await asyncio.to_thread(self._seeder.wait_until_told, ENGINE_SECONDS)
            self._seed_address = await self._public_address()
            await asyncio.to_thread(self._seeder.add_all, packages)
            self._seeding_begun = True
        self._tasks = [
            asyncio.create_task(self._every(FLUSH_SECONDS, self._flush)),
            asyncio.create_task(self._every(REANNOUNCE_SECONDS, self._announce_seeds)),
        ]
        host = self.config.host or "127.0.0.1"
        shown = f"[{host}]" if ":" in host else host
        return Ready(
            url=self.config.public_url.rstrip("/") or f"http://{shown}:{self._front.port}",
            port=self._front.port,
            bt_port=self._seeder.port if self._seeder is not None else 0,
            udp_port=self._udp.port,
            data=self.config.data,
        )

    async def stop(self) -> None:
        """Say that we end, let running requests finish, say good-bye to peers, close the books."""
        self.desk.draining = True
        try:
            async with asyncio.timeout(self.config.drain_seconds):
                await self._guard.idle.wait()
        except TimeoutError:
            log.warning("requests cut off count=%d", self._guard.active)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._front is not None:
            await self._front.aclose()
        if self._web is not None:
            await self._web.shutdown(sockets=[])
        self._expiry.stop()
        await self._udp.aclose()
        if self._seeder is not None:
            await asyncio.to_thread(self._seeder.close)
        await asyncio.to_thread(self.catalog.close)

    async def _start_web(self) -> TrackerFront:
        app = TrackerApp(self._answers, self._guard)  # on kept connections announces come here
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(self.config.trusted_proxies),
            forwarded_allow_ips=list(self.config.trusted_proxies),
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
        web = uvicorn.Server(config)
        config.load()
        web.lifespan = config.lifespan_class(config)
        await web.startup(sockets=[])
        self._web = web

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=web.server_state, app_state=web.lifespan.state
            )

        front = TrackerFront(
            self.tracker, self.config.host, self.config.port, trusted=self.config.trusted_proxies, then=protocol
        )
        try:
            await front.start()
        except OSError as error:
            await self._udp.aclose()
            raise UserError(_taken("port", self.config.port, error)) from error
        return front

    # --- the seed and the tracker --------------------------------------------------------------------

    def _published(self, package: StoredPackage) -> None:
        """Called on the thread that published."""
        self._know(package)
        if self._seeder is not None:
            self._seeder.add(package)

    def _know(self, package: StoredPackage) -> None:
        if package.info_hash:
            self._known.add(bytes(InfoHash.from_hex(package.info_hash)))

    def _seeded(self, info_hash: str) -> None:
        """Called on the engine's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._announce, [info_hash])

    async def _announce_seeds(self) -> None:
        if self._seeder is not None:
            self._announce(self._seeder.seeded())

    def _announce(self, info_hashes: Iterable[str]) -> None:
        """Our own seed does not ask our own tracker over the network: it would be seen as 127.0.0.1."""
        port = self._seeder.port if self._seeder is not None else 0
        if not port or not self._seed_address:
            return
        self.tracker.turn()
        for info_hash in info_hashes:
            peer = self._seed_address + port.to_bytes(2, "big")
            self.tracker.announce(bytes(InfoHash.from_hex(info_hash)), peer, 0, 0, 0)

    async def _public_address(self) -> bytes:
        """As peers reach the seed: configured, else that of the public URL, else our own on the network."""
        address = self.config.public_address
        host = urlsplit(self.config.public_url).hostname
        if not address and host:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
                address = str(found[0][4][0])
            except OSError as error:
                log.warning("public_url does not resolve host=%s error=%s", host, error)
        address = address or own_address(self.config.host)
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)

    # --- numbers and upkeep --------------------------------------------------------------------------

    async def _every(self, seconds: float, work: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                result = work()
                if asyncio.iscoroutine(result):
                    await result
            except Exception:
                log.exception("upkeep failed")

    async def _flush(self) -> None:
        await asyncio.to_thread(self.catalog.flush_downloads)

    def _checks(self) -> dict[str, bool]:
        return {
            "database": True,
            "tracker": self._front is not None,
            "seed": self._seeding_begun and (self._seeder is None or self._seeder.port > 0),
        }

    def _workshop(self) -> dict[str, int]:
        seeder = self._seeder
        totals = seeder.totals if seeder is not None else None
        return {
            "packages_seeded": len(seeder.seeded()) if seeder is not None else 0,
            "active_peers": totals.peers if totals is not None else 0,
            "upload_bytes_sec": totals.rate_up if totals is not None else 0,
            "download_bytes_sec": totals.rate_down if totals is not None else 0,
        }

    def _gauges(self) -> Iterable[tuple[str, str, float]]:
        packages, releases, size = self.catalog.totals()
        yield "icw_packages", "Packages in the catalog.", packages
        yield "icw_releases", "Releases in the catalog.", releases
        yield "icw_package_bytes", "Bytes of all package files.", size
        swarms = self.tracker.stats()
        yield "icw_tracker_torrents", "Swarms with at least one peer.", swarms.torrents
        yield "icw_tracker_peers", "Peers in all swarms.", swarms.peers
        yield "icw_tracker_announces", "Announces since start.", swarms.announces
        yield "icw_tracker_datagrams_dropped", "Answers that the system did not take.", self._udp.dropped
        for key, value in self._workshop().items():
            yield f"icw_seed_{key}", "Of the permanent seed.", value
        yield "icw_requests_active", "Requests under way.", self._guard.active
        yield "icw_start_time_seconds", "When the server started, seconds since the epoch.", self._started_at


def build_app(desk: Desk) -> FastAPI:
    """Every route; nothing is opened."""
    app = FastAPI(
        title="Workshop server",
        version=__version__,
        description="Search, download and publish Workshop packages.",
        docs_url=None,
        redoc_url=None,
    )

    async def refused(_request: Request, error: Exception) -> Response:
        if not isinstance(error, WorkshopError):
            log.error("a route failed", exc_info=error)
        return error_answer(error)

    async def web_refused(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 405:
            return error_answer(RegistryError("method_not_allowed", "this address does not take that method"))
        return error_answer(NotFound("there is nothing at this address; /docs lists what there is"))

    app.add_exception_handler(WorkshopError, refused)
    app.add_exception_handler(HTTPException, web_refused)
    app.add_exception_handler(Exception, refused)
    for routes in (
        package_routes,
        publish_routes,
        lobby_routes,
        catalog_routes,
    ):  # packages first: `1.0.0.torrent` is no version
        app.include_router(routes(desk), prefix=API)
    app.include_router(health_routes(desk))
    app.include_router(docs_routes(app))
    return app


def new_loop() -> asyncio.AbstractEventLoop:
    """One that can watch sockets, on every system: the tracker's two faces read theirs themselves."""
    return asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()


def _make_folders(config: ServerConfig) -> None:
    try:
        for folder in (config.data, config.packages, config.incoming, config.engine):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the data folder {config.data} cannot be made: {error.strerror}; choose one with --data"
        ) from error


def _taken(key: str, port: int, error: OSError) -> str:
    flag = "--" + key.replace("_", "-")
    return f"port {port} cannot be opened ({error.strerror}); is it taken? Choose another with {flag}"
