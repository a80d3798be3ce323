"""The sample catalog of `samples.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from icworkshop_gui.core.catalog import Dependency, PackageId, PackageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One release of the sample catalog."""

    ref: PackageRef
    title: str
    summary: str
    about: str
    """The README's text below its heading."""
    category: str
    tags: tuple[str, ...]
    license: str
    size: int
    """Bytes of its files, roughly."""
    needs: tuple[tuple[str, str], ...]
    """(publisher/name, range)."""
    changes: tuple[tuple[str, tuple[str, ...]], ...]
    """(version, lines), newest first."""

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        return tuple(
            Dependency(package=PackageId.parse(package), requirement=requirement) for package, requirement in self.needs
        )


def load_samples() -> tuple[Sample, ...]:
    """Every release, in an order in which each comes after what it needs."""
    table = tomllib.loads(files(__package__).joinpath("samples.toml").read_text("utf-8"))
    return tuple(
        Sample(
            ref=PackageRef.parse(row["ref"]),
            title=row["title"],
            summary=row["summary"],
            about=row["about"],
            category=row["category"],
            tags=tuple(row["tags"]),
            license=row["license"],
            size=row["size"],
            needs=tuple(row.get("needs", {}).items()),
            changes=tuple((change["version"], tuple(change["lines"])) for change in row["changes"]),
        )
        for row in table["release"]
    )
