"""A dictionary as oracle: packages come, are installed, changed, removed, pinned, shown and swept in any order, the
program dies before any call that changes the disk, and after each start the store is what the dictionary says.

`ICW_HISTORIES` sets how many random histories are played (default 1000).
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.formats.namespace import Source, build
from icworkshop_gui.store.active_set import NOTE, ActiveSet
from icworkshop_gui.store.clone import How
from icworkshop_gui.store.package_files import list_files
from icworkshop_gui.store.store import Store
from icworkshop_gui.store.sweep import sweep
from icworkshop_gui.store.switch import Coming, Going
from tests.store.samples import WALL, open_store, sample, tree

HISTORIES = int(os.environ.get("ICW_HISTORIES", "1000"))
STEPS = 4
CRASHES = 0.35
"""Of all steps."""
CALLS = ("replace", "unlink", "mkdir", "rmdir", "link", "write")
WAYS = (How.LINK, How.COPY)
SAMPLES = {
    package.ref: package
    for package in (
        sample({"a.txt": b"shared"}, "a/one@1.0.0"),
        sample({"a.txt": b"shared", "b.txt": b"two"}, "a/one@2.0.0"),
        sample({"c.txt": b"shared"}, "a/two@1.0.0"),
    )
}
"""Two versions and a stranger, which share a file."""


class Killed(BaseException):
    """The program ends here: nothing may catch it but the test."""


class Reaper:
    """Counts the calls that change the disk, and lets none happen from the chosen one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        """Calls until death; None: it lives on."""
        self.calls = 0
        for name in CALLS:
            self._wrap(monkeypatch, name, getattr(os, name))

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, name: str, real: Callable[..., object]) -> None:
        def call(*args: object, **kwargs: object) -> object:
            self.calls += 1
            if self.left is not None:
                if self.left <= 0:
                    raise Killed  # also for whoever tidies up: the dead do not
                self.left -= 1
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)


@dataclass
class Model:
    """What is so, as plain values."""

    there: set[PackageRef] = field(default_factory=set)
    """In the store, installed or not, removed or not."""
    installed: set[PackageRef] = field(default_factory=set)
    removed: set[PackageRef] = field(default_factory=set)
    """Out of the library; their bytes stay until they are swept away."""
    pinned: set[PackageRef] = field(default_factory=set)
    shown: tuple[PackageRef, ...] = ()
    """In load order."""

    def copy(self) -> Model:
        sets = ("there", "installed", "removed", "pinned")
        return replace(self, **{name: set(getattr(self, name)) for name in sets})


