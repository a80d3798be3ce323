"""What one run leaves to the next: our ids in the DHT, and nodes that answered last (engine.md G 11: hundreds)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.ids import NodeId
from icworkshop_gui.formats.bencode import BencodeLimits, decode, encode
from icworkshop_gui.store.durable import replace_file
from icworkshop_gui.wire.dht.compact import Contact, pack_nodes, unpack_nodes

NAME: Final = "dht.state"
NODES_MAX: Final = 500
"""Nodes kept of each family."""
LIMITS: Final = BencodeLimits(size=64 * 1024, depth=2, tokens=16)
_KEYS: Final = {False: (b"id4", b"nodes4"), True: (b"id6", b"nodes6")}


@dataclass(frozen=True, slots=True)
class DhtState:
    """By family: False is IPv4, True is IPv6."""

    ids: Mapping[bool, NodeId] = field(default_factory=dict)
    nodes: Mapping[bool, Sequence[Contact]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As it lies on the disk."""
        fields: dict[bytes, bytes] = {}
        for ipv6, (id_key, nodes_key) in _KEYS.items():
            if ipv6 in self.ids:
                fields[id_key] = self.ids[ipv6]
            fields[nodes_key] = pack_nodes(self.nodes.get(ipv6, ())[:NODES_MAX])
        return encode(fields)

    @classmethod
    def parse(cls, data: bytes) -> DhtState:
        """FormatError when it is no state. What is wrong with single nodes costs only those."""
        fields = decode(data, limits=LIMITS)
        if not isinstance(fields, dict):
            raise FormatError("the state of the DHT is no dictionary")
        ids: dict[bool, NodeId] = {}
        nodes: dict[bool, Sequence[Contact]] = {}
        for ipv6, (id_key, nodes_key) in _KEYS.items():
            raw_id, raw_nodes = fields.get(id_key), fields.get(nodes_key)
            if isinstance(raw_id, bytes) and len(raw_id) == NodeId.SIZE:
                ids[ipv6] = NodeId(raw_id)
            if isinstance(raw_nodes, bytes):
                nodes[ipv6] = unpack_nodes(raw_nodes, NODES_MAX, ipv6=ipv6)
        return cls(ids, nodes)


def load_state(folder: Path) -> DhtState:
    """Of the last run; an empty one when there is none or it cannot be read: it is found anew, that is all. Blocks."""
    try:
        with (folder / NAME).open("rb") as file:
            return DhtState.parse(file.read(LIMITS.size + 1))
    except (OSError, FormatError):
        return DhtState()


def save_state(folder: Path, state: DhtState) -> None:
    """For the next run. Blocks; StorageError."""
    replace_file(folder / NAME, state.encode())
