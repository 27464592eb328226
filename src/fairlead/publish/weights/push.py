"""What is kept of a push, so that the requests it leads to get their propensity."""

from __future__ import annotations

import datetime

from fairlead.features.pushed import Pushed
from fairlead.publish.weights.formats import FORMATS
from fairlead.publish.weights.shares import Shares

__all__ = ["pushed_of"]


def pushed_of(shares: Shares, gateway: str, name: str, since: datetime.datetime) -> Pushed:
    """Give the record of a push that holds from `since` on."""
    known = FORMATS[gateway]
    return Pushed(
        id=f"{gateway}-{since.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}",
        since=since,
        gateway=gateway,
        sources=list(known.sources),
        name=name if known.keeps_name else None,
        policy=shares.policy,
        policy_version=shares.policy_version,
        requests=shares.requests[""],
        shares={route: shares.of(route) for route in shares.parts},
    )
