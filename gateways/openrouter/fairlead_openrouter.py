"""A decision as OpenRouter's request body: the model and provider that were chosen first, then the others by rank.

OpenRouter cannot call out, so its caller asks. It sends `trace` to the destinations of its Broadcast and never to a
provider; `fairlead ingest` finds the decision there, in the generation's record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fairlead.errors import UsageError
from fairlead.serve.bodies import Answer, Endpoints

__all__ = ["Target", "body_of", "targets_of"]

_MOST: Final = 3  # models that OpenRouter takes; one more is answered with 400
_LOGGED: Final = ("decision_id", "request_id", "propensity", "policy_id", "policy_version", "is_exploration")
# How OpenRouter calls a provider, where that is not its name in the log with '-' for '_'.
_SLUGS: Final = {
    "aws.bedrock": "amazon-bedrock",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google-ai-studio",
    "gcp.vertex_ai": "google-vertex",
    "mistral_ai": "mistral",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "x_ai": "xai",
}


class Target(NamedTuple):
    """What OpenRouter is asked for, to reach an endpoint."""

    model: str  # as in openai/gpt-4o
    provider: str  # the slug, as in azure


def targets_of(known: Endpoints) -> dict[str, Target]:
    """Give what to ask OpenRouter for, by endpoint; `Client.endpoints()` and `InProcess.endpoints()` give `known`."""
    return {one.endpoint: Target(one.model, _slug(one.provider)) for one in known.endpoints}


def body_of(
    body: Mapping[str, Any],
    answer: Answer,
    targets: Mapping[str, Target] | None = None,
    *,
    allow_fallbacks: bool = True,
) -> dict[str, Any]:
    """Give the body to send; what the caller wrote into `provider` and `trace` beside ours stays.

    Ask for the decision with `want=("metadata", "ranked")`. An answer that chose nothing gives the body as it is. An
    endpoint that `targets` does not name is read as provider/model; UsageError where it cannot be.

    >>> answer = Answer(id="d", request_id="r", endpoint="azure/openai/gpt-4o", propensity=0.9, policy="intelligent",
    ...                 policy_version="1+ab", kind="policy", is_exploration=False, decided_us=90.0)
    >>> sent = body_of({"messages": []}, answer)
    >>> sent["models"], sent["provider"]
    (['openai/gpt-4o'], {'order': ['azure'], 'allow_fallbacks': True})
    """
    if answer.endpoint is None or answer.kind != "policy":
        return dict(body)
    names = [answer.endpoint, *(one.endpoint for one in answer.ranked or () if one.endpoint != answer.endpoint)]
    found = [(targets or {}).get(name) or _read(name) for name in (names if allow_fallbacks else names[:1])]
    models = list(dict.fromkeys(one.model for one in found))[:_MOST]
    told = {**_own(answer), **(answer.metadata or {})}
    provider = {
        **(body.get("provider") or {}),
        "order": list(dict.fromkeys(one.provider for one in found if one.model in models)),
        "allow_fallbacks": allow_fallbacks,
    }
    trace = {**(body.get("trace") or {}), **{name: told[name] for name in _LOGGED if name in told}}
    kept = {name: value for name, value in body.items() if name != "model"}
    return {**kept, "models": models, "provider": provider, "trace": trace}


def _own(answer: Answer) -> dict[str, Any]:
    return {
        "decision_id": answer.id,
        "request_id": answer.request_id,
        "propensity": answer.propensity,
        "policy_id": answer.policy,
        "policy_version": answer.policy_version,
        "is_exploration": answer.is_exploration,
    }


def _read(name: str) -> Target:
    provider, _, model = name.partition("/")
    if "/" not in model:
        raise UsageError(f"endpoint {name!r}: not provider/author/model; give `targets_of(client.endpoints())`")
    return Target(model, _slug(provider))


def _slug(provider: str) -> str:
    return _SLUGS.get(provider, provider.replace("_", "-"))
