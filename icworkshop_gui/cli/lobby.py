"""`icworkshop lobby key|ticket`: a key for a room, and tickets that its host signs (DESIGN §4.3)."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icworkshop_gui.cli.output import Output
from icworkshop_gui.core.ids import InfoHash
from icworkshop_gui.engine.lobby import LIFE_MAX, issue, public_key
from icworkshop_gui.store.secret_file import make_secret, read_secret
from icworkshop_gui.wire.peer.extensions.ic_auth import KEY_SIZE, ROOM_SIZE

INFO_HASH_SIZE = 20
MINUTES = 120


def key(arguments: argparse.Namespace, output: Output) -> int:
    if not arguments.file.exists():
        make_secret(arguments.file)
    made = public_key(read_secret(arguments.file)).hex()
    output.object(event="done", key=made, file=str(arguments.file))
    output.line(made)
    return 0


def ticket(arguments: argparse.Namespace, output: Output) -> int:
    secret = read_secret(arguments.key)
    expires = int(time.time()) + 60 * arguments.minutes
    for info_hash in arguments.info_hash:
        made = issue(
            secret, room=arguments.room, info_hash=InfoHash(info_hash), holder=arguments.holder, expires=expires
        )
        output.object(
            event="ticket", ticket=made.encode().hex(), info_hash=info_hash.hex(), issuer=made.issuer.hex(),
            expires=expires,
        )  # fmt: skip
        output.line(made.encode().hex())
    output.object(event="done", total=len(arguments.info_hash))
    return 0


class _Hex:
    """So many bytes, two hexadecimal digits each."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, text: str) -> bytes:
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if len(data) != self._size:
            raise argparse.ArgumentTypeError(f"{2 * self._size} hexadecimal digits, not {text[:80]!r}")
        return data


def _minutes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= LIFE_MAX // 60):
        raise argparse.ArgumentTypeError(f"1 to {int(LIFE_MAX // 60)} minutes, not {text[:40]!r}")
    return int(text)


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    lobby = verbs.add_parser("lobby", help="keys and tickets of a room: its members serve each other first")
    steps = lobby.add_subparsers(dest="step", required=True, metavar="STEP")
    verb = steps.add_parser("key", parents=common, help="make a key, or say which one a file holds")
    verb.add_argument("file", type=Path, metavar="FILE")
    verb.set_defaults(run=key)
    verb = steps.add_parser("ticket", parents=common, help="sign tickets for a player")
    verb.add_argument("--key", type=Path, required=True, metavar="FILE", help="of the room's host")
    verb.add_argument("--room", type=_Hex(ROOM_SIZE), required=True, metavar="HEX", help="number of the room")
    verb.add_argument("--holder", type=_Hex(KEY_SIZE), required=True, metavar="HEX", help="the player's key")
    verb.add_argument("--minutes", type=_minutes, default=MINUTES, metavar="N", help="of life (default: %(default)s)")
    verb.add_argument("info_hash", type=_Hex(INFO_HASH_SIZE), nargs="+", metavar="INFO-HASH", help="of torrents, v1")
    verb.set_defaults(run=ticket)
