"""Cascades: each step, what they are told of answers, and that every path has its exact probability."""

from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import ModelError, UsageError
from fairlead.evaluation.cascades import Costs, at_floor, play
from fairlead.scoring import Predictor, Request
from fairlead.scoring.cascade import Accept, Answer, Ask, Cascade, Seen, Stage, StoppingRule, digest
from fairlead.scoring.cascade.cascade import chances
from fairlead.scoring.cascade.rule import logit, sigmoid, signals
from fairlead.training.cascade import Evidence, crossfit, fit_rule

NAMES = ("cheap", "dear")  # of the snapshot in conftest
WHOLE = Request(id="r", route="maths", input_tokens=100)


def stage(asked, agree=0.0, longer=0.0, own=1.0):
    """A stage whose curves hold the prediction, and move by the first answer's length and by agreement."""
    width = 2 + 6 * len(asked) + 4 * (len(asked) == 2)
    weights = np.zeros((len(NAMES), width))
    weights[:, 1] = own
    weights[NAMES.index(asked[0]), 2] = longer
    if len(asked) == 2:
        weights[:, -3], weights[:, -2] = agree, -agree
    return Stage(asked=asked, weights=weights.tolist(), shifts=[[0.0, 0.0], [1.0, 1.0], [-3.0, 0.0]])


def rule(*stages):
    return StoppingRule(
        endpoints=NAMES, routes=("maths",), typical=[[float(np.log(100.0))] * 2] * 2, spread=[1.0, 1.0], stages=stages
    )


ONE = rule(stage(("cheap",), longer=-3.0))


def test_a_probe_is_asked_first_and_its_usual_answer_taken(snapshot):
    cascade = Cascade(snapshot, ONE, usd_price=10.0)

    asked = cascade.start(WHOLE)
    done = cascade.next(WHOLE, [Answer(endpoint="cheap", output_tokens=20)])

    assert asked == Ask(
        endpoints=("cheap",),
        propensity=1.0,
        path_propensity=1.0,
        step=0,
        cost_usd=pytest.approx(100e-6 + 150 * 2e-6),
        latency_s=pytest.approx(1.0),
    )
    assert (done.endpoint, done.asked, done.step) == ("cheap", ("cheap",), 1)
    assert done.cost_usd == asked.cost_usd
    assert done.quality > 0.9  # the answer is shorter than usual, which speaks for it here


def test_an_answer_that_looks_wrong_sends_the_request_on_and_both_are_paid(snapshot):
    cascade = Cascade(snapshot, ONE, usd_price=1.0)
    probe = Answer(endpoint="cheap", output_tokens=900)

    on = cascade.next(WHOLE, [probe])
    done = cascade.next(WHOLE, [probe, Answer(endpoint="dear", output_tokens=90)])

    first = cascade.start(WHOLE)
    assert (on.endpoints, on.step, on.propensity) == (("dear",), 1, 1.0)
    assert (done.endpoint, done.asked) == ("dear", ("cheap", "dear"))
    assert done.cost_usd == pytest.approx(first.cost_usd + on.cost_usd)
    assert done.latency_s == pytest.approx(first.latency_s + on.latency_s)


def test_probes_asked_together_cost_both_and_wait_for_the_slower_one(snapshot):
    pair = rule(stage(NAMES, agree=2.0))
    cascade = Cascade(snapshot, pair)  # money and time are free, so both are asked

    asked = cascade.start(WHOLE)
    done = cascade.next(WHOLE, [Answer(endpoint="dear", digest="a"), Answer(endpoint="cheap", digest="a")])

    assert set(asked.endpoints) == set(NAMES)
    assert asked.latency_s == pytest.approx(2.0)
    assert asked.cost_usd == pytest.approx(100e-6 + 150 * 2e-6 + 100e-5 + 150 * 4e-5)
    assert isinstance(done, Accept)


def test_agreement_raises_what_is_expected_and_disagreement_lowers_it():
    pair = rule(stage(NAMES, agree=2.0))
    answers = [
        [Answer(endpoint="cheap", digest="a"), Answer(endpoint="dear", digest=other)] for other in ("a", "b", None)
    ]
    quality = np.array([[0.6, 0.7]])

    found = [pair.posterior(pair.stages[0], quality, Seen.of(NAMES, one), np.array([0.0]))[0] for one in answers]

    np.testing.assert_allclose(logit(found[0]) - logit(found[2]), 2.0)
    np.testing.assert_allclose(logit(found[1]) - logit(found[2]), -2.0)
    np.testing.assert_allclose(found[2], quality[0])


