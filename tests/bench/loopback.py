"""One seeder to one leecher over loopback: ours against libtorrent's default settings, in one run.

    python -m tests.bench.loopback [--size MIB] [--files N] [--reps N] [--folder DIR]

Two contents: one file of `--size` (default 1,024 MiB), and `--files` (2,000) files that make up a quarter of it.
Per pair: wall seconds from the leecher's start to its "done", MB/s over that, CPU seconds (user and system) per
GiB of seeder and leecher, and their peak resident sets. Content lies in memory where there is room.
Linux only: figures come from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from icworkshop_gui.core.units import GIB, MIB
from icworkshop_gui.formats.create import SourceFile, TorrentVersion, create_torrent
from tests.helpers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

LIBTORRENT = """
import json, sys, time, signal
import libtorrent as lt
role, torrent, folder, port, peer = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
s = lt.session({"listen_interfaces": f"127.0.0.1:{port}", "enable_dht": False, "enable_lsd": False,
    "enable_upnp": False, "enable_natpmp": False, "enable_outgoing_utp": False, "enable_incoming_utp": False,
    "alert_mask": lt.alert.category_t.status_notification})
p = lt.add_torrent_params(); p.ti = lt.torrent_info(torrent); p.save_path = folder
if role == "seed": p.flags |= lt.torrent_flags.seed_mode
h = s.add_torrent(p)
print(json.dumps({"event": "ready"}), flush=True)
if role == "leech":
    h.connect_peer(("127.0.0.1", int(peer)))
    while not h.status().is_seeding: time.sleep(0.005)
    print(json.dumps({"event": "done"}), flush=True)
while True: time.sleep(1)
"""


class Usage(NamedTuple):
    cpu: float
    """Seconds, user and system, of the process."""
    peak: int
    """Bytes resident at most."""


def usage(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return Usage((int(fields[11]) + int(fields[12])) / TICK, int(peak.split()[1]) * 1024)


@contextmanager
def side(program: str, role: str, torrent: Path, folder: Path, port: int, peer: int) -> Iterator[subprocess.Popen[str]]:
    if program == "libtorrent":
        command = [sys.executable, "-c", LIBTORRENT, role, str(torrent), str(folder), str(port), str(peer)]
    else:
        ours = [sys.executable, "-m", "icworkshop_gui.cli", "torrent"]
        what = (
            ["seed", str(torrent), str(folder)] if role == "seed" else ["download", str(torrent), "--to", str(folder)]
        )
        more = [] if role == "seed" else ["--keep-seeding", "--peer", f"127.0.0.1:{peer}"]
        command = [*ours, *what, *more, "--port", str(port), "--no-trackers", "--no-dht", "--no-lsd", "--json"]
    environment = {**os.environ, "IC_DATA_DIR": str(folder.parent / f"data-{role}")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's program has its byte code at hand
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def until(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{") and json.loads(line).get("event") == event:
            return
    raise SystemExit(f"a side ended before it said {event!r}")


class Row(NamedTuple):
    wall: float
    rate: float
    seeder: float
    leecher: float
    seeder_peak: float
    leecher_peak: float


def transfer(program: str, torrent: Path, source: Path, work: Path, size: int) -> Row:
    shutil.rmtree(work, ignore_errors=True)
    (work / "to").mkdir(parents=True)
    ports = free_port(), free_port()
    with side(program, "seed", torrent, source, ports[0], 0) as seeder:
        until(seeder, "ready")
        before = usage(seeder.pid).cpu
        start = time.monotonic()
        with side(program, "leech", torrent, work / "to", ports[1], ports[0]) as leecher:
            until(leecher, "done")
            wall = time.monotonic() - start
            seed, leech = usage(seeder.pid), usage(leecher.pid)
    share = GIB / size
    return Row(
        wall, size / wall / 1e6, (seed.cpu - before) * share, leech.cpu * share, seed.peak / MIB, leech.peak / MIB
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="icw-bench-") as name:
        folder = Path(name)
        print("| content | program | wall s | MB/s | seeder CPU s/GiB | leecher CPU s/GiB | seeder MiB | leecher MiB |")
        print("|---|---|---|---|---|---|---|---|")
        for label, files, size in (
            ("1 file", 1, arguments.size * MIB),
            (f"{arguments.files} files", arguments.files, arguments.size * MIB // 4),
        ):
            source = folder / "source"
            torrent = make(source, folder / "content.torrent", files, size)
            rows: dict[str, list[Row]] = {"ours": [], "libtorrent": []}
            for _ in range(arguments.reps):
                for program, results in rows.items():
                    results.append(transfer(program, torrent, source, folder / "work", size))
            for program, results in rows.items():
                middle = [statistics.median(column) for column in zip(*results, strict=True)]
                print(f"| {label} | {program} | " + " | ".join(f"{value:.2f}" for value in middle) + " |", flush=True)
            shutil.rmtree(source)


def make(source: Path, torrent: Path, files: int, size: int) -> Path:
    rng = random.Random(files)
    root = source / "content"
    root.mkdir(parents=True)
    listed = []
    for number in range(files):
        path = root / f"{number % 40:02}" / f"{number:05}.bin"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            left = size // files
            while left:
                left -= file.write(rng.randbytes(min(left, 4 * MIB)))
        listed.append(SourceFile(path.relative_to(root).parts, size // files, lambda path=path: path.open("rb")))  # type: ignore[misc]
    torrent.write_bytes(create_torrent("content", listed, version=TorrentVersion.V1))
    return torrent


if __name__ == "__main__":
    main()
