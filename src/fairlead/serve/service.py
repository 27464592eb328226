"""What the API does, without HTTP: decide, observe, and say what is in use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from fairlead.scoring.budget import Budget
from fairlead.scoring.decision import Decision
from fairlead.scoring.live import Live
from fairlead.scoring.live.shared import Shared
from fairlead.scoring.outcome import Outcome
from fairlead.scoring.request import Request
from fairlead.scoring.router import Router
from fairlead.serve.bodies import Answer, Endpoints, InUse, State
from fairlead.serve.metrics import Metrics
from fairlead.serve.settings import Settings
from fairlead.serve.shadow import Shadow

__all__ = ["Listener", "Service", "open_router"]

# Told of every decision, after it was answered: what was asked, and what was decided.
Listener = Callable[[Sequence[Request], Sequence[Decision]], None]


def open_router(settings: Settings, shared: Shared | None = None, budget: Budget | None = None) -> Router:
    """Build the router that a server's settings ask for."""
    made = Router(
        settings.snapshot,
        settings.policy,
        parameters=dict(settings.parameters) or None,
        seed=settings.seed,
        default=settings.default,
        last_resort=settings.last_resort,
        budget=budget,
        live=None if shared is None else Live((), shared=shared),
    )
    made.watch(Path(settings.snapshot), settings.watch_s)
    return made


class Service:
    """One worker's decisions: from a router, counted, and told to whoever listens.

    In `shadow` mode a decision is made and told, but nobody is to follow it: what the gateway itself chose is what is
    answered, counts as the call in flight, and is compared.
    """

    def __init__(self, router: Router, *, shadow: bool = False) -> None:
        self.router = router
        self.metrics = Metrics()
        self.shadow = Shadow() if shadow else None
        self.listeners: list[Listener] = []

    def decide(self, asked: Sequence[Request]) -> list[Answer]:
        """Decide, in their order; it never raises."""
        hidden = self.shadow is not None
        decisions = self.router.decide_many(asked, counted=not hidden)
        if self.shadow is not None:
            self._follow(asked)
            for agreed, count in zip(("yes", "no"), self.shadow.compare(asked, decisions), strict=True):
                self.metrics.add("fairlead_shadow_total", agreed, more=count)
        self.metrics.decided(decisions)
        for listener in self.listeners:
            with suppress(Exception):  # who listens must not stand in the way
                listener(asked, decisions)
        return [_answer(decision, ask, hidden) for decision, ask in zip(decisions, asked, strict=True)]

    def observe(self, outcome: Outcome) -> None:
        """Take in what became of a decision."""
        self.router.observe(outcome)
        self.metrics.observed(outcome)

    def endpoints(self) -> Endpoints:
        """Give the endpoints with their live state."""
        known = self.router.snapshot.manifest.endpoints
        view = self.router.live.view(tuple(one.name for one in known))
        waits = view.returns_in_s
        return Endpoints(
            endpoints=[
                State(
                    endpoint=one.name,
                    provider=one.provider_name,
                    model=one.model,
                    region=one.region,
                    context_window=one.context_window,
                    available=bool(view.available[at]),
                    admitted=float(view.admitted[at]),
                    returns_in_s=0.0 if waits is None else _finite(waits[at]) or 0.0,
                    in_flight=float(view.in_flight[at]),
                    latency_s=_finite(view.latency_s[at]),
                    error_share=float(view.error_share[at]),
                    headroom=float(view.headroom[at]),
                    turns=float(view.turns[at]),
                )
                for at, one in enumerate(known)
            ]
        )

    def in_use(self) -> InUse:
        """Say what decides now."""
        status, manifest = self.router.status(), self.router.snapshot.manifest
        return InUse(
            version=status.version,
            sha256=status.sha256,
            created_at=manifest.created_at,
            policy=status.policy,
            parameters=dict(manifest.parameters) if status.policy == manifest.policy else {},
            endpoints=len(manifest.endpoints),
            shadow=self.shadow is not None,
            refused=status.refused,
            faults=status.faults,
        )

    def _follow(self, asked: Sequence[Request]) -> None:
        """Count the calls that the gateway makes by itself, where it says which."""
        calls = []
        for ask in asked:
            chosen = getattr(ask, "chosen", None)
            if chosen is not None:
                calls.append((chosen, ask.id, float(ask.input_tokens or len(ask.text) // 4), ask.conversation))
        self.router.live.begin_many(calls)


def _answer(decision: Decision, ask: Request, hidden: bool) -> Answer:
    try:
        return Answer.of(decision, ask, hidden)
    except Exception:  # what was wanted beside the choice could not be told; the choice stands
        return Answer.of(decision, structs.replace(ask, want=()) if hasattr(ask, "want") else ask, hidden)


def _finite(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