class World:
    """The store under test, and the steps that the model takes too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = self.open()

    def open(self) -> Store:
        """As the engine does at its start."""
        store = open_store(self.folder, wall=lambda: WALL)
        store.switch.recover()
        return store

    def place(self, ref: PackageRef) -> Path:
        return self.store.paths.install / ref.folder_name

    def put(self, ref: PackageRef) -> None:
        transfer = TransferId(f"t-{ref.name}-{ref.version[0]}")
        self.store.transfers.make_folder(transfer)
        SAMPLES[ref].fetch(self.store, transfer)
        self.store.discard_transfer(transfer)

    def change(self, coming: list[PackageRef], going: list[PackageRef]) -> None:
        self.store.switch.apply(
            [Coming(ref, self.place(ref)) for ref in coming], [Going(ref) for ref in going], ways=WAYS
        )

    def show(self, refs: tuple[PackageRef, ...]) -> None:
        sources = [Source(ref=ref, files=list_files(self.store.packages, ref)) for ref in refs]
        whole = build(sources)
        self.store.active.activate(
            ActiveSet(name="set", gameplay=whole.gameplay(), presentation=whole.presentation(), sources=refs), whole,
            ways=WAYS,
        )  # fmt: skip

    def pin(self, ref: PackageRef, pinned: bool) -> None:
        self.store.packages.update(ref, pinned=pinned)

    def sweep(self) -> None:
        sweep(self.store, WALL * 2, grace=0, undo_window=0)

    def look(self) -> Model:
        """What is so on the disk; an assertion when it is nothing that a model could say."""
        store = self.store
        records = (*store.packages.list(), *store.packages.removed())
        active = store.active.read()
        found = Model(
            there={record.ref for record in records},
            installed={record.ref for record in records if record.is_installed and record.removed_at is None},
            removed={record.ref for record in records if record.removed_at is not None},
            pinned={record.ref for record in records if record.pinned},
            shown=() if active is None else active.sources,
        )
        mods = store.paths.install
        names = {path.name for path in mods.iterdir()} if mods.exists() else set()
        assert names - {"active"} == {ref.folder_name for ref in found.installed}
        for ref in found.installed:
            assert game_files(self.place(ref)) == SAMPLES[ref].files
        if active is not None:
            merged: dict[str, bytes] = {}
            for ref in found.shown:
                merged.update(SAMPLES[ref].files)
            assert game_files(store.active.path) == merged
        assert not store.paths.switch.exists()
        return found

    def nothing_is_over(self) -> None:
        """Once swept: exactly the blobs that packages need, each right, and no file that nobody speaks of."""
        store = self.store
        packages = store.packages.list()
        needed = {blob for record in packages for blob in store.packages.blobs_of(record.ref)}
        assert {blob for blob, _stat in store.blobs.entries()} == needed
        for record in packages:
            storage = store.packages.seed_storage(record.ref)
            assert storage.read(0, record.size) == SAMPLES[record.ref].data
            storage.close()
        for folder in (store.paths.staging, store.paths.transfers, store.paths.quarantine):
            assert list(folder.iterdir()) == []
        assert {path.name for path in store.paths.packages.iterdir()} == {r.ref.folder_name for r in packages}


def game_files(folder: Path) -> dict[str, bytes]:
    there = tree(folder)
    there.pop("manifest.yaml", None)
    there.pop(NOTE, None)
    return there


def next_step(rng: random.Random, model: Model) -> tuple[str, Callable[[World], None], Model]:
    """Its name, what to do, and how things are afterwards."""
    after = model.copy()
    resting = sorted(model.there - model.installed)
    kinds = ["put"] * 3 + ["sweep"] + ["show"] * bool(model.installed) + ["pin"] * bool(model.there)
    kinds += ["change"] * 3 * bool(model.there) + ["purge"] * bool(resting)
    kind = rng.choice(kinds)
    if kind == "put":
        ref = rng.choice(sorted(SAMPLES))
        after.there.add(ref)
        after.removed.discard(ref)
        return f"put {ref}", lambda world: world.put(ref), after
    if kind == "change":  # install, update, downgrade, remove: some come, some go
        coming = [ref for ref in resting if rng.random() < 0.7]
        going = [ref for ref in sorted(model.installed) if rng.random() < 0.4]
        after.installed = (after.installed | set(coming)) - set(going)
        after.removed = (after.removed | set(going)) - set(coming)
        return f"change +{coming} -{going}", lambda world: world.change(coming, going), after
    if kind == "show":
        refs = tuple(rng.sample(sorted(model.installed), rng.randint(1, len(model.installed))))
        after.shown = refs
        return f"show {refs}", lambda world: world.show(refs), after
    if kind == "pin":
        ref = rng.choice(sorted(model.there))
        after.pinned ^= {ref}
        pinned = ref in after.pinned
        return f"pin {ref} {pinned}", lambda world: world.pin(ref, pinned), after
    gone = {rng.choice(resting)} if kind == "purge" else set(model.removed)
    after.there -= gone
    after.removed -= gone
    after.pinned -= gone
    if kind == "purge":
        return f"purge {gone}", lambda world: [world.store.installs.purge(ref) for ref in gone], after
    return "sweep", World.sweep, after


def play(seed: int, template: Path, folder: Path, reaper: Reaper) -> int:
    """One history; how often the program died."""
    shutil.copytree(template, folder)
    rng = random.Random(seed)
    world, model, deaths, told = World(folder), Model(), 0, [f"history {seed}"]
    try:
        for _ in range(STEPS):
            name, act, after = next_step(rng, model)
            told.append(name)
            reaper.left = rng.randrange(25) if rng.random() < CRASHES else None
            try:
                act(world)
            except Killed:
                reaper.left = None
                deaths += 1
                told[-1] += " (killed)"
                world.store.close()
                world.store = world.open()
                for ref in SAMPLES:
                    world.store.discard_transfer(TransferId(f"t-{ref.name}-{ref.version[0]}"))
                if name.startswith(("sweep", "purge")):
                    act_again(world, name, model, after)
                found = world.look()
                assert found in (model, after)
                model = found
            else:
                reaper.left = None
                model = after
                assert world.look() == model
        world.sweep()
        gone = set(model.removed)
        model = replace(model, there=model.there - gone, removed=set(), pinned=model.pinned - gone)
        assert world.look() == model
        world.nothing_is_over()
    except AssertionError as error:
        raise AssertionError("; ".join(told)) from error
    finally:
        reaper.left = None
        world.store.close()
        shutil.rmtree(folder)
    return deaths


def act_again(world: World, name: str, before: Model, after: Model) -> None:
    """A clean-up that was interrupted may have done a part: done again, it is all done."""
    for ref in before.there - after.there:
        if world.store.packages.knows(ref):
            world.store.installs.purge(ref)
    if name == "sweep":
        world.sweep()


BLOCKS = 4


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: what is tested is what is written, not how fast."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="icw-histories-") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_histories(block: int, quick_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = quick_folder / "template"
    open_store(template).close()
    reaper = Reaper(monkeypatch)
    seeds = range(block, HISTORIES, BLOCKS)
    deaths = sum(play(seed, template, quick_folder / "store", reaper) for seed in seeds)
    monkeypatch.undo()
    assert deaths > len(seeds) // 4, "a crash at any write was to be played"
    print(f"histories={len(seeds)} deaths={deaths} calls={reaper.calls}")
