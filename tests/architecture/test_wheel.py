"""What is shipped: every module and resource, nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_SHIPPED = "screenshots"
"""Pictures of the README."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_is_the_program_and_its_resources(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    program = {f"icworkshop_gui/{name}" for name in files_below(ROOT / "icworkshop_gui")}
    resources = {
        f"icworkshop_gui/_data/resources/{name}"
        for name in files_below(ROOT / "resources")
        if not name.startswith(NOT_SHIPPED)
    }
    assert names == program | resources
    assert any(name.endswith("samples.toml") for name in names)
    assert any(name.endswith(".ttf") for name in names)


@pytest.mark.slow
def test_the_wheel_says_its_licence_and_its_programs(wheel: zipfile.ZipFile) -> None:
    info = {name.rpartition("/")[2]: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert info["LICENSE"].lstrip().startswith("GNU GENERAL PUBLIC LICENSE")
    assert "License-Expression: GPL-3.0-or-later" in info["METADATA"]
    assert "Requires-Python: <3.14,>=3.11" in info["METADATA"]
    for program in ("icworkshop-gui", "icworkshop-server", "icworkshop"):
        assert f"\n{program} = " in info["entry_points.txt"]
    for name in ("bencode.py", "bencodepy"):
        assert not [line for line in info["METADATA"].splitlines() if name in line and "extra == 'dev'" not in line]
