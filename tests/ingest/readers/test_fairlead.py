import json

import pytest

from fairlead import ingest, store
from fairlead.ingest.readers import fairlead
from fairlead.testing import check_reader

DECISION = {
    "fairlead": "decision",
    "time": "2026-03-01T12:00:00.25+00:00",
    "decision_id": "d-1",
    "request_id": "r-1",
    "endpoint": "acme/small",
    "propensity": 0.75,
    "policy_id": "intelligent",
    "policy_version": "3+0011223344556677",
    "is_exploration": False,
    "kind": "policy",
    "route": "chat",
    "team": None,
    "chosen": "acme/large",
    "candidates": [
        {"arm": "acme/small", "propensity": 0.75, "predicted_cost_usd": 0.1, "predicted_quality": None},
        {"arm": "acme/large", "propensity": 0.25, "predicted_duration_s": 2.0},
    ],
}
FEEDBACK = {
    "fairlead": "feedback",
    "id": "f-1",
    "time": "2026-03-01T12:05:00+00:00",
    "target_id": "r-1",
    "target_kind": "request",
    "name": "thumb",
    "score": False,
    "evaluator_kind": "human",
    "tags": {"page": "help"},
}


def test_the_reader_keeps_the_contract():
    check_reader(fairlead, [DECISION, FEEDBACK])


def test_decisions_and_feedback_become_rows(project, tmp_path):
    path = tmp_path / "fairlead.jsonl"
    path.write_text("\n".join(map(json.dumps, (DECISION, FEEDBACK))) + "\n")

    result = ingest.load(project, [path])

    con = store.open_lake(project.lake).connect()
    decision = store.query(con, "SELECT * FROM decisions").row(0, named=True)
    opinion = store.query(con, "SELECT * FROM feedback").row(0, named=True)
    con.close()
    assert (result.stored, result.quarantined) == (2, 0)
    assert (decision["decision_id"], decision["endpoint"], decision["propensity"]) == ("d-1", "acme/small", 0.75)
    assert [(one["arm"], one["propensity"]) for one in decision["candidates"]] == [
        ("acme/small", 0.75),
        ("acme/large", 0.25),
    ]
    assert json.loads(decision["attributes"]) == {"kind": "policy", "route": "chat", "chosen": "acme/large"}
    assert (opinion["target_id"], opinion["score_normalized"], opinion["value_type"]) == ("r-1", 0.0, "boolean")


@pytest.mark.parametrize(
    "wrong",
    [
        {"time": None},
        {"time": "yesterday"},
        {"request_id": None},
        {"propensity": 0.0},
        {"propensity": "half"},
        {"endpoint": ""},
        {"candidates": "all"},
        {"candidates": [{"arm": 3}]},
    ],
    ids=str,
)
def test_a_decision_that_is_off_is_set_aside(project, tmp_path, wrong):
    path = tmp_path / "fairlead.jsonl"
    path.write_text(json.dumps({**DECISION, **wrong}) + "\n" + json.dumps(DECISION) + "\n")

    result = ingest.load(project, [path])

    assert (result.read, result.stored, result.quarantined) == (2, 1, 1)
