"""How long LiteLLM's router takes to pick among 24 deployments; `decision.py` runs it in LiteLLM's environment.

    PYTHON_WITH_LITELLM benchmarks/litellm_select.py < prompts.json

Reads a JSON list of prompts; prints one JSON object: microseconds a pick (`Router.select` calls nobody) by strategy.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the network
import litellm
from litellm import Router

STRATEGIES = ("simple-shuffle", "least-busy", "usage-based-routing-v2", "latency-based-routing", "cost-based-routing")
WARM = 100


def deployments() -> list[dict[str, Any]]:
    """Give 24 deployments behind one name, none of which is ever called."""
    models = ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o3-mini")
    return [
        {
            "model_name": "chat",
            "litellm_params": {
                "model": f"openai/{models[number % len(models)]}",
                "api_key": "none",
                "api_base": f"http://127.0.0.1:9/{number}",
                "rpm": 100_000,
                "tpm": 100_000_000,
            },
            "model_info": {"id": f"deployment-{number}"},
        }
        for number in range(24)
    ]


async def picks(strategy: str, prompts: list[str]) -> list[float]:
    """Give the time of each pick in microseconds."""
    router = Router(model_list=deployments(), routing_strategy=strategy)
    took = []
    for number, prompt in enumerate([*prompts[:WARM], *prompts]):
        messages = [{"role": "user", "content": prompt}]
        start = time.perf_counter_ns()
        await router.select("chat", {"metadata": {}}, messages=messages)
        if number >= WARM:
            took.append((time.perf_counter_ns() - start) / 1000)
    return took


async def main() -> None:
    """Time each strategy on the same prompts."""
    prompts = json.load(sys.stdin)
    times = {strategy: await picks(strategy, prompts) for strategy in STRATEGIES}
    print(json.dumps({"version": getattr(litellm, "__version__", "") or _version(), "us": times}))


def _version() -> str:
    from importlib.metadata import version

    return version("litellm")


if __name__ == "__main__":
    asyncio.run(main())
