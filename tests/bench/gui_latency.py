"""What a 16 ms timer on the GUI thread sees while the engine works: `python -m tests.bench.gui_latency …`.

    --source URL --install PUBLISHER/NAME…   install packages from a Workshop server; ends when all are here
    --data DIR                               into this data folder, where older versions may be: then it is an update
    --torrent FILE --peer HOST:PORT          fetch one torrent from a peer into a temporary folder
    --seconds N                              only look for so long (also without any of the above: the idle figure)

The window is real: the engine's thread, the bridge, Downloads on top, repainted as facts arrive (offscreen unless
QT_QPA_PLATFORM says otherwise). Prints one JSON object: interval p50, p99, max in ms, ticks, bytes, MB/s, CPU seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import qasync
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import TransferSnapshot, TransferState
from icworkshop_gui.engine.host import EngineHost
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.garbage import GarbageCollector
from icworkshop_gui.gui.main import SWITCH_INTERVAL
from icworkshop_gui.gui.tokens import Measure
from icworkshop_gui.gui.window import MainWindow

TICK_MS = 16
DONE = (TransferState.SEEDING, TransferState.FINISHED)
SETTLE_SECONDS = 1.0
"""The window's own start is not part of the figure."""


class Heartbeat(QObject):
    """The time between two ticks, in ms."""

    def __init__(self) -> None:
        super().__init__()
        self.intervals: list[float] = []
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.intervals.append((now - self._last) * 1000)
        self._last = now


def at(ordered: list[float], share: float) -> float:
    """The value below which `share` of all lie."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    engine = EngineHost(
        data_dir=arguments.data or folder / "data",
        sources=tuple(arguments.source),
        settings={"workshop.p2p.listen_port": "0"},
        listen_host="127.0.0.1",
        stands_back=True,
    ).start()
    bridge = EngineBridge(engine)
    window = MainWindow(bridge)
    window.resize(*Measure.WINDOW)
    window.show()
    window.go("downloads")
    await asyncio.sleep(SETTLE_SECONDS)
    garbage = GarbageCollector(bridge)
    heartbeat = Heartbeat()
    began, cpu = time.perf_counter(), time.process_time()
    heartbeat.start()
    asked: list[TransferId] = []
    if arguments.torrent is not None:
        metainfo = await asyncio.to_thread(arguments.torrent.read_bytes)
        peers = tuple(Endpoint.parse(text) for text in arguments.peer)
        asked.append(
            await bridge.submit(
                c.AddTorrent(metainfo=metainfo, folder=folder / "files", peers=peers, use_trackers=False)
            )
        )
    asked += [await bridge.submit(c.Install(PackageId.parse(text))) for text in arguments.install]
    found: list[TransferSnapshot | None] = []
    complete = False
    while time.perf_counter() - began < arguments.seconds:
        await asyncio.sleep(0.05)
        found = [bridge.view.transfers.get(transfer) for transfer in asked]
        complete = bool(asked) and all(transfer is not None and transfer.state in DONE for transfer in found)
        if complete:
            break
    heartbeat.stop()
    seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    received = bridge.view.totals.downloaded
    garbage.stop()
    window.hide()
    await bridge.aclose()
    window.shut_down()
    ordered = sorted(heartbeat.intervals)
    return {
        "complete": complete or not asked,
        "fetched": sum(item.from_peers + item.from_http for item in found if item is not None),
        "ticks": len(ordered),
        "p50_ms": round(at(ordered, 0.5), 2),
        "p99_ms": round(at(ordered, 0.99), 2),
        "max_ms": round(ordered[-1], 2),
        "seconds": round(seconds, 2),
        "bytes": received,
        "mb_per_s": round(received / seconds / 1e6, 1),
        "cpu_seconds": round(cpu, 2),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", action="append", default=[], metavar="URL")
    parser.add_argument("--install", nargs="+", default=[], metavar="PUBLISHER/NAME")
    parser.add_argument("--torrent", type=Path, metavar="FILE")
    parser.add_argument("--peer", action="append", default=[], metavar="HOST:PORT")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL)
    app = QApplication([sys.argv[0]])
    app.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(app)
    with loop, tempfile.TemporaryDirectory(prefix="gui-latency-", ignore_cleanup_errors=True) as folder:
        found = loop.run_until_complete(run(arguments, Path(folder)))
    print(json.dumps(found))
    return 0 if found["complete"] else 1


if __name__ == "__main__":
    sys.exit(main())
