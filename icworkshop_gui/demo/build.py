"""Sample packages as files."""

from __future__ import annotations

from pathlib import Path

from icworkshop_gui.demo.content import files_of
from icworkshop_gui.demo.packages import Sample
from icworkshop_gui.formats.icpkg import BuiltPackage, write_package
from icworkshop_gui.formats.manifest import Manifest


def build(sample: Sample, path: Path) -> BuiltPackage:
    """Write one package. Deterministic: the same sample gives the same bytes everywhere."""
    manifest = Manifest(
        ref=sample.ref,
        license=sample.license,
        title=sample.title,
        summary=sample.summary,
        description=sample.about,
        category=sample.category,
        tags=sample.tags,
        game_module="ra",
        dependencies=sample.dependencies,
    )
    with path.open("wb") as out:
        return write_package(out, manifest, files_of(sample))
