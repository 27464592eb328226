"""What a simulation leaves behind: its files, and what `simulation.json` says about them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fairlead.evaluation.simulate import writers
from fairlead.evaluation.simulate.records import Run
from fairlead.evaluation.simulate.truth import Truth, Value, true_value
from fairlead.evaluation.simulate.writers import Carries

__all__ = ["Simulation", "summary"]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The files of a simulation, and what `simulation.json` says about them."""

    folder: Path
    requests: int
    attempts: int
    endpoints: tuple[str, ...]
    summary: dict[str, Any]
    format: str = "litellm"

    @property
    def log(self) -> Path:
        """The gateway's log."""
        return self.folder / f"{self.format}{writers.of(self.format).CARRIES.suffix}"

    @property
    def lacking(self) -> str:
        """What this format cannot hold, in words; empty when it holds everything."""
        return writers.of(self.format).CARRIES.lacking

    @property
    def opinions(self) -> dict[str, Path]:
        """The files of what is said of the answers, by source; a `.toml` beside each says how to read it."""
        return {
            name: self.folder / f"{name}.jsonl"
            for name in ("feedback", "judge", "votes")
            if name in self.summary["counts"]
        }

    @property
    def feedback(self) -> Path:
        """One score for each answered request; `feedback.toml` beside it says how to read it."""
        return self.folder / "feedback.jsonl"

    @property
    def mapping(self) -> Path:
        """The mapping that reads the feedback."""
        return self.folder / "feedback.toml"

    @property
    def truth(self) -> Path:
        """What every endpoint would have answered to every request."""
        return self.folder / "truth.parquet"

    @property
    def prices(self) -> Path:
        """The contract prices behind the costs."""
        return self.folder / "prices.csv"


def summary(simulated: Run, truth: Truth, settings: dict[str, Any], carries: Carries) -> dict[str, Any]:
    """Give what `simulation.json` holds: settings, counts, and what endpoints and policies are truly worth."""
    world, attempts = simulated.world, simulated.attempts
    answered = attempts.failure < 0
    served = (attempts.request[answered], attempts.endpoint[answered])
    single = np.eye(len(world.endpoints))
    return {
        "settings": settings,
        "log": {"format": settings["format"], **msgspec.to_builtins(carries), "lacking": carries.lacking},
        "counts": {
            "requests": len(world),
            "attempts": len(attempts.request),
            "failed_attempts": int((~answered).sum()),
            "retried_requests": int((attempts.number == 1).sum()),
            "fallback_requests": int((attempts.number == 2).sum()),
            "unanswered_requests": len(world) - int(answered.sum()),
            **world.notes,
        },
        "endpoints": [
            {
                "endpoint": one.name,
                "provider_name": one.provider,
                "model": one.model,
                "matrix_model": one.matrix_model,
                "input_usd_per_million": one.input_usd,
                "output_usd_per_million": one.output_usd,
                "chosen_share": float((simulated.chosen == place).mean()),
                **_known(true_value(truth, np.broadcast_to(single[place], world.quality.shape))),
            }
            for place, one in enumerate(world.endpoints)
        ],
        "logging_policy": _known(true_value(truth, simulated.chances)),
        "as_served": _known(Value(*(float(cells[served].mean()) for cells in truth[:3]))),
        "best_choice_each_time": {"quality": float(world.quality.max(axis=1).mean())},
    }


def _known(value: Value) -> dict[str, float | None]:
    return {name: None if math.isnan(one) else round(one, 12) for name, one in value._asdict().items()}
