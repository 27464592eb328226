"""What makes decisions, wherever it is: the same methods over HTTP and in process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fairlead.scoring.outcome import Outcome
from fairlead.scoring.request import Request
from fairlead.scoring.router import Router
from fairlead.serve.bodies import Answer, Endpoints, InUse
from fairlead.serve.service import Service

__all__ = ["Decider", "InProcess"]


class Decider(Protocol):
    """What a gateway needs, wherever decisions are made."""

    def decide(self, request: Request) -> Answer:
        """Choose an endpoint."""
        ...

    def decide_many(self, requests: Sequence[Request]) -> list[Answer]:
        """Choose for several requests at once."""
        ...

    def observe(self, outcome: Outcome) -> None:
        """Say how a call ended."""
        ...

    def endpoints(self) -> Endpoints:
        """Give the endpoints and how they do."""
        ...

    def snapshot(self) -> InUse:
        """Say what decides."""
        ...


class InProcess:
    """Decisions of a router in this process.

    >>> from fairlead.scoring.builtin import builtin
    >>> decider: Decider = InProcess(Router(builtin(["a", "b"])))
    >>> decider.decide(Request(id="r-1")).endpoint
    'a'
    """

    def __init__(self, router: Router) -> None:
        self._service = Service(router)

    def decide(self, request: Request) -> Answer:
        """Choose an endpoint; it never raises."""
        return self._service.decide([request])[0]

    def decide_many(self, requests: Sequence[Request]) -> list[Answer]:
        """Choose for several requests at once; it never raises."""
        return self._service.decide(requests)

    def observe(self, outcome: Outcome) -> None:
        """Say how a call ended; it never raises."""
        self._service.observe(outcome)

    def endpoints(self) -> Endpoints:
        """Give the endpoints and how they do."""
        return self._service.endpoints()

    def snapshot(self) -> InUse:
        """Say what decides."""
        return self._service.in_use()
