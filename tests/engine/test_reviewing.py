"""What a plan costs: kinds of changes, bytes that are here already, who needs what."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence

from icworkshop_gui.core.catalog import FileEntry, PackageId, PackageRef
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.engine.api.changes import Change, ChangeKind, ChangeSet
from icworkshop_gui.engine.planning import Plan, Step
from icworkshop_gui.engine.reviewing import review
from tests.engine.test_planning import release


def file(name: str, size: int) -> FileEntry:
    return FileEntry(path=name, size=size, sha256=hashlib.sha256(name.encode()).hexdigest())


FILES = {
    "a/map@2.0.0": (file("new", 500), file("shared", 70)),
    "a/tiles@1.0.0": (file("shared", 70), file("here", 9_000)),
}


class Shelves:
    async def files(self, source: str, ref: PackageRef) -> Sequence[FileEntry]:
        assert source == "first"
        return FILES[str(ref)]


def reviewed(steps: Sequence[str], *installed: str) -> ChangeSet:
    async def here(blobs: Iterable[BlobId]) -> set[BlobId]:
        return {blob for blob in blobs if blob.hex() == file("here", 0).sha256}

    parsed = [PackageRef.parse(text) for text in steps]
    made = Plan(
        tuple(Step(ref, release(ref.package, ref.version, ()), "first") for ref in parsed),
        {PackageId("a", "map"): [PackageId("a", "tiles")]},
        {PackageId("a", "map"): "3.0.0"},
    )
    return asyncio.run(review(made, Shelves(), [PackageRef.parse(text) for text in installed], here))


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
