"""What a session costs that shares a thousand packages: `python -m tests.bench.scale [--packages N] [--peers N] …`.

Packages are made by the store itself, in a temporary folder (in memory where there is room). The engine runs in a
child process; this one is the tracker and the peers, so that only the engine is measured. Printed, one JSON object:

    start_s         from the child's start until the engine shares every package (its own start of Python included)
    engine_start_s  the same from the moment the engine is told to start
    announced_s     until the tracker has heard of every package; announces_per_s is the most it heard in one second
    rss_mib         resident set once all are shared; idle_cpu: CPU seconds a minute while nothing happens
    peers_*         the same with so many peers connected, each of which is interested and asks for nothing
    queued_*        the same with so many downloads waiting for a source that never comes

Linux only: figures come from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from icworkshop_gui.core.ids import InfoHash, PeerId, TransferId
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import Event
from icworkshop_gui.engine.api.snapshots import EngineView, SnapshotDelta, TransferState
from icworkshop_gui.engine.host import EngineHost
from icworkshop_gui.formats.create import TorrentVersion
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.store.paths import StorePaths
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.transfers import TransferRecord
from icworkshop_gui.wire.peer.handshake import Handshake
from tests.bench.loopback import ROOT, usage
from tests.helpers.builders import content, torrent
from tests.store.samples import sample

INTERVAL = 1800
"""Seconds that the tracker asks for."""
PATIENCE = 120.0


# --- the engine's process ----------------------------------------------------------------------------


def child(folder: Path, packages: int) -> None:
    """Starts an engine, says `shared`, then carries out one command a line until its input ends."""
    began = time.monotonic()
    view = EngineView()
    deltas = Counter[str]()
    changed = threading.Event()

    def hear(fact: SnapshotDelta | Event) -> None:
        if isinstance(fact, SnapshotDelta):
            view.apply(fact)
            deltas.update(deltas=1, rows=len(fact.transfers) + len(fact.library))
            changed.set()

    settings = {"listen_port": "0", "http_below": "0 B", "max_connections": "1000"}
    host = EngineHost(
        data_dir=folder,
        settings={f"workshop.p2p.{key}": value for key, value in settings.items()},
        listen_host="127.0.0.1",
    ).start()
    host.subscribe(hear)
    while sum(t.state is TransferState.SEEDING for t in tuple(view.transfers.values())) < packages:
        changed.wait(1)
        changed.clear()
    print(json.dumps({"engine_start_s": time.monotonic() - began, "port": view.totals.listen_port}), flush=True)
    for line in sys.stdin:
        name, *words = line.split()
        if name == "queue":
            for number in range(int(words[0])):
                meta = torrent(content(300_000, f"queued {number}"), name=f"queued-{number}")
                host.submit(c.AddTorrent(metainfo=meta, folder=folder / "queued")).result()
        answer = {"peers": view.totals.peers, "transfers": len(view.transfers), **deltas}
        deltas.clear()
        print(json.dumps(answer), flush=True)
    host.close()


# --- what surrounds it -------------------------------------------------------------------------------


class Tracker:
    """An HTTP tracker that knows nobody and remembers when it was asked."""

    def __init__(self) -> None:
        self.heard: dict[bytes, int] = {}
        self.seconds = Counter[int]()
        self.stopped = 0
        self.expected = 0
        self.all_heard = asyncio.Event()
        self.busy = self.busiest = 0

    async def start(self) -> str:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1000)
        self._server = server
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/announce"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            query = urlsplit(head.split(b" ", 2)[1].decode()).query
            fields = dict(part.partition("=")[::2] for part in query.split("&"))
            info_hash = unquote_to_bytes(fields["info_hash"])
            self.heard[info_hash] = self.heard.get(info_hash, 0) + 1
            if len(self.heard) >= self.expected:
                self.all_heard.set()
            self.seconds[int(time.monotonic())] += 1
            self.stopped += fields.get("event") == "stopped"
            body = b"d8:intervali%de5:peers0:e" % INTERVAL
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.busy -= 1
            writer.close()


class Crowd:
    """Peers that have nothing, want everything and never ask."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.said = 0

    async def join(self, port: int, hashes: Sequence[bytes], count: int) -> None:
        for number in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            peer_id = PeerId(b"-XX0001-%012d" % number)
            interested = b"\x00\x00\x00\x01\x02"
            writer.write(Handshake(InfoHash(hashes[number % len(hashes)]), peer_id).encode() + interested)
            self.writers.append(writer)
            self.tasks.append(asyncio.create_task(self._listen(reader)))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self.said += len(data)

    def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        for writer in self.writers:
            writer.close()


