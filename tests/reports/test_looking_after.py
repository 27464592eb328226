from datetime import UTC, datetime, timedelta

import polars as pl

from fairlead.evaluation.adjusted import Adjusted
from fairlead.reports.palette import Palette
from fairlead.reports.sections import equal_terms, outlook, watch
from fairlead.training.anomaly.detect import Anomaly
from fairlead.training.anomaly.hours import HOUR, Slice
from fairlead.training.anomaly.trace import Point
from fairlead.training.demand.budget import Outlook
from fairlead.training.demand.forecast import COLUMNS
from fairlead.training.drift import Check

NOW = datetime(2026, 10, 18, tzinfo=UTC)
ANOMALY = Anomaly(
    measure="latency", slice=Slice("endpoint", "<b>slow\u202e"), since=NOW - 6 * HOUR, until=NOW, value=4.0,
    expected=2.0, change=1.0, explains=0.9, chance=1e-9, in_place=True, others=[],
)  # fmt: skip


def _money(**more) -> Outlook:
    held = {
        "month": "October 2026", "budget_usd": 100.0, "spent_usd": 60.0, "expected_usd": 105.0, "low_usd": 90.0,
        "high_usd": 120.0, "runs_out": NOW + timedelta(days=10), "soonest": NOW + timedelta(days=8), "as_of": NOW,
        "course": [(datetime(2026, 10, 1, tzinfo=UTC), 0.0), (NOW, 60.0)],
    }  # fmt: skip
    return Outlook(**(held | more))


def _forecast() -> pl.DataFrame:
    rows = [
        {
            "kind": kind, "name": name, "measure": measure, "horizon": "24h", "start": NOW,
            "until": NOW + timedelta(days=1), "expected": 3.5, "low": 2.0, "high": 5.0, "before": 3.0,
        }
        for kind, name in (("total", ""), ("team", "search"))
        for measure in ("requests", "tokens", "usd")
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=COLUMNS)


def test_an_anomaly_is_drawn_named_and_escaped():
    points = [Point(NOW - 3 * at * HOUR, 2.0 + at % 3, 2.0) for at in range(56, 0, -1)]

    made = watch.section([ANOMALY], {0: points}, [])

    assert made.lead == "1 in the newest hours."
    assert made.blocks[0].title.startswith("Latency, endpoint “<b>slow")  # the template escapes it
    assert "\u202e" not in made.blocks[0].title + made.blocks[0].note
    assert "<b>" not in made.blocks[0].body
    assert "was the model behind it exchanged?" in made.blocks[0].note


def test_what_is_well_is_said_in_one_line_and_what_is_not_comes_first():
    checks = [
        Check(name="quality", group="errors", verdict="ok", reason="fine"),
        Check(name="cost", group="errors", verdict="ok", reason="fine"),
        Check(name="prices", group="prices", verdict="retrain", reason="one price changed"),
    ]

    made = watch.section([], {}, checks)
    table = str(made.blocks[0].body)

    assert made.lead == "Nothing in the newest hours. What was learned has aged: train again."
    assert table.index("one price changed") < table.index("2 checks are as in training: quality, cost")
    assert '<strong class="bad">train again</strong>' in table


def test_the_top_of_the_page_says_what_is_alarming_and_nothing_else():
    assert watch.alerts([], None) == []
    assert watch.alerts([], _money(runs_out=None)) == []
    first, second = watch.alerts([ANOMALY, ANOMALY], _money())
    assert first.startswith("Out of the ordinary: latency of endpoint ")
    assert first.endswith("1 more below.")
    assert second == "The month's budget runs out on 28 Oct 2026, 00:00 UTC."


def test_the_outlook_says_when_the_budget_runs_out_and_draws_the_month():
    made = outlook.section(_forecast(), _money())

    assert "the budget of $100" in made.lead
    assert "runs out on 28 Oct 2026" in made.lead
    assert "budget" in made.blocks[0].body
    assert [block.title for block in made.blocks] == [
        "Spend in October 2026", "All traffic", "Spend of the next 24h, by route and team",
    ]  # fmt: skip


def test_without_a_budget_or_a_predictor_the_way_there_is_named():
    assert "“usd” under [tool.fairlead.budget]" in outlook.section(_forecast(), _money(budget_usd=None)).lead
    assert "“fairlead train” fits one" in outlook.section(pl.DataFrame(schema=COLUMNS), None).lead


def test_endpoints_on_equal_terms_show_raw_beside_adjusted_and_the_method():
    found = [
        Adjusted(endpoint=name, metric="quality", requests=50, raw=raw, value=value, low=low, high=high, method=method)
        for name, raw, value, low, high, method in (
            ("a", 0.9, 0.8, 0.75, 0.85, "doubly robust"), ("b", 0.7, 0.82, None, None, "by route"),
        )
    ]  # fmt: skip

    chart, table = equal_terms.blocks(found, Palette.of([("a", "x"), ("b", "y")]), 8)

    assert "Mean quality of each endpoint" in chart.body
    assert "90.0" in table.body
    assert "80.0" in table.body
    assert "[75.0, 85.0]" in table.body
    assert "same routes" in table.body
    assert equal_terms.blocks(found[:1], Palette.of([("a", "x")]), 8) == []
