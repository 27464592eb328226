"""Why the guard refuses: its reasons, for logs and counts, and the codes that callers are told."""

from __future__ import annotations

from typing import Final

from fairlead.serve.refusals import RefusedError

__all__ = ["refusal"]

_CODES: Final = {
    "no_key": "key_missing",
    "two_keys": "key_refused",
    # Which of them it is, a stranger is not told.
    "malformed": "key_refused",
    "unknown": "key_refused",
    "revoked": "key_refused",
    "expired": "key_refused",
    "not_yet_valid": "key_refused",
    "no_rule": "no_such_path",
    "wrong_role": "not_allowed",
    "over_limit": "too_many",
    "no_step_up": "step_up_required",
    "wrong_step_up": "step_up_required",
    "no_audit": "not_recorded",
}


def refusal(reason: str, retry_after_s: float | None = None) -> RefusedError:
    """Give the refusal for a reason.

    >>> refusal("no_key").body()
    b'{"error":{"code":"key_missing","message":"send Authorization: Bearer KEY"}}'
    """
    return RefusedError(_CODES.get(reason, reason), reason=reason, retry_after_s=retry_after_s)
