"""`icworkshop-server`: serve a data folder, and give out tokens for it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_data_path

from icworkshop_gui import __version__
from icworkshop_gui.core.clock import SystemClock
from icworkshop_gui.core.errors import NotFound, UserError, WorkshopError
from icworkshop_gui.server import tables
from icworkshop_gui.server.app import Ready, WorkshopServer, new_loop
from icworkshop_gui.server.config import ServerConfig, add_flags, load_config
from icworkshop_gui.server.tokens import Scope, Tokens

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_FOUND = 0, 1, 2, 3
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["token"]:
            return _token(_token_parser().parse_args(arguments[1:]))
        given = _serve_parser().parse_args(arguments)
        config = load_config(given.data, vars(given), os.environ)
        logging.basicConfig(level=given.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(config, as_json=given.json, with_stdin=given.exit_with_stdin))
    except NotFound as error:
        return _failed(str(error), EXIT_NOT_FOUND)
    except WorkshopError as error:
        return _failed(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        return 130
    return EXIT_DONE


async def _serve(config: ServerConfig, *, as_json: bool, with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    if with_stdin:
        threading.Thread(target=_end_with_stdin, args=(loop, stop), name="stdin", daemon=True).start()
    server = WorkshopServer(config)
    try:
        ready = await server.start()
        print(_announcement(ready, as_json=as_json), flush=True)
        await stop.wait()
    finally:
        await server.stop()


def _end_with_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Whoever started us holds the other end of standard input: it closes however that program ends."""
    # The plain descriptor: a buffered reader's lock, held by a daemon thread, would abort the interpreter's end.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        pass  # the loop ended before


def _announcement(ready: Ready, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {
                "event": "ready",
                "url": ready.url,
                "port": ready.port,
                "bt_port": ready.bt_port,
                "udp_port": ready.udp_port,
                "data": str(ready.data),
            }
        )
    seed = f"peer port    {ready.bt_port}/tcp\n" if ready.bt_port else ""
    return (
        f"Workshop     {ready.url}\n"
        f"tracker      {ready.url}/announce and udp port {ready.udp_port}\n"
        f"{seed}"
        f"for operators {ready.url}/docs, /health, /metrics\n"
        f"data         {ready.data}\n"
        "To publish, make a token: icworkshop-server token create "
        f"--data {ready.data} --publisher NAME"
    )


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="icworkshop-server",
        description="A Workshop server: registry, tracker and permanent seed in one process. "
        "It speaks HTTP; put a reverse proxy in front for HTTPS and name it with --trusted-proxies.",
        epilog="icworkshop-server token --help: who may publish. Each switch is also a line of server_config.toml "
        "in the data folder and a variable ICW_SERVER_….",
    )
    parser.add_argument("--version", action="version", version=f"icworkshop-server {__version__}")
    _add_data(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON when ready")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input closes")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    add_flags(parser)
    return parser


def _token_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="icworkshop-server token", description="Who may publish.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", help="make a token; it is shown once")
    _add_data(create)
    create.add_argument("--publisher", required=True, help="for whom")
    create.add_argument("--scope", default=Scope.PUBLISH.value, choices=[scope.value for scope in Scope])
    create.add_argument("--expires", default="90d", help="30m, 12h, 90d, 8w or never (default: 90d)")
    create.add_argument("--label", default="", help="a note to yourself")
    shown = verbs.add_parser("list", help="all tokens, without their secrets")
    _add_data(shown)
    revoke = verbs.add_parser("revoke", help="take a token back, at once")
    _add_data(revoke)
    revoke.add_argument("id", type=int, help="its number, as list shows it")
    for verb in (create, shown, revoke):
        verb.add_argument("--json", action="store_true", help="JSON, an object a line")
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    default = user_data_path("icworkshop-server", appauthor=False)
    parser.add_argument("--data", type=Path, default=default, help=f"data folder (default: {default})")


def _token(given: argparse.Namespace) -> int:
    given.data.mkdir(parents=True, exist_ok=True)
    engines = tables.open_database(ServerConfig(data=given.data).database)
    tokens = Tokens(engines, SystemClock())
    try:
        if given.verb == "create":
            number, token = tokens.create(
                given.publisher, Scope(given.scope), seconds=_lifetime(given.expires), label=given.label
            )
            told = {"id": number, "publisher": given.publisher, "scope": given.scope, "token": token}
            print(json.dumps(told) if given.json else token)
        elif given.verb == "revoke":
            tokens.revoke(given.id)
        else:
            for row in tokens.all():
                state = "revoked" if row.revoked_at else _until(row.expires_at)
                line = {
                    "id": row.id, "publisher": row.publisher, "scope": row.scope, "state": state, "label": row.label,
                }  # fmt: skip
                print(json.dumps(line) if given.json else "  ".join(map(str, line.values())).rstrip())
    finally:
        for engine in engines:
            engine.dispose()
    return EXIT_DONE


def _lifetime(text: str) -> float | None:
    if text == "never":
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UserError(f"--expires: a time like 90d or 12h, or never; not {text[:40]!r}")
    return float(int(match[1]) * _SECONDS[match[2]])


def _until(moment: float | None) -> str:
    if moment is None:
        return "valid"
    day = time.strftime("%Y-%m-%d", time.gmtime(moment))
    return f"{'expired' if moment <= time.time() else 'valid until'} {day}"


def _failed(message: str, code: int) -> int:
    print(f"icworkshop-server: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
