"""Drift reads a part of the lake, and says what it would say of all of it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fairlead import features, store
from fairlead.schema import Attempt
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


def test_where_nothing_was_known_yet_there_is_nothing_to_compare(trained):
    checks = drift(trained[0], as_of=datetime(2001, 1, 1, tzinfo=UTC))

    assert [(one.name, one.verdict) for one in checks] == [("requests", "unknown")]


def test_a_prompt_that_was_learned_from_and_a_retry_of_its_request_are_known_again(project):
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    told = [  # event, request, prompt; the first three are learned from, one of them at no endpoint that is known
        *(("it's", "r-0", b"a"), ("bare", "r-1", None), ("lost", "r-2", b"c")),
        *(("same", "r-3", b"a"), ("retry", "r-1", None), ("other", "r-4", b"b"), ("free", "r-5", b"c")),
    ]
    attempts = [
        Attempt(
            event_id=event,
            event_date=noon.date(),
            source="test",
            source_record_id=event,
            ingested_at=noon,
            request_id=request,
            provider_name="openai",
            response_model=None if event == "lost" else "m",
            start_time=noon + timedelta(minutes=place),
            status="ok",
            prompt_sha256=prompt and prompt * 32,
        )
        for place, (event, request, prompt) in enumerate(told)
    ]
    with store.open_lake(project.lake).loading(store.SourceFile(path="x", sha256="x", bytes=1)) as loading:
        loading.add("attempts", attempts)
        loading.commit()
    end = (noon + timedelta(minutes=2)).timestamp()

    read = rows.read(project, end, [end])

    assert (sorted(read.sample), sorted(read.again[end])) == (["bare", "it's"], ["retry", "same"])
    assert sorted(read.joined.rows["event_id"]) == ["bare", "free", "it's", "other", "retry", "same"]
