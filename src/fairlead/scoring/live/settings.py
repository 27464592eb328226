"""The numbers that live state runs on; the defaults are what Envoy, Finagle and our own simulations agree on."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from msgspec import Struct, field

from fairlead.errors import UsageError

__all__ = ["Limit", "Settings"]


class Limit(Struct, frozen=True, kw_only=True):
    """What a provider lets an endpoint take in a minute; None where it sets no limit.

    >>> Limit(requests_per_minute=500)
    Limit(requests_per_minute=500, tokens_per_minute=None)
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value > 0):
                raise UsageError(f"live state: {name} must be a number above 0, not {value}")


class Settings(Struct, frozen=True, kw_only=True):
    """How live state forgets, ejects and shares; times in seconds, shares from 0 to 1.

    >>> Settings(errors_in_a_row=3).eject_s
    30.0
    """

    # latency and errors
    decay_s: float = 10.0  # time constant of latency and of the error share
    error_latency_s: float = 30.0  # a failed call counts as at least this slow: a time-out's worth
    # ejection
    eject: bool = True
    errors_in_a_row: int = 5
    success_share: float = 0.8  # of at least `window_requests` within `window_s`
    window_s: float = 30.0
    window_requests: int = 5
    eject_s: float = 30.0  # the first time; n times that the n-th time
    eject_max_s: float = 300.0
    jitter: float = 0.1  # an ejection is up to this share shorter, so that endpoints do not return together
    probe_s: float = 60.0  # a probe that has not ended by then no longer holds up the next one
    slow_start_s: float = 45.0
    slow_start_share: float = 0.1  # of its usual traffic, right after the probe
    forgive_s: float = 120.0  # each spell this long without an ejection takes one off n
    # rate limits
    wait_s: float = 1.0  # after a 429 that names no time; doubles with each further one
    wait_max_s: float = 3600.0
    limits: Mapping[str, Limit] = field(default_factory=dict)  # by endpoint
    # calls in flight
    call_max_s: float = 600.0  # a call that has not ended by then is taken for lost
    calls_max: int = 100_000  # at one endpoint
    # prompt caches
    cache_s: float = 300.0
    conversations_max: int = 50_000
    # the view
    refresh_s: float = 0.02  # how old decay and the news of other workers may be
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise UsageError(f"live state: {name} must be a number above 0, not {value}")
        for name in ("success_share", "jitter", "slow_start_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"live state: {name} must be a share from 0 to 1, not {getattr(self, name)}")
        for name in ("errors_in_a_row", "window_requests", "calls_max", "conversations_max"):
            if getattr(self, name) < 1:
                raise UsageError(f"live state: {name} must be a whole number from 1 up, not {getattr(self, name)}")
        if not (isfinite(self.refresh_s) and self.refresh_s >= 0):
            raise UsageError(f"live state: refresh_s must be a number from 0 up, not {self.refresh_s}")


_POSITIVE = (
    "decay_s",
    "error_latency_s",
    "window_s",
    "eject_s",
    "eject_max_s",
    "probe_s",
    "slow_start_s",
    "slow_start_share",  # with none of its traffic an endpoint would never be probed
    "forgive_s",
    "wait_s",
    "wait_max_s",
    "call_max_s",
    "cache_s",
)
