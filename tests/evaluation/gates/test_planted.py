"""Bad candidates, each of which some gate has to stop, and candidates like the champion, which none may refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from fairlead import features
from fairlead.errors import GateError, SnapshotRefusedError, UsageError
from fairlead.evaluation import gates
from fairlead.evaluation.gates import choices, leaks, rows
from fairlead.evaluation.gates.case import Case, gather
from fairlead.project import Project
from fairlead.scoring import swap
from fairlead.scoring.manifest import Column
from fairlead.scoring.parts import PARTS
from fairlead.scoring.snapshot import CANDIDATE, Snapshot, open_published
from fairlead.scoring.table import CategoryTable

Change = Callable[[Snapshot], Snapshot]


@pytest.fixture(scope="module")
def champion(trained: Any) -> tuple[Project, Snapshot]:
    here, _ = trained
    return here, open_published(here.published)[0]


def with_manifest(snapshot: Snapshot, **changes: Any) -> Snapshot:
    return replace(snapshot, manifest=replace(snapshot.manifest, **changes))


def with_table(snapshot: Snapshot, head: str, values: np.ndarray[Any, Any]) -> Snapshot:
    changed = replace(snapshot.heads[head], table=CategoryTable(values=values))
    return replace(snapshot, heads={**snapshot.heads, head: changed})


def inverted_sign(snapshot: Snapshot) -> Snapshot:
    parameters = {**snapshot.manifest.parameters, "usd_price": -200.0}
    return with_manifest(snapshot, parameters=parameters)


def inverted_cost(snapshot: Snapshot) -> Snapshot:
    table = snapshot.heads["output_tokens"].table.values
    return with_table(snapshot, "output_tokens", 2 * table.mean() - table)


def stale_price(snapshot: Snapshot) -> Snapshot:
    ends = list(snapshot.manifest.endpoints)
    ends[1] = replace(ends[1], output_usd=(ends[1].output_usd or 0.0) * 0.4)
    return with_manifest(snapshot, endpoints=ends)


def constant_policy(snapshot: Snapshot) -> Snapshot:
    return with_manifest(snapshot, policy="weighted", parameters={"weights": {snapshot.endpoints[0]: 1.0}})


def unknown_slice(snapshot: Snapshot) -> Snapshot:
    values = snapshot.heads["output_tokens"].table.values.copy()
    values[0] = np.nan
    return with_table(snapshot, "output_tokens", values)


def shifted_labels(snapshot: Snapshot) -> Snapshot:
    alone = replace(snapshot, parts=PARTS)  # networks, where they serve, would not read the table
    return with_table(alone, "quality", -3 * snapshot.heads["quality"].table.values - 2)


def tiny_sample(snapshot: Snapshot) -> Snapshot:
    return with_manifest(snapshot, lineage={**snapshot.manifest.lineage, "labels": "60"})


PLANTED: dict[str, tuple[Change, str, str]] = {
    "a dollar is worth less than nothing": (inverted_sign, "refuse", "policy"),
    "what is dear is taken for cheap": (inverted_cost, "refuse", "cost predicted"),
    "a price is stale": (stale_price, "refuse", "prices"),
    "everything goes to one endpoint": (constant_policy, "hold", "constant"),
    "a route has no predictions": (unknown_slice, "refuse", "predictions known"),
    "the labels it learned from were others": (shifted_labels, "refuse", "quality predicted"),
    "it learned from sixty labels": (tiny_sample, "refuse", "labels"),
}


def ruled(champion: tuple[Project, Snapshot], change: Change, folder: Path, **options: Any) -> gates.Ruling:
    here, snapshot = champion
    path = folder / "candidate.safetensors"
    change(with_manifest(snapshot, version=snapshot.manifest.version + 1)).write(path)
    return gates.rule(here, path, **options)


@pytest.mark.parametrize("fault", PLANTED)
def test_a_bad_candidate_is_stopped_and_the_gate_says_why(champion: Any, tmp_path: Path, fault: str):
    change, verdict, gate = PLANTED[fault]

    found = ruled(champion, change, tmp_path)

    assert found.verdict in {verdict, "refuse"}
    assert found.gate(gate).verdict == verdict
    assert found.gate(gate).way_out
    assert gate in gates.render(found)


def test_a_candidate_like_the_champion_is_promoted(champion: Any, tmp_path: Path):
    found = ruled(champion, lambda snapshot: snapshot, tmp_path)

    assert {gate.name: gate.said for gate in found.against} == {}
    assert found.verdict == "promote"
    assert gates.latest(champion[0]) == found


def test_a_candidate_that_was_tampered_with_is_refused(champion: Any, tmp_path: Path):
    here, snapshot = champion
    data = bytearray(with_manifest(snapshot, version=9).to_bytes())
    data[-20] ^= 1
    (tmp_path / "candidate.safetensors").write_bytes(data)

    found = gates.rule(here, tmp_path / "candidate.safetensors")

    assert (found.verdict, [gate.name for gate in found.gates]) == ("refuse", ["file"])
    assert "does not match its SHA-256" in found.gates[0].said


def test_a_version_that_is_not_above_the_one_in_use_is_refused(champion: Any, tmp_path: Path):
    here, snapshot = champion
    snapshot.write(tmp_path / "candidate.safetensors")

    assert gates.rule(here, tmp_path / "candidate.safetensors").gate("file").verdict == "refuse"


def test_a_provider_that_is_dropped_is_missed(champion: Any):
    here, snapshot = champion
    case = gather(here, snapshot, snapshot)
    kept = replace(snapshot, manifest=replace(snapshot.manifest, endpoints=snapshot.manifest.endpoints[1:]))
    case = replace(case, candidate=replace(case.candidate, snapshot=kept))

    found = {gate.name: gate for gate in choices.gates(case)}["endpoints"]

    assert found.verdict == "refuse"
    assert found.said.startswith(snapshot.endpoints[0])


@pytest.fixture(scope="module")
def case(champion: Any) -> Case:
    here, snapshot = champion
    return gather(here, replace(snapshot, manifest=replace(snapshot.manifest, version=2)), snapshot)


def leaky(case: Case, values: pl.Expr) -> Case:
    """The same with a column more, as a feature file of the project would add it."""
    manifest = case.candidate.snapshot.manifest
    columns = [*manifest.columns, Column("tag_more", "request")]
    snapshot = replace(case.candidate.snapshot, manifest=replace(manifest, columns=columns))
    rows = case.joined.rows.with_columns(tag_more=values)
    joined = replace(case.joined, rows=rows, request_columns=[*case.joined.request_columns, "tag_more"])
    return replace(case, candidate=replace(case.candidate, snapshot=snapshot), joined=joined)


@pytest.mark.parametrize("late", ["quality", "cost_usd"])
def test_what_became_known_after_the_call_is_no_feature(case: Case, late: str):
    found = leaks.gates(leaky(case, pl.col(late).fill_null(0)))[0]

    assert found.verdict == "refuse"
    assert found.said.startswith("tag_more differs between endpoints")


def test_what_was_known_before_the_call_is_balanced(case: Case):
    noise = pl.Series(np.random.default_rng(0).normal(size=case.joined.rows.height))

    assert leaks.gates(case)[0].verdict == "promote"
    assert leaks.gates(leaky(case, pl.lit(noise)))[0].verdict == "promote"


def test_a_candidate_does_not_learn_from_its_own_canary(case: Case):
    own = case.joined.rows.with_columns(policy_version=pl.lit("2+0011223344556677"))
    others = case.joined.rows.with_columns(policy_version=pl.lit("1+0011223344556677"))

    verdicts = [
        {gate.name: gate.verdict for gate in rows.gates(replace(case, joined=replace(case.joined, rows=found)))}
        for found in (own, others)
    ]

    assert [verdict["own decisions"] for verdict in verdicts] == ["refuse", "promote"]


def test_a_person_may_agree_to_a_hold_and_not_to_a_refusal(champion: Any, tmp_path: Path):
    held = ruled(champion, constant_policy, tmp_path)
    names = [gate.name for gate in held.against]

    agreed = ruled(champion, constant_policy, tmp_path, agree=names)

    assert held.verdict == "hold"
    assert agreed.verdict == "promote"
    with pytest.raises(UsageError, match="--agree prices: no gate of that name holds"):
        ruled(champion, stale_price, tmp_path, agree=["prices"])


def test_only_the_file_that_was_judged_is_promoted(champion: Any, tmp_path: Path):
    _, snapshot = champion
    project = Project(tmp_path)
    project.published.mkdir(parents=True)
    better = Snapshot.from_bytes(with_manifest(snapshot, version=5).to_bytes())
    snapshot.write(project.published / "snapshot.safetensors")
    better.write(project.published / CANDIDATE)

    with pytest.raises(GateError, match="is not that of the one that is meant"):
        swap.promote(project.published, "0" * 16)
    with pytest.raises(GateError, match="the gates did not say `promote` of it"):
        swap.promote(project.published, better.sha256[:16])
    swap.keep_verdict(project.published, "promote", better.sha256)
    swap.promote(project.published, better.sha256[:16])

    assert open_published(project.published)[0].manifest.version == 5
    with pytest.raises(SnapshotRefusedError):
        swap.promote(project.published, better.sha256)


def test_without_fresh_requests_nobody_can_know(champion: Any, tmp_path: Path):
    here, snapshot = champion
    late = {**snapshot.manifest.lineage, "trained_until": "2099-01-01T00:00:00+00:00"}

    found = ruled((here, snapshot), lambda one: with_manifest(one, lineage=late), tmp_path)

    assert found.verdict == "hold"
    assert features.join(here).rows.height > 0
    assert found.gate("fresh requests").said.startswith("no requests after 2099-01-01")
