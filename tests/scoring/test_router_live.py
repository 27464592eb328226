import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from fairlead import Intelligent, Request, Router, Weighted
from fairlead.scoring import Outcome
from fairlead.scoring.budget import Budget
from fairlead.scoring.live import Live, Settings
from fairlead.scoring.pending import Pending
from fairlead.scoring.policies import Adaptive
from fairlead.scoring.snapshot import CURRENT


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def live(snapshot, clock, **settings):
    return Live(snapshot.endpoints, Settings(jitter=0, **settings), clock=clock)


def fail(router, endpoint, times):
    for number in range(times):
        router.observe(Outcome(endpoint=endpoint, request_id=f"f-{number}", status="error", error_class="server"))


def test_an_endpoint_that_keeps_failing_is_left_out_until_it_returns(snapshot):
    clock = Clock()
    router = Router(snapshot, live=live(snapshot, clock))
    assert router.decide(Request(route="maths")).endpoint == "dear"

    fail(router, "dear", 5)
    during = router.decide(Request(route="maths"))
    clock.now += 31
    after = router.decide(Request(route="maths"))

    assert (during.endpoint, [one.endpoint for one in during.ranked]) == ("cheap", ["cheap"])
    assert "dear" in [one.endpoint for one in after.ranked]


def test_where_all_are_out_the_first_to_return_is_tried(snapshot):
    clock = Clock()
    router = Router(snapshot, live=live(snapshot, clock))
    fail(router, "cheap", 5)
    clock.now += 5
    fail(router, "dear", 5)

    decision = router.decide(Request(route="maths"))

    assert (decision.kind, decision.endpoint, decision.propensity) == ("policy", "cheap", 1.0)
    assert decision.reasons[0] == "every eligible endpoint is ejected or asked to wait; the first to return is tried"


def test_calls_in_flight_are_seen_by_the_policy_until_their_outcome_comes(snapshot):
    router = Router(snapshot, "least_connections", live=live(snapshot, Clock()))

    first = [router.decide(Request(id=f"r-{number}")).endpoint for number in range(4)]
    ended = first[0]
    for number in range(4):
        if first[number] == ended:
            router.observe(Outcome(endpoint=ended, request_id=f"r-{number}", duration_s=1.0))
    after = router.decide(Request(id="r-5"))

    assert sorted(first) == ["cheap", "cheap", "dear", "dear"]
    assert (after.endpoint, after.propensity) == (ended, 1.0)


def test_turns_go_round(snapshot):
    router = Router(snapshot, "round_robin", live=live(snapshot, Clock()))

    chosen = [router.decide(Request(id=f"r-{number}")) for number in range(40)]

    assert sorted({one.endpoint for one in chosen[::2]} | {one.endpoint for one in chosen[1::2]}) == ["cheap", "dear"]
    assert all({chosen[at].endpoint, chosen[at + 1].endpoint} == {"cheap", "dear"} for at in range(0, 40, 2))
    assert [one.propensity for one in chosen] == [0.5, 1.0] * 20


def test_a_cached_prompt_makes_the_endpoint_that_has_it_cheaper(make_snapshot):
    from msgspec.structs import replace

    plain = make_snapshot()
    ends = [replace(one, cache_read_usd=one.input_usd / 10) for one in plain.manifest.endpoints]
    router = Router(replace(plain, manifest=replace(plain.manifest, endpoints=ends)), Weighted({"dear": 1}))
    turn = Request(id="r-1", conversation="c", input_tokens=1000)

    before = router.decide(turn)
    router.observe(Outcome(endpoint="dear", request_id="r-1", duration_s=1.0, input_tokens=1000))
    after = router.decide(Request(id="r-2", conversation="c", input_tokens=1000))

    usd = [next(one.cost_usd for one in decision.ranked if one.endpoint == "dear") for decision in (before, after)]
    assert usd[0] - usd[1] == pytest.approx(1000 * 0.9e-5)
    assert after.candidates.incumbent.tolist() == [1]


def test_money_grows_dearer_when_the_budget_runs_ahead(snapshot):
    clock = Clock()
    budget = Budget(usd=1.0, clock=clock)
    router = Router(snapshot, Intelligent(usd_price=5), live=live(snapshot, clock), budget=budget)
    assert router.decide(Request(route="maths")).candidates.view.pace == 1.0

    for _ in range(200):
        clock.now += 300
        router.observe(Outcome(endpoint="dear", duration_s=1.0, cost_usd=0.01))

    assert router.decide(Request(route="maths")).candidates.view.pace == budget.pace > 1.0


