"""One request in, one decision out: `Router(snapshot).decide(request)`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec import structs

from fairlead.errors import FairleadError, SnapshotRefusedError, UsageError
from fairlead.scoring import together
from fairlead.scoring.budget import Budget
from fairlead.scoring.builtin import builtin
from fairlead.scoring.constraints import BYTES_PER_TOKEN
from fairlead.scoring.decision import Decision
from fairlead.scoring.in_use import InUse, Wanted
from fairlead.scoring.live import Live
from fairlead.scoring.outcome import Outcome
from fairlead.scoring.pending import Pending
from fairlead.scoring.policies import Policy
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import Request
from fairlead.scoring.snapshot import Snapshot, open_published
from fairlead.scoring.status import Status
from fairlead.scoring.view import View
from fairlead.scoring.watch import Watch

if TYPE_CHECKING:
    from fairlead.scoring.explain import Explanation

__all__ = ["Router", "Status"]


# Of what a policy learned under the snapshot before: the new one has learned from much of the same traffic itself.
_KEPT: Final = 0.5


class Router:
    """Decides from a snapshot; the same request id, seed and state always give the same decision.

    `snapshot` is a Snapshot or the folder it is published in. `policy` is a policy, or the name of one (default: the
    one the snapshot was published with, at its operating point). `default` names endpoints in the order in which they
    are tried where nothing was ever published; without it, a folder without a readable snapshot is refused with
    SnapshotRefusedError. `last_resort` is the endpoint to name when none is eligible or a decision fails inside.
    `live` and `budget` are settings of live state and of pacing; either may be shared with other routers. Once built, a
    router never raises: what is wrong is in `status()`.

    Tell it what became of its decisions by `observe`. A decision counts as a call in flight until then, or until
    `live.settings.call_max_s` have passed.
    """

    def __init__(  # noqa: PLR0913  (its options are independent of each other)
        self,
        snapshot: Snapshot | Path | str,
        policy: Policy | str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        seed: int = 0,
        default: Sequence[str] = (),
        last_resort: str | None = None,
        strict: bool = False,
        live: Live | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._wanted = Wanted(policy=policy, parameters=parameters, seed=seed, last_resort=last_resort, strict=strict)
        self._pending, self.budget = Pending(), budget
        self.refused: str | None = None  # why the newest snapshot is not the one in use
        self._faults = 0
        self._last_fault: str | None = None
        self._in_use = self._first(snapshot, default)
        self.live = Live(self._in_use.names) if live is None else live
        self._take(self._in_use)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot in use."""
        return self._in_use.snapshot

    @property
    def policy(self) -> Policy:
        """The policy in use."""
        return self._in_use.policy

    def status(self) -> Status:
        """Say what is in use and what is wrong."""
        now = self._in_use
        return Status(
            version=now.version[0],
            sha256=now.version[1],
            policy=now.policy.name,
            refused=self.refused,
            faults=self._faults,
            last_fault=self._last_fault,
        )

    def reload(self, folder: Path | str) -> bool:
        """Take the snapshot published in `folder`; False keeps the one in use and says why in `refused`."""
        try:
            fresh, refused = open_published(Path(folder))
            if fresh.manifest.version < self.snapshot.manifest.version:
                older = f"version {fresh.manifest.version} is older than {self.snapshot.manifest.version}"
                raise SnapshotRefusedError(f"{refused}; the last good one is not used: {older}" if refused else older)
            # Built whole before it is put in place, by one assignment: a decision under way keeps what it began with.
            self._take(InUse.of(fresh, self._wanted))
            self.refused = refused
        except Exception as refusal:  # whatever a file can do, decisions go on with the last good one
            self.refused = str(refusal) if isinstance(refusal, FairleadError) else f"{folder}: {_brief(refusal)}"
            return False
        return self.refused is None

    def watch(self, folder: Path | str, every_s: float = 2.0) -> Watch:
        """Take what is published in `folder` as it comes, from a thread of its own; `stop()` what this gives to end it.

        Call it in the process that decides, after any fork.
        """
        return Watch(folder, self.reload, every_s)

    def decide(self, request: Request) -> Decision:
        """Choose an endpoint; see `Decision.kind` for what it says when there is none to choose."""
        return self._one(self._in_use, request)

    def decide_many(self, requests: Sequence[Request], *, counted: bool = True) -> list[Decision]:
        """Choose for several requests at once what `decide` would choose for one after the other at this moment.

        It takes half of the time. `decided_us` is then the time of all of them by their number. Without `counted` the
        decisions are not taken for calls that begin: for a shadow, whose decisions nobody follows.
        """
        started = time.perf_counter_ns()
        now = self._in_use
        predicted, decisions = None, None
        try:
            if now.names and len(requests) > 1:
                predicted = now.predictor.predict_many(requests)
                view = self._view(now)
                if together.independent(now, view, self.live):
                    decisions = together.decide(now, requests, predicted, view, self.live)
                    if counted:
                        self._begin(now, requests, decisions)
        except Exception as fault:  # one of them may be at fault: each is decided by itself
            self._last_fault = _brief(fault)
        if decisions is None:
            ahead = [None] * len(requests) if predicted is None else predicted.swapaxes(0, 1)
            return [self._one(now, *pair, counted) for pair in zip(requests, ahead, strict=True)]
        took_us = (time.perf_counter_ns() - started) / 1000 / len(decisions)
        for decision in decisions:
            decision.decided_us = took_us
        return decisions

    def _one(
        self, now: InUse, request: Request, predicted: np.ndarray[Any, Any] | None = None, counted: bool = True
    ) -> Decision:
        # What is in use was read once: a swap in between must not mix two snapshots.
        started = time.perf_counter_ns()
        try:
            decision = now.decide(request, self._view(now), self.live, predicted)
            if counted:
                self._begin(now, (request,), (decision,))
        except Exception as fault:  # a gateway must get an answer whatever went wrong in here
            self._faults, self._last_fault = self._faults + 1, _brief(fault)
            decision = now.without_a_choice(request, "failed", f"deciding failed ({_brief(fault)})")
        decision.decided_us = (time.perf_counter_ns() - started) / 1000
        return decision

    def _view(self, now: InUse) -> View:
        view = self.live.view(now.names)
        return view if self.budget is None else structs.replace(view, pace=self.budget.pace)

    def _begin(self, now: InUse, requests: Sequence[Request], decisions: Sequence[Decision]) -> None:
        """Count what was decided as calls in flight."""
        calls = []
        for request, decision in zip(requests, decisions, strict=True):
            if decision.endpoint is not None:
                tokens = request.input_tokens or len(request.text) // BYTES_PER_TOKEN
                calls.append((decision.endpoint, request.id, tokens, request.conversation))
                if now.learner is not None:
                    self._pending.note(decision, request.route)
        self.live.begin_many(calls)

    def observe(self, outcome: Outcome) -> None:
        """Take in what became of a decision: live state, the budget and a policy that learns are told."""
        try:
            self.live.end(outcome)
            if self.budget is not None:
                self.budget.observe(outcome.cost_usd)
            learner = self._in_use.learner
            reward = None if learner is None else self._pending.reward(outcome)
            if learner is not None and reward is not None:
                learner.learn(reward)
        except Exception as fault:  # as in `decide`
            self._faults, self._last_fault = self._faults + 1, _brief(fault)

    def explain(self, request: Request, decision: Decision) -> Explanation:
        """Say what moved a decision, which rule bound it and what would turn it; off the hot path.

        The decision is explained with the snapshot in use: UsageError where that is another than the one that made it.
        """
        from fairlead.scoring.explain import explain

        now = self._in_use
        if decision.snapshot_sha256 != now.version[1]:
            raise UsageError(
                f"decision {decision.id}: made with snapshot {decision.snapshot_sha256[:12]}, {now.version[1][:12]} is "
                "in use now; explain it with a router of the one that made it"
            )
        left_out = now.rules.reasons(request, decision.candidates.view)
        pairs = [(name, reason) for name, reasons in left_out.items() for reason in reasons]
        seen = decision.candidates
        return explain(now.predictor, now.policy, request, decision, exclusions=pairs, candidates=seen)

    def probabilities(self, batch: Batch, allowed: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """Give what `decide` would choose with which probability for a batch of requests: (n, K)."""
        now = self._in_use
        candidates = now.predictor.candidates(batch)
        if allowed is not None:
            candidates = msgspec.structs.replace(candidates, eligible=candidates.eligible & allowed)
        return now.policy.probabilities(candidates)

    def _first(self, snapshot: Snapshot | Path | str, default: Sequence[str]) -> InUse:
        if isinstance(snapshot, Snapshot):
            return InUse.of(snapshot, self._wanted)
        try:
            opened, self.refused = open_published(Path(snapshot))
            return InUse.of(opened, self._wanted)
        except FairleadError as refusal:
            if not default:
                raise
            self.refused = str(refusal)
            return InUse.of(builtin(default), structs.replace(self._wanted, policy=None, parameters=None))

    def _take(self, fresh: InUse) -> None:
        """Put another snapshot in place, with what was learned and observed so far."""
        if fresh.names != self.live.endpoints:
            self.live.resize(fresh.names)
        before = self._in_use
        if fresh.policy is not before.policy and type(fresh.policy) is type(before.policy):
            restore, state = getattr(fresh.policy, "restore", None), getattr(before.policy, "state", None)
            if restore is not None and state is not None:
                with suppress(UsageError):  # of another size: it starts anew
                    restore(state())
                    fresh.policy.forget(_KEPT)  # type: ignore[attr-defined]
        self._in_use = fresh
        if self.budget is not None:
            self.budget.expect(fresh.snapshot.manifest.demand)


def _brief(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"[:200]
