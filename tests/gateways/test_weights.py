"""The loop of a gateway that cannot ask: `fairlead weights`, LiteLLM's own Router drawing by them, and its log."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs
from scipy import stats
from typer.testing import CliRunner

from fairlead import features, ingest
from fairlead.cli import app
from fairlead.evaluation import simulate
from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT

HERE = Path(__file__).parent
WEIGHTS = {"openai/gpt-4o-mini": 5.0, "openai/gpt-4o": 3.0, "anthropic/claude-haiku-4-5": 1.0}


@pytest.fixture
def ready(project, monkeypatch):
    """Give a project with a log and a published snapshot that sends 5, 3 and 1 of 9 requests to three endpoints."""
    made = simulate.run(project.root / "gateway", requests=400, endpoints=3, seed=0)
    ingest.load(project, [made.log])
    plain = builtin(list(WEIGHTS))
    project.published.mkdir(parents=True)
    manifest = structs.replace(plain.manifest, version=1, parameters={"weights": WEIGHTS})
    structs.replace(plain, manifest=manifest).write(project.published / CURRENT)
    monkeypatch.chdir(project.root)
    return project


def _run(*arguments):
    return CliRunner().invoke(app, ["weights", *map(str, arguments)])


def test_litellm_draws_by_the_weights_and_its_log_gets_its_propensities(ready, python_of, tmp_path):
    python = python_of("FAIRLEAD_LITELLM")
    config, log, calls = tmp_path / "weights.yaml", tmp_path / "litellm.jsonl", 900
    told = json.loads(_run("litellm", "--name", "chat", "--out", config, "--json").stdout)
    command = [python, HERE / "litellm_weights.py", config, log, str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]

    ingest.load(ready, [log])

    shares = told["shares"][""]
    rows = features.join(ready, states=()).rows
    drawn = rows.filter(rows["policy_id"] == "weights").select("endpoint", "propensity", "policy_version").rows()
    counts = Counter(endpoint for endpoint, _, _ in drawn)
    fit = stats.chisquare([counts[name] for name in shares], [share * calls for share in shares.values()])
    assert shares == {"openai/gpt-4o-mini": 0.556, "openai/gpt-4o": 0.333, "anthropic/claude-haiku-4-5": 0.111}
    assert len(drawn) == calls
    assert {(endpoint, share) for endpoint, share, _ in drawn} == set(shares.items())
    assert {version for _, _, version in drawn} == {told["id"]}
    assert fit.pvalue > 1e-3


@pytest.mark.parametrize("gateway", ["litellm", "portkey", "envoy", "mlflow", "kong"])
def test_without_out_the_config_is_printed_and_nothing_is_kept(ready, gateway):
    done = _run(gateway)

    assert (done.exit_code, done.stderr) == (0, "")
    assert "gpt-4o-mini" in done.stdout
    assert not (ready.var / "weights").exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("bifrost",), "no gateway 'bifrost'; there are envoy, kong, litellm, mlflow, portkey"),
        (("litellm", "--by-route"), "litellm weighs all routes alike"),
        (("kong", "--since", "soon"), "--since 'soon' is no moment"),
        (("kong", "--explore", "2"), "explore is 2.0"),
    ],
)
def test_wrong_use_is_named(ready, arguments, fault):
    done = _run(*arguments)

    assert fault in str(done.exception)


def test_what_is_kept_says_what_holds_from_when(ready, tmp_path):
    done = _run(
        "portkey", "--by-route", "--days", 365, "--since", "2026-01-31T12:00", "--out", tmp_path / "portkey.json"
    )

    kept = json.loads(next((ready.var / "weights").glob("*.json")).read_bytes())
    assert done.exit_code == 0
    assert "2026-01-31 12:00:00 UTC" in done.stdout
    assert (kept["id"], kept["since"], kept["name"]) == ("portkey-20260131T120000Z", "2026-01-31T12:00:00Z", None)
    assert all(sum(shares.values()) == pytest.approx(1, abs=1e-12) for shares in kept["shares"].values())
    assert len(kept["shares"]) > 1
