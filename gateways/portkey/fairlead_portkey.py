"""fairlead as the webhook of Portkey's gateway: answers a before-request hook with the model to call.

    uvicorn fairlead_portkey:app --port 8790

Point Portkey's check `default.webhook` at it; the README beside has the config. What decides, and the key that callers
have to send (FAIRLEAD_WEBHOOK_KEY), are set by environment variables.
"""

from __future__ import annotations

import hmac
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from fairlead.serve.advice import Advice, ask_of
from fairlead.serve.bodies import Answer

__all__ = ["Webhook"]

_MOST: Final = 4 << 20  # bytes of a hook: it holds the call's body
_NAMED: Final = ("route", "team", "conversation")
_ALONE: Final[dict[str, Any]] = {"verdict": True}  # Portkey goes on with the call as it is


class Webhook:
    """An ASGI app: POST a hook's context, get `verdict`, `data` for Portkey's log and the `transformedData`."""

    def __init__(self, advice: Advice, key: str | None = None) -> None:
        self._advice, self._key = advice, key

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer one hook."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if self._key is not None and not _knows(scope["headers"], self._key):
            await _send(send, 401, {"error": "send Authorization: Bearer and the key of FAIRLEAD_WEBHOOK_KEY"})
            return
        try:
            answer = await self.answer(msgspec.json.decode(body))
        except Exception:  # a hook of another shape, or anything wrong in here: the call goes on
            answer = _ALONE
        await _send(send, 200, answer)

    async def answer(self, hook: dict[str, Any]) -> dict[str, Any]:
        """Choose among the models of the provider that Portkey is about to call; only these can still be changed."""
        asked = hook["request"]["json"]
        if hook.get("eventType") != "beforeRequestHook" or hook.get("requestType") not in ("chatComplete", "complete"):
            return _ALONE
        told = {name: value for name, value in (hook.get("metadata") or {}).items() if name in _NAMED}
        told.setdefault("route", asked.get("model"))
        provider = str(hook["provider"])
        ask = ask_of(asked, id=uuid.uuid4().hex, providers=(provider,), want=("metadata",), **told)
        answer = await self._advice.decide(ask)
        model = None if answer is None else _model(answer, provider)
        if answer is None or model is None:
            return _ALONE
        request = {"json": {**asked, "model": model}}
        return {"verdict": True, "data": answer.metadata, "transformedData": {"request": request}}


def _model(answer: Answer, provider: str) -> str | None:
    """Give the model of an endpoint that is named provider/model, as those of Portkey's logs are."""
    own, _, model = str(answer.endpoint).partition("/")
    return model if own == provider and model else None


def _knows(headers: list[tuple[bytes, bytes]], key: str) -> bool:
    given = next((value for name, value in headers if name == b"authorization"), b"")
    return hmac.compare_digest(given, f"Bearer {key}".encode())


async def _body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"") if len(body) <= _MOST else b""
        more = message.get("more_body", False)
    return bytes(body) if len(body) <= _MOST else b""


async def _send(send: Callable[[Any], Awaitable[None]], status: int, answer: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(answer)})


def __getattr__(name: str) -> Any:
    """Make `app` when uvicorn asks for it, of what the environment says."""
    if name != "app":
        raise AttributeError(name)
    made = globals()["app"] = Webhook(Advice.from_environment(), os.environ.get("FAIRLEAD_WEBHOOK_KEY") or None)
    return made
