"""Canned packages, transfers and a library, close to the drawings, for tests and pictures of the window."""

from __future__ import annotations

from icworkshop_gui.core.address import PeerSource, TransportKind
from icworkshop_gui.core.bitfield import Bitfield
from icworkshop_gui.core.catalog import (
    Dependency,
    FileEntry,
    PackageDetail,
    PackageId,
    PackageRef,
    PackageSummary,
    Release,
)
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api.snapshots import (
    Connection,
    EngineTotals,
    FileSnapshot,
    LibraryEntry,
    PeerSnapshot,
    Reason,
    SourceSnapshot,
    SourceState,
    TransferDetail,
    TransferSnapshot,
    TransferState,
)

KB = 1000
MB = 1000 * KB
DAY = 86_400.0
WALL = 1_790_000_000.0
"""The wall clock of the canned world."""
NOW = 10_000.0
"""The engine clock of the canned world."""


def _summary(
    ref: str, title: str, summary: str, category: str, size: int, downloads: int, age: float, seeders: int
) -> PackageSummary:
    parsed = PackageRef.parse(ref)
    return PackageSummary(
        package=parsed.package,
        version=parsed.version,
        title=title,
        summary=summary,
        category=category,
        tags=(category, "classic") if downloads > 4000 else (category,),
        license="CC-BY-SA-4.0" if downloads % 200 else "CC0-1.0",
        size=size,
        downloads=downloads,
        published_at=WALL - age - 30 * DAY,
        updated_at=WALL - age,
        seeders=seeders,
        leechers=seeders // 5,
    )


CATALOG: tuple[PackageSummary, ...] = (
    _summary(
        "mapsmith/desert-showdown@1.3.0",
        "Desert Showdown",
        "Three river crossings, two bridges that hold if you do.",
        "map",
        4_200 * KB,
        12_400,
        2 * DAY,
        31,
    ),
    _summary(
        "combined-arms/combined-arms@2.1.0",
        "Combined Arms",
        "Five factions, new economy, a campaign of 22 missions.",
        "total-conversion",
        1_400 * MB,
        8_700,
        8 * DAY,
        14,
    ),
    _summary(
        "neon-relay/synthwave-front@1.0.0",
        "Synthwave Front",
        "12 tracks for long nights on the radar.",
        "music",
        96 * MB,
        3_100,
        21 * DAY,
        9,
    ),
    _summary(
        "frostbyte/polar-tiles-hd@1.4.0",
        "Polar Tiles HD",
        "Winter terrain in four times the detail.",
        "sprites",
        212 * MB,
        5_600,
        5 * DAY,
        12,
    ),
    _summary(
        "signal-corps/commander-voices@2.0.1",
        "Commander Voices",
        "Field radio in English, German and Polish.",
        "voice-pack",
        61 * MB,
        1_900,
        0.2 * DAY,
        4,
    ),
    _summary(
        "mapsmith/iron-dunes@1.1.0", "Iron Dunes", "Eight players, one oasis.", "map", 6_100 * KB, 2_200, 4 * DAY, 6
    ),
    _summary(
        "ladder-crew/balance@2.1.0",
        "Balance",
        "The ladder rules of this season.",
        "mod",
        180 * KB,
        9_900,
        1.1 * DAY,
        22,
    ),
    _summary(
        "tournament/tournament-pack@7.0.0",
        "Tournament Pack 7",
        "Every map of the autumn cup.",
        "map",
        54 * MB,
        4_400,
        3 * DAY,
        18,
    ),
    _summary(
        "signal-corps/classic-voices@1.0.2",
        "Classic Voices",
        "The old announcer, cleaned up.",
        "voice-pack",
        58 * MB,
        1_200,
        90 * DAY,
        2,
    ),
    _summary(
        "mapsmith/northern-passage@0.9.0", "Northern Passage", "A long way round.", "map", 5_300 * KB, 700, 40 * DAY, 1
    ),
    _summary("frostbyte/polar-ui@1.0.0", "Polar UI", "A cold, clear sidebar.", "theme", 3_100 * KB, 600, 12 * DAY, 3),
    _summary(
        "workshop/starter-campaign@1.2.0",
        "Starter Campaign",
        "Six missions that teach every unit.",
        "campaign",
        33 * MB,
        7_700,
        60 * DAY,
        11,
    ),
)


