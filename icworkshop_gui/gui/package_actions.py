"""What the button of a package does, wherever it is: in a row, in the preview, on the page."""

from __future__ import annotations

from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.engine.api.commands import Resume
from icworkshop_gui.gui.models.package_state import PackageState, Standing
from icworkshop_gui.gui.screens.base import Shell

_WISHES = {
    Standing.ABSENT: "install",
    Standing.UPDATE: "update",
    Standing.PAUSED: "resume",
    Standing.FAILED: "show",
    Standing.QUEUED: "show",
    Standing.RUNNING: "show",
    Standing.INSTALLED: "library",
}


def wish_of(state: PackageState) -> str:
    """What pressing the button means in this state."""
    return _WISHES[state.standing]


def carry_out(shell: Shell, wish: str, package: PackageId, title: str, state: PackageState, version: str = "") -> None:
    """Do it. `version` empty: the newest."""
    match wish:
        case "install" | "update":
            shell.reviews.install(((package, version),), title)
        case "resume" if state.transfer is not None:
            shell.bridge.send(Resume((state.transfer.id,)))
        case "show" if state.transfer is not None:
            shell.go("downloads", state.transfer.id)
        case "library" if state.entry is not None:
            shell.go("library", state.entry.ref)
