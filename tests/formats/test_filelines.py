"""The quick reading of a manifest's files sees what the YAML reader sees, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import FileEntry
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import manifest as module
from icworkshop_gui.formats.filelines import split_files
from icworkshop_gui.formats.manifest import Manifest
from tests.helpers.builders import manifest

SHA = "9f" * 32
NAMES = st.sampled_from(["a", "null", "true", "maps/x.bin", "B/Ü ber.txt", "a, b", "it's #1", "~", "no", "9", "漢/字"])
HEAD = "package:\n  name: x\n  publisher: a\n  version: 1.0.0\n  license: MIT\n"
LINE = f'  a: {{sha256: "{SHA}", size: 1}}\n'


def slowly(data: bytes) -> Manifest | str:
    """By the YAML reader alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "split_files", lambda _data: None)
        return outcome(data)


def outcome(data: bytes) -> Manifest | str:
    try:
        return Manifest.parse(data)
    except FormatError as error:
        return str(error)


@given(st.dictionaries(NAMES, st.integers(0, 10**12), min_size=1))
def test_what_we_write_is_read_quickly_and_the_same(files: dict[str, int]) -> None:
    data = manifest().with_files(FileEntry(path=path, size=size, sha256=SHA) for path, size in files.items()).dump()
    lines = split_files(data)
    assert lines is not None
    assert {file.path: file.size for file in lines.files} == files
    assert outcome(data) == slowly(data)


PIECES = st.sampled_from(
    [
        *(HEAD, LINE, "files:\n", "\nfiles:\n", "\n", "  ", "---\n", "...\n", "%YAML 1.1\n", "# files:\n", "&a ", "*a"),
        *(
            "  summary: |\n    x\n",
            '  summary: "',
            '"\n',
            "tags: [",
            "]\n",
            "{",
            "}",
            "? x\n",
            ": ",
            "- a\n",
            "\r",
            "\t",
        ),
        *(
            " x:\n",
            "null: 1\n",
            "files: {}\n",
            "\u2028",
            "\x85",
            "'",
            "é",
            "!!str ",
            "  title: a\n b\n",
            "\\",
            "<<: {}\n",
        ),
        *(LINE.replace(" a:", " null:"), LINE.replace(" a:", " 'a':"), LINE.replace("size: 1", "size: 01"), LINE[:-1]),
    ]
)


@given(st.lists(PIECES, max_size=8), st.lists(PIECES, max_size=5), st.booleans())
def test_whatever_the_file_both_readers_say_the_same(head: list[str], tail: list[str], marked: bool) -> None:
    text = HEAD + "".join(head) + ("files:\n" + LINE if marked else "") + "".join(tail)
    data = text.encode()
    assert outcome(data) == slowly(data)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + 'title: "\nfiles:\n' + LINE + '"\n',
        HEAD + "...\nfiles:\n" + LINE,
        HEAD + "x: {\nfiles:\n" + LINE + "}\n",
        HEAD + "files: {}\nx: 1\nfiles:\n" + LINE,
        "--- |\n" + HEAD + "files:\n" + LINE,
        HEAD + "files:\n" + LINE + LINE,
        HEAD + "files:\n" + LINE.replace("  a", "  " + "a" * 500),
    ],
)
def test_texts_that_only_look_like_ours(text: str) -> None:
    assert outcome(text.encode()) == slowly(text.encode())


def test_too_many_lines_are_left_to_the_other_reader() -> None:
    assert split_files((HEAD + "files:\n" + LINE * 100_001).encode()) is None
