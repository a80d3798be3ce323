"""Which hosts are addresses, and which addresses lie in the open Internet."""

from __future__ import annotations

import ipaddress


def is_numeric(host: str) -> bool:
    """Is this host an address rather than a name?"""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_public(host: str) -> bool:
    """Is this numeric address one of the open Internet, whatever it is wrapped in?"""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        # These lead to the IPv4 address inside them; behind NAT64 every IPv4 server looks like that.
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
