"""Which peers an asker gets. PURE: packed peers and a number between 0 and 1 in, packed peers out.

Peers lie packed one behind the other, so handing some out is copying a few runs of bytes, however hot the torrent.
"""

from __future__ import annotations

Packed = bytes | bytearray

MAX_PEERS = 50
"""Peers in one response: what one package may be connected to (DESIGN §4.14); fits into one datagram over IPv6 too."""
CHUNKS = 5
"""Runs that a handout from a large list is made of. With a single run, someone who fills neighbouring places in a
burst of announces would make up the whole world of some askers."""
LONG = 4
"""A list of more than this many times the peers wanted is handed out in CHUNKS runs, a shorter one in a single run."""
FLOOR = 5
"""Where seeds and leechers both abound, each kind gets at least one part in this many of the places."""


def choose(seeds: Packed, leechers: Packed, size: int, want: int, seeding: bool, asker: int, spin: float) -> bytes:
    """At most `want` peers of `size` bytes each: never the asker itself, and never seeds to one that is `seeding`.

    `asker` is its slot in the list of its own kind, or -1 when it is in none. `spin` in [0, 1) turns the choice:
    every other peer of one kind is about as likely to be in it.
    """
    if seeding:
        return pick(leechers, size, want, -1, spin)
    if not seeds:
        return pick(leechers, size, want, asker, spin)
    seeders = len(seeds) // size
    others = len(leechers) // size - (asker >= 0)
    if seeders + others <= want:
        return pick(leechers, size, others, asker, spin) + seeds
    from_seeds = seeds_share(want, seeders, others)
    return pick(seeds, size, from_seeds, -1, spin) + pick(leechers, size, want - from_seeds, asker, spin)


def seeds_share(want: int, seeders: int, leechers: int) -> int:
    """How many of `want` places go to seeds when there are more peers than places: by proportion, above a floor."""
    floor = want // FLOOR
    share = min(max(want * seeders // (seeders + leechers), floor), want - floor)
    return max(min(share, seeders), want - leechers)


def pick(entries: Packed, size: int, want: int, asker: int, spin: float) -> bytes:
    """At most `want` of the packed `entries`, all but slot `asker` (-1: all)."""
    total = len(entries)
    count = total // size
    if want <= 0:
        return b""
    if count <= LONG * want:
        if asker >= 0:
            # As a ring that begins behind the asker.
            entries = entries[asker * size + size :] + entries[: asker * size]
            total -= size
            count -= 1
        if count <= want:
            return bytes(entries)
        at = int(spin * count) * size
        end = at + want * size
        return bytes(entries[at:end] if end <= total else entries[at:] + entries[: end - total])
    if want < CHUNKS:
        return _runs(entries, size, want, 1, asker, int(spin * count) * size)
    stride = count // CHUNKS
    at = int(spin * stride) * size
    stride *= size
    width = -(-want // CHUNKS) * size
    last = at + (CHUNKS - 1) * stride
    if last + width <= total and (asker < 0 or (asker * size - at) % stride >= width):
        return b"".join([entries[run : run + width] for run in range(at, last + 1, stride)])[: want * size]
    return _runs(entries, size, want, CHUNKS, asker, at)


def _runs(entries: Packed, size: int, want: int, chunks: int, asker: int, at: int) -> bytes:
    """`want` entries as evenly spread runs from `at` on, where a run may meet the end of the list or the asker."""
    total = len(entries)
    stride = total // size // chunks * size
    width = -(-want // chunks) * size
    skip = asker * size
    runs = []
    for begin in range(at, at + chunks * stride, stride):
        end = begin + width
        if asker >= 0 and (begin <= skip < end or skip < end - total):
            end += size  # one more instead: in a long list runs are far from each other
        for first, last in ((begin, min(end, total)), (0, end - total)):
            if asker >= 0 and first <= skip < last:
                runs.append(entries[first:skip])
                first = skip + size
            if first < last:
                runs.append(entries[first:last])
    return b"".join(runs)[: want * size]
