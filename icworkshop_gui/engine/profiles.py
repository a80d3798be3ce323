"""Named sets of packages in load order: looked at, compared, put before the game in one step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from icworkshop_gui.core.catalog import PackageId, PackageRef, version_key
from icworkshop_gui.core.errors import Conflict, FormatError, StorageError
from icworkshop_gui.engine.api.profiles import (
    EVERYTHING,
    Contested,
    ProfileComparison,
    ProfileReport,
    ProfileSnapshot,
)
from icworkshop_gui.engine.planning import Installed
from icworkshop_gui.formats.namespace import Namespace, Source, SourceFile, Why, build
from icworkshop_gui.formats.paths import collision_key
from icworkshop_gui.formats.profile import Profile, check_name
from icworkshop_gui.store.active_set import ActiveSet
from icworkshop_gui.store.package_files import list_files

if TYPE_CHECKING:
    from icworkshop_gui.engine.session import Session

log = logging.getLogger("icw.profiles")

NAMED_MAX = 3
"""Missing packages that an error names."""


class ProfileDesk:
    """The profiles of a session. Runs on the engine's loop; what reads the disk runs on its pool."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files: dict[PackageRef, tuple[SourceFile, ...]] = {}
        """A release never changes, so its files are listed once."""
        self._kept: frozenset[PackageRef] = frozenset()

    async def load(self) -> None:
        """Learn what profiles need; again after each change."""
        profiles = await self._session.in_disk(self._session.store.profiles.all)
        active = await self._session.in_disk(self._session.store.active.read)
        self._kept = frozenset(
            [*(ref for profile in profiles for ref in profile.sources), *(active.sources if active else ())]
        )

    @property
    def kept(self) -> frozenset[PackageRef]:
        """What a profile names: it is not swept away as something that nobody needs."""
        return self._kept

    # --- looking ---------------------------------------------------------------------------------

    async def list(self) -> tuple[ProfileSnapshot, ...]:
        profiles = await self._session.in_disk(self._session.store.profiles.all)
        return tuple([(await self._look(profile))[0] for profile in (self._everything(), *profiles)])

    async def inspect(self, name: str) -> ProfileReport:
        """NotFound, FormatError."""
        snapshot, namespace = await self._look(await self._get(name))
        if namespace is None:
            return ProfileReport(profile=snapshot)
        return ProfileReport(
            profile=snapshot,
            files=len(namespace.entries),
            size=namespace.size,
            contested=tuple(
                Contested(path=entry.file.path, winner=entry.source, losers=entry.over, chosen=entry.why is Why.CHOSEN)
                for entry in namespace.contested
            ),
        )

    async def compare(self, one: str, other: str) -> ProfileComparison:
        """NotFound, FormatError."""
        left, _ = await self._look(await self._get(one))
        right, _ = await self._look(await self._get(other))
        return compare(left, right)

    async def _look(self, profile: Profile) -> tuple[ProfileSnapshot, Namespace | None]:
        """The profile, and what the game would see of it, as far as it is here."""
        library = self._session.library
        snapshot = ProfileSnapshot(
            name=profile.name,
            sources=profile.sources,
            choices=profile.choices,
            game_module=profile.game_module,
            missing=tuple(ref for ref in profile.sources if ref not in library),
        )
        active = await self._session.in_disk(self._session.store.active.read)
        is_active = active is not None and collision_key([active.name]) == collision_key([profile.name])
        if snapshot.missing:
            return replace(snapshot, active=is_active, stale=is_active), None
        try:
            namespace = await self._session.in_disk(lambda: self._namespace(profile))
        except (StorageError, FormatError) as error:
            log.warning("event=profile-unreadable name=%s: %s", profile.name, error)
            words = "A package of it cannot be read. Verify the installed packages."
            return replace(snapshot, active=is_active, problem=words), None
        gameplay, presentation = namespace.gameplay(), namespace.presentation()
        stale = active is not None and (active.gameplay, active.presentation) != (gameplay, presentation)
        return (
            replace(
                snapshot,
                gameplay=gameplay,
                presentation=presentation,
                active=is_active,
                stale=is_active and stale,
            ),
            namespace,
        )

    def _namespace(self, profile: Profile) -> Namespace:
        """Blocks. StorageError, FormatError."""
        categories = {ref: here.category for ref, here in self._session.library.facts().items()}
        sources = []
        for ref in profile.sources:
            if ref not in self._files:
                self._files[ref] = list_files(self._session.store.packages, ref)
            sources.append(Source(ref=ref, files=self._files[ref], category=categories.get(ref, "")))
        return build(sources, dict(profile.choices))

    async def _get(self, name: str) -> Profile:
        if collision_key([name]) == collision_key([EVERYTHING]):
            return self._everything()
        return await self._session.in_disk(lambda: self._session.store.profiles.get(name))

    def _everything(self) -> Profile:
        return Profile(name=EVERYTHING, sources=load_order(self._session.library.installed()))

    # --- changing --------------------------------------------------------------------------------

    async def save(self, profile: Profile) -> None:
        """FormatError, Conflict."""
        _not_built_in(profile.name)
        await self._session.in_disk(lambda: self._session.store.profiles.save(profile))
        await self._changed()

    async def delete(self, name: str) -> None:
        """NotFound; Conflict for the one that is always there."""
        _not_built_in(name)
        await self._session.in_disk(lambda: self._session.store.profiles.delete(name))
        await self._changed()

    async def restore(self, name: str) -> None:
        await self._session.in_disk(lambda: self._session.store.profiles.restore(name))
        await self._changed()

    async def export(self, name: str) -> bytes:
        return (await self._get(name)).dump()

    async def bring(self, data: bytes, name: str) -> ProfileSnapshot:
        """What a file says, under its name or another. FormatError; Conflict when that is taken."""
        profile = Profile.parse(data)
        if name:
            profile = replace(profile, name=check_name(name))
        _not_built_in(profile.name)
        taken = await self._session.in_disk(self._session.store.profiles.all)
        if any(collision_key([other.name]) == collision_key([profile.name]) for other in taken):
            raise Conflict(f"There is a profile {profile.name!r} already. Import this one under another name.")
        await self.save(profile)
        return (await self._look(profile))[0]

    async def activate(self, name: str) -> str:
        """The name of what was active. Conflict when something is missing; then, and on any fault, nothing changed."""
        profile = await self._get(name)
        snapshot, namespace = await self._look(profile)
        if snapshot.missing:
            raise Conflict(_lacks(profile.name, snapshot.missing))
        if namespace is None:
            raise Conflict(f"{profile.name} cannot be activated: {snapshot.problem}")
        store = self._session.store
        wanted = ActiveSet(
            name=profile.name,
            gameplay=snapshot.gameplay,
            presentation=snapshot.presentation,
            sources=profile.sources,
        )
        before = await self._session.in_disk(store.active.read)
        await self._session.in_disk(lambda: store.active.activate(wanted, namespace))
        await self._changed()
        log.info("event=profile-activated name=%s files=%d", profile.name, len(namespace.entries))
        return "" if before is None else before.name

    async def _changed(self) -> None:
        await self.load()
        await self._session.library.reload()


