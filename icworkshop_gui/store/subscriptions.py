"""What the player follows, in one small file that is replaced as a whole: `subscriptions.json`.

A file that cannot be read is set aside: it never stops the program from starting.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.subscription import Subscription, SubscriptionKind
from icworkshop_gui.core.units import MIB
from icworkshop_gui.store.durable import disk_errors, replace_file

log = logging.getLogger("icw.store")

FORMAT = 1
FILE_MAX = 16 * MIB
"""Bytes that are read; a longer file is not ours."""


def load_subscriptions(path: Path) -> tuple[list[Subscription], str]:
    """What is followed, and a sentence for the player when the file had to be set aside. StorageError."""
    try:
        with disk_errors():
            if not path.exists():
                return [], ""
            with open(path, "rb") as file:
                raw = file.read(FILE_MAX + 1)
        body = json.loads(raw) if len(raw) <= FILE_MAX else None
        if not isinstance(body, dict) or body.get("version") != FORMAT:
            raise ValueError("not a list of subscriptions that is known here")
        return [_read(item) for item in body["subscriptions"]], ""
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("event=subscriptions-set-aside reason=%s", error)
        with disk_errors():
            os.replace(path, path.with_suffix(".bad"))
        return [], f"Your subscriptions could not be read. The old file is {path.with_suffix('.bad').name}."


def save_subscriptions(path: Path, subscriptions: Iterable[Subscription]) -> None:
    """Durable when it returns. StorageError."""
    rows = []
    for item in subscriptions:
        row: dict[str, Any] = asdict(item)
        row["staged"] = [str(ref) for ref in item.staged]
        rows.append(row)
    replace_file(path, json.dumps({"version": FORMAT, "subscriptions": rows}, sort_keys=True, indent=1).encode())


def _read(item: dict[str, Any]) -> Subscription:
    known = item["known"]
    if not isinstance(known, dict) or not all(isinstance(version, str) for version in known.values()):
        raise ValueError("a subscription whose versions are none")
    return Subscription(
        kind=SubscriptionKind(item["kind"]),
        id=str(item["id"]),
        title=str(item["title"]),
        since=float(item["since"]),
        checked_at=float(item["checked_at"]),
        known=known,
        staged=tuple(PackageRef.parse(ref) for ref in item["staged"]),
    )
