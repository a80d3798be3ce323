"""Lobby tickets signed by this server: whoever holds one is served first by the others of its room (DESIGN §4.3)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.lobby import LIFE_MAX, issue, public_key
from icworkshop_gui.server.lobby_key import LobbyKey
from icworkshop_gui.server.rest.desk import Desk, json_answer
from icworkshop_gui.server.rest.publish import check_token
from icworkshop_gui.server.tokens import Scope
from icworkshop_gui.wire.peer.extensions.ic_auth import KEY_SIZE, ROOM_SIZE

BODY_MAX = 64 * 1024
"""Bytes of a question: fifty tickets need 4 KiB."""
INFO_HASHES_MAX = 100
"""Tickets of one answer: a package each."""
INFO_HASH_SIZE = 20


def lobby_routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/lobby", tags=["lobby"])
    key = LobbyKey(desk.config.data)

    @router.get("/key", summary="The key that signs lobby tickets")
    async def issuer() -> Response:
        secret = await asyncio.to_thread(key.secret)
        return json_answer({"issuer": public_key(secret).hex()})

    @router.post(
        "/tickets",
        summary="Tickets for a player in a room",
        description=(
            "Body: JSON with `room` (16 bytes), `holder` (the player's Ed25519 key, 32 bytes), `info_hashes` (of the "
            "torrents, v1), all hexadecimal, and `seconds` of life, at most 86400. Needs `Authorization: Bearer "
            "<token>` of scope `lobby` or `admin`: that of the relay or game server which knows who is in the room."
        ),
    )
    async def tickets(request: Request) -> Response:
        grant = await check_token(desk, request)
        if grant.scope not in (Scope.LOBBY, Scope.ADMIN):
            raise RegistryError("forbidden_scope", "this token issues no lobby tickets; that takes the scope lobby")
        fields = await _fields(request)
        room, holder = _bytes(fields, "room", ROOM_SIZE), _bytes(fields, "holder", KEY_SIZE)
        hashes = fields.get("info_hashes")
        if not isinstance(hashes, list) or not 0 < len(hashes) <= INFO_HASHES_MAX:
            raise RegistryError("bad_request", f"info_hashes: a list of 1 to {INFO_HASHES_MAX}")
        named = [_bytes({"info_hashes": each}, "info_hashes", INFO_HASH_SIZE) for each in hashes]
        seconds = fields.get("seconds")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= LIFE_MAX:
            raise RegistryError("bad_request", f"seconds: a whole number up to {int(LIFE_MAX)}")
        secret = await asyncio.to_thread(key.secret)
        expires = int(desk.clock.wall()) + seconds
        made = [
            issue(secret, room=room, info_hash=InfoHash(info_hash), holder=holder, expires=expires).encode().hex()
            for info_hash in named
        ]
        return json_answer({"issuer": public_key(secret).hex(), "expires": expires, "tickets": made}, status=201)

    return router


async def _fields(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            raise RegistryError("too_large", f"a question of more than {BODY_MAX} bytes")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RegistryError("bad_request", "the body must be a JSON object")
    return fields


def _bytes(fields: dict[str, Any], name: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(fields[name])
    except (KeyError, TypeError, ValueError):
        data = b""
    if len(data) != size:
        raise RegistryError("bad_request", f"{name}: {size} bytes as {2 * size} hexadecimal digits")
    return data
