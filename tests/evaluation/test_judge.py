import json

import numpy as np
import polars as pl
import pytest

from fairlead import evaluation, features, ingest, project, publish, training
from fairlead.errors import EvidenceError, FairleadError, GateError
from fairlead.evaluation import judgement, simulate, table
from fairlead.evaluation.net import overheads
from fairlead.evaluation.replay import replay
from fairlead.scoring.snapshot import open_published


def looped(folder, **options):
    """A small project from simulated traffic to a published snapshot."""
    here = project.init(folder)
    made = simulate.run(folder / "gateway", requests=1200, endpoints=3, seed=1, **options)
    return here, made


def published(here, *paths):
    ingest.load(here, list(paths))
    training.train(here)
    tuned = evaluation.tune(here)
    publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)


def test_the_intervals_cover_the_truth_of_a_simulation(trained):
    here, made = trained

    found = evaluation.judge(here, truth=made.truth)

    assert [one.name for one in found.policies] == [
        "status_quo",
        found.candidate,
        "category_table",
        "best_single",
        "all_cheap",
        "cheapest_feasible",
        "cost_matched_random",
    ]
    # One seeded draw: each interval covers with 95 %, so one or two of ten may miss; the candidate's do not.
    candidate = found.policy(found.candidate)
    assert candidate.verdict == "trust"
    for metric in ("quality", "cost_usd"):
        reading = candidate.metrics[metric]
        assert reading.dr.low <= reading.truth <= reading.dr.high
    assert candidate.metrics["quality"].dm.low is None
    assert sum(candidate.endpoint_shares.values()) == pytest.approx(1)


def test_a_judgement_is_kept_and_reads_back(trained):
    here, _ = trained

    found = evaluation.judge(here)

    assert evaluation.latest(here) == found
    assert judgement.from_json(judgement.to_json(found)) == found
    assert found.candidate in table.render(found)


def test_only_requests_after_training_are_judged(trained):
    here, _ = trained

    found = evaluation.judge(here)
    rows = features.join(here).rows

    starts = rows.group_by("request_id").agg(pl.col("start_time").min())
    assert found.requests == starts.filter(pl.col("start_time") >= found.window.start).height
    assert 0.25 < found.requests / starts.height < 0.31


