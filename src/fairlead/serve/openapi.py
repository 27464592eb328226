"""The OpenAPI document, made from the same table and the same classes that serve."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec

from fairlead.serve.routes import ROLES, ROUTES, Route

__all__ = ["document"]

_REFUSAL: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {name: {"type": "string"} for name in ("code", "message", "detail", "at")},
        }
    },
}


@cache
def document() -> bytes:
    """Give the document (OpenAPI 3.1) as JSON."""
    from fairlead.serve.refusals import CODES

    types = [one for route in ROUTES for one in (route.takes, route.gives) if isinstance(one, type)]
    known = list(dict.fromkeys(one for one in types if issubclass(one, msgspec.Struct)))
    _, schemas = msgspec.json.schema_components(known, ref_template="#/components/schemas/{name}")
    refusal = {**_REFUSAL, "description": "Codes: " + ", ".join(CODES)}
    told = {
        "openapi": "3.1.0",
        "info": {
            "title": "fairlead",
            "version": "1",
            "description": "Which endpoint to send a request to. Codes of refusals are stable; no answer repeats "
            "what was sent. 503 means: decide alone now, ask again later.",
        },
        "paths": {route.path: {route.method.lower(): _operation(route)} for route in ROUTES},
        "components": {
            "schemas": {**schemas, "Refusal": refusal},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(told)


def _operation(route: Route) -> dict[str, Any]:
    refused = {401, 403, 429, *route.refusals} if route.roles is not None else set(route.refusals)
    if route.action is not None:
        refused.add(503)
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {
            "200": {"description": "OK", "content": {route.content_type: {"schema": _schema(route.gives)}}},
            **{str(status): _refusal(status) for status in sorted(refused)},
        },
    }
    if route.roles is not None:
        told["description"] = f"For keys with a role of: {', '.join(one for one in ROLES if one in route.roles)}."
        told["security"] = [{"key": []}, {}]  # a server that only this machine can reach may have no keys
    if route.action is not None:
        told["parameters"] = [
            {"name": "X-Fairlead-Step-Up", "in": "header", "required": True, "schema": {"type": "string"}}
        ]
    if route.takes is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _takes(route)}}}
    return told


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _schema(gives: Any) -> dict[str, Any]:
    if isinstance(gives, type) and issubclass(gives, msgspec.Struct):
        return {"$ref": f"#/components/schemas/{gives.__name__}"}
    return {"type": "string"} if gives is None else {"type": "object"}


def _takes(route: Route) -> dict[str, Any]:
    if isinstance(route.takes, type) and issubclass(route.takes, msgspec.Struct):
        return _schema(route.takes)
    # What else OpenAI's API knows goes on as it is, and is the upstream's to judge.
    message = {"type": "object", "properties": {"role": {}, "content": {}}}
    return {
        "type": "object",
        "required": ["messages"],
        "properties": {
            "model": {},
            "messages": {"type": "array", "minItems": 1, "items": message},
        },
    }
