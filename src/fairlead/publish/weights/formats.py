"""Shares as the configs of gateways: LiteLLM, Portkey, Envoy's HTTPRoute, MLflow's gateway, Kong.

What a gateway needs beside the weights (keys, hosts) is left to its operator: keys are named as references to the
environment, and never read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from fairlead.publish.weights.shares import Shares, Target
from fairlead.publish.weights.text import as_yaml

__all__ = ["FORMATS", "Format", "written"]

# How each gateway calls a provider, where that is not its name in the log.
_LITELLM: Final = {
    "aws.bedrock": "bedrock",
    "azure.ai.inference": "azure_ai",
    "azure.ai.openai": "azure",
    "gcp.gemini": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "mistral_ai": "mistral",
    "x_ai": "xai",
}
_PORTKEY: Final = {
    "aws.bedrock": "bedrock",
    "azure.ai.inference": "azure-ai",
    "azure.ai.openai": "azure-openai",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "vertex-ai",
    "mistral_ai": "mistral-ai",
    "x_ai": "x-ai",
}
_MLFLOW: Final = {
    "aws.bedrock": "bedrock",
    "azure.ai.openai": "openai",
    "gcp.gemini": "gemini",
    "mistral_ai": "mistral",
}
_KONG: Final = {"aws.bedrock": "bedrock", "azure.ai.openai": "azure", "gcp.gemini": "gemini", "mistral_ai": "mistral"}


class Format(NamedTuple):
    """How a gateway's config is written, and what is to know of its log."""

    write: Callable[[Shares, str], str]
    sources: tuple[str, ...]  # the readers of its log
    total: int = 1000  # that its weights sum to
    keeps_name: bool = False  # whether the log keeps the name that was asked for
    segments: bool = True  # whether it can weigh one route otherwise than another


def written(shares: Shares, gateway: str, name: str) -> str:
    """Give a gateway's config, in which callers ask for `name`."""
    return FORMATS[gateway].write(shares, name)


def _litellm(shares: Shares, name: str) -> str:
    """Give a `model_list` of one group, which `simple-shuffle` draws from by the weights."""
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"{_called(target, _LITELLM)}/{target.model}",
                "api_key": f"os.environ/{_variable(target)}",
                "weight": weight,
            },
            "model_info": {"id": target.name},  # what its log calls the endpoint
        }
        for target, weight in _targets(shares, "")
    ]
    return as_yaml({"model_list": models, "router_settings": {"routing_strategy": "simple-shuffle"}})


def _portkey(shares: Shares, _: str) -> str:
    """Give a config that balances by weights; routes are told apart by the caller's `metadata.route`."""
    balanced = {
        route: {
            "strategy": {"mode": "loadbalance"},
            "targets": [
                {
                    "provider": _called(target, _PORTKEY),
                    "override_params": {"model": target.model},
                    "weight": weight,
                }
                for target, weight in _targets(shares, route)
            ],
        }
        for route in shares.parts
    }
    if len(balanced) == 1:
        return _json(balanced[""])
    names = {route: f"route-{number}" if route else "others" for number, route in enumerate(balanced)}
    conditions = [{"query": {"metadata.route": {"$eq": route}}, "then": names[route]} for route in balanced if route]
    return _json(
        {
            "strategy": {"mode": "conditional", "conditions": conditions, "default": names[""]},
            "targets": [{"name": names[route], **one} for route, one in balanced.items()],
        }
    )


def _envoy(shares: Shares, name: str) -> str:
    """Give an HTTPRoute; routes are told apart by the header x-fairlead-route.

    Each backend sets the headers of a decision, so that the access log tells of the propensity by itself.
    """
    rules = []
    for route in sorted(shares.parts, key=lambda one: not one):  # the more special rules first
        headers = [{"name": "x-ai-eg-model", "value": name}]
        headers += [{"name": "x-fairlead-route", "value": route}] if route else []
        backends = [
            {
                "name": _dns(target.name),
                "port": 443,
                "weight": weight,
                "filters": [_headers(shares, target, weight)],
            }
            for target, weight in _targets(shares, route)
        ]
        rules.append({"matches": [{"headers": headers}], "backendRefs": backends})
    return as_yaml(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": _dns(f"fairlead-{name}")},
            "spec": {"parentRefs": [{"name": "ai-gateway"}], "rules": rules},
        }
    )


def _headers(shares: Shares, target: Target, weight: int) -> dict[str, Any]:
    told = {
        "x-fairlead-model": target.name,
        "x-fairlead-propensity": repr(weight / shares.total),
        "x-fairlead-policy-id": "weights",
        "x-fairlead-policy-version": shares.policy_version,
    }
    put = [{"name": name, "value": value} for name, value in told.items()]
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": put}}


def _mlflow(shares: Shares, name: str) -> str:
    """Give endpoints and routes with a traffic split, in whole per cent; a route of its own is NAME-ROUTE."""
    used = {target.name: target for route in shares.parts for target, _ in _targets(shares, route)}
    endpoints = []
    for target in used.values():
        provider = _called(target, _MLFLOW)
        model = {
            "provider": provider,
            "name": target.model,
            "config": {f"{provider}_api_key": f"${_variable(target)}"},
        }
        endpoints.append({"name": _dns(target.name), "endpoint_type": "llm/v1/chat", "model": model})
    routes = [
        {
            "name": f"{name}-{_dns(route)}" if route else name,
            "task_type": "llm/v1/chat",
            "destinations": [
                {"name": _dns(target.name), "traffic_percentage": weight} for target, weight in _targets(shares, route)
            ],
            "routing_strategy": "TRAFFIC_SPLIT",
        }
        for route in shares.parts
    ]
    return as_yaml({"endpoints": endpoints, "routes": routes})


def _kong(shares: Shares, name: str) -> str:
    """Give plugins `ai-proxy-advanced` with weighted targets; a route of its own is Kong's route NAME-ROUTE."""
    plugins = [
        {
            "name": "ai-proxy-advanced",
            "route": f"{name}-{_dns(route)}" if route else name,
            "config": {
                "balancer": {"algorithm": "round-robin"},
                "targets": [
                    {
                        "route_type": "llm/v1/chat",
                        "model": {"provider": _called(target, _KONG), "name": target.model},
                        "auth": {"header_name": "Authorization", "header_value": _vault(target)},
                        "weight": weight,
                    }
                    for target, weight in _targets(shares, route)
                ],
            },
        }
        for route in shares.parts
    ]
    return _json({"_format_version": "3.0", "plugins": plugins})


FORMATS: Final[dict[str, Format]] = {
    "litellm": Format(_litellm, ("litellm_payload", "litellm_spendlogs"), keeps_name=True, segments=False),
    "portkey": Format(_portkey, ("portkey",)),
    "envoy": Format(_envoy, ("envoy",), keeps_name=True),
    "mlflow": Format(_mlflow, ("mlflow_traces",), total=100),
    "kong": Format(_kong, ("kong",)),
}


def _targets(shares: Shares, route: str) -> list[tuple[Target, int]]:
    return [(shares.targets[endpoint], weight) for endpoint, weight in shares.parts[route].items()]


def _called(target: Target, names: dict[str, str]) -> str:
    return names.get(target.provider, target.provider)


def _variable(target: Target) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", target.provider.upper()) + "_API_KEY"


def _vault(target: Target) -> str:
    return "{vault://env/" + _variable(target).lower().replace("_", "-") + "}"


def _dns(name: str) -> str:
    """Give a name that Kubernetes takes: lower case, digits, '-'.

    >>> _dns("azure.ai.openai/gpt-4o")
    'azure-ai-openai-gpt-4o'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:253]


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
