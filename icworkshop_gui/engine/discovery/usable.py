"""Which of the peers that strangers name are worth dialling."""

from __future__ import annotations

import ipaddress
from collections.abc import Set

from icworkshop_gui.core.address import Endpoint


def is_usable(peer: Endpoint, *, port: int, own_hosts: Set[str], allow_private: bool) -> bool:
    """An address that can be dialled, is not ourselves (`port` at one of `own_hosts` or on this computer), and is
    public unless private ones are allowed."""
    address = ipaddress.ip_address(peer.host)
    if address.is_multicast or address.is_unspecified:
        return False
    if not address.is_global and not allow_private:
        return False
    return not (peer.port == port and (address.is_loopback or peer.host in own_hosts))
