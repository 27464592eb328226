"""LiteLLM itself, in the environment that FAIRLEAD_LITELLM names, with mocked providers."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fairlead import ingest, store

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def logged(python_of, brain, faults):
    """Give what LiteLLM logged and how long calls took, by where fairlead was."""
    python = python_of("FAIRLEAD_LITELLM")
    good = {"url": brain.url, "key": brain.key, "timeout_ms": 2000}  # a busy machine is no fault of the plug-in
    places = {
        "server": {"advice": good, "calls": 24},
        "process": {"advice": {"snapshot": str(brain.snapshot)}, "calls": 24},
        "failing": {"advice": {"snapshot": str(brain.snapshot)}, "calls": 3, "failing": True},
        "strangers": {"advice": good, "calls": 3, "strangers": True},
        "wrong key": {"advice": {"url": brain.url, "key": "rk_other"}, "calls": 5},
        **{name: {"advice": {"url": url}, "calls": 5} for name, url in faults.items()},
    }
    done = subprocess.run(
        [python, HERE / "litellm_calls.py"],
        input=json.dumps(places),
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _told(record):
    return record["metadata"]["spend_logs_metadata"]


@pytest.mark.parametrize("place", ["server", "process"])
def test_the_deployment_that_fairlead_chose_is_called_and_the_decision_is_in_litellms_log(logged, place):
    records = logged[place]["records"]

    chosen = [(one["model_id"], _told(one)["propensity"], _told(one)["policy_version"]) for one in records]
    shares = {"openai/gpt-4o-mini": 0.5, "openai/gpt-4o": 0.3, "anthropic/claude-haiku-4-5": 0.2}
    assert len(records) == 24
    assert [(name, round(share, 12)) for name, share, _ in chosen] == [(name, shares[name]) for name, _, _ in chosen]
    assert {version.partition("+")[0] for _, _, version in chosen} == {"3"}
    assert len({_told(one)["decision_id"] for one in records}) == 24
    assert sorted(_told(one)["mine"] for one in records) == list(range(24))


def test_what_the_server_decided_comes_back_whole_through_ingest(logged, brain, decisions, project, tmp_path):
    made = decisions(brain.spool)
    log = tmp_path / "litellm.jsonl"
    log.write_text("".join(json.dumps(one) + "\n" for one in logged["server"]["records"]))

    ingest.load(project, [log])

    with store.open_lake(project.lake).connect() as con:
        found = con.sql("select decision_id, endpoint, propensity, policy_id from attempts").fetchall()
    ids = {row[0] for row in found}
    assert len(found) == len(ids) == 24
    expected = {
        (name, one["endpoint"], one["propensity"], one["policy_id"]) for name, one in made.items() if name in ids
    }
    assert set(found) == expected


def test_every_retry_is_a_decision_of_its_own_and_live_state_is_told_of_failures(logged):
    records = logged["failing"]["records"]

    requests = Counter(_told(one)["request_id"] for one in records)
    assert {one["status"] for one in records} == {"failure"}
    assert len(requests) == 3
    assert min(requests.values()) == 2
    assert len({_told(one)["decision_id"] for one in records}) == len(records)
    assert max(share for _, _, share in logged["failing"]["live"]) > 0


@pytest.mark.parametrize("place", ["down", "hung", "401", "503", "garbage", "elsewhere", "wrong key", "strangers"])
def test_without_a_decision_litellm_chooses_alone_and_nothing_false_is_logged(logged, place):
    found = logged[place]

    assert [one["status"] for one in found["records"]] == ["success"] * len(found["took"])
    assert [sorted(_told(one)) for one in found["records"]] == [["mine", "request_id"]] * len(found["took"])


def test_a_hung_server_costs_three_calls_and_then_nothing(logged):
    took = logged["hung"]["took"]

    assert max(took) < 1.0  # it hangs for 2 seconds
    assert sum(took[3:]) < sum(took[:3])


@pytest.mark.study
def test_through_the_proxy_every_decision_comes_back_and_no_call_fails(python_of):
    command = [sys.executable, ROOT / "benchmarks" / "gateway_litellm.py", "--requests", "100", "--json"]
    command += ["--litellm", python_of("FAIRLEAD_LITELLM"), "--rate", "40"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    here, there = found["in process"], found["server"]
    assert here["attempts"] == here["decisions"] == here["with the share of the endpoint called"] == found["sent"]
    assert there["attempts"] == found["sent"]
    assert there["decisions"] == there["equal to what the server recorded"]
    assert there["decisions"] > 0.5 * found["sent"]  # the others were not in time, and say so
