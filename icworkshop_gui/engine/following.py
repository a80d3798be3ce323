"""Which releases are news to a subscriber. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from icworkshop_gui.core.catalog import PackageId, PackageRef, version_key

NEWS_MAX = 100
"""Releases that one look at one subscription may bring; the rest comes with the next one."""


def news(
    found: Iterable[tuple[PackageId, str]], known: Mapping[str, str], here: Mapping[PackageId, str]
) -> list[PackageRef]:
    """Of the newest releases `found`, those that are newer than what was `known` when the subscription began and than
    what is `here` (newest version installed or staged). A pre-release is no news to who has none.
    """
    fresh = []
    for package, version in sorted(set(found)):
        had = [text for text in (known.get(str(package), ""), here.get(package, "")) if text]
        if is_pre_release(version) and not any(map(is_pre_release, had)):
            continue
        if all(version_key(version) > version_key(text) for text in had):
            fresh.append(PackageRef(package.publisher, package.name, version))
    return fresh[:NEWS_MAX]


def is_pre_release(version: str) -> bool:
    """Such as 1.2.3-beta.1."""
    return "-" in version.partition("+")[0]
