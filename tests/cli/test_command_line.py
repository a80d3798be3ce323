"""`icworkshop` as a shell calls it: verbs, exit codes, JSON lines, interrupts, a real server process behind it."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from icworkshop_gui.cli.output import Output, safe, size_text, time_text
from icworkshop_gui.cli.torrent import unasked_seeds
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.snapshots import TransferSnapshot, TransferState
from icworkshop_gui.formats.metainfo import Metainfo
from tests.helpers.builders import content, package, torrent
from tests.helpers.engines import Workshop, workshop
from tests.helpers.programs import Program, cli
from tests.helpers.static_server import static_server

pytestmark = [pytest.mark.slow]
FILES = {"assets/map.bin": content(5_500_000, "map"), "README.md": b"# Delta\n"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    path = folder / "delta.icpkg"
    path.write_bytes(package(FILES, "mapsmith/delta@1.0.0", title="Delta", summary="Boats."))
    with workshop(folder) as running:
        running.publish(path)
        yield running


def test_the_life_of_a_package(server: Workshop, tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path / "data", "--source", server.url)
    code, lines, errors = cli("search", "delta", *where)
    assert code == 0, errors
    assert [line["id"] for line in lines if line["event"] == "package"] == ["mapsmith/delta"]
    code, lines, _ = cli("show", "mapsmith/delta", *where)
    assert (code, lines[-1]["readme"], lines[-1]["versions"]) == (0, "# Delta\n", ["1.0.0"])
    code, lines, errors = cli("install", "mapsmith/delta", "--tier", "lobby", *where)
    assert code == 0, errors
    done = lines[-1]
    assert done["event"] == "done"
    # A lobby pays for speed: at the end what is late at a peer or the web server is asked of others too.
    assert 0.99 * done["size"] <= done["from_peers"] + done["from_http"] <= 1.06 * done["size"]
    assert (Path(done["folder"]) / "assets" / "map.bin").read_bytes() == FILES["assets/map.bin"]
    code, lines, _ = cli("list", *where[:2])
    assert [(line["id"], line["damaged"]) for line in lines[:-1]] == [("mapsmith/delta", False)]
    blob = next(
        path for path in (tmp_path / "data" / "workshop" / "blobs").rglob("*") if path.stat().st_size > 1_000_000
    )
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.write(b"damage")
    code, lines, _ = cli("verify", *where[:2])
    assert (code, lines[-1]["event"]) == (5, "error")
    code, lines, errors = cli("verify", "--repair", *where)
    assert (code, lines[-1]["damaged"]) == (0, []), errors
    assert cli("verify", *where[:2])[0] == 0
    code, lines, _ = cli("remove", "mapsmith/delta", *where[:2])
    assert (code, lines[-1]["event"]) == (0, "done")
    assert lines[-1]["freed"] > 5_000_000
    assert cli("remove", "mapsmith/delta", *where[:2])[0] == 3


def test_pack_and_publish(server: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "my-map"
    (folder / "assets").mkdir(parents=True)
    (folder / "manifest.yaml").write_text(
        "package: {publisher: mapsmith, name: brook, version: 1.0.0, license: CC0-1.0, title: Brook, category: map,"
        " summary: Small., ai_usage: deny}\n"
    )
    (folder / "assets" / "a.bin").write_bytes(content(1000, "a"))
    first, second = tmp_path / "one.icpkg", tmp_path / "two.icpkg"
    for path in (first, second):
        code, lines, errors = cli("pack", folder, "-o", path)
        assert code == 0, errors
        assert lines[-1]["id"] == "mapsmith/brook@1.0.0"
    assert first.read_bytes() == second.read_bytes()
    source = ("--source", server.url)
    token = {"IC_WORKSHOP_TOKEN": server.token}
    assert cli("publish", first, *source, env={"IC_WORKSHOP_TOKEN": "wrong"})[0] == 1
    code, lines, errors = cli("publish", first, *source, env=token)
    assert code == 0, (lines, errors)
    code, lines, _ = cli("publish", folder, *source, env=token)
    assert (code, lines[-1]["event"]) == (4, "error"), "a published version never changes"
    (folder / "manifest.yaml").write_text("package: {publisher: mapsmith}\n")
    assert cli("pack", folder)[0] == 1


def test_exit_codes(server: Workshop, tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path / "data")
    assert cli("install", "no/such", "--source", server.url, *where)[0] == 3
    assert cli("install", "not-a-package", *where)[0] == 2
    assert cli("nonsense")[0] == 2
    code, lines, _ = cli("search", "x", "--source", "http://127.0.0.1:9", *where)
    assert (code, lines[-1]["event"], lines[-1]["code"]) == (1, "error", 1)
    bad = tmp_path / "bad.torrent"
    bad.write_bytes(b"d4:infod4:name1:aee")
    assert cli("torrent", "show", bad)[0] == 1
    assert cli("torrent", "download", bad, "--to", tmp_path, "--transport", "utp")[0] == 2
    assert cli("torrent", "download", "magnet:?xt=urn:btih:" + "ab" * 19, "--to", tmp_path, *where)[0] == 1


def test_show_says_what_a_torrent_or_magnet_says(tmp_path: Path) -> None:
    path = tmp_path / "x.torrent"
    path.write_bytes(torrent({"a/b.bin": content(40_000), "ц.txt": b"x"}, name="thing"))
    code, lines, _ = cli("torrent", "show", path)
    assert code == 0
    assert lines[0]["total_size"] == 40_001
    assert {file["path"] for file in lines[0]["files"]} == {"thing/a/b.bin", "thing/ц.txt"}
    code, lines, _ = cli("torrent", "show", "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=thing")
    assert (code, lines[0]["v1"], lines[0]["name"]) == (0, "ab" * 20, "thing")


def test_web_seeds_in_ones_own_network_are_asked_only_when_they_are_named() -> None:
    listed = ("http://192.168.1.5/x", "http://files.example/x", "http://nas/x")
    meta = replace(Metainfo.parse(torrent(b"x")), web_seeds=listed, http_seeds=("http://127.0.0.1/seed.php",))
    named = (*meta.web_seeds, *meta.http_seeds)
    assert unasked_seeds(named, []) == [listed[0], listed[2], "http://127.0.0.1/seed.php"]
    assert unasked_seeds(named, [listed[0], "http://127.0.0.1/seed.php"]) == [listed[2]]


def test_a_torrent_with_web_seeds(tmp_path: Path) -> None:
    root = tmp_path / "source" / "some folder"
    for number in range(5):
        (root / f"part {number}").mkdir(parents=True)
        (root / f"part {number}" / "data.bin").write_bytes(content(200_000 + number, number))
    path = tmp_path / "x.torrent"
    env = {"IC_DATA_DIR": str(tmp_path / "data")}
    with static_server(tmp_path / "source") as server:
        assert cli("torrent", "create", root, "-o", path, "--webseed", "ftp://x.example/")[0] == 2
        code, lines, errors = cli("torrent", "create", root, "-o", path, "--webseed", server.url,
                                  "--webseed", "https://mirror.example/x/", "--piece-length", "65536")  # fmt: skip
        assert code == 0, errors
        shown = cli("torrent", "show", path)[1][0]
        assert (shown["web_seeds"], shown["http_seeds"]) == ([server.url, "https://mirror.example/x/"], [])
        download = ("torrent", "download", path, "--no-trackers", "--no-dht", "--no-lsd", "--to")
        code, lines, errors = cli(*download, tmp_path / "to", "--webseed", server.url, env=env)
        assert code == 0, errors
        size = sum(200_000 + number for number in range(5))
        assert (lines[-1]["from_http"], lines[-1]["from_peers"], server.traffic.sent) == (size, 0, size)
        for number in range(5):
            name = f"part {number}/data.bin"
            assert (tmp_path / "to" / root.name / name).read_bytes() == (root / name).read_bytes()
        assert errors == ""
        # Not when it is not wished.
        with Program("torrent", "seed", path, root.parent, "--no-dht", "--no-lsd", "--json", env=env) as seeder:
            peer = f"127.0.0.1:{seeder.event('ready')['port']}"
            code, lines, errors = cli(*download, tmp_path / "again", "--webseed", server.url, "--no-webseeds",
                                      "--peer", peer, env=env)  # fmt: skip
        assert code == 0, errors
        assert (lines[-1]["from_http"], lines[-1]["from_peers"], server.traffic.sent) == (0, size, size)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupt_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    data = content(6_000_000, "slow")
    source = tmp_path / "source"
    source.mkdir()
    (source / "slow.bin").write_bytes(data)
    path = tmp_path / "slow.torrent"
    path.write_bytes(torrent(data, name="slow.bin", piece_length=65536))
    env = {"IC_DATA_DIR": str(tmp_path / "data")}
    with Program("torrent", "seed", path, source, "--no-dht", "--no-lsd", "--json", env=env) as seeder:
        port = seeder.event("ready")["port"]
        arguments = (
            "torrent",
            "download",
            path,
            "--to",
            tmp_path / "to",
            "--peer",
            f"127.0.0.1:{port}",
            "--no-dht",
            "--no-lsd",
            "--json",
        )
        with Program(*arguments, "--limit-down", "2 MB/s", env=env) as download:
            download.wait_for(lambda line: line.get("event") == "progress" and line["done"] > 500_000)
            download.process.send_signal(signal.SIGINT)
            assert download.finish() == 130
            assert download.lines[-1]["code"] == 130
        begun = time.monotonic()
        with Program(*arguments, env=env) as download:
            assert download.finish() == 0, download.errors
        assert time.monotonic() - begun < 30
        assert download.lines[-1]["wasted"] == 0
    assert (tmp_path / "to" / "slow.bin").read_bytes() == data
    assert not (tmp_path / "data" / "torrents").exists() or not any((tmp_path / "data" / "torrents").iterdir())


# --- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
        ("a\u202eb", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_a_strangers_text_steers_no_terminal(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (4_200_000, "4.2 MB"), (212_000_000, "212 MB")])
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "—"), (0.2, "1 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90_000, "> 1 day")],
)
def test_times(seconds: float | None, text: str) -> None:
    assert time_text(seconds) == text


def test_json_lines_stand_alone() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output(as_json=True, out=out, err=err)
    snapshot = TransferSnapshot(id=TransferId("t"), name="\x1b]0;x", state=TransferState.DOWNLOADING, size=10, done=5)
    output.progress([snapshot])
    output.line("for people")
    output.error("went wrong", 1)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["progress", "error"]
    assert lines[0]["done"] == 5
    assert err.getvalue() == ""


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "\x9b31m", "a\u202eb", "\u2028", "\ue000", 'quote " and \\', "Ж日本 é"]
)
def test_a_json_line_steers_no_terminal_and_reads_back(text: str) -> None:
    out = io.StringIO()
    Output(as_json=True, out=out, err=io.StringIO()).object(name=text)
    line = out.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert json.loads(line) == {"name": text}


def test_remarks_steer_no_terminal() -> None:
    err = io.StringIO()
    Output(as_json=False, out=io.StringIO(), err=err).note("\x1b]0;x\x07 stalled")
    assert "\x1b" not in err.getvalue()
    assert "stalled" in err.getvalue()
