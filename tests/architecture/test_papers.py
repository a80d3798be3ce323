"""Papers that name files and tests name ones that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "icworkshop_gui" / "wire"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (WIRE / "BEPS.md").read_text("utf-8").splitlines()
    if re.match(r"\| \d", line)
]


def named(cell: str) -> list[str]:
    return [path for path in re.findall(r"`([^`]+)`", cell) if "/" in path]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"BEP {row[0]} {row[1][:40]}")
def test_every_proposal_has_its_file_and_its_test(row: list[str]) -> None:
    _number, _what, files, tests = row
    assert named(files)
    assert named(tests)
    for path in named(files):
        assert (WIRE / path).is_file(), path
    for path in named(tests):
        assert (ROOT / path).is_file(), path


def test_every_proposal_that_the_code_names_is_in_the_table() -> None:
    listed = {int(row[0]) for row in ROWS}
    spoken = {
        int(number) for path in WIRE.rglob("*.py") for number in re.findall(r"\bBEP (\d+)", path.read_text("utf-8"))
    }
    assert spoken <= listed, f"BEPS.md says nothing of {sorted(spoken - listed)}"


def test_the_defences_name_tests_that_there_are() -> None:
    folder = ROOT / "tests"
    checked = 0
    for line in (folder / "DEFENCES.md").read_text("utf-8").splitlines():
        if not line.startswith("| D-"):
            continue
        where = line.strip("|").split("|")[2]
        for group in where.split(";"):
            path, _, tests = group.strip().partition(":")
            text = (folder / (path.strip().strip("`") + ".py")).read_text("utf-8")
            for name in filter(None, (test.strip().strip("`") for test in tests.split(","))):
                assert f"def test_{name}(" in text, f"{path} has no test_{name}"
                checked += 1
    assert checked > 50
