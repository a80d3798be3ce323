"""Numbers for Prometheus, in its text format 0.0.4: counters with labels, and gauges asked for when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
Gauges = Callable[[], Iterable[tuple[str, str, float]]]
"""Name, help and value of each."""


class Metrics:
    """Thread-safe. Names carry the prefix `icw_`; counters end in `_total`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._help: dict[str, str] = {}
        self._values: dict[str, dict[Labels, float]] = {}
        self._gauges: list[Gauges] = []

    def describe(self, name: str, text: str) -> None:
        """What a counter counts; it is shown from now on."""
        self._help[name] = text
        self._values.setdefault(name, {})

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """KeyError for a counter that was not described: labels and names come from our code alone."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            values = self._values[name]
            values[key] = values.get(key, 0.0) + amount

    def gauges(self, read: Gauges) -> None:
        self._gauges.append(read)

    def text(self) -> str:
        lines: list[str] = []
        with self._lock:
            for name, values in self._values.items():
                lines += [f"# HELP {name} {self._help[name]}", f"# TYPE {name} counter"]
                lines += [f"{name}{_labels(key)} {value:.15g}" for key, value in sorted(values.items())]
        for read in self._gauges:
            for name, text, value in read():
                lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value:.15g}"]
        return "\n".join(lines) + "\n"


def _labels(key: Labels) -> str:
    if not key:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in key) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
