"""What gateways put into spans beside the conventions: LiteLLM's metadata, and the decision that fairlead made.

LiteLLM writes an attribute for each field of its metadata, objects among them as Python writes them. Its own router
tells of its decision in `litellm.routing.*`. A decision of fairlead's is echoed either within LiteLLM's
`spend_logs_metadata` or as attributes of its own: `fairlead.decision_id`, `fairlead.propensity`, `fairlead.request_id`.
"""

from __future__ import annotations

import ast
from typing import Any, Final

from fairlead.ingest import litellm, values
from fairlead.ingest.otlp.extras import decoded

__all__ = ["read", "usage"]

_OURS: Final = (
    "decision_id",
    "request_id",
    "propensity",
    "policy_id",
    "policy_version",
    "is_exploration",
    "candidates",
    "experiment_id",
    "variant",
    "decision_cause",
)
_LONGEST: Final = 65_536
_MOST_MARKS: Final = 500  # nesting that no metadata has


def read(said: dict[str, Any]) -> dict[str, Any]:
    """Give the columns that a gateway's own attributes fill."""
    hidden = litellm.as_dict(decoded(said.get("hidden_params")))
    told = _decision(said)
    routing = {
        name.removeprefix("litellm.routing."): value
        for name, value in said.items()
        if name.startswith("litellm.routing.")
    }
    overhead_ms = values.number(hidden.get("litellm_overhead_time_ms"), "litellm_overhead_time_ms")
    found = {
        "request_id": values.text(told.get("request_id")),
        "organization_id": _metadata(said, "user_api_key_org_id"),
        "team_id": _metadata(said, "user_api_key_team_id") or _metadata(said, "team_id"),
        "project_id": _metadata(said, "user_api_key_project_id"),
        "api_key_id": _metadata(said, "user_api_key_hash"),
        "deployment_id": values.text(hidden.get("model_id")),
        "gateway_overhead_s": None if overhead_ms is None else max(overhead_ms, 0.0) / 1000,
        "reported_cost_usd": hidden.get("response_cost"),
        **litellm.decision(told, routing or litellm.as_dict(_literal(said.get("metadata.routing_decision")))),
    }
    return {name: value for name, value in found.items() if value is not None}


def usage(said: dict[str, Any]) -> dict[str, Any]:
    """Give the token columns of LiteLLM's usage object, which has the classes that its attributes leave out."""
    told = litellm.as_dict(_literal(said.get("metadata.usage_object")))
    return litellm.usage(told, told, True) if told else {}


def _decision(said: dict[str, Any]) -> dict[str, Any]:
    free: list[dict[str, Any]] = [litellm.as_dict(decoded(said.get("metadata"))), _prefixed(said, "metadata.")]
    ours = [litellm.as_dict(_literal(said.get("metadata.spend_logs_metadata"))), _prefixed(said, "fairlead.")]
    found: dict[str, Any] = {}
    # In metadata that is the caller's own, `variant` means something else unless a decision stands beside it.
    for part in (*(part for part in free if "decision_id" in part), *ours):
        found |= {name: part[name] for name in _OURS if part.get(name) not in (None, "")}
    flag = found.get("is_exploration")
    if isinstance(flag, str):
        found["is_exploration"] = {"true": True, "false": False}.get(flag.lower())
    return found


def _prefixed(said: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name: said[prefix + name] for name in _OURS if prefix + name in said}


def _metadata(said: dict[str, Any], name: str) -> str | None:
    found = said.get(f"metadata.{name}")
    return found if isinstance(found, str) and found else None


def _literal(given: Any) -> Any:
    """Give what a text says that is JSON, or an object as Python writes it; only literals, and none too deep."""
    found = decoded(given)
    if not isinstance(found, str) or not found.startswith("{") or len(found) > _LONGEST:
        return found
    if sum(found.count(mark) for mark in "[({-~+") > _MOST_MARKS:
        return None
    try:
        return ast.literal_eval(found)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
