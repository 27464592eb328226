"""The webhook by itself, and Portkey's own gateway before it where FAIRLEAD_PORTKEY names its start-server.js."""

import importlib.util
import json
import os
import socket

import httpx
import pytest

from fairlead import ingest, store

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "Is 7 prime?"}], "temperature": 0.5}
HOOK = {
    "request": {"json": CHAT, "text": "Is 7 prime?", "isStreamingRequest": False, "isTransformed": False},
    "response": {"json": {}, "text": "", "statusCode": None, "isTransformed": False},
    "provider": "openai",
    "requestType": "chatComplete",
    "metadata": {"route": "maths", "secret": "never sent on"},
    "eventType": "beforeRequestHook",
}
OPENAI = {"gpt-4o-mini": 0.625, "gpt-4o": 0.375}  # the shares among its models


@pytest.fixture
def webhook(request, running, here, free_port, until_open):
    """Start the webhook as the README says, with settings of the environment; give its address."""

    def start(**settings):
        folder = request.config.rootpath / "gateways" / "portkey"
        path = os.pathsep.join(map(str, (request.config.rootpath / "src", folder)))
        command = (here, "-m", "uvicorn", "fairlead_portkey:app", "--port", free_port, "--log-level", "warning")
        running(*command, PYTHONPATH=path, **settings)
        until_open(free_port)
        return f"http://127.0.0.1:{free_port}/"

    return start


def _post(url, hook, **headers):
    return httpx.post(url, json=hook, headers=headers, timeout=20, trust_env=False)


def test_the_model_is_set_and_the_rest_of_the_body_stays(webhook, brain):
    url = webhook(FAIRLEAD_URL=brain.url, FAIRLEAD_KEY=brain.key, FAIRLEAD_TIMEOUT_MS="2000")

    answers = [_post(url, HOOK).json() for _ in range(5)]

    for answer in answers:
        model = answer["transformedData"]["request"]["json"]["model"]
        assert answer["transformedData"] == {"request": {"json": {**CHAT, "model": model}}}
        assert answer["verdict"] is True
        assert answer["data"]["propensity"] == pytest.approx(OPENAI[model], abs=1e-12)
        assert {one["arm"] for one in answer["data"]["candidates"]} == {"openai/gpt-4o-mini", "openai/gpt-4o"}
    assert len({answer["data"]["decision_id"] for answer in answers}) == 5


def test_hooks_that_are_not_for_it_are_let_through(webhook, brain):
    url = webhook(FAIRLEAD_SNAPSHOT=str(brain.snapshot), FAIRLEAD_WEBHOOK_KEY="hook")
    known = {"authorization": "Bearer hook"}
    others = [
        {**HOOK, "eventType": "afterRequestHook"},
        {**HOOK, "requestType": "embed"},
        {**HOOK, "provider": "mistral-ai"},
        {"what": "is this"},
        ["a list"],
    ]

    assert [_post(url, hook, **known).json() for hook in others] == [{"verdict": True}] * len(others)
    assert [_post(url, HOOK).status_code, _post(url, HOOK, authorization="Bearer other").status_code] == [401, 401]
    assert "transformedData" in _post(url, HOOK, **known).json()


@pytest.mark.parametrize("how", ["down", "hung", "401", "503", "garbage", "elsewhere"])
def test_without_a_decision_the_call_goes_on_as_it_is(how, faults, request):
    import asyncio

    from fairlead.serve.advice import Advice

    module = _module(request)

    async def once():
        advice = Advice(url=faults[how])
        try:
            return await module.Webhook(advice).answer(HOOK)
        finally:
            await advice.close()

    assert asyncio.run(once()) == {"verdict": True}


def _module(request):
    path = request.config.rootpath / "gateways" / "portkey" / "fairlead_portkey.py"
    spec = importlib.util.spec_from_file_location("fairlead_portkey", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_portkeys_gateway_calls_the_model_and_the_decision_comes_back_from_its_log(
    webhook, brain, upstream, running, until_open, project, tmp_path
):
    program = os.environ.get("FAIRLEAD_PORTKEY")
    if not program:
        pytest.skip("set FAIRLEAD_PORTKEY to build/start-server.js of the npm package @portkey-ai/gateway")
    hook = webhook(FAIRLEAD_URL=brain.url, FAIRLEAD_KEY=brain.key, FAIRLEAD_TIMEOUT_MS="2000")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    running("node", program, f"--port={port}", "--headless")
    until_open(port)
    check = {"id": "default.webhook", "parameters": {"webhookURL": hook, "timeout": 3000}}
    config = {
        "provider": "openai",
        "api_key": "none",
        "custom_host": f"{upstream.url}/v1",
        "before_request_hooks": [{"id": "fairlead", "type": "guardrail", "checks": [check]}],
    }
    headers = {"x-portkey-config": json.dumps(config), "x-portkey-metadata": json.dumps({"route": "maths"})}

    answers = [_post(f"http://127.0.0.1:{port}/v1/chat/completions", CHAT, **headers).json() for _ in range(8)]

    log = tmp_path / "portkey.jsonl"  # a row of an export, as far as the open gateway tells: it keeps no log itself
    rows = [
        {
            "id": f"log-{number}", "created_at": "2026-01-02T03:04:05Z", "ai_org": "openai", "req_units": 9,
            "res_units": 2, "response_status_code": 200, "is_success": True, "request": {"body": CHAT},
            "response": {"body": answer},
        }
        for number, answer in enumerate(answers)
    ]  # fmt: skip
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest.load(project, [log])
    with store.open_lake(project.lake).connect() as con:
        found = con.sql("select response_model, propensity, decision_id from attempts order by source_record_id")
        told = found.fetchall()
    called = [body["model"] for body, _ in upstream.asked]
    decided = [one["hook_results"]["before_request_hooks"][0]["checks"][0]["data"]["responseData"] for one in answers]
    assert [row[0] for row in told] == called
    assert [row[1] for row in told] == [pytest.approx(OPENAI[model], abs=1e-12) for model in called]
    assert [row[2] for row in told] == [one["decision_id"] for one in decided]
    assert [body for body, _ in upstream.asked] == [{**CHAT, "model": model} for model in called]