def build(folder: Path, packages: int, tracker: str) -> list[bytes]:
    """A data folder in which so many packages are installed and shared; their info-hashes."""
    store = Store(StorePaths.below(folder))
    hashes = []
    for number in range(packages):
        files = {"maps/a.bin": content(40_000, number), "maps/b.bin": content(20_000, -number)}
        package = sample(files, f"alice/package-{number:05}@1.0.0", piece_length=16384)
        made = torrent(
            package.data,
            name=package.ref.file_name,
            piece_length=16384,
            version=TorrentVersion.V1,
            trackers=[[tracker]],
        )
        meta = Metainfo.parse(made)
        identity = TransferId(f"t{number:05}")
        store.transfers.save(
            TransferRecord(
                id=identity,
                metainfo=made,
                skeleton=package.skeleton.encode(),
                sha256=package.sha256.hex(),
                ref=package.ref,
                title=f"Package {number}",
                size=len(package.data),
                # An address that nothing answers at.
                source="http://127.0.0.1:9",
                verified=True,
                added_at=1.0,
                finished_at=2.0,
                position=number,
            )
        )
        package = replace(package, torrent=made, metainfo=meta)
        package.fetch(store, identity)
        store.installs.install(package.ref, store.paths.install / package.ref.folder_name)
        hashes.append(bytes(meta.swarm_hash))
    store.close()
    return hashes


class Engine:
    """The child."""

    def __init__(self, folder: Path, packages: int) -> None:
        environment = dict(os.environ)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.scale", "--child", str(folder), "--packages", str(packages)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), PATIENCE)
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    async def ask(self, command: str) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return await self.answer()

    @property
    def rss_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024

    async def cpu(self, seconds: float) -> float:
        """CPU seconds a minute, over so many seconds."""
        before, began = usage(self.process.pid).cpu, time.monotonic()
        await asyncio.sleep(seconds)
        return (usage(self.process.pid).cpu - before) / (time.monotonic() - began) * 60

    async def close(self) -> float:
        """Seconds until it has ended in good order."""
        began = time.monotonic()
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.to_thread(self.process.wait, PATIENCE)
        return time.monotonic() - began


async def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    tracker = Tracker()
    tracker.expected = arguments.packages
    url = await tracker.start()
    found: dict[str, float] = {"packages": arguments.packages}
    hashes = await asyncio.to_thread(build, folder, arguments.packages, url)
    began = time.monotonic()
    engine = Engine(folder, arguments.packages)
    try:
        ready = await engine.answer()
        found["start_s"] = time.monotonic() - began
        found["engine_start_s"] = ready["engine_start_s"]
        found["start_cpu_s"] = usage(engine.process.pid).cpu
        await asyncio.wait_for(tracker.all_heard.wait(), PATIENCE)
        found["announced_s"] = time.monotonic() - began
        found["announces_per_s"] = max(tracker.seconds.values(), default=0)
        found["announces_at_once"] = tracker.busiest
        await asyncio.sleep(arguments.settle)
        await engine.ask("look")
        found["rss_mib"] = engine.rss_mib
        found["idle_cpu"] = await engine.cpu(arguments.seconds)
        told = await engine.ask("look")
        found["deltas_a_minute"] = told.get("deltas", 0) * 60 / arguments.seconds
        found["rows_a_minute"] = told.get("rows", 0) * 60 / arguments.seconds
        if arguments.peers:
            crowd = Crowd()
            await crowd.join(int(ready["port"]), hashes, arguments.peers)
            await asyncio.sleep(arguments.settle)
            found["peers"] = (await engine.ask("look"))["peers"]
            found["peers_rss_mib"] = engine.rss_mib
            found["peers_cpu"] = await engine.cpu(arguments.seconds)
            crowd.leave()
            await asyncio.sleep(arguments.settle)
        if arguments.queued:
            found["queued"] = (await engine.ask(f"queue {arguments.queued}"))["transfers"] - arguments.packages
            await asyncio.sleep(arguments.settle)
            found["queued_rss_mib"] = engine.rss_mib
            found["queued_cpu"] = await engine.cpu(arguments.seconds)
    except BaseException:
        engine.process.kill()
        raise
    else:
        found["stop_s"] = await engine.close()
    found["stopped"] = tracker.stopped
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=1000)
    parser.add_argument("--peers", type=int, default=300)
    parser.add_argument("--queued", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each look at an engine at rest")
    parser.add_argument("--settle", type=float, default=5.0)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child, arguments.packages)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="icw-scale-") as folder:
        found = asyncio.run(measure(arguments, Path(folder)))
    print(json.dumps({key: round(value, 2) for key, value in found.items()}))


if __name__ == "__main__":
    main()
