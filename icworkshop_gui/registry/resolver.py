"""Which versions go together. PubGrub (ic-workshop.md §3.7): pure, deterministic, and able to say why nothing does.

Candidates of a package are few and known, so a set of versions is a bit mask: bit 0 stands for "not needed at all",
bit i for the i-th oldest version. What a term forbids, allows or leaves open is one `&`.

Packages are looked up when they are first needed, not before. `Resolver.run` is a generator that yields the package it
must know next and is sent its candidates (an empty sequence when nobody has it), so that it needs no network itself:

    run = Resolver(roots, locked).run()
    package = next(run)
    while True:
        package = run.send(candidates_of(package))      # StopIteration.value is the Solution
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from icworkshop_gui.core.catalog import Dependency, Features, PackageId, version_key
from icworkshop_gui.formats.ranges import Requirement

PACKAGES_MAX = 5_000
"""Packages looked at for one question: the whole catalog of a busy year (ic-workshop.md §3.7), and a bound on what a
hostile registry can make us ask for."""
STEPS_MAX = 200_000
"""Assignments and conflicts of one question; two orders of magnitude above the hardest real one."""

Node = tuple[PackageId, str]
"""A package (empty text) or one of its features, which is chosen in the same version as its package."""

ROOT: Node = (PackageId("", ""), "")
_ABSENT = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One version that could be chosen."""

    version: str
    dependencies: tuple[Dependency, ...] = ()
    features: Features = ()
    yanked: bool = False
    """Withdrawn by its author: only chosen where it is locked."""


@dataclass(frozen=True, slots=True)
class Root:
    """What is wished for: one package in a range of versions, with these of its features."""

    package: PackageId
    requirement: Requirement
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Solution:
    """One version of every package that is needed."""

    chosen: Mapping[PackageId, Candidate]
    """In the order to install: what others need comes first."""
    needs: Mapping[PackageId, Sequence[PackageId]]
    """Of each package the others that it brought along."""
    newest: Mapping[PackageId, str]
    """The newest version that its dependants' ranges name, where another one had to be chosen."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One cause of a conflict: `by` (in some versions) needs `package` in a range. `by` None: the wish itself."""

    by: PackageId | None
    versions: tuple[str, ...]
    """Those of `by` that need this, oldest first."""
    package: PackageId
    requirement: str
    feature: str = ""
    """Of `by`: which of its features brings this along."""
    none_fits: bool = False
    """No version that could be chosen lies in the range."""


Lookup = Generator[PackageId, Sequence[Candidate], Solution]
"""Yields packages, is sent their candidates, returns the answer."""


class Unsolvable(Exception):
    """No choice of versions does. `edges`: what together rules everything out, from the wish downwards."""

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        super().__init__("no versions go together")
        self.edges = edges


class CyclicDependencies(Exception):
    """The packages of `path` need each other in a circle; the first is the last again."""

    def __init__(self, path: tuple[PackageId, ...]) -> None:
        super().__init__(" needs ".join(map(str, path)))
        self.path = path


class TooLarge(Exception):
    """The question needs more than `PACKAGES_MAX` packages or `STEPS_MAX` steps."""


@dataclass(slots=True, eq=False)
class _Incompatibility:
    """These states may not all be true at once."""

    terms: dict[Node, int]
    edge: Edge | None = None
    """Where it comes from, or..."""
    causes: tuple[_Incompatibility, ...] = ()
    """...from which others it follows."""


@dataclass(slots=True)
class _Assignment:
    node: Node
    mask: int
    """What this step alone says."""
    state: int
    """What all steps up to this one say."""
    level: int
    at: int
    """Position among all steps."""
    cause: _Incompatibility | None
    """None for a decision."""


