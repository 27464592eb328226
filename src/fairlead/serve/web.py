"""The one door to httpx: calls that go out, each with a time limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from fairlead.errors import UnavailableError, UsageError

try:
    import httpx
except ImportError:  # the extra is not installed: deciding needs no client
    httpx = None  # type: ignore[assignment]

__all__ = ["Found", "UnreachableError", "Web", "client", "reachable"]

_CONNECT_S: Final = 5.0
_KEPT: Final = ("retry-after", "x-request-id", "openai-processing-ms", "x-ratelimit-remaining-requests")


class UnreachableError(Exception):
    """What was called did not answer, or broke off."""

    def __init__(self, is_timeout: bool) -> None:
        super().__init__("timeout" if is_timeout else "unreachable")
        self.is_timeout = is_timeout


def _httpx() -> Any:
    if httpx is None:
        raise UsageError("calls that go out need httpx: pip install 'fairlead[serve]'")
    return httpx


def _transport(uds: str | None, is_async: bool) -> Any:
    """Give what connects through a unix socket; None for TCP."""
    if uds is None:
        return None
    own = _httpx()
    return own.AsyncHTTPTransport(uds=uds) if is_async else own.HTTPTransport(uds=uds)


def client(is_async: bool, url: str, timeout_s: float, uds: str | None, headers: dict[str, str]) -> Any:
    """Give a client whose every step is bounded by `timeout_s`."""
    own = _httpx()
    make = own.AsyncClient if is_async else own.Client
    return make(base_url=url, timeout=timeout_s, transport=_transport(uds, is_async), headers=headers, trust_env=False)


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Turn whatever keeps a call from being answered into UnavailableError."""
    try:
        yield
    except (_httpx().HTTPError, _httpx().InvalidURL) as fault:
        why = str(fault) or type(fault).__name__
        raise UnavailableError(f"{url}: no answer ({why}); see that `fairlead serve` runs there") from fault


class Found:
    """An answer whose head is there; its body comes in parts."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status_code
        self.content_type: bytes = response.headers.get("content-type", "application/json").encode("latin-1")

    @property
    def retry_after_s(self) -> float | None:
        """Give after how many seconds it asks to be called again."""
        told = self._response.headers.get("retry-after", "")
        return float(told) if told.isdecimal() and len(told) < 7 else None

    def kept_headers(self) -> list[tuple[str, str]]:
        """Give the headers that the caller is to see."""
        return [(name, self._response.headers[name]) for name in _KEPT if name in self._response.headers]

    async def parts(self) -> AsyncIterator[bytes]:
        """Give the body's parts as they come; UnreachableError where it breaks off."""
        try:
            async for part in self._response.aiter_bytes():
                yield part
        except _httpx().HTTPError as fault:
            raise UnreachableError(isinstance(fault, _httpx().TimeoutException)) from None

    async def read(self, most: int) -> bytes:
        """Give the body, up to so many bytes, and close it; what broke off is empty."""
        body = bytearray()
        try:
            async for part in self.parts():
                body += part
                if len(body) > most:
                    break
        except UnreachableError:
            body.clear()
        finally:
            await self.close()
        return bytes(body[:most])

    async def close(self) -> None:
        """Give the connection back."""
        await self._response.aclose()


class Web:
    """A pool of connections to upstreams."""

    def __init__(self, within_s: float) -> None:
        own = _httpx()
        limits = own.Limits(max_connections=1000, max_keepalive_connections=200)
        timeout = own.Timeout(within_s, connect=_CONNECT_S, pool=_CONNECT_S)
        self._client = own.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False)

    async def post(self, url: str, body: bytes, key: str | None) -> Found:
        """Send JSON; UnreachableError when there is no answer in time."""
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        try:
            request = self._client.build_request("POST", url, content=body, headers=headers)
            return Found(await self._client.send(request, stream=True))
        except _httpx().HTTPError as fault:
            raise UnreachableError(isinstance(fault, _httpx().TimeoutException)) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
