"""Choosing versions: the published hard cases, a brute-force oracle over random graphs, the size that is promised."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import Dependency, PackageId, version_key
from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.registry import resolver
from icworkshop_gui.registry.resolver import (
    Candidate,
    CyclicDependencies,
    Resolver,
    Root,
    Solution,
    TooLarge,
    Unsolvable,
)

Graph = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Package -> version -> needed package -> range."""


def package(name: str) -> PackageId:
    return PackageId("test", name)


def candidates(graph: Graph, name: str) -> list[Candidate]:
    return [
        Candidate(version, tuple(Dependency(package=package(n), requirement=r) for n, r in needs.items()))
        for version, needs in graph.get(name, {}).items()
    ]


def solve(
    roots: Sequence[Root],
    known: Mapping[PackageId, Sequence[Candidate]],
    locked: Mapping[PackageId, str] | None = None,
    platform: str = "",
) -> tuple[Solution, list[str]]:
    """The answer, and the names of what was looked up for it."""
    run = Resolver(roots, locked, platform=platform).run()
    asked: list[str] = []
    try:
        wanted = next(run)
        while True:
            asked.append(wanted.name)
            wanted = run.send(known.get(wanted, ()))
    except StopIteration as stop:
        return stop.value, asked


def resolve(graph: Graph, roots: Mapping[str, str], locked: Mapping[str, str] | None = None) -> dict[str, str]:
    known = {package(name): candidates(graph, name) for name in graph}
    wishes = [Root(package(name), Requirement.parse(text)) for name, text in roots.items()]
    solution, _asked = solve(wishes, known, {package(name): version for name, version in (locked or {}).items()})
    return {chosen.name: candidate.version for chosen, candidate in solution.chosen.items()}


def test_nothing_is_in_the_way() -> None:
    graph = {"foo": {"1.0.0": {"bar": "^1.0.0"}}, "bar": {"1.0.0": {}, "2.0.0": {}}}

    assert resolve(graph, {"foo": "^1.0.0"}) == {"foo": "1.0.0", "bar": "1.0.0"}


def test_a_conflict_is_avoided_before_it_is_decided() -> None:
    graph = {
        "foo": {"1.0.0": {}, "1.1.0": {"bar": "^2.0.0"}},
        "bar": {"1.0.0": {}, "1.1.0": {}, "2.0.0": {}},
    }

    assert resolve(graph, {"foo": "^1.0.0", "bar": "^1.0.0"}) == {"foo": "1.0.0", "bar": "1.1.0"}


def test_a_conflict_is_resolved_afterwards() -> None:
    graph = {"foo": {"2.0.0": {"bar": "^1.0.0"}, "1.0.0": {}}, "bar": {"1.0.0": {"foo": "^1.0.0"}}}

    assert resolve(graph, {"foo": ">=1.0.0"}) == {"foo": "1.0.0"}


def test_a_conflict_whose_cause_is_two_choices_together() -> None:
    graph = {
        "foo": {"1.1.0": {"left": "^1.0.0", "right": "^1.0.0"}, "1.0.0": {}},
        "left": {"1.0.0": {"shared": ">=1.0.0"}},
        "right": {"1.0.0": {"shared": "<2.0.0"}},
        "shared": {"2.0.0": {}, "1.0.0": {"target": "^1.0.0"}},
        "target": {"2.0.0": {}, "1.0.0": {}},
    }

    assert resolve(graph, {"foo": "^1.0.0", "target": "^2.0.0"}) == {"foo": "1.0.0", "target": "2.0.0"}


def test_a_chain_without_a_way_out() -> None:
    graph = {
        "foo": {"1.0.0": {"bar": "^2.0.0"}},
        "bar": {"2.0.0": {"baz": "^3.0.0"}},
        "baz": {"1.0.0": {}, "3.0.0": {}},
    }

    with pytest.raises(Unsolvable) as caught:
        resolve(graph, {"foo": "^1.0.0", "baz": "^1.0.0"})

    facts = {(edge.by.name if edge.by else "", edge.package.name, edge.requirement) for edge in caught.value.edges}
    assert facts == {("", "foo", "^1.0.0"), ("", "baz", "^1.0.0"), ("foo", "bar", "^2.0.0"), ("bar", "baz", "^3.0.0")}


def test_a_proof_with_branches() -> None:
    graph = {
        "foo": {"1.0.0": {"a": "^1.0.0", "b": "^1.0.0"}, "1.1.0": {"x": "^1.0.0", "y": "^1.0.0"}},
        "a": {"1.0.0": {"b": "^2.0.0"}},
        "b": {"1.0.0": {}, "2.0.0": {}},
        "x": {"1.0.0": {"y": "^2.0.0"}},
        "y": {"1.0.0": {}, "2.0.0": {}},
    }

    with pytest.raises(Unsolvable) as caught:
        resolve(graph, {"foo": "^1.0.0"})

    assert {edge.by.name for edge in caught.value.edges if edge.by} == {"foo", "a", "x"}


