from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from fairlead.errors import ReadError
from fairlead.evaluation import judgement, overlap
from fairlead.evaluation.intervals import mean
from fairlead.evaluation.judgement import Judgement, Metric, PolicyJudgement, Reading, Window


def example():
    quo = PolicyJudgement(
        name="status quo",
        kind="status_quo",
        metrics={
            "quality": Metric(dr=Reading(0.8, 0.78, 0.82)),
            "cost_usd": Metric(snips=Reading(0.002, 0.0019, 0.0021)),
        },
        ess=2000.0,
        max_weight_share=0.0005,
        verdict="trust",
        reasons=[],
        endpoint_shares={"a": 1.0},
    )
    candidate = PolicyJudgement(
        name="intelligent",
        kind="candidate",
        metrics={
            "quality": Metric(ips=Reading(0.9), dr=Reading(0.81), truth=0.8),
            "cost_usd": Metric(dr=Reading(0.0012, 0.0011, 0.0013)),
        },
        ess=88.0,
        max_weight_share=0.02,
        verdict="cannot tell",
        reasons=["the effective sample size is 88, below 100"],
        savings_share=Reading(0.4, 0.31, 0.47),
        quality_change=Reading(0.01),
        endpoint_shares={"a": 0.25, "b": 0.75},
    )
    return Judgement(
        judged_at=datetime(2025, 3, 2, tzinfo=UTC),
        window=Window(start=datetime(2025, 2, 1, tzinfo=UTC), end=datetime(2025, 3, 1, tzinfo=UTC)),
        requests=2000,
        propensities_share=0.99,
        candidate="intelligent",
        policies=[quo, candidate],
    )


def test_a_judgement_survives_json():
    assert judgement.from_json(judgement.to_json(example())) == example()


def test_the_json_has_the_names_that_others_read():
    written = msgspec.json.decode(judgement.to_json(example()))

    assert written["window"] == {"from": "2025-02-01T00:00:00Z", "to": "2025-03-01T00:00:00Z"}
    assert sorted(written) == [
        "candidate", "clusters", "daily", "feedback", "judged_at", "pick", "plan", "policies", "propensities_share",
        "requests", "window",
    ]  # fmt: skip
    assert written["policies"][1]["metrics"]["quality"] == {
        "replay": None,
        "ips": {"value": 0.9, "low": None, "high": None},
        "snips": None,
        "dm": None,
        "dr": {"value": 0.81, "low": None, "high": None},
        "sndr": None,
        "switch": None,
        "dr_cf": None,
        "truth": 0.8,
    }


def test_what_is_not_a_judgement_is_refused_by_name():
    with pytest.raises(ReadError, match=r"reports/judgement.json: not a judgement"):
        judgement.from_json(b'{"judged_at": 3}', "reports/judgement.json")


def test_a_policy_is_found_by_its_name():
    assert example().policy("intelligent").ess == 88.0


def test_an_interval_is_refused_where_the_logs_cannot_tell():
    estimate = mean("quality", np.array([0.0, 1.0])).estimate()

    assert judgement.reading(estimate, overlap.verdict(np.ones(20))) == Reading(0.5)
    assert judgement.reading(estimate, overlap.verdict(np.ones(200))).low == estimate.low
