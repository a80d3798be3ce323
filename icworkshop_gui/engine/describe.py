"""A living transfer turned into frozen snapshots. Reads everything, changes nothing."""

from __future__ import annotations

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.engine.api.snapshots import (
    FileSnapshot,
    Reason,
    SourceSnapshot,
    TransferDetail,
    TransferSnapshot,
    TransferState,
)
from icworkshop_gui.engine.swarm.swarm import SwarmStats
from icworkshop_gui.engine.transfer import Phase, Transfer, bytes_of

FILES_MAX = 5_000
"""Rows of the Files tab; more than anybody reads."""
ETA_MAX = 30 * 86400.0
"""Seconds; beyond, the time left is not known in any useful sense."""


def describe_transfer(transfer: Transfer) -> TransferSnapshot:
    """One row of Downloads."""
    record = transfer.record
    stats = transfer.stats() or SwarmStats()
    total = transfer.totals(transfer.stats())
    size = transfer.content.size
    have = transfer.have
    state, reason = _state(transfer)
    if transfer.is_complete and (have is None or not record.seed_only):
        done = size
    elif transfer.whole is not None:
        done = min(size, transfer.whole.done)
    elif state is TransferState.CHECKING:
        done = min(size, transfer.progress)
    else:
        done = 0 if have is None else min(size, bytes_of(transfer.content.metainfo.geometry, have))
    eta = None
    rate_down = stats.rate_down if transfer.whole is None else round(transfer.whole.speed)
    if state is TransferState.DOWNLOADING and rate_down > 0:
        eta = (size - done) / rate_down
        eta = eta if eta <= ETA_MAX else None
    return TransferSnapshot(
        id=transfer.id,
        name=transfer.content.title,
        ref=transfer.ref,
        category=record.category,
        preview_sha256=record.preview_sha256,
        info_hash="" if not transfer.content.swarm_hashes else transfer.content.swarm_hashes[0].hex(),
        state=state,
        reason=reason,
        reason_data=_data(transfer, reason),
        retry_at=transfer.retry_at if reason is transfer.reason else None,
        tier=record.tier,
        position=record.position,
        size=size,
        done=done,
        reused=total.reused,
        from_peers=total.from_peers,
        from_http=total.from_http,
        uploaded=total.uploaded,
        wasted=total.wasted,
        rate_down=rate_down,
        rate_up=stats.rate_up,
        eta=eta,
        peers=stats.peers,
        seeds=stats.seeds,
        known_peers=stats.known,
        http_active=stats.http_active,
        limit_down=record.limit_down,
        limit_up=record.limit_up,
        added_at=record.added_at,
        finished_at=record.finished_at,
        cleared=record.cleared,
        goal=record.goal,
        staged=record.staged,
    )


def _data(transfer: Transfer, reason: Reason) -> tuple[tuple[str, str], ...]:
    if reason is transfer.verdict and reason is not Reason.NONE:
        return transfer.verdict_data
    return transfer.reason_data if reason is transfer.reason else ()


def _state(transfer: Transfer) -> tuple[TransferState, Reason]:
    match transfer.phase:
        case Phase.FAILED:
            return TransferState.ERROR, transfer.reason
        case Phase.COMPLETE:
            if transfer.is_shared:
                return TransferState.SEEDING, Reason.NONE
            # To have switched sharing off is no reason for anything: nothing is held up.
            held = transfer.verdict if transfer.share_wanted else Reason.NONE
            return TransferState.FINISHED, Reason.NONE if held is Reason.SHARING_OFF else held
        case Phase.FINISHING:
            return TransferState.VERIFYING, transfer.reason
    if transfer.is_asking_peers:
        return TransferState.DOWNLOADING, transfer.reason
    if transfer.record.paused:
        return TransferState.PAUSED, Reason.USER
    if transfer.phase in (Phase.LOOKING, Phase.CHECKING):
        return TransferState.CHECKING, transfer.reason
    if transfer.verdict is not Reason.NONE:
        return TransferState.QUEUED, transfer.verdict
    if transfer.phase is Phase.PREPARING and transfer.whole is None:
        return TransferState.QUEUED, transfer.reason
    return TransferState.DOWNLOADING, transfer.reason


def describe_detail(transfer: Transfer) -> TransferDetail | None:
    """What the detail pane shows; None while the torrent is not known."""
    if not transfer.content.is_prepared:
        return None
    geometry = transfer.content.metainfo.geometry
    swarm = transfer.swarm
    have = transfer.have or Bitfield(geometry.piece_count)
    return TransferDetail(
        id=transfer.id,
        piece_count=geometry.piece_count,
        piece_length=geometry.piece_length,
        have=have.to_bytes(),
        in_flight=() if swarm is None else swarm.in_flight(),
        availability=bytes(geometry.piece_count) if swarm is None else swarm.availability(),
        peers=() if swarm is None else swarm.peers(),
        sources=_sources(transfer),
        files=_files(transfer, have),
    )


def _sources(transfer: Transfer) -> tuple[SourceSnapshot, ...]:
    rows: list[SourceSnapshot] = []
    announcer = None if transfer.presence is None else transfer.presence.announcer
    if announcer is not None:
        rows.extend(
            SourceSnapshot(
                kind="tracker",
                url=status.url,
                ok=status.ok,
                message=status.message,
                peers=status.peers,
                next_in=status.next_in,
            )
            for status in announcer.status()
        )
    dht = None if transfer.presence is None else transfer.presence.dht
    if dht is not None and dht.is_on:
        found = dht.status()
        rows.append(
            SourceSnapshot(
                kind="dht",
                url="Other BitTorrent programs",
                ok=bool(found.searches),
                message="" if found.searches else "looking for the way in",
                peers=found.peers,
                next_in=found.next_in,
            )
        )
    swarm = transfer.swarm
    now = 0.0 if swarm is None else swarm.clock.now()
    known = {} if swarm is None else {seed.place: seed for seed in swarm.web_seeds()}
    rows.extend(
        SourceSnapshot(
            kind="http",
            url=place.shown,
            ok=seed is None or not seed.message,
            message="" if seed is None else seed.message,
            downloaded=0 if seed is None else seed.received,
            rate_down=0 if seed is None or not seed.active else int(seed.rate),
            next_in=None if seed is None or seed.blocked_until <= now else seed.blocked_until - now,
        )
        for place in transfer.content.web_seeds
        for seed in [known.get(place)]
    )
    return tuple(rows)


def _files(transfer: Transfer, have: Bitfield) -> tuple[FileSnapshot, ...]:
    """Made anew only when pieces came or went: thousands of files are described four times a second."""
    key = have.to_bytes()
    if transfer.file_rows is None or transfer.file_rows[0] != key:
        transfer.file_rows = key, _file_rows(transfer, have)
    return transfer.file_rows[1]


def _file_rows(transfer: Transfer, have: Bitfield) -> tuple[FileSnapshot, ...]:
    geometry = transfer.content.metainfo.geometry
    rows: list[FileSnapshot] = []
    for path, size, offset in transfer.content.files()[:FILES_MAX]:
        done = 0
        if have.is_full:
            done = size
        else:
            for index in geometry.pieces_of(offset, size):
                if index in have:
                    start = geometry.piece_offset(index)
                    done += min(offset + size, start + geometry.piece_size(index)) - max(offset, start)
        rows.append(FileSnapshot(path=path, size=size, done=done))
    return tuple(rows)
