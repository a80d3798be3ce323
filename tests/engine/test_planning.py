"""From a wish to releases: which source is asked, and what is said when nothing goes together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from icworkshop_gui.core.catalog import Dependency, PackageDetail, PackageId, PackageRef, Release, version_key
from icworkshop_gui.core.errors import Conflict, NotFound, RegistryError
from icworkshop_gui.engine.planning import Installed, Plan, Planner
from tests.helpers.builders import needs

Shelf = Mapping[str, Mapping[str, tuple[Dependency, ...]]]
"""Package -> version -> what it needs."""


def release(package: PackageId, version: str, dependencies: tuple[Dependency, ...]) -> Release:
    ref = PackageRef(package.publisher, package.name, version)
    return Release(
        ref=ref, title=str(package), summary="", category="map", license="MIT", size=1, sha256="00" * 32,
        dependencies=dependencies,
    )  # fmt: skip


class Servers:
    """Workshop servers in the order of their importance; `None` does not answer."""

    def __init__(self, **servers: Shelf | None) -> None:
        self._servers = servers
        self.asked: list[tuple[str, str]] = []

    async def package_at(self, source: str, package: PackageId) -> PackageDetail:
        self.asked.append((source, package.name))
        shelf = self._servers[source]
        if shelf is None:
            raise RegistryError("unreachable", f"{source} does not answer")
        if str(package) not in shelf:
            raise NotFound(str(package))
        versions = [release(package, version, found) for version, found in shelf[str(package)].items()]
        versions.sort(key=lambda item: version_key(item.ref.version), reverse=True)
        return PackageDetail(release=versions[0], versions=tuple(versions))

    async def package(self, package: PackageId, version: str = "") -> tuple[PackageDetail, str]:
        for source in self._servers:
            try:
                return await self.package_at(source, package), source
            except (NotFound, RegistryError):
                continue
        raise NotFound(f"{package} is not in the Workshop.")

    async def package_in_order(self, package: PackageId) -> tuple[PackageDetail, str]:
        for source in self._servers:
            try:
                return await self.package_at(source, package), source
            except NotFound:
                continue
        raise NotFound(f"{package} is not in the Workshop.")


def plan(servers: Servers, *wishes: str, installed: tuple[Installed, ...] = (), platform: str = "linux") -> Plan:
    split = [(PackageId.parse(wish.partition("@")[0]), wish.partition("@")[2]) for wish in wishes]
    return asyncio.run(Planner(servers, installed, platform).plan(split))


def here(ref: str, source: str = "", *dependencies: Dependency) -> Installed:
    return Installed(ref=PackageRef.parse(ref), source=source, dependencies=dependencies)


def steps(made: Plan) -> list[tuple[str, str]]:
    return [(str(step.ref), step.source) for step in made.steps]


MAP: Shelf = {"a/map": {"1.0.0": (needs("a/tiles", "^1"),), "2.0.0": (needs("a/tiles", "^2"),)}}
TILES: Shelf = {"a/tiles": {"1.4.0": (), "2.1.0": ()}}


def test_what_is_needed_comes_along_and_first() -> None:
    servers = Servers(first={**MAP, **TILES})

    assert steps(plan(servers, "a/map")) == [("a/tiles@2.1.0", "first"), ("a/map@2.0.0", "first")]
    assert steps(plan(servers, "a/map@1.0.0")) == [("a/tiles@1.4.0", "first"), ("a/map@1.0.0", "first")]


def test_what_is_installed_is_used_as_long_as_it_fits() -> None:
    servers = Servers(first={**MAP, **TILES, "a/tiles": {"2.1.0": (), "2.2.0": ()}})

    made = plan(servers, "a/map", installed=(here("a/tiles@2.1.0", "first"),))

    assert steps(made) == [("a/tiles@2.1.0", "first"), ("a/map@2.0.0", "first")]


def test_a_wish_takes_the_newest_though_an_older_one_is_installed() -> None:
    made = plan(Servers(first={**MAP, **TILES}), "a/map", installed=(here("a/map@1.0.0", "first"),))

    assert steps(made)[-1] == ("a/map@2.0.0", "first")


def test_what_is_installed_needs_no_server() -> None:
    """Its source is gone, and no other one is asked in its place."""
    servers = Servers(first=MAP, second=TILES, gone=None)

    made = plan(servers, "a/map", installed=(here("a/tiles@2.0.0", "gone"),))

    assert steps(made) == [("a/tiles@2.0.0", ""), ("a/map@2.0.0", "first")]
    assert ("second", "tiles") not in servers.asked


def test_a_better_source_that_does_not_answer_is_not_passed_over() -> None:
    """Who silences it could otherwise slip in another package of the same name."""
    with pytest.raises(RegistryError):
        plan(Servers(silent=None, first={**MAP, **TILES}), "a/map")


def test_the_first_source_that_has_it() -> None:
    servers = Servers(first=MAP, second=TILES, third={"a/tiles": {"2.9.0": ()}})

    assert steps(plan(servers, "a/map")) == [("a/tiles@2.1.0", "second"), ("a/map@2.0.0", "first")]


def test_an_update_comes_from_where_the_package_came_from() -> None:
    servers = Servers(first={"a/pack": {"1.0.0": (needs("a/tiles", "^1"),)}, "a/tiles": {"1.9.0": ()}}, second=TILES)

    made = plan(servers, "a/pack", installed=(here("a/tiles@1.0.0", "second"),))
    assert steps(made)[0] == ("a/tiles@1.0.0", "")

    made = plan(servers, "a/pack", installed=(here("a/tiles@0.1.0", "second"),))
    assert steps(made)[0] == ("a/tiles@1.4.0", "second")


def test_no_versions_go_together() -> None:
    servers = Servers(
        first={
            "a/map": {"1.0.0": (needs("a/tiles", "^1"),)},
            "a/mod": {"3.0.0": (needs("a/tiles", "^2"),)},
            **TILES,
        }
    )

    with pytest.raises(Conflict) as caught:
        plan(servers, "a/map", "a/mod")

    assert str(caught.value) == (
        "Not all of this works together: a/tiles is needed in versions that exclude each other.\n"
        "  – You want a/map, and a/map 1.0.0 needs a/tiles ^1\n"
        "  – You want a/mod, and a/mod 3.0.0 needs a/tiles ^2\n"
        "What would help:\n"
        "  – Leave out a/map: everything else works together.\n"
        "  – Leave out a/mod: everything else works together."
    )


def test_an_older_version_is_taken_and_said() -> None:
    servers = Servers(first={"a/map": {"1.0.0": (), "2.0.0": (needs("a/lost"),)}})

    made = plan(servers, "a/map")

    assert steps(made) == [("a/map@1.0.0", "first")]
    assert made.held_back == {PackageId("a", "map"): "2.0.0"}


def test_a_package_of_which_there_are_only_previews() -> None:
    made = plan(Servers(first={"a/beta": {"0.1.0-beta.1": (), "0.1.0-beta.2": ()}}), "a/beta")

    assert steps(made) == [("a/beta@0.1.0-beta.2", "first")]


def test_a_wish_that_nobody_knows() -> None:
    with pytest.raises(NotFound, match="a/nothing is not in the Workshop"):
        plan(Servers(first=MAP), "a/nothing")
