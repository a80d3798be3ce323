"""Version ranges in words (Cargo's syntax, DESIGN §4.16). Without Qt."""

from __future__ import annotations

import re

from icworkshop_gui.gui.format import clipped

_ONE = re.compile(r"\s*(\^|~|=|>=)?\s*(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?\s*")


def requirement_words(requirement: str) -> str:
    """`^2.1` → `2.1 or newer, below 3`; what has no simple words is shown as written."""
    if requirement.strip() in ("", "*"):
        return "any version"
    found = _ONE.fullmatch(requirement[:100])
    if found is None:
        return clipped(requirement)[:60]
    sign = found.group(1) or "^"
    parts = [int(part) for part in found.groups()[1:] if part is not None]
    version = ".".join(str(part) for part in parts)
    match sign:
        case "=":
            return f"exactly {version}"
        case ">=":
            return f"{version} or newer"
        case "~":
            return f"{version} or newer, below {_raised(parts, min(1, len(parts) - 1))}"
    # Caret: the first part that is not zero may not change; 0, 0.0 and 0.0.0 hold their last one.
    kept = next((at for at, part in enumerate(parts) if part), len(parts) - 1)
    return f"{version} or newer, below {_raised(parts, kept)}"


def _raised(parts: list[int], at: int) -> str:
    return ".".join(str(part) for part in (*parts[:at], parts[at] + 1))
