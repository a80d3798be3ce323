"""Why versions do not go together, in the reader's words, and what would help. Pure, like the resolver it asks."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.core.errors import WayOut
from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.registry.resolver import (
    Candidate,
    CyclicDependencies,
    Edge,
    Resolver,
    Root,
    Solution,
    TooLarge,
    Unsolvable,
)

HELPS_MAX = 3
"""Suggestions worth reading."""
CHAINS_MAX = 4
"""Chains shown; the rest of a longer proof repeats them."""
VERSIONS_SHOWN = 3
"""Of one package in one line."""

Ask = Generator[PackageId, Sequence[Candidate], "Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads. The names in it are well formed; ranges are the authors' own text."""

    headline: str
    chains: tuple[str, ...]
    """How each side comes to what it needs, from the wish downwards."""
    helps: tuple[WayOut, ...]

    def __str__(self) -> str:
        lines = [self.headline, *(f"  – {chain}" for chain in self.chains)]
        if self.helps:
            lines += ["What would help:", *(f"  – {way.text}" for way in self.helps)]
        return "\n".join(lines)


def explain(
    problem: Unsolvable | CyclicDependencies | TooLarge,
    roots: Sequence[Root],
    locked: Mapping[PackageId, str],
    *,
    platform: str = "",
) -> Ask:
    """Looks packages up like `Resolver.run`, since it tries what would help."""
    if isinstance(problem, TooLarge):
        return Explanation(
            "This needs more packages than a Workshop has. That looks like a mistake of its author.", (), ()
        )
    if isinstance(problem, CyclicDependencies):
        circle = " needs ".join(map(str, problem.path))
        head = "These packages need each other in a circle, so none can come first."
        return Explanation(head, (circle,), (WayOut("Ask one of their authors to take the circle apart."),))
    headline, chains = _told(problem.edges)
    helps = yield from _helps(problem.edges, roots, locked, platform)
    return Explanation(headline, chains, helps)


def _told(edges: tuple[Edge, ...]) -> tuple[str, tuple[str, ...]]:
    missing = [edge for edge in edges if edge.none_fits]
    shown = missing or _contested(edges)
    chains = tuple(dict.fromkeys(_chain(edge, edges) for edge in shown))[:CHAINS_MAX]
    names = {edge.package for edge in shown}
    if missing:
        edge = missing[0]
        by = "You" if edge.by is None else f"{edge.by}"
        verb = "asked for" if edge.by is None else "needs"
        return f"{by} {verb} {_wanted(edge)}, which the Workshop does not have.", chains
    if len(names) == 1:
        return f"Not all of this works together: {names.pop()} is needed in versions that exclude each other.", chains
    return "Not all of this works together.", chains


def _contested(edges: tuple[Edge, ...]) -> list[Edge]:
    """The needs that meet in one package and cannot both be met; else all."""
    by_target: dict[PackageId, list[Edge]] = {}
    for edge in edges:
        by_target.setdefault(edge.package, []).append(edge)
    several = {package: found for package, found in by_target.items() if len({e.requirement for e in found}) > 1}
    if not several:
        return list(edges)
    # The one furthest from the wish is where the chains meet.
    return max(
        several.values(), key=lambda found: (max(len(_path(edge, edges)) for edge in found), str(found[0].package))
    )


def _path(edge: Edge, edges: tuple[Edge, ...]) -> list[Edge]:
    """The shortest way from the wish to `edge`."""
    paths: list[list[Edge]] = [[edge]]
    seen = {edge.by}
    while paths:
        path = paths.pop(0)
        if path[0].by is None:
            return path
        for other in edges:
            if other.package == path[0].by and other.by not in seen:
                seen.add(other.by)
                paths.append([other, *path])
    return [edge]


def _chain(edge: Edge, edges: tuple[Edge, ...]) -> str:
    parts = []
    for step in _path(edge, edges):
        if step.by is None:
            parts.append(f"you want {_wanted(step)}")
        else:
            parts.append(f"{step.by}{_versions(step.versions)} needs {_wanted(step)}")
    text = ", and ".join(parts) if len(parts) == 2 else ", ".join(parts)
    return text[0].upper() + text[1:]


def _wanted(edge: Edge) -> str:
    return f"{edge.package}" if edge.requirement.strip() == "*" else f"{edge.package} {edge.requirement}"


def _versions(versions: tuple[str, ...]) -> str:
    if len(versions) <= VERSIONS_SHOWN:
        return f" {', '.join(versions)}"
    return f" {versions[0]} to {versions[-1]}"


def _helps(
    edges: tuple[Edge, ...], roots: Sequence[Root], locked: Mapping[PackageId, str], platform: str
) -> Generator[PackageId, Sequence[Candidate], tuple[WayOut, ...]]:
    any_version = Requirement.parse("*")
    found: list[WayOut] = []
    named = {edge.package for edge in edges if edge.by is None}
    for at, root in enumerate(roots):
        if root.package not in named or len(found) >= HELPS_MAX:
            continue
        if root.requirement.text.strip() != "*":
            looser = [*roots[:at], Root(root.package, any_version, root.features), *roots[at + 1 :]]
            solution = yield from _try(looser, locked, platform)
            if solution is not None:
                version = solution.chosen[root.package].version
                text = f"Take {root.package} {version} instead of {root.requirement}: that works."
                found.append(WayOut(text, root.package, version))
                continue
        others = [*roots[:at], *roots[at + 1 :]]
        if others and (yield from _try(others, locked, platform)) is not None:
            found.append(WayOut(f"Leave out {root.package}: everything else works together.", root.package))
    if not found:
        authors = sorted({str(edge.by) for edge in edges if edge.by is not None})
        if authors:
            found.append(WayOut(f"Ask the author of {authors[0]} for a version that fits."))
        else:
            text = "Check the spelling, or add the Workshop server that has it under Settings, Sources."
            found.append(WayOut(text))
    return tuple(found)


def _try(
    roots: Sequence[Root], locked: Mapping[PackageId, str], platform: str
) -> Generator[PackageId, Sequence[Candidate], Solution | None]:
    try:
        return (yield from Resolver(roots, locked, platform=platform).run())
    except (Unsolvable, CyclicDependencies, TooLarge):
        return None
