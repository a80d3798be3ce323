"""`python -m icworkshop_gui.demo` as the window starts it: up, used, and gone without a trace."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from icworkshop_gui.demo.content import files_of
from icworkshop_gui.demo.packages import load_samples
from tests.helpers.programs import ROOT, cli

pytestmark = pytest.mark.slow
PACKAGE = "red-steppe/siege-works"


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    def ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] in ("ready", "error"):
                return self.lines[-1]
        raise AssertionError(f"it ended: {self.lines}")

    def answers(self) -> bool:
        parts = urlsplit(self.lines[-1]["source"])
        try:
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
        except OSError:
            return False
        return True

    def silent_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.answers():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


@contextmanager
def demo(*arguments: str, temporary: Path) -> Iterator[Running]:
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "icworkshop_gui.demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Running(process)
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_a_package_arrives_from_three_players_and_nothing_stays(tmp_path: Path) -> None:
    with demo("--only", PACKAGE, temporary=tmp_path / "tmp") as running:
        ready = running.ready()
        assert ready["event"] == "ready", ready
        assert [line["event"] for line in running.lines[:2]] == ["progress", "progress"]
        assert Path(ready["folder"]).parent == tmp_path / "tmp"
        code, lines, errors = cli("install", PACKAGE, "--source", ready["source"], "--data-dir", tmp_path / "data")
        assert code == 0, errors
        assert max(line["peers"] for line in lines if line["event"] == "progress") == 3
        done = lines[-1]
        assert done["from_peers"] >= 0.95 * done["size"]
        assert done["from_http"] == 0
    sample = next(sample for sample in load_samples() if str(sample.ref.package) == PACKAGE)
    for file in files_of(sample):
        with file.open() as published:
            wanted = hashlib.sha256(published.read()).hexdigest()
        assert hashlib.sha256((Path(done["folder"]) / file.path).read_bytes()).hexdigest() == wanted, file.path
    assert running.process.returncode == 0
    assert not running.answers()
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_sigterm_while_it_builds_leaves_nothing(tmp_path: Path) -> None:
    with demo(temporary=tmp_path / "tmp") as running:
        assert running.process.stdout is not None
        running.process.stdout.readline()
        running.process.terminate()
        assert running.process.wait(20) == 0
    assert not list((tmp_path / "tmp").iterdir())


def test_a_killed_demo_takes_its_server_along(tmp_path: Path) -> None:
    with demo("--only", "ladder-crew/balance-2", temporary=tmp_path / "tmp") as running:
        assert running.ready()["event"] == "ready"
        assert running.answers()
        running.process.kill()
        running.process.wait()
        assert running.silent_within(10)


def test_a_kept_demo_is_found_again(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    arguments = ("--keep", str(kept), "--only", "ladder-crew/fair-start")
    with demo(*arguments, temporary=tmp_path / "tmp") as running:
        first = running.ready()
        assert first["folder"] == str(kept)
        with demo(*arguments, temporary=tmp_path / "tmp") as second:
            refused = second.ready()
            assert refused["event"] == "error"
            assert "Another Workshop program is using" in refused["message"]
        assert second.process.returncode == 1
    with demo(*arguments, temporary=tmp_path / "tmp") as running:
        again = running.ready()
        assert again["source"] == first["source"], "what was installed names this server"
        assert not [line for line in running.lines if line.get("step") == "publish"]
        assert cli("show", "ladder-crew/fair-start", "--source", again["source"])[0] == 0
    assert (kept / "server").is_dir()
