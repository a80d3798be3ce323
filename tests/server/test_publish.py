"""Publishing: what is accepted comes back byte for byte, and each check refuses what it is there for."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from icworkshop_gui.core.catalog import PackageId, PackageRef
from icworkshop_gui.core.errors import RegistryError
from icworkshop_gui.formats import zipformat
from icworkshop_gui.formats.archive import RATIO_FREE_SIZE
from icworkshop_gui.formats.manifest import Manifest
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.skeleton import Skeleton
from icworkshop_gui.registry.publish import publish as upload
from icworkshop_gui.server.checks import check_license
from icworkshop_gui.server.tokens import Scope
from tests.helpers.builders import (
    SAMPLE_FILES,
    Raw,
    built,
    content,
    deflate,
    files_of,
    foreign_package,
    header_block,
    manifest,
    needs,
    package,
    raw_zip,
)
from tests.server.workshop import FakeSeed, release, run, shelve, workshop

BIG = 6_000_000


def png(width: int = 64, height: int = 64, extra: bytes = b"") -> bytes:
    """A real little picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_an_accepted_package_is_there_byte_for_byte(tmp_path: Path) -> None:
    files = {**SAMPLE_FILES, "preview.png": png(), "CHANGELOG.md": b"## 1.2.0\n"}
    raw, report = built(files, tags=("noise",), summary="Bang")

    async def work() -> None:
        async with workshop(tmp_path) as running:
            status, answer = await running.publish(raw)
            assert status == 201, answer
            assert answer["release"]["sha256"] == report.sha256 == hashlib.sha256(raw).hexdigest()
            assert answer["release"]["info_hash"] == ""  # far below the size of a swarm
            base = "/api/v1/packages/alice/tank-sounds/1.2.0"
            assert (await running.get(f"{base}.icpkg"))[1] == raw
            assert (await running.get(f"{base}/preview.png"))[1] == files["preview.png"]
            assert Skeleton.decode((await running.get(f"{base}/skeleton"))[1]) == report.skeleton
            assert Manifest.parse((await running.get(f"{base}/manifest"))[1]) == report.manifest
            status, torrent, _ = await running.get(f"{base}.torrent")
            assert (status, Metainfo.parse(torrent).trackers) == (200, ()), "piece hashes for HTTP, but no swarm"
            detail = json.loads((await running.get(base))[1])
            assert detail["readme"] == "# Tank sounds\n"
            assert detail["changelog"] == "## 1.2.0\n"
            assert {item["path"] for item in detail["release"]["files"]} == set(files)
            found = json.loads((await running.get("/api/v1/search?q=tank"))[1])
            assert [row["name"] for row in found["items"]] == ["tank-sounds"]
            place = tmp_path / "data/packages/alice/tank-sounds/alice-tank-sounds-1.2.0.icpkg"
            assert place.read_bytes() == raw
            assert not list((tmp_path / "data/incoming").iterdir())

    run(work)


@pytest.mark.logs
def test_a_large_package_has_a_torrent_and_is_seeded_at_once_and_after_a_restart(tmp_path: Path) -> None:
    raw, report = built({"assets/big.bin": content(BIG)})

    async def work() -> None:
        seed = FakeSeed()
        mirrors = ("https://cdn.example/all", "http://mirror.example/")
        async with workshop(tmp_path, seed, mirrors=mirrors) as running:
            _, answer = await running.publish(raw)
            base = "/api/v1/packages/alice/tank-sounds/1.2.0"
            _, torrent, _ = await running.get(f"{base}.torrent")
            metainfo = Metainfo.parse(torrent)
            assert metainfo.info_hash is not None
            assert metainfo.info_hash_v2 is None, "a hybrid is more than stock clients take"
            assert str(metainfo.info_hash) == answer["release"]["info_hash"]
            assert metainfo.name == "alice-tank-sounds-1.2.0.icpkg"
            assert metainfo.geometry.piece_length == 256 * 1024
            assert all(metainfo.piece_matches(i, raw[i << 18 : (i + 1) << 18]) for i in range(metainfo.piece_count))
            url = running.ready.url
            assert metainfo.trackers == (
                (f"{url}/announce",),
                (f"udp://127.0.0.1:{running.ready.udp_port}/announce",),
            )
            assert metainfo.web_seeds[1:] == ("https://cdn.example/all/", "http://mirror.example/")
            assert (await running.get(metainfo.web_seeds[0]))[1] == raw
            assert [Metainfo.parse(command.metainfo).info_hash for command in seed.torrents] == [metainfo.info_hash]
            added = seed.torrents[0]
            assert (added.seed_only, added.trust_existing) == (True, True)
            assert (added.folder / metainfo.name).read_bytes() == raw
            await asyncio.sleep(0)
            assert running.server.tracker.counts(bytes(metainfo.info_hash)) == (1, 0)
            found = json.loads((await running.get("/api/v1/search"))[1])
            assert found["items"][0]["seeders"] == 1
        assert seed.closed
        again = FakeSeed()
        async with workshop(tmp_path, again):
            assert [command.trust_existing for command in again.torrents] == [True]
        assert report.size == len(raw)
        # bytes that changed behind our back are read again, a file of another size is not shared at all
        place = tmp_path / "data/packages/alice/tank-sounds/alice-tank-sounds-1.2.0.icpkg"
        place.chmod(0o644)
        place.write_bytes(raw[:-1] + b"!")
        touched = FakeSeed()
        async with workshop(tmp_path, touched):
            assert [command.trust_existing for command in touched.torrents] == [False]
        place.write_bytes(raw[:-1])
        cut = FakeSeed()
        async with workshop(tmp_path, cut) as running:
            assert cut.torrents == []
            assert (await running.get("/api/v1/packages/alice/tank-sounds/1.2.0.icpkg"))[0] == 404

    run(work)


