"""The keys of the scoring API: keys new, list, rotate, revoke, enrol."""

from __future__ import annotations

import datetime
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead.cli import show
from fairlead.cli.confirm import confirmed, folder_of
from fairlead.cli.show import AsJson
from fairlead.errors import SecurityError, UsageError

if TYPE_CHECKING:
    from fairlead.serve.security import Folder
    from fairlead.serve.security.keyfile import Key

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Where = Annotated[
    Path | None, typer.Option("--folder", help="The folder of keys; default var/security of the project.")
]
By = Annotated[
    str | None,
    typer.Option("--by", help="The id of an admin's key whose authenticator gives the code, once one is enrolled."),
]
Days = Annotated[float, typer.Option(help="Days until the key ends; 0: never, which `doctor` warns of.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    role: Annotated[list[str], typer.Option(help="gateway, analyst, operator or admin; may be given several times.")],
    days: Days = 90,
    route: Annotated[list[str] | None, typer.Option(help="A route it may ask for; default all.")] = None,
    team: Annotated[list[str] | None, typer.Option(help="A team it may ask for; default all.")] = None,
    rate: Annotated[float | None, typer.Option(help="Calls a second, on all workers together.")] = None,
    burst: Annotated[int | None, typer.Option(help="Calls at once; default twice the rate.")] = None,
    by: By = None,
    folder: Where = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    from fairlead.serve.routes import ROLES
    from fairlead.serve.security import keys

    unknown = sorted(set(role) - set(ROLES))
    if unknown:
        raise UsageError(f"--role {unknown[0]}: no such role; give {', '.join(ROLES)}")
    if burst is not None and rate is None:
        raise UsageError("--burst needs --rate: how many calls a second in the long run")
    where, now = folder_of(folder), _now()
    if not where.keys.exists():
        _prepare(where)
    who = confirmed(where, "keys", by)
    key, text = where.change(
        "key.new",
        who,
        now,
        lambda kept: keys.issue(
            kept,
            name,
            tuple(dict.fromkeys(role)),
            now=now,
            days=days or None,
            scopes=(tuple(route or ()), tuple(team or ())),
            limit=_limit(rate, burst),
        ),
    )
    _show_once(key, text, as_json)


@app.command("list")
def list_(folder: Where = None, as_json: AsJson = False) -> None:
    """List the keys: what each may do, and until when."""
    from fairlead.serve.security import keyfile, keys, signing

    where, now = folder_of(folder), _now()
    if not where.keys.exists():
        show.result([], "no keys yet; make one with `fairlead keys new NAME --role gateway`", as_json)
        return
    content = keyfile.read(where.keys, signing.verifier(where.public))
    found = [
        {
            "id": key.id,
            "name": key.name,
            "roles": key.roles,
            "state": keys.state(key, now),
            "until": _until(key),
            "routes": key.routes,
            "teams": key.teams,
            "limit": key.limit,
        }
        for key in content.keys
    ]
    words = "\n".join(
        f"{one['id']}  {one['state']:<13}  {one['until'] or 'no end':<20}  {','.join(key.roles):<16}  "
        + show.plain(key.name)
        for one, key in zip(found, content.keys, strict=True)
    )
    show.result(found, words, as_json)


@app.command()
def rotate(
    key: Annotated[str, typer.Argument(help="The key's id, as in fl_ID_...")],
    overlap_hours: Annotated[float, typer.Option("--overlap", help="Hours that the old secret still counts.")] = 24,
    days: Days = 90,
    by: By = None,
    folder: Where = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and show it, this once; the old one counts for a while more."""
    from fairlead.serve.security import keys

    if overlap_hours < 0:
        raise UsageError(f"--overlap {overlap_hours:g}: give 0 or more hours")
    where, now = _with_keys(folder), _now()
    overlap_s, ends = overlap_hours * 3600, days or None
    who = confirmed(where, "keys", by)
    changed, text = where.change(
        "key.rotated", who, now, lambda kept: keys.rotate(kept, key, now=now, overlap_s=overlap_s, days=ends)
    )
    _show_once(changed, text, as_json)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, as in fl_ID_...")], by: By = None, folder: Where = None
) -> None:
    """End a key at once; servers follow within a second or two."""
    from fairlead.serve.security import keys

    where, now = _with_keys(folder), _now()
    who = confirmed(where, "keys", by)
    done, _ = where.change("key.revoked", who, now, lambda kept: keys.revoke(kept, key, now=now))
    typer.echo(f"{done.id} ({show.plain(done.name)}) is revoked")


@app.command()
def enrol(
    key: Annotated[str, typer.Argument(help="The id of an operator's or admin's key.")],
    by: By = None,
    folder: Where = None,
    as_json: AsJson = False,
) -> None:
    """Give a key an authenticator for dangerous actions, in place of one it had, and show its address, this once."""
    from fairlead.serve.security import keyfile, signing

    where = _with_keys(folder)
    content = keyfile.read(where.keys, signing.verifier(where.public))
    found = next((one for one in content.keys if one.id == key and one.revoked_at is None), None)
    if found is None or not set(found.roles) & {"operator", "admin"}:
        raise UsageError(
            f"{key}: no key of an operator or admin that counts; `fairlead keys list` shows those there are"
        )
    where.log().add("key.enrolled", confirmed(where, "keys", by), key_id=found.id, name=found.name)
    address = where.step_up(make=True).enrol(found.id, found.name)
    words = f"{address}\nput it into an authenticator app now: it is not shown again"
    show.result({"id": found.id, "uri": address}, words, as_json)


@app.command()
def log(
    last: Annotated[int, typer.Option(help="How many of the last entries.")] = 20,
    folder: Where = None,
    as_json: AsJson = False,
) -> None:
    """Check the audit log from its first line and show its last entries."""
    from fairlead.serve.security import signing
    from fairlead.serve.security.audit_check import verify

    where = folder_of(folder)
    if not where.audit.exists():
        raise UsageError(f"{where.audit}: no log yet; it begins with the first key")
    verdict = verify(where.audit, signing.verifier(where.audit_public) if where.audit_public.exists() else None)
    entries = [one for one in where.log().last(max(1, last)) if one["event"] != "checkpoint"]
    head = f"{verdict.entries} entries, whole, signed until {verdict.signed_until}"
    if not verdict.sound:
        head = f"NOT WHOLE: line {verdict.broken_line}: {verdict.reason}"
    words = "\n".join([*map(_entry, entries), head])
    show.result({"check": verdict, "entries": entries}, words, as_json)
    if not verdict.sound:
        raise SecurityError(f"{where.audit}: keep it as it is, and find out who changed it")


def _entry(one: dict[str, Any]) -> str:
    told = " ".join(f"{name}={value}" for name, value in one["detail"].items())
    return show.plain(f"{one['at'][:19]}  {one['event']:<18}  {one['actor']:<24}  {told}")


def _prepare(where: Folder) -> None:
    """Make what signs: an Ed25519 pair, or a shared key where cryptography is not installed."""
    from fairlead.serve.security import signing

    shared = importlib.util.find_spec("cryptography") is None
    for path in (where.signing, where.audit_signing):
        if not path.exists():
            signing.make(path, shared=shared)


def _with_keys(given: Path | None) -> Folder:
    where = folder_of(given)
    if not where.keys.exists():
        raise UsageError(f"{where.keys}: no keys yet; make one with `fairlead keys new NAME --role gateway`")
    return where


def _limit(rate: float | None, burst: int | None) -> Any:
    from fairlead.serve.security.keyfile import Limit

    if rate is None:
        return None
    if not 0 < rate <= 1e6 or (burst is not None and not 1 <= burst <= 1_000_000):
        raise UsageError("--rate is above 0 and --burst 1 or more, each a million at most")
    return Limit(rate_per_s=rate, burst=burst or max(1, round(2 * rate)))


def _show_once(key: Key, text: str, as_json: bool) -> None:
    shown = {"id": key.id, "name": key.name, "roles": key.roles, "until": _until(key), "key": text}
    show.result(shown, f"{text}\nkeep it now: it is not shown again, and nowhere kept", as_json)


def _until(key: Key) -> str | None:
    ends = [one.not_after for one in key.secrets]
    return None if None in ends else max(end for end in ends if end).strftime("%Y-%m-%dT%H:%M:%SZ")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
