"""Ask a server for decisions, sync or async; `decider` says what else answers the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from fairlead.errors import UnavailableError
from fairlead.scoring.outcome import Outcome
from fairlead.scoring.request import Request
from fairlead.serve import web
from fairlead.serve.bodies import MOST, Answer, Answers, Endpoints, InUse, Opinion, Taken

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T", bound=Struct)
_TIMEOUT_S: Final = 1.0


class _Calls:
    """What both clients send and read."""

    def __init__(self, url: str, *, key: str | None, timeout_s: float, uds: str | None, default: str | None) -> None:
        self._default = default
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._url, self._timeout_s, self._uds = url, timeout_s, uds

    def _open(self, is_async: bool) -> Any:
        return web.client(is_async, self._url, self._timeout_s, self._uds, self._headers)

    def _alone(self, request: Request, why: str) -> Answer:
        """What is answered where nobody could be asked."""
        return Answer(
            id="",
            request_id=request.id,
            endpoint=self._default,
            propensity=1.0,
            policy="",
            policy_version="",
            kind="last_resort",
            is_exploration=False,
            decided_us=0.0,
            reasons=(f"{why}; the client's default is taken",),
        )


def _sent(body: Any) -> dict[str, Any]:
    return {"content": msgspec.json.encode(body), "headers": {"content-type": "application/json"}}


def _told(value: Struct) -> dict[str, Any]:
    """Give a struct's fields that say something; an empty list of endpoints says that none may be used."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: told for name, told in fields.items() if told is not None and (told != "" or name != "text")}


def _read(response: Any, kind: type[T]) -> T:
    if response.status_code != 200:
        raise UnavailableError(f"{response.url}: answered {response.status_code} ({_code(response)})")
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as fault:
        raise UnavailableError(f"{response.url}: not an answer of fairlead ({fault})") from fault


def _code(response: Any) -> str:
    try:
        return str(msgspec.json.decode(response.content)["error"]["code"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return "no reason given"


class Client(_Calls):
    """Asks a server. Each call takes at most `timeout_s` a step.

    With `default`, an endpoint's name, a decision never raises: when nobody answers in time, or the server sheds load,
    that endpoint is answered with the kind "last_resort". Without it, UnavailableError says what happened.
    `uds` is the path of a unix socket. Close it, or use it in a `with`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        timeout_s: float = _TIMEOUT_S,
        uds: str | None = None,
        default: str | None = None,
    ) -> None:
        super().__init__(url, key=key, timeout_s=timeout_s, uds=uds, default=default)
        self._http = self._open(False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def decide(self, request: Request) -> Answer:
        """Choose an endpoint."""
        try:
            return self._post("/v1/decide", _told(request), Answer)
        except UnavailableError as fault:
            if self._default is None:
                raise
            return self._alone(request, str(fault))

    def decide_many(self, requests: Sequence[Request]) -> list[Answer]:
        """Choose for several requests at once."""
        found: list[Answer] = []
        for start in range(0, len(requests), MOST):
            some = requests[start : start + MOST]
            try:
                found += self._post("/v1/decide/batch", {"requests": [_told(one) for one in some]}, Answers).decisions
            except UnavailableError as fault:
                if self._default is None:
                    raise
                found += [self._alone(one, str(fault)) for one in some]
        return found

    def observe(self, outcome: Outcome) -> None:
        """Say how a call ended."""
        self._post("/v1/observe", _told(outcome), Taken)

    def feedback(self, opinion: Opinion) -> str | None:
        """Say something of a request's quality; its id, once it is kept for `fairlead ingest`."""
        return self._post("/v1/feedback", _told(opinion), Taken).id

    def endpoints(self) -> Endpoints:
        """Give the endpoints and how they do."""
        return self._get("/v1/endpoints", Endpoints)

    def snapshot(self) -> InUse:
        """Say what decides."""
        return self._get("/v1/snapshot", InUse)

    def _post(self, path: str, body: Any, kind: type[T]) -> T:
        with web.reachable(self._url):
            response = self._http.post(path, **_sent(body))
        return _read(response, kind)

    def _get(self, path: str, kind: type[T]) -> T:
        with web.reachable(self._url):
            response = self._http.get(path)
        return _read(response, kind)


class AsyncClient(_Calls):
    """As `Client`, for asyncio."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        timeout_s: float = _TIMEOUT_S,
        uds: str | None = None,
        default: str | None = None,
    ) -> None:
        super().__init__(url, key=key, timeout_s=timeout_s, uds=uds, default=default)
        self._http = self._open(True)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def decide(self, request: Request) -> Answer:
        """Choose an endpoint."""
        try:
            return await self._post("/v1/decide", _told(request), Answer)
        except UnavailableError as fault:
            if self._default is None:
                raise
            return self._alone(request, str(fault))

    async def decide_many(self, requests: Sequence[Request]) -> list[Answer]:
        """Choose for several requests at once."""
        found: list[Answer] = []
        for start in range(0, len(requests), MOST):
            some = requests[start : start + MOST]
            body = {"requests": [_told(one) for one in some]}
            try:
                found += (await self._post("/v1/decide/batch", body, Answers)).decisions
            except UnavailableError as fault:
                if self._default is None:
                    raise
                found += [self._alone(one, str(fault)) for one in some]
        return found

    async def observe(self, outcome: Outcome) -> None:
        """Say how a call ended."""
        await self._post("/v1/observe", _told(outcome), Taken)

    async def feedback(self, opinion: Opinion) -> str | None:
        """Say something of a request's quality; its id, once it is kept for `fairlead ingest`."""
        return (await self._post("/v1/feedback", _told(opinion), Taken)).id

    async def endpoints(self) -> Endpoints:
        """Give the endpoints and how they do."""
        return await self._get("/v1/endpoints", Endpoints)

    async def snapshot(self) -> InUse:
        """Say what decides."""
        return await self._get("/v1/snapshot", InUse)

    async def _post(self, path: str, body: Any, kind: type[T]) -> T:
        with web.reachable(self._url):
            response = await self._http.post(path, **_sent(body))
        return _read(response, kind)

    async def _get(self, path: str, kind: type[T]) -> T:
        with web.reachable(self._url):
            response = await self._http.get(path)
        return _read(response, kind)