def test_a_version_is_published_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            token = running.token()
            assert (await running.publish(package(), token))[0] == 201
            other = package({"other.txt": b"other"})
            assert await _refused(running, other) == (409, "version_exists")
            assert await _refused(running, other, scope=Scope.ADMIN) == (409, "version_exists")
            assert (await running.publish(package(ref="alice/tank-sounds@1.2.1"), token))[0] == 201

    run(work)


def test_two_uploads_of_one_version_make_one_release(tmp_path: Path) -> None:
    packages = [package({"n.txt": bytes([i])}) for i in range(4)]

    async def work() -> None:
        async with workshop(tmp_path) as running:
            token = running.token()
            answers = await asyncio.gather(*(running.publish(raw, token) for raw in packages))
            assert sorted(status for status, _ in answers) == [201, 409, 409, 409]
            won = next(raw for raw, (status, _) in zip(packages, answers, strict=True) if status == 201)
            assert (await running.get("/api/v1/packages/alice/tank-sounds/1.2.0.icpkg"))[1] == won

    run(work)


async def _refused(running: Any, raw: bytes, scope: Scope = Scope.PUBLISH, publisher: str = "alice") -> tuple[int, str]:
    status, answer = await running.publish(raw, running.token(publisher, scope))
    assert answer["message"]
    assert not list(running.server.config.incoming.iterdir())
    return status, answer["code"]


def _lying_hash() -> bytes:
    told = manifest().with_files(files_of({"a.txt": b"what was promised"}))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.yaml", told.dump())
        archive.writestr("a.txt", b"what there really")
    return header_block(told.header_copy(4022)) + out.getvalue()


def _zip_with(name: bytes) -> bytes:
    told = manifest().dump()
    entries = [Raw(name=b"manifest.yaml", data=told), Raw(name=name, data=b"evil")]
    return header_block(told) + raw_zip(entries)


def _zip_of(*entries: Raw) -> bytes:
    told = manifest().with_files(files_of({"a.txt": b"x"}))
    full = told.dump()
    return header_block(told.header_copy(4022)) + raw_zip([Raw(name=b"manifest.yaml", data=full), *entries])


def _packed(data: bytes) -> Raw:
    return Raw(name=b"file.bin", data=data, method=zipformat.DEFLATED, packed=deflate(data))


def _yaml(text: bytes) -> bytes:
    return header_block(manifest().dump()) + raw_zip([Raw(name=b"manifest.yaml", data=text)])


def _without_license() -> bytes:
    return _yaml(b"package: {publisher: alice, name: tank-sounds, version: 1.2.0}\n")


