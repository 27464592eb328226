import doctest
import importlib.util
import json
from pathlib import Path

import pytest
from msgspec import structs

from fairlead import Request, Router, ingest, store
from fairlead.errors import UsageError
from fairlead.scoring.builtin import builtin
from fairlead.serve import InProcess
from fairlead.serve.bodies import Ask, Endpoints, State

PATH = Path(__file__).parents[2] / "gateways" / "openrouter" / "fairlead_openrouter.py"
NAMES = ("e-1", "e-2", "openai/openai/gpt-4o", "mistral_ai/mistralai/mistral-large", "x_ai/x-ai/grok-4")


@pytest.fixture(scope="module")
def plugin():
    spec = importlib.util.spec_from_file_location("fairlead_openrouter", PATH)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def decider():
    plain = builtin(NAMES)
    weights = dict(zip(NAMES, (16.0, 8.0, 4.0, 2.0, 1.0), strict=True))
    return InProcess(
        Router(structs.replace(plain, manifest=structs.replace(plain.manifest, parameters={"weights": weights})))
    )


@pytest.fixture(scope="module")
def targets(plugin, decider):
    """Give targets where the log knows two endpoints by OpenRouter's ids of them."""
    told = {
        "e-1": ("aws.bedrock", "anthropic/claude-haiku-4.5"),
        "e-2": ("gcp.vertex_ai", "anthropic/claude-haiku-4.5"),
    }
    states = [
        structs.replace(one, provider=told[one.endpoint][0], model=told[one.endpoint][1])
        if one.endpoint in told
        else structs.replace(one, model=one.endpoint.partition("/")[2])
        for one in decider.endpoints().endpoints
    ]
    assert all(isinstance(one, State) for one in states)
    return plugin.targets_of(Endpoints(endpoints=states))


def test_the_chosen_endpoint_comes_first_and_the_others_follow_by_rank(plugin, decider, targets):
    answers = [decider.decide(Ask(id=f"r-{number}", want=("metadata", "ranked"))) for number in range(40)]
    answer = next(one for one in answers if one.endpoint == "e-2")
    asked = {"model": "auto", "messages": [], "provider": {"zdr": True}, "trace": {"trace_name": "mine"}, "user": "u"}

    sent = plugin.body_of(asked, answer, targets)

    assert sent == {
        "messages": [],
        "user": "u",
        "models": ["anthropic/claude-haiku-4.5", "openai/gpt-4o", "mistralai/mistral-large"],  # and no fourth
        "provider": {
            "zdr": True,
            "order": ["google-vertex", "amazon-bedrock", "openai", "mistral"],
            "allow_fallbacks": True,
        },
        "trace": {
            "trace_name": "mine",
            "decision_id": answer.id,
            "request_id": answer.request_id,
            "propensity": answer.propensity,
            "policy_id": "weighted",
            "policy_version": answer.policy_version,
            "is_exploration": True,
        },
    }


def test_without_fallbacks_only_the_chosen_endpoint_is_asked_for(plugin, decider, targets):
    answer = decider.decide(Ask(id="r-1", want=("ranked",)))

    sent = plugin.body_of({"messages": []}, answer, targets, allow_fallbacks=False)

    assert sent["models"] == [targets[answer.endpoint].model]
    assert sent["provider"] == {"order": [targets[answer.endpoint].provider], "allow_fallbacks": False}


def test_an_answer_that_chose_nothing_changes_nothing(plugin, decider):
    asked = {"model": "openrouter/auto", "messages": []}
    nothing = decider.decide(Ask(endpoints=("nobody/knows",)))

    assert plugin.body_of(asked, nothing) == asked


def test_an_endpoint_that_cannot_be_asked_for_is_named(plugin, decider):
    answer = decider.decide(Request(id="r-1", endpoints=("e-1",)))

    with pytest.raises(UsageError, match=r"endpoint 'e-1': not provider/author/model; give `targets_of"):
        plugin.body_of({}, answer)


def test_the_decision_comes_back_from_openrouters_record_of_the_generation(plugin, decider, targets, project, tmp_path):
    answers = [decider.decide(Ask(id=f"g-{number}", want=("metadata", "ranked"))) for number in range(20)]
    bodies = [plugin.body_of({"messages": []}, answer, targets) for answer in answers]
    records = [
        {
            "id": f"gen-{number}", "created_at": "2026-01-01T00:00:00Z", "total_cost": 0.001, "latency": 900,
            "native_tokens_prompt": 9, "model": sent["models"][0], "trace": sent["trace"],
            "provider_name": {"amazon-bedrock": "Amazon Bedrock"}.get(sent["provider"]["order"][0], "OpenAI"),
        }
        for number, sent in enumerate(bodies)
    ]  # fmt: skip
    log = tmp_path / "openrouter.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records))

    ingest.load(project, [log])

    with store.open_lake(project.lake).connect() as con:
        found = con.sql("select decision_id, propensity, request_id from attempts").fetchall()
    assert len(found) == 20
    assert set(found) == {(one.id, one.propensity, one.request_id) for one in answers}


def test_its_example_runs(plugin):
    assert doctest.testmod(plugin).failed == 0
