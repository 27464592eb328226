import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.errors import ModelError
from fairlead.scoring.manifest import Column
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.training import calibrate, tables
from fairlead.training.fit import fit_head
from fairlead.training.forest import Binned
from fairlead.training.frame import Frame, folds_of
from fairlead.training.spec import HeadPlan, Params

QUALITY = HeadPlan(name="quality", target="quality")
TOKENS = HeadPlan(name="output_tokens_p90", target="output_tokens", alpha=0.9)
FAST = Params(rounds=60, learning_rate=0.1)


def frame(rows: int, *, signal: float, seed: int = 0) -> Frame:
    """Rows whose outcome depends on route, endpoint and, by `signal`, on what one text feature says."""
    rng = np.random.default_rng(seed)
    text = np.zeros((rows, len(TEXT_FEATURES)), np.float32)
    text[:, 0] = rng.normal(5, 1, rows)
    text[:, 5] = rng.normal(size=rows)
    route, endpoint = rng.integers(0, 2, rows), rng.integers(0, 3, rows)
    logit = 0.5 * endpoint - route + signal * np.sign(text[:, 5])
    size = np.exp(4 + 0.5 * endpoint + 0.3 * route + signal * text[:, 5] / 2 + rng.normal(size=rows) / 2)
    names = ("a", "b", "c")
    return Frame(
        ids=np.arange(rows).astype(str),
        batch=Batch(text=text, scalars={"route": np.array(["maths", "chat"], object)[route]}),
        endpoint=endpoint,
        endpoints=names,
        providers=names,
        models=names,
        columns=[
            *(Column(name, "request") for name in TEXT_FEATURES),
            Column("route", "request", "category"),
            Column("endpoint", "endpoint", "category"),
        ],
        categories={"route": ["maths", "chat"], "endpoint": list(names)},
        targets={"quality": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float), "output_tokens": size},
        group=np.arange(rows) // 2,
        time=np.arange(rows, dtype=float),
        propensity=np.full(rows, 1 / 3),
        state={},
        state_now={},
    )


def test_the_forest_is_served_where_the_text_matters():
    head = fit_head(frame(1500, signal=2.0), QUALITY, FAST)

    assert head.serve == "forest"
    assert head.metrics["gain_low"] > 0
    assert head.metrics["loss"] < 0.8 * head.metrics["loss_table"] < head.metrics["loss_endpoint_mean"]
    assert head.oof.shape == (1500, 3)


def test_the_table_is_served_where_there_is_nothing_more_to_learn():
    head = fit_head(frame(1500, signal=0.0), QUALITY, FAST)

    assert head.serve == "table"
    assert head.metrics["loss_served"] == head.metrics["loss_table"]


def test_a_quantile_covers_its_share_of_rows_not_learned_from():
    head, fresh = fit_head(frame(3000, signal=1.0), TOKENS, FAST), frame(3000, signal=1.0, seed=9)

    code = fresh.route.astype(int)
    value = head.table[code, fresh.endpoint]
    if head.serve == "forest":
        import lightgbm as lgb

        value = value + lgb.Booster(model_str=head.booster).predict(fresh.rows(), raw_score=True)
        value = value + head.offset[fresh.endpoint]

    assert np.mean(fresh.targets["output_tokens"] <= np.exp(value)) == pytest.approx(0.9, abs=0.03)


def test_nothing_of_a_held_out_fold_reaches_its_predictions(make_frame):
    frame = make_frame(600, outcome=lambda _rng, words, _route, _endpoint: np.where(words > 0, 0.9, 0.1))
    steady = Params(rounds=8, learning_rate=0.05)  # the number of rounds is the one choice all folds share
    fold = folds_of(frame.group, 4)
    changed = replace(frame, targets={**frame.targets, "quality": frame.targets["quality"].copy()})
    changed.targets["quality"][0] += 0.05

    first, second = fit_head(frame, QUALITY, steady), fit_head(changed, QUALITY, steady)

    assert (first.serve, second.serve) == ("forest", "forest")
    assert first.trees == second.trees > 0
    mine = fold == fold[0]
    assert first.oof[mine].tolist() == second.oof[mine].tolist()
    assert (first.oof[~mine] != second.oof[~mine]).any()


def test_rows_of_one_prompt_are_not_judged_by_their_twins(make_frame):
    coin = make_frame(
        900, rows_a_prompt=6, outcome=lambda rng, words, _route, _endpoint: rng.random(150).repeat(6) > 0.5
    )

    head = fit_head(coin, QUALITY, Params(rounds=150, learning_rate=0.1, num_leaves=31, min_data_in_leaf=2))

    # A tree could name each prompt by its words: held-out prompts show that there is nothing in it.
    assert head.serve == "table"
    assert head.metrics["loss_served"] > 0.2


def test_a_log_of_one_prompt_cannot_be_learned_from(make_frame):
    frame = make_frame(300, rows_a_prompt=150)

    with pytest.raises(ModelError) as fault:
        fit_head(frame, QUALITY, FAST)

    assert str(fault.value) == (
        "quality: the rows with quality repeat fewer than 4 prompts, so none can be held out; ingest logs with more "
        "different prompts"
    )


