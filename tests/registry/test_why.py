"""The words of conflicts: both chains, and what would help."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.registry.resolver import CyclicDependencies, Resolver, Root, TooLarge, Unsolvable
from icworkshop_gui.registry.why import Explanation, explain
from tests.registry.test_resolver import Graph, candidates, package


def told(graph: Graph, roots: Mapping[str, str], locked: Mapping[str, str] | None = None) -> Explanation:
    known = {package(name): candidates(graph, name) for name in graph}
    wishes = [Root(package(name), Requirement.parse(text)) for name, text in roots.items()]
    fixed = {package(name): version for name, version in (locked or {}).items()}

    def ask(run: object) -> object:
        try:
            wanted: PackageId = next(run)  # type: ignore[call-overload]
            while True:
                wanted = run.send(known.get(wanted, ()))  # type: ignore[attr-defined]
        except StopIteration as stop:
            return stop.value

    try:
        ask(Resolver(wishes, fixed).run())
    except (Unsolvable, CyclicDependencies, TooLarge) as problem:
        explanation = ask(explain(problem, wishes, fixed))
        assert isinstance(explanation, Explanation)
        return explanation
    pytest.fail("there is an answer")


def test_two_wishes_that_exclude_each_other() -> None:
    graph = {
        "delta": {"1.0.0": {"palette": "^1.1"}, "2.0.0": {"palette": "^2.0"}},
        "winter": {"3.0.0": {"tiles": "^3"}},
        "tiles": {"3.2.0": {"palette": "^2.0"}},
        "palette": {"1.4.0": {}, "2.0.0": {}},
    }

    assert str(told(graph, {"delta": "=1.0.0", "winter": "*"})) == (
        "Not all of this works together: test/palette is needed in versions that exclude each other.\n"
        "  – You want test/delta =1.0.0, and test/delta 1.0.0 needs test/palette ^1.1\n"
        "  – You want test/winter, test/winter 3.0.0 needs test/tiles ^3, test/tiles 3.2.0 needs test/palette ^2.0\n"
        "What would help:\n"
        "  – Take test/delta 2.0.0 instead of =1.0.0: that works.\n"
        "  – Leave out test/winter: everything else works together."
    )


def test_a_diamond_inside_one_package() -> None:
    graph = {
        "pack": {"1.0.0": {"left": "*", "right": "*"}},
        "left": {"1.0.0": {"core": "^1"}},
        "right": {"1.0.0": {"core": "^2"}},
        "core": {"1.0.0": {}, "2.0.0": {}},
    }

    assert str(told(graph, {"pack": "*"})) == (
        "Not all of this works together: test/core is needed in versions that exclude each other.\n"
        "  – You want test/pack, test/pack 1.0.0 needs test/left, test/left 1.0.0 needs test/core ^1\n"
        "  – You want test/pack, test/pack 1.0.0 needs test/right, test/right 1.0.0 needs test/core ^2\n"
        "What would help:\n"
        "  – Ask the author of test/left for a version that fits."
    )


def test_something_that_the_workshop_does_not_have() -> None:
    graph = {"map": {"1.0.0": {"lost": "^2"}}, "lost": {"1.0.0": {}}}

    assert str(told(graph, {"map": "*"})) == (
        "test/map needs test/lost ^2, which the Workshop does not have.\n"
        "  – You want test/map, and test/map 1.0.0 needs test/lost ^2\n"
        "What would help:\n"
        "  – Ask the author of test/map for a version that fits."
    )


def test_a_wish_that_nobody_can_fulfil() -> None:
    assert str(told({}, {"mpa": "^1"})) == (
        "You asked for test/mpa ^1, which the Workshop does not have.\n"
        "  – You want test/mpa ^1\n"
        "What would help:\n"
        "  – Check the spelling, or add the Workshop server that has it under Settings, Sources."
    )


def test_a_circle() -> None:
    graph = {"a": {"1.0.0": {"b": "*"}}, "b": {"1.0.0": {"a": "*"}}}

    assert str(told(graph, {"a": "*"})) == (
        "These packages need each other in a circle, so none can come first.\n"
        "  – test/a needs test/b needs test/a\n"
        "What would help:\n"
        "  – Ask one of their authors to take the circle apart."
    )


def test_many_versions_take_one_line() -> None:
    graph = {
        "a": {f"1.{minor}.0": {"core": "^1"} for minor in range(9)},
        "core": {"1.0.0": {}, "2.0.0": {}},
    }

    text = str(told(graph, {"a": "*", "core": "^2"}))

    assert "test/a 1.0.0 to 1.8.0 needs test/core ^1" in text
    assert "Take test/core 1.0.0 instead of ^2: that works." in text
