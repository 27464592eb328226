"""How long training takes and how much memory it needs on many rows.

    python benchmarks/train_scale.py [--rows 1000000] [--rounds 200] [--heads 3]

A frame as a lake gives it: every text feature of the product, six request columns, 40 endpoints of 8 providers, three
columns of endpoint state; prompts repeat. Three targets are fitted by `fit_head`, as `train` does: tables, out-of-fold
audit, conformal offsets and the forest, sharing one set of bins. Of more than half a million rows the audit reads a
sample of whole prompts (in two folds, each grown as the forest is), and each tree learns from at most half a million
rows, drawn anew; the forest's rows are all. Peak memory is the process's, the frame included. OMP_NUM_THREADS is
respected. On a shared machine read the busy seconds: two free cores need about half of them.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import numpy as np

from fairlead.scoring.manifest import Column
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.training.fit import fit_head
from fairlead.training.forest import Binned, threads
from fairlead.training.frame import Frame
from fairlead.training.logs import HALF_ROWS
from fairlead.training.spec import HeadPlan, Params

ENDPOINTS, ROUTES, TEAMS = 40, 30, 50
PLANS = [
    HeadPlan(name="output_tokens", target="output_tokens", alpha=0.5),
    HeadPlan(name="output_tokens_p90", target="output_tokens", alpha=0.9),
    HeadPlan(name="latency_s", target="duration_s", alpha=0.5),
]
BLOCK = 250_000


def made(rows: int) -> Frame:
    """Make a frame of that many rows, four a prompt."""
    rng = np.random.default_rng(0)
    text = np.zeros((rows, len(TEXT_FEATURES)), dtype=np.float16 if rows > HALF_ROWS else np.float32)
    for at in range(0, rows, BLOCK):  # counts are sparse, the last fifteen features are dense, as in real prompts
        part = text[at : at + BLOCK]
        seen = rng.random((len(part) // 4 + 1, part.shape[1]), dtype=np.float32)
        seen[:, :-15] = np.log1p(np.floor(3 / np.maximum(seen[:, :-15], 0.02) - 3.5).clip(0))
        part[:] = np.repeat(seen, 4, axis=0)[: len(part)]
    endpoint, route = rng.integers(0, ENDPOINTS, rows), rng.integers(0, ROUTES, rows)
    place = TEXT_FEATURES.index("text_bytes_log")
    says = (
        text[:, 0] * 0.4 + np.sin(text[:, 3] * 3) * 0.5 + text[:, place] * text[:, place + 1] + 0.3 * (text[:, 20] > 1)
    )
    load = rng.random((3, rows))
    noise = rng.normal(size=rows).astype(np.float32)
    tokens = np.exp(4 + 0.02 * endpoint + 0.05 * route + says + 0.5 * noise)
    names = tuple(f"model-{one:02d}" for one in range(ENDPOINTS))
    providers = tuple(f"provider-{one % 8}" for one in range(ENDPOINTS))
    words = {
        name: np.array([f"{name}-{one:02d}" for one in range(n)], object)
        for name, n in (("route", ROUTES), ("team", TEAMS))
    }
    tools, turn = rng.integers(0, 5, rows).astype(float), rng.integers(1, 9, rows).astype(float)
    scalars = {
        "route": words["route"][route],
        "team": words["team"][rng.integers(0, TEAMS, rows)],
        "tools": tools,
        "images": (tools > 3).astype(float),
        "turn": turn,
        "input_tokens": np.floor(tokens),
    }
    state = {f"state_{one}": load[one] for one in range(3)}
    return Frame(
        ids=np.arange(rows),
        batch=Batch(text=text, scalars=scalars),
        endpoint=endpoint,
        endpoints=names,
        providers=providers,
        models=names,
        columns=[
            *(Column(name, "request") for name in TEXT_FEATURES),
            *(Column(name, "request", "category") for name in ("route", "team")),
            *(Column(name, "request") for name in ("tools", "images", "turn")),
            *(Column(name, "endpoint", "category") for name in ("endpoint", "provider_name")),
            *(Column(name, "state") for name in state),
        ],
        categories={
            "endpoint": list(names),
            "provider_name": sorted(set(providers)),
            **{name: values.tolist() for name, values in words.items()},
        },
        targets={"output_tokens": tokens, "duration_s": tokens / 60 * (0.7 + 0.6 * load[0]) + 0.3},
        group=np.arange(rows) // 4,
        time=np.arange(rows, dtype=float),
        propensity=np.full(rows, np.nan),
        state=state,
        state_now={name: np.full(ENDPOINTS, 0.5) for name in state},
    )


class Clock:
    """Tells how long a step took, on the wall and in processor time of all threads, and the most memory so far."""

    def __init__(self) -> None:
        self._wall, self._busy = time.perf_counter(), time.process_time()

    def tell(self, step: str, more: str = "") -> None:
        """Print a line and begin the next step."""
        wall, busy = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        took = f"{wall - self._wall:7.1f} s  {busy - self._busy:7.1f} s busy"
        print(f"{step:<18} {took}  peak {peak:5.2f} GB  {more}", flush=True)
        self._wall, self._busy = wall, busy


def main() -> None:
    """Print a line for each step."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--heads", type=int, default=len(PLANS))
    given = arguments.parse_args()
    print(f"{given.rows:,} rows, {threads()} threads, load {os.getloadavg()[0]:.1f}")
    clock = Clock()
    frame = made(given.rows)
    clock.tell("frame")
    whole = Clock()
    bins = Binned(frame)
    clock.tell("bins")
    for plan in PLANS[: given.heads]:
        head = fit_head(frame, plan, Params(rounds=given.rounds), every_endpoint=False, binned=bins)
        clock.tell(plan.name, f"{head.trees} trees, {len(head.rows):,} rows audited")
    whole.tell("bins and heads")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
