"""Why a call is refused: stable codes, and messages that never repeat what was sent."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

__all__ = ["CODES", "RefusedError", "decoded", "document"]

T = TypeVar("T")

CODES: Final[dict[str, tuple[int, str]]] = {  # code: status, what it says
    "not_json": (400, "the body is not JSON"),
    "unknown_field": (400, "the body has a field that is not known here"),
    "missing_field": (400, "the body lacks a field"),
    "wrong_type": (400, "a value is of another type"),
    "out_of_range": (400, "a value is out of range"),
    "unknown_value": (400, "a value is none of those that are known"),
    "no_messages": (400, "messages has to be a list with at least one message"),
    "bad_length": (400, "the length that was announced is not that of the body"),
    "key_missing": (401, "send Authorization: Bearer KEY"),
    "key_refused": (401, "this key is not known, or no longer"),
    "not_allowed": (403, "this key may not do that"),
    "out_of_scope": (403, "this key may not do that for this route or team"),
    "no_keys": (403, "this needs a server with keys: fairlead serve --keys"),
    "step_up_required": (403, "send X-Fairlead-Step-Up: a token of POST /v1/admin/step-up for this action"),
    "not_enrolled": (403, "this key has no authenticator; an admin enrols it: fairlead keys enrol"),
    "wrong_code": (403, "this code is wrong, or was used"),
    "no_such_action": (400, "there is no such action"),
    "no_such_path": (404, "there is nothing at this path; /openapi.json says what there is"),
    "no_spool": (404, "feedback is not kept here; start the server with --spool"),
    "no_shadow": (404, "this server is not in shadow mode"),
    "unknown_model": (404, "no upstream of that name; ask for model auto, or one of /v1/endpoints"),
    "wrong_method": (405, "this path takes another method"),
    "too_slow": (408, "the body did not arrive in time"),
    "not_promoted": (409, "the gates do not allow it, or the file is another one by now; see the detail"),
    "too_large": (413, "the body is larger than is taken here"),
    "wrong_content_type": (415, "send Content-Type: application/json"),
    "too_many": (429, "this key asked more often than it may"),
    "locked": (429, "too many wrong codes; try again later"),
    "not_recorded": (503, "what is done cannot be recorded just now, so it is not done"),
    "overloaded": (503, "more is asked than can be answered in time; go on alone, and try again later"),
    "draining": (503, "this worker is ending; try again"),
    "spool_full": (503, "what is sent cannot be kept just now; try again later"),
    "no_upstream": (404, "nothing is forwarded here; start the server with upstreams"),
    "no_eligible": (422, "no endpoint may serve this request"),
    "upstream_failed": (502, "every upstream that was tried failed"),
}
_AT: Final = re.compile(r" - at `(\$[^`]*)`$")
_SAFE: Final = re.compile(r"Expected `[^`]*`(, got `[^`]*`)?|Object missing required field `\w+`")


class RefusedError(Exception):
    """A call that is refused, by one of CODES; `at` says where in the body, as a path.

    `reason` is for logs and counts only: what a stranger is not told.
    """

    def __init__(
        self,
        code: str,
        at: str | None = None,
        detail: str | None = None,
        *,
        reason: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code)
        self.code, self.at, self.detail, self.reason = code, at, detail, reason or code
        self.status = CODES[code][0]
        self.retry_after_s = 1.0 if retry_after_s is None and self.status == 503 else retry_after_s

    def body(self) -> bytes:
        """Give the answer's body."""
        return document(self.code, self.at, self.detail)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Give the headers that go with it."""
        if self.status == 401:
            return [(b"www-authenticate", b"Bearer")]
        if self.retry_after_s is None:
            return []
        return [(b"retry-after", str(max(1, math.ceil(self.retry_after_s))).encode())]


@lru_cache(maxsize=256)
def document(code: str, at: str | None = None, detail: str | None = None) -> bytes:
    """Give a refusal as JSON.

    >>> document("unknown_field", "$.tags")
    b'{"error":{"code":"unknown_field","message":"the body has a field that is not known here","at":"$.tags"}}'
    """
    told: dict[str, Any] = {"code": code, "message": CODES[code][1]}
    if detail is not None:
        told["detail"] = detail
    if at is not None:
        told["at"] = at
    return msgspec.json.encode({"error": told})


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body; RefusedError says what is wrong with it without repeating any of it.

    >>> from fairlead.serve.bodies import Ask
    >>> try:
    ...     decoded(msgspec.json.Decoder(Ask), b'{"tools": "many"}')
    ... except RefusedError as refused:
    ...     print(refused.code, refused.at, refused.detail)
    wrong_type $.tools Expected `int | null`, got `str`
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as fault:
            if "got `float`" not in str(fault):
                raise
            found: T = msgspec.convert(_whole(msgspec.json.decode(body)), decoder.type)
            return found
    except msgspec.ValidationError as fault:
        raise _refused(str(fault)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RefusedError("not_json") from None


def _whole(value: Any) -> Any:
    """Make 2.0 a 2 wherever it stands: to JSON Schema, and to some languages, it is a whole number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list) else value


def _refused(said: str) -> RefusedError:
    found = _AT.search(said)
    at = found[1] if found else "$"
    what = said[: found.start()] if found else said
    detail = what if _SAFE.fullmatch(what) else None
    if what.startswith("Object contains unknown field"):
        return RefusedError("unknown_field", at)
    if what.startswith("Object missing required field"):
        return RefusedError("missing_field", at, detail)
    if what.startswith("Invalid enum value"):
        return RefusedError("unknown_value", at)
    if what.startswith("Expected") and ", got" in what:
        return RefusedError("wrong_type", at, detail)
    if what.startswith("Expected") or "out of range" in what:
        return RefusedError("out_of_range", at, what if re.fullmatch(r"Expected `\w+`[ \w<>=.+-]*", what) else None)
    return RefusedError("wrong_type", at)
