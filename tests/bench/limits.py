"""Limits held: the bytes that passed in each second against the limit, with libtorrent at the other end.

    python -m tests.bench.limits [--seconds N] [--rates R,R…] [--folder DIR]

Loopback, down and up, at 100 kB/s, 1 MB/s and 50 MB/s. Counted are the bytes that our sockets hand to the program or
take from it, payload and protocol, at the moment they do. With packet headers counted (the default) a stream has to
stay 40 bytes in 1,500 below the limit: that share is added. Printed, in percent of the limit, are the slowest, the
mean and the fastest of all windows of one second, one beginning every 10 ms after the first two seconds.
"""

from __future__ import annotations

import argparse
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.api.settings import format_rate, parse_rate
from icworkshop_gui.engine.net.limiter import SEGMENT
from tests.bench.loopback import LIBTORRENT, ROOT, make, until
from tests.helpers.ports import free_port

WARM = 2.0
"""Seconds after the first byte that are not looked at."""
HEADERS = 1 + 40 / SEGMENT
RECORD = struct.Struct("<dI")

COUNTED = """
import struct, sys, time
from icworkshop_gui.engine.net import tcp, throttled
from icworkshop_gui.cli.__main__ import main
log, direction = open(sys.argv[1], "wb"), sys.argv[2]
def note(count): log.write(struct.pack("<dI", time.monotonic(), count))
if direction == "down":
    received = throttled.ThrottledStream.received
    def counted(self, count):
        note(count)
        received(self, count)
    throttled.ThrottledStream.received = counted
else:
    write = tcp.TcpStream.write
    def counted(self, chunks):
        note(sum(map(len, chunks)))
        write(self, chunks)
    tcp.TcpStream.write = counted
try:
    sys.exit(main(sys.argv[3:]))
finally:
    log.close()
"""


@contextmanager
def running(command: list[str], data: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "IC_DATA_DIR": str(data)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def measure(direction: str, rate: int, torrent: Path, source: Path, work: Path, seconds: float) -> list[float]:
    """Bytes in each window, as a share of the limit."""
    (work / "to").mkdir(parents=True)
    log = work / "log"
    seed_port, leech_port = free_port(), free_port()
    ours = [sys.executable, "-c", COUNTED, str(log), direction, "torrent"]
    more = ["--no-trackers", "--no-dht", "--no-lsd", "--json", f"--limit-{direction}", format_rate(rate)]
    other = [sys.executable, "-c", LIBTORRENT]
    seed = [*other, "seed", str(torrent), str(source), str(seed_port), "0"]
    leech = [*ours, "download", str(torrent), "--to", str(work / "to"), "--port", str(leech_port)]
    leech += ["--peer", f"127.0.0.1:{seed_port}", *more]
    if direction == "up":
        seed = [*ours, "seed", str(torrent), str(source), "--port", str(seed_port), *more]
        leech = [*other, "leech", str(torrent), str(work / "to"), str(leech_port), str(seed_port)]
    with running(seed, work / "data-seed") as seeder:
        until(seeder, "ready")
        with running(leech, work / "data-leech"):
            time.sleep(WARM + seconds + 2)
    raw = log.read_bytes()
    records = list(RECORD.iter_unpack(raw))
    times = [at for at, _count in records]
    sums = [0, *accumulate(count for _at, count in records)]
    first = next(at for (at, _), total in zip(records, sums[1:], strict=True) if total > 1000)
    end = min(times[-1], first + WARM + seconds)
    starts = [first + WARM + 0.01 * number for number in range(int((end - first - WARM - 1) * 100))]
    return [
        (sums[bisect_left(times, start + 1)] - sums[bisect_left(times, start)]) * HEADERS / rate for start in starts
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rates", default="100 kB/s,1 MB/s,50 MB/s")
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    arguments = parser.parse_args()
    rates = [rate for text in arguments.rates.split(",") if (rate := parse_rate(text))]
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="icw-limits-") as name:
        folder = Path(name)
        size = int(max(rates) * (arguments.seconds + WARM + 4)) // MIB + 1
        torrent = make(folder / "source", folder / "content.torrent", 1, size * MIB)
        print("| direction | limit | windows | slowest % | mean % | fastest % |")
        print("|---|---|---|---|---|---|")
        for direction in ("down", "up"):
            for rate in rates:
                work = folder / f"{direction}-{rate}"
                windows = measure(direction, rate, torrent, folder / "source", work, arguments.seconds)
                shares = [100 * share for share in (min(windows), sum(windows) / len(windows), max(windows))]
                row = [direction, format_rate(rate), str(len(windows)), *(f"{share:.1f}" for share in shares)]
                print("| " + " | ".join(row) + " |", flush=True)
                for file in (work / "to").rglob("*.bin"):
                    file.unlink()


if __name__ == "__main__":
    main()
