"""Another player: an engine that has part of some packages and shares it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import AddTorrent
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.snapshots import EngineView, SnapshotDelta, TransferState
from icworkshop_gui.engine.host import EngineHost

UPLOAD = "5 MB/s"
STRIDE = 1024 * 1024
"""Bytes of the shares that pieces are dealt out in."""


def write_part(package: Path, target: Path, *, first: int, count: int, of: int) -> None:
    """Copy every megabyte whose number modulo `of` is one of the `count` from `first` on; the rest stays a hole.
    Written under another name first: what stands at `target` is complete as a part."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".part")
    size = package.stat().st_size
    with package.open("rb") as source, temporary.open("wb") as out:
        out.truncate(size)
        for number, start in enumerate(range(0, size, STRIDE)):
            if (number - first) % of < count:
                source.seek(start)
                out.seek(start)
                out.write(source.read(STRIDE))
    temporary.replace(target)


class Peer:
    """Lives on one asyncio loop; its engine has a thread of its own."""

    def __init__(self, folder: Path) -> None:
        """`folder`: its data, made anew each time."""
        self._folder = folder
        self._host: EngineHost | None = None
        self._view = EngineView()
        self._wanted: set[TransferId] = set()
        self._moved = asyncio.Event()
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        host = EngineHost(
            data_dir=self._folder,
            listen_host="127.0.0.1",
            settings={
                "workshop.p2p.listen_port": "0",
                "workshop.p2p.max_upload_speed": UPLOAD,
                "workshop.p2p.sharing": "true",
                "workshop.p2p.dht": "false",
                "workshop.p2p.lsd": "false",
            },
        )
        self._host = await asyncio.to_thread(host.start)

        def heard(fact: SnapshotDelta | Event) -> None:
            try:
                loop.call_soon_threadsafe(self._hear, fact)
            except RuntimeError:
                pass  # our loop ended first

        self._unsubscribe = host.subscribe(heard)

    def _hear(self, fact: SnapshotDelta | Event) -> None:
        if isinstance(fact, SnapshotDelta):
            self._view.apply(fact)
            self._moved.set()

    async def share(self, torrent: bytes, folder: Path) -> None:
        """Check what of `torrent` is in `folder`, and share it."""
        assert self._host is not None
        wish = AddTorrent(metainfo=torrent, folder=folder, seed_only=True)
        self._wanted.add(await asyncio.wrap_future(self._host.submit(wish)))

    async def settled(self) -> None:
        """Returns when everything is checked and shared."""
        while any(
            (found := self._view.transfers.get(wanted)) is None or found.state is not TransferState.SEEDING
            for wanted in self._wanted
        ):
            self._moved.clear()
            await self._moved.wait()

    async def stop(self) -> None:
        """Safe to call twice."""
        host, self._host = self._host, None
        if host is not None:
            self._unsubscribe()
            await asyncio.to_thread(host.close)
