"""`icworkshop profile …`: named sets of packages, and which of them the game sees."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icworkshop_gui.cli.engine import Shell
from icworkshop_gui.cli.output import Output, safe, size_text
from icworkshop_gui.cli.packages import engine, package, running
from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import Conflict, NotFound, StorageError, UserError
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.commands import (
    ActivateProfile,
    CompareProfiles,
    DeleteProfile,
    ExportProfile,
    ImportProfile,
    InspectProfile,
    InstallAll,
    ListProfiles,
    RestoreProfile,
    SaveProfile,
)
from icworkshop_gui.engine.api.profiles import ProfileSnapshot
from icworkshop_gui.formats.profile import PROFILE_MAX
from icworkshop_gui.store.durable import replace_file

SHORT = 8
"""Hex digits of a fingerprint that people compare."""


def list_profiles(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        rows = opened.ask(ListProfiles())
    for row in rows:
        output.object(event="profile", **_facts(row))
        output.line(f"{'*' if row.active else ' '} {row.name:32} {len(row.sources):4} packages  {_state(row)}")
    output.object(event="done", total=len(rows))
    if not any(row.active for row in rows):
        output.line("None is active: the game reads each package's own folder.")
    return 0


def _facts(row: ProfileSnapshot) -> dict[str, Any]:
    return {
        "name": row.name,
        "sources": [str(ref) for ref in row.sources],
        "choices": {path: str(package) for path, package in row.choices},
        "game_module": row.game_module,
        "missing": [str(ref) for ref in row.missing],
        "gameplay": row.gameplay,
        "presentation": row.presentation,
        "active": row.active,
        "stale": row.stale,
        "problem": row.problem,
    }


def _state(row: ProfileSnapshot) -> str:
    if row.missing:
        return f"{len(row.missing)} not installed"
    if row.problem:
        return row.problem
    words = f"plays {row.gameplay[:SHORT]}  looks {row.presentation[:SHORT]}"
    return f"{words}  changed since it was activated" if row.stale else words


def show(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        report = opened.ask(InspectProfile(arguments.name))
    row = report.profile
    output.object(
        event="profile", **_facts(row), files=report.files, size=report.size,
        contested=[
            {"path": item.path, "winner": str(item.winner), "losers": [str(ref) for ref in item.losers],
             "chosen": item.chosen}
            for item in report.contested
        ],
    )  # fmt: skip
    output.line(f"{row.name}{'  (active)' if row.active else ''}  {_state(row)}")
    for number, ref in enumerate(row.sources, 1):
        output.line(f"{number:4} {ref}{'  not installed' if ref in row.missing else ''}")
    if len(row.sources) > 1:
        output.line("     Later ones win.")
    if not row.missing and not row.problem:
        output.line(f"{report.files} files, {size_text(report.size)}")
    for item in report.contested:
        why = "chosen" if item.chosen else "the last one wins"
        output.line(f"  {safe(item.path)}: {item.winner} over {', '.join(map(str, item.losers))} ({why})")
    return 0


def save(arguments: argparse.Namespace, output: Output) -> int:
    """From the packages named, in that order, or from everything that is installed."""
    choices = tuple(_choice(text) for text in arguments.use)
    with engine(arguments, output) as opened:
        there = {row.name: row for row in opened.ask(ListProfiles())}
        if arguments.name in there and not arguments.replace:
            raise Conflict(f"There is a profile {arguments.name!r} already; --replace writes it anew.")
        refs = tuple(_release(opened, wanted, version) for wanted, version in arguments.packages)
        sources = refs or opened.ask(InspectProfile("Default")).profile.sources
        if not sources:
            raise UserError("Nothing is installed that a profile could hold. Install packages first.")
        opened.ask(SaveProfile(arguments.name, sources, choices, arguments.game_module))
        report = opened.ask(InspectProfile(arguments.name))
    output.object(event="done", **_facts(report.profile), contested=len(report.contested))
    output.line(f"{arguments.name} holds {len(sources)} packages. `icworkshop profile activate` shows it to the game.")
    count = len(report.contested)
    if count:
        what = "1 file comes" if count == 1 else f"{count} files come"
        output.line(f"{what} from several of them; `icworkshop profile show` tells whose wins.")
    return 0


def _choice(text: str) -> tuple[str, PackageId]:
    path, equals, owner = text.rpartition("=")
    try:
        if not equals:
            raise ValueError("a choice is written PATH=PUBLISHER/NAME")
        return path, PackageId.parse(owner)
    except ValueError as error:
        raise UserError(f"--use {text}: {error}.") from None


def _release(opened: Shell, wanted: PackageId, version: str) -> PackageRef:
    """What is installed of it, the newest where nothing else is said; a version that is not installed may be named."""
    if version:
        return PackageRef(wanted.publisher, wanted.name, version)
    sources = opened.ask(InspectProfile("Default")).profile.sources
    found = [ref for ref in sources if ref.package == wanted]
    if not found:
        raise NotFound(f"{wanted} is not installed. Install it, or name a version: {wanted}@1.2.3")
    return found[0]


def activate(arguments: argparse.Namespace, output: Output) -> int:
    """What is missing is fetched first, unless `--offline`; then the game sees the set, all of it at once."""
    with engine(arguments, output, listen=not arguments.offline) as opened:
        profile = opened.ask(InspectProfile(arguments.name)).profile
        if profile.missing and not arguments.offline:
            wishes = tuple((ref.package, ref.version) for ref in profile.missing)
            begun = opened.ask(InstallAll(wishes, Tier.USER_REQUESTED))
            opened.fetch(lambda: [*begun, *running(opened)])
        before = opened.ask(ActivateProfile(arguments.name))
        report = opened.ask(InspectProfile(arguments.name))
    output.object(event="done", **_facts(report.profile), files=report.files, size=report.size, before=before)
    output.line(f"{report.profile.name} is active: {report.files} files. {_state(report.profile)}")
    if before and before != report.profile.name:
        output.line(f"`icworkshop profile activate {before}` goes back.")
    return 0


def compare(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        found = opened.ask(CompareProfiles(arguments.one, arguments.other))
    output.object(
        event="done", only_one=list(map(str, found.only_one)), only_other=list(map(str, found.only_other)),
        versions=[[str(one), str(other)] for one, other in found.versions], choices=list(found.choices),
        reordered=found.reordered, same_gameplay=found.same_gameplay, same_presentation=found.same_presentation,
    )  # fmt: skip
    for ref in found.only_one:
        output.line(f"only in {arguments.one}: {ref}")
    for ref in found.only_other:
        output.line(f"only in {arguments.other}: {ref}")
    for one, other in found.versions:
        output.line(f"other version: {one} and {other.version}")
    for path in found.choices:
        output.line(f"other choice: {safe(path)}")
    if found.reordered:
        output.line("What both have stands in another order.")
    words = {True: "the same", False: "different", None: "not known while something is not installed"}
    output.line(f"How the game plays: {words[found.same_gameplay]}. How it looks: {words[found.same_presentation]}.")
    return 0


def delete(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        opened.ask(DeleteProfile(arguments.name))
    output.object(event="done", name=arguments.name)
    output.line(f"{arguments.name} is deleted, its packages stay. `icworkshop profile restore` brings it back.")
    return 0


def restore(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        opened.ask(RestoreProfile(arguments.name))
    output.object(event="done", name=arguments.name)
    output.line(f"{arguments.name} is back.")
    return 0


def export(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        data = opened.ask(ExportProfile(arguments.name))
    if arguments.output is None:
        output.object(event="done", name=arguments.name, profile=data.decode())
        output.line(data.decode().rstrip())
        return 0
    try:
        replace_file(arguments.output, data)
    except StorageError as error:
        raise UserError(f"{arguments.output} cannot be written. Choose another place with -o.") from error
    output.object(event="done", name=arguments.name, path=str(arguments.output))
    output.line(f"{arguments.output} names the packages of {arguments.name}; `icworkshop profile import` reads it.")
    return 0


def bring(arguments: argparse.Namespace, output: Output) -> int:
    try:
        with open(arguments.file, "rb") as file:
            data = file.read(PROFILE_MAX + 1)
    except OSError as error:
        raise UserError(f"{arguments.file} cannot be read: {error.strerror}.") from error
    with engine(arguments, output) as opened:
        row = opened.ask(ImportProfile(data, arguments.name))
    output.object(event="done", **_facts(row))
    output.line(f"{row.name} is here: {len(row.sources)} packages, {len(row.missing)} of them not installed.")
    if row.missing:
        output.line(f"`icworkshop profile activate {row.name}` fetches those first.")
    return 0


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    top = verbs.add_parser("profile", help="named sets of packages, and which of them the game sees")
    ways = top.add_subparsers(dest="way", required=True, metavar="WHAT")

    def way(name: str, run: Any, words: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = ways.add_parser(name, parents=common, help=words)
        made.set_defaults(run=run)
        return made

    way("list", list_profiles, "all profiles")
    way("show", show, "what is in one, and whose files win").add_argument("name")
    verb = way("save", save, "make one from these packages in load order, or from everything that is installed")
    verb.add_argument("name")
    verb.add_argument("packages", type=package, nargs="*", metavar="PUBLISHER/NAME[@VERSION]")
    verb.add_argument(
        "--use", action="append", default=[], metavar="PATH=PUBLISHER/NAME", help="whose file it shall be"
    )
    verb.add_argument("--game-module", default="", metavar="MODULE")
    verb.add_argument("--replace", action="store_true", help="write one that is there anew")
    verb = way("activate", activate, "show it to the game, all of it at once")
    verb.add_argument("name")
    verb.add_argument("--offline", action="store_true", help="fetch nothing that is missing")
    verb = way("compare", compare, "what differs between two")
    verb.add_argument("one")
    verb.add_argument("other")
    way("delete", delete, "the set, not its packages").add_argument("name")
    way("restore", restore, "bring a deleted one back").add_argument("name")
    verb = way("export", export, "as a file for others")
    verb.add_argument("name")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE")
    verb = way("import", bring, "from such a file")
    verb.add_argument("file", type=Path)
    verb.add_argument("--name", default="", help="another name than the file says")
