"""Batches of datagrams: the quick way and the one that works everywhere do the same."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterator

import pytest

from icworkshop_gui.server.tracker.mailbox import (
    BATCH,
    IN_SIZE,
    OUT_SIZE,
    BatchMailbox,
    Mailbox,
    SingleMailbox,
    open_mailbox,
)

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
KINDS = [
    pytest.param(SingleMailbox, id="single"),
    pytest.param(
        BatchMailbox, id="batch", marks=pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux's alone")
    ),
]


class Post:
    """A mailbox on loopback, and those who write to it."""

    def __init__(self, kind: type[SingleMailbox | BatchMailbox], family: socket.AddressFamily) -> None:
        self.host = LOOPBACK[family]
        self.sock = self._bound(family)
        self.box: Mailbox = kind(self.sock)
        self.clients = [self._bound(family), self._bound(family)]
        for client in self.clients:
            client.connect(self.sock.getsockname())

    def _bound(self, family: socket.AddressFamily) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((self.host, 0))
        sock.setblocking(False)
        return sock

    def receive(self) -> list[bytes]:
        assert select.select([self.sock], [], [], 5)[0]
        box = self.box
        return [bytes(box.inbox[slot * IN_SIZE :][: box.length(slot)]) for slot in range(box.receive())]

    def answer(self, slot: int, to: int, text: bytes) -> None:
        self.box.outbox[slot * OUT_SIZE : slot * OUT_SIZE + len(text)] = text
        self.box.reply(slot, to, len(text))

    def close(self) -> None:
        for sock in (self.sock, *self.clients):
            sock.close()


@pytest.fixture(params=list(LOOPBACK), ids=["ipv4", "ipv6"])
def family(request: pytest.FixtureRequest) -> socket.AddressFamily:
    kind: socket.AddressFamily = request.param
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.bind((LOOPBACK[kind], 0))
    except OSError:
        pytest.skip("this machine has no such address")
    return kind


@pytest.fixture(params=KINDS)
def post(request: pytest.FixtureRequest, family: socket.AddressFamily) -> Iterator[Post]:
    post = Post(request.param, family)
    yield post
    post.close()


def test_each_answer_goes_to_whom_it_is_for(post: Post) -> None:
    first, second = post.clients
    first.send(b"one")
    second.send(b"two")
    first.send(b"")
    second.send(b"four")
    assert post.receive() == [b"one", b"two", b"", b"four"]
    packed = socket.inet_pton(post.sock.family, post.host)
    assert [post.box.packed(slot) for slot in range(4)] == [packed] * 4
    post.answer(0, 3, b"to the fourth")
    post.answer(1, 0, b"to the first")
    post.answer(2, 1, b"x" * OUT_SIZE)
    assert post.box.send(3) == 0
    assert first.recv(2000) == b"to the first"
    assert [second.recv(2000), second.recv(2000)] == [b"to the fourth", b"x" * OUT_SIZE]
    # And again: nothing of the first batch is left in the second.
    first.send(b"five")
    assert post.receive() == [b"five"]
    post.answer(0, 0, b"!")
    assert post.box.send(1) == 0
    assert first.recv(2000) == b"!"
    assert post.box.receive() == 0


def test_what_is_longer_than_its_place_is_cut_off(post: Post) -> None:
    post.clients[0].send(b"a" * (IN_SIZE + 100))
    post.clients[1].send(b"b")
    assert post.receive() == [b"a" * IN_SIZE, b"b"]


def test_no_more_than_a_batch_at_once(post: Post) -> None:
    for number in range(BATCH + 1):
        post.clients[0].send(b"%d" % number)
    assert post.receive() == [b"%d" % number for number in range(BATCH)]
    assert post.receive() == [b"%d" % BATCH]


def test_what_the_system_does_not_take_is_counted_and_the_rest_goes_out(post: Post) -> None:
    for client in post.clients:
        client.send(b"?")
    assert post.receive() == [b"?", b"?"]
    post.answer(0, 0, b"")
    post.box.reply(0, 0, OUT_SIZE)
    post.answer(1, 1, b"here")
    post.clients[0].close()  # that nobody is there any more is not known before it was sent
    assert post.box.send(2) == 0
    assert post.clients[1].recv(100) == b"here"
    post.sock.close()
    assert post.box.send(2) == 2
    assert post.box.receive() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux's alone")
def test_the_quick_way_is_taken_where_there_is_one(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_mailbox(post.sock), BatchMailbox)
    monkeypatch.setattr(sys, "platform", "win32")
    assert isinstance(open_mailbox(post.sock), SingleMailbox)
