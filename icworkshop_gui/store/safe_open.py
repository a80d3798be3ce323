"""Opening a file below a folder so that no symlink on the way leads elsewhere (engine.md F D-3).

A torrent never makes symlinks, but another program may have put one where a torrent's file goes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.store.durable import remove_read_only

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
# A FIFO in the place of a file would make the open wait for ever.
_NON_BLOCK = getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW | _COMMON
_NO_NAMES = frozenset(("", ".", ".."))
_NOT_IN_NAMES = frozenset("/\\\0:")
_BY_DESCRIPTOR = bool(_NO_FOLLOW) and os.open in os.supports_dir_fd and os.mkdir in os.supports_dir_fd


def open_below(root: Path, path: tuple[str, ...], *, write: bool) -> int:
    """A descriptor of `root/path`. With `write`, folders and file are made where missing.

    The folder `root` itself may be reached through symlinks: it is the user's choice. OSError otherwise:
    ELOOP or ENOTDIR for a symlink on the way, EINVAL for something that is no regular file.
    """
    check_elements(path)
    flags = (os.O_RDWR | os.O_CREAT if write else os.O_RDONLY) | _COMMON | _NON_BLOCK
    fd = _open_by_descriptor(root, path, flags, write) if _BY_DESCRIPTOR else _open_by_path(root, path, flags, write)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(root.joinpath(*path)))
    except BaseException:
        os.close(fd)
        raise
    return fd


def remove_below(root: Path, path: tuple[str, ...]) -> bool:
    """Delete the file `root/path`, and the folders on the way that become empty; False when it is not there.

    Nothing that a symlink on the way leads to is touched. OSError.
    """
    check_elements(path)
    try:
        # A symlink in the place of the file is itself what goes.
        if path[:-1] and os.path.realpath(root.joinpath(*path[:-1])) != os.path.join(
            os.path.realpath(root), *path[:-1]
        ):
            return False
        target = root.joinpath(*path)
        if target.is_dir() and not target.is_symlink():
            return False
        remove_read_only(target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    for depth in range(len(path) - 1, 0, -1):
        try:
            os.rmdir(root.joinpath(*path[:depth]))
        except OSError:
            break
    return True


def check_elements(path: tuple[str, ...]) -> None:
    """FormatError for a path that could leave its folder by its own words."""
    for element in path:
        if element in _NO_NAMES or not _NOT_IN_NAMES.isdisjoint(element):
            raise FormatError("an unsafe path")
    if not path:
        raise FormatError("a file without a name")


def _open_by_descriptor(root: Path, path: tuple[str, ...], flags: int, write: bool) -> int:
    try:
        folder = os.open(root, _FOLDER & ~_NO_FOLLOW)
    except FileNotFoundError:
        if not write:
            raise
        root.mkdir(parents=True, exist_ok=True)
        folder = os.open(root, _FOLDER & ~_NO_FOLLOW)
    try:
        for element in path[:-1]:
            try:
                below = _folder_below(folder, element, write)
            except NotADirectoryError as error:
                raise OSError(errno.ELOOP, "not a folder", str(root.joinpath(*path))) from error
            os.close(folder)
            folder = below
        return os.open(path[-1], flags | _NO_FOLLOW, 0o644, dir_fd=folder)
    finally:
        os.close(folder)


def _folder_below(folder: int, element: str, write: bool) -> int:
    try:
        return os.open(element, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not write:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(element, 0o755, dir_fd=folder)
    return os.open(element, _FOLDER, dir_fd=folder)


def _open_by_path(root: Path, path: tuple[str, ...], flags: int, write: bool) -> int:
    """Where folders cannot be opened: the real path must be the expected one, before and after the open."""
    target = root.joinpath(*path)
    if write:
        root.mkdir(parents=True, exist_ok=True)
    expected = os.path.join(os.path.realpath(root), *path)

    def check() -> None:
        if os.path.normcase(os.path.realpath(target)) != os.path.normcase(expected):
            raise OSError(errno.ELOOP, "a symlink on the way", str(target))

    check()
    if write:
        target.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(target, flags, 0o644)
    try:
        check()
    except BaseException:
        os.close(fd)
        raise
    return fd
