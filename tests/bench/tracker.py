"""Announces per CPU second: our tracker beside opentracker and bittorrent-tracker, in one run.

    BENCH_HARNESS=DIR [BENCH_NODE_DIR=DIR] python tests/bench/tracker.py [--servers A,B] [--secs 6]

DIR holds the comparison harness (`tracker.py` with its SERVERS table, `common.py`, `peers.py`), which brings the load
(`many`: 1,000 torrents with 20 peers; `hot`: one with 5,000), the accounting and the other programs; those that are
not installed are left out.
`--serve udp|http|asgi HOST PORT` is our tracker alone, which is what the harness starts; with `asgi` HTTP goes through
uvicorn instead of our own front.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import signal
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from icworkshop_gui import __version__  # noqa: E402
from icworkshop_gui.core.clock import SystemClock  # noqa: E402
from icworkshop_gui.server.tracker.tracker import Tracker  # noqa: E402


async def serve(kind: str, host: str, port: int) -> None:
    """Our tracker as the server composes it, until SIGTERM."""
    tracker = Tracker(SystemClock(), random.SystemRandom())
    if kind == "udp":
        from icworkshop_gui.server.tracker.udp import UdpTrackerServer

        server = UdpTrackerServer(tracker, host, port)
    elif kind == "asgi":
        import uvicorn

        from icworkshop_gui.server.tracker.http import HttpAnswers, TrackerApp

        app = TrackerApp(HttpAnswers(tracker))
        config = uvicorn.Config(app, host=host, port=port, lifespan="off", log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()
        return
    else:
        from icworkshop_gui.server.tracker.front import TrackerFront

        server = TrackerFront(tracker, host, port)
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.aclose()


def harness() -> ModuleType:
    folder = os.environ.get("BENCH_HARNESS")
    if not folder:
        sys.exit("BENCH_HARNESS is not set: it names the folder of the comparison harness")
    sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location("harness_tracker", Path(folder) / "tracker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["harness_tracker"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        kind, host, port = sys.argv[2:5]
        asyncio.run(serve(kind, host, int(port)))
        return
    bench = harness()

    def ours(kind: str, run: str, hashes: list[bytes]) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, str(Path(__file__).resolve()), "--serve", kind, bench.IP, str(bench.PORT)], {}

    def through_uvicorn(kind: str, run: str, hashes: list[bytes]) -> tuple[list[str], dict[str, str]]:
        return ours("asgi", run, hashes)

    others, version = bench.SERVERS, bench.version
    bench.SERVERS = {
        "icworkshop-udp": (ours, "udp"),
        "icworkshop-http": (ours, "http"),
        "icworkshop-uvicorn-http": (through_uvicorn, "http"),
        **others,
    }
    bench.version = lambda name: __version__ if name.startswith("icworkshop") else version(name)
    if not any(argument.startswith("--servers") for argument in sys.argv):
        sys.argv += ["--servers", ",".join(name for name in bench.SERVERS if not name.endswith("-ws"))]
    bench.main()


if __name__ == "__main__":
    main()
