"""What reading a prompt costs: the compiled kernel, numpy alone, and scikit-learn's hashing, in one run.

    python benchmarks/request_features.py [--rounds 30] [--old FOLDER]

Prompts are cut from the repository's own sources and documents. In a round each method in turn reads all prompts
once; a figure is the median (and the 99th percentile) over prompts of the quickest round of each, in microseconds of
one thread. `--old` is the `src` of a checkout to compare with. The last lines are the text's part of a decision: the
projection, and projection with two dense heads at 24 endpoints.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from fairlead.scoring import text as texts
from fairlead.scoring.dense import Dense, DenseHead, Layer
from fairlead.scoring.parts import DenseQuality
from fairlead.scoring.projection import Projection
from fairlead.scoring.text import kernels, plain

ROOT = Path(__file__).parents[1]
SIZES = (100, 450, 1000, 4000)


def prompts(size: int, many: int) -> list[str]:
    """Cut pieces of the repository's text."""
    files = sorted([*ROOT.glob("src/fairlead/**/*.py"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
    whole = "".join(path.read_text(encoding="utf-8") for path in files)
    step = max((len(whole) - size) // many, 1)
    return [whole[at * step : at * step + size] for at in range(many)]


def using(engine: Any, call: Callable[[str], Any]) -> Callable[[str], Any]:
    """Give `call` with texts read by one engine."""

    def run(prompt: str) -> Any:
        texts._engine = engine
        return call(prompt)

    return run


def dense(width: int = 128, columns: int = 134, endpoints: int = 24) -> DenseQuality:
    """Make a projection of 2**13 buckets and two heads of random weights, an MLP of 64 and a low-rank one of 4."""
    random = np.random.default_rng(0)
    inputs = [(-1, place) for place in range(width)] + [(place, -1) for place in range(columns)]
    heads = {}
    for name, hidden in (("mlp", 64), ("irt", 4)):
        sizes = (len(inputs), hidden, endpoints)
        heads[name] = DenseHead(
            center=np.zeros(len(inputs), np.float32),
            scale=np.ones(len(inputs), np.float32),
            platt=np.ones((2, endpoints), np.float32),
            layers=tuple(
                Layer(
                    weights=random.normal(size=pair).astype(np.float32), bias=np.zeros(pair[1], np.float32), relu=relu
                )
                for pair, relu in zip(itertools.pairwise(sizes), (name == "mlp", False), strict=True)
            ),
        )
    joined = Dense(inputs=np.array(inputs, np.int32), heads=heads, mean=np.full(endpoints, 0.5, np.float32), share=0.5)
    rows = random.normal(size=(1 << 13, width)).astype(np.float32)
    return DenseQuality(joined, Projection(rows=rows, idf=np.ones(1 << 13, np.float32)))


def old_features(folder: Path) -> Callable[[str], Any]:
    """Load another checkout's text_features."""
    spec = importlib.util.spec_from_file_location("old_request", folder / "fairlead" / "scoring" / "request.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["old_request"] = module
    spec.loader.exec_module(module)
    return module.text_features


def measured(methods: dict[str, Callable[[str], Any]], cut: list[str], rounds: int) -> dict[str, tuple[float, float]]:
    """Give median and 99th percentile over prompts of each method's quickest call, in microseconds."""
    best = {name: np.full(len(cut), np.inf) for name in methods}
    for _ in range(rounds):
        for name, call in methods.items():
            for index, prompt in enumerate(cut):
                started = time.perf_counter_ns()
                call(prompt)
                best[name][index] = min(best[name][index], time.perf_counter_ns() - started)
    return {name: (float(np.median(took)) / 1e3, float(np.percentile(took, 99)) / 1e3) for name, took in best.items()}


def main() -> None:
    """Print a line for each method: median / p99 at each size, and its ratio to the compiled kernel."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--prompts", type=int, default=100)
    arguments.add_argument("--old", type=Path)
    given = arguments.parse_args()
    hashing = HashingVectorizer(ngram_range=(1, 2), n_features=1 << 13)
    predict = dense()
    row, projection = np.zeros(134), predict._projection
    words: dict[str, Any] = {}
    methods: dict[str, Callable[[str], Any]] = {
        "features, numba": using(kernels, texts.read),
        "features, numpy": using(plain, texts.read),
        "np.bincount": lambda prompt: np.bincount(np.frombuffer(prompt.encode(), np.uint8), minlength=256),
        "HashingVectorizer": lambda prompt: hashing.transform([prompt]),
        "projection, numba": using(kernels, lambda prompt: projection.of(words[prompt])),
        "projection, numpy": using(plain, lambda prompt: projection.of(words[prompt])),
        "dense, numba": using(kernels, lambda prompt: predict.of(words[prompt], row)),
        "dense, numpy": using(plain, lambda prompt: predict.of(words[prompt], row)),
    }
    if given.old:
        methods["features, before"] = old_features(given.old)
    found = {}
    for size in SIZES:
        cut = prompts(size, given.prompts)
        words.update((prompt, texts.read(prompt)[1]) for prompt in cut)
        found[size] = measured(methods, cut, given.rounds)
    print(f"{'median / p99, us':<20}" + "".join(f"{size:>17} ch" for size in SIZES) + "   x numba at 450")
    for name in methods:
        cells = "".join(f"{found[size][name][0]:>11.1f} /{found[size][name][1]:>7.1f}" for size in SIZES)
        print(f"{name:<20}{cells}   {found[450][name][0] / found[450]['features, numba'][0]:>6.1f}")


if __name__ == "__main__":
    main()
