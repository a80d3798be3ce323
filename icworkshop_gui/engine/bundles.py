"""Bundles out and in: what is installed into one file, and from such a file into the library, without a network."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, IntegrityError, UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import BundledPackage, BundleView
from icworkshop_gui.engine.api.events import BundleProgress
from icworkshop_gui.engine.disk_task import run_job
from icworkshop_gui.engine.locking import lock
from icworkshop_gui.formats.bundle import Bundle, Bundled, Packed, check_bundle, read_bundle, write_bundle
from icworkshop_gui.registry.schema import clean_line
from icworkshop_gui.store.disk import require_space
from icworkshop_gui.store.durable import disk_errors, sync_folder
from icworkshop_gui.store.hashing import Cancel, Cancelled
from icworkshop_gui.store.layout_file import LayoutFile

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session
    from icworkshop_gui.store.packages import Packages

PROGRESS_SECONDS = 0.25
"""Between two words about how far it is."""
LEFT = 64 * 1024
"""Bytes beside the packages: lock file and directory."""


class Bundles:
    """Everything runs on the engine's loop; reading and writing on the disk pool."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._running: dict[Path, asyncio.Task[Bundle]] = {}

    def cancel(self, path: Path) -> None:
        """What goes on with this file stops; what was there before stays."""
        task = self._running.get(path)
        if task is not None:
            task.cancel()

    async def create(self, path: Path, packages: Iterable[PackageId]) -> BundleView:
        """Of these installed packages and what they need; of everything for none. NotFound, UserError, StorageError."""
        library = self._session.library
        chosen = lock(library.installed(), library.checksums(), packages)
        store = self._session.store

        sizes = {ref: store.packages.get(ref).size for ref in (item.ref for item in chosen.packages)}
        packed = [
            Packed(item, sizes[item.ref], partial(_PackageFile.open, store.packages, item.ref))
            for item in chosen.packages
        ]

        def write(cancelled: Cancel) -> Bundle:
            part = path.with_name(f".{path.name}.part")
            with disk_errors():
                if not path.parent.is_dir():
                    raise UserError(f"There is no folder {path.parent}.")
                require_space(path.parent, sum(sizes.values()) + LEFT)
                try:
                    with open(part, "w+b") as out:
                        write_bundle(out, packed, self._meter(path, sum(sizes.values()), cancelled))
                        out.flush()
                        os.fsync(out.fileno())
                        written = read_bundle(out)
                    os.replace(part, path)
                    sync_folder(path.parent)
                except BaseException:
                    with contextlib.suppress(OSError):
                        part.unlink()
                    raise
            return written

        return await self._view(await self._run(path, write))

    async def inspect(self, path: Path, *, verify: bool) -> BundleView:
        """FormatError says what is wrong with it. IntegrityError when it contradicts what is known."""
        return await self._view(await self._read(path, verify=verify))

    async def take_in(self, path: Path) -> tuple[TransferId, ...]:
        """All of it is checked first; then what is not here is installed from the file. FormatError, IntegrityError."""
        bundle = await self._read(path, verify=True)
        here = self._session.library.checksums()
        for item in bundle.packages:
            await self._compare(item, here.get(item.locked.ref, ""))
        needed = {need for item in bundle.packages for need in item.locked.dependencies}
        begun = []
        for item in bundle.packages:
            if item.locked.ref not in here:
                asked = item.locked.ref.package not in needed
                begun.append(await self._session.transfers.install_bundled(path, item, asked=asked))
        return tuple(begun)

    async def _compare(self, item: Bundled, here: str) -> None:
        """IntegrityError when the library or the word of the source says that this is another package."""
        ref, sha256 = item.locked.ref, item.locked.sha256
        if here and here != sha256:
            raise IntegrityError(
                f"{ref} is installed with other content than the bundle has. Remove it first if you trust the bundle "
                "more. Nothing was installed."
            )
        said = await self._session.in_disk(lambda: self._session.catalog.said_of(item.locked.source, ref))
        if said and said != sha256:
            raise IntegrityError(
                f"The bundle has other content for {ref} than {item.locked.source} had. A published version never "
                "changes, so the bundle is not to be trusted. Nothing was installed."
            )

    async def _read(self, path: Path, *, verify: bool) -> Bundle:
        def read(cancelled: Cancel) -> Bundle:
            with disk_errors(), open(path, "rb") as file:
                bundle = read_bundle(file)
                if verify:
                    check_bundle(file, bundle, self._meter(path, bundle.size, cancelled))
                return bundle

        try:
            return await self._run(path, read)
        except FormatError as error:
            raise FormatError(f"{path.name} cannot be used: {error}.") from error

    async def _run(self, path: Path, job: Callable[[Cancel], Bundle]) -> Bundle:
        if path in self._running:
            raise Conflict(f"{path.name} is being worked on already.")
        task = asyncio.get_running_loop().create_task(run_job(self._session.world.disk, job))
        self._running[path] = task
        try:
            return await task
        except asyncio.CancelledError:
            ours = asyncio.current_task()
            if ours is not None and ours.cancelling():
                raise  # the program ends
            raise UserError(f"{path.name} was stopped. What was there before is there still.") from None
        finally:
            del self._running[path]

    def _meter(self, path: Path, total: int, cancelled: Cancel) -> Callable[[int], None]:
        """Called on the disk thread; tells at most four times a second."""
        clock = self._session.world.clock
        told = clock.now()

        def note(done: int) -> None:
            nonlocal told
            if cancelled():
                raise Cancelled
            if clock.now() - told >= PROGRESS_SECONDS:
                told = clock.now()
                event = BundleProgress(path=path, done=done, total=total)
                self._loop.call_soon_threadsafe(self._session.tell, event)

        return note

    async def _view(self, bundle: Bundle) -> BundleView:
        here, catalog = self._session.library.checksums(), self._session.catalog

        def ask() -> dict[PackageRef, str]:
            return {item.locked.ref: catalog.said_of(item.locked.source, item.locked.ref) for item in bundle.packages}

        said = await self._session.in_disk(ask)
        return BundleView(
            packages=tuple(
                BundledPackage(
                    ref=item.locked.ref,
                    title=clean_line(item.manifest.title) or item.locked.ref.name,
                    license=item.manifest.license,
                    size=item.size,
                    sha256=item.locked.sha256,
                    source=item.locked.source,
                    here=here.get(item.locked.ref) == item.locked.sha256,
                    vouched=said[item.locked.ref] == item.locked.sha256,
                )
                for item in bundle.packages
            )
        )


class _PackageFile(LayoutFile):
    """A package of the store as a file that closes what it reads from."""

    @classmethod
    def open(cls, packages: Packages, ref: PackageRef) -> BinaryIO:
        return cast("BinaryIO", cls(packages.seed_storage(ref)))

    def close(self) -> None:
        self._storage.close()
        super().close()
