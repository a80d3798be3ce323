"""One port on one address, or on every address of both families."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

_TAKEN = (errno.EADDRINUSE, errno.EACCES)


def open_everywhere(
    host: str, port: int, kind: socket.SocketKind, prepare: Callable[[socket.socket], None]
) -> list[socket.socket]:
    """Bound non-blocking sockets; `host` "" is every address, and a machine without IPv6 gets IPv4 alone.

    `prepare` is called between making a socket and binding it. OSError when the port is taken or the address is not
    ours.
    """
    sockets: list[socket.socket] = []
    try:
        for each in [host] if host else ["0.0.0.0", "::"]:
            try:
                sockets.append(_open(each, sockets[0].getsockname()[1] if sockets else port, kind, prepare))
            except OSError as error:
                if not sockets or error.errno in _TAKEN:
                    raise
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _open(host: str, port: int, kind: socket.SocketKind, prepare: Callable[[socket.socket], None]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        prepare(sock)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
