"""Ids, addresses, geometry, versions: tables of what is legal and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.catalog import (
    SEGMENT_MAX,
    VERSION_MAX,
    PackageId,
    PackageRef,
    is_segment,
    is_version,
    version_key,
)
from icworkshop_gui.core.geometry import Geometry
from icworkshop_gui.core.ids import InfoHash, InfoHashV2
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.core.units import BLOCK_SIZE


def test_ids_take_exactly_their_size() -> None:
    assert InfoHash.from_hex("AA" * 20).hex() == "aa" * 20
    assert repr(InfoHash(bytes(20))) == f"InfoHash({'00' * 20})"
    assert InfoHashV2(bytes(range(32))).truncated() == bytes(range(20))
    for size in (0, 19, 21, 32):
        with pytest.raises(ValueError, match="20 bytes"):
            InfoHash(bytes(size))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:6881", "::1", 6881),
        ("[::ffff:10.0.0.1]:1", "10.0.0.1", 1),
        ("[FE80::1%eth0]:65535", "fe80::1", 65535),
    ],
)
def test_endpoints_are_canonical(text: str, host: str, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint == (host, port)
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text", ["", "host:80", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "::1:80", "1.2.3.4:٣", "1.2.3.4:-1"]
)
def test_bad_endpoints_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Endpoint.parse(text)


def test_subnets_and_global() -> None:
    assert Endpoint.of("9.8.7.6", 1).subnet == "9.8.7.0/24"
    assert Endpoint.of("2001:db8::1", 1).subnet == "2001:db8::/64"
    assert Endpoint.of("8.8.8.8", 1).is_global
    assert not Endpoint.of("169.254.169.254", 1).is_global


@given(st.integers(1, 10 * BLOCK_SIZE), st.integers(1, 4 * BLOCK_SIZE))
def test_pieces_and_blocks_cover_everything_once(length: int, piece_length: int) -> None:
    geometry = Geometry(length, piece_length)
    sizes = [geometry.piece_size(index) for index in range(geometry.piece_count)]
    assert sum(sizes) == length
    for index, size in enumerate(sizes):
        assert size == sum(geometry.block_size(index, block) for block in range(geometry.block_count(index)))
        assert geometry.pieces_of(geometry.piece_offset(index), size) == range(index, index + 1)
    with pytest.raises(IndexError):
        geometry.piece_size(geometry.piece_count)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_a_bitfield_is_a_set(case: tuple[int, set[int]]) -> None:
    length, chosen = case
    field = Bitfield.of(length, chosen)
    assert set(field) == chosen
    assert field.count == len(chosen)
    assert set(field.missing()) == set(range(length)) - chosen
    assert Bitfield.from_bytes(field.to_bytes(), length) == field
    assert field.has_any_missing_from(Bitfield(length)) == bool(chosen)
    assert not field.has_any_missing_from(Bitfield(length, full=True))
    for index in chosen:
        assert field.discard(index)
        assert not field.discard(index)
    assert field.is_empty


def test_spare_bits_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="spare"):
        Bitfield.from_bytes(b"\xff", 7)
    with pytest.raises(ValueError, match="bytes"):
        Bitfield.from_bytes(b"\xff\x00", 8)
    assert Bitfield(9, full=True).to_bytes() == b"\xff\x80"


@pytest.mark.parametrize("text", ["a", "a-b", "0", "a1-b2-c3", "a" * SEGMENT_MAX])
def test_legal_segments(text: str) -> None:
    assert is_segment(text)


@pytest.mark.parametrize("text", ["", "A", "-a", "a-", "a--b", "a_b", "ä", "a/b", "a\n", "a" * (SEGMENT_MAX + 1)])
def test_illegal_segments(text: str) -> None:
    assert not is_segment(text)


def test_versions_sort_as_semver_says() -> None:
    order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
             "1.0.0", "1.0.1", "1.9.0", "1.10.0", "2.0.0"]  # fmt: skip
    assert sorted(order[1::2] + order[::2], key=version_key) == order
    assert version_key("1.0.0+a") == version_key("1.0.0+b")
    for bad in ("1.0", "01.0.0", "1.0.0-01", "v1.0.0", "1.0.0 ", "1.0.0-", "1.0.0-" + "a" * VERSION_MAX):
        assert not is_version(bad)
        with pytest.raises(ValueError):
            version_key(bad)


def test_package_references() -> None:
    ref = PackageRef.parse("frostbyte/polar-tiles@1.3.0-rc.1")
    assert str(ref) == "frostbyte/polar-tiles@1.3.0-rc.1"
    assert ref.package == PackageId("frostbyte", "polar-tiles")
    assert ref.file_name == "frostbyte-polar-tiles-1.3.0-rc.1.icpkg"
    # `-` joins names too, so only the folder name can tell these two apart
    assert PackageRef("a-b", "c", "1.0.0").folder_name != PackageRef("a", "b-c", "1.0.0").folder_name
    for bad in ("frostbyte", "a/b", "a/b@1", "a/b/c@1.0.0", "../b@1.0.0", "a/b@../../x"):
        with pytest.raises(ValueError):
            PackageRef.parse(bad)


def test_tiers_compare_as_urgency() -> None:
    assert Tier.LOBBY_URGENT > Tier.USER_REQUESTED > Tier.BACKGROUND
    assert [Tier.from_slug(tier.slug) for tier in Tier] == list(Tier)
