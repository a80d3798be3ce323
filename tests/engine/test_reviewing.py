"""What a plan costs: kinds of changes, bytes that are here already, who needs what; what goes with what is removed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from icworkshop_gui.core.catalog import FileEntry, PackageId, PackageRef
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.core.units import MIB
from icworkshop_gui.engine.api.changes import Caution, Change, ChangeKind, ChangeSet, Why, Worry
from icworkshop_gui.engine.keeping import Holding
from icworkshop_gui.engine.planning import Plan, Step
from icworkshop_gui.engine.reviewing import Here, review, review_removal
from tests.engine.test_planning import release


def file(name: str, size: int) -> FileEntry:
    return FileEntry(path=name, size=size, sha256=hashlib.sha256(name.encode()).hexdigest())


SIZE = 9_600
FILES = {
    "a/map@2.0.0": (file("new", 500), file("shared", 70)),
    "a/tiles@1.0.0": (file("shared", 70), file("here", 9_000)),
}


class Shelves:
    async def files(self, source: str, ref: PackageRef) -> Sequence[FileEntry]:
        assert source == "first"
        return FILES[str(ref)]


def reviewed(
    steps: Sequence[str], *installed: str, license: str = "MIT", free: int = 10_000, size: int = SIZE
) -> ChangeSet:
    async def here(blobs: Iterable[BlobId]) -> set[BlobId]:
        return {blob for blob in blobs if blob.hex() == file("here", 0).sha256}

    async def measure(step: Step) -> int:
        return 120

    parsed = [PackageRef.parse(text) for text in steps]
    made = Plan(
        tuple(
            Step(ref, replace(release(ref.package, ref.version, ()), license=license, size=size), "first")
            for ref in parsed
        ),
        {PackageId("a", "map"): [PackageId("a", "tiles")]},
        {PackageId("a", "map"): "3.0.0"},
    )
    library = {PackageRef.parse(text): Here(text, "MIT") for text in installed}
    return asyncio.run(review(made, Shelves(), library, here, measure, free))


def test_what_is_in_the_store_or_comes_anyway_is_not_fetched_again() -> None:
    changes = reviewed(["a/tiles@1.0.0", "a/map@2.0.0"])

    assert [(change.kind, change.reused) for change in changes.changes] == [
        (ChangeKind.ADD, 9_000),
        (ChangeKind.ADD, 70),
    ]
    assert changes.reused == 9_070
    assert changes.changes[0].needed_by == (PackageId("a", "map"),)
    assert changes.changes[1].newer == "3.0.0"


def test_kinds_of_changes() -> None:
    def kind(*installed: str) -> Change:
        return reviewed(["a/map@2.0.0"], *installed).changes[0]

    assert (kind("a/map@1.0.0", "a/map@1.2.0").kind, kind("a/map@1.0.0", "a/map@1.2.0").before) == (
        ChangeKind.UPDATE,
        "1.2.0",
    )
    assert kind("a/map@2.1.0").kind is ChangeKind.DOWNGRADE
    assert kind("a/map@2.0.0", "a/map@2.1.0").kind is ChangeKind.KEEP


def test_what_is_here_costs_nothing_and_asks_nobody() -> None:
    changes = reviewed(["a/other@1.0.0"], "a/other@1.0.0")

    assert changes.coming == ()
    assert (changes.fetch, changes.size, changes.reused) == (0, 0, 0)


def test_a_version_beside_another_is_measured_inside_its_files() -> None:
    change = reviewed(["a/map@2.0.0"], "a/map@1.0.0").changes[0]

    assert (change.fetch, change.reused, change.disk) == (120, SIZE - 120, SIZE)


def test_a_package_that_is_new_here_is_measured_where_that_may_be_worth_it() -> None:
    def fetch(size: int, *installed: str) -> int:
        return reviewed(["a/map@2.0.0"], *installed, size=size).fetch

    assert fetch(2 * MIB, "a/other@1.0.0") == 120
    assert fetch(MIB - 1, "a/other@1.0.0") == MIB - 1
    assert fetch(2 * MIB) == 2 * MIB  # in an empty store there is nothing to be found


def test_what_a_player_should_know_before_agreeing() -> None:
    assert reviewed(["a/map@2.0.0"]).cautions == ()
    limited = reviewed(["a/map@2.0.0"], license="CC-BY-NC-4.0").cautions
    assert limited == (Caution(worry=Worry.LICENSE_LIMITS, ref=PackageRef("a", "map", "2.0.0"), detail="CC-BY-NC-4.0"),)
    assert not limited[0].stops
    changed = reviewed(["a/map@2.0.0"], "a/map@1.0.0", license="CC-BY-NC-4.0").cautions
    assert [(caution.worry, caution.detail, caution.stops) for caution in changed] == [
        (Worry.LICENSE_CHANGED, "MIT", True)
    ]
    assert [caution.worry for caution in reviewed(["a/map@2.0.0"], free=SIZE - 1).cautions] == [Worry.DISK]


# --- removing: map needs tiles, tiles needs colours; mod needs colours too ------------------------------------------

NEEDS = {"map": ("tiles",), "tiles": ("colours",), "colours": (), "mod": ("colours",)}
ASKED = ("map", "mod")


def ref(name: str) -> PackageRef:
    return PackageRef("a", name, "1.0.0")


def removed(*asked: str, keep: Sequence[str] = (), needs: dict[str, tuple[str, ...]] = NEEDS) -> ChangeSet:
    async def frees(refs: Sequence[PackageRef]) -> Sequence[int]:
        return [100] * len(refs)

    packages = {name: tuple(PackageId("a", other) for other in others) for name, others in needs.items()}
    library = [Holding(ref=ref(name), size=100, asked=name in ASKED, needs=packages[name]) for name in needs]
    facts = {ref(name): Here(name.title(), "MIT", 500, packages[name]) for name in needs}
    return asyncio.run(
        review_removal([ref(name) for name in asked], [ref(name) for name in keep], library, facts, frees)
    )


def told(changes: ChangeSet) -> list[tuple[str, str, str]]:
    return [(change.ref.name, change.kind.value, change.why.value) for change in changes.changes]


def test_what_came_along_goes_with_what_it_came_for() -> None:
    changes = removed("map")

    assert told(changes) == [("map", "remove", "asked"), ("tiles", "remove", "unused")]
    assert (changes.disk, changes.fetch, changes.cautions) == (-200, 0, ())


def test_what_needs_it_goes_first() -> None:
    changes = removed("colours")

    assert [name for name, _kind, _why in told(changes)] == ["map", "mod", "tiles", "colours"]
    assert {change.why for change in changes.changes[:3]} == {Why.NEEDS}
    assert changes.changes[0].needs == (PackageId("a", "tiles"),)


def test_what_is_kept_all_the_same_may_not_work() -> None:
    changes = removed("tiles", keep=["map"])

    assert told(changes) == [("map", "keep", "needs"), ("tiles", "remove", "asked")]
    assert changes.cautions == (Caution(worry=Worry.BREAKS, ref=ref("map")),)
    assert told(removed("map", keep=["tiles"])) == [("map", "remove", "asked"), ("tiles", "keep", "unused")]
    assert removed("map", keep=["tiles"]).cautions == ()


def test_a_circle_and_what_was_missing_before() -> None:
    assert [name for name, _kind, _why in told(removed("map", needs={"map": ("mod",), "mod": ("map",)}))] == [
        "mod",
        "map",
    ]
    assert told(removed("map", needs={"map": (), "mod": ("nowhere",)})) == [("map", "remove", "asked")]
