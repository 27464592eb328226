"""Makes a log like LiteLLM's: rows of its table LiteLLM_SpendLogs as JSON lines, about 1.6 kB each.

    python benchmarks/spend_logs.py OUT.jsonl [--rows 1000000] [--days 30] [--seed 0] [--clean]

Fields, order and spelling are those of a row of LiteLLM 1.106, less some keys of its metadata that are null in most
rows; prompts are not stored, as is LiteLLM's default. Of the rows 2 % come twice, 0.5 % are failed calls, and in 2 %
the gateway billed cached tokens in full. 0.2 % of the lines cannot be read; with --clean none.
"""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

MODELS = (  # provider, model, USD per token: input, output, cached input
    ("openai", "gpt-4o-mini", 1.5e-07, 6e-07, 7.5e-08),
    ("openai", "gpt-4o", 2.5e-06, 1e-05, 1.25e-06),
    ("openai", "gpt-4.1", 2e-06, 8e-06, 5e-07),
    ("anthropic", "claude-haiku-4-5", 1e-06, 5e-06, 1e-07),
    ("anthropic", "claude-sonnet-4-5", 3e-06, 1.5e-05, 3e-07),
    ("groq", "llama-3.3-70b-versatile", 5.9e-07, 7.9e-07, 5.9e-07),
)
POISON = (
    lambda line: line[:700],
    lambda line: line.replace('"prompt_tokens": ', '"prompt_tokens": -'),
    lambda line: line.replace('"spend": ', '"spend": NaN, "x": '),
    lambda line: line.replace('"request_id"', '"nothing"'),
    lambda line: f"[{line}]",
    lambda line: line.replace('"startTime": "2', '"startTime": "x2'),
)
PIECE = 50_000
FAILED = {"error_information": {"error_code": "429", "error_class": "RateLimitError", "llm_provider": "openai"}}


def lines(rows: int, days: int = 30, seed: int = 0, clean: bool = False) -> Iterator[str]:
    """Give the lines in the order of the calls' starts."""
    rng = np.random.default_rng(seed)
    start = datetime(2026, 10, 1, tzinfo=UTC)
    step = timedelta(days=days) / rows
    for first in range(0, rows, PIECE):
        count = min(PIECE, rows - first)
        draws = zip(
            rng.integers(len(MODELS), size=count).tolist(),
            rng.integers(240, size=count).tolist(),
            rng.integers(3, size=count).tolist(),
            np.exp(6 + rng.standard_normal(count)).astype(int).tolist(),
            np.exp(5 + rng.standard_normal(count)).astype(int).tolist(),
            np.exp(0.4 + 0.6 * rng.standard_normal(count)).tolist(),
            rng.random((count, 5)).tolist(),
            [rng.bytes(48) for _ in range(count)],
            strict=True,
        )
        for number, (model, user, route, prompt, completion, took, chances, ids) in enumerate(draws, start=first):
            line = _line(start + number * step, MODELS[model], user, route, prompt, completion, took, chances, ids)
            if not clean and chances[4] < 0.002:
                line = POISON[number % len(POISON)](line)
            yield line
            if chances[3] < 0.02:
                yield line


def _line(began, model, user, route, prompt, completion, took, chances, ids):  # type: ignore[no-untyped-def]
    provider, name, price_in, price_out, price_cached = model
    failed, cached = chances[0] < 0.005, prompt // 2 if chances[1] < 0.3 else 0
    prompt, completion, cached = (0, 0, 0) if failed else (prompt, completion, cached)
    plain = prompt if chances[2] < 0.02 else prompt - cached
    cost_in, cost_out = plain * price_in + (prompt - plain) * price_cached, completion * price_out
    ended = began + timedelta(seconds=took)
    first = began + timedelta(seconds=took / 4) if chances[3] < 0.4 else ended
    own, call, trace = (uuid.UUID(bytes=ids[at : at + 16], version=4) for at in (0, 16, 32))
    team = user % 12
    metadata = {
        "user_api_key_alias": f"key-{team}",
        "user_api_key_team_id": f"team-{team}",
        "user_api_key_user_id": f"user-{user}@corp.example",
        "litellm_call_id": str(call),
        "applied_guardrails": [],
        **(FAILED if failed else {}),
        "usage_object": {
            "completion_tokens": completion,
            "prompt_tokens": prompt,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
        "attempted_retries": 0,
        "attempted_fallbacks": 0,
        "original_model_group": "chat",
        "cost_breakdown": {"input_cost": cost_in, "output_cost": cost_out, "total_cost": cost_in + cost_out},
    }
    return json.dumps(
        {
            "request_id": f"chatcmpl-{own}",
            "call_type": "acompletion",
            "api_key": f"{team:064x}",
            "cache_hit": "False",
            "startTime": began.isoformat(" ", "microseconds"),
            "endTime": ended.isoformat(" ", "microseconds"),
            "completionStartTime": first.isoformat(" ", "microseconds"),
            "model": f"{provider}/{name}",
            "user": f"user-{user}@corp.example",
            "team_id": f"team-{team}",
            "organization_id": "",
            "metadata": json.dumps(metadata),
            "cache_key": "Cache OFF",
            "spend": cost_in + cost_out,
            "total_tokens": prompt + completion,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "request_tags": f'["prod", "route:{("maths", "search", "support")[route]}"]',
            "end_user": "",
            "api_base": "https://api.example.com/v1",
            "model_group": "chat",
            "model_id": f"dep-{name}",
            "custom_llm_provider": provider,
            "messages": "{}",
            "response": "{}",
            "proxy_server_request": "{}",
            "session_id": str(trace),
            "request_duration_ms": round(took * 1000),
            "status": "failure" if failed else "success",
            "litellm_call_id": str(call),
        }
    )


def write(path: Path, rows: int, days: int = 30, seed: int = 0, clean: bool = False) -> None:
    """Write a log of so many calls."""
    with path.open("w") as out:
        out.writelines(line + "\n" for line in lines(rows, days, seed, clean))


def main() -> None:
    """Write a log as the command line asks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--clean", action="store_true")
    given = arguments.parse_args()
    write(given.out, given.rows, given.days, given.seed, given.clean)


if __name__ == "__main__":
    main()
