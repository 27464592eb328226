"""What a span's attributes say of it: whether it is a model call, and of which dialect.

The OpenTelemetry GenAI conventions changed their names, emitters lag behind or use their own, so each field has
several names; the first that has a value holds.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["CONTEXT", "GENAI", "OPENINFERENCE", "describes_model", "first", "is_call", "of"]

GENAI: Final = "otlp"
OPENINFERENCE: Final = "openinference"

_KIND: Final = "openinference.span.kind"
_CALL_KINDS: Final = frozenset({"LLM", "EMBEDDING"})
_OPERATION: Final = "gen_ai.operation.name"
_MODELS: Final = ("gen_ai.request.model", "gen_ai.response.model")
_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_NO_CALLS: Final = frozenset(
    {
        "execute_tool",
        "invoke_agent",
        "create_agent",
        "invoke_workflow",
        "invoke_task",
        "retrieval",
        "retrieve",
        "plan",
        "create_memory_store",
        "delete_memory_store",
        "search_memory",
        "create_memory",
        "update_memory",
        "upsert_memory",
        "delete_memory",
    }
)
# What a span lends to the calls within it.
CONTEXT: Final = frozenset(
    {
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "user.id",
        "enduser.id",
        "langfuse.user.id",
        "traceloop.association.properties.user_id",
        "gen_ai.agent.name",
        "agent.name",
        "gen_ai.prompt.name",
        "llm.prompt_template.name",
        "tag.tags",
        "langfuse.trace.tags",
        "metadata",
    }
)


def of(attributes: dict[str, Any], scope: str) -> str:
    """Give the dialect of a span."""
    return OPENINFERENCE if _KIND in attributes or scope.startswith("openinference.") else GENAI


def is_call(attributes: dict[str, Any]) -> bool:
    """Say whether a span is one call of a model."""
    kind = attributes.get(_KIND)
    if kind is not None:
        return str(kind).upper() in _CALL_KINDS
    operation = str(attributes.get(_OPERATION))
    if operation in _NO_CALLS or "gen_ai.evaluation.name" in attributes:
        return False
    return operation in _CALLS or any(attributes.get(name) for name in _MODELS)


def describes_model(attributes: dict[str, Any]) -> bool:
    """Say whether a span speaks of models at all: a tool or an agent does, an HTTP client does not."""
    return _KIND in attributes or _OPERATION in attributes


def first(attributes: dict[str, Any], *names: str) -> Any:
    """Give the first value that is there and not empty."""
    for name in names:
        found = attributes.get(name)
        if found is not None and found != "":
            return found
    return None
