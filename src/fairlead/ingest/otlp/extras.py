"""Who called, and the attributes that have no column."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from fairlead.ingest import attributes, litellm, values
from fairlead.ingest.otlp import tokens
from fairlead.ingest.otlp.dialects import first

__all__ = ["decoded", "pack", "parameters", "who"]

_MAPPED: Final = tokens.NAMES | frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "openinference.span.kind gen_ai.operation.name gen_ai.system gen_ai.provider.name gen_ai.request.model"
        " gen_ai.response.model gen_ai.response.id gen_ai.conversation.id session.id user.id enduser.id llm.user"
        " gen_ai.agent.name agent.name gen_ai.prompt.name tag.tags langfuse.trace.tags llm.model_name llm.provider"
        " llm.system gen_ai.request.stream gen_ai.request.max_tokens gen_ai.request.temperature"
        " gen_ai.response.finish_reasons llm.finish_reason gen_ai.response.time_to_first_chunk server.address"
        " openai.response.service_tier gen_ai.openai.response.service_tier error.type error.code error.message"
        " error.stack_trace http.response.status_code http.status_code llm.is_streaming llm.request.type hidden_params"
        " llm.invocation_parameters metadata metadata.spend_logs_metadata metadata.usage_object"
        " metadata.routing_decision gen_ai.usage.cost llm.cost.total gen_ai.cost.total_cost"
    ).split()
)
# Names under which frameworks keep what went in and out, whatever stands before them.
_CONTENT: Final = re.compile(
    r"(^|[._])(inputs?|outputs?|values?|results?|texts?|statement|summary|args|arguments|question|answer)([._]|$)"
    r"|^(fairlead|embedding|retrieval|tool|reranker|db|url|exception|evaluations|annotations)\."
    r"|^(trace|session)\.(annotations|evaluations)\.|^llm\.\w+\.\w+$|^http\.(url|target)$",
    re.IGNORECASE,
)
_FIGURES: Final = re.compile(r"(gen_ai\.(usage|cost)|llm\.(usage|cost|token_count))\.[\w.]+")
_NESTED: Final = ("metadata", "llm.invocation_parameters", "hidden_params")
_USERS: Final = ("user.id", "langfuse.user.id", "traceloop.association.properties.user_id")
_SESSIONS: Final = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)


def who(said: dict[str, Any]) -> dict[str, Any]:
    """Give the columns that say who called, in which conversation, with which tags."""
    end_user = first(said, "enduser.id", "llm.user", "metadata.user_api_key_end_user_id")
    end_user = parameters(said).get("user") if end_user is None else end_user
    return {
        "conversation_id": values.text(first(said, *_SESSIONS)),
        "response_id": values.text(said.get("gen_ai.response.id")),
        "agent_name": values.text(first(said, "gen_ai.agent.name", "agent.name")),
        "prompt_name": values.text(first(said, "gen_ai.prompt.name", "llm.prompt_template.name")),
        "user_id": values.text(first(said, *_USERS, "metadata.user_api_key_user_id")),
        "end_user_id": values.text(end_user),
        "tags": _tags(said),
    }


def pack(said: dict[str, Any]) -> str | None:
    """Give the JSON of the attributes without a column; figures always, text only where it cannot be content."""
    figures = {
        name: value
        for name, value in said.items()
        if name not in _MAPPED and _FIGURES.fullmatch(name) and isinstance(value, (int, float))
    }
    others = {name: value for name, value in said.items() if not _CONTENT.search(name)}
    nested = {name: attributes.keep(part, ()) for name in _NESTED if isinstance(part := decoded(said.get(name)), dict)}
    kept = {name: part for name, part in nested.items() if part}
    return attributes.encode({**attributes.keep(others, _MAPPED), **_within_64_bits(figures), **kept})


def parameters(said: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters of the call, which OpenInference keeps as JSON in text."""
    return litellm.as_dict(decoded(said.get("llm.invocation_parameters")))


def decoded(given: Any) -> Any:
    """Give what JSON in text says, or the text where it is none."""
    if not isinstance(given, str) or given[:1] not in ("[", "{"):
        return given
    try:
        return msgspec.json.decode(given)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return given


def _tags(said: dict[str, Any]) -> dict[str, str] | None:
    given = decoded(first(said, "tag.tags", "langfuse.trace.tags", "metadata.tags", "metadata.request_tags"))
    given = litellm.as_dict(parameters(said).get("metadata")).get("tags") if given is None else given
    return litellm.tags(given) or None


def _within_64_bits(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if isinstance(value, float) or -(2**63) <= value < 2**63}
