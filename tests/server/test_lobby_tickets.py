"""Tickets of the server and of the command line are believed where `LobbyHall` looks at them."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from icworkshop_gui.core.ids import InfoHash, PeerId
from icworkshop_gui.engine.lobby import LIFE_MAX, Lobby, LobbyHall, answer, public_key
from icworkshop_gui.server.rest.lobby import BODY_MAX, INFO_HASHES_MAX
from icworkshop_gui.server.tokens import Scope
from icworkshop_gui.wire.peer.extensions.ic_auth import LobbyTicket
from tests.helpers.programs import cli_here
from tests.server.workshop import Running, run, workshop

ROOM, SECRET = bytes(range(16)), bytes(range(32))
HOLDER = public_key(SECRET)
HASHES = (bytes(20), bytes([7]) * 20)


def is_believed(ticket: bytes, issuer: bytes, info_hash: bytes) -> bool:
    hall = LobbyHall(Random(1), time.time)
    hall.lobby = Lobby.of(ROOM, (issuer,), (), SECRET)
    challenge = hall.challenge()
    assert challenge is not None
    ours, theirs = PeerId(b"a" * 20), PeerId(b"b" * 20)
    given = answer(SECRET, LobbyTicket.decode(ticket), challenge.nonce, ours, theirs)
    why = hall.why_not(given, challenge.nonce, InfoHash(info_hash), prover=ours, verifier=theirs, host="192.0.2.1")
    return not why


def question(**other: Any) -> dict[str, Any]:
    hashes = [each.hex() for each in HASHES]
    return {"room": ROOM.hex(), "holder": HOLDER.hex(), "info_hashes": hashes, "seconds": 600, **other}


async def ask(running: Running, body: object, scope: Scope | None = Scope.LOBBY) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {running.token(scope=scope)}"} if scope else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with running.http.post(f"{running.api}/lobby/tickets", data=data, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.slow
def test_the_server_signs_tickets_that_are_believed_and_keeps_its_key(tmp_path: Path) -> None:
    async def work() -> None:
        issuers = set()
        for _ in range(2):
            async with workshop(tmp_path) as running:
                status, made = await ask(running, question())
                assert status == 201
                issuers |= {made["issuer"], json.loads((await running.get("/api/v1/lobby/key"))[1])["issuer"]}
                for ticket, info_hash in zip(made["tickets"], HASHES, strict=True):
                    assert is_believed(bytes.fromhex(ticket), bytes.fromhex(made["issuer"]), info_hash)
        assert len(issuers) == 1
        assert stat.S_IMODE((tmp_path / "data" / "lobby.key").stat().st_mode) == 0o600

    run(work)


@pytest.mark.slow
def test_what_is_no_question_for_tickets_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            assert (await ask(running, question(), None))[0] == 401
            for scope in (Scope.READONLY, Scope.PUBLISH):
                assert (await ask(running, question(), scope))[0] == 403
            wrong: list[object] = [
                b"", b"[]", b"[" * 5000, question(room="00"), question(holder=None), question(info_hashes=[]),
                question(info_hashes=["00" * 20] * (INFO_HASHES_MAX + 1)), question(info_hashes=[5]),
                question(seconds=0), question(seconds=int(LIFE_MAX) + 1), question(seconds=True),
            ]  # fmt: skip
            for body in wrong:
                assert (await ask(running, body))[0] == 400, body
            assert (await ask(running, b" " * (BODY_MAX + 1)))[0] == 413
            status, _answer = await running.publish(b"x", running.token(scope=Scope.LOBBY))
            assert status == 403, "it issues tickets and nothing else"

    run(work)


def test_a_host_signs_tickets_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "room.key"
    (_, [first], _), (_, [again], _) = (cli_here("lobby", "key", file) for _ in range(2))
    assert first["key"] == again["key"], "a key is never overwritten"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    asked = ("lobby", "ticket", "--key", file, "--room", ROOM.hex(), "--holder", HOLDER.hex())
    code, lines, _ = cli_here(*asked, *(each.hex() for each in HASHES))
    *tickets, done = lines
    assert (code, done) == (0, {"event": "done", "total": 2})
    for row, info_hash in zip(tickets, HASHES, strict=True):
        assert is_believed(bytes.fromhex(row["ticket"]), bytes.fromhex(first["key"]), info_hash)
    for wrong in (["00"], ["--minutes", "1441", HASHES[0].hex()]):
        with pytest.raises(SystemExit, match="2"):
            cli_here(*asked, *wrong)
    file.write_text("no key")
    code, lines, _ = cli_here(*asked, HASHES[0].hex())
    assert code == 1
    assert "holds no key" in lines[-1]["message"]
