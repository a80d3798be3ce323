"""What packages take on the disk: `python -m tests.bench.disk [one|shared…] [--scale F] [--folder DIR] [--json FILE]`.

`one`: a package of 300 MiB in 2,003 files, installed and seeding. `shared`: ten packages with an asset pack of 200 MB
in common (in one file, and 2 MB of their own each), installed by one command into an empty store.

`content`: bytes of the packages' files. `plain`: what these files take on the same file system as they lie in a folder
(it hands out whole blocks). `disk`: blocks of everything below the player's data folder, each file once however many
names it has. `wire`: all that loopback carried during the installation. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.update import Asset, Bench, Version, icworkshop, in_a_network_of_its_own, opened, pack
from tests.helpers.engines import workshop

CASES = ("one", "shared")
PACKAGES = 10
PACK, OWN = 200_000_000, 2_000_000
"""Bytes of the common pack, and of what each package has besides."""


def taken(folder: Path) -> int:
    """Bytes of the blocks below `folder`, each inode once."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            stat = os.stat(os.path.join(place, name), follow_symlinks=False)
            found[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(found.values())


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(bench: Bench, case: str, folders: Sequence[tuple[str, Path]]) -> None:
    """Publish these folders, install them all at once, and look."""
    content = sum(size_of(folder) for _, folder in folders)
    plain = sum(taken(folder) for _, folder in folders)
    for ref, folder in folders:
        package = pack(folder, ref, bench.folder / "package.icpkg")
        bench.put(package)
        package.unlink()
    data = bench.folder / "player"
    data.mkdir()
    (data / "settings.toml").write_text("[workshop.p2p]\nmax_upload_speed = 'unlimited'\n")
    cost = icworkshop(data, bench.server, "install", *(ref for ref, _ in folders))
    disk = taken(data)
    print(
        f"{case:8}{len(folders):>4}{content:>15,}{plain:>15,}{disk:>15,}{disk / content:9.4f}{disk / plain:9.4f}"
        f"{cost.bytes:>15,}{cost.seconds:>8.1f} s",
        flush=True,
    )
    parts = {part.name: taken(part) for part in sorted((data / "workshop").iterdir()) if part.is_dir()}
    print("        " + ", ".join(f"{name} {size:,}" for name, size in parts.items() if size), flush=True)
    if bench.options.json:
        row = {"case": case, "content": content, "plain": plain, "disk": disk, "wire": cost.bytes, "parts": parts}
        with open(bench.options.json, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    shutil.rmtree(data)


def run_cases(bench: Bench, cases: Sequence[str]) -> None:
    scale, folder = bench.options.scale, bench.folder
    if "one" in cases:
        measure(bench, "one", [("alice/one@1.0.0", Version(1, scale).write(folder / "one"))])
        shutil.rmtree(folder / "one")
    if "shared" in cases:
        common = Asset("pack", int(PACK * scale)).bytes()
        folders = []
        for number in range(PACKAGES):
            place = folder / f"shared{number}"
            for name, data in (("pack.bin", common), ("own.bin", Asset(f"own{number}", int(OWN * scale)).bytes())):
                with opened(place / name) as file:
                    file.write(data)
            folders.append((f"alice/shared-{number}@1.0.0", place))
        del common
        measure(bench, "shared", folders)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=(*CASES, []), metavar="CASE")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder")
    parser.add_argument("--json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.way = "swarm"
    if not options.inside:
        return in_a_network_of_its_own(arguments, "tests.bench.disk")
    print(
        f"{'case':12}{'content':>15}{'plain':>15}{'disk':>15}{'/content':>9}{'/plain':>9}{'wire':>15}{'time':>10}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="icw-disk-") as name:
        folder = Path(name)
        with workshop(folder / "server") as server:
            run_cases(Bench(folder, server, options), options.cases or CASES)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