WRONG = {
    "no package": (b"x" * 5000, 422, "format_error"),
    "short": (b"ICPK", 422, "format_error"),
    "empty": (b"", 422, "format_error"),
    "no archive": (header_block() + b"x" * 5000, 422, "archive_invalid"),
    "cut off": (package()[:-30], 422, "archive_invalid"),
    "zip slip": (_zip_with(b"../../evil"), 422, "archive_invalid"),
    "absolute path": (_zip_with(b"/etc/evil"), 422, "archive_invalid"),
    "drive": (_zip_with(b"C:evil"), 422, "archive_invalid"),
    "reserved name": (_zip_with(b"con.txt"), 422, "archive_invalid"),
    "bomb": (_zip_of(_packed(bytes(50 * RATIO_FREE_SIZE))), 422, "archive_invalid"),
    "names that differ in case": (_zip_of(Raw(name=b"a.txt"), Raw(name=b"A.TXT")), 422, "archive_invalid"),
    "a file inside a file": (_zip_of(Raw(name=b"a"), Raw(name=b"a/b")), 422, "archive_invalid"),
    "a file that is not listed": (_zip_of(Raw(name=b"more.txt", data=b"more")), 422, "manifest_mismatch"),
    "broken YAML": (_yaml(b"package: [unclosed"), 422, "manifest_invalid"),
    "no license": (_without_license(), 422, "license_missing"),
    "header of another": (
        header_block(manifest("alice/other@1.0.0").dump()) + package()[4096:],
        422,
        "manifest_mismatch",
    ),
    "header dependencies": (
        header_block(manifest(dependencies=(needs("bob/free"),)).dump()) + package()[4096:],
        422,
        "manifest_mismatch",
    ),
    "no file list": (_yaml(manifest().dump()), 422, "manifest_mismatch"),
    "hash of a file": (_lying_hash(), 422, "hash_mismatch"),
    "unknown licence": (package(license="Totally-Free-9"), 422, "license_invalid"),
    "hidden text": (package(title="safe\u202egpj.exe"), 422, "manifest_invalid"),
    "dependency missing": (package(dependencies=(needs("bob/absent"),)), 422, "dependency_missing"),
    "no such version": (package(dependencies=(needs("dune/spice", "^9"),)), 422, "dependency_missing"),
    "itself": (package(dependencies=(needs("alice/tank-sounds"),)), 422, "cycle"),
    "cycle": (package(dependencies=(needs("dune/spice", "*"),)), 422, "cycle"),
    "preview no PNG": (package({"preview.png": b"GIF89a" + bytes(50)}), 422, "preview_invalid"),
    "preview too wide": (package({"preview.png": png(513, 8)}), 422, "preview_invalid"),
    "preview too long": (package({"preview.png": png() + bytes(1 << 20)}), 422, "preview_invalid"),
    "README too long": (package({"README.md": b"a" * 300_000}), 413, "too_large"),
    "address as version": (package(ref="alice/tank-sounds@1.0.0-x.torrent"), 422, "manifest_invalid"),
    "too large": (package({"big.bin": content(2_100_000)}), 413, "too_large"),
    "of another": (package(ref="bob/map@1.0.0"), 403, "forbidden_scope"),
    "looks like another": (package(ref="alice/sp1ce@1.0.0"), 422, "name_too_similar"),
}


def test_each_check_refuses_what_it_is_there_for(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path, max_package_size=2_000_000) as running:
            shelve(
                running.server.catalog,
                release("dune/spice@1.0.0", dependencies=(needs("dune/worm"),)),
                release("dune/worm@1.0.0", dependencies=(needs("alice/tank-sounds"),)),
            )
            for case, (raw, status, code) in WRONG.items():
                assert await _refused(running, raw) == (status, code), case
            assert running.server.catalog.totals()[0] == 2

    run(work)


