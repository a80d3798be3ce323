"""The house rules that a machine can check: layers, stdlib-only core, no Qt outside the window, licences."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "icworkshop_gui"


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def test_import_contracts_hold() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(script), "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda path: path.stem)
def test_core_imports_the_standard_library_only(path: Path) -> None:
    for name in imports_of(path):
        top = name.split(".")[0]
        assert top in sys.stdlib_module_names or name.startswith("icworkshop_gui.core"), name


def test_only_the_window_imports_qt() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "gui"):
            continue
        found = {name for name in imports_of(path) if name.split(".")[0] in ("PySide6", "shiboken6", "qasync")}
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


@pytest.mark.parametrize("module", ["icworkshop_gui.server.__main__", "icworkshop_gui.cli.__main__"])
def test_server_and_command_line_start_without_qt(module: str) -> None:
    code = (
        "import sys\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('PySide6', 'qasync', 'shiboken6'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Wall())\n"
        "sys.argv = ['prog', '--help']\n"
        f"import runpy; runpy.run_module({module!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "usage" in done.stdout.lower()


def test_clock_and_chance_are_parameters() -> None:
    """Style rule 13: nothing below the composition roots asks the machine for time or randomness."""
    for folder in ("formats", "wire", "engine/swarm"):
        for path in (PACKAGE / folder).rglob("*.py"):
            bad = imports_of(path) & {"time", "socket", "secrets"}
            assert not bad, f"{path.relative_to(ROOT)} imports {bad}"


# Every licence here may be combined with GPL-3.0-or-later.
COMPATIBLE = re.compile(
    r"\b(MIT|BSD|ISC|Apache|PSF|Python Software Foundation|MPL|Mozilla|LGPL|Lesser|GPL|GNU General|Unlicense|"
    r"Public Domain|Zlib|HPND|0BSD|CC0|CNRI)\b",
    re.IGNORECASE,
)
TESTS_ONLY = {"bencode-py"}
"""`bencode.py` carries the BitTorrent Open Source License: an oracle for the tests, never shipped (DESIGN §4.17)."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str, extras: set[str], seen: set[str]) -> None:
    """Walk what `name` with `extras` needs here."""
    if normal(name) in seen:
        return
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return  # for another platform or Python
    seen.add(normal(name))
    for line in distribution.requires or ():
        head, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if extra is None or extra.group(1) in extras:
            inner = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", head)
            assert inner is not None
            requirements(inner.group(1), set(filter(None, (inner.group(2) or "").split(","))), seen)


def shipped() -> set[str]:
    seen: set[str] = set()
    requirements("icworkshop-gui", {"gui", "server"}, seen)
    return seen


def licence_text(name: str) -> str:
    meta = importlib.metadata.metadata(name)
    classifiers = " ".join(c for c in meta.get_all("Classifier") or () if c.startswith("License"))
    return f"{meta.get('License-Expression') or ''} {(meta.get('License') or '')[:200]} {classifiers}"


def test_every_shipped_dependency_may_live_in_a_gpl_program() -> None:
    names = shipped()
    assert {"pyside6-essentials", "aiohttp", "fastapi"} <= names, "the project is not installed with its extras"
    assert not names & TESTS_ONLY
    unknown = {name: licence_text(name) for name in sorted(names) if not COMPATIBLE.search(licence_text(name))}
    assert not unknown


def test_the_lock_file_names_no_registry() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    assert "--hash=sha256:" in text


def test_what_others_must_not_guess_comes_from_the_system() -> None:
    """engine.md F D-17: `random` is imported for its types; generators are the system's, or drawn from a world's."""
    allowed = {"SystemRandom", "Random"}
    made: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "gui") or path.is_relative_to(PACKAGE / "demo"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
                assert node.attr in allowed, f"{path.relative_to(ROOT)} uses random.{node.attr}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("random.Random", "Random"):
                made.setdefault(path.relative_to(PACKAGE).as_posix(), []).append(ast.unparse(node))
    # Only turns the order in which a tracker hands out peers.
    assert made == {"server/tracker/tracker.py": ["random.Random(rng.getrandbits(64))"]}
    assert "random.SystemRandom()" in (PACKAGE / "engine" / "host.py").read_text("utf-8")