def test_too_few_rows_are_said_to_be_too_few():
    with pytest.raises(ModelError, match="quality: 20 rows have quality, 50 are needed; ingest more feedback"):
        fit_head(frame(20, signal=1.0), QUALITY, FAST)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(2, 5))
def test_rows_of_a_group_never_part(groups, folds):
    group = np.array(groups)

    fold = folds_of(group, folds)

    assert {int(f) for f in fold} <= set(range(folds))
    assert all(len(set(fold[group == one].tolist())) == 1 for one in set(groups))


def test_a_table_falls_back_from_cell_to_route_to_endpoint():
    value = np.array([1.0] * 40 + [0.0] * 40)
    route = np.array([0.0] * 40 + [1.0] * 40)
    endpoint = np.array([0, 1] * 40)

    table = tables.fit(value, route, endpoint, (4, 3))

    assert table.shape == (4, 3)
    assert table[0, 0] > 0.9
    assert table[1, 1] < 0.1
    # a route that was declared but never seen, a route that is unknown, an endpoint that was never called
    assert table[2].tolist() == table[3].tolist()
    assert table[3, 2] == pytest.approx(0.5)


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_a_crossfitted_value_does_not_see_its_own_fold(seed):
    rng = np.random.default_rng(seed)
    value, route, endpoint = rng.random(60), rng.integers(0, 3, 60).astype(float), rng.integers(0, 2, 60)
    fold = rng.integers(0, 3, 60)
    moved = np.where(fold == 1, value + 100, value)

    first = tables.crossfit(value, route, endpoint, (4, 2), fold)
    second = tables.crossfit(moved, route, endpoint, (4, 2), fold)

    assert first[fold == 1].tolist() == second[fold == 1].tolist()


def test_offsets_bring_a_quantile_to_its_share():
    rng = np.random.default_rng(0)
    endpoint = rng.integers(0, 2, 6000)
    residual = rng.normal(size=6000) + endpoint * 3

    shift = calibrate.offsets(residual[:4000], endpoint[:4000], 2, 0.9)

    assert np.mean(residual[4000:] <= shift[endpoint[4000:]]) == pytest.approx(0.9, abs=0.02)
    assert calibrate.offsets(np.zeros(0), np.zeros(0, int), 2, 0.5).tolist() == [0.0, 0.0]


def test_margins_are_lower_bounds_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    below = []
    for _ in range(60):
        predicted, endpoint = rng.random(800), rng.integers(0, 2, 800)
        truth = 0.9 * predicted  # the predictions promise too much
        actual = (rng.random(800) < truth).astype(float)
        edges, margin = calibrate.margins(predicted, actual, endpoint, 2)
        which = np.searchsorted(edges, predicted)
        for k in range(2):
            for b in range(len(edges) + 1):
                mine = (endpoint == k) & (which == b)
                if mine.sum() > 10:
                    below.append(truth[mine].mean() < predicted[mine].mean() - margin[k, b])

    assert np.mean(below) <= 0.08


def test_smearing_turns_medians_into_means():
    rng = np.random.default_rng(2)
    actual, endpoint = rng.lognormal(0, 1, 20_000), rng.integers(0, 2, 20_000)

    factor = calibrate.smearing(actual, np.ones(20_000), endpoint, 2)

    assert factor == pytest.approx([np.exp(0.5)] * 2, rel=0.05)


def test_a_table_of_quantiles_holds_its_share_in_every_cell():
    rng = np.random.default_rng(3)
    route, endpoint = rng.integers(0, 2, 8000).astype(float), rng.integers(0, 2, 8000)
    value = rng.normal(size=8000) * (1 + 3 * route) + endpoint  # wider on the second route

    table = tables.fit(value, route, endpoint, (3, 2), alpha=0.9)

    z90 = 1.2816
    assert table[:2] == pytest.approx(np.array([[z90, 1 + z90], [4 * z90, 1 + 4 * z90]]), abs=0.35)
    assert np.mean(value <= tables.at(table, route, endpoint)) == pytest.approx(0.9, abs=0.02)


def test_heads_that_share_bins_are_those_that_do_not():
    rows = frame(900, signal=1.0)
    bins = Binned(rows)

    shared = [fit_head(rows, plan, FAST, binned=bins) for plan in (TOKENS, QUALITY)]

    for head in shared:
        alone = fit_head(rows, head.plan, FAST)
        assert head.booster == alone.booster
        assert head.oof.tolist() == alone.oof.tolist()


def test_of_many_rows_whole_prompts_are_audited(monkeypatch):
    monkeypatch.setattr("fairlead.training.fit.AUDIT_ROWS", 1000)
    monkeypatch.setattr("fairlead.training.forest.SAMPLED", 700)
    monkeypatch.setattr("fairlead.training.forest.BLOCK", 400)
    rows = frame(4000, signal=2.0)

    head = fit_head(rows, TOKENS, FAST)

    assert len(head.rows) == 1000
    chosen = set(rows.group[head.rows].tolist())
    assert len(chosen) == 500  # both rows of each prompt
    assert head.serve == "forest"
    assert head.metrics["coverage"] == pytest.approx(0.9, abs=0.03)
    assert head.oof.shape == (1000, 3)
