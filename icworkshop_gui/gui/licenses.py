"""Licences in words: what a player may do with what was installed. Without Qt."""

from __future__ import annotations

from typing import NamedTuple


class LicenseWords(NamedTuple):
    """Short name and one sentence."""

    name: str
    meaning: str


_KNOWN = {
    "CC0-1.0": LicenseWords("CC0", "Free for every use"),
    "CC-BY-4.0": LicenseWords("CC BY 4.0", "Share and change it, name the author"),
    "CC-BY-3.0": LicenseWords("CC BY 3.0", "Share and change it, name the author"),
    "CC-BY-SA-4.0": LicenseWords("CC BY-SA 4.0", "Share and change it, name the author, same licence"),
    "CC-BY-SA-3.0": LicenseWords("CC BY-SA 3.0", "Share and change it, name the author, same licence"),
    "CC-BY-NC-4.0": LicenseWords("CC BY-NC 4.0", "Share and change it, name the author, not for money"),
    "CC-BY-NC-SA-4.0": LicenseWords("CC BY-NC-SA 4.0", "Share and change it, not for money, same licence"),
    "CC-BY-ND-4.0": LicenseWords("CC BY-ND 4.0", "Share it unchanged, name the author"),
    "CC-BY-NC-ND-4.0": LicenseWords("CC BY-NC-ND 4.0", "Share it unchanged, not for money"),
    "MIT": LicenseWords("MIT", "Free software, keep the notice"),
    "Apache-2.0": LicenseWords("Apache 2.0", "Free software, keep the notices"),
    "BSD-2-Clause": LicenseWords("BSD", "Free software, keep the notice"),
    "BSD-3-Clause": LicenseWords("BSD", "Free software, keep the notice"),
    "ISC": LicenseWords("ISC", "Free software, keep the notice"),
    "Zlib": LicenseWords("zlib", "Free software"),
    "GPL-2.0-only": LicenseWords("GPL 2", "Free software, changes stay free"),
    "GPL-2.0-or-later": LicenseWords("GPL 2+", "Free software, changes stay free"),
    "GPL-3.0-only": LicenseWords("GPL 3", "Free software, changes stay free"),
    "GPL-3.0-or-later": LicenseWords("GPL 3+", "Free software, changes stay free"),
    "LGPL-3.0-or-later": LicenseWords("LGPL 3+", "Free software, changes stay free"),
    "MPL-2.0": LicenseWords("MPL 2.0", "Free software, changed files stay free"),
    "OFL-1.1": LicenseWords("OFL", "Free font licence"),
    "Unlicense": LicenseWords("Public domain", "Free for every use"),
}


def license_words(spdx: str) -> LicenseWords:
    """Words for an SPDX expression; what is not known is shown as written."""
    if not spdx:
        return LicenseWords("Not stated", "Ask the author before sharing it elsewhere")
    return _KNOWN.get(spdx, LicenseWords(spdx, "See the licence's own text"))
