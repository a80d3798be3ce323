"""Distances, and ids that an address may have: the vectors of BEP 42 and the rule itself."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.wire.dht.node_id import crc32c, distance, is_secure, random_id, secure_id, shared_bits

# BEP 42, "test vectors": address, last byte, the id there.
VECTORS = [
    ("124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
    ("21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
    ("65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
    ("84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
    ("43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
]


@pytest.mark.parametrize(("host", "last", "text"), VECTORS)
def test_the_vectors_of_the_specification(host: str, last: int, text: str) -> None:
    node_id = NodeId.from_hex(text)
    assert node_id[19] == last
    assert is_secure(node_id, host)
    for bit in (0, 7, 8, 20):
        wrong = int.from_bytes(node_id) ^ 1 << 159 - bit
        assert not is_secure(NodeId(wrong.to_bytes(20)), host)
    free = int.from_bytes(node_id) ^ 1 << 159 - 21
    assert is_secure(NodeId(free.to_bytes(20)), host)
    assert not is_secure(NodeId(node_id[:19] + bytes([last ^ 1])), host)


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4 uses the same one


@pytest.mark.slow
@given(st.ip_addresses().filter(lambda a: a.is_global and not a.is_multicast), st.randoms(use_true_random=False))
def test_an_id_made_for_an_address_may_be_there(address: object, rng: Random) -> None:
    assert is_secure(secure_id(str(address), rng.randbytes), str(address))


@pytest.mark.parametrize(
    "host", ["10.1.2.3", "172.16.3.4", "192.168.1.2", "169.254.9.9", "127.0.0.1", "::1", "fd00::1"]
)
def test_at_home_any_id_may_be(host: str) -> None:
    assert is_secure(NodeId(bytes(20)), host)


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_distance_is_a_metric_and_shared_bits_are_its_logarithm(one: bytes, other: bytes) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    both = zip(f"{int.from_bytes(one):0160b}", f"{int.from_bytes(other):0160b}", strict=True)
    count = 0
    for a, b in both:
        if a != b:
            break
        count += 1
    assert shared_bits(one, other) == count


@given(st.binary(min_size=20, max_size=20), st.integers(0, 159), st.randoms(use_true_random=False))
def test_a_place_in_a_bucket(like: bytes, shared: int, rng: Random) -> None:
    assert shared_bits(random_id(shared, like, rng.randbytes), like) == shared
