"""Fits, gates and registers every predictor of models/."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import msgspec
from msgspec import Struct

from fairlead import features
from fairlead.errors import ModelError, UsageError
from fairlead.project import Project
from fairlead.training import gate, lineage, logs, search, series, spec
from fairlead.training.card import entry_of
from fairlead.training.champions import champion_of
from fairlead.training.methods import METHODS
from fairlead.training.registry import Registry

__all__ = ["HeadReport", "TrainReport", "train"]

HOLDOUT_SHARE = 0.3


class HeadReport(Struct, frozen=True, kw_only=True):
    """How one number was fitted: losses out of fold (of series: in the backtest), and what is served."""

    name: str
    serve: str
    trees: int
    metrics: dict[str, float]
    reason: str = ""  # of an ensemble: why it keeps as much of the contrasts between endpoints as it does


class TrainReport(Struct, frozen=True, kw_only=True):
    """What became of one predictor."""

    predictor: str
    version: int
    promoted: bool
    reason: str
    rows: int
    trained_until: str
    heads: list[HeadReport]
    searched: str = ""  # what came of a search for better params
    params: dict[str, float] = {}  # those that were searched for and used


def train(
    project: Project,
    *,
    holdout: float = HOLDOUT_SHARE,
    search_s: float = 0.0,
    progress: Callable[[str, float], None] | None = None,
) -> list[TrainReport]:
    """Train every predictor on the logged requests but the newest share `holdout`, which is left for the judge.

    A fit that passes its gate becomes the champion. When the endpoints, routes or features are not those of the
    champions any more, all of them are replaced together, because a snapshot needs one vocabulary. With `search_s` the
    params of each predictor's forests are first searched for, for as many seconds in all.
    """
    joined = features.join(project, states=spec.tables_of(project.models))
    until = _cut(joined, holdout)
    frame = logs.frame_of(joined, until)
    rows = lineage.rows_of(frame, joined, until, project)
    registry = Registry.of(project)
    declared = spec.read_all(project.models)
    _known_tables(declared, joined, project)
    tuned = sum(one.method != "rates" for one in declared)
    reports = []
    for done, one in enumerate(declared):
        if progress:
            progress(one.name, done / len(declared))
        own = msgspec.structs.replace(frame, hidden=logs.hidden(frame, one, joined))
        searched = ""
        if search_s > 0 and one.method != "rates":
            found = search.search(own, one, seconds=search_s / tuned, progress=progress)
            registry.track(f"{one.name} search", [(trial.params, {"loss": trial.loss}) for trial in found.trials])
            one, searched = msgspec.structs.replace(one, params=found.params), found.reason  # noqa: PLW2901
        candidate, fitted = METHODS[one.method](own, one)
        champion = champion_of(registry, one.name)
        verdict = gate.judge(candidate, fitted, champion.predictor if champion else None, own)
        registered = registry.register(entry_of(candidate, rows, verdict.reason), verdict.reason)
        if verdict.promote:
            registry.promote(registered)
        reports.append(
            TrainReport(
                predictor=one.name,
                version=registered.version,
                promoted=verdict.promote,
                reason=verdict.reason,
                rows=len(own),
                searched=searched,
                params=msgspec.structs.asdict(one.params) if searched else {},
                trained_until=_moment(candidate.trained_until),
                heads=[
                    HeadReport(name=h.plan.name, serve=h.serve, trees=h.trees, metrics=h.metrics, reason=h.reason)
                    for h in candidate.heads
                ],
            )
        )
    reports += [_over_time(one) for one in series.fit_all(project, registry)]
    if progress:
        progress("done", 1.0)
    return reports


def _over_time(one: series.Trained) -> TrainReport:
    numbers: dict[str, dict[str, float]] = {}
    for key, value in one.metrics.items():
        number, _, metric = key.partition(".")
        numbers.setdefault(number, {})[metric] = value
    return TrainReport(
        predictor=one.name,
        version=one.version,
        promoted=one.promoted,
        reason=one.reason,
        rows=one.rows,
        trained_until=one.until,
        heads=[HeadReport(name=name, serve="series", trees=0, metrics=found) for name, found in numbers.items()],
    )


def _cut(joined: features.Joined, holdout: float) -> datetime.datetime | None:
    if not 0 <= holdout < 1:
        raise UsageError(f"holdout must be a share from 0 up to 1, not {holdout}")
    if holdout == 0 or not joined.rows.height:
        return None
    moment: datetime.datetime = joined.rows["start_time"].sort()[int((joined.rows.height - 1) * (1 - holdout))]
    return moment


def _known_tables(declared: list[spec.Spec], joined: features.Joined, project: Project) -> None:
    tables = set(joined.table_of.values())
    for one in declared:
        for pattern in one.features:
            table, _, column = pattern.partition(".")
            if table not in tables or (column != "*" and joined.table_of.get(column) != table):
                raise ModelError(
                    f"{project.models / one.name}.toml: no feature {pattern!r}; write one of "
                    f"{', '.join(sorted(f'{name}.*' for name in tables))}"
                )


def _moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
