"""`python -m icworkshop_gui.server` as an operator runs it: without Qt, without configuration, ended by SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from icworkshop_gui.server.__main__ import main

WITHOUT_QT = """
import sys
for name in ("PySide6", "qasync", "icworkshop_gui.gui"):
    sys.modules[name] = None
from icworkshop_gui.server.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="ends it by SIGTERM")
def test_it_starts_without_qt_and_ends_on_sigterm(tmp_path: Path) -> None:
    ports = ["--port", "0", "--bt-port", "0", "--udp-port", "0", "--host", "127.0.0.1"]
    command = [sys.executable, "-c", WITHOUT_QT, "--data", str(tmp_path / "d"), "--json", *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready["event"] == "ready"
            assert ready["bt_port"] > 0
            with urllib.request.urlopen(f"{ready['url']}/ready", timeout=20) as answer:
                assert json.load(answer)["status"] == "ready"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_tokens_are_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path), "--json"]
    assert main(["token", "create", "--publisher", "alice", "--expires", "30d", *data]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["token"].startswith("icw_")
    assert main(["token", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert "valid until" in listed
    assert made["token"] not in listed
    assert main(["token", "revoke", str(made["id"]), *data]) == 0
    assert main(["token", "list", *data]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "revoked"
    assert main(["token", "revoke", "99", *data]) == 3
    assert main(["token", "create", "--publisher", "Not Legal", *data]) == 1
    assert main(["token", "create", "--publisher", "a", "--expires", "soon", *data]) == 1
