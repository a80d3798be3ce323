"""What holds for every test: seeds, an offscreen window system, and noise that fails."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "IC_DATA_DIR"):
    os.environ.pop(name, None)

# Machines are noisy: a deadline would make slow look like wrong. Derandomized, a red run is red again.
settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile("search", deadline=None, max_examples=2000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


class _Collect(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def collected_here() -> Iterator[None]:
    """Where the tests of windows switched automatic collection off, each test's garbage goes when it ends."""
    yield
    if not gc.isenabled():
        # As Python would: the oldest generation that is over its threshold.
        counts = zip(gc.get_count(), gc.get_threshold(), (0, 1, 2), strict=True)
        gc.collect(max((generation for count, limit, generation in counts if count > limit > 0), default=0))


@pytest.fixture(autouse=True)
def quiet_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    """A warning or error in the log of a test that does not expect one (`@pytest.mark.logs`) is a failure."""
    collect = _Collect()
    names = ("icw", "asyncio")
    for name in names:
        logging.getLogger(name).addHandler(collect)
    yield
    for name in names:
        logging.getLogger(name).removeHandler(collect)
    if collect.records and request.node.get_closest_marker("logs") is None:
        lines = [f"{r.name} {r.levelname}: {r.getMessage()} {r.exc_info or ''}" for r in collect.records[:5]]
        pytest.fail("unexpected in the log:\n" + "\n".join(lines), pytrace=False)
