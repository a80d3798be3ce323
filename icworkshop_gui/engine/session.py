"""Everything that runs in one engine: constructs the parts, connects them, keeps their clock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import StorageError, UserError, WorkshopError
from icworkshop_gui.core.ids import InfoHash, PeerId, TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as wish
from icworkshop_gui.engine.api.events import EngineFault, Event, Listening
from icworkshop_gui.engine.api.settings import BY_KEY
from icworkshop_gui.engine.api.snapshots import (
    EngineTotals,
    LibraryEntry,
    LimitCause,
    Network,
    Reason,
    SnapshotDelta,
    SubscriptionSnapshot,
    TransferDetail,
    TransferSnapshot,
)
from icworkshop_gui.engine.bandwidth import Bandwidth
from icworkshop_gui.engine.bundles import Bundles
from icworkshop_gui.engine.catalog import Catalog
from icworkshop_gui.engine.describe import describe_detail, describe_transfer
from icworkshop_gui.engine.discovery.dht import Dht, Door
from icworkshop_gui.engine.discovery.lsd import LocalDiscovery
from icworkshop_gui.engine.discovery.pace import AnnouncePace
from icworkshop_gui.engine.discovery.udp_tracker import UdpTrackerClient
from icworkshop_gui.engine.errands import Errand
from icworkshop_gui.engine.library import Library
from icworkshop_gui.engine.limit_policy import InForce, LimitPolicy
from icworkshop_gui.engine.lobby import Lobby, LobbyHall
from icworkshop_gui.engine.lock import EngineLock
from icworkshop_gui.engine.locking import lock
from icworkshop_gui.engine.net.charged import ChargedNetwork
from icworkshop_gui.engine.net.dialer import Dialer
from icworkshop_gui.engine.net.incoming import HandshakeGate
from icworkshop_gui.engine.net.limiter import LimiterTicker
from icworkshop_gui.engine.net.peer_port import PeerPort
from icworkshop_gui.engine.net.stream import Stream
from icworkshop_gui.engine.profiles import ProfileDesk
from icworkshop_gui.engine.publisher import INTERVAL, Publisher
from icworkshop_gui.engine.queueing import Conditions
from icworkshop_gui.engine.reviews import Reviews
from icworkshop_gui.engine.searches import Searches
from icworkshop_gui.engine.sets import Sets
from icworkshop_gui.engine.settings_file import Settings
from icworkshop_gui.engine.sources import open_source
from icworkshop_gui.engine.subscriptions import Subscriptions
from icworkshop_gui.engine.swarm.webseed.asking import RequestSlots
from icworkshop_gui.engine.torrents import magnet_facts, torrent_facts
from icworkshop_gui.engine.transfer import Transfer
from icworkshop_gui.engine.transfers import Transfers
from icworkshop_gui.engine.updates import Updates
from icworkshop_gui.engine.world import World
from icworkshop_gui.formats.lockfile import LockFile
from icworkshop_gui.formats.profile import Profile
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.seen import Seen
from icworkshop_gui.registry.source import folder_of, is_index, parse_address
from icworkshop_gui.store.disk import free_space
from icworkshop_gui.store.paths import StorePaths
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.sweep import sweep
from icworkshop_gui.wire.peer.handshake import Handshake

log = logging.getLogger("icw.session")
R = TypeVar("R")

HTTP_ANNOUNCES = 50
"""HTTP announces under way at once (engine.md E.8)."""
DHT_SEARCHES = 1.0
"""Searches a second in the DHT that nobody waits for: each asks some dozen nodes."""
HOURS_SECONDS = 6 * 3600.0
"""Between two looks for newer versions of what is installed, and two sweeps of the store."""
DISK_SECONDS = 10.0
"""Between two looks at the free space."""
SHARED_BEATS = 4
"""Deltas among which the looks at shared packages are spread."""
LIMITS_MIN = 0.02
"""Seconds between two looks at the schedule at the least."""
SIZE_SECONDS = 600.0
"""Between two sums of all blobs, unless the library changed: that is a look at every file of the store."""
CATALOG_SECONDS = 30.0
"""Between two questions to each source whether it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """What the composition root decides."""

    data_dir: Path
    sources: tuple[str, ...] = ()
    """Workshop servers beside the configured ones, for this run."""
    overrides: dict[str, str] = field(default_factory=dict)
    """Settings for this run."""
    listen_host: str | None = None
    """Only this address; None: every one."""
    listen: bool = True
    memory: Path | None = None
    """The folder where it is remembered what sources said; None: the store's."""
    active: bool = True
    """False: transfers are known but none runs; for a look at the library."""
    network: Network = Network.UNMETERED
    """What kind of network this computer is on, until SetNetwork says otherwise."""


