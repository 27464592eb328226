"""The keys of the scoring API: keys new, list, rotate, revoke, enrol."""

from __future__ import annotations

import datetime
import getpass
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.show import AsJson
from fairlead.errors import ProjectError, UsageError

if TYPE_CHECKING:
    from fairlead.serve.security import Folder
    from fairlead.serve.security.keyfile import Key

__all__ = ["app", "folder_of"]

app: Final = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Where = Annotated[
    Path | None, typer.Option("--folder", help="The folder of keys; default var/security of the project.")
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
    key, text = where.change(
        "key.new",
        _who(),
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
    folder: Where = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and show it, this once; the old one counts for a while more."""
    from fairlead.serve.security import keys

    if overlap_hours < 0:
        raise UsageError(f"--overlap {overlap_hours:g}: give 0 or more hours")
    where, now = _with_keys(folder), _now()
    overlap_s, ends = overlap_hours * 3600, days or None
    changed, text = where.change(
        "key.rotated", _who(), now, lambda kept: keys.rotate(kept, key, now=now, overlap_s=overlap_s, days=ends)
    )
    _show_once(changed, text, as_json)


@app.command()
def revoke(key: Annotated[str, typer.Argument(help="The key's id, as in fl_ID_...")], folder: Where = None) -> None:
    """End a key at once; servers follow within a second or two."""
    from fairlead.serve.security import keys

    where, now = _with_keys(folder), _now()
    done, _ = where.change("key.revoked", _who(), now, lambda kept: keys.revoke(kept, key, now=now))
    typer.echo(f"{done.id} ({show.plain(done.name)}) is revoked")


@app.command()
def enrol(
    key: Annotated[str, typer.Argument(help="The id of an operator's or admin's key.")],
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
    where.log().add("key.enrolled", _who(), key_id=found.id, name=found.name)
    address = where.step_up(make=True).enrol(found.id, found.name)
    words = f"{address}\nput it into an authenticator app now: it is not shown again"
    show.result({"id": found.id, "uri": address}, words, as_json)


def folder_of(given: Path | None) -> Folder:
    """Give the folder of keys: the one that was named, or the project's."""
    from fairlead.serve.security import Folder

    if given is not None:
        return Folder(given)
    try:
        return Folder(project.find().var / "security")
    except ProjectError as fault:
        raise UsageError(f"{fault}; or name the folder of keys: --folder FOLDER") from fault


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


def _who() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in many containers
        return "cli"
