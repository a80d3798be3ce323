"""The catalog: words, misspelt words, filters, facets, orders, stable pages, versions, counters, crashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef, SearchQuery, Sort
from icworkshop_gui.core.errors import Conflict, NotFound, RegistryError, UserError
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.server import tables
from icworkshop_gui.server.catalog import Asset, Catalog, NewRelease
from icworkshop_gui.server.spelling import deletion_keys, distance, edits_forgiven, words
from tests.server.workshop import release, shelve


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "catalog.db", tmp_path / "packages", lambda _hash: (3, 1))
    yield made
    made.close()


def fill(catalog: Catalog) -> None:
    shelve(
        catalog,
        release("frost/polar-tiles@1.0.0", category="textures", tags=("snow", "hd"), license="CC-BY-4.0", size=500),
        release("frost/ice-canyon@1.0.0", tags=("snow", "2-players"), published_at=2000.0, downloads=50, size=9000),
        release("dune/desert-storm@2.0.0", tags=("desert",), published_at=3000.0, downloads=900, platforms=("linux",)),
        release("dune/sand-sounds@1.0.0", category="music", license="CC0-1.0", game_module="ra1", published_at=4000.0),
        release("zed/alpine-maps@1.0.0", summary="Ölpeaks and glaciers", tags=("snow",), platforms=("windows",)),
    )


def names(catalog: Catalog, **query: object) -> list[str]:
    return [row.package.name for row in catalog.search(SearchQuery(**query)).items]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("polar", {"polar-tiles"}),
        ("pol ti", {"polar-tiles"}),
        ("TILES", {"polar-tiles"}),
        ("frost", {"polar-tiles", "ice-canyon"}),
        ("snow", {"polar-tiles", "ice-canyon", "alpine-maps"}),
        ("olpeaks", {"alpine-maps"}),
        ("frost/polar-tiles", {"polar-tiles"}),
        ('"polar" OR NOT (', set()),
        ("!!!", set()),
        ("polar sand", set()),
    ],
)
def test_words_are_found_where_one_begins_with_them(catalog: Catalog, text: str, found: set[str]) -> None:
    fill(catalog)
    assert set(names(catalog, text=text, sort=Sort.RELEVANCE)) == found


def test_names_weigh_more_than_readmes(catalog: Catalog) -> None:
    shelve(catalog, release("a/first@1.0.0"), readme="about the canyon " * 5)
    shelve(catalog, release("a/canyon@1.0.0"), readme="words")
    assert names(catalog, text="canyon", sort=Sort.RELEVANCE) == ["canyon", "first"]


@pytest.mark.parametrize("typo", ["desrt", "dessert", "deserr", "dsert", "edsert"])
def test_a_misspelt_word_finds_close_matches(catalog: Catalog, typo: str) -> None:
    fill(catalog)
    page = catalog.search(SearchQuery(text=typo, sort=Sort.RELEVANCE))
    assert [row.package.name for row in page.items] == ["desert-storm"]
    assert page.close_matches
    assert page.total == 1


def test_what_matches_as_written_is_no_close_match(catalog: Catalog) -> None:
    fill(catalog)
    assert not catalog.search(SearchQuery(text="desert")).close_matches
    assert not catalog.search(SearchQuery(text="qqqqqq")).close_matches


def test_filters(catalog: Catalog) -> None:
    fill(catalog)
    assert set(names(catalog, category="maps")) == {"ice-canyon", "desert-storm", "alpine-maps"}
    assert set(names(catalog, tags=("snow", "hd"))) == {"polar-tiles"}
    assert set(names(catalog, licenses=("CC0-1.0", "CC-BY-4.0"))) == {"polar-tiles", "sand-sounds"}
    assert set(names(catalog, publisher="dune")) == {"desert-storm", "sand-sounds"}
    assert set(names(catalog, game_module="ra1")) == {"sand-sounds"}
    assert set(names(catalog, platform="linux")) == {"polar-tiles", "ice-canyon", "desert-storm", "sand-sounds"}
    assert names(catalog, category="maps", text="snow", platform="linux") == ["ice-canyon"]
    assert names(catalog, category="no such") == []


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        (Sort.POPULAR, "desert-storm", "alpine-maps"),
        (Sort.NEWEST, "sand-sounds", "alpine-maps"),
        (Sort.UPDATED, "sand-sounds", "alpine-maps"),
        (Sort.NAME, "alpine-maps", "sand-sounds"),
        (Sort.SIZE, "ice-canyon", "polar-tiles"),
        (Sort.AUTHOR, "desert-storm", "alpine-maps"),
        (Sort.RELEVANCE, "desert-storm", "alpine-maps"),
    ],
)
def test_orders(catalog: Catalog, sort: Sort, first: str, last: str) -> None:
    fill(catalog)
    found = names(catalog, sort=sort)
    assert (found[0], found[-1], len(found)) == (first, last, 5)


def test_facets_count_what_picking_them_would_show(catalog: Catalog) -> None:
    fill(catalog)
    page = catalog.search(SearchQuery(category="maps"))
    assert page.total == 3
    assert dict(page.categories) == {"maps": 3, "music": 1, "textures": 1}
    assert dict(page.tags) == {"snow": 2, "2-players": 1, "desert": 1}
    assert dict(page.licenses) == {"MIT": 3}
    assert page.tags[0] == ("snow", 2)


def test_pages_join_to_the_whole_in_every_order(catalog: Catalog) -> None:
    made = []
    for i in range(60):
        varied = {"downloads": i % 5, "published_at": float(i % 4), "size": i % 3}
        made.append(release(f"p{i % 7}/map-{i:03d}@1.0.0", **varied))
    shelve(catalog, *made)
    for sort in Sort:
        for text in ("", "map"):
            whole = names(catalog, sort=sort, text=text, limit=200)
            assert len(set(whole)) == 60
            joined: list[str] = []
            cursor = ""
            for _ in range(9):
                page = catalog.search(SearchQuery(sort=sort, text=text, limit=7, cursor=cursor))
                assert page.total == 60
                joined += [row.package.name for row in page.items]
                cursor = page.next_cursor
            assert not cursor
            assert joined == whole


def test_a_page_stays_where_it_was_when_packages_arrive(catalog: Catalog) -> None:
    shelve(catalog, *(release(f"a/m{i}@1.0.0", published_at=100.0 + i) for i in range(10)))
    first = catalog.search(SearchQuery(sort=Sort.NEWEST, limit=4))
    shelve(catalog, release("b/brand-new@1.0.0", published_at=999.0))
    second = catalog.search(SearchQuery(sort=Sort.NEWEST, limit=4, cursor=first.next_cursor))
    assert [row.package.name for row in (*first.items, *second.items)] == [f"m{i}" for i in range(9, 1, -1)]


@pytest.mark.parametrize(
    "cursor",
    ["x", "?", "W10", "WyJuYW1lIl0", "WyJwb3B1bGFyIiwiYSIsMV0", "WyJwb3B1bGFyIixudWxsLG51bGxd", "A" * 999],
)
def test_a_foreign_cursor_is_refused(catalog: Catalog, cursor: str) -> None:
    fill(catalog)
    with pytest.raises(RegistryError) as caught:
        catalog.search(SearchQuery(cursor=cursor))
    assert caught.value.code == "bad_request"


def test_the_newest_release_is_shown_and_all_are_listed(catalog: Catalog) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-beta.1"):
        shelve(catalog, release(f"a/b@{version}", published_at=10.0, title=f"v{version}"))
    detail = catalog.package(PackageId("a", "b"))
    assert detail.release.ref.version == "1.10.0"
    assert [item.ref.version for item in detail.versions] == ["2.0.0-beta.1", "1.10.0", "1.9.0", "1.0.0"]
    assert catalog.search(SearchQuery()).items[0].title == "v1.10.0"
    assert catalog.package(PackageId("a", "b"), "1.0.0").release.ref.version == "1.0.0"
    with pytest.raises(NotFound):
        catalog.package(PackageId("a", "b"), "3.0.0")
    with pytest.raises(NotFound):
        catalog.package(PackageId("a", "c"))


def test_a_yanked_release_is_hidden_but_there(catalog: Catalog) -> None:
    shelve(catalog, release("a/b@1.0.0"), release("a/b@1.1.0"), release("a/only@1.0.0"))
    catalog.set_yanked(PackageRef("a", "b", "1.1.0"), True)
    catalog.set_yanked(PackageRef("a", "only", "1.0.0"), True)
    assert [row.version for row in catalog.search(SearchQuery()).items] == ["1.0.0"]
    assert catalog.package(PackageId("a", "b"), "1.1.0").release.yanked
    assert catalog.package(PackageId("a", "only")).release.yanked
    catalog.set_yanked(PackageRef("a", "only", "1.0.0"), False)
    assert catalog.search(SearchQuery()).total == 2


def test_a_version_never_changes(catalog: Catalog) -> None:
    shelve(catalog, release("a/b@1.0.0", title="first"))
    new = NewRelease(release=release("a/b@1.0.0", title="second"), mtime_ns=0, assets={Asset.MANIFEST: b"x"})
    with pytest.raises(Conflict):
        catalog.add(new, lambda: pytest.fail("its file was moved"))
    assert catalog.package(PackageId("a", "b")).release.title == "first"


def test_a_file_that_cannot_be_placed_leaves_no_release(catalog: Catalog, tmp_path: Path) -> None:
    new = NewRelease(release=release("a/b@1.0.0"), mtime_ns=0, assets={Asset.MANIFEST: b"x"})

    def no_room() -> None:
        raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        catalog.add(new, no_room)
    assert catalog.versions(PackageId("a", "b")) == ()
    assert catalog.search(SearchQuery()).total == 0
    catalog.add(new, lambda: None)
    assert catalog.search(SearchQuery()).total == 1


def test_downloads_are_counted_and_survive(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.db", tmp_path)
    shelve(catalog, release("a/b@1.0.0"), release("a/c@1.0.0"))
    for _ in range(3):
        catalog.count_download(PackageRef("a", "b", "1.0.0"))
    catalog.count_download(PackageRef("a", "gone", "1.0.0"))
    catalog.flush_downloads()
    assert [row.downloads for row in catalog.search(SearchQuery()).items] == [3, 0]
    catalog.close()
    again = Catalog(tmp_path / "c.db", tmp_path)
    assert again.search(SearchQuery()).items[0].downloads == 3
    assert again.package(PackageId("a", "b")).release.downloads == 3
    again.close()


def test_the_tracker_says_who_has_it(catalog: Catalog) -> None:
    shelve(catalog, release("a/b@1.0.0", info_hash=InfoHash(bytes(20)).hex()), release("a/small@1.0.0"))
    found = {row.package.name: (row.seeders, row.leechers) for row in catalog.search(SearchQuery()).items}
    assert found == {"b": (3, 1), "small": (0, 0)}


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    Catalog(tmp_path / "c.db", tmp_path).close()
    reader, writer = tables.open_database(tmp_path / "c.db")
    with writer.begin() as db:
        db.exec_driver_sql("PRAGMA user_version = 99")
    reader.dispose()
    writer.dispose()
    with pytest.raises(UserError, match="newer"):
        Catalog(tmp_path / "c.db", tmp_path)


def test_words_and_edits() -> None:
    assert words("Ölpeaks_of 2-Players!") == ["olpeaks", "of", "2", "players"]
    assert edits_forgiven("ab") == 0
    assert deletion_keys("ab") == set()
    assert distance("desert", "edsert", 2) == 1
    assert distance("abcdef", "ghijkl", 2) == 3
    assert deletion_keys("snow") == {"snow", "now", "sow", "snw", "sno"}
