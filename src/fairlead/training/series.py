"""Fits the predictors of traffic over time, demand and anomaly, which learn from windows and hours, not from requests.

They look at everything that is in the store: each of their forecasts is made from what came before it, so nothing has
to be held out for the judge.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead import features, store
from fairlead.errors import EvidenceError, ModelError
from fairlead.project import Project
from fairlead.training import anomaly, demand
from fairlead.training.entry import Entry
from fairlead.training.registry import Registry

__all__ = ["METHODS", "Trained", "fit_all", "method_of"]


class Trained(Struct, frozen=True, kw_only=True):
    """What became of one predictor; `version` 0 and not promoted where there is too little traffic yet."""

    name: str
    version: int
    promoted: bool
    reason: str
    rows: int
    until: str
    metrics: dict[str, float]


class _Candidate(Struct, frozen=True, kw_only=True):
    """A fit to register: whether it is to be promoted and why, what it learned from, its files."""

    promote: bool
    reason: str
    rows: int
    until: str
    metrics: dict[str, float]
    write: Callable[[Path], None]
    card: str


def method_of(path: Path) -> str | None:
    """Say which method a file of models/ names; None where it names none, or is no TOML."""
    try:
        method = tomllib.loads(path.read_text(encoding="utf-8")).get("method")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    return method if isinstance(method, str) else None


def fit_all(project: Project, registry: Registry) -> list[Trained]:
    """Fit, gate and register the files of models/ whose method is one of these; ModelError names one that is off."""
    files = [path for path in sorted(project.models.glob("*.toml")) if method_of(path) in METHODS]
    if not files:
        return []
    connection = store.open_lake(project.lake).connect()
    try:
        features.make_views(connection, features.rules_of(project))
        return [_one(path, connection, registry) for path in files]
    finally:
        connection.close()


def _one(path: Path, connection: Any, registry: Registry) -> Trained:
    name = path.stem
    try:
        made = METHODS[method_of(path) or ""](path, connection, registry)
    except EvidenceError as fault:
        return Trained(name=name, version=0, promoted=False, reason=str(fault), rows=0, until="", metrics={})
    entry = Entry(name=name, write=made.write, params={"rows": made.rows}, metrics=made.metrics, card=made.card)
    registered = registry.register(entry, made.reason)
    if made.promote:
        registry.promote(registered)
    return Trained(
        name=name,
        version=registered.version,
        promoted=made.promote,
        reason=made.reason,
        rows=made.rows,
        until=made.until,
        metrics=made.metrics,
    )


def _demand(path: Path, connection: Any, registry: Registry) -> _Candidate:
    plan = msgspec.structs.replace(_read(path, demand.plan.Plan), name=path.stem)
    plan.spans(path)
    windows = demand.windows.read(connection)
    fitted = demand.model.fit(windows, plan)
    found = registry.champion(path.stem)
    champion = demand.model.read(found.folder) if found else None
    promote, reason = demand.gate.judge(fitted, champion, windows)
    return _Candidate(
        promote=promote,
        reason=reason,
        rows=len(windows.values),
        until=windows.end.isoformat(),
        metrics=fitted.metrics,
        write=partial(demand.model.write, fitted),
        card=demand.gate.card(fitted, reason),
    )


def _anomaly(path: Path, connection: Any, registry: Registry) -> _Candidate:
    plan = msgspec.structs.replace(_read(path, anomaly.plan.Plan), name=path.stem)
    plan.check(path)
    usual = anomaly.model.fit(anomaly.hours.read(connection), plan)
    reason = f"knows what was usual in {usual.hours} hours until {usual.trained_until:%Y-%m-%d %H:%M} UTC"
    return _Candidate(
        promote=True,
        reason=reason,
        rows=usual.hours,
        until=usual.trained_until.isoformat(),
        metrics=usual.metrics,
        write=partial(anomaly.model.write, usual),
        card=f"# {path.stem}\n\nIt {reason}, for {len(usual.slices)} slices of the traffic.\n",
    )


METHODS: Final[dict[str, Callable[[Path, Any, Registry], _Candidate]]] = {"forecast": _demand, "baseline": _anomaly}


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except msgspec.ValidationError as fault:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind) if field.name != "name")
        raise ModelError(f"{path}: {fault}; its keys are {known}") from fault
