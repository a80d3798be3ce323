"""Lock files from what is installed, and back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from icworkshop_gui.core.catalog import PackageDetail, PackageId, PackageRef
from icworkshop_gui.core.errors import IntegrityError, NotFound, UserError
from icworkshop_gui.engine.locking import lock, unlock
from icworkshop_gui.engine.planning import Step
from tests.engine.test_planning import here, release
from tests.helpers.builders import needs

URL = "https://first.example"
SUM = "ab" * 32


def sums(*refs: str) -> dict[PackageRef, str]:
    return {PackageRef.parse(ref): SUM for ref in refs}


class Releases:
    """One server, which has everything with the checksum `SUM`, except what is `gone`."""

    def __init__(self, *gone: str, sha256: str = SUM) -> None:
        self._gone = gone
        self._sha256 = sha256
        self.asked: list[tuple[str, str]] = []

    async def release_at(self, source: str, ref: PackageRef) -> PackageDetail:
        self.asked.append((source, str(ref)))
        if str(ref) in self._gone:
            raise NotFound(str(ref))
        return PackageDetail(release=replace(release(ref.package, ref.version, ()), sha256=self._sha256))


INSTALLED = [
    here("a/map@1.0.0", URL, needs("a/tiles")),
    here("a/tiles@1.0.0", URL),
    here("a/tiles@1.2.0", URL),
    here("a/other@1.0.0", URL),
]
SUMS = sums("a/map@1.0.0", "a/tiles@1.0.0", "a/tiles@1.2.0", "a/other@1.0.0")


def test_everything_in_its_newest_version() -> None:
    found = lock(INSTALLED, SUMS)

    assert [str(package.ref) for package in found.packages] == ["a/map@1.0.0", "a/other@1.0.0", "a/tiles@1.2.0"]
    assert found.packages[0].dependencies == (PackageId("a", "tiles"),)


def test_one_package_and_what_it_needs() -> None:
    found = lock(INSTALLED, SUMS, [PackageId("a", "map")])

    assert [str(package.ref) for package in found.packages] == ["a/map@1.0.0", "a/tiles@1.2.0"]


def test_what_nobody_else_could_get_is_not_locked() -> None:
    with pytest.raises(UserError, match="came from no Workshop server"):
        lock([here("a/mine@1.0.0")], sums("a/mine@1.0.0"))
    with pytest.raises(NotFound, match="a/gone is not installed"):
        lock(INSTALLED, SUMS, [PackageId("a", "gone")])


def unlocked(releases: Releases, installed: dict[PackageRef, str]) -> list[Step]:
    return asyncio.run(unlock(lock(INSTALLED, SUMS, [PackageId("a", "map")]), releases, installed))


def test_what_is_needed_comes_first_and_from_the_named_source() -> None:
    releases = Releases()

    assert [str(step.ref) for step in unlocked(releases, {})] == ["a/tiles@1.2.0", "a/map@1.0.0"]
    assert releases.asked == [(URL, "a/tiles@1.2.0"), (URL, "a/map@1.0.0")]


def test_what_is_here_is_not_asked_for() -> None:
    releases = Releases()

    steps = unlocked(releases, sums("a/tiles@1.2.0"))

    assert [step.release is None for step in steps] == [True, False]
    assert releases.asked == [(URL, "a/map@1.0.0")]


def test_other_content_under_the_same_name() -> None:
    with pytest.raises(IntegrityError, match="Nothing was installed"):
        unlocked(Releases(sha256="cd" * 32), {})
    with pytest.raises(IntegrityError, match="is installed with other content"):
        unlocked(Releases(), {PackageRef.parse("a/map@1.0.0"): "cd" * 32})


def test_what_the_source_no_longer_has() -> None:
    with pytest.raises(NotFound, match=r"does not have a/tiles@1\.2\.0 any more"):
        unlocked(Releases("a/tiles@1.2.0"), {})
