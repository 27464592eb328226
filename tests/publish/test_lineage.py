"""From a logged decision back to the rows that its predictors learned from."""

import json
import shutil
from pathlib import Path

import pytest

from fairlead import features, ingest, project, training
from fairlead.errors import EvidenceError
from fairlead.evaluation import simulate
from fairlead.project import Project
from fairlead.publish import lineage, publish
from fairlead.scoring import Request, Router, record
from fairlead.training.registry import Registry

PREDICTOR = """\
features = ["request_shape.*"]
heads = [{ name = "output_tokens", target = "output_tokens", alpha = 0.5 }]
[params]
rounds = 5
[gate]
metric = "pinball"
"""


@pytest.fixture
def here(tmp_path: Path) -> Project:
    made = project.init(tmp_path / "project")
    for old in made.models.glob("*.toml"):
        old.unlink()
    (made.models / "cost.toml").write_text(PREDICTOR)
    log = simulate.run(tmp_path / "gateway", requests=400, endpoints=3, days=10, seed=2)
    ingest.load(made, [log.log, log.feedback])
    return made


def logged(here: Project, sample: Path) -> str:
    """Decide one request, write its call into a gateway's log, ingest that; give the decision's id."""
    decision = Router(here.published).decide(Request(id="asked", text="how long is this?"))
    record = json.loads(sample.read_text().splitlines()[0])
    record["id"] = record["litellm_call_id"] = "call-of-asked"
    record["metadata"]["spend_logs_metadata"] = decision.metadata()
    later = here.root / "later.jsonl"
    later.write_text(json.dumps(record) + "\n")
    ingest.load(here, [later])
    return decision.id


def test_a_decision_leads_back_to_exactly_the_rows_behind_it(here: Project) -> None:
    report = training.train(here, holdout=0.25)[0]
    publish(here)
    decision = logged(here, here.root.parent / "gateway" / "litellm.jsonl")

    (traced,) = lineage.trace(here, decision)

    fit = Registry.of(here).champion("cost")
    assert (traced.predictor, traced.version, traced.run_id) == ("cost", 1, fit.run_id)
    assert (traced.rows, traced.found, traced.same) == (report.rows, report.rows, True)
    frame, _ = training.lineage.find(here, fit.rows)
    starts = features.join(here).rows.select("event_id", "start_time")
    held = dict(starts.iter_rows())
    assert max(held[name] for name in frame.ids).isoformat() < fit.rows.until


def test_rows_that_came_later_are_told_apart_from_rows_that_changed(here: Project, tmp_path: Path) -> None:
    training.train(here, holdout=0)
    publish(here)
    decision = logged(here, tmp_path / "gateway" / "litellm.jsonl")
    other = simulate.run(tmp_path / "older", requests=100, endpoints=3, days=10, seed=9)

    ingest.load(here, [other.log])  # as old as the others, loaded after the fit
    late = lineage.trace(here, decision)[0]
    feedback = (tmp_path / "gateway" / "feedback.jsonl").read_text().splitlines()
    first = json.loads(feedback[0])
    first |= {"id": "second thoughts", "score": 1 - first["score"], "scored_at": "2026-11-01T00:00:00Z"}
    (tmp_path / "more.feedback.jsonl").write_text(json.dumps(first) + "\n")
    shutil.copy(tmp_path / "gateway" / "feedback.toml", tmp_path / "more.feedback.toml")
    ingest.load(here, [tmp_path / "more.feedback.jsonl"])
    changed = lineage.trace(here, decision)[0]

    assert (late.same, late.found) == (True, late.rows)
    assert (changed.same, changed.found) == (False, late.rows)


def test_a_decision_that_nobody_logged_and_one_of_another_router_are_named(here: Project) -> None:
    training.train(here)
    publish(here)
    foreign = json.loads((here.root.parent / "gateway" / "litellm.jsonl").read_text().splitlines()[0])
    theirs = foreign["metadata"]["spend_logs_metadata"]["decision_id"]

    with pytest.raises(EvidenceError, match="no logged attempt bears decision nothing; ingest the gateway's log"):
        lineage.trace(here, "nothing")
    with pytest.raises(EvidenceError, match=r"was made with 1, which no line of .*published.jsonl names"):
        lineage.trace(here, theirs)


def test_the_record_survives_a_line_that_was_cut_off(here: Project) -> None:
    training.train(here)
    publish(here)
    publish(here)
    with (here.published / record.RECORD).open("ab") as out:
        out.write(b'{"version": 3, "sha')

    assert [(one.version, one.predictors) for one in record.record_of(here.published)] == [
        (1, {"cost": 1}),
        (2, {"cost": 1}),
    ]
