import json

import pytest

from fairlead.cli import main


@pytest.fixture
def said(trained, capsys, monkeypatch):
    """Run a command in the trained project; give its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.chdir(trained[0].root)
        monkeypatch.setattr("sys.argv", ["fairlead", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, capsys.readouterr().out

    return run


def test_watch_says_each_check_and_ends_with_0_when_all_is_quiet(said):
    code, words = said("watch")

    assert code == 0
    assert words.splitlines()[0] == "ok       no anomaly"
    assert "inputs, request features: the " in words
    assert words.splitlines()[-1] == "verdict: ok"


def test_watch_as_json_has_the_verdict_the_checks_and_the_budget(said):
    code, text = said("watch", "--json")
    found = json.loads(text)

    assert code == 0
    assert found["verdict"] == "ok"
    assert found["budget"]["budget_usd"] is None
    assert {check["verdict"] for check in found["drift"]} <= {"ok", "unknown"}


def test_watch_ends_with_1_when_the_budget_runs_out(said, trained, tmp_path, monkeypatch):
    settings = trained[0].root / "pyproject.toml"
    before = settings.read_text()
    settings.write_text(before + "\n[tool.fairlead.budget]\nusd = 0.01\n")
    try:
        code, words = said("watch")
    finally:
        settings.write_text(before)

    assert code == 1
    assert "ALARM    budget: " in words


def test_forecast_prints_one_horizon_or_all_of_them(said):
    _, words = said("forecast", "--horizon", "1h")
    _, text = said("forecast", "--json")

    assert {line.split("1h")[1].split()[0] for line in words.splitlines()} == {"requests", "tokens", "usd"}
    assert {row["horizon"] for row in json.loads(text)} == {"10m", "1h", "24h"}
