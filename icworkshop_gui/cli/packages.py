"""`icworkshop search|show|install|update|lock|tree|remove|pin|gc|list|verify`: the catalog and the library."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from icworkshop_gui.cli.changes import show_changes, show_tree
from icworkshop_gui.cli.engine import COMPLETE, Shell, shell
from icworkshop_gui.cli.output import Output, safe, size_text
from icworkshop_gui.core.catalog import PackageId, PackageRef, PackageSummary, SearchQuery, Sort, is_version
from icworkshop_gui.core.errors import Conflict, IntegrityError, NotFound, StorageError, UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.commands import (
    CleanUp,
    GetPackage,
    InstallAll,
    InstallLocked,
    Pin,
    PlanInstall,
    PlanRemove,
    PlanUpdate,
    RemovePackage,
    Search,
    VerifyPackage,
    WriteLock,
)
from icworkshop_gui.engine.api.snapshots import Hold, LibraryEntry, TransferState
from icworkshop_gui.engine.settings_file import Settings
from icworkshop_gui.formats.lockfile import LOCK_MAX, LockFile
from icworkshop_gui.store.durable import replace_file
from icworkshop_gui.store.paths import data_dir

HOLDS = {
    Hold.KEPT: "",
    Hold.NEEDED: "needed by others",
    Hold.TEMPORARY: "here for a while",
    Hold.UNUSED: "nothing needs it",
}


WHY_COPIED = {
    "other_disk": "copied: the game's folder is on another disk than the store",
    "no_links": "copied: this file system knows no links",
    "denied": "copied: this user may not link there",
    "too_many": "copied: the file system allows no more links",
    "packed": "unpacked: it came compressed",
}
"""Why files take space of their own (`LibraryEntry.why_copied`)."""


def package(text: str) -> tuple[PackageId, str]:
    """`publisher/name` or `publisher/name@version`."""
    left, at, version = text.partition("@")
    try:
        parsed = PackageId.parse(left)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if at and not is_version(version):
        raise argparse.ArgumentTypeError(f"{version!r} is not a version such as 1.2.3")
    return parsed, version


def plain_package(text: str) -> PackageId:
    """`publisher/name`."""
    try:
        return PackageId.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def engine(arguments: argparse.Namespace, output: Output, *, listen: bool = False) -> AbstractContextManager[Shell]:
    return shell(
        output,
        data_dir(arguments.data_dir),
        sources=arguments.source,
        settings={"workshop.p2p.listen_port": "0"} if listen else {},
        listen=listen,
        active=listen,
    )


@contextmanager
def catalog(arguments: argparse.Namespace, output: Output) -> Iterator[Shell]:
    """An engine that only asks the sources. It has a folder of its own, so that it works beside the desktop
    program, and does not go on with downloads that nobody asked it for."""
    data = data_dir(arguments.data_dir)
    sources = (*arguments.source, *Settings(data / "settings.toml").sources)
    with (
        tempfile.TemporaryDirectory(prefix="icworkshop-look-") as folder,
        shell(output, Path(folder), sources=sources, listen=False, memory=data / "workshop") as opened,
    ):
        yield opened


def search(arguments: argparse.Namespace, output: Output) -> int:
    query = SearchQuery(
        text=" ".join(arguments.text),
        category=arguments.category,
        tags=tuple(arguments.tag),
        publisher=arguments.publisher,
        sort=Sort(arguments.sort) if arguments.sort else (Sort.RELEVANCE if arguments.text else Sort.POPULAR),
        limit=arguments.limit,
    )
    with catalog(arguments, output) as opened:
        page = opened.ask(Search(query))
    for row in page.items:
        output.object(
            event="package", id=str(row.package), version=row.version, title=row.title, summary=row.summary,
            category=row.category, license=row.license, size=row.size, downloads=row.downloads, tags=list(row.tags),
        )  # fmt: skip
        output.line(_row(row))
    output.object(
        event="done", total=page.total, shown=len(page.items), close_matches=page.close_matches, stale=page.stale
    )
    if page.stale:
        output.note(f"{_silent(opened)} This is what was seen before.")
    if not page.items:
        output.line("Nothing found. Try fewer words, or another category.")
    elif page.close_matches:
        output.line("Nothing is called exactly that; these come close.")
    elif page.total > len(page.items):
        output.line(f"{page.total} in all; --limit shows more.")
    return 0


def _silent(opened: Shell) -> str:
    """Which sources cannot be used just now, and why."""
    states = [state for state in opened.view.totals.sources if state.message]
    return " ".join(f"{safe(state.message).rstrip('.')}." for state in states) or "Not every source answers."


def _row(row: PackageSummary) -> str:
    return f"{row.package!s:36} {row.version:10} {size_text(row.size):>9}  {safe(row.title)} – {safe(row.summary)}"


def show(arguments: argparse.Namespace, output: Output) -> int:
    wanted, version = arguments.package
    with catalog(arguments, output) as opened:
        detail = opened.ask(GetPackage(wanted, version))
    release = detail.release
    output.object(
        event="package", id=str(wanted), version=release.ref.version, title=release.title, summary=release.summary,
        category=release.category, license=release.license, size=release.size, sha256=release.sha256,
        info_hash=release.info_hash, downloads=release.downloads, tags=list(release.tags),
        dependencies=[
            {"id": str(need.package), "version": need.requirement, "optional": need.optional}
            for need in release.dependencies
        ],
        files=[{"path": file.path, "size": file.size, "sha256": file.sha256} for file in release.files],
        versions=[other.ref.version for other in detail.versions], readme=detail.readme, changelog=detail.changelog,
        stale=detail.stale,
    )  # fmt: skip
    if detail.stale:
        output.note(f"{_silent(opened)} This is what was seen before.")
    output.line(f"{safe(release.title)}  {release.ref}")
    output.line(safe(release.summary))
    output.line()
    output.line(f"{'Category':12}{safe(release.category)}")
    output.line(f"{'Licence':12}{safe(release.license)}")
    output.line(f"{'Size':12}{size_text(release.size)}, {len(release.files)} files")
    output.line(f"{'Versions':12}{', '.join(other.ref.version for other in detail.versions)}")
    for need in release.dependencies:
        output.line(f"{'Needs':12}{need.package} {safe(need.requirement)}{' (optional)' if need.optional else ''}")
    output.line(f"{'SHA-256':12}{release.sha256}")
    if detail.readme:
        output.line()
        for line in detail.readme.splitlines():
            output.line(safe(line))
    return 0


def _wishes(arguments: argparse.Namespace) -> tuple[tuple[PackageId, str], ...]:
    """What was asked for, each package once. Conflict for two versions of one."""
    wishes: dict[PackageId, str] = {}
    for wanted, version in arguments.packages:
        other = wishes.setdefault(wanted, version)
        if version and other and version != other:
            raise Conflict(f"{wanted} cannot be there in versions {other} and {version} at once. Ask for one of them.")
        wishes[wanted] = other or version
    return tuple(wishes.items())


def install(arguments: argparse.Namespace, output: Output) -> int:
    wishes = _wishes(arguments)
    if bool(wishes) == bool(arguments.locked):
        raise UserError("Name the packages to install, or a lock file with --locked; not both.")
    if arguments.locked:
        return _install_locked(arguments, output)
    if arguments.dry_run:
        with engine(arguments, output) as opened:
            show_changes(opened.ask(PlanInstall(wishes)), output)
        return 0
    with engine(arguments, output, listen=True) as opened:
        _fetch(opened, opened.ask(InstallAll(wishes, Tier.from_slug(arguments.tier), arguments.temporary)), output)
    return 0


def _install_locked(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.dry_run:
        raise UserError("A lock file says itself what would be installed; --dry-run is for packages.")
    lock = _read(arguments.locked)
    with engine(arguments, output, listen=True) as opened:
        asked = opened.ask(InstallLocked(lock, Tier.from_slug(arguments.tier)))
        _fetch(opened, asked, output)
    if not asked:
        output.line("Nothing to do: all of it is here.")
    return 0


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LOCK_MAX + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def lock(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        data = opened.ask(WriteLock(tuple(package for package, _version in arguments.packages)))
    count = len(LockFile.parse(data).packages)
    if arguments.output is None:
        output.object(event="done", packages=count, lock=data.decode())
        output.line(data.decode().rstrip())
        return 0
    try:
        replace_file(arguments.output, data)
    except StorageError as error:
        raise UserError(f"{arguments.output} cannot be written. Choose another place with -o.") from error
    output.object(event="done", packages=count, path=str(arguments.output))
    output.line(f"{arguments.output} names {count} packages.")
    return 0


def _fetch(opened: Shell, asked: Sequence[TransferId], output: Output) -> None:
    # What they need comes along as transfers of their own; they are in the view by the time `ask` returns.
    opened.fetch(lambda: [*asked, *running(opened)])
    for transfer in asked:
        snapshot = opened.view.transfers[transfer]
        entry = opened.view.library.get(snapshot.ref) if snapshot.ref else None
        folder = entry.folder if entry else ""
        output.object(
            event="done", id=str(snapshot.ref), name=snapshot.name, folder=folder, size=snapshot.size,
            from_peers=snapshot.from_peers, from_http=snapshot.from_http, reused=snapshot.reused,
        )  # fmt: skip
        output.line(f"{safe(snapshot.name)} {snapshot.ref} is installed in {folder}")


def tree(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        changes = opened.ask(PlanInstall(_wishes(arguments)))
    show_tree(changes, output)
    return 0


def update(arguments: argparse.Namespace, output: Output) -> int:
    """Measured first, then fetched unless `--dry-run`. What is up to date costs one small question."""
    with engine(arguments, output, listen=not arguments.dry_run) as opened:
        wanted = arguments.packages or sorted({ref.package for ref in opened.view.library})
        plans = [opened.ask(PlanUpdate(package)) for package in wanted]
        for plan in plans:
            output.object(
                event="plan", id=str(plan.installed.package), installed=plan.installed.version,
                version=plan.ref.version, size=plan.size, to_fetch=plan.to_fetch, here=plan.here,
            )  # fmt: skip
            if plan.ref == plan.installed and arguments.packages:
                output.line(f"{plan.installed} is up to date.")
        newer = [plan.ref for plan in plans if plan.ref != plan.installed]
        if not newer and not arguments.packages:
            output.line("Everything is up to date.")
        wishes = tuple((ref.package, ref.version) for ref in newer)
        total = {"updates": len(newer), "to_fetch": sum(plan.to_fetch for plan in plans)}
        if not newer:
            output.object(event="done", **total)
        elif arguments.dry_run:
            show_changes(opened.ask(PlanInstall(wishes)), output, **total)
        else:
            _fetch(opened, opened.ask(InstallAll(wishes, Tier.from_slug(arguments.tier))), output)
    return 0


def running(opened: Shell) -> list[TransferId]:
    """Unfinished transfers that are not waiting for the user."""
    return [
        snapshot.id
        for snapshot in opened.view.transfers.values()
        if snapshot.state not in COMPLETE and snapshot.state is not TransferState.PAUSED
    ]


def list_installed(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        entries = sorted(opened.view.library.values(), key=lambda entry: entry.ref)
    for entry in entries:
        output.object(event="package", **_entry_facts(entry))
        marks = ["pinned" if entry.pinned else HOLDS[entry.hold], "damaged" if entry.damaged else ""]
        marks.append(WHY_COPIED.get(entry.why_copied, ""))
        mark = "".join(f"  {word}" for word in marks if word)
        output.line(f"{entry.ref!s:46} {size_text(entry.size):>9}  {safe(entry.title)}{mark}")
    output.object(event="done", total=len(entries))
    if not entries:
        output.line("Nothing is installed yet. `icworkshop search` shows what there is.")
    return 0


def _entry_facts(entry: LibraryEntry) -> dict[str, Any]:
    return {
        "id": str(entry.ref.package),
        "version": entry.ref.version,
        "title": entry.title,
        "category": entry.category,
        "size": entry.size,
        "unique": entry.unique,
        "folder": entry.folder,
        "how": entry.how,
        "why_copied": entry.why_copied,
        "damaged": entry.damaged,
        "hold": entry.hold.value,
        "pinned": entry.pinned,
        "update_to": entry.update_to,
        "update_bytes": entry.update_bytes,
    }


def _installed(opened: Shell, wanted: PackageId, version: str) -> PackageRef:
    refs = sorted(ref for ref in opened.view.library if ref.package == wanted and version in ("", ref.version))
    if not refs:
        raise NotFound(f"{wanted}{'@' + version if version else ''} is not installed. `icworkshop list` shows what is.")
    if len(refs) > 1:
        raise UserError(f"Several versions are installed; name one: {', '.join(map(str, refs))}")
    return refs[0]


def remove(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        refs = tuple(_installed(opened, wanted, version) for wanted, version in arguments.packages)
        changes = opened.ask(PlanRemove(refs))
        if not arguments.all:
            changes = opened.ask(PlanRemove(refs, tuple(item.ref for item in changes.going if item.ref not in refs)))
        if arguments.dry_run:
            show_changes(changes, output)
            return 0
        for change in changes.going:
            freed = opened.view.library[change.ref].unique
            opened.ask(RemovePackage(change.ref, force=arguments.force or arguments.all))
            output.object(event="done", id=str(change.ref.package), version=change.ref.version, freed=freed)
            output.line(f"{change.ref} is removed; that frees {size_text(freed)}.")
    return 0


def pin(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        for wanted, version in arguments.packages:
            ref = _installed(opened, wanted, version)
            opened.ask(Pin(ref, not arguments.off))
            output.object(event="done", id=str(ref.package), version=ref.version, pinned=not arguments.off)
            output.line(f"{ref} goes when nothing needs it." if arguments.off else f"{ref} stays.")
    return 0


def clean_up(arguments: argparse.Namespace, output: Output) -> int:
    with engine(arguments, output) as opened:
        holds = {ref: entry.hold for ref, entry in opened.view.library.items()}
        report = opened.ask(CleanUp(arguments.dry_run))
    for ref, size in report.packages:
        output.object(event="removed", id=str(ref.package), version=ref.version, freed=size, hold=holds[ref].value)
        output.line(f"{ref!s:46} {size_text(size):>9}  {HOLDS[holds[ref]]}")
    output.object(event="done", freed=report.freed, dry_run=arguments.dry_run)
    if not report.freed and not report.packages:
        output.line("Everything that is here is needed.")
    elif arguments.dry_run:
        output.line(f"That would free {size_text(report.freed)}. Without --dry-run it goes.")
    else:
        output.line(f"That freed {size_text(report.freed)}.")
    return 0


def verify(arguments: argparse.Namespace, output: Output) -> int:
    damaged: list[str] = []
    with engine(arguments, output, listen=arguments.repair) as opened:
        refs = [_installed(opened, wanted, version) for wanted, version in arguments.packages]
        for ref in refs or sorted(opened.view.library):
            report = opened.ask(VerifyPackage(ref, repair=arguments.repair))
            why = opened.view.library[ref].why_copied
            output.object(event="verified", id=str(ref), files=report.files, bad=list(report.bad), why_copied=why)
            if not report.bad:
                mark = f" ({WHY_COPIED[why]})" if why in WHY_COPIED else ""
                output.line(f"{ref}: all {report.files} files are right{mark}.")
                continue
            output.line(f"{ref}: {len(report.bad)} of {report.files} files are missing or wrong.")
            if report.repaired:
                opened.fetch(lambda: running(opened))
                output.line(f"{ref}: repaired.")
            else:
                damaged.append(str(ref))
    output.object(event="done", damaged=damaged)
    if damaged:
        raise IntegrityError(
            f"Damaged: {', '.join(damaged)}. `icworkshop verify --repair` fetches what is wrong again."
        )
    return 0


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    """The verbs of catalog and library."""
    verb = verbs.add_parser("search", parents=common, help="what the Workshop has")
    verb.add_argument("text", nargs="*", metavar="WORD")
    verb.add_argument("--category", default="")
    verb.add_argument("--tag", action="append", default=[])
    verb.add_argument("--publisher", default="")
    verb.add_argument("--sort", choices=[sort.value for sort in Sort])
    verb.add_argument("--limit", type=int, default=50, choices=range(1, 201), metavar="N", help="1 to 200 rows")
    verb.set_defaults(run=search)

    verb = verbs.add_parser("show", parents=common, help="everything about one package")
    verb.add_argument("package", type=package, metavar="PUBLISHER/NAME[@VERSION]")
    verb.set_defaults(run=show)

    verb = verbs.add_parser("install", parents=common, help="fetch packages and what they need")
    verb.add_argument("packages", type=package, nargs="*", metavar="PUBLISHER/NAME[@VERSION]")
    verb.add_argument("--locked", type=Path, metavar="FILE", help="exactly what this ic.lock names")
    verb.add_argument("--tier", choices=[tier.slug for tier in reversed(Tier)], default=Tier.USER_REQUESTED.slug)
    verb.add_argument("--dry-run", action="store_true", help="only say what would change")
    verb.add_argument("--temporary", action="store_true", help="for a while: it goes when nobody uses it any more")
    verb.set_defaults(run=install)

    verb = verbs.add_parser("gc", parents=common, help="remove what nothing needs any more")
    verb.add_argument("--dry-run", action="store_true", help="only say what would go")
    verb.set_defaults(run=clean_up)

    verb = verbs.add_parser("pin", parents=common, help="keep packages, whatever nobody needs any more")
    verb.add_argument("packages", type=package, nargs="+", metavar="PUBLISHER/NAME[@VERSION]")
    verb.add_argument("--off", action="store_true", help="no longer")
    verb.set_defaults(run=pin)

    verb = verbs.add_parser("tree", parents=common, help="what a package needs, and what is here of it")
    verb.add_argument("packages", type=package, nargs="+", metavar="PUBLISHER/NAME[@VERSION]")
    verb.set_defaults(run=tree)

    verb = verbs.add_parser("lock", parents=common, help="write down which releases are installed (ic.lock)")
    verb.add_argument("packages", type=package, nargs="*", metavar="PUBLISHER/NAME")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of printing it")
    verb.set_defaults(run=lock)

    verb = verbs.add_parser(
        "update", parents=common, help="fetch what is new of newer versions; without names: of all packages"
    )
    verb.add_argument("packages", type=plain_package, nargs="*", metavar="PUBLISHER/NAME")
    verb.add_argument("--dry-run", action="store_true", help="only say how much would be fetched")
    verb.add_argument("--tier", choices=[tier.slug for tier in reversed(Tier)], default=Tier.USER_REQUESTED.slug)
    verb.set_defaults(run=update)

    verb = verbs.add_parser("list", parents=common, help="what is installed")
    verb.set_defaults(run=list_installed)

    verb = verbs.add_parser("remove", parents=common, help="take packages out of the library")
    verb.add_argument("packages", type=package, nargs="+", metavar="PUBLISHER/NAME[@VERSION]")
    verb.add_argument("--all", action="store_true", help="with what needs them and what came along with them")
    verb.add_argument("--force", action="store_true", help="even when another package needs it")
    verb.add_argument("--dry-run", action="store_true", help="only say what would change")
    verb.set_defaults(run=remove)

    verb = verbs.add_parser("verify", parents=common, help="hash every installed file; without names: all packages")
    verb.add_argument("packages", type=package, nargs="*", metavar="PUBLISHER/NAME[@VERSION]")
    verb.add_argument("--repair", action="store_true", help="fetch again what is missing or wrong")
    verb.set_defaults(run=verify)
