"""Asks every gate of a candidate, keeps what they said, and shows it."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from fairlead.errors import EvidenceError, ReadError, SnapshotRefusedError, UsageError
from fairlead.evaluation.gates import choices, leaks, predictions, probe, rows, value
from fairlead.evaluation.gates.case import Case, gather, version_of
from fairlead.evaluation.gates.gate import Gate, Ruling, held, passed, refused, together
from fairlead.project import Project
from fairlead.scoring import swap, whole
from fairlead.scoring.policies import make
from fairlead.scoring.snapshot import CANDIDATE, Snapshot, open_published

__all__ = ["latest", "render", "rule"]

GATES: Final[tuple[Callable[[Case], list[Gate]], ...]] = (
    rows.gates,
    leaks.gates,
    predictions.gates,
    value.gates,
    choices.gates,
    probe.gates,
)
_MARKS: Final = {"promote": "ok", "hold": "HOLD", "refuse": "REFUSE"}


def rule(project: Project, candidate: Path, *, agree: Collection[str] = ()) -> Ruling:
    """Judge the snapshot at `candidate` against the published one, on requests that neither has learned from.

    `agree` names gates whose hold a person has agreed to; a refusal cannot be agreed to. The ruling is kept as
    `var/judgements/ruling.json`. Raises UsageError when `agree` names no gate that holds.
    """
    champion = _champion(project)
    gates, requests, name = _asked(project, candidate, champion)
    holding = {gate.name for gate in gates if gate.verdict == "hold"}
    if unknown := sorted(set(agree) - holding):
        raise UsageError(
            f"--agree {unknown[0]}: no gate of that name holds; there are {', '.join(sorted(holding)) or 'none'}"
        )
    gates = [
        passed(gate.name, f"{gate.said}; agreed to") if gate.name in agree and gate.verdict == "hold" else gate
        for gate in gates
    ]
    found = Ruling(
        verdict=together(gates),
        candidate=name,
        champion=None if champion is None else version_of(champion),
        ruled_at=datetime.datetime.now(datetime.UTC),
        requests=requests,
        gates=gates,
    )
    _keep(project, found, candidate)
    return found


def _champion(project: Project) -> Snapshot | None:
    try:
        return open_published(project.published)[0]
    except SnapshotRefusedError:
        return None


def _asked(project: Project, path: Path, champion: Snapshot | None) -> tuple[list[Gate], int, str]:
    try:
        candidate = Snapshot.read(path)
    except SnapshotRefusedError as refusal:
        return [refused("file", str(refusal), "publish it again")], 0, path.name
    name = version_of(candidate)
    said = f"{path.name}: version {candidate.manifest.version}, its content is what was published"
    if champion is not None and candidate.manifest.version <= champion.manifest.version:
        above = f"{said}; the version in use is {champion.manifest.version}, and versions only grow"
        return [refused("file", above, "publish it again")], 0, name
    try:
        make(candidate.manifest.policy, candidate.manifest.parameters)
    except UsageError as fault:
        return [passed("file", said), refused("policy", str(fault), "publish with a goal")], 0, name
    try:
        case = gather(project, candidate, champion)
    except EvidenceError as fault:
        return [passed("file", said), held("fresh requests", str(fault), "ingest newer logs")], 0, name
    return [passed("file", said), *(gate for ask in GATES for gate in ask(case))], len(case.log), name


def latest(project: Project) -> Ruling | None:
    """Give the project's last ruling; None when there is none yet."""
    path = project.var / "judgements" / "ruling.json"
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ruling)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise ReadError(f"{path}: not a ruling ({fault}); run `fairlead judge --candidate` to write it anew") from fault


def render(ruling: Ruling) -> str:
    """Lay a ruling out for a terminal: the verdict, what stands against it, and every gate."""
    champion = "the log itself" if ruling.champion is None else ruling.champion
    head = (
        f"{ruling.verdict.upper()}: candidate {ruling.candidate} beside {champion}, {ruling.requests:,} fresh requests"
    )
    width = max(len(gate.name) for gate in ruling.gates)
    lines = [head, ""]
    for gate in ruling.gates:
        text = gate.said if gate.verdict == "promote" else f"{gate.said}. Way out: {gate.way_out}"
        wrapped = textwrap.wrap(text, 96) or [""]
        lines.append(f"{_MARKS[gate.verdict]:<7} {gate.name:<{width}}  {wrapped[0]}")
        lines += [f"{'':<{width + 10}}{more}" for more in wrapped[1:]]
    return "\n".join(lines)


def _keep(project: Project, found: Ruling, candidate: Path) -> None:
    folder = project.var / "judgements"
    folder.mkdir(parents=True, exist_ok=True)
    whole.write(folder / "ruling.json", msgspec.json.format(msgspec.json.encode(found), indent=2))
    if candidate == project.published / CANDIDATE and candidate.is_file():
        with suppress(SnapshotRefusedError):  # a file that is refused is not promoted by anybody
            swap.keep_verdict(project.published, found.verdict, Snapshot.read(candidate).sha256)
