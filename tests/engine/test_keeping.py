"""What stays on the disk and what may go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.engine.api.snapshots import Hold
from icworkshop_gui.engine.keeping import Holding, Terms, expired, holds, unused

DAY = 86_400.0


def item(name: str, *needs: str, **fields: object) -> Holding:
    name, _, version = name.partition("@")
    return Holding(
        ref=PackageRef("a", name, version or "1.0.0"), size=10, needs=tuple(PackageId("a", n) for n in needs), **fields
    )  # type: ignore[arg-type]


def verdicts(*library: Holding) -> dict[str, Hold]:
    return {f"{ref.name}@{ref.version}": hold for ref, hold in holds(library).items()}


def test_what_came_along_stays_with_what_needs_it() -> None:
    tiles, colours = item("tiles", "colours", asked=False), item("colours", asked=False)

    assert verdicts(item("map", "tiles"), tiles, colours) == {
        "map@1.0.0": Hold.KEPT,
        "tiles@1.0.0": Hold.NEEDED,
        "colours@1.0.0": Hold.NEEDED,
    }
    assert unused((tiles, colours)) == (colours.ref, tiles.ref)


def test_the_strongest_reason_wins() -> None:
    shared = item("shared", asked=False)

    assert verdicts(item("lobby", "shared", temporary=True), shared)["shared@1.0.0"] is Hold.TEMPORARY
    both = verdicts(item("lobby", "shared", temporary=True), item("mine", "shared"), shared)
    assert both["shared@1.0.0"] is Hold.NEEDED
    assert verdicts(item("lobby", temporary=True, pinned=True))["lobby@1.0.0"] is Hold.KEPT
    assert verdicts(item("map", "lobby"), item("lobby", temporary=True))["lobby@1.0.0"] is Hold.NEEDED


def test_the_newest_version_serves_those_who_need_it() -> None:
    library = (item("map", "tiles"), item("tiles@1.0.0", asked=False), item("tiles@1.1.0", asked=False))

    assert unused(library) == (PackageRef("a", "tiles", "1.0.0"),)


def test_needs_in_a_circle_keep_nobody() -> None:
    assert len(unused((item("a", "b", asked=False), item("b", "a", asked=False)))) == 2


def test_temporary_packages_go_when_their_time_is_over() -> None:
    library = (
        item("old", temporary=True, used_at=0.0),
        item("fresh", temporary=True, used_at=20 * DAY),
        item("mine", used_at=0.0),
    )
    terms = Terms(ttl=30 * DAY, budget=None)

    assert expired(library, 29.9 * DAY, terms) == ()
    assert expired(library, 30 * DAY, terms) == (library[0].ref,)
    assert expired(library, 50 * DAY, terms) == (library[0].ref, library[1].ref)


def test_no_more_room_than_the_budget_and_the_longest_unused_goes_first() -> None:
    library = [*(item(f"p{at}", temporary=True, used_at=float(9 - at)) for at in range(4)), item("mine")]

    assert expired(library, 10.0, Terms(ttl=DAY, budget=40)) == ()
    assert [ref.name for ref in expired(library, 10.0, Terms(ttl=DAY, budget=25))] == ["p3", "p2"]
    assert len(expired(library, 10.0, Terms(ttl=DAY, budget=0))) == 4


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.sets(st.sampled_from("abcdef"), max_size=3),
            st.tuples(st.booleans(), st.booleans(), st.booleans()),
            st.integers(0, 3),
        ),
        unique_by=lambda row: row[0],
    ),
    st.integers(0, 60),
)
def test_nothing_goes_that_something_here_needs(
    rows: list[tuple[str, set[str], tuple[bool, bool, bool], int]], budget: int
) -> None:
    """A package never needs an earlier letter: circles go as a whole or not, in any order."""
    library = [
        item(
            name,
            *(need for need in sorted(needs) if need > name),
            asked=asked,
            pinned=pinned,
            temporary=temporary,
            used_at=float(used),
        )
        for name, needs, (asked, pinned, temporary), used in rows
    ]
    gone = {*unused(library), *expired(library, 4.5, Terms(ttl=2.0, budget=budget))}

    stays = [found for found in library if found.ref not in gone]
    here = {found.ref.name for found in library}
    for found in stays:
        assert not {need.name for need in found.needs} & here & {ref.name for ref in gone}
    assert all(found in stays for found in library if found.pinned or (found.asked and not found.temporary))
