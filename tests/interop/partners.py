"""Programs that we did not write, each behind the same five verbs: seed, leech, connect, wait_complete, stop.

A partner that is absent says why in `missing()`, and its tests are skipped with that reason.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.helpers.ports import free_port


class Partner(ABC):
    """One program, one torrent, on loopback only."""

    name = ""
    takes_loopback_from_tracker = True
    """Transmission refuses peers on 127.0.0.1 that a tracker names; then we must dial it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.port = free_port()
        work.mkdir(parents=True, exist_ok=True)

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """Why it cannot run here; empty when it can."""

    @abstractmethod
    def seed(self, torrent: Path, folder: Path) -> None:
        """Share what lies complete in `folder`; returns once it does."""

    @abstractmethod
    def leech(self, torrent: Path | str, folder: Path) -> None:
        """Fetch; a text is a magnet link."""

    def connect(self, port: int) -> None:  # noqa: B027  # most programs have no way
        """Tell it of a peer on loopback. Where that cannot be, the tracker does it."""

    @abstractmethod
    def done(self) -> bool: ...

    @abstractmethod
    def uploaded(self) -> int:
        """Bytes of payload given to others so far."""

    def wait_complete(self, timeout: float = 60.0) -> None:
        end = time.monotonic() + timeout
        while not self.done():
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} did not complete within {timeout} s")
            time.sleep(0.1)

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Partner:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


ALERTS_OF_STORAGE = 8
"""Of libtorrent's alert categories."""


class Libtorrent(Partner):
    """In-process through its Python binding."""

    name = "libtorrent"
    _session: Any = None
    _handle: Any = None

    @classmethod
    def missing(cls) -> str:
        return "" if find_spec("libtorrent") else "libtorrent (PyPI) is not installed"

    def _start(self, torrent: Path | str, folder: Path, *, is_seed: bool) -> None:
        import libtorrent as lt

        self._session = lt.session(
            {
                "listen_interfaces": f"127.0.0.1:{self.port}",
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "enable_outgoing_utp": False,
                "enable_incoming_utp": False,
                "allow_multiple_connections_per_ip": True,
                "alert_mask": 0,
                "stop_tracker_timeout": 1,
                # Its cache of connection ids is the process's, by address alone: the next tracker on this one
                # would be sent ids that it never gave.
                "udp_tracker_token_expiry": 0,
            }
        )
        if isinstance(torrent, str):
            parameters = lt.parse_magnet_uri(torrent)
        else:
            parameters = lt.add_torrent_params()
            parameters.ti = lt.torrent_info(str(torrent))
        parameters.save_path = str(folder)
        if is_seed:
            parameters.flags |= lt.torrent_flags.seed_mode
        self._handle = self._session.add_torrent(parameters)

    def seed(self, torrent: Path, folder: Path) -> None:
        self._start(torrent, folder, is_seed=True)

    def leech(self, torrent: Path | str, folder: Path) -> None:
        self._start(torrent, folder, is_seed=False)

    def connect(self, port: int) -> None:
        self._handle.connect_peer(("127.0.0.1", port))

    def done(self) -> bool:
        return bool(self._handle.status().is_seeding)

    def uploaded(self) -> int:
        return int(self._handle.status().total_payload_upload)

    def wait_complete(self, timeout: float = 60.0) -> None:
        super().wait_complete(timeout)
        # Complete is not yet on the disk: pieces wait in its write queue.
        while self._session.pop_alerts():
            pass
        self._session.apply_settings({"alert_mask": ALERTS_OF_STORAGE})
        self._handle.flush_cache()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self._session.wait_for_alert(200)
            if any(alert.what() == "cache_flushed" for alert in self._session.pop_alerts()):
                return
        raise AssertionError("libtorrent did not write what it had")

    def stop(self) -> None:
        self._handle = None
        self._session = None


