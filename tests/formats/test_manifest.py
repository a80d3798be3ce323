"""Manifests: read from every shape the documents show, written as the same bytes, and checked field by field."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import Dependency, FileEntry, PackageId, PackageRef
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import yamltree
from icworkshop_gui.formats.header import HEADER_MANIFEST_WRITE_MAX
from icworkshop_gui.formats.manifest import (
    DEPENDENCIES_MAX,
    DESCRIPTION_MAX,
    FILE_PATH_MAX,
    FILE_SIZE_MAX,
    LABEL_MAX,
    LABELS_MAX,
    MANIFEST_MAX,
    SUMMARY_MAX,
    TITLE_MAX,
    Manifest,
)
from icworkshop_gui.formats.spdx import EXPRESSION_MAX, is_license_expression
from icworkshop_gui.formats.yamltree import DEPTH_MAX, parse_yaml
from tests.helpers.builders import files_of, manifest, needs

SHA = "9f" * 32
EXAMPLE = f"""
package:
  name: polar-tiles
  publisher: frostbyte
  version: 1.3.0
  license: CC-BY-4.0
  description: Winter terrain tileset
  category: textures
  game_module: ra1
  engine_version: "^0.3.0"
  tags: [snow, terrain]
  platforms: [windows, linux, macos]
  ai_usage: metadata_only
files:                       # inner copy only
  assets/tiles/ice.png: {{sha256: "{SHA}", size: 40960}}
dependencies:
  - {{id: frostbyte/base-palette, version: "^2.0", source: workshop, optional: false}}