def test_a_diamond_takes_what_both_sides_allow() -> None:
    graph = {
        "map": {"1.0.0": {"tiles": "^1.0", "music": "^2.0"}},
        "tiles": {"1.0.0": {"palette": ">=1.2, <1.6"}},
        "music": {"2.0.0": {"palette": "^1.4"}},
        "palette": {f"1.{minor}.0": {} for minor in range(9)},
    }

    assert resolve(graph, {"map": "*"})["palette"] == "1.5.0"


def test_what_is_needed_comes_first() -> None:
    graph = {"a": {"1.0.0": {"b": "*", "c": "*"}}, "b": {"1.0.0": {"c": "*"}}, "c": {"1.0.0": {}}}

    assert list(resolve(graph, {"a": "*"})) == ["c", "b", "a"]


def test_what_is_locked_stays_as_long_as_it_fits() -> None:
    graph = {"a": {"1.0.0": {"b": "^1.0"}, "1.1.0": {"b": "^1.5"}}, "b": {f"1.{minor}.0": {} for minor in range(10)}}

    assert resolve(graph, {"a": "=1.0.0"}, {"b": "1.3.0"}) == {"b": "1.3.0", "a": "1.0.0"}
    assert resolve(graph, {"a": "=1.1.0"}, {"b": "1.3.0"}) == {"b": "1.9.0", "a": "1.1.0"}


def test_pre_releases_only_where_they_are_asked_for() -> None:
    graph = {"a": {"1.0.0": {}, "1.1.0-beta.2": {}, "1.1.0-beta.10": {}, "2.0.0-rc.1": {}}}

    assert resolve(graph, {"a": "*"}) == {"a": "1.0.0"}
    assert resolve(graph, {"a": "^1.1.0-beta.1"}) == {"a": "1.1.0-beta.10"}
    with pytest.raises(Unsolvable):
        resolve(graph, {"a": "^2.0"})


def test_withdrawn_versions_only_where_they_are_locked() -> None:
    known = {package("a"): [Candidate("1.0.0"), Candidate("1.1.0", yanked=True)]}
    wish = [Root(package("a"), Requirement.parse("*"))]

    assert solve(wish, known)[0].chosen[package("a")].version == "1.0.0"
    assert solve(wish, known, {package("a"): "1.1.0"})[0].chosen[package("a")].version == "1.1.0"


def test_cycles_are_named_in_full() -> None:
    graph = {"a": {"1.0.0": {"b": "*"}}, "b": {"1.0.0": {"c": "*"}}, "c": {"1.0.0": {"a": "*"}}}

    with pytest.raises(CyclicDependencies) as caught:
        resolve(graph, {"a": "*"})

    assert [step.name for step in caught.value.path] == ["a", "b", "c", "a"]


def test_a_package_that_nobody_has() -> None:
    with pytest.raises(Unsolvable) as caught:
        resolve({"a": {"1.0.0": {"gone": "^1"}}}, {"a": "*"})

    assert [edge.package.name for edge in caught.value.edges if edge.none_fits] == ["gone"]


def test_an_older_version_that_works_says_what_it_stands_for() -> None:
    graph = {"a": {"1.0.0": {}, "2.0.0": {"gone": "^1"}}}
    known = {package("a"): candidates(graph, "a")}

    solution, _asked = solve([Root(package("a"), Requirement.parse("*"))], known)

    assert solution.chosen[package("a")].version == "1.0.0"
    assert solution.newest == {package("a"): "2.0.0"}


def test_only_what_matters_is_looked_up() -> None:
    graph = {
        "a": {"1.0.0": {"old": "*"}, "2.0.0": {"new": "*"}},
        "old": {"1.0.0": {}},
        "new": {"1.0.0": {}},
    }
    known = {package(name): candidates(graph, name) for name in graph}

    assert solve([Root(package("a"), Requirement.parse("*"))], known)[1] == ["a", "new"]


def test_optional_and_platform_needs() -> None:
    needs = (
        Dependency(package=package("hd"), requirement="*", optional=True),
        Dependency(package=package("dx"), requirement="*", platforms=("windows",)),
    )
    known = {
        package("a"): [Candidate("1.0.0", needs)],
        package("hd"): [Candidate("1.0.0")],
        package("dx"): [Candidate("1.0.0")],
    }
    wish = [Root(package("a"), Requirement.parse("*"))]

    assert [found.name for found in solve(wish, known, platform="linux")[0].chosen] == ["a"]
    assert [found.name for found in solve(wish, known, platform="windows")[0].chosen] == ["dx", "a"]


def test_features_bring_optional_needs_along_in_the_same_version() -> None:
    optional = Dependency(package=package("hd"), requirement="^2", optional=True)
    with_hd = (("hd", ("test/hd",)), ("all", ("hd",)))
    known = {
        package("a"): [Candidate("1.0.0", (optional,), with_hd), Candidate("1.1.0")],
        package("b"): [Candidate("1.0.0", (Dependency(package=package("a"), requirement="^1", features=("all",)),))],
        package("hd"): [Candidate("2.0.0"), Candidate("3.0.0")],
    }

    solution, _asked = solve([Root(package("b"), Requirement.parse("*"))], known)

    # 1.1.0 has no such feature any more.
    assert {found.name: candidate.version for found, candidate in solution.chosen.items()} == {
        "hd": "2.0.0",
        "a": "1.0.0",
        "b": "1.0.0",
    }


