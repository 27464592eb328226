"""One run of the simulator: the world, its traffic, what was chosen and tried, and the files that tell of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from fairlead.errors import UsageError
from fairlead.evaluation.simulate import failures, output, policy, prices, records, synthetic
from fairlead.evaluation.simulate import matrix as matrices
from fairlead.evaluation.simulate.records import Run
from fairlead.evaluation.simulate.traffic import Marginals, arrivals, durations
from fairlead.evaluation.simulate.truth import Truth, Value, true_value
from fairlead.evaluation.simulate.world import Floats, World

__all__ = ["Simulation", "run"]

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
    policy.check(logging, exploration)
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
    chances = policy.probabilities(logging, world, exploration, streams[4])
    chosen = policy.choose(chances, streams[4])
    attempts = failures.play(chosen, moments, last_token_s, first_token_s, marginals, streams[5])
    names = [records.identifier(key, "request", row) for row in range(len(world))]
    simulated = Run(key, logging, world, chances, chosen, attempts, names)
    return _write(out, simulated, last_token_s, settings, streams[6], progress)


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
        return synthetic.make(_SYNTHETIC_REQUESTS if requests is None else requests, endpoints, rng)
    world = matrices.load(matrix, endpoints, rng)
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
    for done in output.write_lines(result.log, records.records(simulated, rng)):
        if progress:
            progress(done, total)
    for _ in output.write_lines(result.feedback, records.feedback(simulated, rng)):
        pass
    output.write_truth(result.truth, simulated, duration_s)
    prices.write(result.prices, world.endpoints, _PRICES_FROM, f"simulated-{simulated.key}")
    small = {
        result.mapping: records.FEEDBACK_MAPPING.encode(),
        out / "simulation.json": msgspec.json.format(msgspec.json.encode(result.summary), indent=2) + b"\n",
    }
    for path, content in small.items():
        with output.replacing(path) as file:
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
