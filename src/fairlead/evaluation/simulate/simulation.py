"""One run of the simulator: the world, its traffic, what was chosen and tried, and the files that tell of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from fairlead.errors import UsageError
from fairlead.evaluation.simulate import failures, output, policy, prices, records, synthetic, writers
from fairlead.evaluation.simulate import matrix as matrices
from fairlead.evaluation.simulate import opinions as opinions_of
from fairlead.evaluation.simulate.calls import Asked, Call, identifier
from fairlead.evaluation.simulate.events import Event, check
from fairlead.evaluation.simulate.load import Load, meet, stretched
from fairlead.evaluation.simulate.opinions import Opinions
from fairlead.evaluation.simulate.records import Run
from fairlead.evaluation.simulate.result import Simulation, summary
from fairlead.evaluation.simulate.shapes import shape_of, shaped
from fairlead.evaluation.simulate.timeline import arrange, mixed
from fairlead.evaluation.simulate.traffic import Marginals, Rhythm, arrivals, durations
from fairlead.evaluation.simulate.truth import Truth
from fairlead.evaluation.simulate.world import Floats, Integers, World

__all__ = ["run"]

START: Final = datetime(2026, 10, 5, tzinfo=UTC)  # a fixed Monday: the same command gives the same bytes on any day
_SYNTHETIC_REQUESTS: Final = 5_000
_PRICES_FROM: Final = datetime(2024, 1, 1, tzinfo=UTC)
_TELL_EVERY: Final = 512
_UNLOADED: Final = Load()
_TRUSTED: Final = Opinions()
Progress = Callable[[int, int], None]


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
    lengths: str = "words",
    load: Load = _UNLOADED,
    events: Sequence[Event] = (),
    opinions: Opinions = _TRUSTED,
    log_format: str = "litellm",
    progress: Progress | None = None,
) -> Simulation:
    """Write a simulated gateway log, what is said of it, its prices and its truth into the folder `out`.

    The same arguments and inputs give the same bytes. Raises UsageError when what is asked cannot be, ReadError when
    the matrix or the traces cannot be read.
    """
    policy.check(logging, exploration)
    opinions.check()
    carries = writers.of(log_format).CARRIES
    begin = (start or START).astimezone(UTC) if (start or START).tzinfo else (start or START).replace(tzinfo=UTC)
    if not (math.isfinite(days) and days > 0):
        raise UsageError(f"days is {days:g}; the traffic must last more than 0 days")
    # One stream of random numbers a concern: another logging policy must not change the truth.
    streams = [np.random.default_rng([seed, place]) for place in range(12)]
    shape = shape_of(lengths, traces)
    if matrix is not None and shape is not None:
        raise UsageError(f"lengths {lengths}: a matrix has lengths of its own; leave out the one or the other")
    world = shaped(_world(matrix, endpoints, requests, streams[0], streams[1]), shape)
    check(events, world.endpoints, set(world.dataset), days)
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
        "lengths": lengths,
        "load": load,
        "events": list(events),
        "opinions": opinions,
    }
    key = hashlib.blake2b(msgspec.json.encode(settings), digest_size=8).hexdigest()
    rhythm = Rhythm.of(days, begin, marginals, streams[3])
    moments = arrivals(len(world), rhythm, streams[3], None if shape is None else shape.gaps)
    origin_us = round(begin.timestamp() * 1e6)
    world = mixed(world, moments, origin_us, events, streams[7])
    world, timeline = arrange(world, moments, origin_us, events, streams[8])
    last_token_s, first_token_s = durations(world, marginals, streams[2])
    met = meet(load, moments, last_token_s.mean(axis=0), rhythm, streams[9])
    last_token_s, first_token_s = stretched(last_token_s, first_token_s, timeline.slower, met)
    chances = policy.probabilities(logging, world, exploration, streams[4], timeline.there)
    chosen = policy.choose(chances, streams[4])
    providers = [one.provider for one in world.endpoints]
    faulty = failures.faults(providers, moments, timeline.outages, marginals, streams[5])
    attempts = failures.play(chosen, moments, last_token_s, first_token_s, timeline.there, faulty, streams[10])
    names = [carries.named + identifier(key, "request", row) for row in range(len(world))]
    truth = Truth(world.quality, world.cost_usd, last_token_s, _available(faulty, moments, timeline.there))
    simulated = Run(key, logging, world, chances, chosen, attempts, timeline, names)
    total = len(attempts.request)
    told = summary(simulated, truth, {**settings, "format": log_format}, carries)
    result = Simulation(out, len(world), total, tuple(settings["endpoints"]), told, log_format)
    out.mkdir(parents=True, exist_ok=True)
    written = writers.of(log_format).write
    counted = _counted(records.requests(simulated, streams[6]), total, progress)
    records_of = (record for asked, calls in counted for record in written(asked, calls))
    told["counts"]["records"] = _drained(output.write_lines(result.log, records_of))
    told["counts"] |= _say(result, simulated, opinions, streams[6], streams[11])
    output.write_truth(result.truth, simulated, truth, met, opinions.chance(truth.quality))
    _write_rest(result, simulated)
    return result


def _available(faulty: failures.Faults, moments: Integers, there: NDArray[np.bool_]) -> Floats:
    """Give the chance that a first try of each request at each endpoint is answered."""
    risk = [faulty.risk(np.full(len(moments), place), moments) for place in range(there.shape[1])]
    return np.where(there, 1 - np.stack(risk, axis=1), 0.0)


def _counted(
    made: Iterable[tuple[Asked, list[Call]]], total: int, progress: Progress | None
) -> Iterator[tuple[Asked, list[Call]]]:
    """Give the requests on, and tell how many attempts they had so far, every few hundred and at the end."""
    done, told = 0, 0
    for asked, calls in made:
        yield asked, calls
        done += len(calls)
        if progress and done - told >= _TELL_EVERY:
            told = done
            progress(done, total)
    if progress and told < total:
        progress(total, total)


def _say(
    result: Simulation, simulated: Run, said: Opinions, rng: np.random.Generator, more: np.random.Generator
) -> dict[str, int]:
    """Write what is said of the answers, each source with the mapping that reads it, and count it."""
    parts = {"feedback": (said.share > 0, opinions_of.feedback(simulated, said, rng), opinions_of.FEEDBACK_MAPPING)}
    judge = opinions_of.judged(simulated, said, more), opinions_of.JUDGE_MAPPING
    parts["judge"] = (said.judge_noise is not None, *judge)
    parts["votes"] = (said.votes > 0, opinions_of.votes(simulated, said, more), opinions_of.VOTES_MAPPING)
    counts = {}
    for name, (wanted, rows, mapping) in parts.items():
        paths = result.folder / f"{name}.jsonl", result.folder / f"{name}.toml"
        if not wanted:
            for path in paths:  # of an earlier run into the same folder
                path.unlink(missing_ok=True)
            continue
        counts[name] = _drained(output.write_lines(paths[0], rows))
        with output.replacing(paths[1]) as file:
            file.write(mapping.encode())
    return counts


def _drained(counts: Iterable[int]) -> int:
    last = 0
    for last in counts:  # noqa: B007  the last one is the whole
        pass
    return last


def _write_rest(result: Simulation, simulated: Run) -> None:
    changes = (
        (max(_PRICES_FROM, datetime.fromtimestamp(max(begin, 0) / 1e6, UTC)), one)
        for each in simulated.timeline.prices
        for begin, one in each
    )
    prices.write(result.prices, changes, _PRICES_FROM, f"simulated-{simulated.key}")
    with output.replacing(result.folder / "simulation.json") as file:
        file.write(msgspec.json.format(msgspec.json.encode(result.summary), indent=2) + b"\n")


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
