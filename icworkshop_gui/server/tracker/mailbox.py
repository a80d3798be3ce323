"""Datagrams in and out of a UDP socket by the batch.

Linux takes and gives many in one call (`recvmmsg`, `sendmmsg`). The socket module does not know these; through it each
datagram costs two calls, an object for its bytes and a text for its address, which together are half of an announce.
`open_mailbox` takes what the system has.

Slot i of a batch that was received is `inbox[i * IN_SIZE:][:length(i)]`, from `packed(i)`. Slot j of the batch that is
sent is written to `outbox[j * OUT_SIZE:]` and addressed by `reply(j, i, length)`.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import Protocol

from icworkshop_gui.wire.tracker import udp

BATCH = 64
"""Datagrams of one batch; then others on the loop have their turn."""
IN_SIZE = udp.MAX_DATAGRAM
"""Bytes taken of a datagram; what is longer is cut off."""
OUT_SIZE = 1024
"""Room for an answer: 50 peers over IPv6 are 920 bytes, 74 swarms of a scrape 896."""


class Mailbox(Protocol):
    """One socket's batches. Not for two threads."""

    inbox: bytearray
    outbox: bytearray

    def receive(self) -> int:
        """Take what is there, up to `BATCH`; how many. Overwrites the batch before."""
        ...

    def length(self, slot: int) -> int:
        """Bytes of one that was received."""
        ...

    def packed(self, slot: int) -> bytes:
        """The sender's address: 4 or 16 bytes."""
        ...

    def reply(self, slot: int, to: int, length: int) -> None:
        """Outgoing `slot`, of `length` bytes, goes to the sender of the received one `to`."""
        ...

    def send(self, count: int) -> int:
        """Send the slots before `count`; how many the system did not take (queue full, or a sender's port of 0)."""
        ...


def open_mailbox(sock: socket.socket) -> Mailbox:
    """For a non-blocking UDP socket, which stays the caller's."""
    if sys.platform == "linux" and sys.byteorder == "little" and ctypes.sizeof(ctypes.c_void_p) == 8:
        try:
            return BatchMailbox(sock)
        except AttributeError:  # a C library without these calls
            pass
    return SingleMailbox(sock)


class SingleMailbox:
    """A call for each datagram: works everywhere."""

    def __init__(self, sock: socket.socket) -> None:
        self.inbox = bytearray(BATCH * IN_SIZE)
        self.outbox = bytearray(BATCH * OUT_SIZE)
        self._sock = sock
        self._family = sock.family
        self._slots = [memoryview(self.inbox)[at : at + IN_SIZE] for at in range(0, len(self.inbox), IN_SIZE)]
        self._out = memoryview(self.outbox)
        self._lengths = [0] * BATCH
        self._senders: list[tuple[str, int]] = [("", 0)] * BATCH
        self._replies: list[tuple[int, int]] = [(0, 0)] * BATCH

    def receive(self) -> int:
        for slot in range(BATCH):
            try:
                self._lengths[slot], self._senders[slot] = self._sock.recvfrom_into(self._slots[slot])
            except OSError:  # no more there; or, on some systems, an earlier answer could not be delivered
                return slot
        return BATCH

    def length(self, slot: int) -> int:
        return self._lengths[slot]

    def packed(self, slot: int) -> bytes:
        return socket.inet_pton(self._family, self._senders[slot][0].partition("%")[0])

    def reply(self, slot: int, to: int, length: int) -> None:
        self._replies[slot] = (to, length)

    def send(self, count: int) -> int:
        lost = 0
        for slot in range(count):
            to, length = self._replies[slot]
            try:
                self._sock.sendto(self._out[slot * OUT_SIZE :][:length], self._senders[to])
            except OSError:
                lost += 1
        return lost


_NAME_SIZE = 32
"""Room for a `sockaddr_in` (16 bytes) or `sockaddr_in6` (28)."""
_V4 = struct.Struct("4x4s")
_V6 = struct.Struct("8x16s")
_WORDS = 8
"""A `struct mmsghdr` of 64-bit Linux is 64 bytes: the words name, length of the name, pieces, number of pieces,
control, its length, flags; and in the last word the bytes that were moved."""
_NAME, _NAME_LENGTH, _PIECES, _PIECE_COUNT, _MOVED = 0, 1, 2, 3, 7


class BatchMailbox:
    """A call for each batch: little-endian 64-bit Linux."""

    def __init__(self, sock: socket.socket) -> None:
        """AttributeError where the C library lacks the calls."""
        library = ctypes.CDLL(None)
        self._recvmmsg = library.recvmmsg
        self._sendmmsg = library.sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._recvmmsg.argtypes = (*self._sendmmsg.argtypes, ctypes.c_void_p)
        self._fd = sock.fileno()
        name_length, self._address = (28, _V6) if sock.family == socket.AF_INET6 else (16, _V4)
        self.inbox = bytearray(BATCH * IN_SIZE)
        self.outbox = bytearray(BATCH * OUT_SIZE)
        self._names = bytearray(BATCH * _NAME_SIZE)
        self._name_at = _address(self._names)
        self._in, self._in_at = _headers(self.inbox, IN_SIZE, name_length)
        self._out, self._out_at = _headers(self.outbox, OUT_SIZE, name_length)
        for slot in range(BATCH):
            self._in.headers[slot * _WORDS + _NAME] = self._name_at + slot * _NAME_SIZE

    def receive(self) -> int:
        count: int = self._recvmmsg(self._fd, self._in_at, BATCH, socket.MSG_DONTWAIT, None)
        return max(count, 0)

    def length(self, slot: int) -> int:
        return self._in.headers[slot * _WORDS + _MOVED]

    def packed(self, slot: int) -> bytes:
        packed: bytes = self._address.unpack_from(self._names, slot * _NAME_SIZE)[0]
        return packed

    def reply(self, slot: int, to: int, length: int) -> None:
        out = self._out
        out.headers[slot * _WORDS + _NAME] = self._name_at + to * _NAME_SIZE
        out.pieces[2 * slot + 1] = length

    def send(self, count: int) -> int:
        sent = lost = 0
        while sent < count:
            taken = self._sendmmsg(self._fd, self._out_at + sent * _WORDS * 8, count - sent, socket.MSG_DONTWAIT)
            if taken > 0:
                sent += taken
            else:
                sent += 1
                lost += 1
        return lost


class _Headers:
    """`mmsghdr` and `iovec` of a batch, as words that Python can set quickly. Keeps the memory they point to."""

    def __init__(self) -> None:
        self.headers = memoryview(bytearray(BATCH * _WORDS * 8)).cast("Q")
        self.pieces = memoryview(bytearray(BATCH * 16)).cast("Q")
        """Address and length, one piece for each datagram."""


def _headers(box: bytearray, size: int, name_length: int) -> tuple[_Headers, int]:
    """For slots of `size` bytes of `box`; and where the first header is."""
    made = _Headers()
    pieces_at = _address(made.pieces.obj)
    box_at = _address(box)
    for slot in range(BATCH):
        made.pieces[2 * slot] = box_at + slot * size
        made.pieces[2 * slot + 1] = size
        header = slot * _WORDS
        made.headers[header + _NAME_LENGTH] = name_length
        made.headers[header + _PIECES] = pieces_at + slot * 16
        made.headers[header + _PIECE_COUNT] = 1
    return made, _address(made.headers.obj)


def _address(memory: object) -> int:
    """Where the bytes of a `bytearray` lie. Whoever uses it must keep the array, and never change its size."""
    assert isinstance(memory, bytearray)
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
