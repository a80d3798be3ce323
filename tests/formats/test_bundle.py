"""Bundles: the same bytes for the same packages, and nothing in them that their list does not name."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats.bundle import (
    PACKAGES_MAX,
    Packed,
    check_bundle,
    entry_path,
    read_bundle,
    write_bundle,
)
from icworkshop_gui.formats.lockfile import LOCK_MAX, LockedPackage, LockFile
from tests.helpers.builders import content, package

ONE = package({"a.bin": content(40_000, "a")}, "alice/one@1.0.0")
TWO = package({"b.bin": content(10_000, "b")}, "bob/two@2.0.0")


def locked(data: bytes, ref: str, sha256: str = "") -> LockedPackage:
    source = "https://workshop.example"
    return LockedPackage(ref=PackageRef.parse(ref), source=source, sha256=sha256 or hashlib.sha256(data).hexdigest())


def packed(data: bytes, ref: str, sha256: str = "") -> Packed:
    return Packed(locked(data, ref, sha256), len(data), partial(io.BytesIO, data))


BOTH = (packed(TWO, "bob/two@2.0.0"), packed(ONE, "alice/one@1.0.0"))


def written(*packages: Packed) -> bytes:
    out = io.BytesIO()
    write_bundle(out, packages, lambda done: None)
    return out.getvalue()


def hostile(edit: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    """A bundle of ONE, changed."""
    lock = LockFile.of([locked(ONE, "alice/one@1.0.0")]).dump()
    files = {"ic.lock": lock, entry_path(locked(ONE, "alice/one@1.0.0")): ONE}
    edit(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return out


def test_there_and_back() -> None:
    raw = written(*BOTH)
    assert raw == written(*reversed(BOTH)), "the same packages are the same bytes"
    bundle = read_bundle(io.BytesIO(raw))
    assert [str(item.locked.ref) for item in bundle.packages] == ["alice/one@1.0.0", "bob/two@2.0.0"]
    for item, data in zip(bundle.packages, (ONE, TWO), strict=True):
        assert raw[item.offset : item.offset + item.size] == data
    told: list[int] = []
    check_bundle(io.BytesIO(raw), bundle, told.append)
    assert told[-1] == bundle.size == len(ONE) + len(TWO)


NAME = entry_path(locked(ONE, "alice/one@1.0.0"))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda files: files.pop("ic.lock"), "no bundle"),
        (lambda files: files.pop(NAME), "without alice/one@1.0.0"),
        (lambda files: files.update({"extra.txt": b"x"}), "does not name"),
        (lambda files: files.update({"../outside": b"x"}), "not safe on every system"),
        (lambda files: files.update({"/etc/passwd": b"x"}), "not safe on every system"),
        (lambda files: files.update({"C:\\windows\\x": b"x"}), "not safe on every system"),
        (lambda files: files.update({"packages/con.icpkg": b"x"}), "not safe on every system"),
        (lambda files: files.update({NAME.upper(): b"x"}), "some systems take for one"),
        (lambda files: files.update({NAME: TWO}), "bob/two@2.0.0 lies under the name of alice/one@1.0.0"),
        (lambda files: files.update({NAME: b"no package"}), "at least 4096 bytes"),
        (lambda files: files.update({"ic.lock": b"[metadata]\nic_lock_version = 9\n"}), "version 9"),
        (lambda files: files.update({"ic.lock": b"#" * (LOCK_MAX + 1)}), "longer than"),
    ],
)
def test_what_must_not_be_used(edit: Callable[[dict[str, bytes]], None], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        read_bundle(hostile(edit))


def test_other_content_a_bomb_and_too_many() -> None:
    changed = bytearray(written(packed(ONE, "alice/one@1.0.0")))
    bundle = read_bundle(io.BytesIO(changed))
    changed[bundle.packages[0].offset + 9_000] ^= 1
    with pytest.raises(FormatError, match="does not have the SHA-256"):
        check_bundle(io.BytesIO(changed), bundle, lambda done: None)
    with pytest.raises(FormatError, match="damaged here"):
        written(packed(ONE, "alice/one@1.0.0", "ab" * 32))
    with pytest.raises(FormatError, match="compressed"):
        read_bundle(hostile(lambda files: None, zipfile.ZIP_DEFLATED))
    with pytest.raises(FormatError, match="more than 200 times"):
        read_bundle(hostile(lambda files: files.update({"bomb": bytes(50_000_000)}), zipfile.ZIP_DEFLATED))
    many = [locked(b"", f"alice/map-{number}@1.0.0") for number in range(PACKAGES_MAX + 1)]
    with pytest.raises(FormatError, match=f"more than {PACKAGES_MAX} packages"):
        read_bundle(hostile(lambda files: files.update({"ic.lock": LockFile.of(many).dump()})))
    with pytest.raises(FormatError, match="holds 1 to"):
        written(*(Packed(item, 0, io.BytesIO) for item in many))
    with pytest.raises(FormatError, match="holds 1 to"):
        written()


@given(st.integers(0, 2**16), st.binary(min_size=1, max_size=6))
def test_broken_bytes_are_found_or_harmless(at: int, noise: bytes) -> None:
    raw = bytearray(written(*BOTH))
    at %= len(raw)
    raw[at : at + len(noise)] = noise[: len(raw) - at]
    try:
        bundle = read_bundle(io.BytesIO(raw))
        check_bundle(io.BytesIO(raw), bundle, lambda done: None)
    except FormatError:
        return
    kept = {ONE, TWO}
    assert all(bytes(raw[item.offset : item.offset + item.size]) in kept for item in bundle.packages)
