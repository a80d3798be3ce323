"""Bytes, CPU and memory that an update costs, with everything counted; beside zsync where that is installed.

    python -m tests.bench.update [CASE…] [--scale F] [--folder DIR] [--pair DIR] [--way WAY] [--json FILE]

Cases: `pair` 300 MiB, 2,003 files, of which 2 % of the assets change, 1 KiB is inserted near the front of a file of
100 MiB and a folder of 300 files is renamed · `copy` the same content in a package of another name · `same` nothing
is newer · `back` from three versions back · `insert` one byte into a single file of 1 GiB · `zip` the pair's loose
files in a third-party archive, compressed. `--pair DIR` takes `DIR/v1/pkg` and `DIR/v2/pkg` instead of making them;
`--new-bytes` says then how much is new.

Ways: `swarm` from BitTorrent peers alone · `web` ranges over HTTP from the server alone, no peers wanted · `both` of
these in turn · `seed` a swarm without a single peer, which has the server as web seed only.

A real server process, the real command line, in a network namespace of their own. `bytes`: all that loopback carried
during the update, both directions, TCP and IP headers and the server's announces included. `payload`: of the package.
`new`: bytes that are really new, which the generator knows. CPU and peak memory are of the client's process, its start
included. zsync: `bytes` are the control file and what it says it fetched, so without headers. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from icworkshop_gui.core.units import GIB, KIB, MIB
from icworkshop_gui.formats.header import build_header
from icworkshop_gui.formats.icpkg import PackageFile, write_package
from icworkshop_gui.formats.manifest import MANIFEST_PATH
from icworkshop_gui.registry.publish import publish
from tests.helpers.builders import files_of, manifest
from tests.helpers.engines import Workshop, workshop

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("anims", "effects", "fonts", "maps", "materials", "models", "music", "props", "scripts", "shaders", "sounds")
ENDINGS = ("anim", "cfg", "dds", "lua", "mesh", "ogg", "png", "txt", "wav", "xml")
CASES = ("pair", "copy", "same", "back", "insert", "zip")


# --- content ---------------------------------------------------------------------------------------


class Asset(NamedTuple):
    """Bytes that follow from a key."""

    key: str
    size: int

    def bytes(self) -> bytes:
        return random.Random(self.key).randbytes(self.size)


def sizes(rng: random.Random, count: int, total: int) -> list[int]:
    """Log-normal, as in folders of mods, `total` together."""
    weights = [rng.lognormvariate(0, 1.6) for _ in range(count)]
    found = [max(64, int(total * weight / sum(weights))) for weight in weights]
    found[found.index(max(found))] += total - sum(found)
    return found


def changed(rng: random.Random, assets: Sequence[Asset], share: float) -> tuple[list[Asset], int]:
    """New bytes for a share of them, every other one also of a new size; and how many bytes are new."""
    out, new = list(assets), 0
    for turn, index in enumerate(sorted(rng.sample(range(len(out)), max(1, round(share * len(out)))))):
        size = out[index].size
        if turn % 2:
            size = max(64, int(size * rng.uniform(0.85, 1.2)))
        out[index] = Asset(f"{out[index].key}+", size)
        new += size
    return out, new


class Version:
    """One version of the package: archives with an index at their front, one large file, loose files."""

    def __init__(self, seed: int, scale: float) -> None:
        self.rng = rng = random.Random(f"update{seed}")
        self.archives: dict[str, list[Asset]] = {}
        for name, size in (("a", 60), ("b", 40)):
            left = int(size * MIB * scale)
            assets: list[Asset] = []
            while left > 0:
                assets.append(Asset(f"{seed}/{name}/{len(assets)}", min(int(2 ** rng.uniform(12, 21)), left)))
                left -= assets[-1].size
            self.archives[f"big/{name}.pak"] = assets
        self.large = [Asset(f"{seed}/large", int(100 * MIB * scale))]
        self.inserted: list[Asset] = []
        self.loose: dict[str, Asset] = {}
        for folder, count, total in (("set", 300, 15), ("data", 1700, 85)):
            for size in sizes(rng, count, int(total * MIB * scale)):
                path = f"{folder}/{rng.choice(WORDS)}/{rng.choice(WORDS)}_{len(self.loose):05}.{rng.choice(ENDINGS)}"
                self.loose[path] = Asset(f"{seed}/{path}", size)

    def advance(self, turn: int) -> int:
        """The next version; how many bytes of it are new."""
        new = 0
        for path, assets in self.archives.items():
            self.archives[path], count = changed(self.rng, assets, 0.02)
            new += count + 16 * len(assets)  # the offsets in the index
        self.inserted.append(Asset(f"inserted{turn}", KIB))
        new += KIB
        keys = list(self.loose)
        values, count = changed(self.rng, list(self.loose.values()), 0.02)
        folder = re.compile(r"^set(_\d+)?/")
        self.loose = {folder.sub(f"set_{turn}/", key): value for key, value in zip(keys, values, strict=True)}
        return new + count

    def write(self, root: Path) -> Path:
        for path, assets in self.archives.items():
            offset = 16 + 32 * len(assets)
            with opened(root / path) as file:
                file.write(struct.pack("<4sIQ", b"PAK1", len(assets), 0))
                for asset in assets:
                    file.write(random.Random(f"name {asset.key.rstrip('+')}").randbytes(16))
                    file.write(struct.pack("<QQ", offset, asset.size))
                    offset += asset.size
                for asset in assets:
                    file.write(asset.bytes())
        data = self.large[0].bytes()
        with opened(root / "big" / "c.bin") as file:
            file.write(data[: 64 * KIB])
            for asset in self.inserted:
                file.write(asset.bytes())
            file.write(data[64 * KIB :])
        for path, asset in self.loose.items():
            with opened(root / path) as file:
                file.write(asset.bytes())
        return root


def opened(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def paths_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pack(folder: Path, ref: str, target: Path) -> Path:
    """As `icworkshop pack` does."""
    files = [
        PackageFile(path, (folder / path).stat().st_size, functools.partial(open, folder / path, "rb"))
        for path in paths_of(folder)
    ]
    with target.open("wb") as out:
        write_package(out, manifest(ref), files)
    return target


def pack_compressed(folder: Path, ref: str, target: Path) -> Path:
    """As somebody else's program may do: a deflated archive behind our header."""
    contents = {path: (folder / path).read_bytes() for path in paths_of(folder)}
    described = manifest(ref).with_files(files_of(contents))
    with target.open("wb") as out:
        out.write(build_header(described))
    inner = target.with_suffix(".zip")
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {MANIFEST_PATH: described.dump(), **contents}.items():
            # Packers write when a file was changed: those that were not look alike.
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
    with target.open("ab") as out, inner.open("rb") as body:
        shutil.copyfileobj(body, out)
    inner.unlink()
    return target


