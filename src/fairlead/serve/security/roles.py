"""Who may do what: the table of routes, asked by method and path. What is not in it, nobody may do."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.serve.routes import ROUTES, Route

__all__ = ["Table"]


class Table:
    """Routes, found by method and path. Paths are compared as they are: no case, slash or dot is made to fit.

    >>> table = Table()
    >>> sorted(table.find("POST", "/v1/feedback").roles), table.find("POST", "/v1/feedback/")
    (['analyst', 'gateway'], None)
    """

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self._routes: dict[tuple[str, str], Route] = {(one.method, one.path): one for one in routes}
        self._paths = {path for _, path in self._routes}
        self.actions = frozenset(one.action for one in self._routes.values() if one.action)

    def find(self, method: str, path: str) -> Route | None:
        """Give the route of a call; None where there is none, and the call is refused."""
        return self._routes.get((method, path))

    def has_path(self, path: str) -> bool:
        """Tell whether the path takes any method at all."""
        return path in self._paths
