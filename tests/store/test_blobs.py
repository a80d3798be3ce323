"""Files by SHA-256: shared, read-only, and never served once they may have changed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from icworkshop_gui.core.errors import IntegrityError, StorageError, StorageFault
from icworkshop_gui.core.ids import BlobId
from icworkshop_gui.store import blobs as blobs_module
from icworkshop_gui.store.blobs import Staged
from icworkshop_gui.store.hashing import Cancelled, Stamp, hash_file
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.sweep import sweep
from tests.helpers.builders import content
from tests.store.samples import WALL, blob_id, open_store

DATA = content(100_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def test_put_read_open(store: Store) -> None:
    blob = store.blobs.put_bytes(DATA)
    assert blob == hashlib.sha256(DATA).digest()
    path = store.blobs.path(blob)
    assert path == store.paths.blobs / blob.hex()[:2] / blob.hex()
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert store.blobs.read(blob, 10, 20) == DATA[10:30]
    with store.blobs.open(blob) as file:
        assert file.read() == DATA
    assert store.blobs.size(blob) == len(DATA)
    assert store.blobs.total_size() == len(DATA)
    assert store.blobs.put_bytes(DATA) == blob


def test_nothing_there(store: Store) -> None:
    blob = blob_id(b"nowhere")
    assert not store.blobs.has(blob)
    assert store.blobs.remove(blob) == 0
    for ask in (lambda: store.blobs.read(blob, 0, 1), lambda: store.blobs.open(blob)):
        with pytest.raises(StorageError) as caught:
            ask()
        assert caught.value.fault is StorageFault.GONE


def test_past_the_end(store: Store) -> None:
    blob = store.blobs.put_bytes(DATA)
    with pytest.raises(StorageError) as caught:
        store.blobs.read(blob, len(DATA) - 1, 2)
    assert caught.value.fault is StorageFault.GONE


def test_publish(store: Store, tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(DATA)
    assert store.blobs.publish(staged, blob_id(DATA))
    assert not staged.exists()
    staged.write_bytes(DATA)
    assert not store.blobs.publish(staged, blob_id(DATA))
    assert not staged.exists()
    # Interrupted before its last step, and done again.
    assert not store.blobs.publish(staged, blob_id(DATA))


def test_publish_refuses_other_bytes(store: Store, tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(DATA)
    with pytest.raises(IntegrityError):
        store.blobs.publish(staged, blob_id(b"else"))
    assert staged.read_bytes() == DATA
    assert list(store.blobs.entries()) == []


def test_a_file_that_changed_after_it_was_hashed_is_hashed_again(store: Store, tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(DATA)
    blob, stamp = hash_file(staged)
    staged.write_bytes(DATA[:-1] + b"?")
    os.utime(staged, ns=(0, stamp.mtime_ns + 1))
    with pytest.raises(IntegrityError):
        store.blobs.publish_all([Staged(staged, blob, stamp)])


def _tamper(path: Path, data: bytes, *, later: int = 1_000_000_000) -> None:
    before = path.stat()
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + later))


@pytest.mark.logs
@pytest.mark.parametrize("warm", [False, True])
def test_a_blob_that_was_tampered_with_is_never_served(tmp_path: Path, warm: bool) -> None:
    told: list[tuple[BlobId, object]] = []
    store = open_store(tmp_path, on_damage=lambda blob, refs: told.append((blob, refs)))
    blob = store.blobs.put_bytes(DATA)
    if warm:
        # Its descriptor is open: the change is seen all the same.
        assert store.blobs.read(blob, 0, 4) == DATA[:4]
    _tamper(store.blobs.path(blob), b"evil")
    with pytest.raises(StorageError) as caught:
        store.blobs.read(blob, 0, 4)
    assert caught.value.fault is StorageFault.CHANGED
    assert not store.blobs.has(blob)
    assert told == [(blob, ())]
    assert [path.name[:64] for path in store.paths.quarantine.iterdir()] == [blob.hex()]
    # And it can come back.
    assert store.blobs.put_bytes(DATA) == blob
    assert store.blobs.read(blob, 0, 4) == DATA[:4]
    store.close()


def test_a_blob_that_was_only_touched_is_served_after_another_look(store: Store) -> None:
    blob = store.blobs.put_bytes(DATA)
    store.blobs.read(blob, 0, 1)
    _tamper(store.blobs.path(blob), DATA[:4])
    assert store.blobs.read(blob, 0, 4) == DATA[:4]


@pytest.mark.logs
@pytest.mark.parametrize("how", ["shrunk", "symlink", "appended"])
def test_other_damage(store: Store, tmp_path: Path, how: str) -> None:
    blob = store.blobs.put_bytes(DATA)
    path = store.blobs.path(blob)
    match how:
        case "shrunk":
            os.truncate(path, 10)
        case "appended":
            path.chmod(0o644)
            with open(path, "ab") as file:
                file.write(b"more")
        case "symlink":
            good = tmp_path / "good"
            path.rename(good)
            path.symlink_to(good)
    with pytest.raises(StorageError) as caught:
        store.blobs.read(blob, 0, 4)
    assert caught.value.fault is StorageFault.CHANGED


def test_a_hard_link_elsewhere_is_no_change(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = store.blobs.put_bytes(DATA)
    os.link(store.blobs.path(blob), tmp_path / "link")
    monkeypatch.setattr(blobs_module, "hash_file", lambda *_, **__: pytest.fail("read for nothing"))
    assert store.blobs.read(blob, 0, 4) == DATA[:4]


def test_verify_tells_how_far_it_is_and_stops(store: Store) -> None:
    blob = store.blobs.put_bytes(content(3_000_000))
    seen: list[int] = []
    assert store.blobs.verify(blob, progress=seen.append)
    assert seen == [1 << 20, 2 << 20, 3_000_000]
    with pytest.raises(Cancelled):
        store.blobs.verify(blob, cancel=lambda: True)
    assert store.blobs.has(blob)


def test_a_file_that_changes_while_it_is_hashed_gets_no_stamp(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content(2_500_000))

    def grow(done: int) -> None:
        with open(path, "ab") as file:
            file.write(b"more")

    assert hash_file(path, progress=lambda done: grow(done) if done <= 1 << 20 else None)[1].mtime_ns == -1
    assert hash_file(path)[1] == Stamp.of(path.stat())


def test_threads_that_put_read_and_tamper(store: Store) -> None:
    """Many threads on few blobs: all get right bytes or a StorageError."""
    datas = [content(50_000, n) for n in range(4)]
    wrong: list[object] = []

    def work(seed: int) -> None:
        for n in range(40):
            data = datas[(n * seed) % 4]
            blob = store.blobs.put_bytes(data)
            at = (n * 997) % 40_000
            if store.blobs.read(blob, at, 500) != data[at : at + 500]:
                wrong.append(blob)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_disk_errors_are_storage_errors(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for code, fault in (
        (errno.ENOSPC, StorageFault.FULL),
        (errno.EIO, StorageFault.IO),
        (errno.EROFS, StorageFault.GONE),
    ):

        def fail(*_: object, code: int = code) -> int:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fail)
            with pytest.raises(StorageError) as caught:
                store.blobs.put_bytes(DATA)
            assert caught.value.fault is fault
    assert store.blobs.has(store.blobs.put_bytes(DATA))


class BlobsAgainstADict(RuleBasedStateMachine):
    """put, publish, remove, sweep, reopen, compared with a dictionary."""

    @initialize()
    def begin(self) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.store = open_store(self.folder)
        self.model: dict[BlobId, bytes] = {}

    datas = st.integers(0, 6).map(lambda n: content(100 * n, n))

    @rule(data=datas)
    def put(self, data: bytes) -> None:
        blob = self.store.blobs.put_bytes(data)
        assert blob == blob_id(data)
        self.model[blob] = data

    @rule(data=datas)
    def publish(self, data: bytes) -> None:
        staged = self.folder / "staged"
        staged.write_bytes(data)
        assert self.store.blobs.publish(staged, blob_id(data)) == (blob_id(data) not in self.model)
        self.model[blob_id(data)] = data

    @rule(data=datas)
    def remove(self, data: bytes) -> None:
        gone = self.model.pop(blob_id(data), None)
        assert self.store.blobs.remove(blob_id(data)) == len(gone or b"")

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.folder)

    @rule()
    def lose_the_index(self) -> None:
        self.store.close()
        self.store.paths.index.unlink()
        self.store = open_store(self.folder)

    @rule(data=datas, grace=st.sampled_from([0.0, 1e12]))
    def sweep(self, data: bytes, grace: float) -> None:
        """A download needs one of them."""
        folder = self.store.paths.staging / "t"
        folder.mkdir(exist_ok=True)
        (folder / "needs").write_bytes(blob_id(data))
        (self.store.paths.transfers / "t").mkdir(exist_ok=True)
        report = sweep(self.store, WALL * 2, grace=grace)
        if grace == 0:
            kept = {blob: stored for blob, stored in self.model.items() if blob == blob_id(data)}
            assert report.blobs == len(self.model) - len(kept)
            assert report.freed == sum(map(len, self.model.values())) - sum(map(len, kept.values()))
            self.model = kept
        else:
            assert report.blobs == 0

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "store"):
            return
        assert {blob for blob, _ in self.store.blobs.entries()} == set(self.model)
        for n in range(7):
            data = content(100 * n, n)
            blob = blob_id(data)
            assert self.store.blobs.has(blob) == (blob in self.model)
            if blob in self.model:
                assert self.store.blobs.read(blob, 0, len(data)) == data

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.temporary.cleanup()


TestBlobsAgainstADict = BlobsAgainstADict.TestCase
TestBlobsAgainstADict.settings = settings(max_examples=25, stateful_step_count=20)
