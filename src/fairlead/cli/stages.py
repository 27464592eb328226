"""The stages of the loop: init, ingest, build, train, judge, decide, report, health."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.show import AsJson
from fairlead.errors import UsageError

__all__ = ["COMMANDS"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Folder = Annotated[Path, typer.Argument(help="The project's folder.", file_okay=False)]


def init(folder: Folder = Path(".")) -> None:
    """Start a project: a copy of the default features, models, flows and prices."""
    made = project.init(folder)
    typer.echo(f"a fairlead project in {made.root}\nnext: fairlead ingest LOGS, then fairlead train")


def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs, - (standard input), s3://BUCKET/PREFIX/, postgresql://HOST/DB."),
    ],
    format: Annotated[str, typer.Option(help="The log's format; auto recognises it.")] = "auto",  # noqa: A002
    mapping: Annotated[Path | None, typer.Option(help="A mapping file, for CSV, JSONL or Parquet of your own.")] = None,
    name: Annotated[str | None, typer.Option(help="What standard input is called, e.g. app.csv.gz.")] = None,
    table: Annotated[
        str, typer.Option(help="The table of a database, with its schema if need be.")
    ] = "LiteLLM_SpendLogs",
    cursor: Annotated[str, typer.Option(help="The moment by which a table's rows are ordered.")] = "startTime",
    overlap: Annotated[
        str, typer.Option(help="How far behind the newest row another can still appear: 30m, 2h, 7d.")
    ] = "2h",
    remove: Annotated[bool, typer.Option(help="Remove files once they are in the store.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take gateway logs into the store; what was taken before changes nothing."""
    from fairlead import ingest as stage

    options = stage.Options(name=name, table=table, cursor=cursor, overlap_s=_seconds(overlap), remove=remove)
    with show.progress("ingesting", quiet=as_json) as tell:
        try:
            done = stage.load(
                project.find(),
                paths,
                reader=format,
                mapping=mapping,
                options=options,
                progress=lambda path, records, finished: tell(f"{path.name}: {records:,} records", float(finished)),
            )
        except stage.LoadError as fault:
            _told(fault.result, as_json)
            raise
    _told(done, as_json)


def _told(done: Any, as_json: bool) -> None:
    """Print the four counts, and what else there is to say where there is something."""
    total = {name: getattr(done, name) for name in ("read", "stored", "duplicates", "quarantined")}
    parts = f"{done.stored:,} stored + {done.duplicates:,} duplicates + {done.quarantined:,} quarantined"
    lines = [f"{done.read:,} read = {parts}"]
    deferred = [file.path for file in done.files if file.deferred]
    changed = [file.path for file in done.files if file.changed]
    if deferred:
        total["deferred"] = done.deferred
        lines.append(
            f"{done.deferred:,} deferred: the end of {_named(deferred)} is still being written, the next load takes it"
        )
    if changed:
        total["changed"] = changed
        lines.append(f"changed: {_named(changed)} no longer begins as when it was last taken; its records were added")
    if done.failed:
        total["failed"] = [{"path": file.path, "fault": file.fault} for file in done.failed]
        lines.append(f"{len(done.failed):,} of {len(done.files):,} files failed")
    show.result(total, "\n".join(lines), as_json)


def _named(paths: list[str]) -> str:
    shown = ", ".join(map(show.plain, paths[:3]))
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3:,} more"


def _seconds(length: str, option: str = "--overlap") -> float:
    number, unit = length[:-1], length[-1:]
    if not number.isdecimal() or unit not in _UNITS:
        raise UsageError(f"{option} {length!r} is no length of time; write it as 90s, 30m, 2h or 7d")
    return float(number) * _UNITS[unit]


def build(as_json: AsJson = False) -> None:
    """Rebuild the project's database: the canonical views and every feature table."""
    from fairlead import features

    counts = features.build(project.find())
    show.result(counts, show.fields({name: f"{rows:,} rows" for name, rows in counts.items()}), as_json)


