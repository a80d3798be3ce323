"""All transfers of a session: adding, ordering, cancelling, remembering. The queue's verdicts are carried out here."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef, Release
from icworkshop_gui.core.errors import Conflict, FormatError, NotFound, StorageError, UserError
from icworkshop_gui.core.ids import InfoHash, TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.engine.api.commands import AddMagnet, AddTorrent
from icworkshop_gui.engine.api.events import TransferAdded
from icworkshop_gui.engine.api.snapshots import Reason
from icworkshop_gui.engine.content import Content, PackageContent, TorrentContent
from icworkshop_gui.engine.errands import Errand, waits_for
from icworkshop_gui.engine.exchange import CONNECTIONS_MIN
from icworkshop_gui.engine.keeping import wanted
from icworkshop_gui.engine.locking import unlock
from icworkshop_gui.engine.planning import Plan, Planner, this_platform
from icworkshop_gui.engine.precedence import Fetching, Precedence, Shares
from icworkshop_gui.engine.queueing import Limits, View, Waiting, decide
from icworkshop_gui.engine.transfer import Phase, Transfer
from icworkshop_gui.formats.bundle import Bundled
from icworkshop_gui.formats.lockfile import LockFile
from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.registry.promises import promise_of
from icworkshop_gui.registry.schema import clean_line
from icworkshop_gui.store.transfers import TransferRecord

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session

log = logging.getLogger("icw.transfers")

UNDO_SECONDS = 60.0
"""How long a cancelled download keeps its bytes."""
SAVE_SECONDS = 10.0
"""Between two saves of counters that only grow."""
DECIDE_SECONDS = 10.0
"""Between two looks of the queue at what only time changes: who has become idle, whose turn or goal is over."""
LOAD_BATCH = 50
"""Transfers read by one disk job at start."""
TRANSFERS_MAX = 5_000
"""Transfers of one session; far above what anybody has, small enough for memory."""


class Transfers:
    """The transfers by id. Everything runs on the engine's loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._transfers: dict[TransferId, Transfer] = {}
        self._by_info_hash: dict[InfoHash, Transfer] = {}
        self._lively: dict[TransferId, Transfer] = {}
        self._by_ref: dict[PackageRef, Transfer] = {}
        self._cancelled: dict[TransferId, tuple[Transfer, float]] = {}
        self._dirty: set[TransferId] = set()
        self._saving = False
        self._saved_at = 0.0
        self._decided_at = 0.0
        self._precedence = Precedence()
        self._shares = Shares()
        self._deciding: asyncio.Handle | None = None
        self._stopping = False

    # --- looking ---------------------------------------------------------------------------------

    def all(self) -> Iterable[Transfer]:
        return self._transfers.values()

    def find(self, transfer_id: TransferId) -> Transfer | None:
        return self._transfers.get(transfer_id)

    def get(self, transfer_id: TransferId) -> Transfer:
        """NotFound when it is not there (any more)."""
        transfer = self._transfers.get(transfer_id)
        if transfer is None:
            raise NotFound("This download is not on the list any more.")
        return transfer

    def by_info_hash(self, info_hash: InfoHash) -> Transfer | None:
        return self._by_info_hash.get(info_hash)

    def by_ref(self, ref: PackageRef) -> Transfer | None:
        return self._by_ref.get(ref)

    def rival(self, errand: Errand) -> Transfer | None:
        """Who is fetching what this one needs."""
        under_way = (transfer.errand for transfer in self._lively.values())
        other = waits_for(errand, (found for found in under_way if found is not None))
        return None if other is None else self._transfers[other]

    def connections(self) -> int:
        """Peers of all swarms, and those that wait for one to wake."""
        return sum(transfer.connections for transfer in self._lively.values())

    def lively(self) -> Iterable[Transfer]:
        """Those in which something goes on. The others cost nothing but memory."""
        return self._lively.values()

    def touched(self, transfer: Transfer) -> None:
        """It may have become lively, or come to rest."""
        if transfer.is_lively and self._transfers.get(transfer.id) is transfer:
            self._lively[transfer.id] = transfer
        elif self._lively.get(transfer.id) is transfer:
            del self._lively[transfer.id]

    def all_paused(self) -> bool:
        unfinished = [transfer for transfer in self._transfers.values() if not transfer.is_complete]
        return bool(unfinished) and all(transfer.record.paused for transfer in unfinished)

    # --- life ------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Go on with everything that was there when the program ended."""
        records, aside = await self._session.in_disk(self._session.store.transfers.load)
        for item in aside:
            log.error("event=transfer-set-aside path=%s reason=%s", item.path, item.reason)
        for at in range(0, len(records), LOAD_BATCH):
            batch = records[at : at + LOAD_BATCH]
            for record, content, in_place in await self._session.in_disk(functools.partial(self._read, batch)):
                self._start(record, content, in_place=in_place)
        self.decide()

    def _read(self, records: Sequence[TransferRecord]) -> list[tuple[TransferRecord, Content, bool]]:
        """Blocks. The contents that these speak of, and whether they are complete and in their place."""
        found: list[tuple[TransferRecord, Content, bool]] = []
        for record in records:
            try:
                content = self._content_of(record)
            except FormatError as error:
                log.error("event=transfer-unreadable id=%s: %s", record.id, error)
            else:
                done = record.finished_at is not None and record.verified
                found.append((record, content, done and content.is_in_place()))
        return found

    async def stop(self) -> None:
        self._stopping = True
        if self._deciding is not None:
            self._deciding.cancel()
        transfers = [*self._transfers.values(), *(transfer for transfer, _until in self._cancelled.values())]
        await asyncio.gather(*(transfer.stop() for transfer in transfers))
        self._dirty.update(self._transfers)
        await self._save()

    async def _content(self, record: TransferRecord) -> Content:
        """The content that a record speaks of."""
        return await self._session.in_disk(lambda: self._content_of(record))

    def _content_of(self, record: TransferRecord) -> Content:
        """Blocks. FormatError."""
        session = self._session
        if record.ref is None:
            return TorrentContent(session.store, record)
        return PackageContent(session.store, record, session.catalog, session.searches, session.world.disk)

    def _start(self, record: TransferRecord, content: Content, *, in_place: bool = False) -> Transfer:
        transfer = Transfer(self._session, record.id, content, record)
        transfer.extra_peers.extend(record.peers)
        self._transfers[record.id] = transfer
        self._index(transfer)
        if in_place:
            transfer.rest()
        elif self._session.active:
            transfer.start()
        self._session.touched(transfer)
        return transfer

    def _index(self, transfer: Transfer) -> None:
        if transfer.ref is not None:
            self._by_ref[transfer.ref] = transfer
        for info_hash in transfer.content.swarm_hashes:
            self._by_info_hash[info_hash] = transfer

    # --- adding ----------------------------------------------------------------------------------

    async def install(
        self, wishes: Sequence[tuple[PackageId, str]], tier: Tier, *, temporary: bool = False
    ) -> tuple[TransferId, ...]:
        """These (version empty: the newest that goes) and, before them, what they need and is not here. The transfers
        of those that were wished for, in order. UserError, NotFound, Conflict.
        """
        plan = await self.plan(wishes)
        found: dict[PackageId, TransferId] = {}
        wished = {package for package, _version in wishes}
        await self._session.sets.begin(step.ref for step in plan.steps if step.ref not in self._session.library)
        for step in plan.steps:
            asked = step.ref.package in wished
            if step.ref in self._session.library:
                await self._session.library.want(step.ref, asked=asked, temporary=temporary)
                if not asked:
                    continue
            assert step.release is not None, "what is not installed was found in a source"
            found[step.ref.package] = await self._install_one(
                step.release, step.source, tier, asked=asked, temporary=temporary
            )
        return tuple(found[package] for package, _version in wishes)

    async def stage(self, package: PackageId, version: str) -> dict[PackageRef, TransferId]:
        """This release and what it needs and is not here: fetched in the background, not installed. What was begun.
        NotFound, Conflict, RegistryError.
        """
        plan = await self.plan(((package, version),))
        return {
            step.ref: await self._install_one(
                step.release, step.source, Tier.BACKGROUND, asked=step.ref.package == package, staged=True
            )
            for step in plan.steps
            if step.release is not None and step.ref not in self._session.library and self.by_ref(step.ref) is None
        }

    async def install_locked(self, lock_file: LockFile, tier: Tier) -> tuple[TransferId, ...]:
        """Exactly what it names and is not here. NotFound, RegistryError, IntegrityError; then nothing is begun."""
        steps = await unlock(lock_file, self._session.catalog, self._session.library.checksums())
        needed = {need for locked in lock_file.packages for need in locked.dependencies}
        await self._session.sets.begin(step.ref for step in steps if step.release is not None)
        return tuple(
            [
                await self._install_one(step.release, step.source, tier, asked=step.ref.package not in needed)
                for step in steps
                if step.release is not None
            ]
        )

    async def plan(self, wishes: Sequence[tuple[PackageId, str]]) -> Plan:
        """What these packages (version empty: the newest that goes) bring along. Changes nothing."""
        planner = Planner(self._session.catalog, self._session.library.installed(), this_platform())
        plan = await planner.plan(wishes)
        await self._session.catalog.agree(
            (step.release, step.source) for step in plan.steps if step.release is not None
        )
        return plan

    async def _install_one(
        self,
        release: Release,
        source: str,
        tier: Tier,
        *,
        asked: bool = True,
        temporary: bool = False,
        staged: bool = False,
    ) -> TransferId:
        here = self.by_ref(release.ref)
        if here is not None:
            if here.record.staged and not staged:
                here = await self._unstage(here)
            if not here.is_complete and tier > here.record.tier:
                self.set_tier((here.id,), tier)
            if here.record.paused:
                self.resume((here.id,))
            if here.phase is Phase.FAILED:
                here.retry()
            here.update(cleared=False, **wanted(here.record, asked=asked, temporary=temporary))
            return here.id
        self._room_for_one_more()
        record = TransferRecord(
            id=self._new_id(),
            metainfo=b"",
            sha256=release.sha256,
            ref=release.ref,
            title=release.title,
            category=release.category,
            preview_sha256=release.preview_sha256,
            size=release.size,
            source=source,
            promised=promise_of(release.dependencies),
            asked=asked,
            temporary=temporary,
            staged=staged,
            tier=tier,
            position=self._last_position(tier),
            added_at=self._session.world.clock.wall(),
        )
        return await self._add(record)

    async def install_bundled(self, path: Path, item: Bundled, *, asked: bool) -> TransferId:
        """From a bundle, which was checked."""
        ref = item.locked.ref
        here = self.by_ref(ref)
        if here is not None and here.is_complete:
            return (await self._unstage(here)).id if here.record.staged else here.id
        if here is not None:
            await self.cancel(here.id, delete=True)  # what came over the network is here in one piece
            asked = asked or here.record.asked
        self._room_for_one_more()
        record = TransferRecord(
            id=self._new_id(),
            metainfo=b"",
            sha256=item.locked.sha256,
            ref=ref,
            title=clean_line(item.manifest.title) or ref.name,
            category=clean_line(item.manifest.category),
            size=item.size,
            source=item.locked.source,
            local=str(path),
            local_offset=item.offset,
            asked=asked,
            position=self._last_position(Tier.USER_REQUESTED),
            added_at=self._session.world.clock.wall(),
        )
        return await self._add(record)

    async def _unstage(self, transfer: Transfer) -> Transfer:
        """It shall be installed after all: what is fetched of it stays fetched."""
        self.drop(transfer)
        await transfer.stop()
        await self.revive(replace(transfer.record, staged=False, finished_at=None, verified=False))
        self._session.publisher.publish()  # before the answer: who waits for it must not see that it was complete
        return self.get(transfer.id)

    async def add_torrent(self, wish: AddTorrent) -> TransferId:
        """FormatError for what is no torrent; Conflict for one that is running."""
        # On a disk thread: the largest torrents that are accepted take seconds to read.
        meta = await self._session.in_disk(lambda: Metainfo.parse(wish.metainfo))
        if meta.info_hash is None:
            raise UserError("This torrent is of version 2 only, which this release cannot transfer.")
        if meta.swarm_hash in self._by_info_hash:
            raise Conflict(f"{meta.name} is on the list already.")
        self._room_for_one_more()
        record = TransferRecord(
            id=self._new_id(),
            metainfo=wish.metainfo,
            folder=str(wish.folder),
            title=meta.name,
            size=meta.total_size,
            tier=wish.tier,
            position=self._last_position(wish.tier),
            paused=wish.paused,
            seed_only=wish.seed_only,
            verified=wish.seed_only and wish.trust_existing,
            use_trackers=wish.use_trackers,
            limit_down=wish.limit_down,
            limit_up=wish.limit_up,
            peers=wish.peers,
            web_seeds=wish.web_seeds,
            extra_trackers=wish.extra_trackers,
            added_at=self._session.world.clock.wall(),
        )
        return await self._add(record)

    async def add_magnet(self, wish: AddMagnet) -> TransferId:
        """FormatError for what is no link; Conflict for a torrent that is running."""
        magnet = Magnet.parse(wish.link)
        if any(info_hash in self._by_info_hash for info_hash in magnet.swarm_hashes):
            raise Conflict(f"{magnet.name or 'This torrent'} is on the list already.")
        self._room_for_one_more()
        record = TransferRecord(
            id=self._new_id(),
            metainfo=b"",
            magnet=magnet.to_uri(),
            folder=str(wish.folder),
            title=magnet.name or str(magnet.info_hash or magnet.info_hash_v2),
            tier=wish.tier,
            position=self._last_position(wish.tier),
            paused=wish.paused,
            use_trackers=wish.use_trackers,
            peers=tuple(dict.fromkeys((*wish.peers, *magnet.peers))),
            web_seeds=wish.web_seeds,
            added_at=self._session.world.clock.wall(),
        )
        return await self._add(record)

    async def _add(self, record: TransferRecord) -> TransferId:
        # On the disk before anybody is told (gui.md B3, "Restart").
        await self._session.in_disk(lambda: self._session.store.transfers.save(record))
        transfer = self._start(record, await self._content(record))
        self.decide()
        self._session.tell(TransferAdded(id=record.id, name=transfer.content.title))
        return record.id

    def _room_for_one_more(self) -> None:
        if len(self._transfers) >= TRANSFERS_MAX:
            raise UserError(f"There are {TRANSFERS_MAX} transfers already. Remove some first.")

    def _new_id(self) -> TransferId:
        return TransferId(self._session.world.rng.randbytes(8).hex())

    def _last_position(self, tier: Tier) -> int:
        return 1 + max((t.record.position for t in self._transfers.values() if t.record.tier is tier), default=-1)

    # --- ordering --------------------------------------------------------------------------------

    def decide(self) -> None:
        """Ask the queue, carry out its verdicts."""
        if self._deciding is not None:
            self._deciding.cancel()
            self._deciding = None
        if self._stopping or not self._session.active:
            return
        self._decided_at = self._session.world.clock.now()
        self._look_at_line(self._decided_at)
        verdicts = decide(self._view())
        network = (("network", self._session.network_name),)
        for transfer in self._transfers.values():
            verdict = verdicts.get(transfer.id, Reason.NONE)
            transfer.set_verdict(verdict, network if verdict is Reason.METERED else ())

    def _look_at_line(self, now: float) -> None:
        """Who may ask for how much beside whom."""
        contenders = [transfer for transfer in self._lively.values() if transfer.is_contender]
        fetching = []
        for transfer in contenders:
            total = transfer.totals(transfer.stats())
            fetching.append(Fetching(transfer.id, transfer.record.tier, total.from_peers + total.from_http))
        self._shares = self._precedence.look(now, fetching, self._session.bandwidth.down.root.rate)
        for transfer in contenders:
            transfer.set_pace(self._shares.of(transfer.record.tier))

    def decide_soon(self) -> None:
        """Once, before the loop waits again, however often it is wished for until then."""
        if self._deciding is None and not self._stopping:
            self._deciding = asyncio.get_running_loop().call_soon(self.decide)

    def _view(self) -> View:
        settings = self._session.settings
        goal = SeedGoal(
            ratio=settings.optional("workshop.p2p.seed_goal_ratio"),
            seconds=settings.optional("workshop.p2p.seed_goal_time"),
            seeds=settings.number("workshop.p2p.seed_goal_seeds") or None,
        )
        return View(
            downloads=tuple(
                Waiting(
                    id=transfer.id,
                    tier=transfer.record.tier,
                    position=transfer.record.position,
                    paused=transfer.record.paused,
                    forced=transfer.forced,
                    idle=transfer.is_idle or transfer.waits_for_another,
                )
                for transfer in self._transfers.values()
                if transfer.is_fetching and not transfer.record.seed_only
            ),
            seeds=tuple(
                transfer.sharing(goal)
                for transfer in self._transfers.values()
                if transfer.is_complete and transfer.share_wanted
            ),
            limits=Limits(
                downloads=settings.number("workshop.p2p.max_active_downloads"),
                seeds=settings.number("workshop.p2p.max_active_seeds"),
                in_all=settings.number("workshop.p2p.max_active"),
            ),
            conditions=self._session.conditions(),
            lobby_lacks=self._shares.hold_background,
        )

    def _chosen(self, transfers: Sequence[TransferId]) -> list[Transfer]:
        return [self.get(item) for item in transfers] if transfers else list(self._transfers.values())

    def pause(self, transfers: Sequence[TransferId]) -> None:
        for transfer in self._chosen(transfers):
            if not transfer.record.paused and (transfers or not transfer.is_complete):
                transfer.forced = False
                transfer.update(paused=True)
                transfer.adjust_soon()

    def resume(self, transfers: Sequence[TransferId]) -> None:
        for transfer in self._chosen(transfers):
            if transfer.record.paused:
                transfer.update(paused=False)
                transfer.adjust_soon()
            if transfers or transfer.reason is not Reason.NONE:
                transfer.retry()

    def start_now(self, transfer_id: TransferId) -> None:
        transfer = self.get(transfer_id)
        transfer.forced = True
        transfer.update(paused=False)
        transfer.retry()
        transfer.adjust_soon()

    def set_tier(self, transfers: Sequence[TransferId], tier: Tier) -> None:
        for transfer in self._chosen(transfers):
            if transfer.record.tier is not tier:
                position = self._last_position(tier)
                transfer.set_tier(tier)
                transfer.update(position=position)
        self.decide()

    def move(self, transfer_id: TransferId, position: int) -> None:
        moved = self.get(transfer_id)
        row = sorted(
            (t for t in self._transfers.values() if t.record.tier is moved.record.tier and t is not moved),
            key=lambda t: (t.record.position, t.id),
        )
        row.insert(max(0, min(position, len(row))), moved)
        for index, transfer in enumerate(row):
            if transfer.record.position != index:
                transfer.update(position=index)
        self.decide()

    def clear_finished(self) -> None:
        for transfer in self._transfers.values():
            if transfer.is_complete and not transfer.record.cleared:
                transfer.update(cleared=True)

    def settings_changed(self) -> None:
        self.decide()
        for transfer in self._transfers.values():
            transfer.adjust_soon()

    def take_connections(self, count: int, tier: Tier) -> None:
        """Those of lower tiers give up to so many up, the lowest first."""
        for transfer in sorted(self._lively.values(), key=lambda transfer: transfer.record.tier):
            if count > 0 and transfer.record.tier < tier and transfer.swarm is not None:
                count -= transfer.swarm.give_up_connections(count, CONNECTIONS_MIN)

    def lobby_changed(self) -> None:
        """We are in another room, or in none."""
        for transfer in self._lively.values():
            if transfer.swarm is not None:
                transfer.swarm.lobby_changed()

    def retry_offline(self) -> None:
        """A source answers again."""
        for transfer in self._transfers.values():
            if transfer.reason is Reason.OFFLINE:
                transfer.retry()

    # --- ending ----------------------------------------------------------------------------------

    async def cancel(self, transfer_id: TransferId, *, delete: bool) -> None:
        """Off the list at once. What is complete keeps its files; what is not keeps its bytes for the undo window."""
        transfer = self.get(transfer_id)
        self.drop(transfer)
        await transfer.stop()
        if transfer.ref is not None:
            await self._session.sets.leave(transfer.ref)
        if delete or transfer.is_complete:
            await self._forget(transfer)
        else:
            self._cancelled[transfer_id] = (transfer, self._session.world.clock.now() + UNDO_SECONDS)

    def drop(self, transfer: Transfer) -> None:
        """Take it out of every table; its files and record stay."""
        self._transfers.pop(transfer.id, None)
        self._session.touched(transfer)
        if transfer.ref is not None and self._by_ref.get(transfer.ref) is transfer:
            del self._by_ref[transfer.ref]
        for info_hash in [key for key, value in self._by_info_hash.items() if value is transfer]:
            del self._by_info_hash[info_hash]
        self._dirty.discard(transfer.id)
        self.decide()

    async def undo_cancel(self, transfer_id: TransferId) -> None:
        entry = self._cancelled.pop(transfer_id, None)
        if entry is None:
            raise NotFound("It is too late to undo this. Install it again; what is here is not fetched twice.")
        await self.revive(entry[0].record)

    async def revive(self, record: TransferRecord) -> None:
        """Start again what was dropped."""
        await self._session.in_disk(lambda: self._session.store.transfers.save(record))
        self._start(record, await self._content(record))
        self.decide()

    async def _forget(self, transfer: Transfer) -> None:
        def forget() -> None:
            if not transfer.is_complete:
                transfer.content.discard()
            self._session.store.transfers.delete(transfer.id)

        try:
            await self._session.in_disk(forget)
        except StorageError as error:
            log.warning("event=discard-failed transfer=%s: %s", transfer.id, error)

    # --- every second ----------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        for transfer in tuple(self._lively.values()):
            transfer.tick(now)
        held = self._shares.hold_background
        self._look_at_line(now)
        if held is not self._shares.hold_background or now - self._decided_at >= DECIDE_SECONDS:
            self.decide()
        for transfer_id, (transfer, until) in tuple(self._cancelled.items()):
            if now >= until:
                del self._cancelled[transfer_id]
                self._session.spawn(self._forget(transfer))
        if now - self._saved_at >= SAVE_SECONDS:
            self._saved_at = now
            self._dirty.update(transfer.id for transfer in self._lively.values() if transfer.counters_moved())
        if self._dirty and not self._saving:
            self._session.spawn(self._save())

    def changed(self, transfer: Transfer) -> None:
        if transfer.id in self._transfers and not self._stopping:
            self._dirty.add(transfer.id)
            self._index(transfer)
            self.decide_soon()

    async def _save(self) -> None:
        """Write the records that changed; what fails is tried again with the next change."""
        self._saving = True
        try:
            while self._dirty:
                transfer = self._transfers.get(self._dirty.pop())
                if transfer is None:
                    continue
                record = transfer.record_now()
                save = functools.partial(self._session.store.transfers.save, record)
                try:
                    await self._session.in_disk(save)
                except StorageError as error:
                    log.warning("event=record-not-saved transfer=%s: %s", record.id, error)
        finally:
            self._saving = False
