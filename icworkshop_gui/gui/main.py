"""Composition root of `icworkshop-gui`: arguments, engine, bridge, window, tray, and an end in good order."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from icworkshop_gui import __version__

SWITCH_INTERVAL = 0.0001
"""Seconds the interpreter lets one thread run: at the default of 5 ms the engine would make the window stutter. DESIGN
§7 says 0.0005; with the engine standing back `tests.bench.gui_latency` saw p99 of 28 to 30 ms with that and of 23 to 29
with 0.0001 while 330 MB a second came in, and as many bytes."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line. Imports no Qt: `--help` and `--version` answer at once."""
    parser = argparse.ArgumentParser(prog="icworkshop-gui", description="Browse, install and share Workshop content.")
    parser.add_argument("--version", action="version", version=f"icworkshop-gui {__version__}")
    parser.add_argument(
        "--demo", action="store_true", help="bring a Workshop with sample content, on this computer only"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="with --demo: keep everything in this folder")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="settings, downloads and installed packages")
    parser.add_argument("--source", action="append", default=[], metavar="URL", help="a Workshop server, for this run")
    parser.add_argument(
        "torrents", nargs="*", metavar="FILE|MAGNET", help="torrent files and magnet links; a running window adds them"
    )
    parser.add_argument("--style", choices=("light", "dark", "system"), help="colours, for this run")
    chosen = parser.parse_args(arguments)
    if chosen.keep is not None and not chosen.demo:
        parser.error("--keep needs --demo")
    if chosen.data_dir is not None and chosen.demo:
        parser.error("the demo has a folder of its own: use --keep DIR instead of --data-dir")
    return chosen


def _whole(text: str) -> str:
    """As the window understands it, whatever folder it was started in."""
    return text if text.lower().startswith(("magnet:", "file:")) else str(Path(text).absolute())


def main(arguments: list[str] | None = None) -> int:
    """Run the desktop program. 0 when it ended well, 1 when it could not start, 130 when interrupted."""
    chosen = parse(arguments)
    from icworkshop_gui.engine.host import EngineHost, data_dir

    folder = data_dir(chosen.data_dir)
    opened = tuple(_whole(text) for text in chosen.torrents)
    try:
        from icworkshop_gui.gui.single_instance import call_first

        # Before the window's own modules are loaded: a second start shall be over in a blink.
        if not chosen.demo and call_first(folder, opened):
            return 0
        from icworkshop_gui.gui.program import Program
    except ImportError as error:
        print(f"icworkshop-gui needs PySide6 and qasync ({error}). Install icworkshop-gui[gui].", file=sys.stderr)
        return 1
    sys.setswitchinterval(SWITCH_INTERVAL)
    program = Program(
        open_engine=lambda folder, sources: EngineHost(
            data_dir=folder,
            sources=sources,
            # The demo promises to stay on this computer.
            listen_host="127.0.0.1" if chosen.demo else None,
            stands_back=True,
        ).start(),
        data_dir=folder,
        sources=tuple(chosen.source),
        demo=chosen.demo,
        keep=chosen.keep,
        mode=chosen.style,
        opened=opened,
    )
    return program.run()


if __name__ == "__main__":
    sys.exit(main())
