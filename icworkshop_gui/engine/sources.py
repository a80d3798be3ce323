"""The source that an address names, connected to this engine's network, cache and memory."""

from __future__ import annotations

from collections.abc import Callable

from icworkshop_gui.engine.content import is_local_url
from icworkshop_gui.registry.asker import HttpGetter
from icworkshop_gui.registry.cache import RegistryCache
from icworkshop_gui.registry.client import RegistryClient
from icworkshop_gui.registry.folder import LocalFolder
from icworkshop_gui.registry.index import GitIndex
from icworkshop_gui.registry.seen import Seen
from icworkshop_gui.registry.source import Source, folder_of, is_index, web_base


def open_source(
    address: str, network: HttpGetter, cache: RegistryCache, seen: Seen, wall: Callable[[], float]
) -> Source:
    """ValueError for what is no address."""
    if is_index(address):
        # A folder may be a copy of a stranger's index: what it names must be on the open Internet.
        near = folder_of(address) is None and is_local_url(web_base(address))
        return GitIndex(address, network, cache, seen, wall=wall, allow_private=near)
    if folder_of(address) is not None:
        return LocalFolder(address, cache)
    return RegistryClient(network, address, cache)
