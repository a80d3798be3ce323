"""Where the data directory is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from icworkshop_gui.store.paths import PORTABLE_MARKER, StorePaths, data_dir


def test_first_that_applies(tmp_path: Path) -> None:
    program = tmp_path / "app" / "icworkshop"
    program.parent.mkdir()
    env = {"IC_DATA_DIR": str(tmp_path / "env"), "IC_PORTABLE": "1", "XDG_DATA_HOME": str(tmp_path / "xdg")}
    assert data_dir(tmp_path / "told", environment=env, program=program) == tmp_path / "told"
    assert data_dir(environment=env, program=program) == tmp_path / "env"
    del env["IC_DATA_DIR"]
    assert data_dir(environment=env, program=program) == tmp_path / "app" / "data"
    env["IC_PORTABLE"] = "0"
    assert data_dir(environment=env, program=program, portable=True) == tmp_path / "app" / "data"
    if sys.platform == "linux":
        assert data_dir(environment=env, program=program) == tmp_path / "xdg" / "iron-curtain"
        for xdg in ({}, {"XDG_DATA_HOME": "relative"}):
            home = Path.home() / ".local" / "share" / "iron-curtain"
            assert data_dir(environment=xdg, program=program) == home
    (program.parent / PORTABLE_MARKER).touch()
    assert data_dir(environment=env, program=program) == tmp_path / "app" / "data"


def test_relative_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_dir("here") == tmp_path / "here"


def test_the_folders(tmp_path: Path) -> None:
    paths = StorePaths.below(tmp_path)
    paths.create()
    paths.create()
    assert paths.blobs == tmp_path / "workshop" / "blobs"
    assert paths.packages.is_dir()
    assert paths.install == tmp_path / "mods"
    assert StorePaths.below(tmp_path, install=tmp_path / "game").install == tmp_path / "game"
