"""What a source says that a package needs, in words that two can be compared by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from icworkshop_gui.core.catalog import Dependency

SHOWN = 5
"""Names worth reading in one sentence."""


def promise_of(dependencies: Iterable[Dependency]) -> tuple[str, ...]:
    """One line for each, sorted."""
    return tuple(
        sorted(
            f"{need.package} {need.requirement}{' (optional)' if need.optional else ''}"
            f"{' on ' + '/'.join(need.platforms) if need.platforms else ''}"
            for need in dependencies
        )
    )


def in_words(promise: Sequence[str]) -> str:
    """For people."""
    more = f" and {len(promise) - SHOWN} more" if len(promise) > SHOWN else ""
    return (", ".join(promise[:SHOWN]) + more) or "nothing"