class Session:
    """Composition root of the engine. Everything runs on its loop; blocking work goes to `world.disk`."""

    def __init__(self, world: World, config: SessionConfig, publish: Callable[[SnapshotDelta | Event], None]) -> None:
        self.world = world
        self._config = config
        self.active = config.active
        self.peer_id = PeerId(b"-IC0100-" + world.rng.randbytes(12))
        self.settings = Settings(config.data_dir / "settings.toml", config.overrides)
        self.dialer = Dialer(world.network)
        self.bandwidth = Bandwidth()
        self._limit_policy = LimitPolicy()
        self.in_force: InForce | None = None
        """The limits that hold; None before the start."""
        chatter = ChargedNetwork(world.network, up=self.bandwidth.up.chatter, down=self.bandwidth.down.chatter)
        self.tracker_world = replace(world, network=chatter)
        self.udp = UdpTrackerClient(self.tracker_world)
        self.pace = AnnouncePace()
        self.dht_pace = AnnouncePace(DHT_SEARCHES)
        self.lsd = LocalDiscovery(self.tracker_world, self.peer_port)
        self.dht = Dht(
            world,
            folder=config.data_dir,
            community=self._community,
            routers=self._routers,
            charge=(self.bandwidth.down.chatter, self.bandwidth.up.chatter),
        )
        self.network, self.network_name = config.network, ""
        self.game_running = False
        self.http_slots = asyncio.Semaphore(HTTP_ANNOUNCES)
        self.web_slots = RequestSlots()
        self.searches = Searches()
        self.hall = LobbyHall(world.rng, world.clock.wall)
        self.publisher = Publisher(self, publish)
        self._port: PeerPort | None = None
        self._tickers: list[LimiterTicker] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watched: TransferId | None = None
        self._look_at = 0.0
        """When the disk is looked at next; at once after the library changed."""
        self._sized_at = -math.inf
        """When the blobs were added up last."""
        self._beat = 0
        self._disk_free = 0
        self._reached_at: float | None = None
        self._store_bytes = 0

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, go on with what was under way, open the port. WorkshopError when that cannot be."""
        install = self.settings.text("workshop.storage.install_folder")
        paths = StorePaths.below(self._config.data_dir, install=Path(install) if install else None)
        self._lock = await self.in_disk(lambda: EngineLock.take(self._config.data_dir))
        self.store = await self.in_disk(lambda: Store(paths, wall=self.world.clock.wall))
        await self.in_disk(self.store.switch.recover)
        memory = self._config.memory or self.store.paths.root
        self._cache = cache = await self.in_disk(lambda: RegistryCache(memory / "cache" / "registry"))
        self._seen = seen = await self.in_disk(lambda: Seen(memory / "seen.db"))
        network, wall = self.world.network, self.world.clock.wall
        self.catalog = Catalog(lambda address: open_source(address, network, cache, seen, wall), seen)
        for url in (*self._config.sources, *self.settings.sources):
            self.catalog.add(url)
        self.transfers = Transfers(self)
        self.library = Library(self)
        self.updates = Updates(self)
        self.reviews = Reviews(self)
        self.subscriptions = Subscriptions(self)
        self.sets = Sets(self)
        self.profiles = ProfileDesk(self)
        self.bundles = Bundles(self)
        self._gate = HandshakeGate(self._on_handshake)
        self._tickers = self.bandwidth.tickers(self.world.clock)
        self._apply_limits()
        if self._config.listen:
            await self._listen()
        await self._switch_discovery()
        for notice in (self.settings.notice, *(f"Set aside: {item.reason}" for item in self.store.set_aside)):
            if notice:
                self.tell(EngineFault(message=notice, detail=""))
        await self.subscriptions.load()
        await self.profiles.load()
        await self.library.load()
        await self.transfers.load()
        await self.sets.load()
        for job in (
            self._publish_loop(),
            self._second_loop(),
            self._catalog_loop(),
            self._hours_loop(),
            self._limits_loop(),
        ):
            self.spawn(job)
        if self.active:
            self.spawn(self.subscriptions.run())

    async def _listen(self) -> None:
        port = self.settings.number("workshop.p2p.listen_port")
        for candidate in dict.fromkeys((port, 0)):
            try:
                self._port = await PeerPort.open(self.world.network, candidate, self._gate.accept)
            except OSError as error:
                log.info("event=port-taken port=%d: %s", candidate, error)
            else:
                self.tell(Listening(port=self._port.number))
                return
        self.tell(EngineFault(message="No port could be opened: other players cannot reach this computer.", detail=""))

    def _community(self) -> list[Door]:
        """Nodes of the communities that the user chose: a Workshop server seeds, so it has a node where it does."""
        port = int(BY_KEY["workshop.p2p.listen_port"].default)
        hosts = [urlsplit(url).hostname for url in (*self._config.sources, *self.settings.sources)]
        return [*self.settings.hosts("workshop.p2p.dht_nodes"), *((host, port) for host in hosts if host)]

    def _routers(self) -> Sequence[Door]:
        """Public ways in; none for what only this computer can reach."""
        here = self._config.listen_host
        if here is not None and ip_address(here).is_loopback:
            return ()
        return self.settings.hosts("workshop.p2p.dht_routers")

    async def _switch_discovery(self) -> None:
        """As the setting and the network say."""
        self.dht.set_read_only(self.network is Network.METERED)
        udp = None if self._port is None else self._port.udp
        if udp is not None and self.settings.flag("workshop.p2p.dht"):
            await self.dht.enable(udp)
        else:
            await self.dht.disable()
        if self._port is not None and self.settings.flag("workshop.p2p.lsd"):
            await self.lsd.enable()
        else:
            self.lsd.disable()

    async def stop(self) -> None:
        """In order: no strangers, transfers written down, tasks ended, store closed."""
        await self.dht.disable()
        self.lsd.disable()
        if self._port is not None:
            await self._port.aclose()
        if not hasattr(self, "store"):
            return
        self._gate.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.updates.stop()
        await self.transfers.stop()
        await self.library.stop()
        await self.udp.aclose()
        await self.dialer.aclose()
        for ticker in self._tickers:
            ticker.close()
        await self.in_disk(self._cache.close)
        await self.in_disk(self._seen.close)
        await self.in_disk(self.store.close)
        self._lock.release()

    # --- what the parts need ---------------------------------------------------------------------

    async def in_disk(self, job: Callable[[], R]) -> R:
        """Run a blocking job on the disk pool."""
        return await asyncio.wrap_future(self.world.disk.submit(job))

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """A task that ends with the session; its failure is a fault, not silence."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("event=task-failed", exc_info=error)
        self.tell(EngineFault(message="A part of the program stopped.", detail=repr(error)))

    def tell(self, event: Event) -> None:
        if hasattr(self, "library"):
            self.publisher.tell(event)

    def peer_port(self) -> int:
        return 0 if self._port is None else self._port.number

    def changed(self, transfer: Transfer) -> None:
        self.transfers.changed(transfer)
        self.touched(transfer)

    def touched(self, transfer: Transfer) -> None:
        self.transfers.touched(transfer)
        self.publisher.touch(transfer.id)
        if transfer.ref is not None:
            self.publisher.touch_entry(transfer.ref)
            if transfer.record.staged:
                self.publisher.touch_subscriptions()
                for beside in self.library.refs():
                    if beside.package == transfer.ref.package:
                        self.publisher.touch_entry(beside)

    def decide(self) -> None:
        self.transfers.decide()

    async def settle(self, transfer: Transfer) -> None:
        if transfer.ref is not None and not transfer.record.staged:
            await self.sets.arrive(transfer)

    async def finished(self, transfer: Transfer) -> None:
        if transfer.record.staged:
            await self.library.reload()
            self.library_changed()
        elif transfer.ref is not None:
            record = transfer.record
            await self.library.arrived(transfer.ref, asked=record.asked, temporary=record.temporary)
            await self.library.reload()
            self.library_changed()

    def library_changed(self) -> None:
        """Its bytes on the disk are others now."""
        self._look_at = 0.0
        self._sized_at = -math.inf

    def conditions(self) -> Conditions:
        """What around us says that something must not run."""
        return Conditions(
            network=self.network,
            sharing=self.settings.flag("workshop.p2p.sharing"),
            share_on_metered=self.settings.flag("workshop.p2p.share_on_metered"),
            download_on_metered=self.settings.flag("workshop.p2p.download_on_metered"),
            game_running=self.game_running,
            pause_in_game=self.settings.flag("workshop.p2p.pause_in_game"),
        )

    def sharing_on(self) -> bool:
        return self.conditions().against_sharing() is Reason.NONE

    def connection_share(self) -> int:
        return self.settings.number("workshop.p2p.max_connections") - self.transfers.connections()

    def by_info_hash(self, info_hash: InfoHash) -> Transfer | None:
        return self.transfers.by_info_hash(info_hash)

    def rival(self, errand: Errand) -> Transfer | None:
        return self.transfers.rival(errand)

    def take_connections(self, count: int, tier: Tier) -> None:
        self.transfers.take_connections(count, tier)

    def _on_handshake(self, stream: Stream, handshake: Handshake, leftover: bytes) -> None:
        transfer = self.transfers.by_info_hash(handshake.info_hash)
        if stream.endpoint.is_global:
            self._reached_at = self.world.clock.wall()
        if transfer is not None and transfer.record.tier is Tier.LOBBY_URGENT and self.connection_share() <= 0:
            self.take_connections(1, Tier.LOBBY_URGENT)
        full = self.connection_share() <= 0
        if transfer is None or full or not transfer.welcome(stream, handshake, leftover):
            stream.abort()

    def shut_reason(self) -> tuple[Reason, tuple[tuple[str, str], ...]]:
        if self.in_force is None or self.in_force.cause is not LimitCause.SCHEDULE or self.in_force.down != 0:
            return Reason.LIMIT, ()
        until = self.in_force.until
        return Reason.SCHEDULE, () if until is None else (("until", str(int(until))),)

    def _apply_limits(self) -> None:
        before, self.in_force = self.in_force, self._limit_policy.look(self.settings, self.world.clock.wall())
        self.bandwidth.apply(self.settings, self.in_force.down, self.in_force.up, self.world.clock.now())
        if before is not None and before != self.in_force:
            log.info("event=limits cause=%s down=%s up=%s", self.in_force.cause, self.in_force.down, self.in_force.up)

    # --- the clock -------------------------------------------------------------------------------

    async def _publish_loop(self) -> None:
        while True:
            self.publisher.publish()
            await asyncio.sleep(INTERVAL)

    async def _second_loop(self) -> None:
        while True:
            now = self.world.clock.now()
            self.transfers.tick(now)
            if now >= self._look_at:
                self._look_at = now + DISK_SECONDS
                self._disk_free, self._store_bytes = await self.in_disk(self._look_at_disk)
            await asyncio.sleep(1.0)

    async def _limits_loop(self) -> None:
        """The schedule goes by the clock on the wall, which may be set: it is asked each second, and at each change."""
        while True:
            wall = self.world.clock.wall()
            until = None if self.in_force is None else self.in_force.until
            await asyncio.sleep(1.0 if until is None else min(1.0, max(LIMITS_MIN, until - wall)))
            self._apply_limits()

    def _look_at_disk(self) -> tuple[int, int]:
        try:
            now = self.world.clock.now()
            if now - self._sized_at >= SIZE_SECONDS:
                self._sized_at, size = now, self.store.blobs.total_size()
            else:
                size = self._store_bytes
            return free_space(self.store.paths.root), size
        except StorageError as error:
            log.warning("event=disk-unreadable: %s", error)
            return self._disk_free, self._store_bytes

    async def _catalog_loop(self) -> None:
        while True:
            await self.catalog.refresh()
            if any(state.ok for state in self.catalog.states):
                self.transfers.retry_offline()
            await asyncio.sleep(CATALOG_SECONDS)

    async def _hours_loop(self) -> None:
        """What has time: newer versions, and what nothing needs any more."""
        while True:
            await self.library.look_for_updates()
            try:
                await self.library.expire()
                await self.in_disk(lambda: sweep(self.store, self.world.clock.wall()))
            except StorageError as error:
                log.warning("event=sweep-failed: %s", error)
            await asyncio.sleep(HOURS_SECONDS)

    # --- wishes ----------------------------------------------------------------------------------

    def perform(self, command: wish.Command[Any], future: Future[Any]) -> None:
        """Carry out a command; the answer or the error goes into `future`."""

        async def work() -> None:
            try:
                future.set_result(await self._handle(command))
            except asyncio.CancelledError:
                future.set_exception(UserError("The program is closing."))
                raise
            except WorkshopError as error:
                future.set_exception(error)
            except Exception as error:
                log.exception("event=command-failed command=%s", type(command).__name__)
                future.set_exception(UserError("A fault in the program stopped this. The log has the details."))
                self.tell(EngineFault(message="A command failed.", detail=repr(error)))

        self.spawn(work())

    async def _handle(self, command: wish.Command[Any]) -> Any:
        match command:
            case wish.Search(query):
                page = await self.catalog.search(query)
                self._tell_silence(page.stale)
                return page
            case wish.GetPackage(package, version):
                detail, _source = await self.catalog.package(package, version, files=True)
                self._tell_silence(detail.stale)
                return detail
            case wish.GetPreview(package, version, sha256):
                return await self.catalog.preview(package, version, sha256)
            case wish.Install(package, version, tier):
                return (await self.transfers.install(((package, version),), tier))[0]
            case wish.InstallAll(packages, tier, temporary):
                return await self.transfers.install(packages, tier, temporary=temporary)
            case wish.WriteLock(packages):
                library = self.library
                return lock(library.installed(), library.checksums(), packages).dump()
            case wish.InstallLocked(data, tier):
                return await self.transfers.install_locked(LockFile.parse(data), tier)
            case wish.PlanInstall(packages):
                return await self.reviews.of_install(packages)
            case wish.PlanRemove(refs, keep):
                return await self.reviews.of_removal(refs, keep)
            case wish.PlanUpdate(package, version):
                return await self.updates.plan(package, version)
            case wish.ReadTorrent(path):
                facts, swarm_hash = await self.in_disk(lambda: torrent_facts(path))
                running = self.transfers.by_info_hash(swarm_hash)
                return facts if running is None else replace(facts, running=running.id)
            case wish.ReadMagnet(link):
                facts, known_hash = magnet_facts(link)
                running = None if known_hash is None else self.transfers.by_info_hash(known_hash)
                return facts if running is None else replace(facts, running=running.id)
            case wish.AddTorrent():
                return await self.transfers.add_torrent(command)
            case wish.AddMagnet():
                return await self.transfers.add_magnet(command)
            case wish.AddPeers(transfer, peers):
                self.transfers.get(transfer).add_peers(peers)
            case wish.AddWebSeeds(transfer, urls):
                self.transfers.get(transfer).add_web_seeds(urls)
            case wish.Pause(transfers):
                self.transfers.pause(transfers)
            case wish.Resume(transfers):
                self.transfers.resume(transfers)
            case wish.StartNow(transfer):
                self.transfers.start_now(transfer)
            case wish.SetTier(transfers, tier):
                self.transfers.set_tier(transfers, tier)
            case wish.Move(transfer, position):
                self.transfers.move(transfer, position)
            case wish.Cancel(transfer, delete):
                await self.transfers.cancel(transfer, delete=delete)
            case wish.UndoCancel(transfer):
                await self.transfers.undo_cancel(transfer)
            case wish.ClearFinished():
                self.transfers.clear_finished()
            case wish.Recheck(transfer):
                await self.transfers.get(transfer).recheck()
            case wish.SetTransferLimits(transfer, down, up):
                self.transfers.get(transfer).set_limits(down, up)
            case wish.Watch(transfer):
                self._watched = transfer
            case wish.VerifyPackage(ref, repair):
                return await self.library.verify(ref, repair=repair)
            case wish.RemovePackage(ref, force):
                await self.library.remove(ref, force=force)
            case wish.UndoRemove(ref):
                await self.library.undo_remove(ref)
            case wish.Pin(ref, pinned):
                await self.library.pin(ref, pinned)
            case wish.CleanUp(dry_run):
                return await self.library.clean_up(dry_run=dry_run)
            case wish.SetPackageSharing(ref, sharing):
                self.library.set_sharing(ref, sharing)
            case wish.Subscribe(kind, id):
                await self.subscriptions.subscribe(kind, id)
            case wish.Unsubscribe(kind, id):
                await self.subscriptions.unsubscribe(kind, id)
            case wish.CheckSubscriptions():
                begun = await self.subscriptions.check()
                self.publisher.publish()  # why there is no news is told before the answer
                return begun
            case wish.ActivateStaged(refs):
                return await self.subscriptions.activate(refs)
            case wish.SetSetting(key, value):
                self._change_setting(key, value)
                await self._switch_discovery()
            case wish.SetSharing(on):
                self._change_setting("workshop.p2p.sharing", "true" if on else "false")
            case wish.SetSlowMode(on):
                if not on:
                    self._limit_policy.ignore_schedule()
                self._change_setting("workshop.p2p.slow_mode", "true" if on else "false")
            case wish.SetNetwork(network, name):
                self.network, self.network_name = network, name
                await self._switch_discovery()
                self.transfers.settings_changed()
            case wish.SetLobby(room, issuers, tickets, secret):
                self.hall.lobby = Lobby.of(room, issuers, tickets, secret) if room else None
                self.transfers.lobby_changed()
            case wish.SetGameRunning(on):
                self.game_running = on
                self.transfers.settings_changed()
            case wish.SetSeedGoal(transfers, goal):
                for transfer in transfers:
                    self.transfers.get(transfer).update(goal=goal)
            case wish.ListProfiles():
                return await self.profiles.list()
            case wish.SaveProfile(name, sources, choices, game_module):
                await self.profiles.save(
                    Profile(name=name, sources=sources, choices=tuple(sorted(choices)), game_module=game_module)
                )
            case wish.DeleteProfile(name):
                await self.profiles.delete(name)
            case wish.RestoreProfile(name):
                await self.profiles.restore(name)
            case wish.InspectProfile(name):
                return await self.profiles.inspect(name)
            case wish.ActivateProfile(name):
                return await self.profiles.activate(name)
            case wish.CompareProfiles(one, other):
                return await self.profiles.compare(one, other)
            case wish.ExportProfile(name):
                return await self.profiles.export(name)
            case wish.ImportProfile(data, name):
                return await self.profiles.bring(data, name)
            case wish.AddSource(url):
                await self._add_source(url)
            case wish.CreateBundle(path, packages):
                return await self.bundles.create(path, packages)
            case wish.InspectBundle(path, verify):
                return await self.bundles.inspect(path, verify=verify)
            case wish.ImportBundle(path):
                return await self.bundles.take_in(path)
            case wish.StopBundle(path):
                self.bundles.cancel(path)
            case wish.CheckSources():
                await self.catalog.refresh()
                return self.catalog.states
            case wish.MoveSource(url, position):
                self.catalog.move(url, position)
                self.settings.move_source(url, position)
            case wish.RemoveSource(url):
                self.settings.remove_source(url)
                self.catalog.remove(url)
            case _:
                raise UserError(f"This engine does not know {type(command).__name__}.")
        return None

    def _tell_silence(self, stale: bool) -> None:
        """Who does not answer is told before the answer that is from before."""
        if stale:
            self.publisher.publish()

    def _change_setting(self, key: str, value: str) -> None:
        self.settings.set(key, value)
        self._apply_limits()
        self.publisher.touch_settings()
        self.transfers.settings_changed()

    async def _add_source(self, url: str) -> None:
        try:
            url = await self.in_disk(lambda: parse_address(url))
            url, name = await self._recognise(url)
        except ValueError as error:
            raise UserError(f"{error}. For example: https://workshop.example") from None
        except WorkshopError as error:
            raise UserError(f"{url} does not answer as a Workshop: {error}") from None
        log.info("event=source-added url=%s name=%s", url, name)
        self.settings.add_source(url)
        self.catalog.add(url)
        await self.catalog.refresh()

    async def _recognise(self, address: str) -> tuple[str, str]:
        """What a plain web address is: a Workshop server, or an index. And its name."""
        try:
            return address, await self.catalog.check(address)
        except WorkshopError:
            if is_index(address) or folder_of(address) is not None:
                raise
            with contextlib.suppress(WorkshopError):
                return f"git+{address}", await self.catalog.check(f"git+{address}")
            raise

    # --- View of the publisher -------------------------------------------------------------------

    def totals(self) -> EngineTotals:
        running = [transfer.stats() for transfer in self.transfers.lively()]
        stats = [item for item in running if item is not None]
        return EngineTotals(
            now=self.world.clock.now(),
            connection=self.catalog.connection,
            sources=self.catalog.states,
            rate_down=sum(item.rate_down for item in stats),
            rate_up=sum(item.rate_up for item in stats),
            downloaded=sum(item.from_peers + item.from_http for item in stats),
            uploaded=sum(item.uploaded for item in stats),
            peers=sum(item.peers for item in stats),
            uploading_to=sum(item.uploading_to for item in stats),
            disk_free=self._disk_free,
            store_bytes=self._store_bytes,
            listen_port=self.peer_port(),
            reached_at=self._reached_at,
            dht_nodes=self.dht.count,
            sharing=self.sharing_on(),
            limit_down=self.bandwidth.down.root.rate,
            limit_up=self.bandwidth.up.root.rate,
            limit_cause=LimitCause.SETTINGS if self.in_force is None else self.in_force.cause,
            limit_slow=self.in_force is not None and self.in_force.slow,
            limit_until=None if self.in_force is None else self.in_force.until,
            paused_all=self.transfers.all_paused(),
            network=self.network,
            network_name=self.network_name,
        )

    def lively_transfers(self) -> Iterable[TransferId]:
        """Downloads each time; what is shared in turn, each once a second: there may be hundreds."""
        self._beat = (self._beat + 1) % SHARED_BEATS
        return [
            transfer.id
            for number, transfer in enumerate(self.transfers.lively())
            if not transfer.is_complete or number % SHARED_BEATS == self._beat
        ]

    def transfer_snapshot(self, transfer_id: TransferId) -> TransferSnapshot | None:
        transfer = self.transfers.find(transfer_id)
        return None if transfer is None else describe_transfer(transfer)

    def library_refs(self) -> Iterable[PackageRef]:
        return self.library.refs()

    def library_entry(self, ref: PackageRef) -> LibraryEntry | None:
        return self.library.entry(ref)

    def setting_texts(self) -> tuple[tuple[str, str], ...]:
        return self.settings.all()

    def subscription_snapshots(self) -> tuple[SubscriptionSnapshot, ...]:
        return self.subscriptions.snapshots()

    def watched_detail(self) -> TransferDetail | None:
        transfer = None if self._watched is None else self.transfers.find(self._watched)
        return None if transfer is None else describe_detail(transfer)