def _not_built_in(name: str) -> None:
    if collision_key([name]) == collision_key([EVERYTHING]):
        raise Conflict(f"{EVERYTHING} is everything that is installed and always there. Take another name.")


def _lacks(name: str, missing: Sequence[PackageRef]) -> str:
    some = ", ".join(str(ref) for ref in missing[:NAMED_MAX])
    more = f" and {len(missing) - NAMED_MAX} more" if len(missing) > NAMED_MAX else ""
    return f"{name} needs {some}{more}, not installed here. Install that first; what the game sees stays as it is."


def load_order(installed: Iterable[Installed]) -> tuple[PackageRef, ...]:
    """Everything in its newest version, what is needed before who needs it, else by name. Pure."""
    newest: dict[PackageId, Installed] = {}
    for item in sorted(installed, key=lambda item: version_key(item.ref.version)):
        newest[item.ref.package] = item
    order: list[PackageRef] = []
    seen: set[PackageId] = set()
    for root in sorted(newest):
        todo: list[tuple[PackageId, bool]] = [(root, False)]
        while todo:
            package, needs_are_done = todo.pop()
            if needs_are_done:
                order.append(newest[package].ref)
            elif package in newest and package not in seen:
                seen.add(package)
                todo.append((package, True))
                needs = sorted((need.package for need in newest[package].dependencies), reverse=True)
                todo += [(need, False) for need in needs]
    return tuple(order)


def compare(one: ProfileSnapshot, other: ProfileSnapshot) -> ProfileComparison:
    """Pure."""
    left = {ref.package: ref for ref in one.sources}
    right = {ref.package: ref for ref in other.sources}
    here, there = dict(one.choices), dict(other.choices)
    both = [package for package in left if package in right]

    def same(left: str, right: str) -> bool | None:
        return left == right if left and right else None

    return ProfileComparison(
        only_one=tuple(ref for package, ref in left.items() if package not in right),
        only_other=tuple(ref for package, ref in right.items() if package not in left),
        versions=tuple((left[package], right[package]) for package in both if left[package] != right[package]),
        choices=tuple(sorted(path for path in here.keys() | there.keys() if here.get(path) != there.get(path))),
        reordered=both != [package for package in right if package in left],
        same_gameplay=same(one.gameplay, other.gameplay),
        same_presentation=same(one.presentation, other.presentation),
    )
