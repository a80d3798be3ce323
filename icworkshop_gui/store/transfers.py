"""What the program must know of a transfer after a restart: small files, each replaced as a whole.

`transfers/<id>/record.json`, its predecessor `record.prev.json`, metainfo and skeleton by content, and the journal.
A record that cannot be read is set aside with its reason: it never stops the program from starting.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.seeding import SeedGoal
from icworkshop_gui.core.units import MIB
from icworkshop_gui.store.durable import disk_errors, remove_tree, replace_file, sync_folder

log = logging.getLogger("icw.store")

RECORD_VERSION = 1
RECORD_MAX = 4 * MIB
"""Bytes of a record file that are read; ours are a few KiB."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStats:
    """Sums over all sessions, bytes of payload."""

    from_peers: int = 0
    from_http: int = 0
    uploaded: int = 0
    wasted: int = 0
    reused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """One transfer as it is after a restart."""

    id: TransferId
    metainfo: bytes
    """A whole .torrent file; empty while only the hash is known."""
    magnet: str = ""
    """The link that it came from."""
    skeleton: bytes = b""
    """Of a package; empty for a plain torrent."""
    sha256: str = ""
    """Hex, of the whole package, as the registry says."""
    folder: str = ""
    """Of a plain torrent's files."""
    ref: PackageRef | None = None
    title: str = ""
    category: str = ""
    preview_sha256: str = ""
    """Hex; of the author's picture."""
    size: int = 0
    """Bytes, as the catalog says; for what is shown before the torrent is known."""
    tier: Tier = Tier.USER_REQUESTED
    position: int = 0
    paused: bool = False
    seed_only: bool = False
    use_trackers: bool = True
    cleared: bool = False
    asked: bool = True
    """The player asked for this package; False: it comes along with one that needs it."""
    temporary: bool = False
    """It comes for a while."""
    staged: bool = False
    """A subscription brought it: it is not installed before the player says so."""
    sharing: bool = True
    """The player shares this package; the global switch has its say too."""
    source: str = ""
    """Address of the source that it comes from."""
    local: str = ""
    """A file on this computer that holds the bytes of the package; empty where there is none."""
    local_offset: int = 0
    """Of the package in that file."""
    promised: tuple[str, ...] | None = None
    """What the source says that the package needs, as `promise_of`; None: nothing was said."""
    manifest_sha256: str = ""
    """What the source says of the manifest inside, hex; empty: nothing."""
    verified: bool = False
    """All of it was verified by SHA-256 and is in the store, or the torrent is complete."""
    limit_down: int | None = None
    limit_up: int | None = None
    added_at: float = 0.0
    finished_at: float | None = None
    peers: tuple[Endpoint, ...] = ()
    web_seeds: tuple[str, ...] = ()
    extra_trackers: tuple[str, ...] = ()
    goal: SeedGoal | None = None
    """Of this transfer alone; None: as the settings say."""
    shared_seconds: float = 0.0
    """How long it was shared."""
    stats: TransferStats = TransferStats()


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something that could not be used at start."""

    path: Path
    """Where it is now."""
    reason: str


class TransferRecords:
    """The records of one store. Thread-safe; methods raise StorageError."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def folder(self, transfer: TransferId) -> Path:
        """Where its files are. ValueError for an id that is no plain name."""
        if not _ID.fullmatch(transfer):
            raise ValueError(f"not a transfer id: {transfer[:80]!r}")
        return self._root / transfer

    def journal_path(self, transfer: TransferId) -> Path:
        return self.folder(transfer) / "journal"

    def make_folder(self, transfer: TransferId) -> None:
        """For a journal that is begun before the first record."""
        with disk_errors():
            self.folder(transfer).mkdir(parents=True, exist_ok=True)

    def save(self, record: TransferRecord) -> None:
        """Durable when it returns. The large parts are written only when they are new."""
        folder = self.folder(record.id)
        with self._lock, disk_errors():
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(self._root)
            for name, data in (("metainfo", record.metainfo), ("skeleton", record.skeleton)):
                path = _part_path(folder, name, hashlib.sha256(data).hexdigest())
                if data and not (path.is_file() and path.stat().st_size == len(data)):
                    replace_file(path, data)
            image = _to_json(record)
            current = folder / "record.json"
            if current.is_file():
                if current.read_bytes() == image:
                    return
                # The predecessor is there for a disk that loses what it had promised to keep.
                os.replace(current, folder / "record.prev.json")
            replace_file(current, image)

    def load(self) -> tuple[list[TransferRecord], list[SetAside]]:
        """Every transfer in order of tier and position, and what had to be set aside. StorageError."""
        records: list[TransferRecord] = []
        aside: list[SetAside] = []
        with self._lock, disk_errors():
            for entry in sorted(os.scandir(self._root), key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                try:
                    if not entry.is_dir(follow_symlinks=False) or not _ID.fullmatch(entry.name):
                        raise ValueError("not a transfer's folder")
                    records.append(_load(Path(entry.path)))
                except (ValueError, KeyError, TypeError, RecursionError, FileNotFoundError) as error:
                    reason = str(error) or type(error).__name__
                    log.warning("event=transfer-set-aside name=%s reason=%s", entry.name, reason)
                    aside.append(SetAside(self._put_aside(Path(entry.path)), reason))
        records.sort(key=lambda record: (-record.tier, record.position, record.added_at, record.id))
        return records, aside

    def ids(self) -> set[str]:
        """The names of all folders that may be transfers."""
        with disk_errors():
            return {entry.name for entry in os.scandir(self._root) if not entry.name.startswith(".")}

    def delete(self, transfer: TransferId) -> None:
        """Forget it, with its journal. Harmless when it is not there."""
        folder = self.folder(transfer)
        with self._lock, disk_errors():
            # Renamed first: half a record is never seen.
            doomed = self._root / f".{transfer}.gone"
            remove_tree(doomed)
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder, doomed)
                sync_folder(self._root)
            remove_tree(doomed)

    def _put_aside(self, path: Path) -> Path:
        shelf = self._root / ".aside"
        shelf.mkdir(exist_ok=True)
        number = 0
        while (target := shelf / f"{path.name}.{number}").exists():
            number += 1
        os.replace(path, target)
        return target


