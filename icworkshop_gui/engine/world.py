"""The outside world is four parameters: clock, chance, network, disk.

Simulation and production differ in nothing else.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from icworkshop_gui.core.clock import Clock
from icworkshop_gui.engine.net.network import Network
from icworkshop_gui.store.disk import Disk


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Handed down from the composition root; nobody below it asks the operating system for these."""

    clock: Clock
    rng: random.Random
    """`random.SystemRandom` in production (engine.md F D-17), seeded in simulations."""
    network: Network
    disk: Disk
