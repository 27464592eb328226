"""Whether an endpoint may be used: ejection, one probe, slow start, and the pauses it asks for itself."""

from __future__ import annotations

import os
import random
from math import inf, isfinite

from msgspec import Struct

from fairlead.scoring.live.blame import Blame
from fairlead.scoring.live.settings import Settings
from fairlead.scoring.live.window import Window

__all__ = ["HEALTHY", "Health", "Verdict"]

_GRACE_S = 1.0  # a call begun this soon after an ejection was decided before word of it got round
_PAUSE_MAX_S = 60.0  # of the pauses that we choose ourselves
_TIMES_MAX = 100


class Verdict(Struct, frozen=True):
    """The last word on an endpoint: ejected until then, or back since then. Workers hand these on; the newest holds.

    `id` tells verdicts apart (0: none yet), `at` is when it fell, `times` how often in a row it was ejected.
    """

    id: int
    at: float
    ejected: bool
    until: float
    times: int


HEALTHY = Verdict(id=0, at=-inf, ejected=False, until=-inf, times=0)


class Health:
    """The state of one endpoint: in use, ejected, half open (waiting for one probe), or starting slowly.

    Envoy's outlier detection and Finagle's failure accrual, with one difference: any share of the endpoints may be
    ejected, since among a few unlike providers a panic mode sends traffic to those that fail. Five errors in a row, or
    under 80 % success of at least 5 calls in 30 s, eject for 30 s, the n-th time for n times that, up to 300 s. Then
    one call probes: if it fails, the endpoint is out again; if it succeeds, its share grows from 10 % to all of it.
    Latency plays no part. A 429 is a pause, not a failure.

    >>> health = Health("a", Settings(jitter=0))
    >>> for _ in range(5):
    ...     health.ended("failure", begun_at=0, now=0)
    >>> health.available(29), health.available(30)
    (False, True)
    >>> health.begun(30)
    >>> health.available(30)
    False
    >>> health.ended("success", begun_at=30, now=31)
    >>> health.available(31), health.admitted(31), health.admitted(76)
    (True, 0.1, 1.0)
    """

    __slots__ = ("_chance", "_in_a_row", "_limited", "_probe_at", "_settings", "_window", "verdict", "wait_until")

    def __init__(self, name: str, settings: Settings) -> None:
        self._settings = settings
        self._chance = random.Random(f"{settings.seed}\x1f{name}")  # noqa: S311 - jitter, nothing secret
        self._window = Window(settings.window_s)
        self._in_a_row = 0
        self._limited = 0
        self._probe_at: float | None = None
        self.wait_until = -inf
        self.verdict = HEALTHY

    def begun(self, now: float) -> None:
        """Take note of a call that begins: the first one after an ejection is the probe."""
        if self.verdict.ejected and now >= self.verdict.until and not self.probing(now):
            self._probe_at = now

    def ended(self, blame: Blame, begun_at: float, now: float, retry_after_s: float | None = None) -> None:
        """Take in how a call ended that began at `begun_at`."""
        if self._probe_at is not None and begun_at >= self._probe_at:
            self._probe_at = None  # whatever it says, the next probe may go
        if blame == "none":
            return
        self._limited = self._limited + 1 if blame == "limited" else 0
        if blame == "limited" or (blame == "failure" and retry_after_s is not None):
            self._pause(retry_after_s, now)
        if blame == "limited":
            return
        if self.verdict.ejected:
            self._judge_probe(blame == "failure", begun_at, now)
        elif begun_at >= self.verdict.at:  # calls from before it came back are old news
            self._count(blame == "failure", now)

    def available(self, now: float) -> bool:
        """Say whether a call may go there now."""
        if now < self.wait_until:
            return False
        return not self.verdict.ejected or (now >= self.verdict.until and not self.probing(now))

    def probing(self, now: float) -> bool:
        """Say whether a probe is under way."""
        return self._probe_at is not None and now < self._probe_at + self._settings.probe_s

    def admitted(self, now: float) -> float:
        """Give the share of its usual traffic that the endpoint may have."""
        verdict, settings = self.verdict, self._settings
        if verdict.ejected:
            return settings.slow_start_share
        since = (now - verdict.at) / settings.slow_start_s
        return 1.0 if since >= 1 else settings.slow_start_share + (1 - settings.slow_start_share) * max(0.0, since)

    def returns_at(self) -> float:
        """Give the moment from which a call may go there, as far as is known."""
        return max(self.wait_until, self.verdict.until) if self.verdict.ejected else self.wait_until

    def adopt(self, verdict: Verdict) -> bool:
        """Take over what another worker found, if it is newer; say whether it was."""
        if not self._settings.eject:
            return False
        # The same verdict may come back with a slightly other time from another machine's clock: it is not news.
        if verdict.id == self.verdict.id or verdict.at <= self.verdict.at:
            return False
        self._pass(verdict)
        return True

    def _pause(self, asked_s: float | None, now: float) -> None:
        settings = self._settings
        if asked_s is None or not isfinite(asked_s) or asked_s < 0:
            asked_s = min(_PAUSE_MAX_S, settings.wait_s * 2.0 ** min(self._limited - 1, 16))
        self.wait_until = max(self.wait_until, now + min(asked_s, settings.wait_max_s))

    def _judge_probe(self, failed: bool, begun_at: float, now: float) -> None:
        if not failed and begun_at >= self.verdict.at + _GRACE_S:
            # Also before its time is up: it may be the last eligible one, and used all the same.
            self._pass(Verdict(_number(), now, False, now, self.verdict.times))
        elif failed and begun_at >= self.verdict.until:
            self._eject(now, self.verdict.times)

    def _count(self, failed: bool, now: float) -> None:
        self._window.add(failed=failed, now=now)
        if not failed:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        settings = self._settings
        calls, failures = self._window.totals(now)
        poor = calls >= settings.window_requests and calls - failures < settings.success_share * calls
        if settings.eject and (poor or self._in_a_row >= settings.errors_in_a_row):
            healthy_s = now - self.verdict.at if self.verdict.times else 0.0
            self._eject(now, max(0, self.verdict.times - int(healthy_s / settings.forgive_s)))

    def _eject(self, now: float, times: int) -> None:
        times = min(times + 1, _TIMES_MAX)
        settings = self._settings
        length_s = min(settings.eject_s * times, settings.eject_max_s) * (1 - settings.jitter * self._chance.random())
        self._pass(Verdict(_number(), now, True, now + length_s, times))

    def _pass(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self._in_a_row = 0
        self._probe_at = None
        self._window.clear()


def _number() -> int:
    """Give a number that no other verdict of any worker has, and that a float holds exactly."""
    return int.from_bytes(os.urandom(6), "big") + 1
