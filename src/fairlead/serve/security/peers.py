"""Whose address a call comes from, where a front passes calls on."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from fairlead.errors import UsageError

__all__ = ["Fronts"]


class Fronts:
    """The fronts whose word counts: a Unix socket always, addresses only where they are named.

    >>> fronts = Fronts(["10.0.0.0/8"])
    >>> fronts.caller("10.1.2.3", "203.0.113.9, 198.51.100.4"), fronts.caller("192.0.2.1", "203.0.113.9")
    ('198.51.100.4', '192.0.2.1')
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        try:
            self._networks = tuple(ipaddress.ip_network(one) for one in networks)
        except ValueError as fault:
            raise UsageError(f"a front's network: {fault}; write it as 10.0.0.0/8") from fault

    def caller(self, peer: str | None, forwarded: str | None) -> str | None:
        """Give the address of who asks: the last one, which a front appended; others may be made up."""
        if forwarded is None or not self._counts(peer):
            return peer
        return forwarded.rpartition(",")[2].strip() or peer

    def _counts(self, peer: str | None) -> bool:
        if not peer:  # a Unix socket: only who may open it can call
            return True
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)
