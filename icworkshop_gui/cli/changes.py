"""A change set on the command line: a line for each package, or a tree of who needs what."""

from __future__ import annotations

from collections.abc import Iterator

from icworkshop_gui.cli.output import Output, safe, size_text
from icworkshop_gui.core.catalog import PackageId
from icworkshop_gui.engine.api.changes import Caution, Change, ChangeKind, ChangeSet, Why, Worry

SIGNS = {
    ChangeKind.ADD: "+",
    ChangeKind.UPDATE: "↑",
    ChangeKind.DOWNGRADE: "↓",
    ChangeKind.KEEP: "=",
    ChangeKind.REMOVE: "-",
}


def show_changes(changes: ChangeSet, output: Output, **more: object) -> None:
    """Everything that would happen, and what it costs; `more` for the last object."""
    for change in changes.changes:
        _object(change, output)
        if change.kind is not ChangeKind.KEEP:
            output.line(_line(change))
    _total(changes, output, **more)


def show_tree(changes: ChangeSet, output: Output) -> None:
    """What needs what, from the wishes downwards. A package that was shown before is not unfolded again."""
    for change in changes.changes:
        _object(change, output)
    by_package = {change.ref.package: change for change in changes.changes}
    needs: dict[PackageId, list[PackageId]] = {package: [] for package in by_package}
    for change in changes.changes:
        for other in change.needed_by:
            needs[other].append(change.ref.package)
    shown: set[PackageId] = set()
    for change in changes.changes:
        if not change.needed_by:
            for text in _branches(change.ref.package, by_package, needs, shown):
                output.line(text)
    _total(changes, output)


def _branches(
    top: PackageId, by_package: dict[PackageId, Change], needs: dict[PackageId, list[PackageId]], shown: set[PackageId]
) -> Iterator[str]:
    # A stack of our own: a chain of packages may be longer than Python's.
    stack: list[tuple[PackageId, str, str]] = [(top, "", "")]
    while stack:
        package, lead, below = stack.pop()
        change = by_package[package]
        again = package in shown and bool(needs[package])
        yield f"{lead}{change.ref}  {_state(change)}{', shown above' if again else ''}"
        if again:
            continue
        shown.add(package)
        children = sorted(needs[package])
        for child in reversed(children):
            is_last = child == children[-1]
            stack.append((child, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  ")))


def _state(change: Change) -> str:
    if change.kind is ChangeKind.KEEP:
        return "is here"
    text = f"{size_text(change.fetch)} to fetch"
    return f"{text}, {change.before} is here" if change.before else text


def _line(change: Change) -> str:
    version = f"{change.before} → {change.ref.version}" if change.before else change.ref.version
    cost = f"frees {size_text(-change.disk)}" if change.kind is ChangeKind.REMOVE else size_text(change.fetch)
    sign, why = SIGNS[change.kind], _why(change)
    text = f"{sign} {change.ref.package!s:36} {version:18} {cost:>15}  {safe(change.license)}{why and '  '}{why}"
    if change.newer:
        text += f"\n    {change.newer} is there too, but does not go with the rest."
    return text


def _why(change: Change) -> str:
    match change.why:
        case Why.NEEDED:
            return f"needed by {', '.join(map(str, change.needed_by))}"
        case Why.NEEDS:
            return f"needs {', '.join(map(str, change.needs))}"
        case Why.UNUSED:
            return "came along, nothing else needs it"
        case Why.ASKED:
            return ""


def _caution(caution: Caution) -> str:
    match caution.worry:
        case Worry.WITHDRAWN:
            return f"{caution.ref}: its author has taken this version back."
        case Worry.LICENSE_CHANGED:
            return f"{caution.ref}: the licence is another one; it was {safe(caution.detail) or 'not stated'}."
        case Worry.LICENSE_LIMITS:
            return f"{caution.ref}: {safe(caution.detail)} does not allow everything."
        case Worry.BREAKS:
            return f"{caution.ref} stays, but needs what goes."
        case Worry.DISK:
            return "The disk has no room for this. `icworkshop gc` may make some."


def _object(change: Change, output: Output) -> None:
    output.object(
        event="change", kind=change.kind.value, id=str(change.ref.package), version=change.ref.version,
        before=change.before, title=change.title, license=change.license, size=change.size, fetch=change.fetch,
        reused=change.reused, disk=change.disk, source=change.source, newer=change.newer, why=change.why.value,
        needed_by=[str(package) for package in change.needed_by], needs=[str(package) for package in change.needs],
        withdrawn=change.withdrawn,
    )  # fmt: skip


def _total(changes: ChangeSet, output: Output, **more: object) -> None:
    for caution in changes.cautions:
        output.object(
            event="caution", worry=caution.worry.value, ref=str(caution.ref or ""), detail=caution.detail,
            message=_caution(caution),
        )  # fmt: skip
        output.line(f"! {_caution(caution)}")
    output.object(
        event="done", changes=len(changes.coming) + len(changes.going), fetch=changes.fetch, reused=changes.reused,
        size=changes.size, disk=changes.disk, disk_free=changes.disk_free,
        **more,
    )  # fmt: skip
    if changes.coming:
        rest = f"; {size_text(changes.reused)} are here already" if changes.reused else ""
        output.line(f"{size_text(changes.fetch)} to fetch for {_packages(len(changes.coming))}{rest}.")
    if changes.going:
        output.line(f"Removing {_packages(len(changes.going))} frees {size_text(-changes.disk)}.")
    if not changes.coming and not changes.going:
        output.line("Nothing to do: all of it is here.")


def _packages(number: int) -> str:
    return f"{number} package{'' if number == 1 else 's'}"