install: {{category: hd_assets, optional: true, size_bytes_estimate: 61000000}}
"""


def tree(**changes) -> bytes:
    """The example as JSON (which is YAML), with dotted fields replaced; None removes."""
    root = yaml.safe_load(EXAMPLE)
    for dotted, value in changes.items():
        *folders, last = dotted.split("__")
        place = root
        for folder in folders:
            place = place[folder]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return json.dumps(root).encode()


def test_the_example_of_the_documents():
    assert Manifest.parse(EXAMPLE.encode()) == Manifest(
        ref=PackageRef("frostbyte", "polar-tiles", "1.3.0"),
        license="CC-BY-4.0",
        description="Winter terrain tileset",
        category="textures",
        game_module="ra1",
        engine_version="^0.3.0",
        tags=("snow", "terrain"),
        platforms=("windows", "linux", "macos"),
        ai_usage="metadata_only",
        dependencies=(Dependency(package=PackageId("frostbyte", "base-palette"), requirement="^2.0"),),
        files=(FileEntry(path="assets/tiles/ice.png", size=40960, sha256=SHA),),
    )


@pytest.mark.parametrize(
    "shape",
    [
        [{"id": "a/b", "version": "^1.0"}, {"id": "c/d", "version": "*", "optional": True}],
        {"required": [{"id": "a/b", "version": "^1.0"}], "optional": [{"id": "c/d"}], "provides": ["x"]},
        {"a/b": "^1.0", "c/d": {"version": "*", "optional": True}},
    ],
)
def test_three_shapes_of_dependencies(shape):
    expected = (needs("a/b"), needs("c/d", "*", optional=True))
    read = Manifest.parse(tree(dependencies=shape))
    assert read.dependencies == expected
    assert Manifest.parse(read.dump()) == read


def test_a_version_stays_the_text_that_was_written():
    assert Manifest.parse(EXAMPLE.replace('"^2.0"', "2.10").encode()).dependencies[0].requirement == "2.10"


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"])
    | st.sampled_from("\n\t\"\\':{}[],&*#?|-<>=!%@` ~\u2028\ufeff\ufffe"),
    max_size=40,
)
NAME = st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,8}", fullmatch=True)


@given(
    st.builds(
        Manifest,
        ref=st.builds(PackageRef, NAME, NAME, st.sampled_from(["1.2.3", "0.1.0-rc.1+b.7", "10.0.0"])),
        license=st.sampled_from(["MIT", "(MIT OR CC0-1.0)"]),
        title=TEXT,
        summary=TEXT,
        description=TEXT,
        category=TEXT,
        tags=st.lists(TEXT.filter(bool), max_size=3, unique=True).map(tuple),
        game_module=st.sampled_from(["", "ra1", "yes", "null", "1"]),
        engine_version=st.sampled_from(["", "^0.3"]),
        dependencies=st.sampled_from([(), (needs("a/b"), needs("c/d", ">=1, <2", optional=True))]),
        files=st.sampled_from([(), files_of({"a/ё.txt": b"1", "b ~!@#$%^&()[]{}';,.=+-`": b"2"})]),
    )
)
def test_what_is_written_is_read_by_us_and_by_others(value):
    raw = value.dump()
    assert Manifest.parse(raw) == value
    assert raw == Manifest.parse(raw).dump()
    others = yaml.safe_load(raw)
    assert others["package"]["version"] == value.ref.version
    assert others["package"].get("title", "") == value.title
    assert others["package"].get("tags", []) == list(value.tags)
    assert others.get("files", {}) == {file.path: {"sha256": file.sha256, "size": file.size} for file in value.files}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"package": None}, "package"),
        ({"package": []}, "package"),
        ({"package__name": "Polar"}, "hyphens"),
        ({"package__name": None}, "hyphens"),
        ({"package__publisher": "-x"}, "hyphens"),
        ({"package__publisher": "a" * 65}, "hyphens"),
        ({"package__name": ["x"]}, "no text"),
        ({"package__version": "1.0"}, "semantic version"),
        ({"package__version": None}, "semantic version"),
        ({"package__license": None}, "SPDX"),
        ({"package__license": "free as in beer"}, "SPDX"),
        ({"package__title": "x" * (TITLE_MAX + 1)}, "title"),
        ({"package__summary": "x" * (SUMMARY_MAX + 1)}, "summary"),
        ({"package__description": "x" * (DESCRIPTION_MAX + 1)}, "description"),
        ({"package__description": "bell \u0007"}, "control"),
        ({"package__title": "half \ud800"}, "Unicode|YAML"),
        ({"package__category": "x" * (LABEL_MAX + 1)}, "category"),
        ({"package__tags": "snow"}, "no list"),
        ({"package__tags": [["snow"]]}, "texts"),
        ({"package__tags": ["x" * (LABEL_MAX + 1)]}, "tags"),
        ({"package__tags": [str(number) for number in range(LABELS_MAX + 1)]}, "tags"),
        ({"package__engine_version": "latest"}, "requirement"),
        ({"package__ai_usage": "maybe"}, "ai_usage"),
        ({"dependencies": 5}, "dependencies"),
        ({"dependencies": ["a/b"]}, "dependency"),
        ({"dependencies": [{"id": "b"}]}, "publisher/name"),
        ({"dependencies": [{"id": "a/b", "version": "x"}]}, "requirement"),
        ({"dependencies": [{"id": "a/b", "source": "git"}]}, "Workshop"),
        ({"dependencies": [{"id": "a/b"}, {"id": "a/b"}]}, "twice"),
        ({"dependencies": {"required": 5}}, "no list"),
        ({"dependencies": [{"id": f"a/b{number}"} for number in range(DEPENDENCIES_MAX + 1)]}, "dependencies"),
        ({"files": []}, "files"),
        ({"files": {"../x": {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"/x": {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"a\\b": {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"a//b": {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"con": {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"": {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"a/" * 60 + "b" * FILE_PATH_MAX: {"sha256": SHA, "size": 1}}}, "every system"),
        ({"files": {"a": {"sha256": SHA, "size": 1}, "A": {"sha256": SHA, "size": 1}}}, "one"),
        ({"files": {"a": {"sha256": SHA, "size": 1}, "A/b": {"sha256": SHA, "size": 1}}}, "at once"),
        ({"files": {"manifest.yaml": {"sha256": SHA, "size": 1}}}, "itself"),
        ({"files": {"a": {"sha256": SHA[1:], "size": 1}}}, "SHA-256"),
        ({"files": {"a": {"sha256": SHA.upper(), "size": 1}}}, "SHA-256"),
        ({"files": {"a": {"sha256": SHA}}}, "size"),
        ({"files": {"a": {"sha256": SHA, "size": -1}}}, "size"),
        ({"files": {"a": {"sha256": SHA, "size": "1e3"}}}, "size"),
        ({"files": {"a": {"sha256": SHA, "size": FILE_SIZE_MAX + 1}}}, "more than"),
    ],
)
def test_wrong_fields_are_named(changes, word):
    with pytest.raises(FormatError, match=word):
        Manifest.parse(tree(**changes))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "manifest is missing"),
        (b"[]", "manifest is missing"),
        (b"just text", "manifest is missing"),
        (b"\xff\xfe", "UTF-8"),
        (b"a: [", "malformed"),
        (b"a: b: c", "malformed"),
        (b"\0", "malformed"),
        (b"a: 1\na: 2", "twice"),
        (b"? [a]\n: 1", "no text"),
        (b"~: 1", "no text"),
        (b"a: 1\n--- \nb: 2", "more than one"),
        (b"a: &x 1\nb: *x", "anchor"),
        (b"a: !!python/object/apply:os.system [id]", "tag"),
        (b"a: !!binary aGk=", "tag"),
        (b"a: " + b"[" * 20_000, "deeper|malformed"),
        (b"{a: " * 200, "deeper|malformed"),
    ],
)
def test_yaml_that_manifests_need_not(data, word):
    with pytest.raises(FormatError, match=word):
        Manifest.parse(data)


def test_an_alias_bomb_costs_nothing():
    lines = [b"a0: &a0 [x, x]"] + [b"a%d: &a%d [*a%d, *a%d]" % (n, n, n - 1, n - 1) for n in range(1, 60)]
    began = time.perf_counter()
    with pytest.raises(FormatError, match="anchor"):
        Manifest.parse(b"\n".join(lines))
    assert time.perf_counter() - began < 0.5


def test_yaml_limits(monkeypatch):
    with pytest.raises(FormatError, match=str(MANIFEST_MAX)):
        Manifest.parse(EXAMPLE.encode() + b"#" * MANIFEST_MAX)
    nested = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert parse_yaml(nested, size_max=100) is not None
    with pytest.raises(FormatError, match="deeper"):
        parse_yaml(b"[" + nested + b"]", size_max=100)
    monkeypatch.setattr(yamltree, "NODES_MAX", 4)
    assert parse_yaml(b"[1, 2, 3]", size_max=100) == ["1", "2", "3"]
    with pytest.raises(FormatError, match="more than 4"):
        parse_yaml(b"[1, 2, 3, 4]", size_max=100)


def test_a_manifest_too_long_to_read_is_not_written():
    many = [FileEntry(path=f"{number:05}" + "x" * 200, size=1, sha256=SHA) for number in range(15_000)]
    with pytest.raises(FormatError, match=str(MANIFEST_MAX)):
        manifest().with_files(many).dump()


@given(st.binary(max_size=100) | st.text(alphabet="package:\n -{}[]&*!|>\"'#,?%~ab1", max_size=60).map(str.encode))
def test_any_bytes_are_a_manifest_or_a_format_error(data):
    for document in (data, EXAMPLE.encode() + data):
        try:
            Manifest.parse(document)
        except FormatError:
            pass


def test_the_slow_loader_reads_the_same(monkeypatch):
    fast = Manifest.parse(EXAMPLE.encode())
    monkeypatch.setattr(yaml, "CSafeLoader", yaml.SafeLoader, raising=False)
    assert Manifest.parse(EXAMPLE.encode()) == fast


def test_the_header_copy_sheds_what_does_not_fit():
    full = manifest(description="short", dependencies=(needs("a/b"),)).with_files(files_of({"x": b"1"}))
    copy = Manifest.parse(full.header_copy(HEADER_MANIFEST_WRITE_MAX))
    assert (copy.files, copy.truncated, copy.description, copy.dependencies) == ((), False, "short", full.dependencies)
    assert full.agrees_with(copy)
    long = manifest(
        description="ё" * 5000,
        dependencies=tuple(needs(f"publisher-{number}/package") for number in range(100)),
        tags=tuple("🎮" * 10 + str(number) for number in range(LABELS_MAX)),
        summary="🎮" * SUMMARY_MAX,
        title="🎮" * TITLE_MAX,
        category="🎮" * LABEL_MAX,
        game_module="🎮" * LABEL_MAX,
    )
    raw = long.header_copy(HEADER_MANIFEST_WRITE_MAX)
    copy = Manifest.parse(raw)
    assert len(raw) <= HEADER_MANIFEST_WRITE_MAX
    assert copy.truncated
    assert (copy.description, copy.dependencies, copy.summary) == ("", (), long.summary)
    assert long.agrees_with(copy)
    assert not long.agrees_with(Manifest.parse(manifest("alice/tank-sounds@1.2.1").dump()))
    assert full.agrees_with(Manifest.parse(manifest(category="").dump()))
    assert not full.agrees_with(Manifest.parse(manifest(dependencies=(needs("a/c"),)).dump()))


def test_summary_line():
    assert manifest(summary="one\ntwo").summary_line == "one"
    assert manifest(description="first line\nmore").summary_line == "first line"
    assert manifest().summary_line == ""


@pytest.mark.parametrize(
    "text",
    [
        "MIT",
        "GPL-3.0-or-later",
        "GPL-2.0+",
        "(MIT OR CC0-1.0)",
        "MIT AND (ISC OR (Zlib AND X11))",
        "LicenseRef-mine",
        "DocumentRef-a:LicenseRef-b",
        "GPL-2.0-only WITH Classpath-exception-2.0 OR MIT",
        "0BSD",
    ],
)
def test_licence_expressions(text):
    assert is_license_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "()",
        "MIT OR",
        "OR MIT",
        "MIT MIT",
        "(MIT",
        "MIT)",
        "MIT AND OR ISC",
        "(MIT) WITH x",
        "MIT WITH",
        "MIT WITH (x)",
        "MIT WITH a WITH b",
        "-MIT",
        "a:b",
        "MIT/ISC",
        "MIT, ISC",
        "ё",
        "(" * 150,
        "A" * (EXPRESSION_MAX + 1),
    ],
)
def test_no_licence_expressions(text):
    assert not is_license_expression(text)
