"""The guard of a server with keys: roles, limits, one-time codes, alerts and the audit log, asked for every call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.serve.guard import ANYONE, Headers, Principal
from fairlead.serve.refusals import RefusedError
from fairlead.serve.routes import Route
from fairlead.serve.security.alerts import STRANGER, Alert, Alerts, network
from fairlead.serve.security.alerts_kept import exchange
from fairlead.serve.security.audit import Audit
from fairlead.serve.security.keyfile import Key
from fairlead.serve.security.keyring import Keyring
from fairlead.serve.security.limits import Limits
from fairlead.serve.security.peers import Fronts
from fairlead.serve.security.roles import Table
from fairlead.serve.security.stepup import StepUp
from fairlead.serve.security.verdict import refusal

__all__ = ["KeyGuard"]

_KEEP_EVERY_S = 60.0


class KeyGuard:
    """Answers every call with who asks, or with why it is refused. It raises nothing, and waits 20 ms for Redis.

    Keys come first: who has none learns nothing of the paths. Then how often, then the role, then, for dangerous
    actions, the second factor. A dangerous action that cannot be recorded is refused; any other goes on.
    `counts` has refusals by reason and alerts by kind.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        limits: Limits | None = None,
        audit: Audit | None = None,
        step_up: StepUp | None = None,
        table: Table | None = None,
        fronts: Fronts | None = None,
        known: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keyring, self.limits = keyring, limits or Limits()
        self.table, self.counts = table or Table(), Counter[str]()
        self._watched: Callable[[str], None] = lambda event: None
        self._audit, self._step_up, self._fronts, self._clock = audit, step_up, fronts or Fronts(), clock
        self._alerts, self._known, self._kept_at = Alerts(), known, 0.0
        keyring.told = self._told
        if known is not None:
            self._keep()

    def check(self, method: str, path: str, headers: Headers, peer: str | None) -> Principal | RefusedError:
        """Give who asks, or why it is refused. `peer` is the connection's address, None on a Unix socket."""
        rule = self.table.find(method, path)
        if rule is not None and rule.roles is None:
            return ANYONE
        texts, forwarded, token = _read(headers)
        address = self._fronts.caller(peer, forwarded)
        if len(texts) != 1:
            return self._refused(refusal("two_keys" if texts else "no_key"), STRANGER, address)
        key = self.keyring.find(texts[0])
        if isinstance(key, str):
            return self._refused(refusal(key), STRANGER, address)
        refused = self._may(key, rule, path) or self._stepped_up(key, rule, token, address)
        if refused is not None:
            return self._refused(refused, key.id, address)
        self._saw(key.id, address, refused=False)
        return _principal(key)

    def step_up(self, principal: Principal, action: str, code: str) -> str | RefusedError:
        """Take a one-time code; give the token to send as X-Fairlead-Step-Up with that action within five minutes."""
        if action not in self.table.actions:
            return refusal("no_such_action")
        if self._step_up is None:
            return refusal("not_enrolled")
        try:
            token, why = self._step_up.exchange(principal.key_id, action, code)
        except FairleadError:  # its file cannot be read or written: without it nobody is stepped up
            self._count("step_up_failures")
            return refusal("not_enrolled")
        event = "step_up.refused" if why else "step_up.granted"
        recorded = self._record(event, principal.key_id, action=action, reason=why or None)
        if why:
            self._count(f"refused.{why}")
            return refusal(why, 900.0 if why == "locked" else None)
        return token if recorded else refusal("no_audit")

    def watch(self, count: Callable[[str], None]) -> None:
        """Call `count` with each event from now on."""
        self._watched = count

    def gauges(self) -> Iterable[tuple[str, str, float]]:
        """Give what there is to watch: a gauge's name, what it says, and its value."""
        ring = self.keyring
        return [
            ("fairlead_keys_sequence", "Number of the file of keys in use.", float(ring.sequence)),
            ("fairlead_keys_refused", "1 where the file of keys is not the one in use.", float(bool(ring.failure))),
            (
                "fairlead_limits_alone",
                "1 while this worker gives out its own share of the limits, since Redis cannot be asked.",
                float(self.limits.failure is not None),
            ),
        ]

    def record(self, event: str, principal: Principal, **told: object) -> bool:
        """Put what was done into the audit log; False where it could not be."""
        return self._record(event, principal.key_id, **told)

    def _may(self, key: Key, rule: Route | None, path: str) -> RefusedError | None:
        if key.limit is not None:
            waited_s = self.limits.take(key.id, key.limit)
            if waited_s > 0:
                return refusal("over_limit", waited_s)
        if rule is None:
            return refusal("wrong_method" if self.table.has_path(path) else "no_rule")
        return None if rule.roles and rule.roles & set(key.roles) else refusal("wrong_role")

    def _stepped_up(self, key: Key, rule: Route | None, token: str | None, address: str | None) -> RefusedError | None:
        if rule is None or rule.action is None:
            return None
        why = ""
        if self._step_up is None or token is None:
            why = "no_step_up"
        elif not self._step_up.holds(token, key.id, rule.action):
            why = "wrong_step_up"
        event = "action.refused" if why else "action.admitted"
        told = {"action": rule.action, "network": network(address), "reason": why or None}
        recorded = self._record(event, key.id, **told)
        return refusal(why) if why else None if recorded else refusal("no_audit")

    def _refused(self, why: RefusedError, key_id: str, address: str | None) -> RefusedError:
        self._count(f"refused.{why.reason}")
        self._saw(key_id, address, refused=True)
        return why

    def _saw(self, key_id: str, address: str | None, *, refused: bool) -> None:
        now = self._clock()
        for alert in self._alerts.saw(key_id, address, refused, now):
            self._tell(alert)
        if self._known is not None and now - self._kept_at >= _KEEP_EVERY_S:
            self._keep()

    def _told(self, event: str, why: str) -> None:
        self._count(event)
        self._record(event, "fairlead", reason=why)

    def _tell(self, alert: Alert) -> None:
        self._count(f"alert.{alert.kind}")
        told = {"alert": alert.kind, "network": alert.network, **alert.told}
        self._record("key.alert", "fairlead", key_id=alert.key_id, **told)

    def _keep(self) -> None:
        self._kept_at = self._clock()
        try:
            if self._known is not None:
                exchange(self._alerts, self._known)
        except FairleadError:
            self._count("keep_failures")

    def _count(self, event: str) -> None:
        self.counts[event] += 1
        self._watched(event)

    def _record(self, event: str, actor: str, **told: object) -> bool:
        if self._audit is None:
            return True
        try:
            self._audit.add(event, actor, **{name: value for name, value in told.items() if value is not None})
        except FairleadError:
            self._count("audit_failures")
            return False
        return True


@lru_cache(maxsize=4096)
def _principal(key: Key) -> Principal:
    return Principal(
        key_id=key.id,
        name=key.name,
        roles=frozenset(key.roles),
        routes=frozenset(key.routes),
        teams=frozenset(key.teams),
    )


def _read(headers: Headers) -> tuple[list[str], str | None, str | None]:
    """Give the keys that were sent, what fronts said of the caller, and the step-up token."""
    texts: list[str] = []
    forwarded = token = None
    for name, value in headers:
        if name == b"authorization":
            kind, _, text = value.decode("latin-1").partition(" ")
            texts.append(text.strip() if kind.lower() == "bearer" else "")
        elif name == b"x-api-key":
            texts.append(value.decode("latin-1").strip())
        elif name == b"x-forwarded-for":
            forwarded = value.decode("latin-1")
        elif name == b"x-fairlead-step-up":
            token = value.decode("latin-1")
    return texts, forwarded, token