def test_a_failed_answer_is_never_taken(snapshot):
    cascade = Cascade(snapshot, ONE, usd_price=10.0)
    failed = Answer(endpoint="cheap", failed=True)

    assert cascade.next(WHOLE, [failed]).endpoints == ("dear",)
    with pytest.raises(UsageError, match="every endpoint it may go to has failed"):
        cascade.next(WHOLE, [failed, Answer(endpoint="dear", failed=True)])


def test_of_two_probes_the_one_that_came_is_looked_at(snapshot):
    telling = msgspec.structs.replace(stage(NAMES), shifts=[[5.0, -5.0], [-5.0, 5.0]])
    cascade = Cascade(snapshot, rule(telling, stage(("cheap",), longer=-3.0)))
    failed = Answer(endpoint="dear", failed=True)

    short = cascade.next(WHOLE, [Answer(endpoint="cheap", output_tokens=20), failed])
    asked = cascade.start(WHOLE)

    assert set(asked.endpoints) == set(NAMES)
    assert (short.endpoint, short.cost_usd) == ("cheap", pytest.approx(asked.cost_usd))
    assert short.quality > 0.9


def test_only_what_the_request_allows_is_asked(snapshot):
    cascade = Cascade(snapshot, ONE, usd_price=10.0)
    only = msgspec.structs.replace(WHOLE, endpoints=("dear",))

    assert cascade.start(only).endpoints == ("dear",)
    closed = Cascade(
        snapshot, ONE, restrict=lambda seen, _: msgspec.structs.replace(seen, eligible=seen.eligible & False)
    )
    with pytest.raises(UsageError, match=r"none of \[\] is in the snapshot"):
        closed.start(WHOLE)
    with pytest.raises(UsageError, match=r"none of \['other'\] is in the snapshot"):
        cascade.start(msgspec.structs.replace(WHOLE, endpoints=("other",)))


def test_answers_off_the_path_are_refused(snapshot):
    cascade = Cascade(snapshot, ONE, usd_price=10.0)

    with pytest.raises(UsageError, match="the answers of cheap are due"):
        cascade.next(WHOLE, [Answer(endpoint="dear")])
    with pytest.raises(UsageError, match="the answers of cheap are due"):
        cascade.next(WHOLE, [])
    with pytest.raises(UsageError, match="the path ended with cheap"):
        cascade.next(WHOLE, [Answer(endpoint="cheap", output_tokens=20), Answer(endpoint="dear")])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([20, 100, 900, None]))
def test_a_paths_probability_is_the_product_of_its_steps_and_replays(snapshots, number, exploration, tokens):
    cascade = Cascade(snapshots, rule(stage(("cheap",), longer=-3.0), stage(("dear",))), 10.0, exploration=exploration)
    request = msgspec.structs.replace(WHOLE, id=f"r-{number}")
    answers, step, chance = [], cascade.start(request), 1.0

    while isinstance(step, Ask):
        chance *= step.propensity
        assert step.path_propensity == pytest.approx(chance)
        answers += [Answer(endpoint=name, output_tokens=tokens) for name in step.endpoints]
        step = cascade.next(request, answers)

    assert step.path_propensity == pytest.approx(chance * step.propensity)
    assert step == cascade.next(request, answers)
    assert step.asked == tuple(answer.endpoint for answer in answers)


def test_paths_are_drawn_as_often_as_their_probability_says(snapshot):
    cascade = Cascade(snapshot, rule(stage(("cheap",)), stage(("dear",))), 10.0, exploration=0.6)
    seen = {}
    for number in range(300):
        request = msgspec.structs.replace(WHOLE, id=f"r-{number}")
        answers, step = [], cascade.start(request)
        while isinstance(step, Ask):
            answers += [Answer(endpoint=name) for name in step.endpoints]
            step = cascade.next(request, answers)
        seen.setdefault((*step.asked, step.endpoint), []).append(step.path_propensity)

    assert sum(chance[0] for chance in seen.values()) == pytest.approx(1.0)  # every path was seen, and they are all
    for chance in seen.values():
        assert len(set(np.round(chance, 12))) == 1
        spread = np.sqrt(chance[0] * (1 - chance[0]) / 300)
        assert abs(len(chance) / 300 - chance[0]) < 4.5 * spread