def test_similar_names(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            shelve(running.server.catalog, release("dune/desert-map@1.0.0", category="maps", downloads=500))
            raw = package(ref="a1ice/new@1.0.0")
            shelve(running.server.catalog, release("alice/first@1.0.0"))
            assert await _refused(running, raw, publisher="a1ice") == (422, "name_too_similar")
            status, answer = await running.publish(package(ref="alice/desert-mop@1.0.0", category="maps"))
            assert status == 201
            assert answer["warnings"] == ["the name is close to dune/desert-map, which many people have"]
            status, answer = await running.publish(package(ref="alice/desert-map@1.0.0"))
            assert answer["warnings"] == ["dune/desert-map has the same name"]

    run(work)


def test_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def work() -> None:
        async with workshop(tmp_path) as running:
            raw = package()
            tokens = running.server.tokens
            assert (await running.publish(raw, "nonsense"))[1]["code"] == "unauthorised"
            assert await _refused(running, raw, Scope.READONLY) == (403, "forbidden_scope")
            number, revoked = tokens.create("alice")
            tokens.revoke(number)
            assert (await running.publish(raw, revoked))[0] == 401
            _, expired = tokens.create("alice", seconds=-1)
            assert (await running.publish(raw, expired))[0] == 401
            file = tmp_path / "tokens"
            file.write_text(f"# for the build\nalice publish {'t' * 30}\n")
            assert tokens.take_in(file) == 1
            assert (await running.publish(raw, "t" * 30))[0] == 201
            database = (tmp_path / "data/catalog.db").read_bytes() + (tmp_path / "data/catalog.db-wal").read_bytes()
            assert b"t" * 30 not in database
            assert revoked.encode() not in database
            assert "published" in caplog.text
            for secret in ("t" * 30, revoked, expired, "nonsense"):
                assert secret not in caplog.text
            statuses = [(await running.publish(raw, f"guess{i}"))[0] for i in range(15)]
            assert statuses[-1] == 429

    run(work)


def test_a_multipart_form_publishes_too(tmp_path: Path) -> None:
    raw = package()

    def form(body: bytes, disposition: bytes = b'form-data; name="package"; filename="a.icpkg"') -> bytes:
        parts = b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        return parts + b"--edge\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + body + b"\r\n--edge--\r\n"

    async def work() -> None:
        async with workshop(tmp_path) as running:
            kind = {"Content-Type": "multipart/form-data; boundary=edge"}
            assert (await running.publish(form(raw, b'form-data; name="package"'), **kind))[1]["code"] == "bad_request"
            assert (await running.publish(form(raw)[:-20], **kind))[0] in (400, 422)
            assert (await running.publish(b"--nothing", **kind))[1]["code"] == "bad_request"
            assert (await running.publish(form(raw), **kind))[0] == 201
            assert (await running.get("/api/v1/packages/alice/tank-sounds/1.2.0.icpkg"))[1] == raw

    run(work)


def test_the_upload_tells_what_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.icpkg"
    path.write_bytes(package())

    async def work() -> None:
        told: list[tuple[str, int, int]] = []
        async with workshop(tmp_path) as running:
            with pytest.raises(RegistryError) as caught:
                await upload(running.ready.url, path, "wrong")
            assert caught.value.code == "unauthorised"
            result = await upload(running.ready.url, path, running.token(), lambda *line: told.append(line))
            assert str(result.release.ref) == "alice/tank-sounds@1.2.0"
            assert ("upload", path.stat().st_size, path.stat().st_size) in told
            assert {name for name, _, _ in told} >= {"structure", "hash", "files", "dependencies", "publish"}
            with pytest.raises(RegistryError) as caught:
                await upload(running.ready.url, path, running.token())
            assert caught.value.code == "version_exists"
            bad = tmp_path / "bad.icpkg"
            bad.write_bytes(_lying_hash())
            with pytest.raises(RegistryError) as caught:
                await upload(running.ready.url, bad, running.token("alice"))
            assert caught.value.code in ("hash_mismatch", "version_exists")
        with pytest.raises(RegistryError) as caught:
            await upload(running.ready.url, path, "any")
        assert caught.value.code == "unreachable"

    run(work)


def test_a_refusal_reaches_a_sender_who_is_not_done(tmp_path: Path) -> None:
    path = tmp_path / "big.icpkg"
    path.write_bytes(package(ref="bob/big@1.0.0")[:4096] + bytes(30_000_000))

    async def work() -> None:
        async with workshop(tmp_path) as running:
            with pytest.raises(RegistryError) as caught:
                await upload(running.ready.url, path, running.token("alice"))
            assert caught.value.code == "forbidden_scope"

    run(work)


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            _, writer = await asyncio.open_connection("127.0.0.1", running.ready.port)
            head = f"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.token()}\r\n"
            writer.write(head.encode() + b"Content-Length: 100000\r\n\r\n" + package()[:9000])
            await writer.drain()
            incoming = running.server.config.incoming
            while not list(incoming.iterdir()):  # noqa: ASYNC110 (a folder sets no event)
                await asyncio.sleep(0.01)
            writer.close()
            while list(incoming.iterdir()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert running.server.catalog.versions(PackageId("alice", "tank-sounds")) == ()

    run(work)


def test_leftovers_of_a_crash_are_swept_and_do_not_stand_in_the_way(tmp_path: Path) -> None:
    ref = PackageRef("alice", "tank-sounds", "1.2.0")
    incoming = tmp_path / "data/incoming"
    incoming.mkdir(parents=True)
    (incoming / "half.part").write_bytes(b"half")
    orphan = tmp_path / "data/packages/alice/tank-sounds" / ref.file_name
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"moved, but the power went before it counted")

    async def work() -> None:
        async with workshop(tmp_path) as running:
            assert not list(incoming.iterdir())
            assert (await running.get("/api/v1/packages/alice/tank-sounds/1.2.0.icpkg"))[0] == 404
            assert (await running.publish(package()))[0] == 201
            assert orphan.read_bytes() == package()

    run(work)


def test_packages_of_other_programs_are_taken_too(tmp_path: Path) -> None:
    async def work() -> None:
        async with workshop(tmp_path) as running:
            status, answer = await running.publish(foreign_package())
            assert status == 201, answer

    run(work)


@pytest.mark.parametrize(
    "good", ["MIT", "GPL-3.0-or-later WITH Classpath-exception-2.0", "(MIT OR CC0-1.0)", "LicenseRef-mine"]
)
def test_licences_that_exist(good: str) -> None:
    check_license(good)


@pytest.mark.parametrize("bad", ["Foo", "MIT AND", "MIT WITH Nothing-1.0", "((((MIT", "mine"])
def test_licences_that_do_not(bad: str) -> None:
    with pytest.raises(RegistryError) as caught:
        check_license(bad)
    assert caught.value.code == "license_invalid"
