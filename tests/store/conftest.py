"""Flushes are real work for a disk and nothing that a test can see; who needs to see them patches its own."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
