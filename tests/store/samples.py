"""One line to open a store, make a package, and download it without any network."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import BlobId, TransferId
from icworkshop_gui.formats.create import TorrentVersion
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.skeleton import FileSegment, Skeleton
from icworkshop_gui.store.package_record import PackageRecord
from icworkshop_gui.store.paths import StorePaths
from icworkshop_gui.store.staging import PackageDownload
from icworkshop_gui.store.store import Store
from tests.helpers.builders import built, content, foreign_package, torrent

WALL = 1_790_000_000.0
T1 = TransferId("t1")


def open_store(folder: Path, **settings: object) -> Store:
    return Store(StorePaths.below(folder), **settings)  # type: ignore[arg-type]


def blob_id(data: bytes) -> BlobId:
    return BlobId(hashlib.sha256(data).digest())


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A package, and all that a registry would say about it."""

    ref: PackageRef
    data: bytes
    files: Mapping[str, bytes]
    skeleton: Skeleton
    torrent: bytes
    metainfo: Metainfo

    @property
    def sha256(self) -> BlobId:
        return blob_id(self.data)

    def download(self, store: Store, transfer: TransferId = T1, *, skeleton: Skeleton | None = None) -> PackageDownload:
        return PackageDownload(
            store,
            transfer,
            self.ref,
            sha256=self.sha256,
            skeleton=skeleton or self.skeleton,
            metainfo=self.metainfo,
            torrent=self.torrent,
        )

    def piece(self, index: int) -> bytes:
        geometry = self.metainfo.geometry
        return self.data[geometry.piece_offset(index) :][: geometry.piece_size(index)]

    def write(self, download: PackageDownload, pieces: Iterable[int] | None = None) -> None:
        """What a swarm does: write pieces that were verified, as blocks of 16 KiB."""
        geometry = self.metainfo.geometry
        for index in range(geometry.piece_count) if pieces is None else pieces:
            piece = memoryview(self.piece(index))
            assert self.metainfo.piece_matches(index, piece)
            blocks = [piece[at : at + 16384] for at in range(0, len(piece), 16384)]
            download.storage.write(geometry.piece_offset(index), blocks)

    def fetch(self, store: Store, transfer: TransferId = T1) -> PackageRecord:
        """A whole download."""
        download = self.download(store, transfer)
        self.write(download)
        return download.finish()


FILES = {
    "README.md": b"# Tank sounds\n",
    "assets/empty.txt": b"",
    "assets/fire.ogg": content(70_000, "fire"),
    "assets/idle.ogg": content(20_000, "idle"),
    "assets/idle-again.ogg": content(20_000, "idle"),
}


def sample(
    files: Mapping[str, bytes] = FILES,
    ref: str = "alice/tank-sounds@1.2.0",
    *,
    compressed: bool = False,
    piece_length: int = 32768,
) -> Sample:
    """Ours, of stored files; or a stranger's, compressed and so kept whole."""
    parsed = PackageRef.parse(ref)
    if compressed:
        data = foreign_package(files, ref=ref)
        skeleton = Skeleton.of([FileSegment("", blob_id(data), len(data))])
    else:
        data, report = built(files, ref)
        skeleton = report.skeleton
    made = torrent(data, name=parsed.file_name, piece_length=piece_length, version=TorrentVersion.HYBRID)
    return Sample(ref=parsed, data=data, files=files, skeleton=skeleton, torrent=made, metainfo=Metainfo.parse(made))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below, by path with `/`."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def disk_bytes(folder: Path) -> int:
    """What the files below take on the disk, each inode once."""
    inodes = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        if not path.is_dir():
            inodes[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(inodes.values())


def every_crash(scenario: Callable[[], None], *, calls: Iterable[str], limit: int = 400) -> Iterable[int]:
    """Run `scenario` in child processes that die before their n-th call of one of these functions of `os`,
    for n = 1, 2, … until one survives. Yields n after each death; the caller looks at what is left."""
    for number in range(1, limit):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _arm(number, calls)
                scenario()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return
        assert code == _DIED, f"the scenario failed by itself at call {number}"
        yield number
    raise AssertionError("the scenario never ends")


_DIED = 77


def _arm(number: int, calls: Iterable[str]) -> None:
    left = [number]

    def armed(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os._exit(_DIED)
            return call(*args, **kwargs)

        return wrapper

    for name in calls:
        setattr(os, name, armed(getattr(os, name)))
