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

_IMPOSSIBLE = {
    errno.EXDEV,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.ENOTTY,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
    errno.ETXTBSY,
    1,  # ERROR_INVALID_FUNCTION, of a Windows file system without links
}


def make_file(blob: Path, target: Path, ways: tuple[How, ...] = EVERY_WAY) -> How:
    """Make `target`, which is not there yet, from `blob` in the first way that works here. OSError."""
    for way in ways:
        try:
            match way:
                case How.REFLINK:
                    _reflink(blob, target)
                case How.LINK:
                    os.link(blob, target, follow_symlinks=False)
                case How.COPY:
                    _copy(blob, target)
        except (OSError, NotImplementedError) as error:
            if way is ways[-1] or (isinstance(error, OSError) and error.errno not in _IMPOSSIBLE):
                raise
        else:
            return way
    raise OSError(errno.EINVAL, "no way to make a file", str(target))


def _reflink(blob: Path, target: Path) -> None:
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


def _ficlone(blob: Path, target: Path) -> None:
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


def _copy(blob: Path, target: Path) -> None:
    try:
        with open(blob, "rb") as source, open(target, "xb") as file:
            shutil.copyfileobj(source, file, _COPY_CHUNK)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise
    except OSError:
        target.unlink(missing_ok=True)
        raise
