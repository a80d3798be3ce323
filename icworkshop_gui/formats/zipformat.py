"""The structures of a ZIP archive (APPNOTE.TXT 6.3.10, §4.3) and the numbers in them, for reader and writer."""

from __future__ import annotations

import struct

LOCAL = struct.Struct("<4s5H3I2H")
"""§4.3.7: signature, version, flags, method, time, date, crc, compressed, size, name length, extra length."""
LOCAL_SIGNATURE = b"PK\3\4"
CENTRAL = struct.Struct("<4s6H3I5H2I")
"""§4.3.12: signature, made by, version, flags, method, time, date, crc, compressed, size, name length, extra length,
comment length, disk, internal attributes, external attributes, offset."""
CENTRAL_SIGNATURE = b"PK\1\2"
END = struct.Struct("<4s4H2IH")
"""§4.3.16: signature, disk, directory's disk, entries here, entries, directory size, its offset, comment length."""
END_SIGNATURE = b"PK\5\6"
END64 = struct.Struct("<4sQ2H2I4Q")
"""§4.3.14: signature, size of the rest, made by, version, disk, directory's disk, entries here, entries, directory
size, its offset."""
END64_SIGNATURE = b"PK\6\6"
LOCATOR64 = struct.Struct("<4sIQI")
"""§4.3.15: signature, disk, offset of END64, disks."""
LOCATOR64_SIGNATURE = b"PK\6\7"

STORED = 0
DEFLATED = 8
FLAG_ENCRYPTED = 1
FLAG_DESCRIPTOR = 1 << 3
FLAG_PATCHED = 1 << 5
FLAG_STRONG_ENCRYPTION = 1 << 6
FLAG_UTF8 = 1 << 11
FLAG_MASKED = 1 << 13
EXTRA_ZIP64 = 1
FULL16 = 0xFFFF
FULL32 = 0xFFFFFFFF
