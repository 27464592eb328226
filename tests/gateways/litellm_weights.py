"""Calls through LiteLLM's Router on a config that `fairlead weights litellm` wrote; run by LiteLLM's Python.

CONFIG LOG CALLS: draws with a fixed seed, and writes what LiteLLM logs, one JSON line a call.
"""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
import yaml
from litellm import Router
from litellm.integrations.custom_logger import CustomLogger

config, log, calls = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])


class Log(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        with log.open("a") as out:
            out.write(json.dumps(kwargs["standard_logging_object"], default=str) + "\n")


async def main():
    told = yaml.safe_load(config.read_text())
    for one in told["model_list"]:
        one["litellm_params"] |= {"mock_response": "Yes.", "api_key": "none"}
    litellm.callbacks = [Log()]
    router = Router(model_list=told["model_list"], **told["router_settings"])
    random.seed(0)
    for number in range(calls):
        await router.acompletion("chat", messages=[{"role": "user", "content": f"What is {number}?"}])
    for _ in range(200):
        if log.exists() and len(log.read_bytes().splitlines()) == calls:
            return
        await asyncio.sleep(0.1)


asyncio.run(main())
