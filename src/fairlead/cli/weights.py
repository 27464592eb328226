"""`fairlead weights`: what the policy would choose, as the fixed weights of a gateway that cannot ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.show import AsJson
from fairlead.errors import UsageError

__all__ = ["COMMANDS"]


def weights(
    gateway: Annotated[str, typer.Argument(help="litellm, portkey, envoy, mlflow or kong.")],
    name: Annotated[str, typer.Option(help="The model that callers ask the gateway for.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Write the config here, and keep its shares: `ingest` needs them.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="When the gateway takes it, as 2026-01-31T12:00Z; now.")] = None,
    days: Annotated[float, typer.Option(help="Days of the log that the shares are worked out on.")] = 7.0,
    by_route: Annotated[bool, typer.Option("--by-route", help="Shares of its own for each route.")] = False,
    explore: Annotated[float, typer.Option(help="Share of traffic that is spread evenly, so that logs tell.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write the shares of a policy as a gateway's weights; without --out print the config and keep nothing."""
    from fairlead.features import pushed
    from fairlead.publish import weights as stage

    known = stage.FORMATS.get(gateway)
    if known is None:
        raise UsageError(f"no gateway {gateway!r}; there are {', '.join(sorted(stage.FORMATS))}")
    if by_route and not known.segments:
        raise UsageError(f"{gateway} weighs all routes alike; leave --by-route out")
    moment, here = _moment(since), project.find()
    shares = stage.shares_of(here, days=days, by_route=by_route, explore=explore, total=known.total)
    config = stage.written(shares, gateway, name)
    if out is None:
        show.result({"config": config, **_told(shares)}, config.rstrip("\n"), as_json)
        return
    record = stage.pushed_of(shares, gateway, name, moment)
    out.write_text(config, encoding="utf-8")
    kept = pushed.write(here, record)
    rows = {"config": out, "holds from": f"{moment:%Y-%m-%d %H:%M:%S} UTC", "kept in": kept}
    for route, parts in shares.parts.items():
        said = ", ".join(f"{show.plain(endpoint)} {count / shares.total:.1%}" for endpoint, count in parts.items())
        rows[show.plain(route) or "all"] = f"{said} ({shares.requests[route]:,} requests)"
    show.result({"path": str(out), "kept": str(kept), "id": record.id, **_told(shares)}, show.fields(rows), as_json)


def _told(shares: Any) -> dict[str, Any]:
    return {
        "shares": {route: shares.of(route) for route in shares.parts},
        "requests": shares.requests,
        "policy": shares.policy,
        "policy_version": shares.policy_version,
    }


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text!r} is no moment; write 2026-01-31T12:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


COMMANDS: Final[tuple[Callable[..., None], ...]] = (weights,)
