"""What a journal says after any kind of end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.errors import StorageError, StorageFault
from icworkshop_gui.store import resume
from icworkshop_gui.store.resume import ResumeJournal

NOW, LATER, UNKNOWN = b"this boot", b"the next boot", b""


def look(path: Path, count: int = 100, boot: bytes = NOW) -> tuple[set[int], list[int]]:
    """Trusted and suspect pieces of a copy of the journal, which stays as it is."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    journal, have, suspect = ResumeJournal.open(copy, count, boot=boot)
    journal.close()
    return set(have), suspect


def test_a_new_one_knows_nothing(tmp_path: Path) -> None:
    journal, have, suspect = ResumeJournal.open(tmp_path / "journal", 9)
    assert (have.count, len(have), suspect) == (0, 9, [])
    journal.close()
    journal.close()


def test_on_the_same_boot_all_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    journal.record([3, 5])
    journal.checkpoint()
    journal.record([5, 7])
    journal.close()
    assert look(path) == ({3, 5, 7}, [])


@pytest.mark.parametrize("boot", [LATER, UNKNOWN])
def test_after_another_boot_what_was_not_flushed_is_suspect(tmp_path: Path, boot: bytes) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    journal.record([3, 5])
    journal.checkpoint()
    journal.record([7, 6])
    journal.close()
    assert look(path, boot=boot) == ({3, 5}, [6, 7])
    # They stay suspects until somebody has looked, whatever else happens and however often we start.
    journal, _, suspect = ResumeJournal.open(path, 100, boot=boot)
    journal.record([8])
    journal.checkpoint()
    journal.close()
    assert look(path, boot=LATER) == ({3, 5, 8}, [6, 7])
    journal, _, suspect = ResumeJournal.open(path, 100, boot=boot)
    journal.record(suspect[:1])
    journal.forget(suspect[1:])
    journal.checkpoint()
    journal.close()
    assert look(path, boot=LATER) == ({3, 5, 6, 8}, [])


def test_where_boots_have_no_names_nothing_unflushed_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=UNKNOWN)
    journal.record([1])
    journal.close()
    assert look(path, boot=UNKNOWN) == (set(), [1])


def test_what_is_recorded_during_a_flush_waits_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    journal.record([1])
    journal.checkpoint(lambda: journal.record([2]))
    assert look(path, boot=LATER) == ({1}, [2])
    journal.checkpoint()
    assert look(path, boot=LATER) == ({1, 2}, [])
    journal.close()


def test_a_flush_that_fails_makes_nothing_safe(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    journal.record([1])

    def fail() -> None:
        raise StorageError(StorageFault.IO)

    with pytest.raises(StorageError):
        journal.checkpoint(fail)
    assert look(path, boot=LATER) == (set(), [1])
    journal.checkpoint()
    assert look(path, boot=LATER) == ({1}, [])
    journal.close()


@pytest.mark.logs
def test_cut_at_every_byte(tmp_path: Path) -> None:
    """Never more than was recorded, and everything before the cut."""
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    sizes = {path.stat().st_size: set()}
    for index in range(30):
        journal.record([index])
        sizes[path.stat().st_size] = set(range(index + 1))
        if index % 10 == 9:
            journal.checkpoint()
            sizes[path.stat().st_size] = set(range(index + 1))
    journal.close()
    raw = path.read_bytes()
    for end in range(len(raw)):
        path.write_bytes(raw[:end])
        whole = max((size for size in sizes if size <= end), default=0)
        trusted, suspect = look(path)
        assert (trusted, suspect) == (sizes.get(whole, set()), [])
        # And it goes on from there.
        if end % 50 == 0:
            journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
            journal.record([99])
            journal.close()
            assert look(path)[0] == trusted | {99}


@pytest.mark.logs
@given(at=st.integers(0, 400), flip=st.integers(1, 255), tail=st.binary(max_size=40))
def test_garbled_anywhere(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int, tail: bytes) -> None:
    path = tmp_path_factory.mktemp("j") / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    for index in range(20):
        journal.record([index])
    journal.close()
    raw = bytearray(path.read_bytes() + tail)
    raw[at % len(raw)] ^= flip
    path.write_bytes(raw)
    trusted, suspect = look(path)
    assert trusted | set(suspect) <= set(range(20))


@pytest.mark.logs
def test_another_torrents_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    journal.record([1])
    journal.close()
    assert look(path, count=99) == (set(), [])


def test_a_piece_that_is_not_of_the_torrent(tmp_path: Path) -> None:
    journal, _, _ = ResumeJournal.open(tmp_path / "journal", 10)
    for index in (10, -1):
        with pytest.raises(IndexError):
            journal.record([1, index])
    journal.record([1])
    journal.forget([2, 50])
    journal.close()
    with pytest.raises(StorageError):
        journal.record([2])


def test_it_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "COMPACT_FLOOR", 4000)
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 50, boot=NOW)
    largest = 0
    for n in range(2000):
        if n % 2:
            journal.forget([7])
        else:
            journal.record([7])
        largest = max(largest, path.stat().st_size)
    journal.record(range(50))
    journal.close()
    assert 3900 < largest < 4100
    assert look(path, count=50)[0] == set(range(50))


def test_a_full_disk_in_the_middle_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    journal, _, _ = ResumeJournal.open(path, 100, boot=NOW)
    journal.record([1])
    real = os.write
    budget = [5]

    def short(fd: int, data: bytes) -> int:
        if budget[0] == 0:
            raise OSError(errno.ENOSPC, "full")
        part = bytes(data)[: budget[0]]
        budget[0] -= len(part)
        return real(fd, part)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(StorageError) as caught:
            journal.record([2])
        assert caught.value.fault is StorageFault.FULL
    assert look(path) == ({1}, [])
    journal.record([2])
    journal.record([3])
    assert look(path) == ({1, 2, 3}, [])
    journal.close()


def test_the_boot_has_a_name_on_linux() -> None:
    if os.path.exists("/proc/sys/kernel/random/boot_id"):
        assert len(resume.boot_id()) == 36
        assert resume.boot_id() == resume.boot_id()
