from datetime import UTC, datetime

from msgspec.structs import replace

from fairlead.evaluation import table
from fairlead.evaluation.judgement import Judgement, Metric, PolicyJudgement, Reading, Window
from fairlead.evaluation.pick import Pick


def policy(name, kind, **fields):
    known = {"ess": 2000.0, "max_weight_share": 0.0005, "verdict": "trust", "reasons": [], "endpoint_shares": {}}
    return PolicyJudgement(name=name, kind=kind, **(known | fields))


def judged(*policies):
    return Judgement(
        judged_at=datetime(2025, 3, 2, tzinfo=UTC),
        window=Window(start=datetime(2025, 2, 1, tzinfo=UTC), end=datetime(2025, 3, 1, tzinfo=UTC)),
        requests=2000,
        propensities_share=0.99,
        candidate="intelligent",
        policies=list(policies),
    )


def test_there_is_one_line_a_policy_and_the_reason_where_the_logs_cannot_tell():
    quo = policy(
        "status quo",
        "status_quo",
        metrics={
            "quality": Metric(dr=Reading(0.8, 0.78, 0.82)),
            "cost_usd": Metric(snips=Reading(0.002, 0.0019, 0.0021)),
        },
    )
    candidate = policy(
        "intelligent",
        "candidate",
        metrics={
            "quality": Metric(ips=Reading(0.9), dr=Reading(0.81)),
            "cost_usd": Metric(dr=Reading(0.0012, 0.0011, 0.0013)),
        },
        ess=88.0,
        verdict="cannot tell",
        reasons=["the effective sample size is 88, below 100"],
        savings_share=Reading(0.4, 0.31, 0.47),
        quality_change=Reading(0.01),
    )

    lines = table.render(judged(quo, candidate)).splitlines()

    assert lines == [
        "2,000 requests, 2025-02-01 to 2025-03-01, propensity known for 99.0%",
        "",
        "policy                      quality           cost USD/1k          saves  quality change    ESS  logs",
        "-------------  --------------------  --------------------  -------------  --------------  -----  -----------",
        "status quo     0.800 [0.780, 0.820]  2.000 [1.900, 2.100]              -               -  2,000  trust",
        "intelligent *             0.810 [?]  1.200 [1.100, 1.300]  40 % [31, 47]      1.0 pt [?]     88  cannot tell",
        "",
        "Your logs cannot tell about intelligent: the effective sample size is 88, below 100.",
        "* the candidate.",
        "[?] no interval: a value shown without one is not evidence.",
    ]


def test_the_pick_is_said_or_that_there_is_none():
    quo = policy("status quo", "status_quo", metrics={})
    sure = replace(judged(quo), pick=Pick(policy="intelligent", why="intelligent: it is best"))
    open_still = replace(judged(quo), pick=Pick(policy=None, why="cannot tell which of a and b is best"))

    assert "Pick: intelligent: it is best." in table.render(sure).splitlines()
    assert "No pick: cannot tell which of a and b is best." in table.render(open_still).splitlines()


def test_a_clear_judgement_needs_no_notes():
    text = table.render(judged(policy("status quo", "status_quo", metrics={})))

    assert text.splitlines()[-1].split() == ["status", "quo", "-", "-", "-", "-", "2,000", "trust"]
