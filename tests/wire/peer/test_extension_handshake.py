from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui import __version__
from icworkshop_gui.formats import bencode
from icworkshop_gui.wire.errors import PeerProtocolError, Violation
from icworkshop_gui.wire.peer.extensions import EXTENSIONS
from icworkshop_gui.wire.peer.extensions.handshake import (
    CLIENT_TEXT_MAX,
    DEFAULT_REQUEST_QUEUE,
    EXTENSIONS_MAX,
    HANDSHAKE_MAX,
    METADATA_MAX,
    ExtensionHandshake,
    encode,
    parse,
)


def test_ours_says_who_we_are_and_what_we_can_do() -> None:
    fields = bencode.decode(encode(EXTENSIONS, listen_port=19711, your_ip="10.0.0.7", upload_only=True))
    assert fields == {
        b"m": {b"ic_auth": 1, b"ic_priority": 2, b"lt_donthave": 5, b"ut_metadata": 3, b"ut_pex": 4},
        b"p": 19711,
        b"reqq": 2000,
        b"upload_only": 1,
        b"v": f"Iron Curtain Workshop {__version__}".encode(),
        b"yourip": bytes([10, 0, 0, 7]),
    }


def test_what_libtorrent_sends_is_understood() -> None:
    raw = (
        b"d12:complete_agoi-1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai2e"
        b"6:ut_pexi1ee13:metadata_sizei14053e1:pi6881e4:reqqi2000e11:upload_onlyi1e1:v17:libtorrent/2.0.116:yourip"
        b"4:\x7f\x00\x00\x01e"
    )
    assert parse(raw) == ExtensionHandshake(
        extensions={
            "lt_donthave": 7, "share_mode": 8, "upload_only": 3, "ut_holepunch": 4, "ut_metadata": 2, "ut_pex": 1
        },
        listen_port=6881,
        untrusted_client="libtorrent/2.0.11",
        your_ip="127.0.0.1",
        request_queue=2000,
        metadata_size=14053,
        upload_only=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ExtensionHandshake()),
        ({b"p": 0}, ExtensionHandshake()),
        ({b"p": 65536}, ExtensionHandshake()),
        ({b"p": b"80"}, ExtensionHandshake()),
        ({b"reqq": 0}, ExtensionHandshake(request_queue=1)),
        ({b"reqq": -5}, ExtensionHandshake(request_queue=1)),
        ({b"reqq": b"many"}, ExtensionHandshake(request_queue=DEFAULT_REQUEST_QUEUE)),
        ({b"metadata_size": METADATA_MAX}, ExtensionHandshake(metadata_size=METADATA_MAX)),
        ({b"metadata_size": METADATA_MAX + 1}, ExtensionHandshake()),
        ({b"metadata_size": -1}, ExtensionHandshake()),
        ({b"yourip": b"abc"}, ExtensionHandshake()),
        ({b"m": {b"a": 256, b"b": -1, b"c": b"1", b"d": 255}}, ExtensionHandshake(extensions={"d": 255})),
        ({b"m": 3}, ExtensionHandshake()),
        ({b"upload_only": 0}, ExtensionHandshake()),
        ({b"v": b"A\x00B\x1b[31m\xff"}, ExtensionHandshake(untrusted_client="AB[31m\ufffd")),
        ({b"v": b"x" * 1000}, ExtensionHandshake(untrusted_client="x" * CLIENT_TEXT_MAX)),
    ],
)
def test_a_field_that_makes_no_sense_is_as_if_it_were_not_there(
    fields: dict[bytes, object], expected: ExtensionHandshake
) -> None:
    assert parse(bencode.encode(fields)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"le",
        b"i1e",
        b"d1:m",
        bencode.encode({b"v": b"x" * HANDSHAKE_MAX}),
        bencode.encode({b"m": {b"%03d" % number: 1 for number in range(EXTENSIONS_MAX + 1)}}),
        b"l" * 10_000,
    ],
)
def test_what_is_no_dictionary_or_too_large_ends_the_connection(raw: bytes) -> None:
    with pytest.raises(PeerProtocolError) as caught:
        parse(raw)
    assert caught.value.violation is Violation.EXTENSION


@given(st.binary(max_size=300))
def test_any_bytes_are_a_handshake_or_a_protocol_error(raw: bytes) -> None:
    for data in (raw, b"d1:m" + raw, b"d1:v" + raw + b"e"):
        try:
            parse(data)
        except PeerProtocolError:
            pass
