"""Making a file from a blob without a second copy of its bytes, where the file system can (DESIGN §3)."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_FICLONE = 0x40049409
"""linux/fs.h: _IOW(0x94, 9, int). The same on every architecture Python runs on, but Alpha, MIPS, PowerPC, SPARC."""
_FICLONE_ELSEWHERE = 0x80049409
_COPY_CHUNK = 1 << 20


class How(StrEnum):
    """How an installed file was made; the first that works is taken."""

    REFLINK = "reflink"
    """Shares its blocks until one side is written to; the file is the player's own."""
    LINK = "link"
    """The same file as the blob, and read-only like it."""
    COPY = "copy"


EVERY_WAY = (How.REFLINK, How.LINK, How.COPY)


class WhyCopy(StrEnum):
    """Why a file could not share the bytes of its blob."""

    OTHER_DISK = "other_disk"
    """The game's folder and the store are on different file systems."""
    NO_LINKS = "no_links"
    """The file system has neither reflinks nor hard links: FAT, some network drives."""
    DENIED = "denied"
    """This user may not link there."""
    TOO_MANY = "too_many"
    """The blob has as many links as the file system allows."""
    PACKED = "packed"
    """The package came compressed: its files were unpacked."""


_WHY = {
    errno.EXDEV: WhyCopy.OTHER_DISK,
    errno.EOPNOTSUPP: WhyCopy.NO_LINKS,
    errno.ENOTSUP: WhyCopy.NO_LINKS,
    errno.ENOTTY: WhyCopy.NO_LINKS,
    errno.EINVAL: WhyCopy.NO_LINKS,
    errno.ENOSYS: WhyCopy.NO_LINKS,
    1: WhyCopy.NO_LINKS,  # EPERM, as Linux says of FAT; ERROR_INVALID_FUNCTION, as Windows does
    errno.EACCES: WhyCopy.DENIED,
    errno.EMLINK: WhyCopy.TOO_MANY,
    errno.ETXTBSY: WhyCopy.DENIED,
}
"""Errors that say no to one way of making a file, and nothing against the others."""
_OF_ONE_FILE = (WhyCopy.DENIED, WhyCopy.TOO_MANY)
"""What may be otherwise with the next file."""


class FileMaker:
    """Makes the files of one installation, from one store into one folder. Not thread-safe."""

    def __init__(self, ways: tuple[How, ...] = EVERY_WAY) -> None:
        self._ways = ways
        self.used: set[How] = set()
        self.copied = 0
        """Bytes of the copies."""
        self._why: WhyCopy | None = None

    @property
    def costliest(self) -> How:
        """The costliest way that had to be taken; a package whose every file was unpacked is a copy."""
        return next((way for way in (How.COPY, How.LINK, How.REFLINK) if way in self.used), How.COPY)

    @property
    def why(self) -> WhyCopy | None:
        """Why the first copy had to be made although another way was wanted."""
        return self._why if self.used else WhyCopy.PACKED

    def make(self, blob: str | Path, target: str | Path) -> How:
        """Make `target`, which is not there yet, from `blob` in the first way that works here. OSError."""
        why: WhyCopy | None = None
        for way in self._ways:
            try:
                match way:
                    case How.REFLINK:
                        _reflink(blob, target)
                    case How.LINK:
                        os.link(blob, target, follow_symlinks=False)
                    case How.COPY:
                        _copy(blob, target)
            except (OSError, NotImplementedError) as error:
                why = _why(error, blob)
                if way is self._ways[-1] or why is None:
                    raise
                if why not in _OF_ONE_FILE:
                    self._ways = tuple(other for other in self._ways if other is not way)
            else:
                self.used.add(way)
                if way is How.COPY:
                    self.copied += os.stat(target).st_size
                    self._why = self._why or why
                return way
        raise OSError(errno.EINVAL, "no way to make a file", str(target))


def _why(error: OSError | NotImplementedError, blob: str | Path) -> WhyCopy | None:
    """None for an error that has nothing to do with the way."""
    if not isinstance(error, OSError):
        return WhyCopy.NO_LINKS
    if error.errno == errno.EPERM and sys.platform != "win32" and os.stat(blob).st_uid != os.geteuid():
        return WhyCopy.DENIED  # protected_hardlinks, as Linux guards the files of others
    return _WHY.get(error.errno or 0)


def _reflink(blob: str | Path, target: str | Path) -> None:
    if sys.platform == "linux":
        _ficlone(blob, target)
    elif sys.platform == "darwin":
        clonefile = ctypes.CDLL(None, use_errno=True).clonefile
        if clonefile(os.fsencode(blob), os.fsencode(target), 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(target))
        os.chmod(target, 0o644)
    else:
        raise NotImplementedError


def _ficlone(blob: str | Path, target: str | Path) -> None:
    if sys.platform != "linux":
        raise NotImplementedError
    machine = os.uname().machine
    request = _FICLONE_ELSEWHERE if machine.startswith(("alpha", "mips", "ppc", "sparc")) else _FICLONE
    source = os.open(blob, os.O_RDONLY)
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            fcntl.ioctl(fd, request, source)
        except OSError:
            os.unlink(target)
            raise
        finally:
            os.close(fd)
    finally:
        os.close(source)


def _copy(blob: str | Path, target: str | Path) -> None:
    try:
        with open(blob, "rb") as source, open(target, "xb") as file:
            shutil.copyfileobj(source, file, _COPY_CHUNK)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise
    except OSError:
        Path(target).unlink(missing_ok=True)
        raise
