"""Ports for programs that must be told theirs."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below the range from which systems hand out ports (Linux 32768, IANA 49152): between this check and the program's
# bind, no other program's outgoing connection can be given the port.
_LOW, _HIGH = 20_000, 32_000
_order = itertools.cycle(random.Random(os.urandom(8)).sample(range(_LOW, _HIGH), _HIGH - _LOW))


def free_port() -> int:
    """A port that is free on 127.0.0.1 for TCP and UDP, and that this process was not given before."""
    for port in _order:
        try:
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                return port
        except OSError:
            continue
    raise AssertionError("unreachable: the cycle does not end")
