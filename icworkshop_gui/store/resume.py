"""Which pieces are on the disk, remembered through kill -9 and power cuts.

An append-only journal of checksummed records. A record may be cut or garbled at any byte: what stands before it
counts, the rest is dropped. A piece is recorded after its bytes were written; whether they survived a power cut is
known only for pieces before the last checkpoint, so after another boot the later ones are suspect and are read again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.units import KIB
from icworkshop_gui.store.durable import disk_errors, sync_folder, write_file

log = logging.getLogger("icw.store")

_MAGIC = b"ICWJ\x00\x01"
_HEADER = struct.Struct(">6sI")
"""Magic with version, piece count."""
_FRAME = struct.Struct(">BI")
"""Kind, payload length; the payload and a CRC-32 of all of it follow."""
_CRC = struct.Struct(">I")

COMPACT_FLOOR = 64 * KIB
"""Bytes that a journal may always have; beyond, and four times its compact size, it is written anew."""


class _Kind(IntEnum):
    BOOT = 1
    """Payload: boot id. The pieces that follow were written in it; those before the first, nobody knows when."""
    PIECES = 2
    """Payload: u32 indices, verified and written."""
    LOST = 3
    """Payload: u32 indices that are not there after all."""
    MARK = 4
    """Everything before it is being flushed."""
    SAFE = 5
    """Everything before the last mark survives a power cut."""
    SAFE_BITS = 6
    """Payload: bitfield of pieces that survive a power cut (compaction)."""


def boot_id() -> bytes:
    """Names this boot of the machine; empty where that cannot be told, and then nothing is trusted over a restart."""
    if sys.platform != "linux":
        return b""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()[:64]
    except OSError:
        return b""


def nothing_to_flush() -> None:
    """The caller has synced the storage itself, and recorded nothing since."""


class ResumeJournal:
    """Open it once per transfer. Thread-safe; all methods raise StorageError."""

    def __init__(self, path: Path, piece_count: int, boot: bytes) -> None:
        """Use `open`."""
        self._path = path
        self._count = piece_count
        self._boot = boot
        self._lock = threading.Lock()
        self._checkpoints = threading.Lock()
        self._safe = Bitfield(piece_count)
        """Survive a power cut."""
        self._unsafe: set[int] = set()
        """Written in this boot, not flushed yet."""
        self._suspect: set[int] = set()
        """Written in another boot, not flushed then; kept until they are recorded again or forgotten."""
        self._end = 0
        self._fd = -1

    @classmethod
    def open(
        cls, path: Path, piece_count: int, *, boot: bytes | None = None
    ) -> tuple[ResumeJournal, Bitfield, list[int]]:
        """The journal; the pieces to trust; and those to read again (not among the first), ascending.

        A missing, foreign or garbled journal is begun anew: then no piece is trusted.
        """
        journal = cls(path, piece_count, boot_id() if boot is None else boot)
        with disk_errors():
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                raw = b""
        journal._replay(raw)
        journal._compact()
        have = journal._safe.copy()
        for index in journal._unsafe:
            have.add(index)
        return journal, have, sorted(journal._suspect)

    def record(self, indices: Iterable[int]) -> None:
        """These pieces were verified and written. IndexError outside the torrent."""
        with self._lock:
            fresh = [index for index in indices if index not in self._safe and index not in self._unsafe]
            if not fresh:
                return
            if not 0 <= min(fresh) <= max(fresh) < self._count:
                raise IndexError(f"pieces {min(fresh)}..{max(fresh)} of {self._count}")
            self._append(_Kind.PIECES, _packed(fresh))
            self._unsafe.update(fresh)
            self._suspect.difference_update(fresh)
            self._compact_when_long()

    def forget(self, indices: Iterable[int]) -> None:
        """These pieces are not on the disk after all; flushed at once."""
        with self._lock:
            lost = [
                index for index in indices if index in self._safe or index in self._unsafe or index in self._suspect
            ]
            if not lost:
                return
            self._append(_Kind.LOST, _packed(lost))
            for index in lost:
                self._safe.discard(index)
            self._unsafe.difference_update(lost)
            self._suspect.difference_update(lost)
            with disk_errors():
                os.fsync(self._fd)

    def checkpoint(self, flush: Callable[[], None] = nothing_to_flush) -> None:
        """Run `flush` (`Storage.sync`), then note that all pieces recorded before it survive a power cut.

        Pieces may be recorded meanwhile; they wait for the next one.
        """
        with self._checkpoints:
            with self._lock:
                if not self._unsafe:
                    return
                covered = set(self._unsafe)
                self._append(_Kind.MARK, b"")
            flush()
            with self._lock:
                self._append(_Kind.SAFE, b"")
                covered &= self._unsafe
                self._unsafe -= covered
                for index in covered:
                    self._safe.add(index)
                with disk_errors():
                    os.fsync(self._fd)

    def close(self) -> None:
        """Does not checkpoint. Harmless to repeat."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    # reading

    def _replay(self, raw: bytes) -> None:
        session = 0
        boots = [b""]
        unsafe: dict[int, int] = {}
        marked: set[int] = set()
        for kind, payload in self._records(raw):
            match kind:
                case _Kind.BOOT:
                    session += 1
                    boots.append(payload)
                case _Kind.PIECES:
                    unsafe.update((index, session) for index in self._indices(payload))
                case _Kind.LOST:
                    for index in self._indices(payload):
                        unsafe.pop(index, None)
                        marked.discard(index)
                        self._safe.discard(index)
                case _Kind.MARK:
                    # A flush says nothing of what an earlier session believed it had written.
                    marked = {index for index, written in unsafe.items() if written == session}
                case _Kind.SAFE:
                    for index in marked:
                        self._safe.add(index)
                        unsafe.pop(index, None)
                    marked = set()
                case _Kind.SAFE_BITS:
                    with contextlib.suppress(ValueError):
                        self._safe = Bitfield.from_bytes(payload, self._count)
        for index, written in unsafe.items():
            if index not in self._safe:
                trusted = self._boot and boots[written] == self._boot
                (self._unsafe if trusted else self._suspect).add(index)

    def _records(self, raw: bytes) -> Iterable[tuple[_Kind, bytes]]:
        if len(raw) < _HEADER.size or _HEADER.unpack_from(raw) != (_MAGIC, self._count):
            if raw:
                log.warning("event=journal-dropped path=%s", self._path.name)
            return
        at = _HEADER.size
        while at + _FRAME.size + _CRC.size <= len(raw):
            kind, length = _FRAME.unpack_from(raw, at)
            end = at + _FRAME.size + length
            if end + _CRC.size > len(raw) or _CRC.unpack_from(raw, end)[0] != zlib.crc32(raw[at:end]):
                return
            try:
                known = _Kind(kind)
            except ValueError:
                return
            yield known, raw[at + _FRAME.size : end]
            at = end + _CRC.size

    def _indices(self, payload: bytes) -> list[int]:
        whole = len(payload) // 4
        return [index for index in struct.unpack(f">{whole}I", payload[: 4 * whole]) if index < self._count]

    # writing

    def _append(self, kind: _Kind, payload: bytes) -> None:
        with disk_errors():
            if self._fd < 0:
                raise OSError(errno.EBADF, "the journal is closed", str(self._path))
            frame = _framed(kind, payload)
            # Positioned at the end of the last whole record: what a full disk cut short is written over.
            os.lseek(self._fd, self._end, os.SEEK_SET)
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._end += len(frame)

    def _compact_when_long(self) -> None:
        compact = self._count // 8 + 4 * (len(self._unsafe) + len(self._suspect))
        # A running checkpoint would lose its mark; there will be another chance.
        if self._end > max(COMPACT_FLOOR, 4 * compact) and self._checkpoints.acquire(blocking=False):
            try:
                self._compact()
            finally:
                self._checkpoints.release()

    def _compact(self) -> None:
        """Write the journal anew, atomically, and go on in the new file."""
        image = b"".join(
            (
                _HEADER.pack(_MAGIC, self._count),
                _framed(_Kind.SAFE_BITS, self._safe.to_bytes()),
                _framed(_Kind.PIECES, _packed(sorted(self._suspect))),
                _framed(_Kind.BOOT, self._boot),
                _framed(_Kind.PIECES, _packed(sorted(self._unsafe))),
            )
        )
        temporary = self._path.with_name(f".{self._path.name}.new")
        with disk_errors():
            try:
                write_file(temporary, image)
                if self._fd >= 0:
                    # Windows replaces no file that is open.
                    os.close(self._fd)
                    self._fd = -1
                os.replace(temporary, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                self._reopen()
                raise
            sync_folder(self._path.parent)
            self._reopen()
        self._end = len(image)

    def _reopen(self) -> None:
        if self._fd < 0:
            with contextlib.suppress(FileNotFoundError):
                self._fd = os.open(self._path, os.O_RDWR | getattr(os, "O_BINARY", 0))


def _packed(indices: Sequence[int]) -> bytes:
    return struct.pack(f">{len(indices)}I", *indices)


def _framed(kind: _Kind, payload: bytes) -> bytes:
    frame = _FRAME.pack(kind, len(payload)) + payload
    return frame + _CRC.pack(zlib.crc32(frame))
