"""The canonical tables: what one row of each is, in which units, and which values it may hold.

Names follow the OpenTelemetry GenAI conventions with dots flattened; the unit sits in the name (`_s`, `_usd`,
`_tokens`, `_share`); moments are UTC. A field without a default may never be null. The store derives its Arrow
schema from these classes and `msgspec.convert` checks a record against them, so this module is the only place
where a column is declared.

>>> table("attempts").__name__
'Attempt'
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Struct

SCHEMA_VERSION: Final = 3

# Text that identifies one thing (high cardinality), and text that names one of few (dictionary-encoded on disk).
Id = Annotated[str, Meta(min_length=1, max_length=1024)]
Label = Annotated[str, Meta(max_length=512, extra={"dictionary": True})]
Document = Annotated[str, Meta(max_length=4_194_304)]
Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000)]  # of one call
Count = Annotated[int, Meta(ge=0, le=2**62)]  # of a span of time
Small = Annotated[int, Meta(ge=0, le=32_767, extra={"arrow": "int16"})]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Propensity = Annotated[float, Meta(gt=0, le=1)]
Usd = Annotated[Decimal, Meta(extra={"arrow": "decimal128(18, 12)"})]
UsdPerUnit = Annotated[Decimal, Meta(extra={"arrow": "decimal128(24, 15)"})]
Moment = Annotated[datetime, Meta(tz=True)]
Sha256 = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Candidate(Struct, kw_only=True):
    """One endpoint that a decision could have chosen."""

    arm: Id
    propensity: float | None = None
    score: float | None = None
    predicted_cost_usd: float | None = None
    predicted_duration_s: float | None = None
    predicted_quality: float | None = None


class Attempt(Struct, kw_only=True, gc=False):
    """One try of a request at one provider. A request that fails over has several."""

    # which record this is
    event_id: Id
    event_date: date
    source: Label
    source_record_id: Id
    ingested_at: Moment
    source_instance: Label | None = None
    source_updated_at: Moment | None = None
    schema_version: Small = SCHEMA_VERSION
    # which request it belongs to
    request_id: Id
    attempt_index: Small = 0
    attempt_kind: Label | None = None  # first, retry, fallback, hedge, shadow, cache
    is_final: bool | None = None
    trace_id: Id | None = None
    span_id: Id | None = None
    parent_span_id: Id | None = None
    conversation_id: Id | None = None
    response_id: Id | None = None
    # who asked
    environment: Label | None = None
    service_name: Label | None = None
    agent_name: Label | None = None
    prompt_name: Label | None = None
    organization_id: Id | None = None
    team_id: Id | None = None
    project_id: Id | None = None
    user_id: Id | None = None  # keyed hash, never the id itself
    end_user_id: Id | None = None  # keyed hash
    api_key_id: Id | None = None  # a hash or an alias, never the key
    tags: dict[str, str] | None = None
    route: Label | None = None  # the part of an application that asks; null where the tag `route` or the model says it
    # what was asked, and of whom
    operation_name: Label | None = None
    request_model: Label | None = None  # as the caller said it: alias, model group or model
    provider_name: Label
    response_model: Label | None = None
    deployment_id: Label | None = None
    region: Label | None = None
    server_address: Label | None = None
    request_stream: bool | None = None
    request_max_tokens: Tokens | None = None
    request_temperature: float | None = None
    service_tier: Label | None = None
    is_batch: bool | None = None
    # tokens: input includes cache reads and writes, output includes reasoning
    input_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation_input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    reasoning_output_tokens: Tokens | None = None
    usage_details: dict[str, Count] | None = None  # audio, image, video, search counts
    # time
    start_time: Moment
    duration_s: Seconds | None = None
    time_to_first_chunk_s: Seconds | None = None
    upstream_duration_s: Seconds | None = None
    gateway_overhead_s: Seconds | None = None
    # how it ended
    status: Label  # ok, error, cancelled, blocked
    http_status_code: Small | None = None
    error_type: Label | None = None  # as the source says it
    error_class: Label | None = None  # see ERROR_CLASSES
    error_origin: Label | None = None  # provider, gateway, client
    finish_reason: Label | None = None
    gateway_cache_status: Label | None = None  # hit, semantic_hit, miss, disabled
    # money
    cache_saved_cost_usd: Usd | None = None
    reported_cost_usd: Usd | None = None  # null where the source said 0 for a model it has no price for
    list_cost_usd: Usd | None = None  # recomputed from the price in force at start_time
    price_source: Label | None = None
    # the decision behind it
    router_name: Label | None = None
    policy_id: Label | None = None
    policy_version: Label | None = None
    decision_id: Id | None = None
    decision_cause: Label | None = None
    experiment_id: Label | None = None
    variant: Label | None = None
    propensity: Propensity | None = None  # of the endpoint that was chosen
    is_exploration: bool | None = None
    candidates: list[Candidate] | None = None
    # the prompt, without its text
    prompt_sha256: Sha256 | None = None  # keyed
    input_chars: Tokens | None = None
    content_ref: Id | None = None
    attributes: Document | None = None  # JSON of every source field that has no column here


class RequestFeatures(Struct, kw_only=True, gc=False):
    """What was known of a request before the call, taken at the door so that the prompt need not be kept."""

    event_id: Id  # of the attempt it was taken from
    event_date: date
    source: Label
    request_id: Id
    start_time: Moment
    feature_version: Small
    prompt_sha256: Sha256 | None = None  # keyed
    route: Label | None = None  # where no attempt says it: some gateways log the request apart from its attempts
    tools: Small | None = None
    toolset: Label | None = None  # a name for the set of tools, from `scoring.offer`
    response_format: Label | None = None  # text, json_object, json_schema
    images: Small | None = None
    turn: Small | None = None
    text: list[float]  # one float32 for each name in scoring.request.TEXT_FEATURES


class Feedback(Struct, kw_only=True, gc=False):
    """Anything said later about the quality of a request: a thumb, a score, a judge, a test result."""

    feedback_id: Id
    event_date: date
    source: Label
    time: Moment
    ingested_at: Moment
    source_instance: Label | None = None
    source_updated_at: Moment | None = None
    target_kind: Label  # attempt, request, trace, conversation, response
    target_id: Id
    response_id: Id | None = None
    trace_id: Id | None = None
    name: Label
    value_type: Label  # numeric, boolean, categorical, text, preference, demonstration
    score_value: float | None = None
    score_label: Id | None = None
    explanation: Document | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    score_normalized: Share | None = None  # 1 = best
    weight: Annotated[float, Meta(ge=0)] | None = None
    evaluator_kind: Label  # human, llm, code, implicit
    evaluator_id: Id | None = None
    evaluator_model: Label | None = None
    evaluator_cost_usd: Usd | None = None
    other_target_id: Id | None = None  # the other side of a preference
    tags: dict[str, str] | None = None
    attributes: Document | None = None


class Price(Struct, kw_only=True):
    """What one unit of one meter cost at a provider, from when until when."""

    provider_name: Label
    model: Id
    region: Label | None = None
    service_tier: Label = "standard"  # standard, batch, flex, priority
    meter: Label  # input, output, cache_read, cache_creation, cache_creation_1h, reasoning, ...
    unit: Label = "token"
    price_usd_per_unit: UsdPerUnit
    min_input_tokens: Tokens = 0  # lower bound of a long-context step
    utc_time_from: Label | None = None  # HH:MM, for prices that differ by hour
    utc_time_to: Label | None = None
    utc_weekdays: Label | None = None  # "1-5": Monday to Friday
    valid_from: Moment
    valid_to: Moment | None = None
    catalog: Label
    catalog_version: Label
    retrieved_at: Moment


class DecisionRecord(Struct, kw_only=True):
    """One decision as the router made it: what it could choose, with which probability, and why."""

    decision_id: Id
    event_date: date
    source: Label
    time: Moment
    ingested_at: Moment
    request_id: Id
    endpoint: Label
    propensity: Propensity
    policy_id: Label
    policy_version: Label | None = None
    snapshot_version: Label | None = None
    seed: int | None = None
    is_exploration: bool | None = None
    candidates: list[Candidate] | None = None
    reasons: list[str] | None = None
    attributes: Document | None = None


class Usage(Struct, kw_only=True):
    """What a provider says was used in a span of time, to reconcile spend against."""

    usage_id: Id
    event_date: date
    source: Label
    ingested_at: Moment
    bucket_start: Moment
    bucket_end: Moment
    source_instance: Label | None = None
    source_updated_at: Moment | None = None
    provider_name: Label
    model: Label | None = None
    project_id: Id | None = None
    team_id: Id | None = None
    user_id: Id | None = None  # keyed hash
    api_key_id: Id | None = None
    region: Label | None = None
    service_tier: Label | None = None
    is_batch: bool | None = None
    meter: Label | None = None  # the token class that `cost_usd` is of, where the bill says one; else all of them
    line_item: Label | None = None  # as the bill says it
    requests: Count | None = None
    input_tokens: Count | None = None  # includes cache reads and writes, as in the attempts
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens: Count | None = None
    reasoning_output_tokens: Count | None = None
    usage_details: dict[str, Count] | None = None
    cost_usd: Usd | None = None  # null where the bill is in another currency
    attributes: Document | None = None


class Quarantined(Struct, kw_only=True):
    """A line that could not be read, and where to find it again."""

    quarantine_id: Id
    event_date: date  # the day it was met, since the line itself has no trusted time
    source: Label
    ingested_at: Moment
    file: Document
    line: int  # from 1
    byte_offset: int | None = None
    reason: Label
    detail: Document | None = None
    sha256: str


STATUSES: Final = ("ok", "error", "cancelled", "blocked")
ERROR_CLASSES: Final = (
    "rate_limit",
    "timeout",
    "server",
    "auth",
    "invalid_request",
    "context_length",
    "content_filter",
    "budget",
    "network",
    "cancelled",
    "other",
)

TABLES: Final[dict[str, type[Struct]]] = {
    "attempts": Attempt,
    "request_features": RequestFeatures,
    "feedback": Feedback,
    "prices": Price,
    "decisions": DecisionRecord,
    "usage": Usage,
    "quarantine": Quarantined,
}

KEYS: Final[dict[str, str]] = {  # the column by which a record is recognised as already stored
    "attempts": "event_id",
    "request_features": "event_id",
    "feedback": "feedback_id",
    "decisions": "decision_id",
    "usage": "usage_id",
    "quarantine": "quarantine_id",
}


def table(name: str) -> type[Struct]:
    """Give the row type of a canonical table; KeyError when there is none of that name."""
    return TABLES[name]


def record_id(*parts: object) -> str:
    """Give the deduplication key of a record: the first 128 bits of SHA-256 over its parts, as 32 hex digits.

    SHA-256, since the store has SQL for it and need not keep what it can derive.

    >>> record_id("litellm", None, "chatcmpl-1", 0)
    '91bc206e15e4152fdcb5be6e3513f9f2'
    """
    text = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