# --- measuring -------------------------------------------------------------------------------------


MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as report:
    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=report)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process in between: the peak of a child begins with what its parent had when it was made."""


class Cost(NamedTuple):
    """What one update cost."""

    bytes: int
    payload: int
    cpu: float
    rss: int
    seconds: float
    done: list[dict[str, Any]]


def carried() -> int:
    """Bytes that loopback has carried; each is counted once."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.partition(":")[2].split()[0])


def run(*command: str | Path, folder: Path = ROOT) -> tuple[str, float, int, float]:
    """What it printed, its CPU seconds, peak KiB, and wall seconds; run in `folder`. RuntimeError when it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.NamedTemporaryFile("r") as report:
        code = subprocess.call(
            [sys.executable, "-S", "-c", MEASURE, report.name, *map(str, command)],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        seconds = time.monotonic() - began
        out.seek(0)
        text = out.read()
        if code:
            raise RuntimeError(f"{command}: {text[-2000:]}")
        cpu, rss = report.read().split()
    return text, float(cpu), int(rss), seconds


def icworkshop(data: Path, server: Workshop, *command: str) -> Cost:
    """One run of the command line."""
    before = carried()
    text, cpu, rss, seconds = run(
        sys.executable, "-m", "icworkshop_gui.cli", *command, "--json", "--data-dir", data, "--source", server.url
    )
    total = carried() - before
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    done = [line for line in lines if line["event"] == "done"]
    payload = sum(line.get("from_peers", 0) + line.get("from_http", 0) for line in done)
    return Cost(total, payload, cpu, rss, seconds, [*done, *(line for line in lines if line["event"] == "plan")])


def zsync(folder: Path, old: Path, new: Path) -> Cost | None:
    """The same pair of package files with zsync over HTTP; None where it is not installed."""
    if not shutil.which("zsync") or not shutil.which("zsyncmake"):
        return None
    www = folder / "www"
    www.mkdir()
    os.link(new, www / "new")
    run("zsyncmake", "-u", "new", "-o", www / "new.zsync", www / "new")
    handler = functools.partial(RangeHandler, directory=str(www))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/new.zsync"
        before = carried()
        _, cpu, rss, seconds = run("zsync", "-i", old, "-o", folder / "out", url, folder=folder)
        total = carried() - before
        server.shutdown()
    assert (folder / "out").read_bytes() == new.read_bytes()
    return Cost(total, RangeHandler.sent, cpu, rss, seconds, [])


class RangeHandler(SimpleHTTPRequestHandler):
    """Several ranges of a file, as zsync asks for them."""

    protocol_version = "HTTP/1.1"
    sent = 0

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=([\d,\- ]+)", self.headers.get("Range", ""))
        spans = [tuple(map(int, span.split("-"))) for span in asked[1].split(",")] if asked else [(0, size - 1)]
        with path.open("rb") as file:
            parts = []
            for first, last in spans:
                file.seek(first)
                data = file.read(last + 1 - first)
                RangeHandler.sent += len(data)
                head = f"\r\n--B\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n" if len(spans) > 1 else ""
                parts.append(head.encode() + data)
        body = b"".join(parts) + (b"\r\n--B--\r\n" if len(spans) > 1 else b"")
        self.send_response(206 if asked else 200)
        if len(spans) > 1:
            self.send_header("Content-Type", "multipart/byteranges; boundary=B")
        elif asked:
            self.send_header("Content-Range", f"bytes {spans[0][0]}-{spans[0][1]}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# --- cases -----------------------------------------------------------------------------------------


class Bench:
    """One server, packages published on it, and players who update."""

    def __init__(self, folder: Path, server: Workshop, options: argparse.Namespace) -> None:
        self.folder = folder
        self.server = server
        self.options = options
        self.ways = ("swarm", "web") if options.way == "both" else (options.way,)

    def put(self, package: Path) -> None:
        asyncio.run(publish(self.server.url, package, self.server.token))

    def update(self, case: str, ref: str, new: int, *, target: str = "", before: str = "1.0.0", what: str = "") -> None:
        """Install `ref` at version `before`, then update it (or install `target`), in each way."""
        for way in self.ways:
            data = self.folder / "player"
            data.mkdir()
            peers, servers = ("false" if way == "web" else "true"), ("false" if way == "swarm" else "true")
            (data / "settings.toml").write_text(
                f"[workshop.p2p]\nprefer_p2p = {peers}\n[webseed]\nenabled = {servers}\n"
            )
            icworkshop(data, self.server, "install", f"{ref}@{before}")
            command = ("install", target) if target else ("update", ref)
            cost = icworkshop(data, self.server, *command)
            self.tell(case, f"icworkshop {way}", cost, new, what)
            folders = [Path(line["folder"]) for line in cost.done if line.get("folder")]
            for folder in folders:
                run(sys.executable, "-m", "icworkshop_gui.cli", "verify", "--data-dir", data)
                assert paths_of(folder), "nothing is there"
            shutil.rmtree(data)

    def beside(self, case: str, old: Path, new_package: Path, new: int) -> None:
        RangeHandler.sent = 0
        folder = self.folder / "zsync"
        folder.mkdir()
        cost = zsync(folder, old, new_package)
        if cost is not None:
            self.tell(case, "zsync", cost, new, "of the package file")
        shutil.rmtree(folder)

    def tell(self, case: str, who: str, cost: Cost, new: int, what: str) -> None:
        ratio = f"{cost.bytes / new:7.3f}" if new else "      –"
        print(
            f"{case:8}{who:18}{cost.bytes:>13,}{cost.payload:>13,}{new:>12,}{ratio}"
            f"{cost.cpu:>7.2f} s{cost.rss / 1024:>7.0f} MiB{cost.seconds:>7.1f} s  {what}",
            flush=True,
        )
        if self.options.json:
            row = {"case": case, "who": who, **cost._asdict(), "new": new}
            with open(self.options.json, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def pair_folders(bench: Bench) -> tuple[Path, Path, int]:
    """Both versions' folders and what is new."""
    options = bench.options
    if options.pair:
        return Path(options.pair) / "v1" / "pkg", Path(options.pair) / "v2" / "pkg", options.new_bytes
    version = Version(1, options.scale)
    old = version.write(bench.folder / "v1")
    new = version.advance(1)
    return old, version.write(bench.folder / "v2"), new


