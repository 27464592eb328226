"""A gateway log whose truth is known: a replayed routing matrix, or a made-up world, behind a randomised router.

What `fairlead simulate` runs. The log looks as LiteLLM writes it, with the router's exact propensities echoed in its
metadata; beside it lies what every endpoint would have answered to every request, so that any policy's true value can
be computed and a judgement from the log alone be held against it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from fairlead.errors import ReadError, UsageError
from fairlead.evaluation import (
    simulate_failures,
    simulate_matrix,
    simulate_output,
    simulate_policy,
    simulate_prices,
    simulate_records,
    simulate_synthetic,
)
from fairlead.evaluation.simulate_records import Run
from fairlead.evaluation.simulate_traffic import Marginals, arrivals, durations
from fairlead.evaluation.simulate_world import Floats, World

__all__ = ["Simulation", "Truth", "Value", "run", "true_value", "truth_arrays"]

START: Final = datetime(2026, 10, 5, tzinfo=UTC)  # a fixed Monday: the same command gives the same bytes on any day
_SYNTHETIC_REQUESTS: Final = 5_000
_PRICES_FROM: Final = datetime(2024, 1, 1, tzinfo=UTC)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The files of a simulation, and what `simulation.json` says about them."""

    folder: Path
    requests: int
    attempts: int
    endpoints: tuple[str, ...]
    summary: dict[str, Any]

    @property
    def log(self) -> Path:
        """LiteLLM records, one a try."""
        return self.folder / "litellm.jsonl"

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


class Truth(NamedTuple):
    """Arrays of shape (requests, endpoints); NaN where it is not known."""

    quality: Floats
    cost_usd: Floats
    duration_s: Floats


class Value(NamedTuple):
    """What a policy is worth: means over requests; NaN where it is not known."""

    quality: float
    cost_usd: float
    duration_s: float


