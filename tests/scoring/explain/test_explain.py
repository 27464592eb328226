"""Explanations of decisions: they add up, name what bound, and what they say would turn a decision does."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import UsageError
from fairlead.scoring import Batch, Intelligent, Predictor, Request, Router, Snapshot, Weighted
from fairlead.scoring.explain import Bound, Change, explain
from fairlead.scoring.explain.change import changes, moved
from fairlead.scoring.explain.quantity import Rows, quantities
from fairlead.scoring.predict import Candidates

REQUEST = Request(id="r-1", text="select name from users where id = 3", route="maths", tools=2)
NAMES = ("small", "middle", "large", "unpriced")
requests = st.builds(
    Request,
    id=st.just("r-1"),
    text=st.sampled_from(["", "hello there", "select a from b where c", "x" * 500]),
    route=st.sampled_from([None, "chat", "maths", "new"]),
    tools=st.sampled_from([None, 0, 3]),
    input_tokens=st.sampled_from([None, 40, 4000]),
    tags=st.sampled_from([{}, {"customer_tier": "paid"}]),
)
policies = st.builds(
    Intelligent, usd_price=st.sampled_from([0.0, 5.0, 40.0]), second_price=st.sampled_from([0.0, 0.02])
)


def explained(snapshot, policy, request=REQUEST, **more):
    router = Router(snapshot, policy)
    return explain(router, policy, request, router.decide(request), **more)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5), policies, requests)
def test_an_explanation_adds_up_to_the_scores_and_nothing_is_left_over(snapshots, seed, policy, request):
    router = Router(snapshots[seed], policy)
    decision = router.decide(request)

    found = explain(router, policy, request, decision)

    scores = {one.endpoint: one.score for one in decision.ranked}
    assert found.gap == pytest.approx(scores[found.endpoint] - scores[found.runner_up], abs=1e-9)
    total = found.gap_at_reference + sum(group.utility for group in found.groups) + found.other
    assert total == pytest.approx(found.gap, abs=1e-9)
    if "unpriced" not in (found.endpoint, found.runner_up):
        assert found.other == pytest.approx(0, abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), requests, st.integers(0, 3))
def test_each_number_is_the_predictors_and_its_shares_sum_to_the_way_from_the_reference(snapshots, seed, request, k):
    predictor = Predictor(snapshots[seed])
    batch = Batch.of([request])
    seen = predictor.candidates(batch)
    rows = Rows.of(predictor, predictor.rows(batch), predictor.snapshot.reference)

    numbers, heads = quantities(predictor, rows, k, request)

    for name, number in numbers.items():
        assert number.value == pytest.approx(getattr(seen, name)[0, k], rel=1e-9)
        assert number.reference + sum(number.shares.values()) == pytest.approx(number.value, rel=1e-9)
    assert ("cost_usd" in numbers) == (NAMES[k] != "unpriced")
    for head in heads:
        assert head.reference + sum(head.shares.values()) == pytest.approx(head.value, abs=1e-9)
        assert "endpoint" not in head.shares  # the same endpoint in both


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), policies, requests)
def test_each_change_turns_the_decision_and_a_little_less_of_it_does_not(snapshots, seed, policy, request):
    router = Router(snapshots[seed], policy)
    decision = router.decide(request)
    seen = decision.candidates
    found = explain(router, policy, request, decision)
    other = seen.endpoints.index(found.runner_up)

    def winner(policy, candidates):
        return seen.endpoints[int(policy.probabilities(candidates)[0].argmax())]

    for change in found.changes:
        if change.kind in ("price", "latency", "quality"):
            by = change.by
            assert winner(policy, moved(seen, other, change.kind, by * (1 + 1e-5) + 1e-9)) == found.runner_up
            assert winner(policy, moved(seen, other, change.kind, by * (1 - 1e-5) - 1e-9)) != found.runner_up
            continue
        now = getattr(policy, change.kind)
        high = 10 * change.low + 1000 if change.high is None else change.high
        for share, wins in ((0.001, True), (0.5, True), (0.999, True), (-0.001, False), (1.001, False)):
            value = change.low + share * (high - change.low)
            if value < 0 or (share > 1 and change.high is None):
                continue
            other_policy = Intelligent(
                **{"usd_price": policy.usd_price, "second_price": policy.second_price, change.kind: value}
            )
            assert (winner(other_policy, seen) == found.runner_up) is wins, (change, now, value)


def test_a_price_that_would_turn_the_decision_is_solved_exactly(make_snapshot):
    policy = Intelligent(usd_price=10.0)

    found = explained(make_snapshot(), policy, Request(id="r", route="chat", text="", input_tokens=100))

    # chat: both endpoints have quality sigmoid(2); "cheap" costs 100e-6 + 300e-6*2... less than "dear"
    cheap, dear = 100 * 1e-6 + 300 * 2e-6, 100 * 1e-5 + 300 * 4e-5
    assert (found.endpoint, found.runner_up) == ("cheap", "dear")
    assert found.gap == pytest.approx(10 * (dear - cheap))
    assert {change.kind: change.by for change in found.changes} == {
        "price": pytest.approx(1 - cheap / dear),
    }  # no better quality would do: it is .88 already, and .12 more is over 1


def test_the_route_alone_moves_a_table(make_snapshot):
    snapshot = make_snapshot()

    found = explained(snapshot, Intelligent(), Request(id="r", route="maths"))

    assert [group.group for group in found.groups] == ["route"]
    assert found.groups[0].utility == pytest.approx(found.gap - found.gap_at_reference)
    quality = next(head for head in found.heads if head.name == "quality")
    assert (quality.reference, quality.shares) == (pytest.approx(1.5), {"route": pytest.approx(0.5)})


def test_an_endpoint_kept_out_by_the_request_a_constraint_or_a_floor_is_named_with_the_reason(priced):
    policy = Intelligent()
    free = Router(priced, policy).decide(REQUEST)
    best, second, third = (one.endpoint for one in free.ranked[:3])
    utility = {one.endpoint: one.score for one in free.ranked}
    request = msgspec.structs.replace(REQUEST, endpoints=tuple(name for name in NAMES if name not in (best, second)))

    found = explained(priced, policy, request, exclusions=[(best, "its region is not eu")])

    assert found.bounds == (
        Bound(
            endpoint=best, reason="its region is not eu", utility_forgone=pytest.approx(utility[best] - utility[third])
        ),
        Bound(
            endpoint=second,
            reason="it was not eligible for this request",
            utility_forgone=pytest.approx(utility[second] - utility[third]),
        ),
    )
    assert found.bound == found.bounds[0]


def test_a_quality_floor_that_leaves_out_a_cheaper_endpoint_is_what_bound(make_snapshot):
    request = Request(id="r", route="chat", input_tokens=100)
    snapshot = make_snapshot()  # both have a quality of .881; the lower bounds are .781 and .831

    found = explained(snapshot, Intelligent(usd_price=10.0, quality_floor=0.8), request)

    assert (found.endpoint, found.runner_up) == ("dear", None)
    assert [(one.endpoint, one.reason) for one in found.bounds] == [
        ("cheap", "its quality may be as low as 0.781, under the policy's floor")
    ]
    assert found.to_text().splitlines()[0] == "dear was the only endpoint that this request could go to."


def test_a_draw_of_exploration_is_called_one(priced):
    policy = Intelligent(exploration=1.0, top=4)
    router = Router(priced, policy)
    requests = [msgspec.structs.replace(REQUEST, id=f"r-{n}") for n in range(20)]
    request = next(one for one in requests if router.decide(one).endpoint != router.decide(one).ranked[0].endpoint)

    found = explain(router, policy, request, router.decide(request))

    assert found.gap < 0
    assert found.changes == ()
    assert "was drawn for exploration (probability 0.25)" in found.to_text()


def test_a_policy_that_does_not_look_at_the_request_has_no_shares_and_no_changes(priced):
    found = explained(priced, Weighted({"small": 2.0, "large": 1.0}))

    assert [group.utility for group in found.groups] == [0.0] * len(found.groups)
    assert found.changes == ()
    assert found.gap == pytest.approx(found.other)


def test_without_a_reference_request_an_empty_one_is_compared_with(make):
    snapshot = make(reference=False)

    found = explained(snapshot, Intelligent(), Request(id="r"))

    assert (snapshot.reference, found.groups) == (None, ())
    assert found.gap == pytest.approx(found.gap_at_reference + found.other)


def test_an_explanation_reads_as_text_and_as_json(priced):
    found = explained(priced, Intelligent(usd_price=20.0, second_price=0.01))

    lines = found.to_text().splitlines()
    read = json.loads(found.to_json())

    assert lines[0] == f"{found.endpoint} was chosen: it scores {found.gap:.4f} better than {found.runner_up}."
    assert lines[1].startswith("On a typical request the difference would be")
    assert {group["group"] for group in read["groups"]} >= {"route", "length of the text", "number of tools"}
    assert read["changes"] == [msgspec.to_builtins(change) for change in found.changes]
    assert all(f"  {change.text}" in lines for change in found.changes)


def test_candidates_that_the_decision_saw_are_explained_as_they_were(priced):
    policy = Intelligent()
    router = Router(priced, policy)
    decision = router.decide(REQUEST)
    seen = decision.candidates
    better = msgspec.structs.replace(seen, quality=seen.quality + 0.01 * np.arange(4))

    found = explain(router, policy, REQUEST, decision, candidates=better)

    a, b = (seen.endpoints.index(name) for name in (found.endpoint, found.runner_up))
    assert found.other == pytest.approx(0.01 * (a - b), abs=1e-9)


def test_a_decision_of_another_snapshot_is_refused(priced, make_snapshot):
    decision = Router(make_snapshot()).decide(REQUEST)

    with pytest.raises(UsageError, match="the snapshot has no endpoint"):
        explain(Predictor(priced), Intelligent(), REQUEST, decision)


def test_a_snapshot_keeps_its_reference_and_refuses_one_of_another_shape(make):
    snapshot = make()
    wrong = msgspec.structs.replace(snapshot, reference=np.zeros(2))

    again = Snapshot.from_bytes(snapshot.to_bytes())

    np.testing.assert_array_equal(again.reference, snapshot.reference)
    with pytest.raises(Exception, match=r"reference is \(2,\), expected \(6,\)"):
        Snapshot.from_bytes(wrong.to_bytes())


def test_a_change_is_data():
    change = Change(kind="latency", by=0.5, text="large faster by more than 0.5 s")

    assert msgspec.json.decode(msgspec.json.encode(change), type=Change) == change


def test_a_price_of_time_that_would_turn_the_decision_is_found_too():
    def row(*values):
        return np.array([values])

    seen = Candidates(
        endpoints=("slow", "fast"),
        quality=row(0.8, 0.8),
        quality_low=row(0.7, 0.7),
        cost_usd=row(0.01, 0.02),
        cost_p90_usd=row(0.01, 0.02),
        latency_s=row(5.0, 1.0),
        latency_p90_s=row(5.0, 1.0),
        eligible=np.ones((1, 2), dtype=bool),
    )

    found = {change.kind: change for change in changes(Intelligent(usd_price=10.0, second_price=0.001), seen, 0, 1)}

    # .1 dollars' worth against four seconds
    assert (found["second_price"].low, found["second_price"].high) == (pytest.approx(0.025), None)
    assert (found["usd_price"].low, found["usd_price"].high) == (0.0, pytest.approx(0.4))
