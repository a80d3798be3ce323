"""The tracker's UDP face (BEP 15), over IPv4 and IPv6.

A non-blocking socket with `add_reader` and a loop over whole batches (`mailbox`): asyncio's datagram transport is many
times slower and drops more. Fields are read and written in place, with no message objects: this is the busiest loop of
the server.
Senders without a valid connection id get nothing but a connect reply, which is no longer than what they sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from icworkshop_gui.server.tracker.connection_ids import ConnectionIds
from icworkshop_gui.server.tracker.mailbox import IN_SIZE, OUT_SIZE, Mailbox, open_mailbox
from icworkshop_gui.server.tracker.sockets import open_everywhere
from icworkshop_gui.server.tracker.tracker import Tracker
from icworkshop_gui.wire.tracker import udp

RECEIVE_BUFFER = 4 << 20
"""Bytes the system may queue: a second of announces at full speed while the loop is busy elsewhere."""

# What of `udp.ANNOUNCE` matters to the table: connection id, action, transaction id, info-hash, left, event,
# num_want, port. Bytes stay bytes where they only travel on.
_ANNOUNCE = struct.Struct(">8sI4s20s28xQ8xI8xi2s")
_ANNOUNCE_SIZE = udp.ANNOUNCE.size
_REPLY = struct.Struct(">I4sIII")
_REPLY_SIZE = _REPLY.size
_HEAD = struct.Struct(">8sI4s")
_HEAD_REPLY = struct.Struct(">I4s")
_ACTION_ANNOUNCE = udp.ACTION_ANNOUNCE


class UdpTrackerServer:
    """Serves `tracker` on a UDP port. `host` "" is every address of the machine, IPv4 and, where there is one, IPv6."""

    def __init__(self, tracker: Tracker, host: str = "", port: int = 6969) -> None:
        self._tracker = tracker
        self._host = host
        self._port = port
        self._ids = ConnectionIds(tracker.rng.randbytes(32))
        self._sockets: list[socket.socket] = []
        self.dropped = 0
        """Answers that the system did not take; like the network, UDP promises nothing."""

    @property
    def port(self) -> int:
        """The real one, also when 0 was asked for."""
        return self._port

    async def start(self) -> None:
        """Open the sockets; OSError when the port is taken or the address is not ours."""
        loop = asyncio.get_running_loop()
        self._sockets = open_everywhere(self._host, self._port, socket.SOCK_DGRAM, _prepare)
        self._port = self._sockets[0].getsockname()[1]
        for sock in self._sockets:
            loop.add_reader(sock, self.serve(open_mailbox(sock)))

    async def aclose(self) -> None:
        """Stop at once; safe to call twice."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def serve(self, box: Mailbox) -> Callable[[], None]:
        """The drain loop for one mailbox, with everything it needs at hand; to be called when something is in it."""
        tracker, ids = self._tracker, self._ids
        clock, announce, interval = tracker.clock, tracker.announce, tracker.interval
        known = ids.known
        inbox, outbox = box.inbox, box.outbox
        receive, length_of, packed_of, reply_to, send = box.receive, box.length, box.packed, box.reply, box.send
        unpack, pack = _ANNOUNCE.unpack_from, _REPLY.pack_into

        def drain() -> None:
            tracker.turn()
            ids.turn(clock.now())
            replies = at = 0
            for slot in range(receive()):
                packed = packed_of(slot)
                if length_of(slot) >= _ANNOUNCE_SIZE:
                    connection_id, action, transaction_id, info_hash, left, event, want, port = unpack(
                        inbox, slot * IN_SIZE
                    )
                    if action == _ACTION_ANNOUNCE and known.get(packed) == connection_id:
                        seeders, leechers, peers = announce(info_hash, packed + port, left, event, want)
                        pack(outbox, at, 1, transaction_id, interval, leechers, seeders)
                        end = at + _REPLY_SIZE + len(peers)
                        outbox[at + _REPLY_SIZE : end] = peers
                        reply_to(replies, slot, end - at)
                        replies += 1
                        at += OUT_SIZE
                        continue
                first = slot * IN_SIZE
                reply = self._answer(bytes(inbox[first : first + length_of(slot)]), packed)
                if reply is not None:
                    outbox[at : at + len(reply)] = reply
                    reply_to(replies, slot, len(reply))
                    replies += 1
                    at += OUT_SIZE
            if replies:
                self.dropped += send(replies)

        return drain

    def _answer(self, data: bytes, packed: bytes) -> bytes | None:
        """What is not an announce from an address that is known already."""
        if len(data) < udp.HEAD.size:
            return None
        connection_id, action, transaction_id = _HEAD.unpack_from(data)
        if action == udp.ACTION_CONNECT:
            if int.from_bytes(connection_id, "big") != udp.PROTOCOL_ID:
                return None
            return _HEAD_REPLY.pack(udp.ACTION_CONNECT, transaction_id) + self._ids.make(packed)
        if not self._ids.check(packed, connection_id):
            return None
        if action == _ACTION_ANNOUNCE and len(data) >= _ANNOUNCE_SIZE:
            _, _, _, info_hash, left, event, want, port = _ANNOUNCE.unpack_from(data)
            seeders, leechers, peers = self._tracker.announce(info_hash, packed + port, left, event, want)
            return _REPLY.pack(1, transaction_id, self._tracker.interval, leechers, seeders) + peers
        request = udp.parse_request(data)
        if isinstance(request, udp.Scrape):
            found = self._tracker.scrape(request.info_hashes)
            return udp.scrape_reply(request.transaction_id, [found[item] for item in request.info_hashes])
        return None


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
