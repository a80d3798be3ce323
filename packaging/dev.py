#!/usr/bin/env python3
"""Sets up a checkout and runs it; needs git and Python 3.11 to 3.13 with venv, nothing else.

    python3 packaging/dev.py demo     the window, on a Workshop of its own with sample content
    python3 packaging/dev.py test     every check: style, types, layers, tests
    python3 packaging/dev.py run …    any of the three programs, e.g. `run icworkshop --help`
    python3 packaging/dev.py lock     write requirements.lock anew (needs uv)

The environment is `.venv` beside this checkout's README; deleting that folder undoes everything except
system libraries.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

QT_LIBRARIES = (
    *("libglib2.0-0", "libgl1", "libegl1", "libxkbcommon0", "libfreetype6", "libfontconfig1", "libdbus-1-3"),
    *("libxkbcommon-x11-0", "libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-shape0"),
    "fonts-noto-core",
)
"""What Qt needs of Debian 12 and Ubuntu 24.04 (the last: glyphs for scripts that Inter lacks)."""


def say(text: str) -> None:
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


def run(*command: str | Path, **kwargs: object) -> int:
    return subprocess.run([str(part) for part in command], cwd=ROOT, **kwargs).returncode  # type: ignore[call-overload,no-any-return]


def become(*command: str | Path) -> int:
    """Run a program in our place, where that can be: signals reach it, and it has the time that it needs to end."""
    if os.name != "posix":
        return run(*command)
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(command[0], [str(part) for part in command])


def environment() -> None:
    """Make or refresh `.venv` from the lock file, and the program's byte code; what is up to date is left alone."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(f"This needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}.")
    wanted = hashlib.sha256(
        LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    ).hexdigest()
    mark = VENV / "icworkshop.lock"
    if not (mark.is_file() and mark.read_text() == wanted):
        set_up(mark, wanted)
    # Where Python may not write byte code (PYTHONDONTWRITEBYTECODE) each start would compile all of the program anew.
    run(PYTHON, "-m", "compileall", "-q", "icworkshop_gui")


def set_up(mark: Path, wanted: str) -> None:
    """A new `.venv`; `mark` says `wanted` once it is complete."""
    say("Setting up .venv (once; about 300 MB) …")
    try:
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    except subprocess.CalledProcessError:
        sys.exit("Python's venv module is incomplete here. On Debian and Ubuntu: apt install python3-venv")
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input")
    if run(*pip, "--require-hashes", "-r", LOCK) != 0:
        sys.exit("The packages of requirements.lock could not be installed; see the lines above.")
    if run(*pip, "--no-deps", "--no-build-isolation", "-e", ".") != 0:
        sys.exit("The project itself could not be installed; see the lines above.")
    mark.write_text(wanted)


def qt_works() -> bool:
    code = "import PySide6.QtWidgets, PySide6.QtSvg, PySide6.QtNetwork"
    if run(PYTHON, "-c", code, stderr=subprocess.DEVNULL) != 0:
        return False
    if not sys.platform.startswith("linux"):
        return True
    import_path = subprocess.run(
        [str(PYTHON), "-c", "import PySide6, os; print(os.path.dirname(PySide6.__file__))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    plugin = Path(import_path, "Qt", "plugins", "platforms", "libqxcb.so")
    listed = subprocess.run(["ldd", str(plugin)], capture_output=True, text=True, check=False).stdout
    return "not found" not in listed


def system_libraries() -> None:
    """Put Qt's system libraries there, or say exactly what to install."""
    if qt_works():
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *QT_LIBRARIES]
    if shutil.which("apt-get") is None:
        sys.exit(
            "Qt needs system libraries that are missing here. On Debian and Ubuntu they are:\n  "
            + " ".join(QT_LIBRARIES)
        )
    prefix: list[str] = []
    if os.name == "posix" and os.geteuid() != 0:
        if shutil.which("sudo") is None or run("sudo", "-n", "true", stderr=subprocess.DEVNULL) != 0:
            sys.exit("Qt needs system libraries. Install them, then run this again:\n  sudo " + " ".join(command))
        prefix = ["sudo", "-n"]
    say("Installing the system libraries that Qt needs …")
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    run(*prefix, "apt-get", "update", "-qq", **quiet)
    if run(*prefix, *command, **quiet) != 0 or not qt_works():
        sys.exit("That did not work. Install them, then run this again:\n  sudo " + " ".join(command))


def demo(arguments: list[str]) -> int:
    environment()
    system_libraries()
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        sys.exit(
            "There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set).\n"
            "On a machine without one: apt install xvfb, then xvfb-run -a python3 packaging/dev.py demo"
        )
    return become(BIN / "icworkshop-gui", "--demo", *arguments)


def test(arguments: list[str]) -> int:
    """The gates in the order of their cost; the first red one ends the run."""
    environment()
    system_libraries()
    gates: list[tuple[str, list[str | Path]]] = [
        ("format", [BIN / "ruff", "format", "--check", "-q", "."]),
        ("style", [BIN / "ruff", "check", "-q", "."]),
        ("types", [BIN / "mypy"]),
        ("layers", [BIN / "lint-imports", "--no-cache"]),
    ]
    if not arguments:
        for name, command in gates:
            say(f"{name} …")
            if run(*command) != 0:
                say(f"{name}: failed")
                return 1
    say("tests …")
    own = {"QT_QPA_PLATFORM": "offscreen"}
    return run(PYTHON, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *arguments, env={**os.environ, **own})


def lock() -> int:
    return run(
        "uv", "pip", "compile", "pyproject.toml", "packaging/build-requirements.txt", "--all-extras",
        "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header",
        "--quiet", "-o", "requirements.lock",
    )  # fmt: skip


def main() -> int:
    command, *arguments = sys.argv[1:] or ["help"]
    match command:
        case "demo":
            return demo(arguments)
        case "test":
            return test(arguments)
        case "lock":
            return lock()
        case "run" if arguments:
            environment()
            return become(BIN / arguments[0], *arguments[1:])
        case _:
            print(__doc__)
            return 0 if command in ("help", "-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main())
