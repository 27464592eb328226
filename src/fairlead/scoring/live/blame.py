"""Whose fault an outcome is: the endpoint's, nobody's, or only that of too much traffic."""

from __future__ import annotations

from typing import Final, Literal

from fairlead.scoring.outcome import Outcome

__all__ = ["Blame", "blame"]

Blame = Literal["none", "success", "failure", "limited"]

# The request would have failed anywhere, or its caller went away.
_THE_REQUESTS_OWN: Final = frozenset({"invalid_request", "context_length", "content_filter", "cancelled"})


def blame(outcome: Outcome) -> Blame:
    """Say what an outcome tells of its endpoint.

    `none`: nothing, because the request itself was at fault, was cancelled, or was stopped by a guard; `limited`: the
    endpoint asked for less traffic (429); `failure`: anything else that failed, a class we do not know among it.

    >>> blame(Outcome(endpoint="a", status="error", error_class="context_length"))
    'none'
    >>> blame(Outcome(endpoint="a", status="error", error_class="server"))
    'failure'
    """
    if outcome.status == "ok":
        return "success"
    if outcome.status != "error" or outcome.error_class in _THE_REQUESTS_OWN:
        return "none"
    return "limited" if outcome.error_class == "rate_limit" else "failure"
