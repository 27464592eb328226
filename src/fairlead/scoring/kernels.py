"""The engine's loops for numba: the only module that imports it, and only when the engine asks.

Numba checks no bounds, so every index here follows from what `checks` let through. Arguments are few and flat because
each one costs a call 0.1 microseconds: `whole` holds all numbers that are places (see `compiled.layout`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

from fairlead.scoring import heads
from fairlead.scoring.forest import NEARLY_ZERO
from fairlead.scoring.vectors import ROTATED, add_eight, first_bit

__all__ = ["predict_one", "raw_many", "raw_one"]

Array = np.ndarray[Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
_kernel = cast(Callable[[Function], Function], numba.njit(nogil=True, cache=True, error_model="numpy"))

SLOTS, HEADS, ONE, WIDTH, BOUNDS, FLAGS, SLOT = range(7)  # what the first places of `whole` say
NAMES: Final = len(heads.HEADS)
BLOCK: Final = 16  # narrow leaves that add up in 32 bits, see NARROW_LIMIT


@_kernel
def find_rows(row: Array, whole: Array, cuts: Array, found: Array) -> int:
    """Find the table's row of each slot for one request, as `tables.rows_of` does, and say how many rule anything out.

    A number at or below all thresholds rules nothing out: its row is left out. Most features of most texts are 0.
    """
    count = 0
    for slot in range(whole[SLOTS]):
        at = whole[SLOT] + 7 * slot
        value, first = row[whole[at]], whole[at + 1]
        start, stop = whole[at + 5], whole[at + 6]
        is_number = whole[at + 4] != 0
        if value != value:
            place = whole[at + 2]
        elif not is_number:
            known = value > -1.0 and value < stop - start
            place = whole[start + int(value)] if known else whole[at + 2]
        elif abs(value) <= NEARLY_ZERO:
            place = whole[at + 3]
        else:
            low, size = start, stop - start
            while size > 1:  # no branch in it that a processor could guess wrongly
                half = size >> 1
                low += half if cuts[low + half - 1] < value else 0
                size -= half
            place = first + low - start + (1 if cuts[low] < value else 0)
        if not is_number or place != first:
            found[count] = place
            count += 1
    return count


@_kernel
def rule_out(table: Array, found: Array, left: Array) -> None:
    """AND the rows that were found: (trees,) masks of the leaves that are left."""
    slots, trees = len(found), len(left)
    for tree in range(trees):
        left[tree] = ~left.dtype.type(0)
    slot = 0
    while slot + 4 <= slots:
        a, b, c, d = table[found[slot]], table[found[slot + 1]], table[found[slot + 2]], table[found[slot + 3]]
        for tree in range(trees):
            left[tree] &= a[tree] & b[tree] & c[tree] & d[tree]
        slot += 4
    while slot < slots:
        a = table[found[slot]]
        for tree in range(trees):
            left[tree] &= a[tree]
        slot += 1


@_kernel
def add_narrow(
    left: Array, masks: Array, begin: int, end: int, one: int, width: int, leaves: Array, total: Array
) -> None:
    """Add the leaves of the trees begin to end to `total`, in whole numbers, eight endpoints at once."""
    padded = masks.shape[1]
    flat = masks.reshape(-1)
    part = np.empty(padded, np.int32)
    while begin < end:
        stop = min(begin + BLOCK, end)
        part[:] = 0
        for tree in range(begin, stop):
            for endpoint in range(0, padded, 8):
                at = (tree - one) * padded + endpoint
                add_eight(left[tree], flat, at, leaves, tree * width, part, endpoint)
        for endpoint in range(padded):
            total[endpoint] += part[endpoint]
        begin = stop


@_kernel
def add_wide(
    left: Array, masks: Array, begin: int, end: int, one: int, width: int, leaves: Array, total: Array
) -> None:
    """Add the leaves of the trees begin to end at each endpoint to `total` (K,), as they are."""
    for tree in range(begin, end):
        mine, base = left[tree], tree * width
        row = masks[tree - one]
        for endpoint in range(masks.shape[1]):
            total[endpoint] += leaves[base + first_bit(mine & row[endpoint])]


@_kernel
def raw_one(
    row: Array,
    whole: Array,
    cuts: Array,
    table: Array,
    narrow: Array,
    wide: Array,
    masks: Array,
    base: Array,
    out: Array,
) -> None:
    """Sum each head's leaves for one request: row (columns,) -> out (H, K)."""
    found = np.empty(whole[SLOTS], np.int64)
    left = np.empty(table.shape[1], table.dtype)
    count = find_rows(row, whole, cuts, found)
    rule_out(table, found[:count], left)
    heads, one, width = whole[HEADS], whole[ONE], whole[WIDTH]
    endpoints = base.shape[1]
    total = np.empty(masks.shape[1], np.float64)
    for head in range(heads):
        at = whole[BOUNDS] + head
        is_wide = whole[whole[FLAGS] + head] != 0
        alone = 0.0
        for tree in range(whole[at], whole[at + 1]):
            bit = first_bit(left[tree])
            if is_wide:
                alone += wide[tree * width + bit]
            else:
                alone += narrow[tree * width + ((bit + ROTATED) & 31 if width == 32 else bit)]
        at += heads + 1
        total[:] = alone
        if is_wide:
            add_wide(left, masks, whole[at], whole[at + 1], one, width, wide, total)
        else:
            add_narrow(left, masks, whole[at], whole[at + 1], one, width, narrow, total)
        scale = cuts[len(cuts) - heads + head]
        for endpoint in range(endpoints):
            out[head, endpoint] = base[head, endpoint] + scale * total[endpoint]


