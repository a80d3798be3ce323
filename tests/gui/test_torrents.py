"""A torrent by drag, paste, file and command line: read, shown, added when the player agrees."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from icworkshop_gui.core.errors import Conflict
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.formats.create import SourceFile, create_torrent
from icworkshop_gui.gui.dialogs.add_torrent import AddTorrentSheet
from icworkshop_gui.gui.links import LINKS_MAX, links
from tests.gui.conftest import Desk


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/a/maps.torrent", ["/a/maps.torrent"]),
        ("/a/MAPS.TORRENT", ["/a/MAPS.TORRENT"]),
        ('"/a/with space.torrent"', ["/a/with space.torrent"]),
        ("file:///a/with%20space.torrent", ["/a/with space.torrent"]),
        ("file://localhost/a/b.torrent", ["/a/b.torrent"]),
        ("  /a/one.torrent \r\nsome words\n/a/two.torrent\n/a/one.torrent", ["/a/one.torrent", "/a/two.torrent"]),
        ("relative.torrent", []),
        ("file://other.example/share/b.torrent", []),
        ("//other/share/b.torrent", []),
        (r"\\other\share\b.torrent", []),
        ("https://example.com/a.torrent", []),
        ("/a/\0.torrent", []),
        ("/a/maps.zip", []),
        ("", []),
    ],
)
def test_what_means_a_torrent_file(text: str, found: list[str]) -> None:
    assert links([text]) == tuple(map(Path, found))


def test_a_drop_of_very_many_is_cut() -> None:
    assert len(links(f"/a/{at}.torrent" for at in range(LINKS_MAX + 5))) == LINKS_MAX


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """A torrent file."""
    path = tmp_path / "maps.torrent"
    content = b"x" * 40_000
    path.write_bytes(create_torrent("maps.bin", [SourceFile((), len(content), lambda: io.BytesIO(content))]))
    return path


def sheet_of(desk: Desk) -> AddTorrentSheet:
    desk.settle()
    assert desk.window.torrents.sheet is not None
    return desk.window.torrents.sheet


def added(desk: Desk) -> list[c.AddTorrent]:
    return [command for command in desk.engine.commands if isinstance(command, c.AddTorrent)]


def mime(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def test_dropped_shown_and_added(desk: Desk, maps: Path, tmp_path: Path) -> None:
    data = mime(maps)
    where, copy, left = QPointF(300, 300), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(where.toPoint(), copy, data, left, Qt.KeyboardModifier.NoModifier)
    desk.window.dragEnterEvent(enter)
    assert enter.isAccepted()
    desk.window.dropEvent(QDropEvent(where, copy, data, left, Qt.KeyboardModifier.NoModifier))
    sheet = sheet_of(desk)
    assert sheet.name.text() == "maps.bin"
    assert "40 KB in 1 file" in sheet.numbers.words()
    assert sheet.go.text() == "Download 40 KB"
    assert sheet.go.hasFocus()
    assert not added(desk), "nothing is added before the player agrees"
    sheet.set_folder(str(tmp_path / "here"))
    QTest.keyClick(sheet.go, Qt.Key.Key_Return)
    desk.settle()
    (wish,) = added(desk)
    assert (wish.folder, wish.paused, wish.metainfo) == (tmp_path / "here", False, maps.read_bytes())
    assert desk.window.current == "downloads"


def test_what_is_no_torrent_is_not_taken(desk: Desk, tmp_path: Path) -> None:
    data = mime(tmp_path / "a.zip")  # Qt's event does not keep it
    copy, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPointF(300, 300).toPoint(), copy, data, left, Qt.KeyboardModifier.NoModifier)
    enter.ignore()
    desk.window.dragEnterEvent(enter)
    assert not enter.isAccepted()


def test_pasted_and_added_paused(desk: Desk, maps: Path) -> None:
    QApplication.clipboard().setText(str(maps))
    QTest.keyClick(desk.window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    sheet = sheet_of(desk)
    sheet.start.setChecked(False)
    sheet.go.click()
    assert added(desk)[0].paused


def test_a_paste_of_something_else_says_so(desk: Desk) -> None:
    QApplication.clipboard().setText("hello")
    QTest.keyClick(desk.window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    desk.settle()
    assert [toast.text for toast in desk.window.toasts.toasts()] == [
        "What was copied is neither a torrent file nor a magnet link."
    ]


def test_several_come_one_after_the_other_and_a_broken_one_is_told(desk: Desk, maps: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.torrent"
    broken.write_bytes(b"nonsense")
    desk.window.torrents.open([str(broken), str(tmp_path / "missing.torrent"), str(maps)])
    sheet = sheet_of(desk)
    assert sheet.name.text() == "maps.bin"
    toasts = [toast.text for toast in desk.window.toasts.toasts()]
    assert [text.split(" could not be added. ")[0] for text in toasts] == ["broken.torrent", "missing.torrent"]
    sheet.cross.click()
    desk.settle()
    assert desk.window.torrents.sheet is None
    assert not added(desk)


def test_what_is_on_the_list_already_is_shown_there(desk: Desk) -> None:
    known = next(iter(desk.engine.view.transfers))
    facts = c.TorrentFacts(
        metainfo=b"", name="here", size=5, files=(("here", 5),), file_count=1, info_hash="ab" * 20, running=known
    )
    desk.engine.answer(c.ReadTorrent, facts)
    desk.window.torrents.open(["/a/here.torrent"])
    sheet = sheet_of(desk)
    assert "it is in Downloads already" in sheet.numbers.words()
    sheet.go.click()
    desk.settle()
    assert (desk.window.current, added(desk)) == ("downloads", [])
    assert desk.window.page("downloads").list.chosen() == [TransferId(known)]


MAGNET = "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=Desert%20Maps&tr=http%3A%2F%2Ft.example%2Fa&x.pe=93.184.216.34:6881"


@pytest.mark.parametrize("text", [MAGNET, f"  {MAGNET}\n", MAGNET.replace("magnet", "MAGNET")])
def test_what_means_a_magnet_link(text: str) -> None:
    assert links([text]) == (text.strip(),)
    assert links(["xmagnet:?xt=1", "magnet:"]) == ()


def test_a_magnet_says_what_it_knows_and_is_added(desk: Desk, tmp_path: Path) -> None:
    QApplication.clipboard().setText(MAGNET)
    QTest.keyClick(desk.window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    sheet = sheet_of(desk)
    assert (sheet.name.text(), sheet.go.text()) == ("Desert Maps", "Download")
    words = sheet.numbers.words()
    assert "1 tracker, 1 player" in words
    assert "Size" not in words
    assert "ab" * 20 in words
    sheet.set_folder(str(tmp_path))
    sheet.go.click()
    desk.settle()
    assert desk.engine.last(c.AddMagnet) == c.AddMagnet(link=MAGNET, folder=tmp_path)
    assert desk.window.current == "downloads"


def test_a_dropped_link_that_is_none_is_told(desk: Desk) -> None:
    desk.window.torrents.open(["magnet:?dn=nothing"])
    desk.settle()
    (words,) = (toast.text for toast in desk.window.toasts.toasts())
    assert words.startswith("This magnet link could not be added.")
    assert desk.window.torrents.sheet is None


def test_an_addition_that_is_refused_is_told(desk: Desk, maps: Path) -> None:
    desk.engine.refuse(c.AddTorrent, Conflict("maps.bin is on the list already."))
    desk.window.torrents.open([str(maps)])
    sheet_of(desk).go.click()
    desk.settle()
    assert desk.window.toasts.toasts()[0].text == "maps.bin could not be added. maps.bin is on the list already."
