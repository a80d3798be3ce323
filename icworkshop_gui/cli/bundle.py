"""`icworkshop bundle create|show|import`: packages in one file, for where there is no network."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icworkshop_gui.cli.output import Output, safe, size_text
from icworkshop_gui.cli.packages import engine, plain_package, running
from icworkshop_gui.core.errors import UserError
from icworkshop_gui.engine.api.commands import BundleView, CreateBundle, ImportBundle, InspectBundle
from icworkshop_gui.formats.bundle import SUFFIX


def create(arguments: argparse.Namespace, output: Output) -> int:
    path = arguments.output.absolute()
    if path.exists() and not arguments.force:
        raise UserError(f"{path} is there already. Name another file with -o, or replace it with --force.")
    with engine(arguments, output) as opened:
        made = opened.ask(CreateBundle(path, tuple(arguments.packages)))
    _tell(made, output, path=str(path))
    output.line(f"{path} holds {len(made.packages)} packages, {size_text(path.stat().st_size)}.")
    return 0


def show(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        found = opened.ask(InspectBundle(_there(arguments.file), verify=arguments.verify))
    _tell(found, output, verified=arguments.verify)
    return 0


def take_in(arguments: argparse.Namespace, output: Output) -> int:
    path = _there(arguments.file)
    with engine(arguments, output, listen=True) as opened:
        found = opened.ask(InspectBundle(path))
        begun = opened.ask(ImportBundle(path))
        opened.fetch(lambda: [*begun, *running(opened)])
        for transfer in begun:
            ref = opened.view.transfers[transfer].ref
            output.object(event="installed", id=str(ref))
            output.line(f"{ref} is installed.")
    unknown = [str(item.ref) for item in found.packages if not item.vouched and not item.here]
    output.object(event="done", installed=len(begun), not_vouched=unknown)
    if unknown:
        output.line(f"Only the bundle vouches for {', '.join(unknown)}: their sources were not asked from here before.")
    if not begun:
        output.line("Nothing to do: all of it is here.")
    return 0


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    return path.absolute()


def _tell(view: BundleView, output: Output, **more: object) -> None:
    for item in view.packages:
        output.object(
            event="package", id=str(item.ref.package), version=item.ref.version, title=item.title, license=item.license,
            size=item.size, sha256=item.sha256, source=item.source, here=item.here, vouched=item.vouched,
        )  # fmt: skip
        mark = "is here" if item.here else "" if item.vouched else "not known from its source"
        output.line(f"{item.ref!s:46} {size_text(item.size):>9}  {safe(item.title)}{mark and '  '}{mark}")
    output.object(event="done", total=len(view.packages), size=sum(item.size for item in view.packages), **more)


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("bundle", help="packages in one file, for where there is no network")
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser("create", parents=common, help="of installed packages and what they need, or of all")
    action.add_argument("packages", type=plain_package, nargs="*", metavar="PUBLISHER/NAME")
    action.add_argument("-o", "--output", type=Path, required=True, metavar=f"FILE{SUFFIX}")
    action.add_argument("--force", action="store_true", help="replace a file that is there")
    action.set_defaults(run=create)
    action = actions.add_parser("show", parents=common, help="what a bundle holds")
    action.add_argument("file", type=Path)
    action.add_argument("--verify", action="store_true", help="hash every byte")
    action.set_defaults(run=show)
    action = actions.add_parser("import", parents=common, help="install what a bundle holds")
    action.add_argument("file", type=Path)
    action.set_defaults(run=take_in)