@_kernel
def raw_many(
    rows: Array,
    whole: Array,
    cuts: Array,
    table: Array,
    narrow: Array,
    wide: Array,
    masks: Array,
    base: Array,
    out: Array,
) -> None:
    """Do the same for many requests: rows (n, columns) -> out (n, H, K)."""
    for request in range(len(rows)):
        raw_one(rows[request], whole, cuts, table, narrow, wide, masks, base, out[request])


@_kernel
def larger(a: float, b: float) -> float:
    """Give the larger of two numbers, NaN where either is: numpy's maximum."""
    return a if a > b or a != a else b


@_kernel
def finish(
    raw: Array, tables: Array, places: Array, numbers: Array, route: int, counted: float, guess: float, out: Array
) -> None:
    """Turn sums (H, K) into predictions (7, K): what `Heads.predict` does."""
    heads, endpoints = raw.shape
    has_cost, edges = places[heads] != 0, places[heads + 1]
    money = NAMES
    first_edge = money + 4 * endpoints
    margins = first_edge + edges
    value = np.empty(NAMES)
    for k in range(endpoints):
        for name in range(NAMES):
            value[name] = tables[route, name, k]
        for head in range(heads):
            if places[head] >= 0:
                value[places[head]] += raw[head, k]
        for name in range(NAMES):
            one = min(max(value[name], -50.0), 50.0) if value[name] == value[name] else math.nan
            value[name] = 1.0 / (1.0 + math.exp(-one)) if numbers[name] < 0 else math.exp(one)
        if has_cost:
            mean, dear = value[6] * numbers[money + endpoints + k], value[7]
        else:
            input_usd, output_usd = numbers[money + 2 * endpoints + k], numbers[money + 3 * endpoints + k]
            tokens = counted if math.isfinite(counted) and counted >= 0 else guess * value[3]
            mean = tokens * input_usd + value[4] * numbers[money + k] * output_usd
            dear = tokens * input_usd + larger(value[4], value[5]) * output_usd
        quality = value[0]
        bin_ = 0
        while bin_ < edges and not quality <= numbers[first_edge + bin_]:
            bin_ += 1
        low = quality - numbers[margins + k * (edges + 1) + bin_]
        out[0, k] = quality
        out[1, k] = min(max(low, 0.0), 1.0) if low == low else low
        out[2, k] = mean
        out[3, k] = dear if mean != mean or dear > mean else mean  # the one that is known, where only one is
        out[4, k] = value[1]
        out[5, k] = larger(value[1], value[2])
        out[6, k] = value[8]


@_kernel
def predict_one(
    row: Array,
    whole: Array,
    cuts: Array,
    table: Array,
    narrow: Array,
    wide: Array,
    masks: Array,
    base: Array,
    tables: Array,
    places: Array,
    numbers: Array,
    added: Array,
    route: int,
    counted: float,
    guess: float,
    out: Array,
) -> None:
    """Predict for one request at every endpoint: row (columns,) -> out (7, K)."""
    raw = np.empty(base.shape)
    raw_one(row, whole, cuts, table, narrow, wide, masks, base, raw)
    raw += added
    finish(raw, tables, places, numbers, route, counted, guess, out)
