"""The command line where things are not as they should be, and on a terminal."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from icworkshop_gui.engine.lock import EngineLock
from tests.helpers.builders import content, needs, package
from tests.helpers.engines import Workshop, workshop
from tests.helpers.programs import ROOT, Program, cli

pytestmark = pytest.mark.slow
posix = pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    with workshop(folder) as running:
        for ref, files, fields in (
            ("mapsmith/base@1.0.0", {"a.bin": b"base"}, {}),
            ("mapsmith/dunes@1.0.0", {"a.bin": b"dunes"}, {"dependencies": (needs("mapsmith/base"),)}),
            ("mapsmith/delta@1.0.0", {"a.bin": content(6_000_000, "delta")}, {"title": "Delta"}),
            ("mapsmith/base@2.0.0", {"a.bin": b"base", "b.bin": b"more"}, {}),
            (
                "mapsmith/campaign@1.0.0",
                {"c.bin": content(200_000, "campaign")},
                {
                    "dependencies": (
                        needs("mapsmith/dunes"),
                        needs("mapsmith/base"),
                        needs("mapsmith/delta", optional=True),
                    )
                },
            ),
        ):
            path = folder / "x.icpkg"
            path.write_bytes(package(files, ref, **fields))
            running.publish(path)
        yield running


def plain(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As people run it: no `--json`."""
    command = [sys.executable, "-m", "icworkshop_gui.cli.__main__", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_what_others_need_is_not_removed(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path)
    assert plain("install", "mapsmith/dunes", "--source", server.url, *here).returncode == 0
    refused = plain("remove", "mapsmith/base", *here)
    assert refused.returncode == 4
    assert "mapsmith/dunes" in refused.stderr
    assert plain("remove", "mapsmith/base", "--force", *here).returncode == 0
    assert plain("verify", "mapsmith/base", *here).returncode == 3


def test_what_nothing_needs_any_more_goes_when_asked(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path, "--source", server.url)
    assert plain("install", "mapsmith/dunes", *here).returncode == 0
    assert "needed by others" in plain("list", *here).stdout
    assert "Everything that is here is needed." in plain("gc", *here).stdout
    assert plain("remove", "mapsmith/dunes", *here).returncode == 0

    told = plain("gc", "--dry-run", *here)
    assert "mapsmith/base@1.0.0" in told.stdout
    assert "nothing needs it" in told.stdout
    assert "would free" in told.stdout
    assert plain("pin", "mapsmith/base", *here).stdout == "mapsmith/base@1.0.0 stays.\n"
    assert "Everything that is here is needed." in plain("gc", *here).stdout
    assert plain("pin", "mapsmith/base", "--off", *here).returncode == 0
    _, lines, _ = cli("gc", *here)

    assert [line["id"] for line in lines if line["event"] == "removed"] == ["mapsmith/base"]
    assert lines[-1]["freed"] >= len(b"base")
    assert cli("list", *here)[1] == [{"event": "done", "total": 0}]
    assert not [path for path in (tmp_path / "workshop" / "blobs").rglob("*") if path.is_file()]


def test_a_dry_run_says_what_would_change_and_changes_nothing(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path, "--source", server.url)
    told = plain("install", "mapsmith/campaign", "--dry-run", *here)

    assert told.returncode == 0, told.stderr
    assert [line.split()[:2] for line in told.stdout.splitlines()[:3]] == [
        ["+", "mapsmith/base"],
        ["+", "mapsmith/dunes"],
        ["+", "mapsmith/campaign"],
    ]
    assert "needed by mapsmith/campaign, mapsmith/dunes" in told.stdout
    assert "to fetch for 3 packages" in told.stdout
    assert cli("list", *here)[1] == [{"event": "done", "total": 0}]


def test_what_a_removal_takes_along(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path, "--source", server.url)
    assert plain("install", "mapsmith/dunes", *here).returncode == 0

    alone = plain("remove", "mapsmith/base", "--dry-run", *here).stdout.splitlines()
    assert [line.split()[:2] for line in alone[:1]] == [["-", "mapsmith/base"]]
    assert "! mapsmith/dunes@1.0.0 stays, but needs what goes." in alone
    _, lines, _ = cli("remove", "mapsmith/base", "--all", "--dry-run", *here)
    assert [(line["kind"], line["id"], line["why"]) for line in lines if line["event"] == "change"] == [
        ("remove", "mapsmith/dunes", "needs"),
        ("remove", "mapsmith/base", "asked"),
    ]
    assert lines[-1]["disk"] < 0

    assert plain("remove", "mapsmith/dunes", "--all", *here).returncode == 0
    assert cli("list", *here)[1] == [{"event": "done", "total": 0}]


def test_the_tree_of_a_package(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path, "--source", server.url)
    assert plain("install", "mapsmith/base@1.0.0", *here).returncode == 0

    told = plain("tree", "mapsmith/campaign", *here)

    assert told.stdout.splitlines() == [
        "mapsmith/campaign@1.0.0  205 KB to fetch",
        "├─ mapsmith/base@1.0.0  is here",
        "└─ mapsmith/dunes@1.0.0  4.7 KB to fetch",
        "   └─ mapsmith/base@1.0.0  is here",
        "209 KB to fetch for 2 packages.",
    ]


def test_versions_that_exclude_each_other(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path, "--source", server.url)
    refused = plain("install", "mapsmith/dunes", "mapsmith/base@2.0.0", *here)

    assert refused.returncode == 4
    assert "mapsmith/base is needed in versions that exclude each other" in refused.stderr
    assert "Take mapsmith/base 1.0.0 instead of =2.0.0: that works." in refused.stderr
    assert plain("install", "mapsmith/base@1.0.0", "mapsmith/base@2.0.0", *here).returncode == 4


def test_a_lock_file_brings_exactly_what_it_names(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path / "a", "--source", server.url)
    there = ("--data-dir", tmp_path / "b", "--source", server.url)
    path = tmp_path / "ic.lock"
    assert plain("install", "mapsmith/dunes", *here).returncode == 0
    assert plain("lock", "-o", path, *here).returncode == 0

    assert plain("install", "--locked", path, *there).returncode == 0

    installed = [line["id"] + "@" + line["version"] for line in cli("list", *there)[1] if line["event"] == "package"]
    assert installed == ["mapsmith/base@1.0.0", "mapsmith/dunes@1.0.0"]
    assert plain("lock", *there).stdout.encode() == path.read_bytes()
    assert "Nothing to do" in plain("install", "--locked", path, *there).stdout


def test_a_lock_file_with_other_content(server: Workshop, tmp_path: Path) -> None:
    here = ("--data-dir", tmp_path / "a", "--source", server.url)
    path = tmp_path / "ic.lock"
    assert plain("install", "mapsmith/base@1.0.0", *here).returncode == 0
    assert plain("lock", "-o", path, *here).returncode == 0
    text = path.read_text()
    path.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", text))

    refused = plain("install", "--locked", path, "--data-dir", tmp_path / "b", "--source", server.url)

    assert refused.returncode == 5
    assert "has other content for mapsmith/base@1.0.0 than the lock file names" in refused.stderr
    assert cli("list", "--data-dir", tmp_path / "b")[1] == [{"event": "done", "total": 0}]
    path.write_text(text.replace("ic_lock_version = 1", "ic_lock_version = 9"))
    assert "reads version 1" in plain("install", "--locked", path, *here).stderr
    assert plain("install", "--locked", tmp_path / "none", *here).returncode == 1
    assert "not both" in plain("install", *here).stderr


def test_beside_a_running_program(server: Workshop, tmp_path: Path) -> None:
    """Its library is locked; the catalog is open to everybody."""
    lock = EngineLock.take(tmp_path)
    try:
        here = ("--data-dir", tmp_path, "--source", server.url)
        assert cli("search", "dunes", *here)[0] == 0
        assert cli("show", "mapsmith/dunes", *here)[0] == 0
        for verb in (("list",), ("install", "mapsmith/dunes"), ("verify",), ("remove", "mapsmith/dunes")):
            told = plain(*verb, *here)
            assert told.returncode == 4
            assert "Another Workshop program is using" in told.stderr
            assert "--data-dir" in told.stderr
    finally:
        lock.release()


def test_publishing_is_refused_with_what_to_do(server: Workshop, tmp_path: Path) -> None:
    token = {"IC_WORKSHOP_TOKEN": server.token}
    mine = tmp_path / "mine.icpkg"
    mine.write_bytes(package({"a": b"x"}, "mapsmith/refused@1.0.0"))
    alone = tmp_path / "alone.icpkg"
    alone.write_bytes(package({"a": b"x"}, "mapsmith/alone@1.0.0", dependencies=(needs("mapsmith/nowhere"),)))
    junk = tmp_path / "junk.icpkg"
    junk.write_bytes(b"junk" * 2000)
    to = ("--source", server.url)
    for path, where, env, words in (
        (mine, to, {}, "IC_WORKSHOP_TOKEN"),
        (mine, to, {"IC_WORKSHOP_TOKEN": "wrong" * 8}, "does not know this token"),
        (alone, to, token, "mapsmith/nowhere"),
        (junk, to, token, "is no package"),
        (mine, ("--data-dir", tmp_path), token, "--source"),
        (mine, ("--source", "http://127.0.0.1:9"), token, "127.0.0.1:9"),
    ):
        code, lines, _ = cli("publish", path, *where, env={"IC_WORKSHOP_TOKEN": "", **env})
        assert code == 1, lines
        assert words in lines[-1]["message"]


def test_a_package_that_contradicts_itself_is_an_integrity_error(server: Workshop, tmp_path: Path) -> None:
    data = content(50_000, "broken")
    raw = bytearray(package({"a.bin": data}, "mapsmith/broken@1.0.0"))
    raw[raw.index(data[:64]) + 100] ^= 1
    path = tmp_path / "broken.icpkg"
    path.write_bytes(raw)
    code, lines, _ = cli("publish", path, "--source", server.url, env={"IC_WORKSHOP_TOKEN": server.token})
    assert code == 5, lines
    assert "Pack it again" in lines[-1]["message"]


@posix
def test_publishing_can_be_interrupted(tmp_path: Path) -> None:
    """Against a server that takes a few bytes and then sleeps."""
    path = tmp_path / "slow.icpkg"
    path.write_bytes(package({"a.bin": content(12_000_000, "slow")}, "mapsmith/slow@1.0.0"))
    reached = threading.Event()
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            connection, _ = listening.accept()
            taken.append(connection)
            connection.recv(1000)
            reached.set()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        env = {"IC_WORKSHOP_TOKEN": "t" * 30, "TMPDIR": str(scratch)}
        with Program("publish", path, "--source", url, "--json", env=env) as program:
            assert reached.wait(20)
            program.process.send_signal(signal.SIGINT)
            assert program.finish(20) == 130
            assert program.lines[-1]["code"] == 130
        thread.join(5)
        for connection in taken:
            connection.close()
    assert not list(scratch.iterdir())


@posix
def test_a_bar_on_a_terminal(server: Workshop, tmp_path: Path) -> None:
    """It is drawn over itself, never wraps, and is gone when the result stands there."""
    import fcntl
    import pty
    import struct
    import termios

    (tmp_path / "settings.toml").write_text('[workshop.p2p]\nmax_download_speed = "4 MB/s"\n', encoding="utf-8")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "icworkshop_gui.cli.__main__",
            "install",
            "mapsmith/delta",
            "--source",
            server.url,
            "--data-dir",
            str(tmp_path),
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    end = time.monotonic() + 30
    try:
        while time.monotonic() < end and select.select([ours], [], [], 30)[0]:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # Linux: the other end is closed
                break
        assert process.wait(10) == 0, seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    drawn = seen.decode().split("\r\x1b[K")
    bars = [text for text in drawn if text.startswith("[")]
    assert len({re.match(r"\[[#.]{24}\] +(\d+) %", bar).group(1) for bar in bars}) > 3  # type: ignore[union-attr]
    assert all(len(bar) < 60 and "\n" not in bar for bar in bars)
    assert re.fullmatch(r"Delta mapsmith/delta@1\.0\.0 is installed in \S+\r\n", drawn[-1])
