"""The gates on choices: no provider is dropped or flooded unseen, and prices are those of now."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.evaluation.gates.case import Case
from fairlead.evaluation.gates.gate import Gate, held, passed, refused
from fairlead.ingest import prices

__all__ = ["gates"]

Array = np.ndarray[Any, Any]
SHIFT: Final = 0.20  # of all traffic, at one provider
SEEN: Final = 0.01  # of all traffic, from which an endpoint is missed
ONE: Final = 0.99
PRICE_OFF: Final = 0.01


def gates(case: Case) -> list[Gate]:
    """Ask every gate on choices."""
    return [_dropped(case), _shift(case), _constant(case), _prices(case)]


def _before(case: Case) -> Array:
    """How much each endpoint (K,) gets now: from the champion, or in the log."""
    if case.champion is not None:
        return case.champion.shares
    shares: Array = np.bincount(case.log.endpoint + 1, minlength=len(case.endpoints) + 1)[1:] / max(len(case.log), 1)
    return shares


def _providers(case: Case) -> Array:
    of: dict[str, str] = {}
    for side in (case.champion, case.candidate):
        of |= {end.name: end.provider_name for end in side.snapshot.manifest.endpoints} if side else {}
    return np.array([of[name] for name in case.endpoints])


def _dropped(case: Case) -> Gate:
    logged = np.bincount(case.log.endpoint + 1, minlength=len(case.endpoints) + 1)[1:] / max(len(case.log), 1)
    have = set(case.candidate.snapshot.endpoints)
    gone = [
        name for name, share in zip(case.endpoints, np.maximum(_before(case), logged), strict=True)
        if name not in have and share > SEEN
    ]  # fmt: skip
    unknown = float((case.log.endpoint < 0).mean())
    if gone:
        said = f"{', '.join(gone)} served over {SEEN:.0%} of the traffic and cannot be chosen any more"
        return refused("endpoints", said, "ingest the logs that hold its calls, and train again")
    if unknown > SHIFT:
        said = f"{unknown:.0%} of the traffic goes to endpoints that neither knows"
        return held("endpoints", said, "train on newer logs")
    return passed("endpoints", f"all {len(have)} endpoints of the traffic can be chosen")


def _shift(case: Case) -> Gate:
    provider, before, after = _providers(case), _before(case), case.candidate.shares
    moves = {name: float((after - before)[provider == name].sum()) for name in np.unique(provider)}
    name, move = max(moves.items(), key=lambda item: abs(item[1]))
    said = f"provider {name}: {move:+.0%} of all traffic; at most {SHIFT:.0%}"
    if abs(move) > SHIFT:
        return held("shift", said, "a person has to agree: `fairlead judge --candidate --agree shift`")
    return passed("shift", said)


def _constant(case: Case) -> Gate:
    most, before = float(case.candidate.shares.max()), float(_before(case).max())
    said = f"{most:.0%} of all traffic goes to one endpoint, {before:.0%} before"
    if most > ONE and before <= ONE:
        return held("constant", said, "a person has to agree: `fairlead judge --candidate --agree constant`")
    return passed("constant", said)


def _prices(case: Case) -> Gate:
    book = prices.of(case.project)
    stale = []
    for end in case.candidate.snapshot.manifest.endpoints:
        rates = book.lookup(end.provider_name, end.model, case.log.end, region=end.region)
        for meter, used in (("input", end.input_usd), ("output", end.output_usd)):
            found = None if rates is None else getattr(rates, meter)
            now = None if found is None else float(found)
            if (used is None) != (now is None) or (used is not None and now is not None and _apart(used, now)):
                stale.append(f"{end.name} {meter} {_usd(used)}, now {_usd(now)}")
    if stale:
        said = f"{len(stale)} prices are not those of now: {'; '.join(stale[:3])}"
        return refused("prices", said, "publish again with the prices of now")
    return passed("prices", "all prices are those of now")


def _apart(used: float, now: float) -> bool:
    return used < 0 or abs(used - now) > PRICE_OFF * max(abs(now), 1e-15)


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value * 1e6:.4g} USD a million tokens"
