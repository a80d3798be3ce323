"""A file with a 32-byte seed in hexadecimal digits that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from icworkshop_gui.core.errors import UserError

SIZE = 32


def make_secret(path: Path) -> None:
    """UserError when there is a file already: a key is never overwritten."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UserError(f"{path} is there already. Choose another name, or use that key.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(number, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(SIZE) + "\n")


def read_secret(path: Path) -> bytes:
    """UserError when it cannot be read or is no such file."""
    try:
        with path.open("rb") as file:
            text = file.read(2 * SIZE + 3)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != SIZE:
        raise UserError(f"{path} holds no key. `icworkshop lobby key FILE` makes one.")
    return secret
