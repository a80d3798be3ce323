"""`ic.lock`: the same set is the same bytes, and only well-formed ones are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.formats import lockfile
from icworkshop_gui.formats.lockfile import LockedPackage, LockFile

SUM = "0123456789abcdef" * 4
TEXT = f"""\
# Which releases belong together. Written by icworkshop; change it with `icworkshop lock`.
[metadata]
ic_lock_version = 1

[[package]]
name = "frost/palette"
version = "1.2.0"
source = "workshop+https://workshop.example"
checksum = "sha256:{SUM}"
dependencies = []

[[package]]
name = "maps/delta"
version = "2.0.0-rc.1+build.7"
source = "workshop+http://127.0.0.1:19710/sub"
checksum = "sha256:{SUM}"
dependencies = ["frost/palette"]
"""


def test_written_and_read() -> None:
    lock = LockFile.of(
        [
            LockedPackage(
                ref=PackageRef("maps", "delta", "2.0.0-rc.1+build.7"),
                source="http://127.0.0.1:19710/sub",
                sha256=SUM,
                dependencies=(PackageId("frost", "palette"),),
            ),
            LockedPackage(
                ref=PackageRef("frost", "palette", "1.2.0"), source="https://workshop.example", sha256=SUM
            ),
        ]
    )  # fmt: skip

    assert lock.dump() == TEXT.encode()
    assert LockFile.parse(TEXT.encode()) == lock


names = st.text("abc019", min_size=1, max_size=6)
sums = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(
    st.dictionaries(
        st.tuples(names, names),
        st.tuples(st.sampled_from(["0.0.1", "1.2.3-a.1", "10.0.0+x"]), sums),
        max_size=6,
    )
)
def test_read_back_byte_for_byte(rows: dict[tuple[str, str], tuple[str, str]]) -> None:
    ids = [PackageId(*key) for key in rows]
    lock = LockFile.of(
        LockedPackage(
            ref=PackageRef(*key, version),
            source="https://w.example",
            sha256=digest,
            dependencies=tuple(sorted(i for i in ids if i < PackageId(*key))),
        )
        for key, (version, digest) in rows.items()
    )

    assert LockFile.parse(lock.dump()) == lock
    assert LockFile.parse(lock.dump()).dump() == lock.dump()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("ic_lock_version = 1", "ic_lock_version = 2", "version 2"),
        ("[metadata]", "[other]", "version None"),
        ("frost/palette", "Frost/palette", "publisher/name"),
        ('"1.2.0"', '"1.2"', "a version like"),
        ("workshop+https", "ftp+https", "its source|source of"),
        ("sha256:0", "md5:0", "checksum"),
        ('["frost/palette"]', '["frost/other"]', "not in the lock file"),
        ('["frost/palette"]', "[3]", "no list of names"),
        ("maps/delta", "frost/palette", "two versions"),
        ("[[package]]", "[[", "no TOML"),
        ('version = "1.2.0"', "version = 1", "without version"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, why: str) -> None:
    assert old in TEXT

    with pytest.raises(FormatError, match=why):
        LockFile.parse(TEXT.replace(old, new).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_lock_file_or_a_format_error(data: bytes) -> None:
    try:
        LockFile.parse(data)
    except FormatError:
        pass


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="bytes"):
        LockFile.parse(b"#" * (lockfile.LOCK_MAX + 1))
    with pytest.raises(FormatError, match="no TOML"):
        LockFile.parse(b"a=" + b"[" * 100_000)
    monkeypatch.setattr(lockfile, "PACKAGES_MAX", 1)
    with pytest.raises(FormatError, match="at most 1"):
        LockFile.parse(TEXT.encode())
    long = TEXT.replace("workshop.example", "w" * lockfile.SOURCE_MAX)
    monkeypatch.setattr(lockfile, "PACKAGES_MAX", 10)
    with pytest.raises(FormatError, match="no address of a source"):
        LockFile.parse(long.encode())
