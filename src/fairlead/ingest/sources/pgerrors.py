"""What PostgreSQL refuses, in a line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import asyncpg

from fairlead.errors import ReadError

__all__ = ["told"]

Result = TypeVar("Result")
_KEPT: Final = "what was committed stays, load it again"
# The first that fits counts, by the classes of SQLSTATE and of the driver.
_WAYS_OUT: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (asyncpg.InvalidPasswordError, "the password is wrong or missing; put it into PGPASSWORD or ~/.pgpass"),
    (asyncpg.InvalidAuthorizationSpecificationError, "this user may not log in; check the user's name and pg_hba.conf"),
    (asyncpg.InvalidCatalogNameError, "there is no such database; check its name"),
    (asyncpg.InsufficientPrivilegeError, "this user may not read the table; GRANT SELECT on it"),
    (asyncpg.QueryCanceledError, f"the server cancelled a statement, as one that took too long; {_KEPT}"),
    (asyncpg.TooManyConnectionsError, f"the server has no connection left; {_KEPT} later"),
    (asyncpg.CannotConnectNowError, f"the server is starting or stopping; {_KEPT} later"),
    (asyncpg.AdminShutdownError, f"the server ended the connection; {_KEPT}"),
    (asyncpg.PostgresConnectionError, f"the connection broke; {_KEPT}"),
    (asyncpg.ClientConfigurationError, "this URL cannot be used; write postgresql://USER@HOST:PORT/DATABASE"),
    (asyncpg.InterfaceError, f"the connection broke; {_KEPT}"),
    (TimeoutError, f"the server does not answer in time; check host and port, then {_KEPT}"),
    (OSError, "the server cannot be reached; check host, port and whether it runs"),
)


def told(name: str, work: Callable[[], Result]) -> Result:
    """Do what talks to the server; ReadError with a way out for whatever it raises. Its words may quote rows."""
    try:
        return work()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as fault:
        way_out = next((words for kind, words in _WAYS_OUT if isinstance(fault, kind)), None)
        state = getattr(fault, "sqlstate", None)
        raise ReadError(f"{name}: {way_out or f'the server refused (SQLSTATE {state}); {_KEPT}'}") from fault
    except ValueError as fault:  # the driver's word for an address it cannot read, which it quotes
        raise ReadError(f"{name}: this URL cannot be used; write postgresql://USER@HOST:PORT/DATABASE") from fault
