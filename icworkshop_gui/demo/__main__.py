"""`python -m icworkshop_gui.demo`: a Workshop with sample content and two more players, on this computer only.

Says one JSON object a line: `progress` while it builds, then `ready` with `source` (the Workshop's URL) and
`folder`, or `error`. Ends when its standard input closes, or on SIGTERM or Ctrl+C, and takes everything along.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from icworkshop_gui.core.errors import Conflict, StorageError, WorkshopError
from icworkshop_gui.demo.build import build
from icworkshop_gui.demo.packages import Sample, load_samples
from icworkshop_gui.demo.peer import Peer, write_part
from icworkshop_gui.demo.workshop import Workshop
from icworkshop_gui.engine.lock import EngineLock

PREFIX = "icworkshop-demo-"
PEERS = 2
SWARM_FROM = 20_000_000
"""Bytes of content from which on the other players have a part of a package."""
SHARES, EACH = 5, 3
"""Of five shares of a package each player has three: one in common, so that some pieces are rarer than others."""
YOUNG_SECONDS = 60.0
"""A folder as young as this may not have its lock yet."""


def say(event: str, **fields: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)


class Demo:
    """Everything that runs, below one folder."""

    def __init__(self, folder: Path, samples: Sequence[Sample]) -> None:
        self._folder = folder
        self._samples = samples
        self._workshop = Workshop(folder / "server")
        self._peers = [Peer(folder / f"player-{number + 1}") for number in range(PEERS)]

    async def run(self) -> None:
        """Until cancelled. WorkshopError when it does not come up, or the server ends."""
        try:
            say("progress", step="start", done=0, total=len(self._samples))
            for number in range(PEERS):
                # The parts stay with `--keep`; what the engines knew does not: ports are others the next time.
                shutil.rmtree(self._folder / f"player-{number + 1}", ignore_errors=True)
            await asyncio.gather(self._workshop.start(), *(peer.start() for peer in self._peers))
            await self._fill()
            await asyncio.gather(*(peer.settled() for peer in self._peers))
            say("ready", source=self._workshop.url, folder=str(self._folder), packages=len(self._samples))
            await self._workshop.gone()
            raise WorkshopError("The demo's Workshop server ended.")
        finally:
            await asyncio.gather(*(peer.stop() for peer in self._peers))
            await self._workshop.stop()

    async def _fill(self) -> None:
        """Build and publish in order: a package comes after what it needs. The next is built meanwhile."""
        missing = [sample for sample in self._samples if not await self._workshop.has(sample.ref)]
        ahead: asyncio.Queue[Path] = asyncio.Queue(maxsize=1)

        async def build_all() -> None:
            for sample in missing:
                await ahead.put(await asyncio.to_thread(self._build, sample))

        async def publish_all() -> None:
            for sample in self._samples:
                if sample in missing:
                    package = await ahead.get()
                    await self._workshop.publish(package)
                    await asyncio.to_thread(package.unlink)
                    done = 1 + missing.index(sample)
                    say("progress", step="publish", name=sample.title, done=done, total=len(missing))
                if sample.size >= SWARM_FROM:
                    torrent = await self._workshop.torrent(sample.ref)
                    for number, peer in enumerate(self._peers):
                        await peer.share(torrent, self._part(number, sample).parent)

        async with asyncio.TaskGroup() as group:
            group.create_task(build_all())
            group.create_task(publish_all())

    def _build(self, sample: Sample) -> Path:
        package = self._folder / sample.ref.file_name
        build(sample, package)
        if sample.size >= SWARM_FROM:
            for number in range(PEERS):
                write_part(package, self._part(number, sample), first=number * (SHARES - EACH), count=EACH, of=SHARES)
        return package

    def _part(self, number: int, sample: Sample) -> Path:
        return self._folder / f"parts-{number + 1}" / sample.ref.file_name


def chosen(only: Sequence[str]) -> tuple[Sample, ...]:
    """All samples, or those named and what they need. ValueError for a name that there is not."""
    samples = load_samples()
    if not only:
        return samples
    names = {str(sample.ref.package) for sample in samples}
    if unknown := set(only) - names:
        raise ValueError(f"there is no {min(unknown)}; there are {', '.join(sorted(names))}")
    wanted = set(only)
    for sample in reversed(samples):  # each comes after what it needs
        if str(sample.ref.package) in wanted:
            wanted.update(package for package, _requirement in sample.needs)
    return tuple(sample for sample in samples if str(sample.ref.package) in wanted)


@contextlib.contextmanager
def place(keep: Path | None) -> Iterator[Path]:
    """The demo's folder, locked. Unless kept, it is gone afterwards. Conflict when another demo has it."""
    if keep is None:
        sweep(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    else:
        folder = keep.absolute()
        folder.mkdir(parents=True, exist_ok=True)
    lock = EngineLock.take(folder)
    try:
        yield folder
    finally:
        lock.release()
        if keep is None:
            remove(folder)


def sweep(temporary: Path) -> None:
    """Take away what demos left that were killed: their folders are ours and nobody holds their locks."""
    for folder in temporary.glob(f"{PREFIX}*"):
        try:
            found = folder.lstat()
            mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
            if folder.is_symlink() or not mine or time.time() - found.st_mtime < YOUNG_SECONDS:
                continue
            EngineLock.take(folder).release()
        except (OSError, Conflict, StorageError):
            continue
        remove(folder)


def remove(folder: Path) -> None:
    if os.name == "nt":  # there a read-only file cannot be deleted
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                path.chmod(0o600)
    shutil.rmtree(folder, ignore_errors=True)


async def live(folder: Path, samples: Sequence[Sample]) -> None:
    """Run until somebody wants the end."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, end.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(end.set))

    def watch_input() -> None:
        # The plain descriptor: a buffered reader's lock, held by a daemon thread, would abort the interpreter's end.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(end.set)

    threading.Thread(target=watch_input, name="stdin", daemon=True).start()
    work = asyncio.create_task(Demo(folder, samples).run())
    waiting = asyncio.create_task(end.wait())
    await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    waiting.cancel()
    results = await asyncio.gather(work, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


def reason(error: BaseException) -> str:
    """One sentence; of several failures at once the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or repr(error)


def main(argv: Sequence[str] | None = None) -> int:
    """0 when asked to end, 1 when it could not be."""
    parser = argparse.ArgumentParser(prog="python -m icworkshop_gui.demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything in this folder, and begin with it")
    parser.add_argument("--only", action="append", default=[], metavar="PUBLISHER/NAME", help="these and their needs")
    arguments = parser.parse_args(argv)
    try:
        samples = chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        with place(arguments.keep) as folder:
            asyncio.run(live(folder, samples))
    except (WorkshopError, OSError, BaseExceptionGroup) as error:
        say("error", message=reason(error))
        print(f"demo: {reason(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
