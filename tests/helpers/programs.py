"""Our own programs as child processes, their JSON lines read as they come."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """A child that prints one JSON object a line. Ends with the `with` block, whatever happens."""

    def __init__(
        self, *arguments: str | Path, module: str = "icworkshop_gui.cli.__main__", env: dict[str, str] | None = None
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                try:
                    self._queue.put(json.loads(line))
                except ValueError:
                    pass  # cut off by a kill
        self._queue.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    @property
    def errors(self) -> str:
        return "".join(self._errors)

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 30.0) -> dict[str, Any]:
        """The next line that fits. AssertionError when the program ends or the time is over."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                line = self._queue.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise AssertionError(
                    f"nothing for {timeout} s; so far {self.lines[-5:]}; {self.errors[-2000:]}"
                ) from None
            if line is None:
                raise AssertionError(f"the program ended; said {self.lines[-5:]}; {self.errors[-2000:]}")
            self.lines.append(line)
            if wanted(line):
                return line

    def event(self, name: str, timeout: float = 30.0) -> dict[str, Any]:
        return self.wait_for(lambda line: line.get("event") == name, timeout)

    def drain(self) -> list[dict[str, Any]]:
        """All lines so far."""
        while True:
            try:
                line = self._queue.get_nowait()
            except queue.Empty:
                return self.lines
            if line is None:
                self._queue.put(None)
                return self.lines
            self.lines.append(line)

    def finish(self, timeout: float = 60.0) -> int:
        """Wait for its own end; the exit code."""
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(5)
        self.drain()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.finish(10)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def cli_here(*arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """The same as `cli` in this process: for tests of verbs, which need no process of their own."""
    from icworkshop_gui.cli.__main__ import parser, run

    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        code = run(parser().parse_args([*map(str, arguments), "--json"]))
    return code, [json.loads(line) for line in said.getvalue().splitlines()], complained.getvalue()


def cli(
    *arguments: str | Path, env: dict[str, str] | None = None, timeout: float = 60.0
) -> tuple[int, list[dict[str, Any]], str]:
    """Run `icworkshop … --json` to its end: exit code, JSON lines, what it said on stderr."""
    with Program(*arguments, "--json", env=env) as program:
        code = program.finish(timeout)
        return code, program.lines, program.errors
