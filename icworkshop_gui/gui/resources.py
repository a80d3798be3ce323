"""Where the bundled fonts and pictures lie: inside the wheel (`_data/resources`), else in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_ROOTS = (_PACKAGE / "_data" / "resources", _PACKAGE.parent / "resources")


def resource(*parts: str) -> Path:
    """The path of a bundled file; FileNotFoundError that names it when the installation is incomplete."""
    for root in _ROOTS:
        path = root.joinpath(*parts)
        if path.is_file():
            return path
    raise FileNotFoundError(f"the installation lacks resources/{'/'.join(parts)}")
