"""REST messages: both directions agree, and what a stranger says is a value within the limits or a RegistryError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import (
    Dependency,
    Facet,
    FileEntry,
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    Release,
    SearchPage,
    SearchQuery,
    Sort,
)
from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.registry import schema

RELEASE = Release(
    ref=PackageRef("alice", "tank-sounds", "1.2.0-rc.1+b5"),
    title="Tänk “sounds” 坦克",
    summary="One line",
    category="Sound Effects",
    license="MIT",
    size=2**40,
    sha256="ab" * 32,
    info_hash="cd" * 20,
    published_at=1.5,
    tags=("noise", "hd"),
    dependencies=(Dependency(package=PackageId("bob", "base"), requirement="^1.2", optional=True),),
    files=(FileEntry(path="assets/名前.txt", size=0, sha256="00" * 32),),
    installed_size=7,
    downloads=9,
    game_module="ra1",
    platforms=("linux",),
    preview_sha256="ef" * 32,
    yanked=True,
)
ROW = PackageSummary(
    package=PackageId("alice", "tank-sounds"),
    version="1.0.0",
    title="T",
    summary="",
    category="maps",
    tags=("a",),
    seeders=4,
)
PAGE = SearchPage(
    items=(ROW,), total=71, next_cursor="abc", categories=(Facet("maps", 3),), tags=(Facet("a", 1),), close_matches=True
)
DETAIL = PackageDetail(release=RELEASE, readme="# hi\n\ttab", changelog="", versions=(RELEASE,), seeders=1, leechers=2)
SERVER = schema.ServerInfo(name="W", software="s 1", trackers=("http://x/announce",), packages=3)

MESSAGES = [
    (PAGE, schema.page_to_json, schema.page_from_json),
    (DETAIL, schema.detail_to_json, schema.detail_from_json),
    (SERVER, schema.server_to_json, schema.server_from_json),
    (schema.PublishResult(release=RELEASE, warnings=("w",)), schema.publish_to_json, schema.publish_from_json),
]


@pytest.mark.parametrize(("value", "write", "read"), MESSAGES)
def test_what_is_written_is_read(value: Any, write: Any, read: Any) -> None:
    assert read(schema.decode(schema.encode(write(value)))) == value


@pytest.mark.parametrize(
    "query",
    [
        SearchQuery(),
        SearchQuery(text="a b&c=ü", category="x", tags=("1", "2"), licenses=("MIT",), sort=Sort.SIZE, limit=200),
        SearchQuery(publisher="p", game_module="g", platform="linux", cursor="c-_", sort=Sort.RELEVANCE),
    ],
)
def test_queries_travel_in_urls(query: SearchQuery) -> None:
    assert schema.search_from_params(schema.search_to_params(query)) == query


def test_a_text_without_an_order_is_by_relevance() -> None:
    assert schema.search_from_params([("q", "x")]).sort is Sort.RELEVANCE
    assert schema.search_from_params([]).sort is Sort.POPULAR


HOSTILE: list[tuple[str, Any]] = [
    ("size", -1),
    ("size", 2**63),
    ("size", True),
    ("size", "5"),
    ("size", 1.5),
    ("title", None),
    ("title", ["x"]),
    ("title", "a" * (schema.LINE_MAX + 1)),
    ("sha256", "AB" * 32),
    ("sha256", "ab" * 31),
    ("sha256", ""),
    ("info_hash", "zz" * 20),
    ("publisher", "../etc"),
    ("name", "Not-Legal"),
    ("version", "1.0"),
    ("version", "1.0.0/../../x"),
    ("published_at", float("inf")),
    ("published_at", float("nan")),
    ("published_at", -1),
    ("tags", "abc"),
    ("tags", [1]),
    ("tags", ["a"] * (schema.LIST_MAX + 1)),
    ("tags", ["a" * (schema.WORD_MAX + 1)]),
    ("dependencies", [{"id": "nobody", "version": "*"}]),
    ("dependencies", [7]),
    ("files", [{"path": "", "size": 1, "sha256": "ab" * 32}]),
    ("files", [{"path": "safe\u202etxt.exe", "size": 1, "sha256": "ab" * 32}]),
    ("files", [{"path": "a" * (schema.PATH_MAX + 1), "size": 1, "sha256": "ab" * 32}]),
    ("files", [{}] * (schema.FILES_MAX + 1)),
    ("yanked", 1),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    message = schema.release_to_json(RELEASE) | {field: value}
    with pytest.raises(RegistryError) as caught:
        schema.release_from_json(message)
    assert caught.value.code == "bad_reply"


def test_pages_are_bounded() -> None:
    page = schema.page_to_json(PAGE)
    row = schema.summary_to_json(ROW)
    for field, value in (
        ("items", [row] * (schema.PAGE_ROWS_MAX + 1)),
        ("next_cursor", "a" * (schema.CURSOR_MAX + 1)),
        ("tags", [["a", 1]] * (schema.LIST_MAX + 1)),
        ("tags", [["a"]]),
        ("tags", [["a", -1]]),
    ):
        with pytest.raises(RegistryError):
            schema.page_from_json(page | {field: value})
    detail = schema.detail_to_json(DETAIL)
    for field, value in (
        ("readme", "a" * (schema.DOCUMENT_MAX + 1)),
        ("versions", [detail["release"]] * (schema.VERSIONS_MAX + 1)),
    ):
        with pytest.raises(RegistryError):
            schema.detail_from_json(detail | {field: value})


@pytest.mark.parametrize("raw", [b"", b"[" * 100_000, b"{", b'{"a": 1' + b"0" * 5000 + b"}", b"\xff\xfe", b"nul"])
def test_what_is_no_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(RegistryError):
        schema.decode(raw)


def test_a_message_is_bounded() -> None:
    with pytest.raises(RegistryError, match=str(schema.REPLY_MAX)):
        schema.decode(b" " * (schema.REPLY_MAX + 1))


def test_texts_cannot_turn_or_hide_others() -> None:
    assert schema.clean_line("a\u202eb\u200bc\x00d\te\x1b[1m\ufeff") == "abcd e[1m"
    assert schema.clean_document("a\u2066b\r\n\tc\x07") == "ab\n\tc"
    assert len(schema.clean_line("x" * 9999)) == schema.LINE_MAX


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(data=st.data())
def test_any_json_is_a_value_or_a_registry_error(data: st.DataObject) -> None:
    value, write, read = data.draw(st.sampled_from(MESSAGES))
    message = json.loads(schema.encode(write(value)))
    target = message
    if "release" in message and data.draw(st.booleans()):
        target = message["release"]
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(json_values)
    for candidate in (message, data.draw(json_values)):
        try:
            read(candidate)
        except RegistryError:
            pass


def test_error_bodies() -> None:
    body = schema.encode(schema.error_to_json("rate_limited", "slow", "down", 2.5))
    error = schema.error_from_json(429, body)
    assert (error.code, error.retry_after, error.untrusted_text) == ("rate_limited", 2.5, "slow down")
    for raw in (b"<html>", b"[]", b'{"code": 7}', b'{"code": "DROP TABLE"}', b'{"retry_after": -1}', b""):
        assert schema.error_from_json(409, raw).code == "version_exists"
    assert schema.error_from_json(418, b"").code == "http_418"
