"""From a wish to the releases that fulfil it: asks the sources what there is, lets the resolver choose.

Which source a package comes from is never a matter of luck. What is installed is asked of the source it came from
and of no other; what a wish drags along is taken from the first source that has it, and a better source that does not
answer ends the plan instead of being passed over: whoever can silence a server must not be able to put a package of
the same name in its place (ic-workshop.md §3.7, "Multi-source").
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from icworkshop_gui.core.catalog import Dependency, Features, PackageDetail, PackageId, PackageRef, Release, version_key
from icworkshop_gui.core.errors import NotFound, RegistryError, VersionConflict
from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.registry.resolver import (
    Candidate,
    CyclicDependencies,
    Resolver,
    Root,
    Solution,
    TooLarge,
    Unsolvable,
)
from icworkshop_gui.registry.why import Explanation, explain


def this_platform() -> str:
    """As manifests name it: windows, macos or linux."""
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")


class Sources(Protocol):
    """The catalog, as far as a plan needs it."""

    async def package(self, package: PackageId, version: str = "") -> tuple[PackageDetail, str]:
        """The page, and the source it comes from; a source that does not answer is passed over."""
        ...

    async def package_in_order(self, package: PackageId) -> tuple[PackageDetail, str]:
        """The same, but RegistryError when a source does not answer before one has it."""
        ...

    async def package_at(self, source: str, package: PackageId) -> PackageDetail:
        """From this source and no other."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One release that is here."""

    ref: PackageRef
    source: str = ""
    """Where it came from; empty when nobody knows any more."""
    dependencies: tuple[Dependency, ...] = ()
    features: Features = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One release that the plan needs."""

    ref: PackageRef
    release: Release | None
    """None: it is installed, and no source was needed to know it."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed before what needs it."""

    steps: tuple[Step, ...]
    needs: Mapping[PackageId, Sequence[PackageId]]
    """Of each package the others that it brought along."""
    held_back: Mapping[PackageId, str]
    """Newer versions that would lie in every range, but do not go with the rest."""


class Planner:
    """One question; remembers what the sources said while it is answered."""

    def __init__(self, sources: Sources, installed: Iterable[Installed], platform: str) -> None:
        self._sources = sources
        self._platform = platform
        self._installed: dict[PackageId, list[Installed]] = {}
        for item in installed:
            self._installed.setdefault(item.ref.package, []).append(item)
        self._wished: dict[PackageId, tuple[PackageDetail, str]] = {}
        self._found: dict[PackageRef, tuple[Release, str]] = {}
        self._candidates: dict[PackageId, tuple[Candidate, ...]] = {}

    async def plan(self, wishes: Sequence[tuple[PackageId, str]]) -> Plan:
        """For `(package, version)`, version empty: the newest that goes. Conflict says in words why nothing does;
        NotFound for a wish that no source knows; RegistryError when a source that must be asked does not answer.
        """
        roots = []
        for package, version in wishes:
            detail, source = await self._sources.package(package, version)
            self._wished[package] = (detail, source)
            roots.append(Root(package, _requirement(detail, version)))
        wished = {root.package for root in roots}
        locked = {
            package: max((item.ref.version for item in items), key=version_key)
            for package, items in self._installed.items()
            if package not in wished
        }
        try:
            solution: Solution = await self._answer(Resolver(roots, locked, platform=self._platform).run())
        except (Unsolvable, CyclicDependencies, TooLarge) as problem:
            why: Explanation = await self._answer(explain(problem, roots, locked, platform=self._platform))
            raise VersionConflict(str(why), headline=why.headline, chains=why.chains, helps=why.helps) from None
        return Plan(
            tuple(self._step(package, candidate) for package, candidate in solution.chosen.items()),
            solution.needs,
            solution.newest,
        )

    async def _answer(self, run: Generator[PackageId, Sequence[Candidate], Any]) -> Any:
        """Drive a run of the resolver."""
        try:
            package = next(run)
            while True:
                package = run.send(await self._look_up(package))
        except StopIteration as stop:
            return stop.value

    async def _look_up(self, package: PackageId) -> tuple[Candidate, ...]:
        known = self._candidates.get(package)
        if known is None:
            known = self._candidates[package] = await self._ask(package)
        return known

    async def _ask(self, package: PackageId) -> tuple[Candidate, ...]:
        here = self._installed.get(package, [])
        found = {
            item.ref.version: Candidate(item.ref.version, item.dependencies, item.features) for item in here
        }  # fmt: skip
        sources = {item.source for item in here if item.source}
        try:
            if package in self._wished:
                detail, source = self._wished[package]
            elif sources:
                source = min(sources)
                detail = await self._sources.package_at(source, package)
            else:
                detail, source = await self._sources.package_in_order(package)
        except NotFound:
            return tuple(found.values())
        except RegistryError:
            if found:
                return tuple(found.values())  # what is here can be used without asking anybody
            raise
        for release in (*detail.versions, detail.release):
            found[release.ref.version] = Candidate(
                release.ref.version, release.dependencies, release.features, release.yanked
            )
            self._found[release.ref] = (release, source)
        return tuple(found.values())

    def _step(self, package: PackageId, candidate: Candidate) -> Step:
        ref = PackageRef(package.publisher, package.name, candidate.version)
        release, source = self._found.get(ref, (None, ""))
        return Step(ref, release, source)


def _requirement(detail: PackageDetail, version: str) -> Requirement:
    """Exactly the version that was asked for; else any, or the pre-release where there is nothing else."""
    if version:
        return Requirement.exactly(version)
    newest = detail.release.ref.version
    anything = Requirement.parse("*")
    return anything if anything.matches(newest) else Requirement.exactly(newest)
