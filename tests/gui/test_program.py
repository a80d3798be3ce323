"""The desktop program as a whole: first run, one per data directory, tray, faults, an orderly end."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtNetwork import QLocalSocket
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from icworkshop_gui import __version__
from icworkshop_gui.core.errors import Conflict, UserError
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.events import TransferFinished
from icworkshop_gui.gui import prefs as window_prefs
from icworkshop_gui.gui.bridge import EngineBridge
from icworkshop_gui.gui.crash_log import WORDS, CrashLog
from icworkshop_gui.gui.demo_child import DemoChild
from icworkshop_gui.gui.dialogs.first_run import FirstRunSheet
from icworkshop_gui.gui.main import parse
from icworkshop_gui.gui.prefs import FIRST_RUN_DONE, TOLD_ABOUT_TRAY
from icworkshop_gui.gui.program import INTERRUPTED, Program
from icworkshop_gui.gui.single_instance import CALLERS_MAX, WORDS_MAX, SingleInstance, call_first, channel
from icworkshop_gui.gui.tray import LOOKS_MAX, Tray, speeds
from tests.helpers.desk import choose
from tests.helpers.fake_engine import FakeEngine
from tests.helpers.sample_content import CATALOG, LIBRARY, TOTALS, TRANSFERS

# --- tray ------------------------------------------------------------------------------------------


class Tells(Tray):
    """Keeps what it would have shown as a notification."""

    def __init__(self, bridge: EngineBridge, **options: Any) -> None:
        self.told: list[tuple[str, str]] = []
        super().__init__(bridge, **options)

    def tell(self, title: str, text: str) -> None:
        self.told.append((title, text))


@pytest.fixture
def bridge(qtbot: QtBot) -> Iterator[EngineBridge]:
    made = EngineBridge(FakeEngine.full())
    QApplication.processEvents()
    made.flush()
    yield made
    made.detach()


def engine_of(bridge: EngineBridge) -> FakeEngine:
    engine = bridge._engine
    assert isinstance(engine, FakeEngine)
    return engine


def test_tray_menu(bridge: EngineBridge, qtbot: QtBot) -> None:
    tray = Tray(bridge, is_available=lambda: False)
    engine = engine_of(bridge)
    assert tray.speed_line.text() == "↓ 9.4 MB/s  ↑ 640 KB/s – 5 players"
    assert tray.sharing.isChecked()
    choose(tray.menu, "Share my packages")
    assert engine.last(c.SetSharing) == c.SetSharing(False)
    choose(tray.menu, "Pause all")
    assert engine.last(c.Pause) == c.Pause()
    QApplication.processEvents()
    bridge.flush()
    choose(tray.menu, "Resume all")
    assert engine.last(c.Resume) == c.Resume()
    with qtbot.waitSignal(tray.openWanted) as opened:
        choose(tray.menu, "Settings")
    assert opened.args == ["settings"]
    with qtbot.waitSignal(tray.quitWanted):
        choose(tray.menu, "Quit")
    assert len([action for action in tray.menu.actions() if not action.isSeparator()]) <= 10
    assert speeds(TOTALS).startswith("↓")
    tray.close()


NO_TRAY_HERE = "No such signal QPlatformNativeInterface::systemTrayWindowChanged"
"""The offscreen platform has no tray window to follow."""


@pytest.mark.qt_log_ignore(NO_TRAY_HERE, extend=True)
def test_tray_comes_late_or_never(bridge: EngineBridge) -> None:
    there = False
    tray = Tray(bridge, is_available=lambda: there)
    assert not tray.is_shown
    there = True
    tray.look()
    assert tray.is_shown
    assert not tray._timer.isActive()
    tray.close()
    never = Tray(bridge, is_available=lambda: False)
    for _ in range(LOOKS_MAX):
        never.look()
    assert not never._timer.isActive()
    assert not never.is_shown
    never.close()


def test_finished_downloads_are_told_together(bridge: EngineBridge) -> None:
    front = False
    tray = Tells(bridge, is_available=lambda: False, in_front=lambda: front)
    engine = engine_of(bridge)
    for transfer in TRANSFERS[:4]:
        engine.tell(TransferFinished(id=transfer.id, name=transfer.name, ref=transfer.ref, folder=""))
    QApplication.processEvents()
    assert tray.told == [], "quiet until none has finished for a while"
    tray._quiet.timeout.emit()
    background = [transfer.name for transfer in TRANSFERS[:4] if transfer.tier is Tier.BACKGROUND]
    assert len(background) == 1
    assert tray.told == [("Downloads finished", "Tournament Pack 7, Synthwave Front, Combined Arms 2.1")]
    front = True
    engine.tell(TransferFinished(id=TRANSFERS[0].id, name="x", ref=None, folder=""))
    QApplication.processEvents()
    tray._quiet.timeout.emit()
    assert len(tray.told) == 1, "nothing while the window is in front"
    tray.close()


# --- one per data directory ------------------------------------------------------------------------


def call(folder: Path, *texts: str) -> subprocess.Popen[bytes]:
    """`call_first` in a process of its own; exit code 7 when it was answered."""
    script = (
        "import sys, pathlib\nfrom icworkshop_gui.gui.single_instance import call_first\n"
        "sys.exit(7 if call_first(pathlib.Path(sys.argv[1]), sys.argv[2:]) else 1)"
    )
    return subprocess.Popen([sys.executable, "-c", script, str(folder), *texts])


def test_a_second_start_brings_the_first_forward(qtbot: QtBot, tmp_path: Path) -> None:
    assert not call_first(tmp_path)
    first = SingleInstance(tmp_path)
    assert first.listen()
    with qtbot.waitSignal(first.called, timeout=30_000) as heard:
        second = call(tmp_path, "/a/maps.torrent")
    assert second.wait(30) == 7
    assert heard.args == [["/a/maps.torrent"]]
    assert not call_first(tmp_path / "other"), "another data directory is another program"
    first.close()
    assert not call_first(tmp_path)


def test_what_a_killed_program_left_is_no_obstacle(qtbot: QtBot, tmp_path: Path) -> None:
    first = SingleInstance(tmp_path)
    assert first.listen()
    second = SingleInstance(tmp_path)
    assert second.listen()
    second.close()
    first.close()


def test_rubbish_is_hung_up_on(qtbot: QtBot, tmp_path: Path) -> None:
    first = SingleInstance(tmp_path)
    assert first.listen()
    called: list[int] = []
    first.called.connect(lambda: called.append(1))
    for rubbish in (b"x" * WORDS_MAX * 10, b"show\n", b'{"open": "/a"}\n', b'{"open": [1]}\n', b"[" * 60_000 + b"\n"):
        rude = QLocalSocket()
        rude.connectToServer(channel(tmp_path))
        assert rude.waitForConnected(1000)
        with qtbot.waitSignal(rude.disconnected):
            rude.write(rubbish)
            rude.flush()
    many = [QLocalSocket() for _ in range(CALLERS_MAX + 3)]
    for socket in many:
        socket.connectToServer(channel(tmp_path))
    qtbot.waitUntil(lambda: sum(s.state() is QLocalSocket.LocalSocketState.ConnectedState for s in many) == CALLERS_MAX)
    assert not called
    for socket in many:
        socket.abort()
    first.close()


# --- faults ----------------------------------------------------------------------------------------


@pytest.mark.logs
def test_a_fault_is_logged_and_said_once(qtbot: QtBot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.excepthook
    level = logging.getLogger().level
    crash_log = CrashLog(tmp_path)
    crash_log.start()
    said: list[str] = []
    crash_log.failed.connect(said.append)
    try:
        for _ in range(3):
            try:
                raise ZeroDivisionError("in a slot")
            except ZeroDivisionError:
                sys.excepthook(*sys.exc_info())  # as a slot that raises does
        crash_log.on_loop_fault(None, {"message": "odd", "exception": ValueError("in a task")})  # type: ignore[arg-type]
        broken = threading.Thread(target=lambda: 1 // 0)
        broken.start()
        broken.join()
    finally:
        crash_log.close()
        logging.getLogger().setLevel(level)
    assert said == [WORDS], "one word, not a burst of them"
    text = (tmp_path / "window.log").read_text()
    assert text.count("ZeroDivisionError: in a slot") == 3
    assert "in a task" in text
    assert "integer division" in text
    assert sys.excepthook is before


def test_a_folder_that_cannot_be_written_costs_only_the_file(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    level = logging.getLogger().level
    crash_log = CrashLog(tmp_path / "file" / "logs")
    crash_log.start()
    crash_log.close()
    logging.getLogger().setLevel(level)


# --- first run -------------------------------------------------------------------------------------


def test_first_run_tells_the_engine_what_was_chosen(bridge: EngineBridge, qtbot: QtBot) -> None:
    window_prefs.install(None)
    sheet = FirstRunSheet(bridge)
    qtbot.addWidget(sheet)
    engine = engine_of(bridge)
    words = " ".join(label.text() for label in sheet.findChildren(QLabel))
    assert "nothing is shared until you press Start" in words
    assert "1.0 MB/s" in words
    assert sheet.sharing.isChecked()
    sheet.sharing.setChecked(False)
    assert not sheet.limit.isEnabled()
    sheet.start.click()
    assert engine.commands == [c.SetSetting("workshop.p2p.max_upload_speed", "1 MB/s"), c.SetSharing(False)]
    assert window_prefs.prefs().on(FIRST_RUN_DONE)


# --- the whole -------------------------------------------------------------------------------------


class Life:
    """Runs a Program to its end, with steps taken on its own event loop."""

    def __init__(self, folder: Path, engine: FakeEngine | Exception) -> None:
        self.engine = engine
        self.program = Program(open_engine=self._open, data_dir=folder)
        self.steps: list[Callable[[Program], object]] = []
        self._timer = QTimer()
        self._timer.timeout.connect(self._step)

    def _open(self, folder: Path, sources: tuple[str, ...]) -> FakeEngine:
        if isinstance(self.engine, Exception):
            raise self.engine
        return self.engine

    def run(self, *steps: Callable[[Program], object]) -> int:
        self.steps = list(steps)
        self._timer.start(20)
        level = logging.getLogger().level
        try:
            return self.program.run()
        finally:
            self._timer.stop()
            logging.getLogger().setLevel(level)

    def _step(self) -> None:
        if self.program.window is not None and self.program.window.isVisible() and self.steps:
            self.steps.pop(0)(self.program)


def calm() -> FakeEngine:
    """Nothing that a lobby waits for: quitting asks nothing."""
    return FakeEngine(transfers=TRANSFERS[1:], library=LIBRARY, catalog=CATALOG, totals=TOTALS)


@pytest.mark.logs  # the offscreen platform warns that it cannot raise a window
def test_first_start_asks_before_anything_is_shared(qtbot: QtBot, tmp_path: Path) -> None:
    engine = calm()
    life = Life(tmp_path, engine)
    seen: list[object] = []

    def look(program: Program) -> None:
        assert program.window is not None
        seen.append(engine.view.totals.sharing)
        sheets = [sheet for sheet in program.window.findChildren(FirstRunSheet) if sheet.isVisible()]
        seen.append(len(sheets))
        sheets[0].start.click()

    def leave(program: Program) -> None:
        seen.append(engine.view.totals.sharing)
        assert program.window is not None
        program.window.close()

    assert life.run(look, leave) == 0
    assert seen == [False, 1, True]
    assert engine.closed
    assert json.loads((tmp_path / "window.json").read_text())[FIRST_RUN_DONE] == "true"
    again = Life(tmp_path, calm())
    sheets: list[int] = []

    def second(program: Program) -> None:
        assert program.window is not None
        sheets.append(len(program.window.findChildren(FirstRunSheet)))
        program.quit(INTERRUPTED)

    assert again.run(second) == INTERRUPTED
    assert sheets == [0]


@pytest.mark.logs
def test_an_engine_that_cannot_start_is_explained(
    qtbot: QtBot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    life = Life(tmp_path, Conflict("Another Workshop program is using it. Close that one."))
    assert life.run() == 1
    assert "Another Workshop program is using it. Close that one." in capsys.readouterr().err


@pytest.mark.logs
@pytest.mark.qt_log_ignore(NO_TRAY_HERE, extend=True)
def test_closing_stays_in_the_tray_and_says_so_once(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "window.json").write_text(json.dumps({FIRST_RUN_DONE: "true"}))
    life = Life(tmp_path, calm())
    seen: list[object] = []

    def hide(program: Program) -> None:
        assert program.tray is not None
        assert program.window is not None
        tray = program.tray
        tray._is_available = lambda: True
        tray.look()
        tray.tell = lambda title, text: seen.append(title)  # type: ignore[method-assign]
        program.window.close()
        seen.append(program.window.isVisible())
        tray.openWanted.emit("downloads")
        seen.append((program.window.isVisible(), program.window.current))
        program.window.close()
        tray.openWanted.emit("")

    assert life.run(hide, lambda program: program.quit()) == 0
    assert seen == ["Still running", False, (True, "downloads")]
    assert json.loads((tmp_path / "window.json").read_text())[TOLD_ABOUT_TRAY] == "true"


def test_command_line() -> None:
    chosen = parse(["--demo", "--keep", "x", "--source", "http://a", "--source", "http://b", "--style", "light"])
    assert (chosen.demo, chosen.keep, chosen.source, chosen.style) == (
        True,
        Path("x"),
        ["http://a", "http://b"],
        "light",
    )
    with pytest.raises(SystemExit) as ended:
        parse(["--keep", "x"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        parse(["--demo", "--data-dir", "x"])
    assert ended.value.code == 2


def test_version_needs_no_qt(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom icworkshop_gui.gui.main import parse\ntry:\n    parse(['--version'])\n"
        "finally:\n    assert not any(m.startswith('PySide6') for m in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == f"icworkshop-gui {__version__}"
    assert said.returncode == 0, said.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_real_program_starts_is_one_and_ends_on_a_signal(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    folder = tmp_path / "data"
    command = [sys.executable, "-m", "icworkshop_gui.gui.main", "--data-dir", str(folder)]
    first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not call_first(folder):
            assert time.monotonic() < deadline, "it did not come up"
            assert first.poll() is None, first.stderr.read() if first.stderr else ""
            time.sleep(0.1)
        second = subprocess.run(command, env=environment, timeout=60, check=False)
        assert second.returncode == 0
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    finally:
        first.kill()
        first.communicate()


# --- the demo's Workshop ---------------------------------------------------------------------------


def fake_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> DemoChild:
    """A child whose program is `body`."""
    script = tmp_path / "child.py"
    script.write_text(body)
    real = subprocess.Popen

    def start(arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert arguments[1:3] == ["-m", "icworkshop_gui.demo"]
        return real([sys.executable, str(script), *arguments[3:]], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    return DemoChild()


def test_the_child_says_where_it_is_and_ends_with_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "import sys, pathlib\n"
        "print('noise', flush=True)\n"
        'print(\'{"event": "progress", "done": 2, "total": 15}\', flush=True)\n'
        'print(\'{"event": "ready", "source": "http://127.0.0.1:1", "folder": "/tmp/x"}\', flush=True)\n'
        "sys.stdin.read()\n"
        f"pathlib.Path({str(tmp_path / 'ended')!r}).write_text('')\n"
    )
    child = fake_child(tmp_path, monkeypatch, body)
    heard: list[tuple[int, int]] = []
    workshop = child.start(lambda done, total: heard.append((done, total)))
    assert heard == [(2, 15)]
    assert (workshop.source, workshop.folder) == ("http://127.0.0.1:1", Path("/tmp/x"))
    child.stop()
    child.stop()
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise SystemExit(3)", "ended before it was up"),
        ('print(\'{"event": "error", "message": "no port"}\')', "no port"),
    ],
)
def test_a_child_that_does_not_come_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str) -> None:
    child = fake_child(tmp_path, monkeypatch, body)
    with pytest.raises(UserError, match=words):
        child.start()
    child.stop()


@pytest.mark.skipif(os.name == "nt", reason="no signals to send")
def test_an_interrupt_while_the_demo_is_made_takes_everything_away(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    program = subprocess.Popen([sys.executable, "-m", "icworkshop_gui.gui.main", "--demo"], env=environment)
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("icworkshop-demo-*/server")):
            assert time.monotonic() < deadline
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 130
    finally:
        program.kill()
        program.wait()
    assert list(tmp_path.iterdir()) == []
