"""What a simulation replays: requests, the endpoints that could answer them, and what each would have answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Endpoint", "Floats", "Integers", "World", "guess_provider", "list_cost"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The first part of a model's name that is found says who serves it, under LiteLLM's provider names.
_PROVIDERS: Final = (
    ("gpt", "openai"),
    ("o1-", "openai"),
    ("o3-", "openai"),
    ("o4-", "openai"),
    ("claude", "anthropic"),
    ("gemini", "gemini"),
    ("deepseek", "deepseek"),
    ("mixtral", "mistral"),
    ("mistral", "mistral"),
    ("mathstral", "mistral"),
    ("codestral", "mistral"),
    ("ministral", "mistral"),
    ("qwen", "dashscope"),
    ("command-", "cohere"),
    ("grok", "xai"),
    ("jamba", "ai21"),
    ("nemotron", "nvidia_nim"),
    ("snowflake", "snowflake"),
    ("dbrx", "databricks"),
    ("firefunction", "fireworks_ai"),
    ("llama", "together_ai"),
    ("gemma", "together_ai"),
    ("athene", "together_ai"),
)
# Median seconds to the first token and tokens a second by provider: facts from thefastest.ai's daily benchmark,
# 2024-04-15 to 2024-05-03 (MIT), without its tps = 999 sentinel. Google's and Groq's rates there are of 20 tokens sent
# in one or two chunks, so gemini's is lowered. The last row stands for everybody who was not measured.
_SPEEDS: Final = {
    "openai": (0.57, 40.0),
    "anthropic": (0.67, 68.0),
    "gemini": (1.10, 150.0),
    "together_ai": (0.31, 89.0),
    "fireworks_ai": (0.24, 206.0),
    "cohere": (0.19, 77.0),
    "databricks": (0.37, 85.0),
    "mistral": (0.79, 80.0),
    "groq": (0.25, 437.0),
    "": (0.46, 57.0),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model at a provider, its contract price in USD per million tokens, and its usual speed."""

    name: str
    provider: str
    model: str
    input_usd: float | None = None
    output_usd: float | None = None
    ttft_s: float = 0.46
    tokens_per_s: float = 57.0
    context_window: int | None = None
    max_output_tokens: int | None = None
    matrix_model: str | None = None

    @property
    def priced(self) -> bool:
        """Whether a contract price is known."""
        return self.input_usd is not None and self.output_usd is not None

    @classmethod
    def of(cls, model: str) -> Endpoint:
        """Name the endpoint behind a matrix's model, taking the provider from after an @ or from the name."""
        bare, at, host = model.partition("@")
        provider = host if at else guess_provider(model)
        ttft_s, tokens_per_s = _SPEEDS.get(provider, _SPEEDS[""])
        return cls(
            name=f"{provider}/{bare}",
            provider=provider,
            model=bare,
            ttft_s=ttft_s,
            tokens_per_s=tokens_per_s,
            matrix_model=model,
        )


@dataclass(frozen=True, slots=True)
class World:
    """All outcomes of all endpoints on all requests: rows are requests, columns are endpoints, NaN is not known."""

    source: str
    endpoints: tuple[Endpoint, ...]
    dataset: list[str]
    prompt: list[str]
    quality: Floats
    expected: Floats | None  # the probability behind `quality`, where the world knows it
    tokens_in: Integers
    tokens_out: Integers
    cost_usd: Floats
    duration_s: Floats
    notes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prompt)

    def take(self, rows: Integers) -> World:
        """Keep these requests, in this order."""
        return replace(
            self,
            dataset=[self.dataset[row] for row in rows],
            prompt=[self.prompt[row] for row in rows],
            quality=self.quality[rows],
            expected=None if self.expected is None else self.expected[rows],
            tokens_in=self.tokens_in[rows],
            tokens_out=self.tokens_out[rows],
            cost_usd=self.cost_usd[rows],
            duration_s=self.duration_s[rows],
        )


def guess_provider(model: str) -> str:
    """Guess who serves a model from its name; `self_hosted` when the name tells nothing.

    >>> guess_provider("gpt-4o-mini"), guess_provider("Yi-1.5-9B-Chat")
    ('openai', 'self_hosted')
    """
    low = model.lower()
    return next((provider for part, provider in _PROVIDERS if part in low), "self_hosted")


def list_cost(endpoint: Endpoint, tokens_in: Integers, tokens_out: Integers) -> Floats:
    """Give tokens x contract price in USD, to the twelve places that a cost is kept with; NaN when unpriced."""
    if endpoint.input_usd is None or endpoint.output_usd is None:
        return np.full(tokens_in.shape, np.nan)
    usd = (tokens_in * endpoint.input_usd + tokens_out * endpoint.output_usd) / 1e6
    return np.asarray(np.round(usd, 12), dtype=np.float64)
