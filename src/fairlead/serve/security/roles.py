"""Who may do what: one table of roles, methods and paths. What is not in it, nobody may do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from fairlead.errors import UsageError

__all__ = ["ROLES", "RULES", "Rule", "Table"]

ROLES: Final = ("gateway", "analyst", "operator", "admin")


class Rule(Struct, frozen=True):
    """One line of the table: `roles` None is for anybody; `action` names what also needs a one-time code."""

    method: str
    path: str  # `*` stands for one whole segment
    roles: frozenset[str] | None
    action: str | None = None


def _rule(method: str, path: str, roles: str | None, action: str | None = None) -> Rule:
    return Rule(method, path, None if roles is None else frozenset(roles.split()), action)


# A role does its own work and no more: an admin hands out keys, and does not route with them.
RULES: Final = (
    _rule("POST", "/v1/decide", "gateway"),
    _rule("POST", "/v1/decide/batch", "gateway"),
    _rule("POST", "/v1/observe", "gateway"),
    _rule("POST", "/v1/feedback", "gateway analyst"),
    _rule("POST", "/routing/v1/chat/completions", "gateway"),
    _rule("POST", "/v1/chat/completions", "gateway"),
    _rule("GET", "/v1/endpoints", "gateway analyst operator admin"),
    _rule("GET", "/v1/snapshot", "gateway analyst operator admin"),
    _rule("GET", "/v1/shadow", "analyst operator admin"),
    _rule("GET", "/v1/stream", "analyst operator admin"),
    _rule("GET", "/metrics", "analyst operator admin"),
    _rule("GET", "/healthz", None),
    _rule("GET", "/readyz", None),
    _rule("GET", "/openapi.json", None),
    _rule("POST", "/v1/admin/step-up", "operator admin"),
    _rule("POST", "/v1/admin/promote", "operator admin", "promote"),
    _rule("POST", "/v1/admin/rollback", "operator admin", "rollback"),
    _rule("POST", "/v1/admin/prices", "operator admin", "prices"),
    _rule("POST", "/v1/admin/keys", "admin", "keys"),
    _rule("GET", "/v1/audit", "admin"),
)


class Table:
    """Rules, found by method and path. Paths are compared as they are: no case, slash or dot is made to fit.

    >>> table = Table(RULES)
    >>> sorted(table.find("POST", "/v1/feedback").roles), table.find("POST", "/v1/feedback/")
    (['analyst', 'gateway'], None)
    """

    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        self.rules = tuple(rules)
        self._exact = {(one.method, one.path): one for one in self.rules if "*" not in one.path}
        self._patterns = [(one.method, one.path.split("/"), one) for one in self.rules if "*" in one.path]
        self._paths = {one.path for one in self.rules}
        self.actions = frozenset(one.action for one in self.rules if one.action)
        for one in self.rules:
            unknown = (one.roles or frozenset()) - set(ROLES)
            if unknown or one.roles == frozenset():
                raise UsageError(f"{one.method} {one.path}: no role {sorted(unknown)}; known are {', '.join(ROLES)}")

    def find(self, method: str, path: str) -> Rule | None:
        """Give the rule of a call; None where there is none, and the call is refused."""
        found = self._exact.get((method, path))
        if found is not None or not self._patterns:
            return found
        parts = path.split("/")
        return next(
            (rule for wanted, pattern, rule in self._patterns if wanted == method and _fits(pattern, parts)), None
        )

    def has_path(self, path: str) -> bool:
        """Tell whether the path takes any method at all."""
        return path in self._paths or any(_fits(pattern, path.split("/")) for _, pattern, _ in self._patterns)

    def require(self, routes: Iterable[tuple[str, str]]) -> None:
        """Refuse to start a server that has a route which nobody gave a rule (UsageError)."""
        missing = [f"{method} {path}" for method, path in routes if self.find(method, path) is None]
        if missing:
            raise UsageError(f"no rule says who may call {', '.join(missing)}; add it to RULES in security/roles.py")


def _fits(pattern: list[str], parts: list[str]) -> bool:
    pairs = zip(pattern, parts, strict=False)
    return len(pattern) == len(parts) and all(
        part == wanted or (wanted == "*" and part != "") for wanted, part in pairs
    )
