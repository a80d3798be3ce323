"""`icworkshop`: arguments in, exit code out.

0 done · 1 failed · 2 usage · 3 not found · 4 conflict · 5 integrity · 130 interrupted (DESIGN §6).
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from icworkshop_gui import __version__
from icworkshop_gui.cli import torrent
from icworkshop_gui.cli.engine import Interrupted
from icworkshop_gui.cli.output import Output
from icworkshop_gui.core.errors import (
    DISTRUST,
    Conflict,
    IntegrityError,
    NotFound,
    RegistryError,
    StorageError,
    StorageFault,
    WorkshopError,
)
from icworkshop_gui.registry.source import parse_address

EXIT_FAILED, EXIT_NOT_FOUND, EXIT_CONFLICT, EXIT_INTEGRITY, EXIT_INTERRUPTED = 1, 3, 4, 5, 130

_STORAGE = {
    StorageFault.FULL: "the disk is full. Free some space and run this again; what is here stays.",
    StorageFault.GONE: "the folder or disk is not there any more. Run this again when it is back.",
    StorageFault.DENIED: "there is no permission to write there. Choose another folder.",
    StorageFault.CHANGED: "a file was changed by another program. Run `icworkshop verify --repair`.",
    StorageFault.IO: "the disk reports an error. Check the disk before trusting it.",
}


def parser(verb: str = "") -> argparse.ArgumentParser:
    """Understands every verb, or with `torrent` that one alone: it is to start without what packages need."""
    top = argparse.ArgumentParser(prog="icworkshop", description="Iron Curtain Workshop on the command line.")
    top.add_argument("--version", action="version", version=f"icworkshop {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON object a line")
    common.add_argument("--data-dir", metavar="DIR", help="instead of the usual place")
    common.add_argument("--verbose", action="store_true", help="log what happens")
    sourced = argparse.ArgumentParser(add_help=False)
    sourced.add_argument(
        "--source",
        type=_source,
        action="append",
        default=[],
        metavar="URL|FOLDER",
        help="a Workshop server, an index, or a folder of packages, before the configured ones; may repeat",
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    if verb != "torrent":
        from icworkshop_gui.cli import bundle, lobby, packages, profiles, publish, sources, subscriptions

        packages.add_arguments(verbs, [common, sourced])
        bundle.add_arguments(verbs, [common, sourced])
        sources.add_arguments(verbs, [common])
        subscriptions.add_arguments(verbs, [common, sourced])
        profiles.add_arguments(verbs, [common, sourced])
        publish.add_arguments(verbs, [common, sourced])
        lobby.add_arguments(verbs, [common])
    torrent.add_arguments(verbs, [common])
    return top


def _source(text: str) -> str:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> int:
    """Carry out parsed arguments; every failure is one line and an exit code."""
    output = Output(as_json=arguments.json)
    code, message = EXIT_FAILED, ""
    try:
        verb: Callable[[argparse.Namespace, Output], int] = arguments.run
        return verb(arguments, output)
    except (Interrupted, KeyboardInterrupt):
        code, message = EXIT_INTERRUPTED, "interrupted; run it again to go on."
    except NotFound as error:
        code, message = EXIT_NOT_FOUND, str(error)
    except Conflict as error:
        code, message = EXIT_CONFLICT, str(error)
    except IntegrityError as error:
        code, message = EXIT_INTEGRITY, str(error)
    except RegistryError as error:
        code, message = EXIT_INTEGRITY if error.code in DISTRUST else EXIT_FAILED, str(error)
    except StorageError as error:
        message = f"{error.path}: {_STORAGE[error.fault]}" if error.path else _STORAGE[error.fault]
    except WorkshopError as error:
        message = str(error)
    except BrokenPipeError:
        # Whoever read our output is gone (`| head`); the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    output.error(message, code)
    return code


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl+C does: what is half done is cleared away."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> NoReturn:
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(*words[:1]).parse_args(words)
    signal.signal(signal.SIGTERM, _terminated)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.ERROR,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    # What is loaded by now stays: the collector need not go through it again and again.
    gc.freeze()
    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