def detail_of(summary: PackageSummary, version: str = "") -> PackageDetail:
    """A package page for a catalog row."""
    package = summary.package
    chosen = version or summary.version
    names = ("manifest.yaml", "README.md", "data/rules.yaml", "data/terrain.bin", "data/audio/theme.ogg")
    files = tuple(
        FileEntry(path=name, size=summary.size // len(names), sha256=f"{i:064x}") for i, name in enumerate(names)
    )
    needs: tuple[Dependency, ...] = ()
    if package.name == "combined-arms":
        needs = (
            Dependency(package=PackageId("ladder-crew", "balance"), requirement="^2.1"),
            Dependency(package=PackageId("frostbyte", "polar-tiles-hd"), requirement="^1", optional=True),
        )
    release = Release(
        ref=PackageRef(package.publisher, package.name, chosen),
        title=summary.title,
        summary=summary.summary,
        category=summary.category,
        license=summary.license,
        size=summary.size,
        sha256="ab" * 32,
        info_hash="cd" * 20,
        published_at=summary.updated_at,
        tags=summary.tags,
        dependencies=needs,
        files=files,
        installed_size=sum(file.size for file in files),
        downloads=summary.downloads,
        preview_sha256=summary.preview_sha256,
    )
    readme = f"# {summary.title}\n\n{summary.summary}\n\n- made for the ladder\n- tested by forty players\n"
    return PackageDetail(
        release=release,
        readme=readme,
        changelog=f"## {chosen}\n\n- new bridges\n- fewer rocks\n",
        versions=(release,),
        seeders=summary.seeders,
        leechers=summary.leechers,
    )


def transfer(name: str, **changes: object) -> TransferSnapshot:
    """A legal transfer; name what differs."""
    fields: dict[str, object] = {
        "id": TransferId(f"t-{name.lower().replace(' ', '-')}"),
        "name": name,
        "state": TransferState.DOWNLOADING,
        "size": 96 * MB,
        "added_at": WALL - 120,
    }
    fields.update(changes)
    return TransferSnapshot(**fields)  # type: ignore[arg-type]


TRANSFERS: tuple[TransferSnapshot, ...] = (
    transfer(
        "Tournament Pack 7",
        ref=PackageRef("tournament", "tournament-pack", "7.0.0"),
        category="map",
        tier=Tier.LOBBY_URGENT,
        size=54 * MB,
        done=38 * MB,
        from_peers=34 * MB,
        from_http=4 * MB,
        rate_down=8_800 * KB,
        rate_up=210 * KB,
        uploaded=3 * MB,
        eta=4.0,
        peers=9,
        seeds=4,
        known_peers=17,
        http_active=True,
    ),
    transfer(
        "Synthwave Front",
        ref=PackageRef("neon-relay", "synthwave-front", "1.0.0"),
        category="music",
        size=96 * MB,
        done=40 * MB,
        from_peers=40 * MB,
        rate_down=560 * KB,
        rate_up=24 * KB,
        eta=100.0,
        peers=9,
        seeds=6,
        known_peers=12,
    ),
    transfer(
        "Combined Arms 2.1",
        ref=PackageRef("combined-arms", "combined-arms", "2.1.0"),
        category="total-conversion",
        state=TransferState.QUEUED,
        reason=Reason.SLOT,
        position=1,
        size=1_400 * MB,
        done=1_389 * MB,
        reused=1_389 * MB,
    ),
    transfer(
        "Polar Tiles HD 1.4",
        ref=PackageRef("frostbyte", "polar-tiles-hd", "1.4.0"),
        category="sprites",
        state=TransferState.PAUSED,
        reason=Reason.LOBBY_FIRST,
        tier=Tier.BACKGROUND,
        size=212 * MB,
        done=38 * MB,
        from_peers=38 * MB,
    ),
    transfer(
        "Desert Showdown",
        ref=PackageRef("mapsmith", "desert-showdown", "1.3.0"),
        category="map",
        state=TransferState.SEEDING,
        size=4_200 * KB,
        done=4_200 * KB,
        uploaded=9 * MB,
        rate_up=120 * KB,
        peers=2,
        finished_at=WALL - 600,
    ),
    transfer(
        "Balance 2.1",
        ref=PackageRef("ladder-crew", "balance", "2.1.0"),
        category="mod",
        state=TransferState.FINISHED,
        size=180 * KB,
        done=180 * KB,
        from_http=180 * KB,
        finished_at=WALL - 4000,
    ),
)


def entry(ref: str, title: str, category: str, size: int, **changes: object) -> LibraryEntry:
    """A legal library entry; name what differs."""
    fields: dict[str, object] = {
        "ref": PackageRef.parse(ref),
        "title": title,
        "category": category,
        "size": size,
        "unique": size,
        "files": 12,
        "license": "CC-BY-SA-4.0",
        "folder": "content",
        "installed_at": WALL - 3 * DAY,
        "sharing": True,
    }
    fields.update(changes)
    return LibraryEntry(**fields)  # type: ignore[arg-type]


LIBRARY: tuple[LibraryEntry, ...] = (
    entry(
        "combined-arms/combined-arms@2.0.0",
        "Combined Arms",
        "total-conversion",
        1_400 * MB,
        unique=310 * MB,
        update_to="2.1.0",
        rate_up=120 * KB,
        uploaded=2_100 * MB,
        files=1_904,
    ),
    entry(
        "frostbyte/polar-tiles-hd@1.3.0",
        "Polar Tiles HD",
        "sprites",
        212 * MB,
        unique=0,
        needed_by=("combined-arms/combined-arms", "frostbyte/polar-ui"),
    ),
    entry("mapsmith/desert-showdown@1.3.0", "Desert Showdown", "map", 4_200 * KB, installed_at=WALL - 600),
    entry("ladder-crew/balance@2.1.0", "Balance", "mod", 180 * KB, rate_up=8 * KB, uploaded=4 * MB),
    entry("mapsmith/iron-dunes@1.1.0", "Iron Dunes", "map", 6_100 * KB, sharing=False),
    entry("signal-corps/classic-voices@1.0.2", "Classic Voices", "voice-pack", 58 * MB, damaged=True),
)

TOTALS = EngineTotals(
    now=NOW,
    connection=Connection.CONNECTED,
    sources=(
        SourceState(url="http://127.0.0.1:19710", name="Iron Curtain Workshop", ok=True, message="1,284 packages"),
        SourceState(url="https://mirror.example", name="Mirror", ok=False, message="does not answer"),
    ),
    rate_down=9_400 * KB,
    rate_up=640 * KB,
    downloaded=120 * MB,
    uploaded=14 * MB,
    peers=14,
    uploading_to=5,
    disk_free=118_000 * MB,
    store_bytes=1_870 * MB,
    listen_port=19711,
    sharing=True,
    limit_down=None,
    limit_up=1 * MB,
)


def detail_for(snapshot: TransferSnapshot) -> TransferDetail:
    """A detail that fits a transfer: pieces, peers, sources, files."""
    piece_length = 262_144
    pieces = max(1, -(-snapshot.size // piece_length))
    have_count = pieces * snapshot.done // max(1, snapshot.size)
    have = Bitfield.of(pieces, (i for i in range(pieces) if (i * 7919) % pieces < have_count))
    missing = list(have.missing())
    kinds = (TransportKind.TCP, TransportKind.UTP, TransportKind.WEBRTC)
    peers = tuple(
        PeerSnapshot(
            address=f"203.0.113.{7 + i}:{50000 + i}",
            client=("icworkshop-gui 0.1", "libtorrent 2.0", "Transmission 3.0")[i % 3],
            transport=kinds[i % 3],
            source=PeerSource.LOBBY if i < 6 else PeerSource.TRACKER,
            progress=1.0 if i % 2 else 0.25 + i / 20,
            rate_down=snapshot.rate_down // (snapshot.peers + 1),
            rate_up=12 * KB * i,
            downloaded=4 * MB + i * MB,
            uploaded=i * MB,
            flags="DU"[: 1 + i % 2] + ("I" if i % 3 == 0 else ""),
            connected_for=30.0 + 17 * i,
        )
        for i in range(snapshot.peers)
    )
    return TransferDetail(
        id=snapshot.id,
        piece_count=pieces,
        piece_length=piece_length,
        have=have.to_bytes(),
        in_flight=tuple(missing[:4]),
        availability=bytes(min(255, 1 + (i * 31) % 7) for i in range(pieces)),
        peers=peers,
        sources=(
            SourceSnapshot(
                kind="tracker",
                url="http://127.0.0.1:19710/announce",
                ok=True,
                message="9 players",
                peers=9,
                next_in=840.0,
            ),
            SourceSnapshot(
                kind="http",
                url="http://127.0.0.1:19710/files/pack.icpkg",
                ok=True,
                message="serving",
                downloaded=snapshot.from_http,
                rate_down=snapshot.rate_down // (snapshot.peers + 1),
            ),
        ),
        files=(
            FileSnapshot(path="manifest.yaml", size=2 * KB, done=2 * KB),
            FileSnapshot(path="maps/arena.map", size=snapshot.size - 2 * KB, done=max(0, snapshot.done - 2 * KB)),
        ),
    )
