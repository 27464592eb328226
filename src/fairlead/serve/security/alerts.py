"""Uses of keys that are out of the ordinary: told from what each key did before, in little and bounded memory."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from functools import lru_cache

import msgspec
from msgspec import Struct

__all__ = ["STRANGER", "Alert", "Alerts", "Settings", "network"]

STRANGER = "-"  # stands for all callers whose key was refused


class Settings(Struct, frozen=True, kw_only=True):
    """When a use is told of."""

    networks: int = 16  # remembered per key
    warmup_minutes: int = 10  # of use, before a burst can be told from usual
    burst_calls: int = 60  # a minute; below that nothing is a burst
    burst_ratio: float = 4.0  # times the usual, and
    burst_deviations: float = 6.0  # standard deviations over it
    refusals: float = 20.0  # within about five minutes
    refused_share: float = 0.5
    silence_s: float = 30 * 86400.0
    quiet_s: float = 3600.0  # between two alerts of one kind for one key
    keys: int = 10_000


class Alert(Struct, frozen=True, kw_only=True):
    """One thing out of the ordinary: which key, which kind, from where, and by how much."""

    key_id: str
    kind: str  # new_network, burst, refusals, silence
    network: str
    told: dict[str, float]


class Known(Struct):
    """What is kept of one key's use."""

    last_at: float = 0.0
    networks: list[str] = msgspec.field(default_factory=list)
    minute: int = 0
    calls: int = 0  # in this minute
    minutes: int = 0  # of use that were counted
    mean: float = 0.0
    variance: float = 0.0
    good: float = 0.0  # halved every five minutes
    refused: float = 0.0
    told_at: dict[str, float] = msgspec.field(default_factory=dict)


class Alerts:
    """Sees every use of a key and gives what is out of the ordinary. Time is in seconds; later calls are later.

    A key's first network is how it is used; each further one is told of. Refused callers without a known key are one
    key together (`STRANGER`), of which only a wave of refusals is told.

    >>> alerts = Alerts()
    >>> alerts.saw("a", "192.0.2.7", False, 0.0), [one.kind for one in alerts.saw("a", "198.51.100.1", False, 1.0)]
    ([], ['new_network'])
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self.known: OrderedDict[str, Known] = OrderedDict()

    def saw(self, key_id: str, address: str | None, refused: bool, now: float) -> list[Alert]:
        """Take note of a use; give its alerts."""
        s, where = self._settings, network(address)
        known = self._get(key_id)
        found: dict[str, dict[str, float]] = {}
        if key_id != STRANGER:
            if known.last_at and now - known.last_at > s.silence_s:
                found["silence"] = {"since_s": round(now - known.last_at)}
            if self._is_new(known, where):
                found["new_network"] = {"count": len(known.networks)}
            burst = self._counted(known, now)
            if burst is not None:
                found["burst"] = burst
        half = 0.5 ** (max(0.0, now - known.last_at) / 300)
        known.good, known.refused = known.good * half + (not refused), known.refused * half + refused
        share = known.refused / (known.good + known.refused)
        if refused and known.refused >= s.refusals and share > s.refused_share:
            found["refusals"] = {"count": round(known.refused), "share": round(share, 3)}
        known.last_at = max(known.last_at, now)
        return [
            Alert(key_id=key_id, kind=kind, network=where, told=told)
            for kind, told in found.items()
            if self._is_due(known, kind, now)
        ]

    def _get(self, key_id: str) -> Known:
        known = self.known.get(key_id)
        if known is None:
            if len(self.known) >= self._settings.keys:
                self.known.popitem(last=False)
            known = self.known[key_id] = Known()
        else:
            self.known.move_to_end(key_id)
        return known

    def _is_new(self, known: Known, where: str) -> bool:
        if known.networks and known.networks[-1] == where:
            return False
        new = where not in known.networks
        if not new:
            known.networks.remove(where)
        known.networks.append(where)
        del known.networks[: -self._settings.networks]
        return new and len(known.networks) > 1

    def _counted(self, known: Known, now: float) -> dict[str, float] | None:
        """Count a call in its minute; give figures when the minute is far over the key's own minutes."""
        s, minute = self._settings, int(now // 60)
        if minute != known.minute:
            if known.calls:  # minutes without a call say nothing of how a key is used
                known.minutes += 1
                weight = max(1 / known.minutes, 1 / 60)
                gap = known.calls - known.mean
                known.mean += weight * gap
                known.variance = (1 - weight) * (known.variance + weight * gap * gap)
            known.minute, known.calls = minute, 0
        known.calls += 1
        most = max(
            s.burst_calls,
            s.burst_ratio * known.mean,
            known.mean + s.burst_deviations * math.sqrt(known.variance),
        )
        if known.minutes < s.warmup_minutes or known.calls <= most:
            return None
        return {"rate": known.calls, "usual": round(known.mean, 1)}

    def _is_due(self, known: Known, kind: str, now: float) -> bool:
        if kind != "new_network" and now - known.told_at.get(kind, -math.inf) < self._settings.quiet_s:
            return False
        known.told_at[kind] = now
        return True


@lru_cache(maxsize=4096)
def network(address: str | None) -> str:
    """Give the network of an address: /24 of IPv4, /48 of IPv6; a caller behind one moves within it.

    >>> network("192.0.2.7"), network("2001:db8:1:2::3"), network(None)
    ('192.0.2.0/24', '2001:db8:1::/48', 'local')
    """
    if not address:
        return "local"
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))
