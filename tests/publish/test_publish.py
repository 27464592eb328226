import shutil

import numpy as np
import pytest

from fairlead import project
from fairlead.errors import GateError, UsageError
from fairlead.publish import publish
from fairlead.scoring import Request, Router, Snapshot
from fairlead.scoring.explain import explain
from fairlead.scoring.snapshot import CURRENT, LAST_GOOD


@pytest.fixture
def copy(trained, tmp_path):
    here, _ = trained
    shutil.copytree(here.root, tmp_path / "copy", ignore=shutil.ignore_patterns("gateway"))
    # MLflow keeps absolute paths of its artifacts; only what was published is used from the copy.
    return project.open_project(tmp_path / "copy")


def test_a_published_snapshot_follows_its_boosters(copy):
    here = copy

    done = publish(here, parameters={"usd_price": 5.0})

    assert done.largest_difference <= 1e-6
    assert done.rows_audited == 2000
    snapshot = Snapshot.read(here.published / CURRENT)
    assert snapshot.manifest.version == done.version
    assert snapshot.manifest.parameters == {"usd_price": 5.0}
    assert (len(snapshot.manifest.demand), sum(snapshot.manifest.demand)) == (24, pytest.approx(1))
    assert Snapshot.read(here.published / LAST_GOOD).manifest.version == done.version - 1
    assert snapshot.manifest.lineage["quality"].startswith("version 1, run ")


def test_a_failed_audit_changes_nothing(copy, monkeypatch):
    here = copy
    before = (here.published / CURRENT).read_bytes()
    monkeypatch.setattr("fairlead.publish.replay.TOLERANCE", -1.0)

    with pytest.raises(GateError, match="differs from its booster"):
        publish(here)

    assert (here.published / CURRENT).read_bytes() == before


def test_a_policy_that_cannot_be_built_is_not_published(copy):
    here = copy
    before = (here.published / CURRENT).read_bytes()

    with pytest.raises(UsageError, match="no policy named 'clever'"):
        publish(here, policy="clever")

    assert (here.published / CURRENT).read_bytes() == before


def test_a_damaged_snapshot_is_not_kept_as_the_last_good_one(copy):
    last = (copy.published / CURRENT).read_bytes()
    (copy.published / LAST_GOOD).write_bytes(last)
    (copy.published / CURRENT).write_bytes(b"damaged")

    publish(copy)

    assert (copy.published / LAST_GOOD).read_bytes() == last
    assert Snapshot.read(copy.published / CURRENT).manifest.version == Snapshot.from_bytes(last).manifest.version + 1


def test_what_is_published_decides(trained):
    here, made = trained

    decision = Router(here.published).decide(Request(text="Write a function that sorts a list.", route="code"))

    assert decision.endpoint in made.endpoints
    assert all(one.quality is not None and one.cost_usd is not None for one in decision.ranked)


def test_what_has_no_champion_is_not_published(copy):
    before = (copy.published / CURRENT).read_bytes()
    (copy.models / "quality.toml").rename(copy.models / "zeal.toml")

    with pytest.raises(GateError, match="no champion of 'zeal' is registered; run `fairlead train`"):
        publish(copy)

    assert (copy.published / CURRENT).read_bytes() == before


def test_a_published_decision_is_explained_against_the_typical_request(trained):
    here, _ = trained
    router = Router(here.published)
    request = Request(id="r-1", text="Prove that the square root of 2 is irrational.", route="maths")
    decision = router.decide(request)

    found = explain(router, router.policy, request, decision)

    typical = router.snapshot.reference
    owners = [column.owner for column in router.snapshot.manifest.columns]
    assert typical is not None
    assert {owner for owner, value in zip(owners, typical, strict=True) if np.isfinite(value)} == {"request"}
    total = found.gap_at_reference + sum(group.utility for group in found.groups)
    assert total == pytest.approx(found.gap, abs=1e-9)
    assert found.other == pytest.approx(0, abs=1e-9)
    assert found.gap == pytest.approx(decision.ranked[0].score - decision.ranked[1].score)
