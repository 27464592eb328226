import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairlead.scoring.manifest import Column
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.training.frame import Frame

ENDPOINTS = ("cheap", "dear")
BYTES, WORDS = TEXT_FEATURES.index("text_bytes_log"), TEXT_FEATURES.index("text_words_log")
COLUMNS = [
    Column("text_bytes_log", "request"),
    Column("text_words_log", "request"),
    Column("route", "request", "category"),
    Column("endpoint", "endpoint", "category"),
    Column("load", "state"),
]
CATEGORIES = {"endpoint": list(ENDPOINTS), "route": ["chat", "maths"]}


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., Frame]:
    """A function that makes n rows over two routes and two endpoints.

    `outcome(rng, words, route, endpoint)` gives the quality (all arrays (n,)); durations follow words times noise.
    """

    def make(n: int = 800, seed: int = 0, outcome: Any = None, rows_a_prompt: int = 1, start: float = 0.0) -> Frame:
        rng = np.random.default_rng(seed)
        prompt = np.arange(n) // rows_a_prompt
        words = rng.normal(size=n)[prompt]
        route, endpoint = rng.integers(0, 2, n)[prompt], rng.integers(0, 2, n)
        text = np.zeros((n, len(TEXT_FEATURES)), dtype=np.float32)
        text[:, BYTES], text[:, WORDS] = math.log1p(396), words
        quality = rng.random(n) < 0.6 if outcome is None else outcome(rng, words, route, endpoint)
        return Frame(
            ids=np.array([f"{seed}-{row}" for row in range(n)], dtype=object),
            batch=Batch(text=text, scalars={"route": np.array(CATEGORIES["route"], dtype=object)[route]}),
            endpoint=endpoint,
            endpoints=ENDPOINTS,
            providers=("one", "other"),
            models=ENDPOINTS,
            columns=COLUMNS,
            categories=CATEGORIES,
            targets={
                "quality": quality.astype(np.float64),
                "duration_s": np.exp(0.5 * endpoint + 0.3 * route + rng.normal(0, 0.5, n)),
                "output_tokens": np.exp(4 + words + rng.normal(0, 0.3, n)),
                "input_tokens": 120.0 * np.exp(rng.normal(0, 0.1, n)),
            },
            group=np.array([f"{seed}-{one}" for one in prompt]),
            time=start + np.arange(n, dtype=np.float64),
            propensity=np.full(n, 0.5),
            state={"load": rng.random(n)},
            state_now={"load": np.array([0.25, 0.75])},
        )

    return make
