"""`icworkshop subscribe|unsubscribe|subscriptions`: what is followed, what waits, and the player's click."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from icworkshop_gui.cli.engine import Shell
from icworkshop_gui.cli.output import Output, safe
from icworkshop_gui.cli.packages import engine, package, running
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import UserError
from icworkshop_gui.core.subscription import SubscriptionKind
from icworkshop_gui.engine.api.commands import ActivateStaged, CheckSubscriptions, Subscribe, Unsubscribe
from icworkshop_gui.engine.api.snapshots import SubscriptionSnapshot


def _kind(arguments: argparse.Namespace, id: str) -> SubscriptionKind:
    if arguments.collection:
        return SubscriptionKind.COLLECTION
    return SubscriptionKind.PACKAGE if "/" in id else SubscriptionKind.PUBLISHER


def subscribe(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        for id in arguments.names:
            opened.ask(Subscribe(_kind(arguments, id), id))
            output.object(event="done", kind=_kind(arguments, id).value, id=id)
            output.line(f"You follow {id}. `icworkshop subscriptions --check` looks for news.")
    return 0


def unsubscribe(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        for id in arguments.names:
            opened.ask(Unsubscribe(_kind(arguments, id), id))
            output.object(event="done", kind=_kind(arguments, id).value, id=id)
            output.line(f"You no longer follow {id}.")
    return 0


def subscriptions(arguments: argparse.Namespace, output: Output) -> int:
    """What is followed; with `--check` news is fetched first, with `--activate` what waits is installed."""
    if arguments.releases and arguments.activate is False:
        raise UserError("Name releases only with --activate.")
    with engine(arguments, output, listen=arguments.check or arguments.activate) as opened:
        if arguments.check:
            begun = opened.ask(CheckSubscriptions())
            opened.fetch(lambda: [*begun, *running(opened)])
        if arguments.activate:
            _activate(arguments, opened, output)
        rows = opened.view.subscriptions
    for row in rows:
        _show(row, output)
    output.object(event="done", total=len(rows), waiting=sum(len(row.waiting) for row in rows))
    if not rows:
        output.line("You follow nothing yet. `icworkshop subscribe PUBLISHER/NAME` begins.")
    failed = [row for row in rows if row.message]
    return 1 if arguments.check and failed else 0


def _activate(arguments: argparse.Namespace, opened: Shell, output: Output) -> None:
    refs = tuple(PackageRef(wanted.publisher, wanted.name, version) for wanted, version in arguments.releases)
    if not all(ref.version for ref in refs):
        raise UserError("Name releases with their version: publisher/name@1.2.3.")
    begun = opened.ask(ActivateStaged(refs))
    opened.fetch(lambda: [*begun, *running(opened)])
    for transfer in begun:
        ref = opened.view.transfers[transfer].ref
        output.object(event="activated", id=str(ref))
        output.line(f"{ref} is installed.")


def _show(row: SubscriptionSnapshot, output: Output) -> None:
    output.object(
        event="subscription", kind=row.kind.value, id=row.id, title=row.title, since=row.since,
        checked_at=row.checked_at, waiting=[str(ref) for ref in row.waiting],
        coming=[str(ref) for ref in row.coming], message=row.message,
    )  # fmt: skip
    looked = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.checked_at)) if row.checked_at else "not yet"
    output.line(f"{row.kind.value:11}{row.id:36} looked at: {looked}  {safe(row.title)}")
    for ref in row.waiting:
        output.line(f"  {ref} is here and waits: `icworkshop subscriptions --activate {ref}`")
    for ref in row.coming:
        output.line(f"  {ref} is on its way")
    if row.message:
        output.line(f"  ! {safe(row.message)}")


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    for name, run, words in (
        ("subscribe", subscribe, "follow packages or publishers: what is new is fetched and waits for you"),
        ("unsubscribe", unsubscribe, "follow them no longer"),
    ):
        verb = verbs.add_parser(name, parents=common, help=words)
        verb.add_argument("names", nargs="+", metavar="PUBLISHER[/NAME]")
        verb.add_argument("--collection", action="store_true", help="the package and everything that it names")
        verb.set_defaults(run=run)
    verb = verbs.add_parser("subscriptions", parents=common, help="what you follow, and what waits for you")
    verb.add_argument("--check", action="store_true", help="look for news now, and fetch it")
    verb.add_argument("--activate", action="store_true", help="install what waits: these releases, or all")
    verb.add_argument("releases", type=package, nargs="*", metavar="PUBLISHER/NAME@VERSION")
    verb.set_defaults(run=subscriptions)