class Resolver:
    """One question. `locked` versions are preferred to newer ones; they may have been withdrawn since."""

    def __init__(
        self,
        roots: Sequence[Root],
        locked: Mapping[PackageId, str] | None = None,
        *,
        platform: str = "",
    ) -> None:
        """`platform`: needs of other platforms are left out; empty keeps all."""
        self._roots = tuple(roots)
        self._locked = dict(locked or {})
        self._platform = platform
        self._known: dict[PackageId, tuple[Candidate, ...]] = {}
        """Candidates, oldest first; bit i + 1 is the i-th."""
        self._incompatibilities: dict[Node, list[_Incompatibility]] = {}
        self._steps: list[_Assignment] = []
        self._by_node: dict[Node, list[_Assignment]] = {}
        self._full: dict[Node, int] = {ROOT: 0b11}
        self._level = 0
        self._work = 0
        self._allowed: dict[tuple[PackageId, str], int] = {}
        self._needs: dict[tuple[Node, str], tuple[Dependency, ...]] = {}
        self._told: set[tuple[Node, Dependency]] = set()
        """Needs that are among the incompatibilities."""

    def run(self) -> Lookup:
        """Unsolvable, CyclicDependencies or TooLarge when there is no answer."""
        for root in self._roots:
            yield from self._load(root.package)
        wish = Candidate(version="", dependencies=tuple(_as_dependency(root) for root in self._roots))
        self._add_needs(ROOT, (wish,), 0)
        self._add(_Incompatibility({ROOT: _ABSENT}))
        next_node: Node | None = ROOT
        while next_node is not None:
            self._propagate(next_node)
            next_node = yield from self._decide()
        return self._solution()

    # --- what is known ------------------------------------------------------------------------

    def _load(self, package: PackageId) -> Generator[PackageId, Sequence[Candidate], None]:
        if package in self._known:
            return
        if len(self._known) >= PACKAGES_MAX:
            raise TooLarge
        found = yield package
        locked = self._locked.get(package)
        usable = {
            candidate.version: candidate for candidate in found if not candidate.yanked or candidate.version == locked
        }
        ordered = sorted(usable.values(), key=lambda candidate: (version_key(candidate.version), candidate.version))
        self._known[package] = tuple(ordered)
        full = (1 << (len(ordered) + 1)) - 1
        self._full[package, ""] = full
        names = {feature for candidate in ordered for feature, _needs in candidate.features}
        for name in names:
            has = sum(2 << at for at, candidate in enumerate(ordered) if name in dict(candidate.features))
            self._full[package, name] = has | _ABSENT

    def _mask(self, package: PackageId, requirement: str) -> int:
        """Versions of `package` in the range."""
        key = (package, requirement)
        mask = self._allowed.get(key)
        if mask is None:
            wanted = Requirement.parse(requirement)
            candidates = self._known[package]
            mask = sum(2 << at for at, candidate in enumerate(candidates) if wanted.matches(candidate.version))
            self._allowed[key] = mask
        return mask

    def _needs_of(self, node: Node, candidate: Candidate) -> tuple[Dependency, ...]:
        """What one version of a package, or of one of its features, needs."""
        if node == ROOT:
            return candidate.dependencies
        key = (node, candidate.version)
        found = self._needs.get(key)
        if found is None:
            found = self._needs[key] = self._find_needs(node, candidate)
        return found

    def _find_needs(self, node: Node, candidate: Candidate) -> tuple[Dependency, ...]:
        package, feature = node
        if not feature:
            needs = [need for need in candidate.dependencies if not need.optional]
        else:
            wanted = dict(candidate.features).get(feature, ())
            optional = {str(need.package): need for need in candidate.dependencies}
            needs = [optional[name] for name in wanted if name in optional]
            own = tuple(name for name in wanted if name not in optional)
            needs.append(Dependency(package=package, requirement=f"={candidate.version}", features=own))
        return tuple(
            need for need in needs if not need.platforms or not self._platform or self._platform in need.platforms
        )

    def _add_needs(self, node: Node, candidates: tuple[Candidate, ...], at: int) -> list[_Incompatibility]:
        """What version `at` needs, told for all versions that need the same: one step rules out all of them."""
        added: list[_Incompatibility] = []
        for need in self._needs_of(node, candidates[at]):
            if (node, need) in self._told:
                continue
            self._told.add((node, need))
            mask, versions = 0, []
            for other, candidate in enumerate(candidates):
                if other == at or need in self._needs_of(node, candidate):
                    mask |= 2 << other
                    versions.append(candidate.version)
            mask &= self._full[node]
            for feature in ("", *need.features):
                target: Node = (need.package, feature)
                full = self._full.get(target, _ABSENT)
                self._full.setdefault(target, full)
                if target == node:
                    continue
                # A feature and its package are the same release, not merely versions that compare equal.
                is_own = node != ROOT and need.package == node[0]
                allowed = (2 << at if is_own else self._mask(need.package, need.requirement)) & full
                edge = Edge(
                    None if node == ROOT else node[0],
                    tuple(versions),
                    need.package,
                    need.requirement,
                    feature=node[1],
                    none_fits=not allowed,
                )
                terms = {node: mask}
                if allowed:
                    terms[target] = full & ~allowed
                added.append(_Incompatibility(terms, edge))
        for incompatibility in added:
            self._add(incompatibility)
        return added

    def _add(self, incompatibility: _Incompatibility) -> None:
        for node in incompatibility.terms:
            self._incompatibilities.setdefault(node, []).append(incompatibility)

    # --- the partial solution -----------------------------------------------------------------

    def _state(self, node: Node) -> int:
        steps = self._by_node.get(node)
        return steps[-1].state if steps else self._full[node]

    def _assign(self, node: Node, mask: int, cause: _Incompatibility | None) -> None:
        self._work += 1
        if self._work > STEPS_MAX:
            raise TooLarge
        step = _Assignment(node, mask, self._state(node) & mask, self._level, len(self._steps), cause)
        self._steps.append(step)
        self._by_node.setdefault(node, []).append(step)

    def _backtrack(self, level: int) -> None:
        while self._steps and self._steps[-1].level > level:
            self._by_node[self._steps.pop().node].pop()
        self._level = level

    def _propagate(self, node: Node) -> None:
        """Draw every conclusion that has no alternative, from what changed."""
        changed = [node]
        while changed:
            current = changed.pop(0)
            for incompatibility in reversed(self._incompatibilities.get(current, [])):
                open_node = self._almost(incompatibility)
                if open_node is None:
                    continue
                if open_node is True:
                    learned = self._resolve_conflict(incompatibility)
                    left = self._almost(learned)
                    assert isinstance(left, tuple), "a learned incompatibility leaves exactly one conclusion"
                    self._conclude(left, learned)
                    changed = [left]
                    break
                assert isinstance(open_node, tuple)
                self._conclude(open_node, incompatibility)
                if open_node not in changed:
                    changed.append(open_node)

    def _conclude(self, node: Node, cause: _Incompatibility) -> None:
        self._assign(node, self._full[node] & ~cause.terms[node], cause)

    def _almost(self, incompatibility: _Incompatibility) -> Node | bool | None:
        """True: all terms hold. A node: all others hold and its one is open. None: no conclusion."""
        found: Node | None = None
        for node, mask in incompatibility.terms.items():
            state = self._state(node)
            if not state & ~mask:
                continue
            if not state & mask or found is not None:
                return None
            found = node
        return True if found is None else found

    def _resolve_conflict(self, conflict: _Incompatibility) -> _Incompatibility:
        """Find out what was decided wrongly, go back before it, and return what was learned. Unsolvable."""
        current = conflict
        while current.terms and set(current.terms) != {ROOT}:
            self._work += 1
            if self._work > STEPS_MAX:
                raise TooLarge
            # The step that made it true, and the level at which it would have followed without deciding anything more.
            satisfier: _Assignment | None = None
            before = 0
            for node, mask in current.terms.items():
                step = self._first_that_satisfies(node, mask)
                if satisfier is None or step.at > satisfier.at:
                    if satisfier is not None:
                        before = max(before, satisfier.level)
                    satisfier = step
                else:
                    before = max(before, step.level)
            assert satisfier is not None
            mask = current.terms[satisfier.node]
            beyond = satisfier.mask & ~mask
            if beyond:
                # It took an earlier step about the same node as well.
                before = max(before, self._first_that_satisfies(satisfier.node, mask | ~satisfier.mask).level)
            if satisfier.cause is None or before < satisfier.level:
                self._backtrack(before)
                if current is not conflict:
                    self._add(current)
                return current
            terms = {node: mask for node, mask in current.terms.items() if node != satisfier.node}
            for node, mask in satisfier.cause.terms.items():
                if node != satisfier.node:
                    terms[node] = terms.get(node, self._full[node]) & mask
            if beyond:
                terms[satisfier.node] = self._full[satisfier.node] & ~beyond
            terms = {node: mask for node, mask in terms.items() if mask != self._full[node]}
            current = _Incompatibility(terms, causes=(current, satisfier.cause))
        raise Unsolvable(_edges(current))

    def _first_that_satisfies(self, node: Node, mask: int) -> _Assignment:
        for step in self._by_node[node]:
            if not step.state & ~mask:
                return step
        raise AssertionError("a conflict whose terms do not hold")

    # --- deciding -----------------------------------------------------------------------------

    def _decide(self) -> Generator[PackageId, Sequence[Candidate], Node | None]:
        """Choose a version of the node with the fewest left; None when everything needed has one."""
        open_nodes = [
            (state.bit_count(), node)
            for node, steps in self._by_node.items()
            if steps and not (state := steps[-1].state) & _ABSENT and all(step.cause is not None for step in steps)
        ]
        if not open_nodes:
            return None
        _count, node = min(open_nodes)
        state = self._state(node)
        candidates = self._candidates(node)
        at = state.bit_length() - 2
        locked = self._locked.get(node[0])
        if locked is not None:
            for other, candidate in enumerate(candidates):
                if candidate.version == locked and state >> (other + 1) & 1:
                    at = other
        conflicts = False
        if node != ROOT:
            for need in self._needs_of(node, candidates[at]):
                yield from self._load(need.package)
            for incompatibility in self._add_needs(node, candidates, at):
                others = (item for item in incompatibility.terms.items() if item[0] != node)
                conflicts = conflicts or all(not self._state(other) & ~mask for other, mask in others)
        if not conflicts:
            self._level += 1
            self._assign(node, 2 << at, None)
        return node

    def _candidates(self, node: Node) -> tuple[Candidate, ...]:
        return (Candidate(version=""),) if node == ROOT else self._known[node[0]]

    # --- the answer ---------------------------------------------------------------------------

    def _solution(self) -> Solution:
        chosen: dict[PackageId, Candidate] = {}
        active: dict[PackageId, list[str]] = {}
        for node, steps in self._by_node.items():
            if node == ROOT or not steps or steps[-1].state & _ABSENT:
                continue
            package, feature = node
            active.setdefault(package, []).append(feature)
            chosen[package] = self._known[package][steps[-1].state.bit_length() - 2]
        needs = {
            package: sorted(
                {
                    need.package
                    for feature in active[package]
                    for need in self._needs_of((package, feature), candidate)
                    if need.package != package
                }
            )
            for package, candidate in chosen.items()
        }
        order = _order([root.package for root in self._roots], needs)
        return Solution({package: chosen[package] for package in order}, needs, self._held_back(chosen, active))

    def _held_back(
        self, chosen: Mapping[PackageId, Candidate], active: Mapping[PackageId, Iterable[str]]
    ) -> dict[PackageId, str]:
        """Packages of which a newer version lies in every range, and could not be taken."""
        allowed: dict[PackageId, int] = {}
        ranges = [(root.package, root.requirement.text) for root in self._roots]
        for package, candidate in chosen.items():
            for feature in active[package]:
                ranges += [
                    (need.package, need.requirement)
                    for need in self._needs_of((package, feature), candidate)
                    if need.package != package
                ]
        for package, text in ranges:
            allowed[package] = allowed.get(package, -1) & self._mask(package, text)
        found: dict[PackageId, str] = {}
        for package, mask in sorted(allowed.items()):
            newest = self._known[package][mask.bit_length() - 2].version
            if newest not in (chosen[package].version, self._locked.get(package)) and (
                self._locked.get(package) != chosen[package].version
            ):
                found[package] = newest
        return found


def _as_dependency(root: Root) -> Dependency:
    return Dependency(package=root.package, requirement=root.requirement.text, features=root.features)


def _order(roots: Sequence[PackageId], needs: Mapping[PackageId, Sequence[PackageId]]) -> list[PackageId]:
    """What is needed before what needs it. CyclicDependencies."""
    done: dict[PackageId, None] = {}
    path: dict[PackageId, None] = {}
    # (package, entered): a stack of our own, since chains may be longer than Python's.
    stack = [(package, False) for package in reversed(roots)]
    while stack:
        package, entered = stack.pop()
        if entered:
            del path[package]
            done[package] = None
        elif package in path:
            walk = list(path)
            raise CyclicDependencies((*walk[walk.index(package) :], package))
        elif package not in done:
            path[package] = None
            stack.append((package, True))
            stack += [(need, False) for need in reversed(needs[package])]
    return list(done)


def _edges(final: _Incompatibility) -> tuple[Edge, ...]:
    """The facts at the leaves of a proof, each once, in the order in which the proof meets them."""
    seen: set[int] = set()
    edges: dict[Edge, None] = {}
    stack = [final]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if current.edge is not None:
            edges[current.edge] = None
        stack += reversed(current.causes)
    return tuple(edges)
