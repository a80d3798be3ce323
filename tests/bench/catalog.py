"""Search latency over 10,000 packages: `python tests/bench/catalog.py [packages]`. Prints one JSON line a case."""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from icworkshop_gui.core.catalog import PackageRef, Release, SearchQuery, Sort
from icworkshop_gui.server.catalog import Asset, Catalog, NewRelease

ADJECTIVES = "polar desert iron crimson silent burning frozen northern lost royal toxic golden hidden broken".split()  # noqa: SIM905 (shorter to read)
NOUNS = "tiles ridge canyon assault convoy harbour island valley fortress outpost storm bridge tundra siege".split()  # noqa: SIM905 (shorter to read)
KINDS = ("maps", "mods", "campaigns", "music", "sprites", "voice-packs", "themes", "scripts", "total-conversions")
TAGS = [f"tag{i}" for i in range(40)] + ["snow", "terrain", "hd", "coop", "2-players", "4-players", "classic"]
LICENSES = ["CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "GPL-3.0-or-later", "MIT"]


def releases(count: int) -> list[NewRelease]:
    rng = random.Random(20)
    # Words as texts use them: few very often, most seldom.
    vocabulary = ADJECTIVES + NOUNS + ["".join(rng.choices("abcdefghijklmnoprstuvw", k=7)) for _ in range(4000)]
    made = []
    for number in range(count):
        words = [
            rng.choice(ADJECTIVES),
            rng.choice(NOUNS),
            f"{rng.choice('abcdefgh')}{rng.choice('aeiou')}{number:05d}",
        ]
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        release = Release(
            ref=PackageRef(f"author-{rng.randrange(800)}", "-".join(words), f"1.{rng.randrange(9)}.0"),
            title=" ".join(words).title(),
            summary=f"A {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} for {rng.choice(ADJECTIVES)} commanders",
            category=rng.choice(KINDS),
            license=rng.choice(LICENSES),
            size=rng.randrange(10_000, 2_000_000_000),
            sha256=digest,
            info_hash=digest[:40],
            published_at=1.7e9 + number,
            tags=tuple(sorted(rng.sample(TAGS, 4))),
            downloads=int(rng.paretovariate(1.1) * 10),
        )
        readme = " ".join(vocabulary[min(int(rng.paretovariate(0.5)), 4000) - 1] for _ in range(120))
        made.append(NewRelease(release=release, readme=readme, mtime_ns=0, assets={Asset.MANIFEST: b"package: {}"}))
    return made


def cases() -> dict[str, Callable[[random.Random], SearchQuery]]:
    def typed(rng: random.Random) -> str:
        word = rng.choice(ADJECTIVES + NOUNS)
        return word[: rng.randint(1, len(word))]

    def misspelt(rng: random.Random) -> str:
        word = rng.choice([w for w in ADJECTIVES + NOUNS if len(w) > 5])
        at = rng.randrange(1, len(word) - 1)
        return word[:at] + rng.choice("qxz") + word[at + 1 :]

    relevance = Sort.RELEVANCE
    return {
        "everything, each order": lambda rng: SearchQuery(sort=rng.choice(list(Sort))),
        "a word as it is typed": lambda rng: SearchQuery(text=typed(rng), sort=relevance),
        "two words": lambda rng: SearchQuery(text=f"{typed(rng)} {typed(rng)}", sort=relevance),
        "a misspelt word": lambda rng: SearchQuery(text=misspelt(rng), sort=relevance),
        "filters": lambda rng: SearchQuery(
            category=rng.choice(KINDS), tags=(rng.choice(TAGS),), sort=rng.choice(list(Sort))
        ),
        "text and filters": lambda rng: SearchQuery(
            text=typed(rng), category=rng.choice(KINDS), licenses=tuple(rng.sample(LICENSES, 2)), sort=relevance
        ),
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder) / "catalog.db", Path(folder))
        began = time.perf_counter()
        with catalog.bulk() as add:
            for new in releases(count):
                add(new)
        print(json.dumps({"case": "import", "packages": count, "seconds": round(time.perf_counter() - began, 2)}))
        for name, make in cases().items():
            rng = random.Random(7)
            took = []
            for round_number in range(220):
                query = make(rng)
                began = time.perf_counter()
                catalog.search(query)
                if round_number >= 20:
                    took.append((time.perf_counter() - began) * 1000)
            took.sort()
            numbers = {"p50_ms": statistics.median(took), "p99_ms": took[int(len(took) * 0.99) - 1], "max_ms": took[-1]}
            print(json.dumps({"case": name} | {key: round(value, 2) for key, value in numbers.items()}))
        catalog.close()


if __name__ == "__main__":
    main()