def train(
    holdout: Annotated[float, typer.Option(help="Share of the newest requests left for the judge.")] = 0.3,
    search: Annotated[
        str | None, typer.Option(help="Search better params of the forests for so long, such as 10m.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit, gate and register every predictor of models/."""
    from fairlead import training

    with show.progress("training", quiet=as_json) as tell:
        seconds = 0.0 if search is None else _seconds(search, "--search")
        reports = training.train(project.find(), holdout=holdout, search_s=seconds, progress=tell)
    show.result(reports, "\n".join(_trained(report) for report in reports), as_json)


def _trained(report: Any) -> str:
    lines = [
        f"{report.predictor} version {report.version}: {'champion' if report.promoted else 'not promoted'} "
        f"({report.reason}; {report.rows:,} rows)"
    ]
    if report.searched:
        params = ", ".join(f"{name} = {value:.4g}" for name, value in report.params.items())
        lines.append(f"  searched: {report.searched}; used {params}; write them into the TOML to keep them")
    for head in report.heads:
        m = head.metrics
        if "loss" not in m:
            lines.append(f"  {head.name}: " + ", ".join(f"{name} {value:.3f}" for name, value in m.items()))
            continue
        gain = 1 - m["loss"] / m["loss_table"] if m["loss_table"] else 0.0
        lines.append(
            f"  {head.name}: loss {m['loss']:.4f}, category table {m['loss_table']:.4f}, endpoint mean "
            f"{m['loss_endpoint_mean']:.4f}; {gain:+.1%} against the table, serves the {head.serve}"
            + (f"; {head.reason}" if head.reason else "")
        )
    return "\n".join(lines)


def judge(
    truth: Annotated[Path | None, typer.Option(help="A simulation's truth.parquet, to compare with.")] = None,
    since: Annotated[datetime.datetime | None, typer.Option(help="Judge requests after this moment (UTC).")] = None,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Ask every gate of the candidate: promote, hold or refuse.")
    ] = False,
    agree: Annotated[
        list[str] | None, typer.Option(help="With --candidate: a gate whose hold you agree to; may be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Value the published policy and the baselines on logged requests, with intervals.

    With --candidate: let the gates rule on the candidate beside it; exit 1 unless they all let it pass.
    """
    from fairlead import evaluation
    from fairlead.evaluation import table

    if candidate:
        _rule(agree or [], as_json)
        return
    moment = since.replace(tzinfo=datetime.UTC) if since and since.tzinfo is None else since
    found = evaluation.judge(project.find(), truth=truth, since=moment)
    show.result(found, table.render(found), as_json)


def _rule(agree: list[str], as_json: bool) -> None:
    from fairlead.evaluation import gates
    from fairlead.scoring.snapshot import CANDIDATE

    here = project.find()
    ruling = gates.rule(here, here.published / CANDIDATE, agree=agree)
    show.result(ruling, gates.render(ruling), as_json)
    if ruling.verdict != "promote":
        raise typer.Exit(1)


def decide(
    text: Annotated[str, typer.Argument(help="The prompt; - reads it from standard input.")],
    route: Annotated[str | None, typer.Option(help="The part of your application that asks.")] = None,
    team: Annotated[str | None, typer.Option(help="Who asks.")] = None,
    request_id: Annotated[
        str | None, typer.Option("--id", help="The request's id; equal ids give equal decisions.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="A policy, instead of the published one.")] = None,
    snapshot: Annotated[Path | None, typer.Option(help="The folder a snapshot is published in.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of exploration.")] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Say what moved it and what would turn it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide one request with the published snapshot, and say why."""
    from fairlead.scoring import Request, Router

    with _without_compiling():
        router = Router(snapshot or project.find().published, policy, seed=seed)
    body = typer.get_text_stream("stdin").read() if text == "-" else text
    request = Request(text=body, route=route, team=team)
    request = msgspec.structs.replace(request, id=request_id) if request_id else request
    decision = router.decide(request)
    if router.refused:
        typer.echo(f"fairlead: deciding from the last good snapshot: {router.refused}", err=True)
    rows = [
        f"  {one.endpoint:<32} p {one.propensity:.3f}  quality {_number(one.quality, '.3f')}  "
        f"USD {_number(one.cost_usd, '.6f')}  {_number(one.latency_s, '.2f')} s"
        for one in decision.ranked
    ]
    reasons = "; ".join(decision.reasons)
    words = f"{decision.endpoint}\n" + "\n".join(rows) + f"\n  {reasons} (decided in {decision.decided_us:.0f} us)"
    found: Any = decision.detail()
    if explain and decision.endpoint is not None:
        why = router.explain(request, decision)
        found, words = {"decision": found, "explanation": why}, f"{words}\n\n{why.to_text()}"
    show.result(found, words, as_json)
    if decision.endpoint is None:
        raise typer.Exit(1)


@contextmanager
def _without_compiling() -> Iterator[None]:
    """Keep numba out unless it is asked for: its code takes seconds to load, which one decision is not worth."""
    before = os.environ.get("FAIRLEAD_ENGINE")
    os.environ["FAIRLEAD_ENGINE"] = before or "numpy"
    try:
        yield
    finally:
        os.environ.pop("FAIRLEAD_ENGINE")
        if before is not None:
            os.environ["FAIRLEAD_ENGINE"] = before


def _number(value: float | None, how: str) -> str:
    return "unknown" if value is None else format(value, how)


def report(
    out: Annotated[Path | None, typer.Option(help="Where to write it; default var/reports/.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the business report: one HTML file that opens offline."""
    from fairlead import reports

    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder; name the HTML file to write")
    path = reports.render(project.find(), out=out)
    show.result({"path": str(path)}, str(path), as_json)


def health(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a check is bad.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the data: what was read, clocks, duplicates, tokens, costs, gaps and labels."""
    from fairlead import reports

    found = reports.health(project.find())
    lines = [f"{_MARKS[check.verdict]} {check.name:<24} {check.value:>12}  {check.meaning}" for check in found.checks]
    show.result(found, "\n".join(lines), as_json)
    for check in found.checks:
        if check.verdict in ("look", "bad") and not as_json:
            typer.echo(f"{check.name}: {check.action or check.threshold}", err=True)
    if strict and found.bad:
        raise typer.Exit(1)


_MARKS: Final = {"fine": "fine", "look": "LOOK", "bad": "BAD ", "none": "   –"}
COMMANDS: Final[tuple[Callable[..., None], ...]] = (init, ingest, build, train, judge, decide, report, health)
