"""An HTTP tracker of fifty lines that gives everybody everyone: so that interop tests need no part of ours."""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_to_bytes, urlsplit

import bencodepy


def scraped(query: str) -> list[bytes]:
    """The info-hashes that a scrape asks for."""
    pairs = (part.partition("=") for part in query.split("&"))
    return [unquote_to_bytes(value) for key, _, value in pairs if key == "info_hash"]


class MiniTracker:
    """Compact answers (BEP 23) over HTTP on loopback, while a `with` lasts."""

    def __init__(self) -> None:
        self.swarms: dict[bytes, dict[tuple[str, int], None]] = {}
        self.events: list[str] = []
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/scrape":
                    self._reply({b"files": {key: tracker.counts(key) for key in scraped(url.query)}})
                    return
                fields = dict(part.partition("=")[::2] for part in url.query.split("&"))
                peer = (self.client_address[0], int(fields["port"]))
                swarm = tracker.swarms.setdefault(unquote_to_bytes(fields["info_hash"]), {})
                event = fields.get("event", "")
                tracker.events.append(event)
                others = [other for other in swarm if other != peer]
                if event == "stopped":
                    swarm.pop(peer, None)
                else:
                    swarm[peer] = None
                compact = b"".join(
                    ipaddress.IPv4Address(host).packed + port.to_bytes(2, "big") for host, port in others
                )
                self._reply({b"interval": 5, b"min interval": 1, b"peers": compact})

            def _reply(self, answer: dict[bytes, object]) -> None:
                body = bencodepy.encode(answer)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who says `stopped` does not wait for the answer
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def counts(self, info_hash: bytes) -> dict[bytes, int]:
        """What a scrape says (BEP 48). Who is complete nobody here keeps: all count as incomplete."""
        return {b"complete": 0, b"downloaded": 0, b"incomplete": len(self.swarms.get(info_hash, ()))}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/announce"

    def __enter__(self) -> MiniTracker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
