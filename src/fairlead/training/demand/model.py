"""The demand predictor: how each horizon's blend and bounds stand, as data, and how they go on from there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from safetensors.numpy import load_file, save_file

from fairlead.errors import ModelError
from fairlead.training.demand import blend, intervals
from fairlead.training.demand.plan import Horizon, Plan
from fairlead.training.demand.windows import Series, Windows

__all__ = ["Ahead", "Demand", "State", "fit", "metrics", "read", "run", "write"]

Array = np.ndarray[Any, Any]
WARM_UP: Final = 300  # windows, two days: what a forecast needs before it is scored


class State(Struct, frozen=True):
    """What one horizon has learned: each candidate's recent error (E, S), and the bounds."""

    losses: Array
    bounds: intervals.Bounds


class Demand(Struct, frozen=True, kw_only=True):
    """A fitted demand predictor: one state a horizon, as they stood at `trained_until`."""

    plan: Plan
    trained_until: datetime
    windows: int
    series: tuple[Series, ...]
    states: dict[str, State]
    metrics: dict[str, float]


class Ahead(Struct, frozen=True):
    """Forecasts of one horizon by origin: sums over the span, (T, S) each."""

    horizon: Horizon
    expected: Array
    low: Array
    high: Array
    actual: Array
    state: State


def run(windows: Windows, horizon: Horizon, coverage: float, *, state: State | None = None, since: int = 0) -> Ahead:
    """Forecast a horizon from every window, each from what was known then; go on from `state` at window `since`."""
    span = horizon.windows
    blended = blend.run(windows.values, span, span, losses=state.losses if state else None, since=since)
    bounds = state.bounds if state else None
    tracked = intervals.track(blended.forecast, blended.actual, span, coverage, state=bounds, since=since)
    return Ahead(
        horizon=horizon,
        expected=span * blended.forecast,
        low=span * tracked.low,
        high=span * tracked.high,
        actual=span * blended.actual,
        state=State(blended.losses, tracked.state),
    )


def fit(windows: Windows, plan: Plan) -> Demand:
    """Run every horizon over the history, which is the fit and its rolling-origin backtest at once."""
    states: dict[str, State] = {}
    found: dict[str, float] = {}
    for horizon in plan.spans():
        made = run(windows, horizon, plan.coverage)
        states[horizon.name] = made.state
        found |= metrics(made, windows)
    return Demand(
        plan=plan,
        trained_until=windows.end,
        windows=len(windows.values),
        series=windows.series,
        states=states,
        metrics=found,
    )


def metrics(made: Ahead, windows: Windows, since: int = 0) -> dict[str, float]:
    """Score the totals: WAPE (sum of errors over sum of amounts) beside the naive forecasts', and the coverage."""
    span = made.horizon.windows
    found: dict[str, float] = {}
    rows = np.arange(max(WARM_UP, 144 + span, since), len(made.actual) - span)
    if not len(rows):
        return {}
    last = span * blend.last_value(windows.values, span)
    usual = span * blend.seasonal_naive(windows.values, span, span)
    for at, series in enumerate(windows.series):
        actual = made.actual[rows, at]
        if series.kind != "total" or not actual.sum() > 0:
            continue
        name = f"{series.measure}_{made.horizon.name}"
        for what, guess in (("wape", made.expected), ("wape_last", last), ("wape_seasonal", usual)):
            found[f"{name}.{what}"] = float(np.abs(guess[rows, at] - actual).sum() / actual.sum())
        inside = (actual >= made.low[rows, at]) & (actual <= made.high[rows, at])
        found[f"{name}.coverage"] = float(inside.mean())
    return found


def write(demand: Demand, folder: Path) -> None:
    """Write the files of a demand predictor: JSON, and the states as arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Array] = {}
    for name, state in demand.states.items():
        arrays |= {f"{name}.losses": state.losses}
        arrays |= {f"{name}.{part}": getattr(state.bounds, part) for part in intervals.Bounds._fields}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "arrays.safetensors")
    plain = msgspec.to_builtins(msgspec.structs.replace(demand, states={}))
    (folder / "demand.json").write_bytes(msgspec.json.encode(plain))


def read(folder: Path) -> Demand:
    """Read what `write` wrote; ModelError when it cannot be read."""
    try:
        demand = msgspec.json.decode((folder / "demand.json").read_bytes(), type=Demand)
        arrays = load_file(folder / "arrays.safetensors")
        states = {
            name: State(
                arrays[f"{name}.losses"],
                intervals.Bounds(*(arrays[f"{name}.{part}"] for part in intervals.Bounds._fields)),
            )
            for name in demand.plan.horizons
        }
    except (OSError, msgspec.MsgspecError, KeyError) as fault:
        raise ModelError(f"{folder}: the registered predictor cannot be read ({fault}); train again") from fault
    return msgspec.structs.replace(demand, states=states)
