"""What the logs of gateways have in common: bodies, the callers' metadata, paths, hosts, a cost of 0.

>>> operation("https://api.openai.com/v1/chat/completions?x=1"), operation("/v1/embeddings"), operation("/health")
('chat', 'embeddings', None)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from fairlead.ingest import attributes, litellm, prompts, rows, usage, values
from fairlead.ingest.context import Context
from fairlead.ingest.prompts import Prompt
from fairlead.ingest.quarantine import OUT_OF_RANGE, BadRecordError
from fairlead.scoring.offer import Offer, offered

__all__ = [
    "Asked",
    "asked",
    "attempt",
    "caller",
    "flag",
    "host",
    "model_of",
    "operation",
    "parsed",
    "reported",
    "scaled",
    "seconds",
    "usage_of",
]

_OPERATIONS: Final = (  # the first that is found in a path holds
    ("chat/completions", "chat"),
    ("embeddings", "embeddings"),
    ("completions", "text_completion"),
    ("messages", "chat"),
    ("responses", "chat"),
    ("generatecontent", "chat"),
    ("converse", "chat"),
    ("v1/chat", "chat"),
)
_QUERY: Final = re.compile(r"[?#].*", re.DOTALL)
# What callers call who and what they are, in the metadata that they send along.
_COLUMNS: Final = {
    "user_id": ("user_id", "_user", "user"),
    "end_user_id": ("end_user_id", "end_user"),
    "team_id": ("team_id", "team"),
    "environment": ("environment", "_environment", "env"),
    "conversation_id": ("conversation_id", "session_id"),
}
_DECISION: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "request_id decision_id policy_id policy_version propensity is_exploration candidates experiment_id variant"
        " decision_cause"
    ).split()
)
_HITS: Final = frozenset({"hit", "semantic_hit"})
_MOST: Final = 2**62
_MOST_COUNTED: Final = 1_000_000_000
_MOST_TOKENS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Asked(NamedTuple):
    """What the body of a call says of what was asked."""

    prompt: Prompt | None = None
    offer: Offer = Offer()
    columns: Mapping[str, Any] = MappingProxyType({})


def parsed(value: Any) -> dict[str, Any]:
    """Give an object that stands as it is or as JSON in text; an empty one for anything else.

    For what may be cut off or replaced by a note, as bodies are; a field that has to be JSON is read by values.jsoned.
    """
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = msgspec.json.decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return {}
    return litellm.as_dict(value)


def asked(body: Any, messages: Any = None) -> Asked:
    """Read the body of a call in OpenAI's or Anthropic's manner; nothing of its text is in the columns."""
    said = parsed(body)
    stream = said.get("stream")
    most = next((said[name] for name in _MOST_TOKENS if name in said), None)
    warm: Any = said.get("temperature")
    columns = {
        "request_stream": stream if isinstance(stream, bool) else None,
        "request_max_tokens": most if type(most) is int and 0 < most <= _MOST_COUNTED else None,
        "request_temperature": float(warm) if type(warm) in (int, float) and abs(warm) <= 100 else None,
    }
    prompt = prompts.read(messages or said.get("messages") or said.get("prompt") or said.get("input"))
    return Asked(prompt, offered(said), columns)


def usage_of(body: Any) -> dict[str, Any]:
    """Read the token counts of a response's body, in whichever dialect it is; an empty object where it has none."""
    said = parsed(body)
    if isinstance(said.get("usageMetadata"), dict):
        return usage.gemini(said["usageMetadata"])
    counts = litellm.as_dict(said.get("usage"))
    if "inputTokens" in counts:
        return usage.bedrock(counts)
    if "prompt_tokens" in counts or "input_tokens_details" in counts:
        return usage.openai(counts)
    return usage.anthropic(counts) if "input_tokens" in counts else {}


def caller(metadata: dict[str, Any]) -> dict[str, Any]:
    """Give what callers say of themselves, and the decision that they echo; the rest becomes tags."""
    known = {names: metadata[names] for names in metadata if names in _DECISION}
    found = {column: _first(metadata, names) for column, names in _COLUMNS.items()}
    explored = known.get("is_exploration")
    if isinstance(explored, str):
        known["is_exploration"] = {"true": True, "false": False}.get(explored.lower(), explored)
    kept = attributes.keep(metadata, _DECISION)
    tags = {name: _tag(value) for name, value in kept.items() if not isinstance(value, (dict, list))}
    return {
        **{name: value for name, value in found.items() if value is not None},
        **{name: value for name, value in litellm.decision(known, {}).items() if value is not None},
        **({"request_id": values.text(known["request_id"])} if known.get("request_id") else {}),
        "tags": tags or None,
    }


def attempt(source: str, found: dict[str, Any], said: Asked, context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    prompt = said.prompt
    found = {**{name: value for name, value in said.columns.items() if value is not None}, **found}
    if prompt is not None:
        found |= {"prompt_sha256": context.prompt_hash(prompt.text), "input_chars": len(prompt.text)}
    if not all(0 <= count <= _MOST_COUNTED for count in (found.get("usage_details") or {}).values()):
        raise BadRecordError(OUT_OF_RANGE, "usage_details")
    made = rows.attempt(source, found, context)
    yield made
    route = (made.tags or {}).get("route") or made.request_model
    features = prompts.features(made, prompt, context, route=route, offer=said.offer)
    if features is not None:
        yield features


def reported(amount: Decimal | None, found: dict[str, Any]) -> Decimal | None:
    """Give a reported cost, and None for the 0 that stands for a model without a price."""
    paid = found["status"] == "ok" and found.get("gateway_cache_status") not in _HITS
    return None if not amount and paid else amount


def seconds(value: Any, name: str, *, zero: bool = False) -> float | None:
    """Give milliseconds as seconds; -1, and 0 unless `zero` can be meant, stand for unknown."""
    found = values.number(value, name)
    if found is None or found == -1 or (found == 0 and not zero):
        return None
    if found < 0:
        raise BadRecordError(OUT_OF_RANGE, f"{name}: negative")
    return found / 1000


def scaled(value: Any, name: str, factor: str) -> Decimal | None:
    """Give dollars from an amount in another unit: `factor` is what one of it is worth."""
    number = values.number(value, name)
    if number is None:
        return None
    if abs(number) >= _MOST:
        raise BadRecordError(OUT_OF_RANGE, name)
    return values.usd(Decimal(str(value)) * Decimal(factor), name)


def flag(value: Any) -> bool | None:
    """Give a boolean that may be written as 1, "1", "true" or "TRUE"; None for anything else."""
    return {"1": True, "true": True, "0": False, "false": False}.get(str(value).strip().lower())


def operation(path: Any) -> str | None:
    """Give the operation that a path or an address stands for."""
    if not isinstance(path, str):
        return None
    plain = _QUERY.sub("", path).lower()
    return next((name for part, name in _OPERATIONS if part in plain), None)


def host(address: Any) -> str | None:
    """Give the host of an address; None where there is none."""
    if not isinstance(address, str) or not address:
        return None
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname
    except ValueError:
        return None


def model_of(value: Any) -> str | None:
    """Give the name of a model; None for an empty one and for the words that stand for none."""
    name = values.text(value)
    return None if name in ("-", "null", "unknown", "UNSPECIFIED") else name


def _first(metadata: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((values.text(metadata[name]) for name in names if metadata.get(name) not in (None, "")), None)


def _tag(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
