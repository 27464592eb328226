"""Calls through LiteLLM's Router with the callback; run by LiteLLM's Python: FOLDER, and on stdin where fairlead is.

Prints a JSON object: for each place, the records that LiteLLM logged and how long each call took in seconds.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from litellm import Router
from litellm.integrations.custom_logger import CustomLogger

sys.path.insert(0, str(Path(__file__).parents[2] / "gateways" / "litellm"))
from fairlead_litellm import Fairlead

from fairlead.serve.advice import Advice

GROUP = [
    ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
    ("openai/gpt-4o", "openai/gpt-4o"),
    ("anthropic/claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
]


class Log(CustomLogger):
    def __init__(self):
        super().__init__()
        self.records = []

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.records.append(kwargs["standard_logging_object"])

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.records.append(kwargs["standard_logging_object"])


def router(names=GROUP, **more):
    deployments = [
        {
            "model_name": "chat",
            "litellm_params": {"model": model, "api_key": "none", "mock_response": "Yes.", **more},
            "model_info": {"id": own},
        }
        for model, own in names
    ]
    return Router(model_list=deployments, num_retries=1, disable_cooldowns=True)


async def calls(place, plugin, log):
    advice = plugin._advice = Advice(**place["advice"])
    log.records = []
    names = [("openai/gpt-4.1", "elsewhere")] if place.get("strangers") else GROUP
    through = router(names, **({"mock_response": "litellm.InternalServerError"} if place.get("failing") else {}))
    took = []
    for number in range(place["calls"]):
        metadata = {"tags": ["route:maths"], "spend_logs_metadata": {"mine": number}}
        start = time.perf_counter()
        try:
            messages = [{"role": "user", "content": f"What is {number}?"}]
            await through.acompletion("chat", messages=messages, metadata=metadata)
        except litellm.InternalServerError:
            assert place.get("failing")
        took.append(time.perf_counter() - start)
    await asyncio.sleep(1.0)
    live = None
    if "snapshot" in place["advice"]:
        live = [[one.endpoint, one.turns, one.error_share] for one in advice._here.endpoints().endpoints]
    await advice.close()
    return {"records": log.records, "took": took, "live": live}


async def main():
    places = json.load(sys.stdin)
    plugin, log = Fairlead(Advice(url="http://127.0.0.1:9")), Log()
    litellm.callbacks = [plugin, log]  # LiteLLM keeps the first ones it was given
    print(json.dumps({name: await calls(place, plugin, log) for name, place in places.items()}, default=str))


asyncio.run(main())
