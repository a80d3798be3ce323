"""`icworkshop torrent …`: any torrent, from and to plain folders."""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from icworkshop_gui import __version__
from icworkshop_gui.cli.engine import COMPLETE, Interrupted, Shell, shell
from icworkshop_gui.cli.output import Output, safe, size_text
from icworkshop_gui.core.address import Endpoint
from icworkshop_gui.core.errors import FormatError, IntegrityError, UserError
from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.engine.api.commands import AddMagnet, AddPeers, AddTorrent, AddWebSeeds
from icworkshop_gui.engine.api.settings import parse_rate
from icworkshop_gui.engine.api.snapshots import TransferState
from icworkshop_gui.engine.content import is_local_url
from icworkshop_gui.engine.torrents import torrent_bytes
from icworkshop_gui.formats.create import SourceFile, TorrentVersion, create_torrent
from icworkshop_gui.formats.magnet import Magnet
from icworkshop_gui.formats.metainfo import Metainfo
from icworkshop_gui.formats.urls import is_web_seed_url
from icworkshop_gui.store.paths import data_dir

# --- show ----------------------------------------------------------------------------------------


def show(arguments: argparse.Namespace, output: Output) -> int:
    if is_magnet(arguments.source):
        facts = _magnet_facts(Magnet.parse(arguments.source))
    else:
        facts = _torrent_facts(Metainfo.parse(torrent_bytes(Path(arguments.source))))
    output.object(**facts)
    for label, key in (("Name", "name"), ("Info-hash v1", "v1"), ("Info-hash v2", "v2")):
        if facts.get(key):
            output.line(f"{label:14}{safe(str(facts[key]))}")
    if facts.get("total_size") is not None:
        output.line(f"{'Size':14}{size_text(facts['total_size'])} ({facts['total_size']} bytes)")
        output.line(f"{'Pieces':14}{facts['piece_count']} of {facts['piece_length']} bytes")
    if facts.get("private"):
        output.line(f"{'Private':14}yes")
    for label, key in (
        ("Tracker", "trackers"),
        ("Web seed", "web_seeds"),
        ("HTTP seed", "http_seeds"),
        ("Peer", "peers"),
    ):
        for url in facts.get(key, ()):
            output.line(f"{label:14}{safe(url)}")
    for file in facts.get("files", ()):
        output.line(f"{file['size']:>14}  {safe(file['path'])}")
    return 0


def _torrent_facts(meta: Metainfo) -> dict[str, Any]:
    return {
        "name": meta.name,
        "v1": meta.info_hash.hex() if meta.info_hash else None,
        "v2": meta.info_hash_v2.hex() if meta.info_hash_v2 else None,
        "piece_length": meta.piece_length,
        "piece_count": meta.piece_count,
        "total_size": meta.total_size,
        "files": [{"path": "/".join(file.path), "size": file.size} for file in meta.files if not file.is_pad],
        "trackers": [url for tier in meta.trackers for url in tier],
        "web_seeds": list(meta.web_seeds),
        "http_seeds": list(meta.http_seeds),
        "private": meta.private,
        "comment": meta.comment,
        "created_by": meta.created_by,
    }


def _magnet_facts(magnet: Magnet) -> dict[str, Any]:
    return {
        "name": magnet.name or None,
        "v1": magnet.info_hash.hex() if magnet.info_hash else None,
        "v2": magnet.info_hash_v2.hex() if magnet.info_hash_v2 else None,
        "piece_length": None,
        "total_size": None,
        "files": [],
        "trackers": list(magnet.trackers),
        "web_seeds": list(magnet.web_seeds),
        "http_seeds": [],
        "private": False,
        "peers": [str(peer) for peer in magnet.peers],
    }


# --- create --------------------------------------------------------------------------------------


def create(arguments: argparse.Namespace, output: Output) -> int:
    source = Path(arguments.path)
    files = source_files(source)
    version = TorrentVersion(arguments.version)

    try:
        data = create_torrent(
            source.resolve().name,
            files,
            version=version,
            piece_length=arguments.piece_length,
            private=arguments.private,
            trackers=[[url] for url in arguments.tracker],
            web_seeds=arguments.webseed,
            created_by=f"Iron Curtain Workshop {__version__}",
            progress=functools.partial(output.step, "hashing"),
        )
    except OSError as error:
        raise UserError(f"{error.filename or source} cannot be read: {error.strerror}.") from None
    write_atomically(Path(arguments.output), data)
    facts = _torrent_facts(Metainfo.parse(data))
    output.object(event="done", file=str(arguments.output), v1=facts["v1"], v2=facts["v2"])
    output.line(f"{arguments.output}: {facts['piece_count']} pieces, {size_text(facts['total_size'])}")
    for key in ("v1", "v2"):
        if facts[key]:
            output.line(f"info-hash {key}  {facts[key]}")
    return 0


def opener(path: Path) -> Callable[[], BinaryIO]:
    """Opens `path` for reading, each time anew."""
    return lambda: path.open("rb")


