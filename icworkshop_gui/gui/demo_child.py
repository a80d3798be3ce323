"""The embedded Workshop of `--demo`: a child process, gone when we are, however we end."""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from icworkshop_gui.core.errors import UserError

log = logging.getLogger("icw.gui.demo")

LINE_MAX = 64 * 1024
"""Bytes of one line that the child may say."""
READY_SECONDS = 120.0
"""It generates a dozen packages first; on a slow disk that takes a while."""
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DemoWorkshop:
    """Where the demo's Workshop answers, and the folder that is its own and ours."""

    source: str
    folder: Path


class DemoChild:
    """Starts on `start`; ends when its standard input closes, so it cannot outlive us."""

    def __init__(self, keep: Path | None = None) -> None:
        """`keep`: use this folder and leave it there; None: a temporary one that the child takes away."""
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def start(self, on_progress: Callable[[int, int], object] = lambda done, total: None) -> DemoWorkshop:
        """Blocks until its Workshop is up; UserError with the reason when it does not come up.

        `on_progress` hears, on this thread, how many of how many packages are ready.
        """
        arguments = [sys.executable, "-m", "icworkshop_gui.demo"]
        if self._keep is not None:
            arguments += ["--keep", str(self._keep)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, name="demo-lines", daemon=True).start()
        deadline = time.monotonic() + READY_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if not line:
                raise UserError("The demo's Workshop ended before it was up. What it said stands above.")
            found = self._understand(line, on_progress)
            if found is not None:
                return found
        raise UserError("The demo's Workshop did not come up in time.")

    @staticmethod
    def _understand(line: bytes, on_progress: Callable[[int, int], object]) -> DemoWorkshop | None:
        try:
            said = json.loads(line)
        except ValueError:
            return None
        if not isinstance(said, dict):
            return None
        if said.get("event") == "error":
            raise UserError(f"The demo's Workshop did not come up: {said.get('message', 'no reason given')}")
        if said.get("event") == "progress":
            on_progress(int(said.get("done", 0)), int(said.get("total", 0)))
        if said.get("event") == "ready":
            return DemoWorkshop(str(said["source"]), Path(str(said["folder"])))
        return None

    def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with process.stdout as lines:
            # To the end: a child that talks into a full pipe would stand still.
            for line in iter(lambda: lines.readline(LINE_MAX), b""):
                self._lines.put(line)
        self._lines.put(b"")

    def stop(self) -> None:
        """Ask it to end by closing its input, then insist. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for insist in (process.terminate, process.kill, None):
            try:
                process.wait(END_SECONDS)
                return
            except subprocess.TimeoutExpired:
                if insist is not None:
                    log.info("the demo does not end, insisting")
                    insist()
