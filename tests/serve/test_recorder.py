import json
import time

import pytest

from fairlead import ingest, store
from fairlead.project import Project
from fairlead.scoring import Request, Router
from fairlead.serve.metrics import Metrics
from fairlead.serve.recorder import Recorder
from fairlead.serve.spool import Sizes

CANARY = "canary-4711"


def test_decisions_and_feedback_come_back_through_ingest(serving, tmp_path):
    server = serving(spool=tmp_path / "spool")
    asked = [{"id": f"r-{number}", "text": CANARY, "route": "chat"} for number in range(20)]
    told = server.post("/v1/decide/batch", {"requests": asked}).json()["decisions"]
    single = server.post("/v1/decide", {"id": "r-20", "text": CANARY, "chosen": "acme/large"}).json()
    thumb = server.post("/v1/feedback", {"target_id": "r-1", "score": True, "name": "thumb"}).json()["id"]
    server.post(
        "/v1/feedback", {"target_id": "r-2", "score": 2, "scale_min": 1, "scale_max": 5, "evaluator_kind": "llm"}
    )
    server.end()

    project = Project(tmp_path)
    report = ingest.load(project, [tmp_path / "spool"])
    con = store.open_lake(project.lake).connect()
    decisions = store.query(con, "SELECT * FROM decisions ORDER BY request_id").rows(named=True)
    opinions = store.query(con, "SELECT * FROM feedback ORDER BY target_id").rows(named=True)
    con.close()

    assert (report.read, report.stored, report.quarantined) == (23, 23, 0)
    expected = {one["request_id"]: one for one in [*told, single]}
    assert {one["request_id"]: (one["decision_id"], one["endpoint"], one["propensity"]) for one in decisions} == {
        name: (one["id"], one["endpoint"], one["propensity"]) for name, one in expected.items()
    }
    arms = {(one["arm"], one["propensity"]) for one in decisions[0]["candidates"]}
    assert arms == {("acme/small", 0.75), ("acme/large", 0.25)}
    assert [json.loads(one["attributes"])["kind"] for one in decisions] == ["policy"] * 21
    assert [(one["target_id"], one["name"], one["score_normalized"]) for one in opinions] == [
        ("r-1", "thumb", 1.0),
        ("r-2", "feedback", 0.25),
    ]
    assert len(thumb) == 32
    spooled = "".join(path.read_text() for path in (tmp_path / "spool").iterdir())
    assert CANARY not in spooled
    assert ingest.load(project, [tmp_path / "spool"]).stored == 0


def test_feedback_is_on_the_disk_when_it_is_answered(serving, tmp_path):
    server = serving(spool=tmp_path / "spool")

    for number in range(5):
        server.post("/v1/feedback", {"target_id": f"r-{number}", "label": "good"})
        text = "".join(path.read_text() for path in (tmp_path / "spool").iterdir())
        assert text.count(f'"target_id":"r-{number}"') == 1
        assert text.endswith("\n")


def test_where_the_disk_is_full_decisions_go_on_and_feedback_is_refused(serving, tmp_path, monkeypatch):
    import fairlead.serve.spool as spool

    server = serving(spool=tmp_path / "spool")
    monkeypatch.setattr(spool, "_write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))

    decided = server.post("/v1/decide", {"id": "r-1"})
    refused = server.post("/v1/feedback", {"target_id": "r-1", "score": 1})

    assert (decided.status_code, refused.status_code) == (200, 503)
    assert refused.json()["error"]["code"] == "spool_full"
    monkeypatch.undo()
    assert server.post("/v1/feedback", {"target_id": "r-1", "score": 1}).status_code == 200
    until = time.monotonic() + 10
    while 'fairlead_spool_records_total{outcome="dropped"}' not in server.http.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("total", [1, 20_000])
def test_a_spool_is_bounded_and_what_is_dropped_is_counted(published, tmp_path, total):
    metrics, router = Metrics(), Router(published)
    recorder = Recorder(tmp_path / "spool", metrics, Sizes(total_bytes=total))
    asked = [Request(id=f"r-{number}") for number in range(200)]

    for _ in range(5):
        recorder(asked, router.decide_many(asked))
        recorder._write()
        recorder._spool._looked = 0.0
    recorder.close()

    counted = {key[1]: value for key, value in metrics.counts.seen.items()}
    lines = [line for path in (tmp_path / "spool").iterdir() for line in path.read_text().splitlines()]
    assert counted.get("kept", 0) == len(lines)
    assert counted["kept"] + counted["dropped"] == 1000
    assert [json.loads(line)["fairlead"] for line in lines] == ["decision"] * len(lines)
    assert counted["dropped"] > 0
