"""The gate on leaks: what is known before the call cannot depend on which endpoint was drawn for it.

The log's policy drew endpoints with known chances. Weighed by their inverse, the requests at each endpoint are then all
requests again, in every column that was known before (the balance that a propensity score has to give: Rosenbaum and
Rubin 1983). A column that differs between endpoints all the same, such as the length of the answer or a score, became
known later: a predictor that reads it promises what it cannot keep.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np
from msgspec import structs

from fairlead.evaluation.gates.case import Case
from fairlead.evaluation.gates.gate import Gate, held, passed, refused
from fairlead.evaluation.replay import Replay, replay
from fairlead.scoring import embedding
from fairlead.scoring.predict import column_values

__all__ = ["gates", "imbalance"]

Array = np.ndarray[Any, Any]
LEAST: Final = 100  # requests at an endpoint
MOST: Final = 40_000  # attempts
FAR: Final = 0.1  # standard deviations: less is no leak worth the name
LEVEL: Final = 1e-4
WHOLE: Final = 0.2  # how far the inverse chances at an endpoint may be from standing for all requests


def gates(case: Case) -> list[Gate]:
    """Ask whether a column that the candidate reads became known only after the call."""
    log = _history(case)
    known = np.isfinite(log.propensity) & (log.propensity > 0) & (log.endpoint >= 0)
    if known.sum() < LEAST:
        return [held("leaks", "no propensities, so nothing tells early columns from late ones", "log propensities")]
    manifest = case.candidate.snapshot.manifest
    codes = {name: {v: code for code, v in enumerate(values)} for name, values in manifest.categories.items()}
    codes[embedding.NAME] = {"": embedding.width_of(column.name for column in manifest.columns)}
    late = []
    for column in manifest.columns:
        if column.owner != "request":
            continue
        values = column_values(log.batch, column, codes)[known].astype(np.float64)
        far, p = imbalance(values, log.endpoint[known], log.propensity[known], len(manifest.columns))
        if p < LEVEL and far > FAR:
            late.append((far, column.name))
    if late:
        far, name = max(late)
        return [
            refused(
                "leaks",
                f"{name} differs between endpoints by {far:.2f} standard deviations although they were drawn by "
                f"chance: it became known only after the call ({len(late)} such columns)",
                f"take {name} out of features/, or date its as_of when it becomes known",
            )
        ]
    return [passed("leaks", f"no column differs between endpoints by more than {FAR} standard deviations")]


def _history(case: Case) -> Replay:
    """Give the newest requests, learned from or not: how they were drawn is all that is asked."""
    rows = case.joined.rows.sort("start_time", "event_id").tail(MOST)
    return replay(structs.replace(case.joined, rows=rows), case.endpoints, None)


def imbalance(values: Array, endpoint: Array, propensity: Array, tests: int) -> tuple[float, float]:
    """Give how far values (n,) lie apart between endpoints at most, in standard deviations, and the p-value of it.

    Ranks stand for the values, so that no outlier decides. The p-value is corrected for all endpoints and `tests`
    columns (Bonferroni). Endpoints that could not be drawn for every request are left out.
    """
    rank = np.argsort(np.argsort(np.nan_to_num(values, nan=-np.inf), kind="stable"), kind="stable").astype(np.float64)
    _, same = np.unique(np.nan_to_num(values, nan=-np.inf), return_inverse=True)
    rank = (np.bincount(same, weights=rank) / np.bincount(same))[same]
    spread = rank.std()
    if spread < 1e-9:
        return 0.0, 1.0
    scaled = (rank - rank.mean()) / spread
    inverse = 1 / propensity
    worst, least, asked = 0.0, 1.0, 0
    for one in np.unique(endpoint):
        mine = endpoint == one
        whole = inverse[mine].sum() / len(endpoint)
        if mine.sum() < LEAST or abs(whole - 1) > WHOLE:
            continue
        asked += 1
        moved = inverse[mine] * scaled[mine]
        far = abs(moved.sum()) / inverse[mine].sum()
        error = float(np.sqrt((inverse[mine] ** 2 * (scaled[mine] - moved.sum() / inverse[mine].sum()) ** 2).sum()))
        p = 2 * NormalDist().cdf(-abs(float(moved.sum())) / max(error, 1e-12))
        if p < least:
            worst, least = float(far), p
    return worst, min(1.0, least * max(asked, 1) * tests)
