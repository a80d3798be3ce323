"""`icworkshop source list|add|remove|move`: where packages come from, in order of importance."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from icworkshop_gui.cli.output import Output, safe
from icworkshop_gui.cli.packages import engine
from icworkshop_gui.core.errors import NotFound
from icworkshop_gui.engine.api.commands import AddSource, CheckSources, MoveSource, RemoveSource
from icworkshop_gui.registry.source import display_address, row_of

KINDS = {"remote": "server", "git-index": "index", "local": "folder"}


def sources(arguments: argparse.Namespace, output: Output) -> int:
    arguments.source = []
    with engine(arguments, output) as opened:
        if arguments.action == "add":
            opened.ask(AddSource(arguments.what))
        elif arguments.action in ("remove", "move"):
            known = [state.url for state in opened.view.totals.sources]
            url = next((url for url in known if arguments.what in (url, display_address(url))), None)
            if url is None:
                raise NotFound(f"{arguments.what} is not one of your sources. `icworkshop source list` shows them.")
            opened.ask(RemoveSource(url) if arguments.action == "remove" else MoveSource(url, arguments.place - 1))
        states = opened.ask(CheckSources())
    for number, state in enumerate(states, 1):
        kind = KINDS[row_of(state.url)[0]]
        output.object(
            event="source", priority=number, address=state.url, type=kind, name=state.name, ok=state.ok,
            message=state.message,
        )  # fmt: skip
        mark = "" if state.ok else f"  ! {safe(state.message)}"
        output.line(f"{number:2} {kind:7} {display_address(state.url)}  {safe(state.name)}{mark}")
    output.object(event="done", total=len(states))
    if not states:
        output.line("There are no sources yet. `icworkshop source add URL|FOLDER` adds one.")
    return 0


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("source", help="where packages come from, the most important first")
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    verb.set_defaults(run=sources)
    actions.add_parser("list", parents=common, help="all of them, and whether they answer")
    for name, words in (
        ("add", "a Workshop server, an index, or a folder of packages"),
        ("remove", "it is not asked any more, and what it said before is forgotten"),
        ("move", "to another place in the order"),
    ):
        action = actions.add_parser(name, parents=common, help=words)
        action.add_argument("what", metavar="URL|FOLDER")
        if name == "move":
            action.add_argument("place", type=int, metavar="N", help="1 is the most important")
