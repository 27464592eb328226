"""A made-up world whose truth is known: routes with difficulties, endpoints with skills, prices and speeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.words import ROUTES, prompts
from fairlead.evaluation.simulate.world import Endpoint, Floats, Integers, World, list_cost

__all__ = ["ENDPOINTS", "make"]


@dataclass(frozen=True, slots=True)
class Skill:
    """How able an endpoint is, in general and where it differs from that; made up, no measurement of the real model."""

    general: float
    routes: dict[str, float]
    verbosity: float = 1.0
    tokenizer: float = 1.0


# Names and prices (USD per million tokens) are facts from LiteLLM's price list (MIT); speeds follow thefastest.ai's
# providers, or are assumed where it has none. Ordered so that the first N of them span cost and skill.
ENDPOINTS: Final = (
    Endpoint("openai/gpt-4o-mini", "openai", "gpt-4o-mini", 0.15, 0.6, 0.57, 60, 128_000, 16_384),
    Endpoint("anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5", 3, 15, 0.95, 62, 200_000, 64_000),
    Endpoint("gemini/gemini-2.5-flash", "gemini", "gemini-2.5-flash", 0.3, 2.5, 0.7, 150, 1_048_576, 65_536),
    Endpoint("anthropic/claude-haiku-4-5", "anthropic", "claude-haiku-4-5", 1, 5, 0.55, 110, 200_000, 64_000),
    Endpoint("deepseek/deepseek-chat", "deepseek", "deepseek-chat", 0.28, 0.42, 1.3, 32, 131_072, 8_192),
    Endpoint("openai/gpt-4.1", "openai", "gpt-4.1", 2, 8, 0.62, 70, 1_047_576, 32_768),
    Endpoint("mistral/mistral-small-latest", "mistral", "mistral-small-latest", 0.15, 0.6, 0.45, 90, 262_144, 262_144),
    Endpoint("gemini/gemini-2.5-flash-lite", "gemini", "gemini-2.5-flash-lite", 0.1, 0.4, 0.4, 220, 1_048_576, 65_536),
)
_SKILLS: Final = {
    "openai/gpt-4o-mini": Skill(0.7, {"extraction": 1.0, "maths": -0.5}),
    "anthropic/claude-sonnet-4-5": Skill(2.1, {"code": 0.6}, verbosity=1.1, tokenizer=1.12),
    "gemini/gemini-2.5-flash": Skill(1.2, {"maths": 0.4, "summarise": 0.8, "code": -0.2}, verbosity=1.2),
    "anthropic/claude-haiku-4-5": Skill(1.5, {"support-chat": 0.5, "agent-tools": 0.5}, tokenizer=1.12),
    "deepseek/deepseek-chat": Skill(1.1, {"code": 0.9, "maths": 0.7, "support-chat": -0.4}, tokenizer=1.05),
    "openai/gpt-4.1": Skill(1.8, {"extraction": 0.3, "agent-tools": 0.3}),
    "mistral/mistral-small-latest": Skill(0.5, {"summarise": 0.5}, verbosity=0.9, tokenizer=1.08),
    "gemini/gemini-2.5-flash-lite": Skill(0.4, {"extraction": 0.3, "code": -0.4}, verbosity=0.9),
}
_TOKENS_A_CHARACTER: Final = 0.25


def make(requests: int, endpoints: Sequence[str] | int, rng: np.random.Generator) -> World:
    """Make `requests` different requests and what each endpoint would have answered."""
    chosen = _choose(endpoints)
    skills = [_SKILLS[one.name] for one in chosen]
    route = rng.choice(len(ROUTES), requests, p=[one.share for one in ROUTES])
    extra = rng.standard_normal(requests)  # how much harder than its route a request is
    texts = prompts(route, extra, rng)
    chance = _chance(route, extra, skills)
    characters = np.array([len(text) for text in texts], dtype=np.float64)[:, None]
    tokens_in = np.rint(characters * _TOKENS_A_CHARACTER * [one.tokenizer for one in skills]).astype(np.int64) + 8
    tokens_out = _answers(route, extra, skills, rng)
    return World(
        source="synthetic",
        endpoints=chosen,
        dataset=[ROUTES[kind].name for kind in route],
        prompt=texts,
        quality=(rng.random(chance.shape) < chance).astype(np.float64),
        expected=chance,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_usd=np.stack([list_cost(one, tokens_in[:, k], tokens_out[:, k]) for k, one in enumerate(chosen)], axis=1),
        duration_s=np.full(chance.shape, np.nan),
    )


def _choose(endpoints: Sequence[str] | int) -> tuple[Endpoint, ...]:
    if isinstance(endpoints, int):
        if not 1 < endpoints <= len(ENDPOINTS):
            raise UsageError(f"the made-up world has {len(ENDPOINTS)} endpoints: choose from 2 to {len(ENDPOINTS)}")
        return ENDPOINTS[:endpoints]
    known = {one.name: one for one in ENDPOINTS}
    for name in endpoints:
        if name not in known:
            raise UsageError(f"no endpoint {name!r} in the made-up world; it has {', '.join(known)}")
    if len(set(endpoints)) < 2:
        raise UsageError("one endpoint leaves nothing to choose between; name two or more")
    return tuple(known[name] for name in dict.fromkeys(endpoints))


def _chance(route: Integers, extra: Floats, skills: Sequence[Skill]) -> Floats:
    ability = np.array([[one.general + one.routes.get(kind.name, 0.0) for one in skills] for kind in ROUTES])
    difficulty = np.array([kind.difficulty for kind in ROUTES])[route] + 0.9 * extra
    return np.asarray(1 / (1 + np.exp(-1.3 * (ability[route] - difficulty[:, None]))), dtype=np.float64)


def _answers(route: Integers, extra: Floats, skills: Sequence[Skill], rng: np.random.Generator) -> Integers:
    usual = np.array([one.answer_tokens for one in ROUTES])[route] * np.exp(0.3 * extra)
    shared = 0.5 * rng.standard_normal(len(route))  # a question that wants a long answer wants it of everyone
    spread = np.exp(shared[:, None] + 0.4 * rng.standard_normal((len(route), len(skills))))
    length: Floats = np.clip(usual[:, None] * [one.verbosity for one in skills] * spread, 1, 4096)
    return length.round().astype(np.int64)
