"""How a call ended, from what gateways say: HTTP status codes, exception names, words for success.

>>> error_class(429, None), error_class(None, "ContextWindowExceededError")
('rate_limit', 'context_length')
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["ended", "error_class", "status", "status_of_code"]

_NAMES: Final[tuple[tuple[str, str], ...]] = (  # the first that is found in an exception's name holds
    ("RateLimit", "rate_limit"),
    ("Timeout", "timeout"),
    ("ContextWindow", "context_length"),
    ("ContentPolicy", "content_filter"),
    ("ContentFilter", "content_filter"),
    ("Budget", "budget"),
    ("Authentication", "auth"),
    ("PermissionDenied", "auth"),
    ("Cancelled", "cancelled"),
    ("APIConnection", "network"),
    ("ConnectionError", "network"),
    ("NetworkError", "network"),
    ("InternalServer", "server"),
    ("ServiceUnavailable", "server"),
    ("BadGateway", "server"),
    ("APIError", "server"),
    ("BadRequest", "invalid_request"),
    ("NotFound", "invalid_request"),
    ("Unprocessable", "invalid_request"),
    ("Unsupported", "invalid_request"),
    ("InvalidRequest", "invalid_request"),
    ("Validation", "invalid_request"),
)
_CODES: Final = {
    401: "auth",
    402: "budget",
    403: "auth",
    408: "timeout",
    429: "rate_limit",
    499: "cancelled",
    504: "timeout",
    524: "timeout",
}
_STATUSES: Final = {
    "ok": "ok",
    "success": "ok",
    "succeeded": "ok",
    "successful": "ok",
    "completed": "ok",
    "true": "ok",
    "error": "error",
    "failure": "error",
    "failed": "error",
    "fail": "error",
    "false": "error",
    "timeout": "error",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "aborted": "cancelled",
    "blocked": "blocked",
    "denied": "blocked",
}
_CODE: Final = re.compile(r"[1-5]\d\d")
_CLIENT: Final = frozenset({"invalid_request", "context_length", "auth", "cancelled"})


def error_class(code: int | None, name: str | None) -> str:
    """Give the class of an error, one of schema.ERROR_CLASSES; the exception's name says more than the code."""
    if name:
        for part, found in _NAMES:
            if part in name:
                return found
    if code is None:
        return "other"
    if code in _CODES:
        return _CODES[code]
    return "server" if code >= 500 else "invalid_request" if code >= 400 else "other"


def status_of_code(code: int) -> str:
    """Give the status that an HTTP status code stands for."""
    if code == 499:
        return "cancelled"
    return "error" if code >= 400 else "ok"


def status(word: object) -> tuple[str | None, int | None]:
    """Give the status and the HTTP code that a source's word or number stands for; None for what is not known.

    >>> status("Success"), status(504), status("429"), status("odd")
    (('ok', None), ('error', 504), ('error', 429), (None, None))
    """
    text = str(word).strip().lower()
    if _CODE.fullmatch(text):
        return status_of_code(int(text)), int(text)
    return _STATUSES.get(text), None


def ended(code: int | None, name: str | None, kind: str | None = None) -> dict[str, Any]:
    """Give how a call ended, from its HTTP code and the name of its error; `kind` is a class known better.

    >>> ended(429, None)["status"], ended(200, None), ended(None, "ModelTimeoutException")["error_class"]
    ('error', {'status': 'ok', 'http_status_code': 200}, 'timeout')
    """
    word = status_of_code(code) if code is not None else "error" if name else "ok"
    if word == "ok" and not name:
        return {"status": "ok", "http_status_code": code}
    kind = kind or error_class(code, name)
    return {
        "status": "cancelled" if kind == "cancelled" else "error",
        "http_status_code": code,
        "error_type": name or (None if code is None else str(code)),
        "error_class": kind,
        "error_origin": "client" if kind in _CLIENT else "provider",
    }
