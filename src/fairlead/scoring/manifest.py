"""What a snapshot says of itself: the JSON part of the published file."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct, field

__all__ = ["FORMAT", "Column", "Endpoint", "HeadSpec", "Manifest"]

FORMAT: Final = 2  # 1 kept each head's nodes as a LightGBM text does


class Column(Struct, frozen=True):
    """One input of the forests, in their order."""

    name: str
    owner: Literal["request", "endpoint", "state"]
    kind: Literal["number", "category"] = "number"


class Endpoint(Struct, frozen=True, kw_only=True):
    """One endpoint that may be chosen: what a token costs there (USD), and what it can do; null = not known."""

    name: str
    provider_name: str
    model: str
    input_usd: float | None = None
    output_usd: float | None = None
    cache_read_usd: float | None = None
    price_source: str | None = None
    region: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: list[str] | None = None  # tools, vision, audio, pdf, json_schema, reasoning, ...


class HeadSpec(Struct, frozen=True, kw_only=True):
    """How one predicted number is made: `link(table[route, endpoint] (+ forest(x) + offset[endpoint]))`."""

    name: str
    link: Literal["exp", "sigmoid"]
    serve: Literal["forest", "table"]  # "table" where the forest did not beat it
    trees: int = 0


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions, columns, endpoints, heads, policy and lineage of a snapshot."""

    format: int
    version: int  # grows with each publish
    created_at: str
    feature_version: int
    columns: list[Column]
    categories: dict[str, list[str]]
    endpoints: list[Endpoint]
    heads: list[HeadSpec]
    policy: str = "intelligent"
    parameters: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, str] = field(default_factory=dict)
    demand: list[float] = field(default_factory=list)  # share of a day's dollars by hour (UTC); none = not known
