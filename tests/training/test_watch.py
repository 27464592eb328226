import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from fairlead import project as projects
from fairlead.errors import AlarmError, ModelError, ProjectError
from fairlead.evaluation.simulate import Simulation
from fairlead.project import Project
from fairlead.training import series
from fairlead.training.anomaly.find import champion as usual_of
from fairlead.training.demand.budget import budget_usd, outlook
from fairlead.training.demand.forecast import COLUMNS, champion, forecast
from fairlead.training.drift import drift, worst
from fairlead.training.registry import Registry
from fairlead.training.watch import watch

Trained = tuple[Project, Simulation]


def _with_budget(here: Project, usd: object) -> Project:
    return Project(here.root, {**here.settings, "budget": {"usd": usd}})


def test_training_registers_demand_and_anomaly_beside_the_others(trained: Trained) -> None:
    here, made = trained
    demand, usual = champion(here), usual_of(here)

    assert demand is not None
    assert usual is not None
    assert {one.kind for one in demand.series} == {"total", "route", "team"}
    assert demand.metrics["requests_1h.wape"] < demand.metrics["requests_1h.wape_last"]
    assert {one.name for one in usual.slices if one.kind == "endpoint"} == set(made.endpoints)


def test_the_forecast_is_a_table_of_amounts_with_intervals(trained: Trained) -> None:
    made = forecast(trained[0])
    total = made.filter(kind="total", measure="requests", horizon="24h").row(0, named=True)

    assert dict(made.schema) == COLUMNS
    assert made.filter((pl.col("low") > pl.col("expected")) | (pl.col("expected") > pl.col("high"))).is_empty()
    assert total["until"] - total["start"] == timedelta(days=1)
    assert total["expected"] == pytest.approx(2500 / 14, rel=0.6)


def test_the_forecast_of_an_earlier_moment_knows_nothing_of_what_came_later(trained: Trained) -> None:
    now = forecast(trained[0])["start"][0]

    earlier = forecast(trained[0], as_of=now - timedelta(days=3))

    assert earlier["start"].unique().to_list() == [now - timedelta(days=3)]


def test_a_look_at_quiet_traffic_is_no_alarm_and_the_same_world_asks_for_no_training(trained: Trained) -> None:
    found = watch(trained[0])

    assert (found.alarms, found.retrain) == ([], None)
    assert found.verdict == "ok"
    assert {check.verdict for check in found.drift} <= {"ok", "unknown"}
    assert {"inputs", "errors", "calibration", "latency", "prices"} == {check.group for check in found.drift}
    found.raise_alarm()


def test_a_budget_that_runs_out_is_an_alarm_with_the_day(trained: Trained) -> None:
    here, _ = trained
    money = outlook(here)
    assert money is not None
    middle = (money.spent_usd + money.expected_usd) / 2

    found = watch(_with_budget(here, middle))

    assert found.verdict == "alarm"
    assert found.budget is not None
    assert money.as_of < found.budget.runs_out < money.as_of + timedelta(days=13)
    assert "runs out on" in found.alarms[0]
    with pytest.raises(AlarmError, match="runs out on"):
        found.raise_alarm()


def test_a_budget_that_lasts_is_none_and_a_spent_one_is_gone_now(trained: Trained) -> None:
    here, _ = trained
    lasts, gone = outlook(_with_budget(here, 1e6)), outlook(_with_budget(here, 1e-6))

    assert (lasts.runs_out, lasts.soonest) == (None, None)
    assert "lasts" in lasts.words
    assert gone.runs_out == gone.as_of


@pytest.mark.parametrize("usd", [0, -1, "much", True])
def test_a_budget_that_is_no_amount_is_refused(trained: Trained, usd: object) -> None:
    with pytest.raises(ProjectError, match="expected dollars a month above 0"):
        budget_usd(_with_budget(trained[0], usd))


def test_a_price_that_changed_since_the_training_is_said(trained: Trained, tmp_path: Path) -> None:
    here = _copy(trained[0], tmp_path)
    sheet = pl.read_csv(here.contract, infer_schema=False)
    newest = forecast(here)["start"][0] - timedelta(hours=2)
    dearer = sheet.head(1).with_columns(
        pl.lit(newest.isoformat()).alias("valid_from"), pl.col("output").cast(float) * 2
    )
    pl.concat([sheet, dearer.cast(pl.String)]).write_csv(here.contract)

    (check,) = [one for one in drift(here) if one.group == "prices"]

    assert check.verdict == "retrain"
    assert "output x2.00; publish again" in check.reason


def test_nothing_trained_and_nothing_ingested_is_not_a_pass(project: Project) -> None:
    found = watch(project)

    assert found.verdict == "ok"
    assert any("nothing was trained yet" in why for why in found.unknown)
    assert forecast(project).is_empty()


def test_too_little_traffic_registers_nothing_and_says_why(project: Project) -> None:
    fitted = series.fit_all(project, Registry.of(project))

    assert [(one.name, one.version, one.promoted) for one in fitted] == [("anomaly", 0, False), ("demand", 0, False)]
    assert all("fairlead ingest" in one.reason for one in fitted)


def test_a_key_that_there_is_not_is_refused_with_those_that_there_are(project: Project) -> None:
    (project.models / "demand.toml").write_text('# How much?\nmethod = "forecast"\nhorizon = ["1h"]\n')

    with pytest.raises(ModelError, match="its keys are method, horizons, coverage, gate"):
        series.fit_all(project, Registry.of(project))


def test_the_gravest_check_is_the_verdict(trained: Trained) -> None:
    checks = drift(trained[0])

    assert worst([*checks, replace(checks[0], verdict="alarm")]) == "alarm"


def _copy(here: Project, folder: Path) -> Project:
    shutil.copytree(here.root, folder / "copy")
    return projects.open_project(folder / "copy")
