"""The inputs of the networks: the text's projection, numbers, and categories as zeros and ones.

They are exactly what `scoring.dense.Dense.inputs` can say, so that training and scoring see the same numbers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.scoring.dense import Dense
from fairlead.scoring.projection import Projection
from fairlead.training import projection as projections
from fairlead.training.frame import Frame

__all__ = ["Inputs", "inputs_of"]

Array = np.ndarray[Any, Any]
LEAST_SEEN: Final = 20  # a category seen less often teaches a network nothing
MOST_CODES: Final = 100  # of one column
TEXTS: Final = 12  # different texts an axis of the projection needs: with fewer it describes those texts, not language
MOST: Final = 20.0  # standard deviations of a number's farthest value; a rarer mark would swing whole predictions


class Inputs(Struct, frozen=True, kw_only=True):
    """Where inputs come from and how they are standardised.

    `value` (n, D) float32 is standardised, unknown as 0. `layout` (D, 2), `center` and `scale` (D,) are those of
    `Dense` and `DenseHead`.
    """

    value: Array
    layout: Array
    center: Array
    scale: Array
    projection: Projection | None


def inputs_of(frame: Frame, *, dimensions: int = 128) -> Inputs:
    """Lay out a frame's requests, one a row; its words are projected where it has them."""
    projection, projected = _projected(frame, dimensions)
    layout: list[tuple[int, int]] = []
    columns = frame.request_columns()
    for place, column in enumerate(frame.columns):
        if column.owner != "request" or column.name in frame.hidden:
            continue
        if column.name.startswith("text_hash") and projection is not None:
            continue  # the projection says the same better
        if column.kind != "category":
            layout.append((place, -1))
            continue
        codes, counts = np.unique(columns[np.isfinite(columns[:, place]), place], return_counts=True)
        often = codes[np.argsort(-counts, kind="stable")][: min(MOST_CODES, int((counts >= LEAST_SEEN).sum()))]
        layout += [(place, int(code)) for code in np.sort(often)] if len(codes) > 1 else []
    layout += [(-1, place) for place in range(projected.shape[1])]
    plan = np.array(layout, dtype=np.int32).reshape(-1, 2)
    raw = Dense(inputs=plan, heads={}, mean=np.zeros(1, np.float32), share=0.0).row(columns, projected)
    center, scale = _standard(raw, plan[:, 0] < 0)
    kept = scale > 0
    plan, raw, center, scale = plan[kept], raw[:, kept], center[kept], scale[kept]
    value = np.nan_to_num((raw - center) * scale, nan=0.0, posinf=0.0, neginf=0.0)
    return Inputs(value=value, layout=plan, center=center, scale=scale, projection=projection)


def _projected(frame: Frame, dimensions: int) -> tuple[Projection | None, Array]:
    none = np.zeros((len(frame), 0), np.float32)
    if frame.batch.words is None:
        return None, none
    different = len({words.tobytes() for words in frame.batch.words})
    try:
        return projections.fit_words(frame.batch.words, dimensions=min(dimensions, max(different // TEXTS, 1)))
    except EvidenceError:  # texts that share no words: the columns alone speak
        return None, none


def _standard(raw: Array, of_text: Array) -> tuple[Array, Array]:
    """Centre and inverse spread of each input (D,); a spread of 0 gives 0, which drops it.

    The projection keeps its proportions, one spread for all: its later axes carry less, and are noise when blown up.
    """
    known = np.isfinite(raw)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, raw, 0.0).astype(np.float64)
    center = filled.sum(axis=0) / count
    spread = np.sqrt((np.where(known, filled - center, 0.0) ** 2).sum(axis=0) / count)
    # Rare marks have tiny spreads and would reach dozens of standard deviations.
    reach = np.abs(np.where(known, filled - center, 0.0)).max(axis=0, initial=0.0)
    spread = np.where(of_text, spread, np.maximum(spread, reach / MOST))
    if of_text.any():
        spread[of_text] = np.sqrt((spread[of_text] ** 2).mean())
    scale = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    return center.astype(np.float32), scale.astype(np.float32)