def test_a_budget_plans_by_the_hours_of_the_snapshot_and_of_the_one_after_it(make_snapshot, tmp_path):
    from msgspec.structs import replace

    def published(version, demand):
        plain = make_snapshot(version=version)
        replace(plain, manifest=replace(plain.manifest, demand=demand)).write(tmp_path / CURRENT)

    clock = Clock()
    clock.now = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
    budget = Budget(usd=720, reserve=0, clock=clock)
    published(1, [1.0] * 12 + [0.0] * 12)
    router = Router(tmp_path, budget=budget)
    mornings = budget.planned_usd
    published(2, [0.0] * 12 + [1.0] * 12)
    assert router.reload(tmp_path)
    evenings = budget.planned_usd
    published(3, [1.0, -1.0])
    refused = router.reload(tmp_path)

    assert (round(mornings, 6), evenings, budget.planned_usd, refused) == (24.0, 0.0, 0.0, False)
    assert "demand must be 24 or 168 shares" in router.refused


def test_a_policy_learns_from_what_is_observed_late_and_keeps_it_over_a_new_snapshot(make_snapshot, tmp_path):
    make_snapshot(version=1, policy="adaptive", parameters={"usd_price": 0.0}).write(tmp_path / CURRENT)
    router = Router(tmp_path)
    requests = [Request(id=f"r-{number}", route="maths") for number in range(300)]

    decisions = [router.decide(request) for request in requests]
    for decision in decisions:
        router.observe(Outcome(endpoint=decision.endpoint, request_id=decision.request_id, duration_s=1.0))
    for decision in decisions:
        quality = 0.9 if decision.endpoint == "cheap" else 0.1
        router.observe(Outcome(endpoint=decision.endpoint, request_id=decision.request_id, quality=quality))
    learned = router.decide(Request(route="maths"))
    make_snapshot(version=2, policy="adaptive", parameters={"usd_price": 0.0}).write(tmp_path / CURRENT)
    assert router.reload(tmp_path)
    kept = router.decide(Request(route="maths"))

    assert [one.ranked[0].endpoint for one in (decisions[0], learned, kept)] == ["dear", "cheap", "cheap"]
    assert kept.snapshot_version == 2


def test_an_outcome_teaches_once_and_its_quality_later(snapshot):
    pending, told = Pending(), []
    router = Router(snapshot, Adaptive())
    pending.note(router.decide(Request(id="r-1", route="maths")), "maths")
    endpoint = router.decide(Request(id="r-1", route="maths")).endpoint
    for outcome in (
        Outcome(endpoint="other", request_id="r-1", cost_usd=1.0),
        Outcome(endpoint=endpoint, request_id="r-1", cost_usd=0.5, duration_s=2.0),
        Outcome(endpoint=endpoint, request_id="r-1", cost_usd=0.5, duration_s=2.0),
        Outcome(endpoint=endpoint, request_id="r-1", cost_usd=0.5, duration_s=2.0, quality=0.75),
        Outcome(endpoint=endpoint, request_id="r-1", quality=0.75),
        Outcome(endpoint=endpoint, quality=0.75),
    ):
        reward = pending.reward(outcome)
        told.append(None if reward is None else (reward.cost_usd, reward.latency_s, reward.quality, reward.failed))

    assert told == [None, (0.5, 2.0, None, False), None, (None, None, 0.75, False), None, None]


def test_what_is_remembered_of_decisions_is_bounded(snapshot):
    pending, decision = Pending(most=10), Router(snapshot).decide(Request(id="r"))

    for number in range(1_000):
        decision.request_id = f"r-{number}"
        pending.note(decision, None)

    assert len(pending) == 10


def test_deciding_and_observing_from_many_threads_counts_every_call(snapshot):
    router = Router(snapshot, "adaptive")

    def work(which):
        for number in range(200):
            decision = router.decide(Request(id=f"{which}-{number}", route="maths"))
            came = Outcome(endpoint=decision.endpoint, request_id=decision.request_id, duration_s=0.1, quality=1.0)
            router.observe(came)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    view = router.live.view()
    assert (view.turns.sum(), view.in_flight.tolist(), router.status().faults) == (800.0, [0.0, 0.0], 0)
    assert np.isfinite(view.latency_s).any()
