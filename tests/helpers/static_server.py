"""A plain web server for files, with ranges and keep-alive, as mirrors are; and one that answers BEP 17."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Traffic:
    """What a server saw."""

    paths: list[str] = field(default_factory=list)
    """Of every GET, as it was written."""
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    sent: int = 0


@dataclass
class StaticServer:
    """A running one."""

    url: str
    """Ends with a slash."""
    traffic: Traffic


Script = Callable[[int, list[tuple[int, int]]], bytes]
"""BEP 17: the bytes of these ranges of a piece."""


@contextmanager
def static_server(
    root: Path, *, ranges: bool = True, script: Script | None = None, host: str = "127.0.0.1"
) -> Iterator[StaticServer]:
    """Serves what is below `root`; with `script` every path is one of BEP 17. Port 0 is the system's choice."""
    traffic = Traffic()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            traffic.connections += 1
            super().setup()

        def do_GET(self) -> None:
            traffic.paths.append(self.path)
            traffic.headers.append(dict(self.headers))
            if script is not None:
                self._answer(200, _script(script, urlsplit(self.path).query))
                return
            path = root.joinpath(*unquote(urlsplit(self.path).path).strip("/").split("/"))
            if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
                self._answer(404, b"nothing here")
                return
            size = path.stat().st_size
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if ranges else None
            if wanted is None:
                self._answer(200, path.read_bytes())
                return
            first, last = int(wanted[1]), min(int(wanted[2]), size - 1)
            if first >= size:
                self._answer(416, b"", ("Content-Range", f"bytes */{size}"))
                return
            with path.open("rb") as file:
                file.seek(first)
                self._answer(206, file.read(last - first + 1), ("Content-Range", f"bytes {first}-{last}/{size}"))

        def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            traffic.sent += len(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients hang up in the middle: that is their right."""

    server = Server((host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield StaticServer(f"http://{host}:{server.server_port}/", traffic)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _script(script: Script, query: str) -> bytes:
    fields = parse_qs(query, encoding="latin-1")
    spans = [tuple(map(int, part.split("-"))) for part in fields["ranges"][0].split(",")]
    return script(int(fields["piece"][0]), [(first, last) for first, last in spans])