def _load(folder: Path) -> TransferRecord:
    reason: Exception = ValueError("no record")
    for name in ("record.json", "record.prev.json"):
        try:
            with open(folder / name, "rb") as file:
                raw = file.read(RECORD_MAX + 1)
            return _from_json(raw, folder)
        except FileNotFoundError as error:
            if not str(error.filename).endswith(".json"):
                reason = ValueError(f"{Path(error.filename).name} is missing")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            reason = error
    raise reason


def _to_json(record: TransferRecord) -> bytes:
    body: dict[str, Any] = dataclasses.asdict(record)
    body["ref"] = None if record.ref is None else str(record.ref)
    body["tier"] = record.tier.slug
    body["peers"] = [str(peer) for peer in record.peers]
    for name in ("metainfo", "skeleton"):
        data: bytes = body.pop(name)
        body[f"{name}_sha256"] = hashlib.sha256(data).hexdigest() if data else ""
    text = json.dumps(body, sort_keys=True, ensure_ascii=True)
    check = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"version": RECORD_VERSION, "check": check, "record": text}).encode()


def _from_json(raw: bytes, folder: Path) -> TransferRecord:
    """ValueError, KeyError or TypeError for anything that `_to_json` did not write."""
    if len(raw) > RECORD_MAX:
        raise ValueError("a record that is too long")
    outer = json.loads(raw)
    if not isinstance(outer, dict):
        raise ValueError("not a record")
    if outer.get("version") != RECORD_VERSION:
        raise ValueError(f"a record of version {str(outer.get('version'))[:20]}, which is not known here")
    text = outer["record"]
    if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != outer["check"]:
        raise ValueError("a record with a wrong checksum")
    body = json.loads(text)
    if body["id"] != folder.name:
        raise ValueError("a record of another transfer")
    # Fields that a later program of the same version added are not ours to judge.
    names = {field.name for field in dataclasses.fields(TransferRecord)}
    known = {name: value for name, value in body.items() if name in names}
    stats_names = {field.name for field in dataclasses.fields(TransferStats)}
    known.update(
        metainfo=_part(folder, "metainfo", body["metainfo_sha256"]),
        skeleton=_part(folder, "skeleton", body["skeleton_sha256"]),
        ref=None if body["ref"] is None else PackageRef.parse(body["ref"]),
        tier=Tier.from_slug(body["tier"]),
        peers=tuple(Endpoint.parse(peer) for peer in body["peers"]),
        web_seeds=tuple(body["web_seeds"]),
        promised=None if body.get("promised") is None else tuple(body["promised"]),
        extra_trackers=tuple(body["extra_trackers"]),
        goal=None if body.get("goal") is None else SeedGoal(**body["goal"]),
        stats=TransferStats(**{name: value for name, value in body["stats"].items() if name in stats_names}),
    )
    return TransferRecord(**known)


def _part_path(folder: Path, name: str, sha256: str) -> Path:
    """Named by content, so that a record and its parts can never be of different ages."""
    return folder / f"{name}-{sha256[:16]}"


def _part(folder: Path, name: str, sha256: str) -> bytes:
    if not sha256:
        return b""
    data = _part_path(folder, name, sha256).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"its {name} is damaged")
    return data


def with_stats(record: TransferRecord, **stats: int) -> TransferRecord:
    """The record with these sums replaced."""
    return dataclasses.replace(record, stats=dataclasses.replace(record.stats, **stats))
