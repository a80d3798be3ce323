"""Magnet links: read, written, and refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import InfoHash, InfoHashV2
from icworkshop_gui.formats.magnet import FIELDS_MAX, FILE_INDEX_MAX, MAGNET_MAX, PEERS_MAX, SELECTED_RANGES_MAX, Magnet

V1 = InfoHash(bytes(range(20)))
V2 = InfoHashV2(bytes(range(32)))
BTIH = f"magnet:?xt=urn:btih:{V1}"


def test_everything():
    link = (
        f"magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}&dn=Rote+Flut%2F%D1%91&tr=udp%3A%2F%2Ft.example%3A6969"
        "&tr=http://u.example/a&ws=https://w.example/f&x.pe=10.0.0.1:6881&x.pe=[2001:db8::1]:7&x.pe=host.example:1"
        "&so=0,2,4-6&xl=100&unknown=1"
    )
    magnet = Magnet.parse(link)
    assert magnet == Magnet(
        info_hash=V1,
        info_hash_v2=V2,
        name="Rote Flutё",
        trackers=("udp://t.example:6969", "http://u.example/a"),
        web_seeds=("https://w.example/f",),
        peers=(Endpoint("10.0.0.1", 6881), Endpoint("2001:db8::1", 7)),
        selected=(range(0, 1), range(2, 3), range(4, 7)),
    )
    assert Magnet.parse(magnet.to_uri()) == magnet


def test_base32_upper_case_and_numbers():
    code = base64.b32encode(V1).decode()
    for text in (f"magnet:?xt=urn:btih:{code}", f"MAGNET:?xt=urn:btih:{code.lower()}", f"{BTIH.upper()}"):
        assert Magnet.parse(text.replace("MAGNET:?XT=URN", "magnet:?xt=urn")).info_hash == V1
    assert Magnet.parse(f"magnet:?xt.1=urn:btih:{V1}&tr.1=udp://t.example:1").trackers == ("udp://t.example:1",)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "magnet:",
        "magnet:?dn=x",
        "http://x.example/?xt=urn:btih:" + "0" * 40,
        "magnet:?xt=urn:btih:",
        "magnet:?xt=urn:btih:" + "0" * 39,
        "magnet:?xt=urn:btih:" + "g" * 40,
        "magnet:?xt=urn:btih:" + "1" * 32,
        "magnet:?xt=urn:btih:" + "٠" * 40,
        "magnet:?xt=urn:btmh:1220" + "0" * 63,
        "magnet:?xt=urn:btmh:1114" + "0" * 40,
        "magnet:?xt=urn:sha1:" + "0" * 40,
        f"{BTIH}&xt=urn:btih:{'0' * 40}",
        f"magnet:?xt=urn:btmh:1220{V2}&xt=urn:btmh:1220{'0' * 64}",
        f"{BTIH}&so=1-",
        f"{BTIH}&so=2-1",
        f"{BTIH}&so=x",
        f"{BTIH}&so={FILE_INDEX_MAX + 1}",
        f"{BTIH}&so=0-99999999999999999999",
        "magnet://[bad",
    ],
)
def test_refused(link):
    with pytest.raises(FormatError):
        Magnet.parse(link)


def test_limits():
    with pytest.raises(FormatError, match="characters"):
        Magnet.parse(BTIH + "&dn=" + "x" * MAGNET_MAX)
    with pytest.raises(FormatError, match="fields"):
        Magnet.parse(BTIH + "&a=1" * FIELDS_MAX)
    assert Magnet.parse(BTIH + "&a=1" * (FIELDS_MAX - 1)).info_hash == V1
    ranges = ",".join(["1"] * SELECTED_RANGES_MAX)
    assert len(Magnet.parse(f"{BTIH}&so={ranges}").selected) == SELECTED_RANGES_MAX
    with pytest.raises(FormatError, match="ranges"):
        Magnet.parse(f"{BTIH}&so={ranges},1")
    peers = "".join(f"&x.pe=10.0.{number // 250}.{number % 250}:1" for number in range(PEERS_MAX + 1))
    assert len(Magnet.parse(BTIH + peers).peers) == PEERS_MAX


def test_names_and_trackers_are_made_safe():
    magnet = Magnet.parse(BTIH + "&dn=../../etc/passwd%00&tr=file:///etc/passwd&ws=ftp://x.example/")
    assert (magnet.name, magnet.trackers, magnet.web_seeds) == ("....etcpasswd", (), ())


@given(st.text(max_size=100) | st.text(alphabet="magnet:?xturn=btih0123456789abcdef&%so-,.[", max_size=120))
def test_any_text_is_a_magnet_or_a_format_error(text):
    for link in (text, f"{BTIH}&{text}"):
        try:
            magnet = Magnet.parse(link)
        except FormatError:
            continue
        assert Magnet.parse(magnet.to_uri()) == magnet