def test_exploration_goes_evenly_over_what_is_possible():
    np.testing.assert_allclose(chances(np.array([[0.2, 0.9, -np.inf, 0.1]]), 0.3), [[0.1, 0.8, 0.0, 0.1]])


def test_a_rule_for_other_endpoints_is_refused(snapshot):
    other = StoppingRule(endpoints=("a", "b"), routes=(), typical=[[0.0, 0.0]], spread=[1.0, 1.0], stages=())

    with pytest.raises(UsageError, match="learned for other endpoints"):
        Cascade(snapshot, other)


@pytest.mark.parametrize("prices", [{"usd_price": -1.0}, {"second_price": np.nan}, {"exploration": 1.5}])
def test_a_price_or_share_that_cannot_be_is_refused(snapshot, prices):
    with pytest.raises(UsageError, match="policy cascade"):
        Cascade(snapshot, ONE, **prices)


def test_digests_compare_what_is_said_not_how_it_is_written():
    assert digest("The answer: 1,234.0") == digest("the  ANSWER: 1234")
    assert digest("12") != digest("1 2")
    assert digest("12", key=b"a") != digest("12", key=b"b")
    assert digest("...") is None


def test_a_rule_is_data_and_reads_back_the_same():
    assert msgspec.json.decode(msgspec.json.encode(ONE), type=StoppingRule) == ONE


# Learning: a world in which the probe's answer is longer when it is wrong, and two probes agree when they are right.


def world(n=800, seed=0, telling=True):
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=n)
    quality = sigmoid(np.stack([0.5 - hard, 0.4 - hard, 2.5 - hard], axis=1))
    outcome = (rng.random((n, 3)) < quality).astype(float)
    longer = 1.5 * (1 - outcome) if telling else 0.0
    tokens = np.exp(4 + longer + rng.normal(0, 0.5, (n, 3)))
    wrong = rng.integers(10, 20, (n, 3))
    digests = np.where(outcome == 1, 1, wrong) if telling else np.full((n, 3), -1)
    evidence = Evidence(
        endpoints=("one", "two", "best"),
        routes=("a", "b"),
        route=rng.integers(0, 2, n).astype(float),
        quality=np.tile(sigmoid(np.array([0.5, 0.4, 2.5])), (n, 1)),
        outcome=outcome,
        tokens=tokens,
        unreadable=np.full((n, 3), np.nan),
        cut=np.zeros((n, 3)),
        digests=digests,
    )
    usd = np.tile([0.001, 0.001, 0.02], (n, 1))
    seconds = np.tile([1.0, 2.0, 5.0], (n, 1))
    return evidence, Costs(predicted_usd=usd, predicted_s=seconds, outcome_usd=usd, outcome_s=seconds)


@pytest.fixture(scope="module")
def learned():
    evidence, costs = world()
    fold = np.arange(len(evidence)) % 2
    return evidence, costs, fold, crossfit(evidence, ("one", "two"), fold)


def test_what_answers_say_is_learned_out_of_fold(learned):
    evidence, _, fold, rules = learned
    pair = [0, 1]
    for part, own in enumerate(rules):
        held = evidence.take(np.flatnonzero(fold == part))

        after = own.posterior(own.stage(("one", "two")), held.quality, held.seen(pair), held.route)

        before = np.mean((held.quality[:, 0] - held.outcome[:, 0]) ** 2)
        assert np.mean((after[:, 0] - held.outcome[:, 0]) ** 2) < 0.4 * before
        for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):  # calibrated
            some = (after[:, 0] >= low) & (after[:, 0] < high)
            if some.sum() > 40:
                assert after[some, 0].mean() == pytest.approx(held.outcome[some, 0].mean(), abs=0.1)


def test_where_answers_say_nothing_the_prediction_stays():
    evidence, _ = world(telling=False)

    rule = fit_rule(evidence, ("one",))
    after = rule.posterior(rule.stages[0], evidence.quality, evidence.seen([0]), evidence.route)

    assert np.abs(after - evidence.quality).mean() < 0.03


def test_a_cascade_reaches_the_best_endpoints_quality_for_less(learned):
    evidence, costs, fold, rules = learned

    found = at_floor(rules, fold, evidence, costs, grid=np.geomspace(0.5, 40, 6), floor=0.95)

    best = evidence.outcome[:, 2].mean()
    assert found.usd_price is not None
    assert found.quality >= 0.95 * best
    assert found.margin_low >= 0
    assert found.cost_usd < 0.5 * 0.02


