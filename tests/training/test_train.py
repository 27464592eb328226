import datetime
import shutil
from pathlib import Path

import pytest

from fairlead import features, ingest, training
from fairlead import project as projects
from fairlead.errors import EvidenceError, ModelError
from fairlead.evaluation import simulate
from fairlead.project import Project
from fairlead.training.champions import champion_of
from fairlead.training.registry import Registry

QUICK = """\
features = ["request_shape.*"]
heads = [{{ name = "{name}", target = "{target}"{alpha} }}]
[params]
rounds = 15
[gate]
metric = "{metric}"
at_most = {at_most}
"""


def declare(here: Project, at_most: float = 1.02) -> None:
    shutil.rmtree(here.models)
    here.models.mkdir()
    (here.models / "quality.toml").write_text(
        QUICK.format(name="quality", target="quality", alpha="", metric="brier", at_most=at_most)
    )
    (here.models / "slow.toml").write_text(
        QUICK.format(name="latency_s", target="duration_s", alpha=", alpha = 0.5", metric="pinball", at_most=at_most)
    )


@pytest.fixture
def here(tmp_path: Path) -> Project:
    made = projects.init(tmp_path / "project")
    log = simulate.run(made.root / "gateway", requests=500, endpoints=3, exploration=0.5, seed=2)
    ingest.load(made, [log.log, log.feedback])
    declare(made)
    return made


def test_predictors_are_trained_gated_and_replaced(here: Project) -> None:
    told: list[tuple[str, float]] = []

    first = training.train(here, holdout=0.5, progress=lambda what, share: told.append((what, share)))
    again = training.train(here, holdout=0.2)
    declare(here, at_most=0.01)
    strict = training.train(here, holdout=0.2)

    assert [(one.predictor, one.version, one.promoted) for one in (*first, *again, *strict)] == [
        *(("quality", 1, True), ("slow", 1, True)),
        *(("quality", 2, again[0].promoted), ("slow", 2, again[1].promoted)),
        *(("quality", 3, False), ("slow", 3, False)),
    ]
    assert {one.reason for one in first} == {"first of its name"}
    assert again[0].reason.startswith("brier as a share of the champion's: quality ")
    assert again[1].reason.endswith("; at most 1.02")
    assert told == [("quality", 0.0), ("slow", 0.5), ("done", 1.0)]
    assert champion_of(Registry(here.registry), "quality").version in (1, 2)


def test_the_newest_requests_are_left_for_the_judge(here: Project) -> None:
    starts = features.join(here).rows["start_time"].sort()

    report = training.train(here, holdout=0.4)[0]

    until = datetime.datetime.fromisoformat(report.trained_until)
    assert report.rows == pytest.approx(0.6 * len(starts), abs=2)
    assert until <= starts[report.rows]


def test_without_feedback_only_what_needs_none_can_be_trained(tmp_path: Path) -> None:
    made = projects.init(tmp_path / "project")
    log = simulate.run(tmp_path / "gateway", requests=300, endpoints=3, seed=2)
    ingest.load(made, [log.log])
    declare(made)

    with pytest.raises(ModelError) as fault:
        training.train(made)

    assert str(fault.value) == "quality: 0 rows have quality, 50 are needed; ingest more feedback"


def test_an_empty_project_has_nothing_to_learn_from(project: Project) -> None:
    with pytest.raises(EvidenceError) as fault:
        training.train(project)

    assert str(fault.value) == "no attempts to learn from; run `fairlead ingest` on your gateway's logs first"
