"""Prompts made from small word lists: their length and their markers tell of the route and of the difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fairlead.evaluation.simulate.world import Floats, Integers

__all__ = ["ROUTES", "Route", "prompts"]


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request: its share of traffic, how hard it is, how long it and its answers are, and its words."""

    name: str
    share: float
    difficulty: float
    words: float  # of the prompt, at the median
    answer_tokens: float  # at the median
    opening: str
    vocabulary: str
    piece: str  # what only this route's prompts hold; {a}, {b} and {c} are numbers
    hard: tuple[str, ...]  # what a hard prompt says


_COMMON: Final = (
    "the a this that with for from and then when after before between each every other same first last next only also "
    "please should must can will has have was were is are our your their it they we you about into over under without "
)

ROUTES: Final = (
    Route(
        "support-chat",
        0.34,
        -0.9,
        34,
        110,
        "A customer writes:",
        "order parcel refund invoice account password delivery address subscription plan card login app update ticket "
        "charge discount return warranty box courier email phone store receipt trial upgrade cancel late broken",
        "Order {a}-{b}, placed {c} days ago.",
        ("They mention a chargeback and a lawyer.", "Two earlier agents gave opposite answers.", "Policy is unclear."),
    ),
    Route(
        "extraction",
        0.2,
        -0.4,
        60,
        70,
        "Extract the fields and answer with JSON only.",
        "supplier buyer total net tax currency date number line item quantity unit price reference bank due page "
        "header footer column amount balance shipment weight carton port vessel contract clause party signature stamp",
        '{{"invoice": "{a}-{b}", "total": null, "lines": {c}}}',
        ("Some lines are crossed out.", "Dates are in three formats.", "Totals do not add up; say which line is off."),
    ),
    Route(
        "summarise",
        0.16,
        -0.5,
        105,
        160,
        "Summarise for a busy reader.",
        "meeting team budget launch quarter market growth risk customer region supplier roadmap hiring incident review "
        "forecast target revenue margin decision owner deadline dependency legal audit platform partner survey",
        "Section {a}: page {b} of {c}.",
        ("Keep every number.", "Separate what is claimed from what is shown.", "Note where two speakers disagree."),
    ),
    Route(
        "code",
        0.17,
        0.5,
        48,
        330,
        "Fix the function below and explain the change.",
        "function class loop index list dictionary test error exception parser cache thread lock queue retry socket "
        "buffer pointer recursion generator decorator type schema migration query join transaction deadlock race",
        "```python\ndef step(x):\n    total = x[{a}] + {b}\n    return total / {c}\n```",
        ("It must stay thread-safe.", "Prove that it terminates.", "It has to run in O(n log n) for all edge cases."),
    ),
    Route(
        "maths",
        0.08,
        1.0,
        42,
        420,
        "Solve, and end with the answer on its own line.",
        "number sum product triangle circle angle prime integer fraction root probability dice ratio distance area "
        "volume sequence polynomial matrix vector limit integral derivative set graph path colour remainder divisor",
        "Given {a} + {b}x = {c}, with x > 0.",
        ("Prove it for all n.", "Give a closed form.", "Show that no other solution exists."),
    ),
    Route(
        "agent-tools",
        0.05,
        0.3,
        65,
        90,
        "Choose a tool and its arguments.",
        "calendar weather flight hotel search map route booking currency translate reminder timer file folder upload "
        "database record contact message thread channel alert sensor device thermostat playlist ticket seat gate",
        'tool(name="lookup", id={a}, limit={b}, page={c})',
        ("Several tools fit; use few calls.", "Call them in parallel where allowed.", "One argument is missing."),
    ),
)


def prompts(route: Integers, difficulty: Floats, rng: np.random.Generator) -> list[str]:
    """Write one prompt for each request, longer and with more markers where it is harder."""
    spread = 0.6 * rng.standard_normal(len(route))
    usual = np.array([one.words for one in ROUTES])[route]
    words = np.clip(np.rint(usual * np.exp(0.25 * difficulty + spread)), 12, 1200).astype(np.int64)
    markers = np.clip(np.rint(difficulty + 0.4 * rng.standard_normal(len(route))), 0, 3).astype(np.int64)
    numbers = rng.integers(2, 9999, (len(route), 3))
    vocabularies = [np.array((_COMMON + one.vocabulary).split(), dtype=object) for one in ROUTES]
    return [
        " ".join(
            [
                ROUTES[kind].opening,
                *_sentences(vocabularies[kind][rng.integers(0, len(vocabularies[kind]), length)]),
                ROUTES[kind].piece.format(a=a, b=b, c=c),
                *ROUTES[kind].hard[:hard],
            ]
        )
        for kind, length, hard, (a, b, c) in zip(
            route.tolist(), words.tolist(), markers.tolist(), numbers.tolist(), strict=True
        )
    ]


def _sentences(words: Sequence[str], length: int = 11) -> Iterator[str]:
    for begin in range(0, len(words), length):
        yield " ".join(words[begin : begin + length]).capitalize() + "."
