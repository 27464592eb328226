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
from fairlead.scoring.vectors import ROTATED, add_eight, fetch, first_bit

__all__ = ["predict_many", "predict_one", "raw_many", "raw_one"]

Array = np.ndarray[Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
_kernel = cast(Callable[[Function], Function], numba.njit(nogil=True, cache=True, error_model="numpy"))

# What the first places of `whole` say, and how many describe a slot; see `compiled.layout`.
HEAD: Final = range(9)
SLOTS, HEADS, ONE, WIDTH, BOUNDS, FLAGS, SLOT, TREES, ROWS = HEAD
SLOT_SIZE: Final = 7
NAMES: Final = len(heads.HEADS)
SEARCHED: Final = 128  # thresholds that are counted rather than searched
LINE: Final = 16  # masks that a processor fetches from memory at a time
BLOCK: Final = 16  # narrow leaves that add up in 32 bits, see NARROW_LIMIT


@_kernel
def leave_out(shapes: Array, among: Array, table: Array, many: int, starts: Array, trees: Array, masks: Array) -> int:
    """Copy the masks that rule something out, row by row, and all of rows that have one of each of the many trees.

    `shapes` (slots, 2) are rows and trees of each slot. Writes where rows begin to `starts`, whose masks they are to
    `trees`, and says how many there are.
    """
    kept = at = first = row = 0
    everything = ~table.dtype.type(0)
    for slot in range(len(shapes)):
        rows, width = shapes[slot, 0], shapes[slot, 1]
        for _ in range(rows):
            for place in range(width):
                mask = table[at + place]
                trees[kept], masks[kept] = among[first + place], mask
                kept += 1 if width == many or mask != everything else 0
            at += width
            row += 1
            starts[row] = kept
        first += width
    return kept


@_kernel
def search(value: float, cuts: Array) -> int:
    """Say how many thresholds in front, all below a value, leave SEARCHED of the rest to be counted."""
    low, high = 0, len(cuts) - SEARCHED
    while low < high:
        middle = (low + high + 1) >> 1
        if cuts[middle - 1] < value:
            low = middle
        else:
            high = middle - 1
    return low


@_kernel
def find_row(value: float, whole: Array, at: int, cuts: Array) -> int:
    """Find the row of the slot described at `at` for a value, as `tables.row_of` does.

    Of a number, row 0 rules nothing out.
    """
    start, stop = whole[at + 5], whole[at + 6]
    if whole[at + 4] == 0:
        known = value > -1.0 and value < stop - start
        of_code: int = whole[start + int(value)] if known else whole[at + 2]
        return of_code
    if abs(value) <= NEARLY_ZERO:
        return int(whole[at + 3])
    skipped = 0
    if stop - start > SEARCHED:
        skipped = search(value, cuts[start:stop])
        start, stop = start + skipped, start + skipped + SEARCHED
    below = skipped
    few = cuts[start:stop]
    for place in range(len(few)):  # as vectors, and without a branch that a processor could guess wrongly
        below += 1 if few[place] < value else 0
    row: int = whole[at + 2] if value != value else below
    return row


@_kernel
def rule_out(row: Array, whole: Array, cuts: Array, trees: Array, table: Array, left: Array) -> None:
    """AND what each column's value rules out: row (columns,) -> (trees,) masks of the leaves that are left."""
    for tree in range(len(left)):
        left[tree] = ~left.dtype.type(0)
    slots = whole[SLOTS]
    begins, ends = np.empty(slots, np.int64), np.empty(slots, np.int64)
    for slot in range(slots):  # first all rows, so that reading one need not wait for finding the next
        at = whole[SLOT] + SLOT_SIZE * slot
        found = whole[ROWS] + whole[at + 1] + find_row(row[whole[at]], whole, at, cuts)
        begins[slot], ends[slot] = whole[found], whole[found + 1]
        for place in range(begins[slot], ends[slot], LINE):
            fetch(table, place)
            fetch(trees, place)
    for slot in range(slots):
        masks, among = table[begins[slot] : ends[slot]], trees[begins[slot] : ends[slot]]
        if len(masks) == len(left):
            for tree in range(len(left)):
                left[tree] &= masks[tree]
        else:
            for place in range(len(masks)):
                left[among[place]] &= masks[place]


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
    trees: Array,
    table: Array,
    narrow: Array,
    wide: Array,
    masks: Array,
    base: Array,
    out: Array,
) -> None:
    """Sum each head's leaves for one request: row (columns,) -> out (H, K)."""
    left = np.empty(whole[TREES], table.dtype)
    rule_out(row, whole, cuts, trees, table, left)
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
    trees: Array,
    table: Array,
    narrow: Array,
    wide: Array,
    masks: Array,
    base: Array,
    out: Array,
) -> None:
    """Do the same for many requests: rows (n, columns) -> out (n, H, K)."""
    for request in range(len(rows)):
        raw_one(rows[request], whole, cuts, trees, table, narrow, wide, masks, base, out[request])


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
    trees: Array,
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
    raw_one(row, whole, cuts, trees, table, narrow, wide, masks, base, raw)
    raw += added
    finish(raw, tables, places, numbers, route, counted, guess, out)


@_kernel
def predict_many(
    rows: Array,
    whole: Array,
    cuts: Array,
    trees: Array,
    table: Array,
    narrow: Array,
    wide: Array,
    masks: Array,
    base: Array,
    tables: Array,
    places: Array,
    numbers: Array,
    added: Array,
    routes: Array,
    counted: Array,
    guess: Array,
    out: Array,
) -> None:
    """Do the same for many requests: rows (n, columns) -> out (7, n, K), to the bit."""
    one = np.empty((out.shape[0], out.shape[2]))
    raw = np.empty(base.shape)
    for request in range(len(rows)):
        raw_one(rows[request], whole, cuts, trees, table, narrow, wide, masks, base, raw)
        raw += added
        finish(raw, tables, places, numbers, routes[request], counted[request], guess[request], one)
        out[:, request] = one
