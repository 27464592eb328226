"""What events make of a world: who can be called when, at which price, how slow, how good.

Quality moves by chance and keeps its scale: to lower a mean `m` by `d`, each answer is spoilt with probability `d / m`;
to raise it, an answer is made perfect with probability `d / (1 - m)`. That moves the mean of any score from 0 to 1 by
exactly `d` in expectation, as long as it stays between 0 and 1, and the known chance behind it by the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.events import Event, columns
from fairlead.evaluation.simulate.world import Endpoint, Floats, Integers, World, list_cost

__all__ = ["Outage", "Timeline", "arrange", "mixed"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outage:
    """Some endpoints' calls that fail more often for a while: microseconds since 1970, and the share that fails."""

    places: tuple[int, ...]
    begin_us: int
    end_us: int
    share: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the events set, for each request at each endpoint."""

    there: Flags  # whether the endpoint can be called
    slower: Floats  # how many times as long an answer takes
    outages: tuple[Outage, ...]
    prices: tuple[tuple[tuple[int, Endpoint], ...], ...]  # by endpoint: from when (us), the endpoint with its prices

    def priced(self, place: int, moment_us: int) -> Endpoint:
        """Give an endpoint with the prices of a moment."""
        changes = self.prices[place]
        if len(changes) == 1:
            return changes[0][1]
        return next(one for begin, one in reversed(changes) if begin <= moment_us)


def mixed(world: World, moments: Integers, origin_us: int, events: Sequence[Event], rng: np.random.Generator) -> World:
    """Put the requests in another order, so that the routes' odds move with the `mix` events.

    The requests stay the same, so a route that is asked for more often in one span is asked for less in another.
    """
    changes = [one for one in events if one.kind == "mix"]
    if not changes:
        return world
    names, route = np.unique(np.array(world.dataset, dtype=object).astype(str), return_inverse=True)
    after_s = (moments - origin_us) / 1e6
    edges = sorted({0.0, *(one.from_s for one in changes), *(one.to_s for one in changes)})
    span = np.searchsorted(edges, after_s, side="right") - 1
    odds = np.ones((len(edges), len(names)))
    for one in changes:
        active = np.array([one.from_s <= edge < one.to_s for edge in edges])
        odds[np.ix_(np.flatnonzero(active), np.flatnonzero(names == one.route))] *= one.factor
    shares = _fitted(odds, np.bincount(span, minlength=len(edges)), np.bincount(route, minlength=len(names)))
    # Each request is given a span by its route's shares, as long as there is room in it, and any place within it.
    chance = np.cumsum(shares / shares.sum(axis=0), axis=0)[:, route]
    wanted = (rng.random(len(world)) > chance).sum(axis=0)
    order = np.lexsort((rng.random(len(world)), wanted))
    return world.take(_within(order, span, rng))


def arrange(
    world: World, moments: Integers, origin_us: int, events: Sequence[Event], rng: np.random.Generator
) -> tuple[World, Timeline]:
    """Let events change the outcomes of a world, and give what they set beside them."""
    shape = world.quality.shape
    after_s = (moments - origin_us) / 1e6
    there, slower = np.ones(shape, dtype=bool), np.ones(shape)
    outages: list[Outage] = []
    routes = np.array(world.dataset, dtype=object)
    for one in events:
        places = np.array(columns(one, world.endpoints), dtype=np.int64)
        rows = (after_s >= one.from_s) & (after_s < one.to_s) & (True if one.route is None else routes == one.route)
        cells = np.ix_(np.flatnonzero(rows), places)
        if one.kind == "drift":
            world = _drifted(world, cells, one.quality, rng)
        elif one.kind == "longer":
            made = world.tokens_out.copy()
            made[cells] = np.maximum(np.rint(made[cells] * one.factor), 1)
            world = replace(world, tokens_out=made, cost_usd=_dearer(world, made))
        elif one.kind == "slow":
            slower[cells] *= one.factor
        elif one.kind == "arrives":
            there[np.ix_(np.flatnonzero(after_s < one.from_s), places)] = False
        elif one.kind == "retires":
            there[np.ix_(np.flatnonzero(after_s >= one.from_s), places)] = False
        elif one.kind == "outage":
            begin = origin_us + round(one.from_s * 1e6)
            outages.append(Outage(tuple(places.tolist()), begin, begin + round((one.for_s or 0) * 1e6), one.share))
    if not there.any(axis=1).all():
        raise UsageError("arrives, retires: at some time no endpoint is left to call; leave one in")
    prices = tuple(_prices(one, place, world.endpoints, origin_us, events) for place, one in enumerate(world.endpoints))
    return _repriced(world, moments, prices), Timeline(there, slower, tuple(outages), prices)


def _fitted(odds: Floats, rows: Integers, routes: Integers) -> Floats:
    """Give how many requests of each route each span holds: these odds, these sums (iterative proportional fitting)."""
    found: Floats = odds * rows[:, None] * routes
    for _ in range(200):
        found = found * (rows / np.maximum(found.sum(axis=1), 1e-12))[:, None]
        found = found * (routes / np.maximum(found.sum(axis=0), 1e-12))
    return found


def _within(order: Integers, span: Integers, rng: np.random.Generator) -> Integers:
    """Fill the spans in turn from rows in the order of the spans they were given, each span shuffled."""
    taken: Integers = np.empty(len(order), dtype=np.int64)
    for one in np.unique(span):
        places = np.flatnonzero(span == one)
        taken[places] = rng.permutation(order[places[0] : places[0] + len(places)])
    return taken


def _drifted(world: World, cells: tuple[Integers, ...], by: float, rng: np.random.Generator) -> World:
    if not (cells[0].size and cells[1].size):
        return world
    base = world.quality if world.expected is None else world.expected
    mean = base[cells].mean(axis=0)
    lost = np.clip(-by / np.maximum(mean, 1e-9), 0, 1)
    won = np.clip(by / np.maximum(1 - mean, 1e-9), 0, 1)
    struck = rng.random(base[cells].shape) < (lost if by < 0 else won)
    quality = world.quality.copy()
    quality[cells] = np.where(struck, 0.0 if by < 0 else 1.0, quality[cells])
    expected = None if world.expected is None else world.expected.copy()
    if expected is not None:
        expected[cells] = expected[cells] * (1 - lost) if by < 0 else expected[cells] + (1 - expected[cells]) * won
    return replace(world, quality=quality, expected=expected)


def _dearer(world: World, tokens_out: Integers) -> Floats:
    """Give the costs of other answers: by price, or in step with their length where no price is known."""
    cost = np.round(world.cost_usd * tokens_out / np.maximum(world.tokens_out, 1), 12)
    for place, one in enumerate(world.endpoints):
        if one.priced:
            cost[:, place] = list_cost(one, world.tokens_in[:, place], tokens_out[:, place])
    return cost


def _prices(
    endpoint: Endpoint, place: int, endpoints: Sequence[Endpoint], origin_us: int, events: Sequence[Event]
) -> tuple[tuple[int, Endpoint], ...]:
    mine = [one for one in events if one.kind == "price" and place in columns(one, endpoints)]
    if mine and not endpoint.priced:
        raise UsageError(f"price: {endpoint.name} has no price per token here, so that none can change")
    edges = sorted({edge for one in mine for edge in (one.from_s, one.to_s) if np.isfinite(edge)})
    found = [(-(2**62), endpoint)]
    for edge in edges:
        factor = float(np.prod([one.factor for one in mine if one.from_s <= edge < one.to_s]))
        found.append((origin_us + round(edge * 1e6), _times(endpoint, factor)))
    return tuple(found)


def _times(endpoint: Endpoint, factor: float) -> Endpoint:
    return replace(
        endpoint,
        input_usd=round((endpoint.input_usd or 0.0) * factor, 9),
        output_usd=round((endpoint.output_usd or 0.0) * factor, 9),
    )


def _repriced(world: World, moments: Integers, prices: tuple[tuple[tuple[int, Endpoint], ...], ...]) -> World:
    if all(len(one) == 1 for one in prices):
        return world
    cost = world.cost_usd.copy()
    for place, changes in enumerate(prices):
        for begin, one in changes[1:]:
            rows = moments >= begin
            cost[rows, place] = list_cost(one, world.tokens_in[rows, place], world.tokens_out[rows, place])
    return replace(world, cost_usd=cost)