def test_so_many_packages_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "PACKAGES_MAX", 10)
    chain = {f"p{at}": {"1.0.0": {f"p{at + 1}": "*"}} for at in range(11)}

    assert len(resolve({**chain, "p9": {"1.0.0": {}}}, {"p0": "*"})) == 10
    with pytest.raises(TooLarge):
        resolve(chain, {"p0": "*"})


def test_so_many_steps_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "STEPS_MAX", 5)

    with pytest.raises(TooLarge):
        resolve({f"p{at}": {"1.0.0": {f"p{at + 1}": "*"}} for at in range(6)} | {"p6": {"1.0.0": {}}}, {"p0": "*"})


NAMES = "abcde"
RANGES = ("*", "^1", "^2", "=1.0.0", "=1.1.0", "=2.0.0", ">=1.1", "<2", "<1.1, >=1.0")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0", "2.1.0")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Packages need only later letters, so that there are no cycles."""
    graph: dict[str, dict[str, dict[str, str]]] = {}
    for at, name in enumerate(NAMES):
        versions = draw(st.lists(st.sampled_from(VERSIONS), min_size=1, unique=True))
        later = NAMES[at + 1 :]
        graph[name] = {
            version: draw(st.dictionaries(st.sampled_from(later), st.sampled_from(RANGES), max_size=3)) if later else {}
            for version in versions
        }
    return graph


def oracle(graph: Graph, roots: Mapping[str, str]) -> list[dict[str, str]]:
    """Every choice that works, by trying all; without packages that nobody needs."""
    found = []
    for choice in itertools.product(*[graph[name] for name in NAMES]):
        versions = dict(zip(NAMES, choice, strict=True))
        needed: dict[str, str] = {}
        todo = list(roots.items())
        works = True
        while todo and works:
            name, text = todo.pop()
            works = Requirement.parse(text).matches(versions[name])
            if name not in needed:
                needed[name] = versions[name]
                todo += graph[name][versions[name]].items()
        if works and needed not in found:
            found.append(needed)
    return found


@given(graphs(), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(RANGES), min_size=1, max_size=3))
def test_it_finds_an_answer_exactly_when_there_is_one(graph: Graph, roots: Mapping[str, str]) -> None:
    answers = oracle(graph, roots)
    if answers:
        assert resolve(graph, roots) in answers
    else:
        with pytest.raises(Unsolvable):
            resolve(graph, roots)


@given(graphs(), st.sampled_from(RANGES))
def test_no_newer_version_of_the_wish_alone_would_have_done(graph: Graph, text: str) -> None:
    answers = oracle(graph, {"a": text})
    if answers:
        best = max((answer["a"] for answer in answers), key=version_key)
        assert resolve(graph, {"a": text})["a"] == best


@given(graphs(), st.sampled_from(RANGES))
def test_the_causes_of_a_conflict_are_enough_for_it(graph: Graph, text: str) -> None:
    """With nothing but the needs that the proof names there is no answer either."""
    wishes = {"a": text, "c": "^1"}
    if oracle(graph, wishes):
        return
    with pytest.raises(Unsolvable) as caught:
        resolve(graph, wishes)
    told = {
        (edge.by.name, version, edge.package.name, edge.requirement)
        for edge in caught.value.edges
        if edge.by
        for version in edge.versions
    }
    rest = {
        name: {
            version: {need: r for need, r in needs.items() if (name, version, need, r) in told}
            for version, needs in versions.items()
        }
        for name, versions in graph.items()
    }
    assert oracle(rest, {e.package.name: e.requirement for e in caught.value.edges if e.by is None}) == []


def workshop(seed: int, packages: int, versions: int) -> Graph:
    """A catalog as authors make it: each version needs a few other packages in ranges of every kind."""
    rng = random.Random(seed)
    kinds = ("^1.{0}", "<1.{1}", ">=1.{2}", "*", "~1.{0}")
    graph: dict[str, dict[str, dict[str, str]]] = {}
    for at in range(packages):
        behind = range(at + 1, min(packages, at + 15))
        graph[f"p{at:03}"] = {
            f"1.{minor}.0": {
                f"p{rng.choice(behind):03}": rng.choice(kinds).format(low, low + 1, low // 2)
                for low in [rng.randrange(versions) for _ in range(rng.randrange(5) if behind else 0)]
            }
            for minor in range(versions)
        }
    return graph


@pytest.mark.parametrize("seed", range(8))
def test_a_hundred_packages_of_twenty_versions_take_few_steps(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = workshop(seed, 100, 20)
    monkeypatch.setattr(resolver, "STEPS_MAX", 1_000)

    found = resolve(graph, {"p000": "*", "p001": "*", "p002": "*"})

    for name, version in found.items():
        for need, text in graph[name][version].items():
            assert Requirement.parse(text).matches(found[need])