def compressed(bench: Bench, old: Path, current: Path) -> None:
    """The loose files and texts, deflated by somebody else. New is what the entries that differ take, compressed."""
    folder = bench.folder
    packages: list[Path] = []
    for number, source in enumerate((old, current)):
        loose = folder / f"loose{number}"
        for part in source.iterdir():
            if part.name != "big":
                shutil.copytree(part, loose / part.name, copy_function=os.link)
        (loose / "texts").mkdir()
        rng = random.Random(5)
        for name in range(200):
            words = " ".join(rng.choices(WORDS, k=20_000))
            changed = number and name % 50 == 0
            (loose / "texts" / f"{name:03}.txt").write_text(f"new {words}" if changed else words)
        packages.append(pack_compressed(loose, f"alice/zipped@1.{number}.0", folder / f"zip{number}.icpkg"))
        bench.put(packages[-1])
        shutil.rmtree(loose)
    before, after = ({(item.CRC, item.file_size): item for item in zip_of(package)} for package in packages)
    new = sum(item.compress_size for key, item in after.items() if key not in before)
    bench.update("zip", "alice/zipped", new, what="deflated by somebody else; new: the entries that differ")
    bench.beside("zip", *packages, new)


def zip_of(package: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(package) as archive:
        return archive.infolist()


def run_cases(bench: Bench, cases: Sequence[str]) -> None:
    folder = bench.folder
    if {"pair", "copy", "same", "zip"} & set(cases):
        old, current, new = pair_folders(bench)
        first = pack(old, "alice/pair@1.0.0", folder / "1.icpkg")
        second = pack(current, "alice/pair@1.1.0", folder / "2.icpkg")
        for package in (first, second):
            bench.put(package)
        if "pair" in cases:
            bench.update("pair", "alice/pair", new)
            bench.beside("pair", first, second, new)
        if "copy" in cases:
            bench.put(pack(current, "bob/copy@1.0.0", folder / "copy.icpkg"))
            bench.update("copy", "alice/pair", 0, target="bob/copy", before="1.1.0")
        if "same" in cases:
            bench.update("same", "alice/pair", 0, before="1.1.0", what="up to date")
        if "zip" in cases:
            compressed(bench, old, current)
        for package in folder.glob("*.icpkg"):
            package.unlink()
    if "back" in cases:
        version = Version(2, bench.options.scale)
        total = 0
        for turn in range(4):
            if turn:
                total += version.advance(turn)
            bench.put(pack(version.write(folder / f"back{turn}"), f"alice/back@1.{turn}.0", folder / "back.icpkg"))
            shutil.rmtree(folder / f"back{turn}")
        bench.update("back", "alice/back", total, what="new: of all three steps, some of it changed again")
    if "insert" in cases:
        size = int(GIB * bench.options.scale)
        one = folder / "one"
        for number in range(2):
            with opened(one / "world.bin") as file:
                rng = random.Random("one")
                for at in range(0, size, 4 * MIB):
                    data = rng.randbytes(min(4 * MIB, size - at))
                    file.write(data[:1000] + b"!" + data[1000:] if number and at == 64 * MIB else data)
            bench.put(pack(one, f"alice/one@1.{number}.0", folder / f"one{number}.icpkg"))
        bench.update("insert", "alice/one", 1, what="one byte")
        bench.beside("insert", folder / "one0.icpkg", folder / "one1.icpkg", 1)


def in_a_network_of_its_own(arguments: Sequence[str], module: str = "tests.bench.update") -> int:
    """Run this again where loopback carries nothing else."""
    script = 'ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"'
    return subprocess.call(
        ["unshare", "-rn", "sh", "-c", script, "sh", sys.executable, "-m", module, "--inside", *arguments], cwd=ROOT
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=(*CASES, []), metavar="CASE")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder")
    parser.add_argument("--pair")
    parser.add_argument("--new-bytes", type=int, default=0)
    parser.add_argument("--way", choices=("swarm", "web", "seed", "both"), default="both")
    parser.add_argument("--json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.inside:
        return in_a_network_of_its_own(arguments)
    head = f"{'case':8}{'who':18}{'bytes':>13}{'payload':>13}{'new':>12}{'x new':>7}{'CPU':>9}{'memory':>11}{'time':>9}"
    print(head, flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="icw-update-") as name:
        folder = Path(name)
        with workshop(folder / "server", *(("--seed", "false") if options.way == "seed" else ())) as server:
            run_cases(Bench(folder, server, options), options.cases or CASES)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
