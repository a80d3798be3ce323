"""Local service discovery (BEP 14): bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.wire.lsd import HASHES_MAX, MESSAGE_MAX, LsdMessage, encode, parse

HASHES = tuple(InfoHash(bytes([number]) * 20) for number in range(40))


@given(st.integers(1, 65535), st.lists(st.sampled_from(HASHES), min_size=1, max_size=20, unique=True), st.booleans())
def test_what_we_say_reads_back(port: int, hashes: list[InfoHash], ipv6: bool) -> None:
    assert parse(encode(port, hashes, "icw-0123456789ab", ipv6=ipv6)) == LsdMessage(
        port, tuple(hashes), "icw-0123456789ab"
    )


def test_a_full_message_passes_everywhere() -> None:
    assert len(encode(65535, HASHES, "icw-0123456789ab", ipv6=True)) <= MESSAGE_MAX
    found = parse(encode(65535, HASHES, "x", ipv6=False))
    assert found is not None
    assert len(found.info_hashes) == HASHES_MAX


def test_it_is_the_text_of_the_proposal() -> None:
    assert encode(6881, HASHES[:1], "c", ipv6=False) == (
        b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: " + b"00" * 20 + b"\r\n"
        b"cookie: c\r\n\r\n\r\n"
    )


def test_what_libtorrent_says_is_understood() -> None:
    raw = (
        b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: " + b"AB" * 20 + b"\r\n"
        b"cookie: 4f1d\r\n\r\n\r\n"
    )
    assert parse(raw) == LsdMessage(6881, (InfoHash(b"\xab" * 20),), "4f1d")


GOOD = encode(6881, HASHES[:2], "c", ipv6=False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        GOOD[1:],
        GOOD.replace(b"6881", b"0"),
        GOOD.replace(b"6881", b"65536"),
        GOOD.replace(b"6881", b"-1"),
        GOOD.replace(b"6881", b"688100"),
        GOOD.replace(b"Port", b"Tort"),
        GOOD.replace(b"Infohash", b"Info"),
        GOOD.replace(b"00" * 20, b"0" * 39).replace(b"01" * 20, b"x" * 40),
        GOOD + b" " * MESSAGE_MAX,
    ],
)
def test_what_says_nothing(raw: bytes) -> None:
    assert parse(raw) is None


@given(st.binary(max_size=300).map(lambda rest: b"BT-SEARCH * HTTP/1.1\r\n" + rest) | st.binary(max_size=100))
def test_any_bytes_are_a_message_or_nothing(raw: bytes) -> None:
    found = parse(raw)
    assert found is None or (0 < found.port < 65536 and found.info_hashes)