def source_files(source: Path) -> list[SourceFile]:
    """What a torrent or package of `source` (a file or a folder) contains; links are not followed."""
    if source.is_file():
        return [SourceFile((), source.stat().st_size, opener(source))]
    if not source.is_dir():
        raise UserError(f"There is no file or folder {source}.")
    files: list[SourceFile] = []
    for folder, folders, names in os.walk(source, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            parts = path.relative_to(source).parts
            files.append(SourceFile(parts, path.stat().st_size, opener(path)))
    if not files:
        raise UserError(f"{source} holds no files.")
    return files


def write_atomically(path: Path, data: bytes) -> None:
    """All of it or nothing; UserError when the disk refuses."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


# --- download and seed ---------------------------------------------------------------------------


def download(arguments: argparse.Namespace, output: Output) -> int:
    folder = Path(arguments.to).absolute()
    add: AddTorrent | AddMagnet
    if is_magnet(arguments.source):
        magnet = Magnet.parse(arguments.source)
        swarm_hash = magnet.swarm_hash
        add = AddMagnet(
            link=arguments.source,
            folder=folder,
            use_trackers=not arguments.no_trackers,
            peers=tuple(arguments.peer),
            web_seeds=tuple(arguments.webseed),
        )
        seeds: Sequence[str] = magnet.web_seeds
    else:
        data, meta = _usable(Path(arguments.source))
        swarm_hash = meta.swarm_hash
        add = _command(data, folder, arguments)
        seeds = (*meta.web_seeds, *meta.http_seeds)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    for url in () if arguments.no_webseeds else unasked_seeds(seeds, arguments.webseed):
        output.note(f"{url} is in your own network. It is asked only if you name it with --webseed.")
    key = hashlib.sha256(swarm_hash + os.fsencode(folder)).hexdigest()[:32]
    state = data_dir(arguments.data_dir) / "torrents" / key
    with shell(output, state, settings=_settings(arguments)) as engine:
        transfer = _resume_or_add(engine, add, arguments)
        try:
            engine.fetch(lambda: [transfer])
            final = engine.view.transfers[transfer]
            output.object(
                event="done", id=transfer, name=final.name, folder=str(folder), size=final.size,
                from_peers=final.from_peers, from_http=final.from_http, wasted=final.wasted, reused=final.reused,
            )  # fmt: skip
            output.line(f"{safe(final.name)}: all {size_text(final.size)} verified, in {folder}")
            if arguments.keep_seeding:
                engine.run(lambda: False)
        except Interrupted:
            if not arguments.keep_seeding or engine.view.transfers[transfer].state not in COMPLETE:
                raise
    shutil.rmtree(state, ignore_errors=True)
    return 0


def unasked_seeds(listed: Sequence[str], named: Sequence[str]) -> list[str]:
    """Web seeds that the torrent lists in this network: else it could make us ask any machine here for anything."""
    return [url for url in listed if is_local_url(url) and url not in named]


def is_magnet(source: str) -> bool:
    return source[:7].lower() == "magnet:"


def seed(arguments: argparse.Namespace, output: Output) -> int:
    data, meta = _usable(Path(arguments.source))
    folder = _folder_of(meta, Path(arguments.folder).absolute())
    with (
        tempfile.TemporaryDirectory(prefix="icworkshop-seed-") as state,
        shell(output, Path(state), settings=_settings(arguments)) as engine,
    ):
        transfer = engine.ask(_command(data, folder, arguments, seed_only=True))

        def settled() -> bool:
            snapshot = engine.view.transfers.get(transfer)
            return snapshot is not None and snapshot.state not in (TransferState.CHECKING, TransferState.QUEUED)

        engine.run(settled)
        snapshot = engine.view.transfers[transfer]
        if snapshot.done == 0:
            raise IntegrityError(f"Nothing in {folder} matches this torrent. Is it the right folder?")
        port = engine.view.totals.listen_port
        output.object(event="ready", id=transfer, name=snapshot.name, port=port, done=snapshot.done, size=snapshot.size)
        part = "" if snapshot.done == snapshot.size else f" ({size_text(snapshot.done)} of {size_text(snapshot.size)})"
        output.line(f"Sharing {safe(snapshot.name)}{part} on port {port}. Ctrl+C ends it.")
        try:
            engine.run(lambda: False)
        except Interrupted:
            return 0
    return 0


def _usable(path: Path) -> tuple[bytes, Metainfo]:
    data = torrent_bytes(path)
    meta = Metainfo.parse(data)
    if meta.info_hash is None:
        raise FormatError("This torrent is of version 2 only, which this release can show but not transfer.")
    return data, meta


def _resume_or_add(engine: Shell, add: AddTorrent | AddMagnet, arguments: argparse.Namespace) -> TransferId:
    """A download that was killed goes on where it was: its folder of state is its own."""
    for snapshot in engine.view.transfers.values():
        engine.ask(AddPeers(snapshot.id, tuple(arguments.peer)))
        engine.ask(AddWebSeeds(snapshot.id, tuple(arguments.webseed)))
        return snapshot.id
    return engine.ask(add)


def _command(data: bytes, folder: Path, arguments: argparse.Namespace, *, seed_only: bool = False) -> AddTorrent:
    return AddTorrent(
        metainfo=data,
        folder=folder,
        seed_only=seed_only,
        use_trackers=not arguments.no_trackers,
        peers=tuple(arguments.peer),
        web_seeds=tuple(getattr(arguments, "webseed", ())),
    )


def _settings(arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "workshop.p2p.listen_port": str(arguments.port),
        "workshop.p2p.max_download_speed": arguments.limit_down,
        "workshop.p2p.max_upload_speed": arguments.limit_up,
        "workshop.p2p.seed_after_download": "true" if getattr(arguments, "keep_seeding", True) else "false",
        "workshop.p2p.dht": "false" if arguments.no_dht else "true",
        "workshop.p2p.pex": "false" if arguments.no_pex else "true",
        "workshop.p2p.lsd": "false" if arguments.no_lsd else "true",
        "webseed.enabled": "false" if getattr(arguments, "no_webseeds", False) else "true",
        # A torrent of any size goes through its swarm: the size rule is for Workshop packages.
        "workshop.p2p.http_below": "0 B",
    }


def _folder_of(meta: Metainfo, folder: Path) -> Path:
    """The folder that contains the torrent's `name`; the content's own folder is understood too."""
    if (folder / meta.name).exists() or not (folder.is_dir() and folder.name == meta.name):
        return folder
    return folder.parent


# --- arguments -----------------------------------------------------------------------------------


def rate(text: str) -> str:
    try:
        parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def peer(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"not a port: {text!r}")
    return int(text)


def web_seed(text: str) -> str:
    if not is_web_seed_url(text):
        raise argparse.ArgumentTypeError(f"not an http or https address in ASCII: {text!r}")
    return text


def transports(text: str) -> str:
    unknown = set(text.split(",")) - {"tcp"}
    if unknown:
        raise argparse.ArgumentTypeError(f"this release speaks tcp only, not {', '.join(sorted(unknown))}")
    return text


def add_arguments(verbs: Any, common: Sequence[argparse.ArgumentParser]) -> None:
    """The `torrent` command and its verbs."""
    torrent = verbs.add_parser("torrent", help="any torrent, from and to plain folders")
    sub = torrent.add_subparsers(dest="torrent_verb", required=True, metavar="VERB")

    verb = sub.add_parser("show", parents=common, help="what a .torrent file or magnet link says")
    verb.add_argument("source", metavar="FILE|MAGNET")
    verb.set_defaults(run=show)

    verb = sub.add_parser("create", parents=common, help="make a .torrent file of a file or folder")
    verb.add_argument("path", metavar="PATH")
    verb.add_argument("-o", "--output", required=True, metavar="FILE")
    kind = verb.add_mutually_exclusive_group()
    for version in TorrentVersion:
        words = {"v1": "the default: every client takes it", "v2": "BEP 52", "hybrid": "both; some clients refuse it"}
        kind.add_argument(
            f"--{version.value}", dest="version", action="store_const", const=version.value, help=words[version.value]
        )
    verb.add_argument("--piece-length", type=int, metavar="N", help="bytes, a power of two from 16384 on")
    verb.add_argument("--tracker", action="append", default=[], metavar="URL")
    verb.add_argument("--webseed", type=web_seed, action="append", default=[], metavar="URL")
    verb.add_argument("--private", action="store_true")
    verb.set_defaults(run=create, version=TorrentVersion.V1.value)

    moving = argparse.ArgumentParser(add_help=False)
    moving.add_argument("--port", type=port, default=0, metavar="N", help="where peers reach us; 0: any free port")
    moving.add_argument("--peer", type=peer, action="append", default=[], metavar="HOST:PORT")
    moving.add_argument("--transport", type=transports, default="tcp", metavar="LIST", help="tcp")
    moving.add_argument("--no-dht", action="store_true", help="without the DHT, where strangers could see the torrent")
    moving.add_argument("--no-lsd", action="store_true", help="without asking the computers of this network")
    moving.add_argument("--no-pex", action="store_true", help="without names from other peers, and without naming them")
    moving.add_argument("--no-trackers", action="store_true")
    moving.add_argument("--limit-down", type=rate, default="unlimited", metavar="R", help="e.g. '500 kB/s'")
    moving.add_argument("--limit-up", type=rate, default="unlimited", metavar="R")

    verb = sub.add_parser("download", parents=[*common, moving], help="fetch, verify, end")
    verb.add_argument("source", metavar="FILE|MAGNET")
    verb.add_argument("--to", required=True, metavar="DIR")
    verb.add_argument("--keep-seeding", action="store_true", help="share until SIGTERM or Ctrl+C")
    verb.add_argument(
        "--webseed",
        type=web_seed,
        action="append",
        default=[],
        metavar="URL",
        help="a web server that has it too; in your own network only those are asked that you name here",
    )
    verb.add_argument("--no-webseeds", action="store_true", help="from other players only")
    verb.set_defaults(run=download)

    verb = sub.add_parser("seed", parents=[*common, moving], help="check and share until SIGTERM or Ctrl+C")
    verb.add_argument("source", metavar="FILE")
    verb.add_argument("folder", metavar="DIR")
    verb.set_defaults(run=seed)