class _Daemon(Partner):
    """A child process."""

    program = ""
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which(cls.program) else f"{cls.program} (Debian) is not installed"

    def _spawn(self, *arguments: str) -> None:
        with (self.work / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.work,
                env={"HOME": str(self.work), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            )

    def _until(self, works: Any, timeout: float = 20.0) -> Any:
        end = time.monotonic() + timeout
        while True:
            try:
                return works()
            except (OSError, urllib.error.URLError, ValueError):
                if time.monotonic() > end or self.process is None or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class Aria2(_Daemon):
    name = "aria2"
    program = "aria2c"

    def _start(self, torrent: Path | str, folder: Path, *extra: str) -> None:
        self._rpc_port = free_port()
        self._spawn(
            f"--dir={folder}", f"--listen-port={self.port}", "--enable-dht=false", "--enable-dht6=false",
            "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--seed-ratio=0.0", "--enable-rpc=true",
            f"--rpc-listen-port={self._rpc_port}", "--rpc-listen-all=false", "--file-allocation=none",
            "--bt-tracker-interval=1", "--max-overall-upload-limit=0", *extra, str(torrent),
        )  # fmt: skip
        self._until(self._status)

    def seed(self, torrent: Path, folder: Path) -> None:
        self._start(torrent, folder, "--check-integrity=true")
        self.wait_complete()

    def leech(self, torrent: Path | str, folder: Path) -> None:
        self._start(torrent, folder)

    def _status(self) -> list[dict[str, str]]:
        body = json.dumps({"jsonrpc": "2.0", "id": "1", "method": "aria2.tellActive"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._rpc_port}/jsonrpc", body)
        with urllib.request.urlopen(request, timeout=5) as reply:
            result: list[dict[str, str]] = json.load(reply)["result"]
            return result

    def done(self) -> bool:
        rows = self._status()
        return bool(rows) and rows[0]["completedLength"] == rows[0]["totalLength"] and rows[0].get("seeder") == "true"

    def uploaded(self) -> int:
        return int(self._status()[0]["uploadLength"])


class Transmission(_Daemon):
    name = "transmission"
    program = "transmission-daemon"
    takes_loopback_from_tracker = False

    def _start(self, torrent: Path | str, folder: Path) -> None:
        self._rpc_port = free_port()
        self._session_id = ""
        settings = {
            "rpc-enabled": True, "rpc-port": self._rpc_port, "rpc-bind-address": "127.0.0.1",
            "rpc-authentication-required": False, "rpc-whitelist-enabled": False, "peer-port": self.port,
            "bind-address-ipv4": "127.0.0.1", "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False,
            "utp-enabled": False, "port-forwarding-enabled": False, "download-dir": str(folder), "encryption": 0,
            "ratio-limit-enabled": False, "speed-limit-up-enabled": False, "speed-limit-down-enabled": False,
        }  # fmt: skip
        (self.work / "settings.json").write_text(json.dumps(settings))
        self._spawn("--foreground", "--config-dir", str(self.work))
        self._until(lambda: self._call("session-get"))
        self._call("torrent-add", filename=str(torrent), **{"download-dir": str(folder)})

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._rpc_port}/transmission/rpc",
            json.dumps({"method": method, "arguments": arguments}).encode(),
            {"X-Transmission-Session-Id": self._session_id},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                result: dict[str, Any] = json.load(reply)["arguments"]
                return result
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 409:
                    raise
                self._session_id = error.headers["X-Transmission-Session-Id"]
            return self._call(method, **arguments)

    def seed(self, torrent: Path, folder: Path) -> None:
        self._start(torrent, folder)
        self._call("torrent-verify", ids=[1])
        self.wait_complete()

    def leech(self, torrent: Path | str, folder: Path) -> None:
        self._start(torrent, folder)

    def done(self) -> bool:
        rows = self._call("torrent-get", ids=[1], fields=["percentDone", "status"])["torrents"]
        return bool(rows) and rows[0]["percentDone"] == 1 and rows[0]["status"] == 6

    def uploaded(self) -> int:
        return int(self._call("torrent-get", ids=[1], fields=["uploadedEver"])["torrents"][0]["uploadedEver"])


class QBittorrent(_Daemon):
    name = "qbittorrent"
    program = "qbittorrent-nox"

    def _start(self, torrent: Path | str, folder: Path, *, is_seed: bool) -> None:
        self._web_port = free_port()
        config = self.work / "qBittorrent" / "config" / "qBittorrent.conf"
        config.parent.mkdir(parents=True)
        config.write_text(
            "[LegalNotice]\nAccepted=true\n\n[BitTorrent]\n"
            f"Session\\Port={self.port}\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\n"
            "Session\\PeXEnabled=false\nSession\\Interface=lo\nSession\\InterfaceName=lo\n"
            "Session\\BTProtocol=TCP\nSession\\MultiConnectionsPerIp=true\nSession\\SSRFMitigation=false\n\n"
            f"[Preferences]\nWebUI\\Port={self._web_port}\nWebUI\\Address=127.0.0.1\nWebUI\\LocalHostAuth=false\n"
            "WebUI\\CSRFProtection=false\n"
        )
        self._spawn(f"--profile={self.work}")
        self._until(lambda: self._get("app/version"))
        boundary = "----tests"
        parts = {"savepath": str(folder), "skip_checking": "true" if is_seed else "false", "root_folder": "true"}
        body = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in parts.items()
        )
        if isinstance(torrent, str):
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="urls"\r\n\r\n{torrent}'.encode()
        else:
            body += (
                f'--{boundary}\r\nContent-Disposition: form-data; name="torrents"; filename="x.torrent"\r\n'
                "Content-Type: application/x-bittorrent\r\n\r\n"
            ).encode() + torrent.read_bytes()
        body += f"\r\n--{boundary}--\r\n".encode()
        self._get("torrents/add", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        self._until(self._hash)

    def _get(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self._web_port}/api/v2/{path}", body, headers or {})
        with urllib.request.urlopen(request, timeout=5) as reply:
            data: bytes = reply.read()
            return data

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self._get("torrents/info"))
        return rows

    def _hash(self) -> str:
        rows = self._rows()
        if not rows:
            raise ValueError("not added yet")
        return str(rows[0]["hash"])

    def seed(self, torrent: Path, folder: Path) -> None:
        self._start(torrent, folder, is_seed=True)
        self.wait_complete()

    def leech(self, torrent: Path | str, folder: Path) -> None:
        self._start(torrent, folder, is_seed=False)

    def connect(self, port: int) -> None:
        body = urllib.parse.urlencode({"hashes": self._hash(), "peers": f"127.0.0.1:{port}"}).encode()
        self._get("torrents/addPeers", body)

    def done(self) -> bool:
        rows = self._rows()
        return bool(rows) and rows[0]["progress"] == 1 and rows[0]["state"] in ("uploading", "stalledUP", "forcedUP")

    def uploaded(self) -> int:
        return int(self._rows()[0]["uploaded"])


PARTNERS: tuple[type[Partner], ...] = (Libtorrent, Aria2, Transmission, QBittorrent)
