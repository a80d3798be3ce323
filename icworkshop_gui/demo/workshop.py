"""The demo's Workshop server: a child process that ends with us, and the way packages get onto it."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from pathlib import Path

import aiohttp

from icworkshop_gui.core.catalog import PackageRef
from icworkshop_gui.core.errors import RegistryError, UserError
from icworkshop_gui.formats.bencode import TORRENT_LIMITS
from icworkshop_gui.registry.publish import publish
from icworkshop_gui.registry.schema import API

UPLOAD = "6 MB/s"
"""Of its seed: slow enough that progress is something to look at."""
START_SECONDS = 60.0
END_SECONDS = 8.0


class Workshop:
    """`start`, use, `stop`. The server keeps its data in `folder`, and its port there as well as it can."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = secrets.token_urlsafe(32)
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """UserError when it does not come up; what it said stands on standard error."""
        self._folder.mkdir(parents=True, exist_ok=True)
        tokens = self._folder / "demo-token"
        tokens.touch(mode=0o600)
        tokens.write_text(f"demo admin {self._token}\n", encoding="utf-8")
        # What a kept demo has installed names the server by its address: it should be found there again.
        remembered = self._folder / "demo-port"
        ports = [remembered.read_text("utf-8").strip()] if remembered.is_file() else []
        for port in (*ports, "0"):
            if await self._try(port, tokens):
                remembered.write_text(self.url.rpartition(":")[2], encoding="utf-8")
                return
        raise UserError("The demo's Workshop server did not start. What it said stands above.")

    async def _try(self, port: str, tokens: Path) -> bool:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "icworkshop_gui.server", "--data", str(self._folder), "--name", "Demo Workshop"),
            *("--host", "127.0.0.1", "--port", port, "--bt-port", "0", "--udp-port", "0"),
            *("--token-file", str(tokens), "--upload-limit", UPLOAD, "--drain-seconds", "1"),
            *("--json", "--log-level", "WARNING", "--exit-with-stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            await self.stop()
            return False
        self.url = str(json.loads(line)["url"])
        return True

    async def gone(self) -> None:
        """Returns when the server ended by itself."""
        assert self._process is not None
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end by closing its input, then insist. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        for insist in (process.terminate, process.kill):
            try:
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
                return
            except TimeoutError:
                insist()
        await process.wait()

    async def has(self, ref: PackageRef) -> bool:
        """Is this release published?"""
        async with aiohttp.ClientSession() as session, session.get(self._address(ref)) as answer:
            return answer.status == 200

    async def publish(self, package: Path) -> None:
        """RegistryError when the server refuses."""
        await publish(self.url, package, self._token)

    async def torrent(self, ref: PackageRef) -> bytes:
        """RegistryError when there is none: small packages have no swarm."""
        async with aiohttp.ClientSession() as session, session.get(f"{self._address(ref)}.torrent") as answer:
            if answer.status != 200:
                raise RegistryError("not_found", f"{ref} has no torrent")
            return await answer.content.read(TORRENT_LIMITS.size)

    def _address(self, ref: PackageRef) -> str:
        return f"{self.url}{API}/packages/{ref.publisher}/{ref.name}/{ref.version}"
