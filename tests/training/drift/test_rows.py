"""Drift reads a part of the lake, and says what it would say of all of it."""

from datetime import UTC, datetime

import numpy as np
import pytest

from fairlead import features
from fairlead.training import logs, spec
from fairlead.training.champions import champion_of
from fairlead.training.drift import drift, errors, inputs, rows, run
from fairlead.training.registry import Registry


@pytest.fixture
def champions(trained):
    here, _ = trained
    registry = Registry.of(here)
    return [champion_of(registry, one.name).predictor for one in spec.read_all(here.models)]


def test_a_part_of_the_lake_is_joined_and_says_what_all_of_it_would(trained, champions, monkeypatch):
    here, _ = trained
    monkeypatch.setattr(inputs, "_MOST", 300)
    first, whole = champions[0], features.join(here, states=spec.tables_of(here.models))
    frame = logs.frame_of(whole)
    after = frame.time > first.trained_until
    expected = inputs.checks(*(frame.take(np.flatnonzero(side)).aligned(first) for side in (~after, after)), 0.0, 0.0)[
        :1
    ]
    for one in champions:
        new = (frame.time > one.trained_until) & ~np.isin(frame.group, frame.group[frame.time <= one.trained_until])
        kept = np.flatnonzero(new)
        expected += errors.checks(one, frame.take(kept[np.argsort(frame.time[kept], kind="stable")]).aligned(one))

    found = drift(here)
    read = rows.read(here, first.trained_until, [one.trained_until for one in champions])

    assert [
        one for one in found if one.group in ("errors", "calibration") or one.name == "request features"
    ] == expected
    assert read.joined.rows.height == 300 + after.sum() < whole.rows.height
    until = datetime.fromtimestamp(first.trained_until, UTC)
    assert run._strange(read, first, until) == (0.0, 0.0)


def test_champions_of_two_trainings_are_each_compared_with_what_came_after_theirs(trained, champions):
    here, _ = trained
    earlier, later = np.quantile(logs.frame_of(features.join(here, states=())).time, [0.5, 0.8])

    read = rows.read(here, later, [earlier, later])

    started = read.joined.rows["start_time"].dt.epoch("us").to_numpy() / 1e6
    whole = logs.frame_of(features.join(here, states=()))
    assert set(read.joined.rows["event_id"]) == set(whole.ids)  # fewer than are sampled came before
    assert set(read.sample) == set(whole.ids[whole.time <= later])
    assert len(started) == len(whole)
    for end in (earlier, later):
        after = whole.time > end
        again = after & np.isin(whole.group, whole.group[~after])
        assert set(read.again[end]) == set(whole.ids[again])