def test_prompts_that_were_learned_from_are_left_out(trained):
    here, _ = trained
    joined = features.join(here)
    cut = joined.rows["start_time"].sort()[joined.rows.height // 2]
    seen = joined.rows["prompt_sha256"][0]
    late = pl.col("start_time") > cut
    rows = joined.rows.with_columns(
        prompt_sha256=pl.when(late & (pl.col("attempt_index") == 0))
        .then(pl.lit(seen))
        .otherwise(pl.col("prompt_sha256"))
    )
    from msgspec.structs import replace

    with pytest.raises(EvidenceError, match="whose prompts were not learned from"):
        replay(replace(joined, rows=rows), ("a",), cut)


@pytest.fixture(scope="module")
def unexplored(tmp_path_factory):
    """Give the judgement of a log whose router never explored, and kept no propensities."""
    here, made = looped(tmp_path_factory.mktemp("unexplored"), logging="deterministic")
    published(here, made.log, made.feedback)
    return evaluation.judge(here)


def test_a_log_without_exploration_cannot_tell(unexplored):
    candidate = unexplored.policy(unexplored.candidate)
    others = [one for one in unexplored.policies if one.kind == "baseline" and one.name != "category_table"]
    assert any(one.verdict == "cannot tell" for one in [candidate, *others])
    for one in (one for one in unexplored.policies if one.verdict == "cannot tell"):
        assert one.reasons
        assert one.metrics["quality"].dr is None or one.metrics["quality"].dr.low is None
        assert one.savings_share is None or one.savings_share.low is None


def test_a_log_without_propensities_is_tolerated_and_said_to_be_mute(tmp_path):
    here, made = looped(tmp_path / "p", exploration=0.5)
    lines = []
    for line in made.log.read_text().splitlines():
        record = json.loads(line)
        record["metadata"]["spend_logs_metadata"] = None
        lines.append(json.dumps(record))
    made.log.write_text("\n".join(lines) + "\n")
    published(here, made.log, made.feedback)

    found = evaluation.judge(here)

    assert found.propensities_share == 0.0
    assert {one.verdict for one in found.policies if one.kind != "status_quo"} == {"cannot tell"}
    assert found.policy("status_quo").metrics["cost_usd"].dr.value > 0


def test_without_feedback_training_says_what_is_missing(tmp_path):
    here, made = looped(tmp_path / "p", exploration=0.5)
    ingest.load(here, [made.log])

    with pytest.raises(FairleadError, match="quality: 0 rows have quality, 50 are needed"):
        training.train(here)
    with pytest.raises(GateError, match="run `fairlead train`"):
        evaluation.tune(here)


def test_an_endpoint_that_the_snapshot_does_not_know_has_no_weight(trained):
    here, _ = trained
    joined = features.join(here)

    log = replay(joined, ("nothing that was called",), None)

    assert set(log.endpoint.tolist()) == {-1}
    assert np.isfinite(log.outcomes["cost_usd"]).all()


def test_an_earlier_since_does_not_let_predictors_recite_what_they_learned(trained):
    here, _ = trained
    start = features.join(here).rows["start_time"].min()

    usual, earlier = evaluation.judge(here), evaluation.judge(here, since=start)
    later = evaluation.judge(here, since=usual.window.start + (usual.window.end - usual.window.start) / 2)

    assert (earlier.requests, earlier.window) == (usual.requests, usual.window)
    assert later.requests < usual.requests
    assert later.window.start > usual.window.start


def test_nothing_newer_than_the_moment_asked_for_is_said_plainly(trained):
    here, _ = trained
    end = evaluation.judge(here).window.end

    with pytest.raises(EvidenceError, match=r"no requests after .* whose prompts were not learned from; ingest newer"):
        evaluation.judge(here, since=end)


def test_the_candidate_is_judged_by_slice_by_tail_and_by_every_estimator(trained):
    here, made = trained

    candidate = evaluation.judge(here, truth=made.truth).policy("intelligent")

    quality = candidate.metrics["quality"]
    assert all(
        getattr(quality, name).value is not None for name in ("replay", "ips", "snips", "dm", "dr", "sndr", "switch")
    )
    assert quality.dr_cf.low < quality.truth < quality.dr_cf.high
    assert quality.switch.low is None
    assert 0 <= candidate.metrics["failure"].dr.value < 0.3
    assert candidate.latency_p95_s.low <= candidate.latency_p95_s.value <= candidate.latency_p95_s.high
    assert {one.kind for one in candidate.slices} >= {"route", "team"}
    assert candidate.overheads.net_savings_usd == pytest.approx(candidate.overheads.gross_savings_usd)
    assert candidate.sensitivity == {}


def test_the_judge_picks_a_policy_that_it_can_tell_of_or_names_those_it_cannot_tell_apart(trained):
    here, made = trained

    found = evaluation.judge(here, truth=made.truth)

    told = {one.name for one in found.policies if one.verdict != "cannot tell"}
    assert set(found.pick.untold) == {one.name for one in found.policies} - told
    assert {found.pick.leader, *found.pick.proven, *found.pick.rivals} <= told
    assert (found.pick.of_told is None) == bool(found.pick.rivals)
    assert found.pick.why in table.render(found)


def test_what_saving_costs_is_taken_off(trained):
    here, _ = trained
    joined = features.join(here, states=())
    ends = open_published(here.published)[0].manifest.endpoints
    log = replay(joined, tuple(end.name for end in ends), None)
    elsewhere = np.eye(len(ends))[(np.maximum(log.endpoint, 0) + 1) % len(ends)]
    dear = project.Project(here.root, {**here.settings, "costs": {"router_usd_per_million": 1000.0}})

    found = overheads(dear, log, elsewhere, list(ends), 10.0)

    assert found.router_usd == pytest.approx(len(log) / 1000)
    assert found.cold_caches_usd == 0.0  # nothing was read from a cache in this log
    assert found.net_savings_usd == pytest.approx(10.0 - found.total_usd)


def test_a_log_without_propensities_has_bounds_and_a_plan_and_no_interval(unexplored):
    candidate = unexplored.policy(unexplored.candidate)
    assert candidate.verdict == "cannot tell"
    assert candidate.metrics["quality"].dr.low is None
    assert candidate.savings_share is None or candidate.savings_share.low is None
    if any(share > 0.01 for share in candidate.endpoint_shares.values()):
        assert unexplored.plan
        assert "What would make them tell of" in table.render(unexplored)
