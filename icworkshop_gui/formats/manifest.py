"""`manifest.yaml`: what a package says about itself (ic-workshop.md §1.5), checked and written deterministically."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from icworkshop_gui.core.catalog import Dependency, Features, FileEntry, PackageId, PackageRef, is_segment, is_version
from icworkshop_gui.core.errors import FormatError
from icworkshop_gui.core.units import KIB, MIB
from icworkshop_gui.formats.filelines import split_files
from icworkshop_gui.formats.paths import collision_key, is_safe_path
from icworkshop_gui.formats.ranges import Requirement
from icworkshop_gui.formats.spdx import is_license_expression
from icworkshop_gui.formats.yamltree import Tree, parse_yaml, scalar

MANIFEST_PATH = "manifest.yaml"
MANIFEST_MAX = 4 * MIB
"""Bytes of one manifest."""
TITLE_MAX = 120
SUMMARY_MAX = 300
DESCRIPTION_MAX = 64 * KIB
"""Characters."""
LABELS_MAX = 50
"""Tags, or platforms, of one package."""
LABEL_MAX = 64
"""Characters of a tag, a category, a platform or a game module."""
DEPENDENCIES_MAX = 500
FEATURES_MAX = 50
"""Features of one package, and names that one of them brings along."""
FILE_PATH_MAX = 400
"""Characters of the path of one file: what every system can make below a folder, and any YAML reader takes as key."""
FILE_SIZE_MAX = 2**40
"""Bytes of one file."""
AI_USAGES = ("allow", "metadata_only", "deny")

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A checked manifest. Its texts come from a stranger; its names, paths, ranges and hashes are well formed."""

    ref: PackageRef
    license: str
    """An SPDX expression."""
    title: str = ""
    summary: str = ""
    description: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    """Empty for all."""
    game_module: str = ""
    engine_version: str = ""
    """A requirement; empty for any."""
    ai_usage: str = "metadata_only"
    dependencies: tuple[Dependency, ...] = ()
    features: Features = ()
    """Sorted by name."""
    files: tuple[FileEntry, ...] = ()
    """Sorted by path; without the manifest itself."""
    truncated: bool = False
    """This is the copy in the header block, and the package says more inside."""

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """From YAML. FormatError names the field that is wrong; fields that are not known are ignored."""
        root, files = _read(data)
        return cls.from_tree(root, files)

    @classmethod
    def from_tree(cls, root: dict[str, Tree], files: tuple[FileEntry, ...] = ()) -> Manifest:
        """From parsed YAML: what an index says of a package has the same form. FormatError as for `parse`."""
        package = _map(root.get("package"), "package")
        publisher, name = _text(package, "publisher"), _text(package, "name")
        version = _text(package, "version")
        if not is_segment(publisher) or not is_segment(name):
            raise FormatError("package.publisher and package.name take a-z, 0-9 and single hyphens inside")
        if not is_version(version):
            raise FormatError("package.version is no semantic version like 1.2.3")
        manifest = cls(
            ref=PackageRef(publisher, name, version),
            license=_text(package, "license"),
            title=_text(package, "title"),
            summary=_text(package, "summary"),
            description=_text(package, "description"),
            category=_text(package, "category"),
            tags=_texts(package, "tags"),
            platforms=_texts(package, "platforms"),
            game_module=_text(package, "game_module"),
            engine_version=_text(package, "engine_version"),
            ai_usage=_text(package, "ai_usage") or "metadata_only",
            dependencies=_dependencies(root.get("dependencies")),
            features=_features(root.get("features")),
            files=files,
            truncated=root.get("truncated") == "true",
        )
        manifest.check()
        return manifest

    def check(self) -> None:
        """FormatError names the first field that breaks a rule or a limit."""
        if not is_segment(self.ref.publisher) or not is_segment(self.ref.name) or not is_version(self.ref.version):
            raise FormatError("package names or version are malformed")
        if not is_license_expression(self.license):
            raise FormatError("package.license is no SPDX expression like MIT or CC-BY-4.0")
        _check_text(self.title, "package.title", TITLE_MAX)
        _check_text(self.summary, "package.summary", SUMMARY_MAX)
        _check_text(self.description, "package.description", DESCRIPTION_MAX)
        _check_text(self.category, "package.category", LABEL_MAX)
        _check_text(self.game_module, "package.game_module", LABEL_MAX)
        _check_labels(self.tags, "package.tags", LABELS_MAX)
        _check_labels(self.platforms, "package.platforms", LABELS_MAX)
        if self.engine_version:
            Requirement.parse(self.engine_version)
        if self.ai_usage not in AI_USAGES:
            raise FormatError(f"package.ai_usage is none of {', '.join(AI_USAGES)}")
        if len(self.dependencies) > DEPENDENCIES_MAX:
            raise FormatError(f"more than {DEPENDENCIES_MAX} dependencies")
        if len({dependency.package for dependency in self.dependencies}) != len(self.dependencies):
            raise FormatError("the same dependency twice")
        for dependency in self.dependencies:
            Requirement.parse(dependency.requirement)
            _check_labels(dependency.features, "the features of a dependency", FEATURES_MAX)
            _check_labels(dependency.platforms, "the platforms of a dependency", LABELS_MAX)
        self._check_features()
        _check_files(self.files)

    def _check_features(self) -> None:
        if len(self.features) > FEATURES_MAX:
            raise FormatError(f"more than {FEATURES_MAX} features")
        names = {name for name, _brought in self.features}
        optional = {str(dependency.package) for dependency in self.dependencies if dependency.optional}
        for name, brought in self.features:
            if not is_segment(name):
                raise FormatError("the name of a feature takes a-z, 0-9 and single hyphens inside")
            if len(brought) > FEATURES_MAX:
                raise FormatError(f"a feature that brings along more than {FEATURES_MAX} names")
            for item in brought:
                if item not in optional and (item not in names or item == name):
                    raise FormatError(
                        f"features.{name} names something that is neither an optional dependency nor another feature"
                    )

    @property
    def summary_line(self) -> str:
        """One line for lists: the summary, or the beginning of the description."""
        lines = (self.summary or self.description).strip().splitlines()
        return lines[0][:SUMMARY_MAX] if lines else ""

    @property
    def installed_size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def with_files(self, files: Iterable[FileEntry]) -> Manifest:
        """The same with these files."""
        return replace(self, files=tuple(sorted(files, key=lambda file: file.path)))

    def dump(self) -> bytes:
        """As YAML: the same manifest is the same bytes, everywhere and always."""
        self.check()
        lines = ["package:"]
        lines += [f"  {key}: {scalar(text)}" for key, text in self._scalars() if text]
        lines += [
            f"  {key}: [{', '.join(map(scalar, labels))}]"
            for key, labels in (("tags", self.tags), ("platforms", self.platforms))
            if labels
        ]
        if self.truncated:
            lines.append("truncated: true")
        if self.dependencies:
            lines.append("dependencies:")
        for dependency in self.dependencies:
            more = ", optional: true" if dependency.optional else ""
            for key, labels in (("features", dependency.features), ("platforms", dependency.platforms)):
                more += f", {key}: [{', '.join(map(scalar, labels))}]" if labels else ""
            id_and_range = f"id: {scalar(str(dependency.package))}, version: {scalar(dependency.requirement)}"
            lines.append(f"  - {{{id_and_range}, source: workshop{more}}}")
        if self.features:
            lines.append("features:")
        lines += [f"  {name}: [{', '.join(map(scalar, brought))}]" for name, brought in self.features]
        if self.files:
            lines.append("files:")
        lines += [f'  {scalar(file.path)}: {{sha256: "{file.sha256}", size: {file.size}}}' for file in self.files]
        data = ("\n".join(lines) + "\n").encode()
        if len(data) > MANIFEST_MAX:
            raise FormatError(f"a manifest of more than {MANIFEST_MAX} bytes")
        return data

    def _scalars(self) -> tuple[tuple[str, str], ...]:
        return (
            ("name", self.ref.name),
            ("publisher", self.ref.publisher),
            ("version", self.ref.version),
            ("license", self.license),
            ("title", self.title),
            ("summary", self.summary),
            ("description", self.description),
            ("category", self.category),
            ("game_module", self.game_module),
            ("engine_version", self.engine_version),
            ("ai_usage", self.ai_usage),
        )

    def header_copy(self, size_max: int) -> bytes:
        """The slim manifest for the header block: no files, and less of the rest until it fits (C2)."""
        slim = replace(self, files=(), truncated=False)
        for cut in (
            {},
            {"description": ""},
            {"dependencies": (), "features": ()},
            {"tags": (), "platforms": ()},
            {"summary": ""},
        ):
            slim = replace(slim, truncated=bool(cut), **cut)
            data = slim.dump()
            if len(data) <= size_max:
                return data
        raise FormatError("a manifest whose names alone do not fit the header block")

    def agrees_with(self, header: Manifest) -> bool:
        """Does the copy in the header block say the same, as far as it says anything? (C3)"""
        stated = (
            (self.category, header.category),
            (self.game_module, header.game_module),
            (self.engine_version, header.engine_version),
            (self.dependencies, header.dependencies),
            (self.features, header.features),
        )
        same = (self.ref, self.license) == (header.ref, header.license)
        return same and all(ours == theirs for ours, theirs in stated if theirs)


