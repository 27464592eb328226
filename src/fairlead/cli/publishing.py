"""`fairlead publish`: where the policy is to stand, and the snapshot that gateways read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.confirm import guarded
from fairlead.cli.show import AsJson
from fairlead.errors import GateError

__all__ = ["COMMANDS"]

_GOAL: Final = (
    "status_quo: no worse than now; best_single: than the best endpoint; floor: a share of it; margin: cheapest that "
    "is not worse by more than --margin; budget: the best that --budget buys; latency: --p95 kept."
)


def publish(
    goal: Annotated[str | None, typer.Option(help=_GOAL)] = None,
    floor: Annotated[float | None, typer.Option(help="With --goal floor: the share of its quality to keep.")] = None,
    margin: Annotated[float | None, typer.Option(help="With --goal margin: points of 100 it may be worse.")] = None,
    budget: Annotated[float | None, typer.Option(help="With --goal budget: USD per 1,000 requests.")] = None,
    p95: Annotated[float | None, typer.Option(help="With --goal latency: seconds 95 % of requests stay under.")] = None,
    confidence: Annotated[float | None, typer.Option(help="One-sided confidence of a promise; 0.95.")] = None,
    explore: Annotated[
        float | None, typer.Option(help="Explore so that a week's logs count for so many requests of other policies.")
    ] = None,
    usd_price: Annotated[float | None, typer.Option(help="Quality given up for a dollar, instead of a goal.")] = None,
    frontier: Annotated[bool, typer.Option("--frontier", help="Also compare settings: var/frontier.json.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be published, and publish nothing.")
    ] = False,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Lay it beside the one in use, for `fairlead judge --candidate`.")
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="Swap in the candidate that was judged, and publish nothing new.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put the last good snapshot back; the one in use is kept as withdrawn.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(help="With these two: the id of the key whose authenticator gives the code."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish the champions as one snapshot: compiled, audited against their boosters, then swapped in."""
    from fairlead import evaluation
    from fairlead import publish as stage

    here = project.find()
    if promote or rollback:
        (_promote if promote else _roll_back)(here, by, as_json)
        return
    asked = {"margin_points": margin, "usd_per_1000": budget, "p95_s": p95, "confidence": confidence}
    tuned = evaluation.tune(here, goal=goal, floor=floor, frontier=frontier, explore=explore, **asked)
    if usd_price is not None:
        tuned = evaluation.Tuned(
            policy="intelligent",
            parameters={"usd_price": usd_price},
            reason="you set the price",
            baselines=tuned.baselines,
        )
    rows = {"policy": f"{tuned.policy} {_short(tuned.parameters)}", "because": tuned.reason}
    rows |= _fared(tuned) | ({"frontier": str(here.var / "frontier.json")} if frontier else {})
    told: dict[str, Any] = {"reason": tuned.reason, "choice": tuned.choice, "confirmation": tuned.confirmation}
    told |= {"explores": tuned.explores}
    if dry_run:
        told = {"policy": tuned.policy, "parameters": tuned.parameters, **told}
        show.result(told, show.fields({**rows, "published": "nothing, as you asked"}), as_json)
        return
    lineage = tuned.baselines if usd_price is not None else tuned.lineage
    done = stage.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=lineage, candidate=candidate)
    words = show.fields(
        {
            "snapshot": f"{done.path} ({done.bytes / 1024:,.0f} KiB)",
            "version": f"{done.version}, sha256 {done.sha256[:16]}...",
            "endpoints": f"{len(done.endpoints)}: {', '.join(done.endpoints)}",
            **rows,
            "audit": f"{done.rows_audited:,} rows, largest difference from LightGBM {done.largest_difference:.1e}",
        }
    )
    show.result({**msgspec.to_builtins(done), **told}, words, as_json)


def _promote(here: project.Project, by: str | None, as_json: bool) -> None:
    from fairlead.evaluation import gates
    from fairlead.scoring import swap
    from fairlead.scoring.snapshot import CURRENT

    ruling = gates.latest(here)
    if ruling is None or ruling.verdict != "promote":
        raise GateError(
            "no candidate was judged worth promoting; run `fairlead publish --candidate`, then "
            "`fairlead judge --candidate`"
        )
    actor = guarded("promote", by)
    now = swap.promote(here.published, ruling.candidate.partition("+")[2])
    actor.record("snapshot.promoted", version=now.manifest.version, sha256=now.sha256)
    path = here.published / CURRENT
    words = show.fields({"snapshot": path, "version": ruling.candidate, "before": ruling.champion or "none"})
    show.result({"path": str(path), "version": ruling.candidate, "before": ruling.champion}, words, as_json)


def _roll_back(here: project.Project, by: str | None, as_json: bool) -> None:
    from fairlead.scoring import swap
    from fairlead.scoring.snapshot import CURRENT

    actor = guarded("rollback", by)
    back = swap.roll_back(here.published)
    actor.record("snapshot.rolled_back", version=back.manifest.version, sha256=back.sha256)
    path, version = here.published / CURRENT, f"{back.manifest.version}+{back.sha256[:16]}"
    words = show.fields({"snapshot": path, "version": version, "withdrawn": here.published / swap.WITHDRAWN})
    show.result({"path": str(path), "version": version}, words, as_json)


def _short(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in parameters.items()
    )


def _fared(tuned: Any) -> dict[str, str]:
    """What exploring costs, how a choice looked on the days it was made on, and what the later ones say."""
    rows = {}
    if tuned.explores is not None:
        one = tuned.explores
        rows["explores"] = (
            f"{one.way}: costs {100 * one.loss:.2f} pt of utility (quality {100 * one.quality_change:+.2f} pt, cost "
            f"{one.cost_change_share:+.1%}); {one.typical:.1%} of requests count for a neighbouring policy"
        )
    if tuned.choice is None or tuned.confirmation is None:
        return rows
    choice, later = tuned.choice, tuned.confirmation
    first = (
        f"{choice.requests:,} requests: saves {choice.savings_share:.0%}, quality {100 * choice.quality_change:+.1f} pt"
    )
    parts = [f"{later.requests:,} requests from {later.start:%Y-%m-%d} to {later.end:%Y-%m-%d}"]
    if later.savings_share is not None:
        parts.append(f"saves {_interval(later.savings_share, 100, 0)} %")
    if later.quality_change is not None:
        parts.append(f"quality {_interval(later.quality_change, 100, 1)} pt")
    if later.cost_usd is not None:
        parts.append(f"{_interval(later.cost_usd, 1000, 3)} USD per 1,000")
    if later.p95_s is not None:
        parts.append(f"p95 {_interval(later.p95_s, 1, 2)} s")
    said = f"{later.verdict}: {later.reason}; {', '.join(parts)}"
    return {"chosen on": first, "later days": said, **rows}


def _interval(one: Any, scale: float, digits: int) -> str:
    return f"{one.value * scale:.{digits}f} [{one.low * scale:.{digits}f}, {one.high * scale:.{digits}f}]"


COMMANDS: Final[tuple[Callable[..., None], ...]] = (publish,)
