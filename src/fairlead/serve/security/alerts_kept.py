"""What is known of keys' use, kept over restarts and joined over workers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fairlead.errors import SecurityError
from fairlead.serve.security import files
from fairlead.serve.security.alerts import Alerts, Known

__all__ = ["exchange"]


def exchange(alerts: Alerts, path: Path, most_networks: int = 16) -> None:
    """Join what this worker saw with what others left in `path`, and leave both there.

    A network that one worker saw is then new to none, and a silence is one of all workers. A file that cannot be read
    is replaced: it holds nothing that could not be learned again.
    """
    with files.locked(path):
        try:
            kept = msgspec.json.decode(files.read(path), type=dict[str, Known]) if path.exists() else {}
        except (msgspec.MsgspecError, SecurityError):
            kept = {}
        for key_id, other in kept.items():
            mine = alerts.known.get(key_id)
            alerts.known[key_id] = other if mine is None else _joined(mine, other, most_networks)
        files.write(path, msgspec.json.encode(alerts.known))


def _joined(mine: Known, other: Known, most_networks: int) -> Known:
    """Take the usual from who counted more minutes: workers share a key's calls about evenly."""
    mine.networks = list(dict.fromkeys([*other.networks, *mine.networks]))[-most_networks:]
    mine.last_at = max(mine.last_at, other.last_at)
    if other.minutes > mine.minutes:
        mine.minutes, mine.mean, mine.variance = other.minutes, other.mean, other.variance
    mine.told_at = {
        kind: max(mine.told_at.get(kind, 0.0), other.told_at.get(kind, 0.0)) for kind in {*mine.told_at, *other.told_at}
    }
    return mine