def _read(data: bytes) -> tuple[dict[str, Tree], tuple[FileEntry, ...]]:
    """Everything but the files, and the files."""
    lines = split_files(data) if len(data) <= MANIFEST_MAX else None
    if lines is not None:
        with contextlib.suppress(FormatError):
            head = parse_yaml(lines.head, size_max=MANIFEST_MAX)
            if isinstance(head, dict) and "files" not in head:
                return head, lines.files
    root = _map(parse_yaml(data, size_max=MANIFEST_MAX), "the manifest")
    return root, _files(root.get("files"))


def _map(tree: Tree, what: str) -> dict[str, Tree]:
    if not isinstance(tree, dict):
        raise FormatError(f"{what} is missing or no map")
    return tree


def _text(fields: dict[str, Tree], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FormatError(f"{key} is no text")
    return value


def _texts(fields: dict[str, Tree], key: str) -> tuple[str, ...]:
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FormatError(f"{key} is no list")
    texts = [item for item in value if isinstance(item, str)]
    if len(texts) != len(value):
        raise FormatError(f"{key} is no list of texts")
    return tuple(dict.fromkeys(texts))


def _check_text(text: str, field: str, length_max: int) -> None:
    if len(text) > length_max:
        raise FormatError(f"{field} has more than {length_max} characters")
    if _CONTROLS.search(text):
        raise FormatError(f"{field} has control characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"{field} is not Unicode") from error


def _check_labels(labels: tuple[str, ...], field: str, count_max: int) -> None:
    if len(labels) > count_max:
        raise FormatError(f"{field} has more than {count_max} entries")
    for label in labels:
        _check_text(label, field, LABEL_MAX)


def _features(tree: Tree) -> Features:
    if tree is None:
        return ()
    fields = _map(tree, "features")
    return tuple((name, _texts(fields, name)) for name in sorted(fields))


def _dependencies(tree: Tree) -> tuple[Dependency, ...]:
    """The flat list; or `{required: […], optional: […]}`; or `{publisher/name: range}` (C32)."""
    if tree is None:
        return ()
    if isinstance(tree, list):
        return tuple(_dependency(item) for item in tree)
    found = []
    for key, value in _map(tree, "dependencies").items():
        if "/" in key:
            fields = value if isinstance(value, dict) else {"version": value}
            found.append(_dependency({**fields, "id": key}))
        elif key in ("required", "optional"):
            if value is not None and not isinstance(value, list):
                raise FormatError(f"dependencies.{key} is no list")
            items = [_dependency(item) for item in value or []]
            found += [replace(item, optional=True) for item in items] if key == "optional" else items
    return tuple(found)


def _dependency(tree: Tree) -> Dependency:
    fields = _map(tree, "a dependency")
    try:
        package = PackageId.parse(_text(fields, "id"))
    except ValueError as error:
        raise FormatError("a dependency whose id is not publisher/name") from error
    if _text(fields, "source") not in ("", "workshop"):
        raise FormatError("a dependency that does not come from a Workshop")
    return Dependency(
        package=package,
        requirement=_text(fields, "version") or "*",
        optional=_text(fields, "optional") == "true",
        features=_texts(fields, "features"),
        platforms=_texts(fields, "platforms"),
    )


def _files(tree: Tree) -> tuple[FileEntry, ...]:
    if tree is None:
        return ()
    found = []
    for path, value in _map(tree, "files").items():
        if not isinstance(value, dict):
            continue  # another manifest's summary under the same name: count, total_size (ic-workshop.md §1.5)
        size = _text(value, "size")
        if not _DIGITS.fullmatch(size):
            raise FormatError("a file in files without a size")
        found.append(FileEntry(path=path, size=int(size), sha256=_text(value, "sha256")))
    return tuple(sorted(found, key=lambda file: file.path))


def _check_files(files: tuple[FileEntry, ...]) -> None:
    keys = set()
    folders = set()
    for file in files:
        if not is_package_path(file.path):
            raise FormatError("a file in files whose path could not be made on every system")
        if file.path == MANIFEST_PATH:
            raise FormatError("the manifest lists itself")
        if not _SHA256.fullmatch(file.sha256):
            raise FormatError("a file in files without a SHA-256 of 64 lower-case hex digits")
        if not 0 <= file.size <= FILE_SIZE_MAX:
            raise FormatError(f"a file in files of more than {FILE_SIZE_MAX} bytes")
        key = collision_key(file.path.split("/"))
        if key in keys:
            raise FormatError("two files in files that some systems take for one")
        keys.add(key)
        while key := key.rpartition("/")[0]:
            folders.add(key)
    if keys & folders:
        raise FormatError("a path in files that is a file and a folder at once")


def is_package_path(path: str) -> bool:
    """May a package hold a file of this path: relative, with `/`, and the same on every system?"""
    return 0 < len(path) <= FILE_PATH_MAX and is_safe_path(path)
