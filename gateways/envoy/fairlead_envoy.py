"""fairlead as Envoy's external processor (ext_proc): sets the header that routes match, and tells the access log.

    pip install fairlead httpx grpcio xds-protos
    python fairlead_envoy.py --listen 127.0.0.1:9002

Decides when a buffered request body asks for the model `auto` (or one of FAIRLEAD_ASKED). What decides is set by
environment variables; the README beside has Envoy's side.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as rpc

from fairlead.scoring.outcome import Outcome
from fairlead.serve.advice import Advice, ask_of

__all__ = ["Processor", "main", "serve"]

_MODEL: Final = "x-ai-eg-model"  # what the routes of Envoy AI Gateway match
_ENDPOINT: Final = "x-fairlead-model"  # the endpoint by its whole name
_NAMESPACE: Final = "io.fairlead"
_ECHOED: Final = ("decision_id", "request_id", "propensity", "policy_id", "policy_version", "is_exploration")
_HEADERS: Final = {name: f"x-fairlead-{name.replace('_', '-')}" for name in _ECHOED}
_CLASSES: Final = {401: "auth", 403: "auth", 408: "timeout", 429: "rate_limit", 504: "timeout"}


class Processor(rpc.ExternalProcessorServicer):  # type: ignore[misc]  # grpc is not installed where types are checked
    """Answers one stream a request: Envoy sends headers, the body, and the response's headers."""

    def __init__(self, advice: Advice, models: Mapping[str, str] | None = None, asked: str = "auto") -> None:
        self._advice, self._models, self._asked = advice, dict(models or {}), frozenset(asked.split(","))

    async def Process(  # noqa: N802  (the name in the protocol)
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        """Answer each message; whatever is wrong, Envoy goes on with the request as it is."""
        call: dict[str, Any] = {}
        async for message in request_iterator:
            kind = message.WhichOneof("request")
            try:
                yield await self._answer(kind, message, call)
            except Exception:
                yield _go_on(kind)

    async def _answer(self, kind: str, message: Any, call: dict[str, Any]) -> Any:
        if kind == "request_headers":
            call["headers"] = _read(message.request_headers.headers)
            answer = _go_on(kind)
            # Nobody but us may say what was decided, or the log would be learned from as it was made up.
            answer.request_headers.response.header_mutation.remove_headers.extend((_ENDPOINT, *_HEADERS.values()))
            return answer
        if kind == "request_body" and message.request_body.end_of_stream:
            return await self._choose(message.request_body.body, call)
        if kind == "response_headers" and "endpoint" in call:
            await self._observe(_read(message.response_headers.headers), call)
        return _go_on(kind)

    async def _choose(self, body: bytes, call: dict[str, Any]) -> Any:
        asked, headers = json.loads(body), call.get("headers", {})
        if asked.get("model") not in self._asked:
            return _go_on("request_body")
        told = {name: headers.get(f"x-fairlead-{name}") for name in ("route", "team", "conversation")}
        own = headers.get("x-request-id") or uuid.uuid4().hex
        answer = await self._advice.decide(ask_of(asked, id=own, want=("metadata",), **told))
        if answer is None or answer.endpoint is None:
            return _go_on("request_body")
        call |= {"endpoint": answer.endpoint, "request_id": answer.request_id, "at": time.monotonic()}
        model = self._models.get(answer.endpoint, answer.endpoint.partition("/")[2] or answer.endpoint)
        echoed = {name: _text((answer.metadata or {}).get(name)) for name in _ECHOED}
        found = pb.ProcessingResponse()
        common = found.request_body.response
        common.clear_route_cache = True  # the route is chosen by the header that is set here
        common.body_mutation.body = json.dumps({**asked, "model": model}).encode()
        names = {_MODEL: model, _ENDPOINT: answer.endpoint, **{_HEADERS[name]: value for name, value in echoed.items()}}
        for name, value in names.items():
            option = common.header_mutation.set_headers.add()
            option.header.key, option.header.raw_value = name, value.encode()
            option.append_action = option.OVERWRITE_IF_EXISTS_OR_ADD
        found.dynamic_metadata.update({_NAMESPACE: {**echoed, "endpoint": answer.endpoint}})
        return found

    async def _observe(self, headers: Mapping[str, str], call: Mapping[str, Any]) -> None:
        """Say how the call went, as far as the response's headers tell: Envoy has its tokens, the log its cost."""
        took, status = time.monotonic() - call["at"], int(headers.get(":status", "0"))
        streams = headers.get("content-type", "").startswith("text/event-stream")
        failed = status >= 400
        outcome = Outcome(
            endpoint=call["endpoint"],
            request_id=call["request_id"],
            status="error" if failed else "ok",
            error_class=(_CLASSES.get(status) or ("server" if status >= 500 else "invalid_request"))
            if failed
            else None,
            time_to_first_chunk_s=took if streams else None,
            duration_s=None if streams else took,
        )
        await self._advice.observe(outcome)


def _go_on(kind: str) -> Any:
    """Give the answer that changes nothing."""
    found = pb.ProcessingResponse()
    getattr(found, kind).SetInParent()
    return found


def _read(headers: Any) -> dict[str, str]:
    return {one.key: one.value or one.raw_value.decode("utf-8", "replace") for one in headers.headers}


def _text(value: Any) -> str:
    """Write a value so that the log's reader finds the same again: 17 digits of a share."""
    return repr(value) if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


async def serve(address: str, processor: Processor) -> Any:
    """Start a server; give it, and the port where the address is one of TCP."""
    server = grpc.aio.server()
    rpc.add_ExternalProcessorServicer_to_server(processor, server)
    port = server.add_insecure_port(address)
    await server.start()
    return server, port


async def _run(address: str) -> None:
    models = json.loads(os.environ.get("FAIRLEAD_MODELS") or "{}")
    asked = os.environ.get("FAIRLEAD_ASKED") or "auto"
    server, port = await serve(address, Processor(Advice.from_environment(), models, asked))
    print(f"deciding for Envoy at {address} (port {port})", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:9002", help="HOST:PORT or unix:PATH")
    asyncio.run(_run(parser.parse_args().listen))


if __name__ == "__main__":
    main()
