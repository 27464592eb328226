"""Who does a dangerous thing at the command line: after a one-time code, where somebody has an authenticator for it."""

from __future__ import annotations

import datetime
import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from fairlead.errors import ProjectError, SecurityError, UsageError
from fairlead.project import find

if TYPE_CHECKING:
    from fairlead.serve.security import Folder

__all__ = ["Actor", "confirmed", "folder_of", "guarded"]

CODE: Final = "FAIRLEAD_CODE"
# Of what is done at the command line only; who may do what the API does too, its routes say.
_ROLES: Final = {"keys": frozenset(["admin"]), "prices": frozenset(["operator", "admin"])}


class Actor:
    """Who does it, for the audit log; `record` writes what was done there, where there is one."""

    def __init__(self, name: str, folder: Folder) -> None:
        self.name, self._folder = name, folder

    def record(self, event: str, **told: Any) -> None:
        """Put it into the audit log of a project that has keys."""
        if self._folder.keys.exists():
            self._folder.log().add(event, self.name, **told)


def guarded(action: str, by: str | None) -> Actor:
    """Ask for the code that an action of the project needs."""
    folder = folder_of(None)
    return Actor(confirmed(folder, action, by), folder)


def confirmed(folder: Folder, action: str, by: str | None) -> str:
    """Give who it is; SecurityError where a code is needed and is wrong.

    No code is needed as long as no key that may do this has an authenticator. `by` is the id of the key whose
    authenticator gives the code, which is asked for at the terminal or taken from FAIRLEAD_CODE. Who owns the folder of
    keys can take the authenticators away: this holds up a hijacked terminal or a script, not the owner of the files.
    """
    able = _able(folder, action)
    if not able:
        return _who()
    if by is None or by not in able:
        raise UsageError(f"this needs a one-time code: --by KEY, the id of one of {', '.join(sorted(able))}")
    code = os.environ.get(CODE) or typer.prompt(f"code of {by}", hide_input=True, err=True)
    _, why = folder.step_up().exchange(by, action, code.strip())
    who = f"{_who()} by {by}"
    folder.log().add("step_up.refused" if why else "step_up.granted", who, action=action, reason=why or None)
    if why:
        raise SecurityError(f"the code was not taken ({why.replace('_', ' ')}); nothing was done")
    return who


def folder_of(given: Path | None) -> Folder:
    """Give the folder of keys: the one that was named, or the project's."""
    from fairlead.serve.security import Folder

    if given is not None:
        return Folder(given)
    try:
        return Folder(find().var / "security")
    except ProjectError as fault:
        raise UsageError(f"{fault}; or name the folder of keys: --folder FOLDER") from fault


def _able(folder: Folder, action: str) -> frozenset[str]:
    from fairlead.serve.routes import ROUTES
    from fairlead.serve.security import keyfile, keys, signing

    if not folder.authenticators.exists() or not folder.keys.exists():
        return frozenset()
    content, now = keyfile.read(folder.keys, signing.verifier(folder.public)), datetime.datetime.now(datetime.UTC)
    roles = _ROLES.get(action) or next(one.roles or frozenset() for one in ROUTES if one.action == action)
    able = {one.id for one in content.keys if roles & set(one.roles) and keys.state(one, now) == "valid"}
    return folder.step_up().enrolled() & able


def _who() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in many containers
        return "cli"