def test_every_answer_that_was_asked_for_is_paid_and_the_slower_of_two_is_waited_for(learned):
    evidence, costs, fold, rules = learned

    played = play(rules, fold, evidence, costs, usd_price=4.0)

    paid = (played.asked * np.array([0.001, 0.001, 0.02])).sum(axis=1)
    np.testing.assert_allclose(played.cost_usd, paid)
    assert played.asked[np.arange(len(evidence)), played.accepted].all()
    np.testing.assert_array_equal(played.quality, evidence.outcome[np.arange(len(evidence)), played.accepted])
    both = played.asked[:, :2].all(axis=1)
    waits = {float(one) for one in played.latency_s[both & ~played.asked[:, 2]]}
    assert waits <= {2.0, 3.0}  # together, or one after the other
    assert played.asked[:, 2].mean() < 0.6


def test_with_a_floor_nobody_can_hold_everything_goes_to_the_best_single(learned):
    evidence, costs, fold, rules = learned

    found = at_floor(rules, fold, evidence, costs, grid=np.array([1000.0]), floor=1.0)

    assert (found.usd_price, found.cost_usd) == (None, pytest.approx(0.02))


@pytest.mark.parametrize("probes", [(), ("one", "one"), ("one", "two", "best"), ("other",)])
def test_probes_that_cannot_be_are_refused(probes):
    with pytest.raises(ModelError, match="a cascade needs one or two probes of one, two, best"):
        fit_rule(world(80)[0], probes)


def test_too_few_requests_are_not_learned_from():
    with pytest.raises(ModelError, match="30 requests have every endpoint's quality, 50 are needed"):
        fit_rule(world(30)[0], ("one",))


def test_what_is_judged_offline_is_what_decides_online(snapshots):
    """The same predictions and answers take the same path, request by request."""
    predictor = Predictor(snapshots)
    routes, lengths = ("maths", "chat", None), (20, 100, 900)
    requests = [Request(id=f"{a}{b}", route=a, input_tokens=100) for a, b in product(routes, lengths)]
    from fairlead.scoring import Batch

    seen = predictor.candidates(Batch.of(requests))
    n = len(requests)
    tokens = np.tile(np.array(lengths, dtype=float), len(routes))[:, None] * np.array([1.0, 2.0])
    pair = rule(stage(("cheap",), longer=-3.0), stage(("dear",)), stage(NAMES, longer=-2.0))
    evidence = Evidence(
        endpoints=NAMES, routes=pair.routes, route=pair.route_codes([one.route for one in requests]),
        quality=seen.quality, outcome=np.zeros((n, 2)), tokens=tokens, unreadable=np.full((n, 2), np.nan),
        cut=np.zeros((n, 2)), digests=np.full((n, 2), -1),
    )  # fmt: skip
    costs = Costs(
        predicted_usd=seen.cost_usd, predicted_s=seen.latency_s, outcome_usd=seen.cost_usd, outcome_s=seen.latency_s
    )
    for usd_price in (0.0, 1.0, 10.0, 100.0):
        played = play([pair], np.zeros(n, dtype=int), evidence, costs, usd_price, 0.001)
        cascade = Cascade(predictor, pair, usd_price, 0.001)
        for row, request in enumerate(requests):
            answers, step = [], cascade.start(request)
            while isinstance(step, Ask):
                answers += [
                    Answer(endpoint=name, output_tokens=int(tokens[row, NAMES.index(name)])) for name in step.endpoints
                ]
                step = cascade.next(request, answers)
            assert NAMES[played.accepted[row]] == step.endpoint
            assert {NAMES[k] for k in np.flatnonzero(played.asked[row])} == set(step.asked)
            assert played.cost_usd[row] == pytest.approx(step.cost_usd)
            assert played.latency_s[row] == pytest.approx(step.latency_s)


def test_a_stage_has_one_or_two_answers():
    seen = world(5)[0].seen([0])

    with pytest.raises(UsageError, match="one or two answers, not 3"):
        signals(np.zeros((5, 3)), np.zeros((5, 3)), seen, [0, 1, 2], 0)


@pytest.fixture(scope="session")
def snapshots(make_snapshot):
    return make_snapshot()
