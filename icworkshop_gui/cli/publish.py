"""`icworkshop pack|publish`: from a modder's folder to a package, and on to a Workshop server."""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from icworkshop_gui.cli.engine import Interrupted
from icworkshop_gui.cli.output import Output, safe, size_text
from icworkshop_gui.cli.torrent import source_files
from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import Conflict, FormatError, IntegrityError, RegistryError, UserError
from icworkshop_gui.engine.settings_file import Settings
from icworkshop_gui.formats.header import HEADER_SIZE, parse_header
from icworkshop_gui.formats.icpkg import BuiltPackage, PackageFile, write_package
from icworkshop_gui.formats.manifest import MANIFEST_PATH, Manifest
from icworkshop_gui.registry.publish import publish as send
from icworkshop_gui.registry.schema import PublishResult
from icworkshop_gui.store.paths import data_dir

MANIFEST_MAX = 4 * 1024 * 1024
"""Bytes of a manifest that are read."""
TOKEN_VARIABLE = "IC_WORKSHOP_TOKEN"

_ADVICE = {
    "unauthorised": "The server does not know this token, or it has expired. Its operator makes a new one.",
    "forbidden_scope": "This token may not publish this package: it belongs to another publisher, or only reads.",
    "dependency_missing": "A package that this one needs is not on the server. Publish that one first.",
    "rate_limited": "The server has had enough for the moment. Try again later.",
    "draining": "The server is about to stop. Try again in a minute.",
    "storage_full": "The server has no room. Its operator must make some.",
    "too_large": "The server takes no packages of this size.",
}
"""What to do, by the code of the server's error body."""
_INTEGRITY = ("hash_mismatch", "manifest_mismatch")


# --- pack ----------------------------------------------------------------------------------------


class Packed(NamedTuple):
    manifest: Manifest
    files: int
    built: BuiltPackage


def pack(arguments: argparse.Namespace, output: Output) -> int:
    folder = Path(arguments.folder)
    manifest = _manifest_of(folder)
    target = Path(arguments.output or manifest.ref.file_name)
    packed = _pack(folder, manifest, target, output)
    digest = packed.built.sha256
    output.object(
        event="done", file=str(target), id=str(manifest.ref), size=packed.built.size, files=packed.files, sha256=digest
    )
    output.line(f"{target}: {manifest.ref}, {packed.files} files, {size_text(packed.built.size)}")
    output.line(f"SHA-256 {digest}")
    return 0


def _manifest_of(folder: Path) -> Manifest:
    path = folder / MANIFEST_PATH
    try:
        with path.open("rb") as file:
            return Manifest.parse(file.read(MANIFEST_MAX))
    except FileNotFoundError:
        raise UserError(
            f"{folder} has no {MANIFEST_PATH}. It names the package: publisher, name, version, license; "
            "the README shows one."
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except FormatError as error:
        raise UserError(f"{path}: {error}") from None


def _pack(folder: Path, manifest: Manifest, target: Path, output: Output) -> Packed:
    """Write the package of a folder; all of it or nothing."""
    files = [
        PackageFile("/".join(path), size, opened)
        for path, size, opened in source_files(folder)
        if path != (MANIFEST_PATH,) and not any(part.startswith(".") for part in path)
    ]
    temporary = target.with_name(target.name + ".part")
    try:
        with temporary.open("wb") as out:
            built = write_package(out, manifest, files, functools.partial(output.step, "packing"))
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)
    return Packed(manifest, len(files), built)


# --- publish -------------------------------------------------------------------------------------


def publish(arguments: argparse.Namespace, output: Output) -> int:
    source = _one_source(arguments)
    token = arguments.token or os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise UserError(
            f"Publishing needs a token: --token, or the variable {TOKEN_VARIABLE}. "
            "The server's operator makes one with `icworkshop-server token create`."
        )
    path = Path(arguments.package)
    with tempfile.TemporaryDirectory(prefix="icworkshop-publish-") as scratch:
        if path.is_dir():
            manifest = _manifest_of(path)
            package = Path(scratch, manifest.ref.file_name)
            _pack(path, manifest, package, output)
            ref = manifest.ref
        else:
            package, ref = path, _ref_of(path)
        try:
            result = asyncio.run(_send(source, package, token, output))
        except RegistryError as error:
            raise _explained(error, ref, source) from None
        except OSError as error:
            raise UserError(f"{error.filename or package} cannot be read: {error.strerror}.") from None
    release = result.release
    output.object(
        event="done", id=str(release.ref.package), version=release.ref.version, source=source, size=release.size,
        sha256=release.sha256, info_hash=release.info_hash, warnings=list(result.warnings),
    )  # fmt: skip
    for warning in result.warnings:
        output.note(f"warning: {safe(warning)}")
    output.line(f"{release.ref} is published at {source}, {size_text(release.size)}")
    output.line(f"SHA-256 {safe(release.sha256)}")
    return 0


def _one_source(arguments: argparse.Namespace) -> str:
    sources = arguments.source or Settings(data_dir(arguments.data_dir) / "settings.toml").sources
    if len(sources) != 1:
        raise UserError("Name the one server to publish to: --source https://workshop.example")
    return str(sources[0]).rstrip("/")


def _ref_of(path: Path) -> PackageRef:
    """What a package calls itself; a file that is none is refused before a byte of it is sent."""
    try:
        with path.open("rb") as file:
            return parse_header(file.read(HEADER_SIZE)).manifest.ref
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except FormatError as error:
        raise FormatError(f"{path} is no package: {error}") from None


async def _send(source: str, package: Path, token: str, output: Output) -> PublishResult:
    """Interrupted when a signal comes first; nothing is published then."""
    task = asyncio.current_task()
    assert task is not None
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        except (NotImplementedError, RuntimeError, ValueError):
            pass  # Windows, or not the main thread: Ctrl+C arrives as KeyboardInterrupt
    try:
        return await send(source, package, token, output.step)
    except asyncio.CancelledError:
        if caught:
            raise Interrupted(caught[0]) from None
        raise


def _explained(error: RegistryError, ref: PackageRef, source: str) -> Exception:
    """The server's refusal as the error whose exit code fits, with its own words behind ours."""
    said = f" The server says: {error.untrusted_text}" if error.untrusted_text else ""
    if error.code == "version_exists":
        return Conflict(f"{ref} is published at {source} already, and a version never changes. Take a new number.")
    if error.code in _INTEGRITY:
        return IntegrityError(f"{ref} contradicts itself, so it is not published. Pack it again.{said}")
    return UserError(f"{_ADVICE.get(error.code, error.message[:1].upper() + error.message[1:] + '.')}{said}")


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("pack", parents=common[:1], help="make a package of a folder with a manifest.yaml")
    verb.add_argument("folder", metavar="DIR")
    verb.add_argument("-o", "--output", metavar="FILE", help="default: PUBLISHER-NAME-VERSION.icpkg here")
    verb.set_defaults(run=pack)

    verb = verbs.add_parser("publish", parents=common, help="send a package to a Workshop server")
    verb.add_argument("package", metavar="FILE|DIR", help="a .icpkg, or a folder that is packed first")
    verb.add_argument("--token", help=f"better: the variable {TOKEN_VARIABLE}, which other users cannot see")
    verb.set_defaults(run=publish)
