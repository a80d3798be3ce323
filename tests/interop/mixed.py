"""One swarm of everybody: a slow seed and two players of ours, two libtorrents, aria2 and Transmission.

`python -m tests.interop.mixed` prints who was done when and what each gave to the others.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.mini_tracker import MiniTracker
from tests.helpers.ports import free_port
from tests.helpers.programs import Program, cli
from tests.interop.partners import Aria2, Libtorrent, Partner, Transmission

SIZE = 12_000_000
SEED_RATE = 3_000_000
"""Bytes a second that the seed gives at most: who does not share waits six times as long for all seven."""
PATIENCE = 100.0
OTHERS: tuple[type[Partner], ...] = (Libtorrent, Libtorrent, Aria2, Transmission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How one player did."""

    name: str
    seconds: float
    uploaded: int
    """Bytes of payload, until the last one was done."""
    is_right: bool
    """Its file has the published SHA-256."""


@dataclass(slots=True)
class _Player:
    name: str
    is_done: Callable[[], bool]
    uploaded: Callable[[], int]
    file: Path
    seconds: float | None = None


def run(work: Path) -> tuple[int, list[Finish]]:
    """Bytes that the seed gave, and the players in the order in which they were done. AssertionError when one hangs."""
    source = work / "source" / "mixed.bin"
    source.parent.mkdir(parents=True)
    source.write_bytes(random.Random("mixed").randbytes(SIZE))
    wanted = hashlib.sha256(source.read_bytes()).hexdigest()
    with ExitStack() as stack:
        tracker = stack.enter_context(MiniTracker())
        torrent = work / "mixed.torrent"
        code, _lines, errors = cli("torrent", "create", source, "-o", torrent, "--v1", "--piece-length", "65536",
                                   "--tracker", tracker.url)  # fmt: skip
        assert code == 0, errors
        started = time.monotonic()
        others: list[Partner] = []
        for number, kind in enumerate(OTHERS):
            partner = stack.enter_context(kind(work / f"partner-{number}"))
            (work / f"to-{number}").mkdir()
            partner.leech(torrent, work / f"to-{number}")
            others.append(partner)
        # Transmission takes no peer on loopback from a tracker, so that the others must find it.
        named = [part for partner in others for part in ("--peer", f"127.0.0.1:{partner.port}")]

        def ours(name: str, *arguments: str | Path) -> Program:
            environment = {"IC_DATA_DIR": str(work / name)}
            return stack.enter_context(
                Program(
                    "torrent",
                    *arguments,
                    "--port",
                    str(free_port()),
                    *named,
                    "--no-dht",
                    "--no-lsd",
                    "--json",
                    env=environment,
                )
            )

        seed = ours("seed", "seed", torrent, source.parent, "--limit-up", f"{SEED_RATE} B/s")
        mine = [
            ours(f"ours-{number}", "download", torrent, "--to", work / f"to-ours-{number}", "--keep-seeding")
            for number in range(2)
        ]
        players = [
            _Player(f"{partner.name} {number}", partner.done, partner.uploaded, work / f"to-{number}" / source.name)
            for number, partner in enumerate(others)
        ]
        players += [
            _Player(
                f"ours {number}",
                lambda program=program: _said(program, "done"),  # type: ignore[misc]
                lambda program=program: _given(program),  # type: ignore[misc]
                work / f"to-ours-{number}" / source.name,
            )
            for number, program in enumerate(mine)
        ]
        while any(player.seconds is None for player in players):
            now = time.monotonic() - started
            for player in players:
                if player.seconds is None and player.is_done():
                    player.seconds = now
            late = [player.name for player in players if player.seconds is None]
            assert now < PATIENCE, f"not done after {PATIENCE} s: {', '.join(late)}"
            time.sleep(0.1)
        time.sleep(1.0)  # the last counters of ours are told once more
        for partner in others:
            partner.wait_complete(10)
        finishes = [
            Finish(
                name=player.name,
                seconds=player.seconds or 0.0,
                uploaded=player.uploaded(),
                is_right=hashlib.sha256(player.file.read_bytes()).hexdigest() == wanted,
            )
            for player in players
        ]
        return _given(seed), sorted(finishes, key=lambda finish: finish.seconds)


def _said(program: Program, event: str) -> bool:
    return any(line.get("event") == event for line in program.drain())


def _given(program: Program) -> int:
    return max((int(line.get("uploaded", 0)) for line in program.drain()), default=0)


def main() -> None:
    missing = [reason for reason in (kind.missing() for kind in OTHERS) if reason]
    if missing:
        sys.exit("; ".join(missing))
    with tempfile.TemporaryDirectory(prefix="icworkshop-mixed-") as folder:
        seed, finishes = run(Path(folder))
    print(f"seed gave {seed / SIZE:.2f} copies at {SEED_RATE / 1e6:.0f} MB/s")
    print("| player | done after s | given / size | right |\n|---|---|---|---|")
    for finish in finishes:
        print(f"| {finish.name} | {finish.seconds:.1f} | {finish.uploaded / SIZE:.2f} | {finish.is_right} |")


if __name__ == "__main__":
    main()
