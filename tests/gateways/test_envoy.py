"""The external processor over gRPC, in the environment FAIRLEAD_ENVOY names. No Envoy runs here: a client speaks."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from fairlead import ingest, store

HERE = Path(__file__).parent
SHARES = {"openai/gpt-4o-mini": 0.5, "openai/gpt-4o": 0.3, "anthropic/claude-haiku-4-5": 0.2}
CHAT = {"model": "auto", "messages": [{"role": "user", "content": "Is 7 prime?"}], "stream": False}
FORGED = {"x-fairlead-decision-id": "made-up", "x-fairlead-propensity": "1"}


@pytest.fixture
def processor(python_of, running, request, free_port, until_open):
    """Start the processor with settings of the environment; give what sends it calls."""
    python = python_of("FAIRLEAD_ENVOY")

    def start(**settings):
        program = request.config.rootpath / "gateways" / "envoy" / "fairlead_envoy.py"
        running(python, program, "--listen", f"127.0.0.1:{free_port}", **settings)
        until_open(free_port)

        def send(calls):
            said = json.dumps({"address": f"127.0.0.1:{free_port}", "calls": calls})
            command = [python, HERE / "envoy_calls.py"]
            done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=60, env=os.environ)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        return send

    return start


def _call(number, body=CHAT, status="200", **headers):
    return [
        ["request_headers", {":path": "/v1/chat/completions", "x-request-id": f"r-{number}", **headers}],
        ["request_body", json.dumps(body) if isinstance(body, dict) else body],
        ["response_headers", {":status": status, "content-type": "application/json"}],
    ]


def _set(answer):
    headers = answer["requestBody"]["response"]["headerMutation"]["setHeaders"]
    return {one["header"]["key"]: base64.b64decode(one["header"]["rawValue"]).decode() for one in headers}


def test_the_header_that_routes_match_is_set_and_the_body_follows_it(processor, brain):
    send = processor(FAIRLEAD_URL=brain.url, FAIRLEAD_KEY=brain.key, FAIRLEAD_TIMEOUT_MS="2000")

    answers = send([_call(number, **{"x-fairlead-route": "maths"}, **FORGED) for number in range(12)])

    for first, body, last in answers:
        headers, common = _set(body), body["requestBody"]["response"]
        endpoint = headers["x-fairlead-model"]
        assert "x-fairlead-decision-id" in first["requestHeaders"]["response"]["headerMutation"]["removeHeaders"]
        assert headers["x-ai-eg-model"] == endpoint.partition("/")[2]
        assert float(headers["x-fairlead-propensity"]) == pytest.approx(SHARES[endpoint], abs=1e-12)
        assert common["clearRouteCache"] is True
        sent = json.loads(base64.b64decode(common["bodyMutation"]["body"]))
        assert sent == {**CHAT, "model": headers["x-ai-eg-model"]}
        assert body["dynamicMetadata"]["io.fairlead"]["decision_id"] == headers["x-fairlead-decision-id"]
        assert body["dynamicMetadata"]["io.fairlead"]["endpoint"] == endpoint
        assert last == {"responseHeaders": {}}


def test_the_decision_comes_back_from_envoys_access_log(processor, brain, decisions, project, tmp_path):
    send = processor(FAIRLEAD_URL=brain.url, FAIRLEAD_KEY=brain.key, FAIRLEAD_TIMEOUT_MS="2000")
    answers = send([_call(f"log-{number}") for number in range(12)])
    log = tmp_path / "access.jsonl"
    lines = [  # as the README's format has it
        {
            "start_time": "2026-01-02T03:04:05.000Z", "duration": 800, "response_code": 200, "response_flags": "-",
            "x-request-id": f"r-log-{number}", "gen_ai.request.model": "auto", "gen_ai.provider.name": "openai",
            "gen_ai.response.model": headers["x-ai-eg-model"],
            **{name: value for name, value in headers.items() if name.startswith("x-fairlead-")},
        }
        for number, headers in enumerate(_set(body) for _, body, _ in answers)
    ]  # fmt: skip
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))

    ingest.load(project, [log])

    made = {one["request_id"]: one for one in decisions(brain.spool).values()}
    with store.open_lake(project.lake).connect() as con:
        found = con.sql("select request_id, decision_id, propensity, policy_version from attempts").fetchall()
    assert len(found) == 12
    assert set(found) == {
        (name, made[name]["decision_id"], made[name]["propensity"], made[name]["policy_version"])
        for name in (f"r-log-{number}" for number in range(12))
    }


def test_the_processor_decides_in_process_and_lets_through_what_does_not_ask(processor, brain):
    send = processor(FAIRLEAD_SNAPSHOT=str(brain.snapshot), FAIRLEAD_MODELS='{"openai/gpt-4o": "big"}')

    chosen, named, broken = send([_call("a"), _call("b", {**CHAT, "model": "gpt-4o"}), _call("c", "{no json")])

    name = _set(chosen[1])["x-fairlead-model"]
    assert _set(chosen[1])["x-ai-eg-model"] == ("big" if name == "openai/gpt-4o" else name.partition("/")[2])
    assert named[1:] == broken[1:] == [{"requestBody": {}}, {"responseHeaders": {}}]


@pytest.mark.parametrize("how", ["down", "hung", "401", "503", "garbage"])
def test_without_a_decision_envoy_goes_on_with_the_request_as_it_is(processor, faults, how):
    send = processor(FAIRLEAD_URL=faults[how])

    answers = send([_call(number) for number in range(4)])

    assert [answer[1:] for answer in answers] == [[{"requestBody": {}}, {"responseHeaders": {}}]] * 4