def run(  # noqa: PLR0913  these are the command's options
    out: Path,
    *,
    matrix: Path | None = None,
    endpoints: Sequence[str] | int = 6,
    requests: int | None = None,
    days: float = 14,
    logging: str = "boltzmann",
    exploration: float = 0.1,
    seed: int = 0,
    start: datetime | None = None,
    traces: Path | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Write a simulated gateway log, its feedback, its prices and its truth into the folder `out`.

    The same arguments and inputs give the same bytes. Raises UsageError when what is asked cannot be, ReadError when
    the matrix or the traces cannot be read.
    """
    simulate_policy.check(logging, exploration)
    begin = (start or START).astimezone(UTC) if (start or START).tzinfo else (start or START).replace(tzinfo=UTC)
    if not (math.isfinite(days) and days > 0):
        raise UsageError(f"days is {days:g}; the traffic must last more than 0 days")
    # One stream of random numbers a concern: another logging policy must not change the truth.
    streams = [np.random.default_rng([seed, place]) for place in range(7)]
    world = _world(matrix, endpoints, requests, streams[0], streams[1])
    marginals = Marginals.of(traces) if traces else Marginals()
    settings: dict[str, Any] = {
        "matrix": matrix.name if matrix else None,
        "matrix_sha256": hashlib.sha256(matrix.read_bytes()).hexdigest() if matrix else None,
        "endpoints": [one.name for one in world.endpoints],
        "requests": len(world),
        "days": days,
        "logging": logging,
        "exploration": exploration if logging in ("epsilon", "boltzmann") else None,
        "seed": seed,
        "start": begin.isoformat().replace("+00:00", "Z"),
        "traces": marginals.source,
    }
    key = hashlib.blake2b(msgspec.json.encode(settings), digest_size=8).hexdigest()
    last_token_s, first_token_s = durations(world, marginals, streams[2])
    moments = arrivals(len(world), days, begin, marginals, streams[3])
    chances = simulate_policy.probabilities(logging, world, exploration, streams[4])
    chosen = simulate_policy.choose(chances, streams[4])
    attempts = simulate_failures.play(chosen, moments, last_token_s, first_token_s, marginals, streams[5])
    names = [simulate_records.identifier(key, "request", row) for row in range(len(world))]
    simulated = Run(key, logging, world, chances, chosen, attempts, names)
    return _write(out, simulated, last_token_s, settings, streams[6], progress)


def truth_arrays(path: Path, request_ids: Sequence[str], endpoints: Sequence[str]) -> Truth:
    """Read a truth file as arrays whose rows are `request_ids` and whose columns are `endpoints`.

    Raises ReadError when the file does not hold one of them.
    """
    try:
        held = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise ReadError(f"{path}: not a readable truth file ({fault}); `fairlead simulate` writes one") from fault
    shape = (len(request_ids), len(endpoints))
    wanted = pl.DataFrame(
        {
            "request_id": pl.Series(list(request_ids), dtype=pl.String).gather(
                pl.Series(np.repeat(np.arange(shape[0]), shape[1]))
            ),
            "endpoint": pl.Series(list(endpoints), dtype=pl.String).gather(
                pl.Series(np.tile(np.arange(shape[1]), shape[0]))
            ),
        }
    )
    cells = wanted.join(held, on=["request_id", "endpoint"], how="left", maintain_order="left")
    lost = cells.filter(pl.col("quality").is_null())
    if not lost.is_empty():
        request_id, endpoint = lost.select("request_id", "endpoint").row(0)
        raise ReadError(f"{path}: no truth for request {request_id} at {endpoint}; is it from another simulation?")
    return Truth(
        *(
            cells[name].cast(pl.Float64).fill_null(math.nan).to_numpy().reshape(shape)
            for name in ("quality", "cost_usd", "duration_s")
        )
    )


def true_value(truth: Truth, probabilities: Floats) -> Value:
    """Give the true value of a policy that chooses with these probabilities, aligned with `truth`.

    >>> truth = Truth(np.array([[1.0, 0.0]]), np.array([[0.02, 0.01]]), np.array([[3.0, 1.0]]))
    >>> true_value(truth, np.array([[0.5, 0.5]]))
    Value(quality=0.5, cost_usd=0.015, duration_s=2.0)
    """
    # An endpoint that is never chosen may be unknown: 0 x NaN would make the policy unknown too.
    return Value(*(float(np.where(probabilities > 0, probabilities * cells, 0).sum(axis=1).mean()) for cells in truth))


def _world(
    matrix: Path | None,
    endpoints: Sequence[str] | int,
    requests: int | None,
    rng: np.random.Generator,
    order: np.random.Generator,
) -> World:
    if requests is not None and requests < 1:
        raise UsageError(f"requests is {requests}; ask for one or more")
    if matrix is None:
        return simulate_synthetic.make(_SYNTHETIC_REQUESTS if requests is None else requests, endpoints, rng)
    world = simulate_matrix.load(matrix, endpoints, rng)
    wanted = len(world) if requests is None else requests
    if wanted > len(world):
        raise UsageError(
            f"{matrix} holds {len(world)} different prompts that all chosen endpoints answered, {wanted} requests were "
            "asked for: repeated prompts would be both learnt from and judged on. Ask for fewer requests or endpoints"
        )
    return world.take(order.permutation(len(world))[:wanted])  # in random order: no route owns a day


def _write(
    out: Path,
    simulated: Run,
    duration_s: Floats,
    settings: dict[str, Any],
    rng: np.random.Generator,
    progress: Progress | None,
) -> Simulation:
    world, total = simulated.world, len(simulated.attempts.request)
    result = Simulation(out, len(world), total, tuple(settings["endpoints"]), _summary(simulated, duration_s, settings))
    out.mkdir(parents=True, exist_ok=True)
    for done in simulate_output.write_lines(result.log, simulate_records.records(simulated, rng)):
        if progress:
            progress(done, total)
    for _ in simulate_output.write_lines(result.feedback, simulate_records.feedback(simulated, rng)):
        pass
    simulate_output.write_truth(result.truth, simulated, duration_s)
    simulate_prices.write(result.prices, world.endpoints, _PRICES_FROM, f"simulated-{simulated.key}")
    small = {
        result.mapping: simulate_records.FEEDBACK_MAPPING.encode(),
        out / "simulation.json": msgspec.json.format(msgspec.json.encode(result.summary), indent=2) + b"\n",
    }
    for path, content in small.items():
        with simulate_output.replacing(path) as file:
            file.write(content)
    return result


def _summary(simulated: Run, duration_s: Floats, settings: dict[str, Any]) -> dict[str, Any]:
    world, attempts = simulated.world, simulated.attempts
    truth = Truth(world.quality, world.cost_usd, duration_s)
    answered = attempts.failure < 0
    served = (attempts.request[answered], attempts.endpoint[answered])
    single = np.eye(len(world.endpoints))
    return {
        "settings": settings,
        "counts": {
            "requests": len(world),
            "attempts": len(attempts.request),
            "failed_attempts": int((~answered).sum()),
            "retried_requests": int((attempts.number == 1).sum()),
            "fallback_requests": int((attempts.number == 2).sum()),
            "unanswered_requests": len(world) - int(answered.sum()),
            "feedback": int(answered.sum()),
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
        "as_served": _known(Value(*(float(cells[served].mean()) for cells in truth))),
        "best_choice_each_time": {"quality": float(world.quality.max(axis=1).mean())},
    }


def _known(value: Value) -> dict[str, float | None]:
    return {name: None if math.isnan(one) else round(one, 12) for name, one in value._asdict().items()}
