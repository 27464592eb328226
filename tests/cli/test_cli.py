import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli import main

DATA = Path(__file__).parents[2] / "data"
COMMANDS = [
    *(
        "init",
        "demo",
        "ingest",
        "receive",
        "build",
        "train",
        "publish",
        "judge",
        "decide",
        "report",
        "simulate",
        "bench",
        "prices",
        "models",
    ),
    "reconcile",
]


def in_a_process(*arguments, cwd):
    path = os.pathsep.join(sys.path)  # the engine is found from any folder
    return subprocess.run(
        [sys.executable, "-c", "from fairlead.cli import main; main()", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )


def fairlead(*arguments, cwd, stdin=""):
    """The same in this process: a new one imports for seconds."""
    out, err, typed = io.StringIO(), io.StringIO(), io.TextIOWrapper(io.BytesIO(stdin.encode()))
    command = ["fairlead", *map(str, arguments)]
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", command)
        patch.setattr(sys, "stdin", typed)
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


@pytest.fixture
def started(tmp_path):
    assert fairlead("init", tmp_path / "p", cwd=tmp_path).returncode == 0
    return tmp_path / "p"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, tmp_path):
    done = fairlead(command, "--help", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["ingest"], ["train", "--holdout", "much"], ["bench", "m", "--labels", "x"], ["prices"], ["models"]],
)
def test_wrong_use_ends_with_two(arguments, tmp_path):
    done = fairlead(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["ingest", "x"], ["train"], ["judge"], ["report"], ["decide", "hi"], ["build"]])
def test_outside_a_project_one_line_says_what_to_do(arguments, tmp_path):
    done = fairlead(*arguments, cwd=tmp_path)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "fairlead: no pyproject.toml with a [tool.fairlead] table in this folder or above it; "
        "run `fairlead init` to start a project here\n"
    )


def test_a_process_of_its_own_ends_as_its_result_says(tmp_path):
    wrong, failed, done = (in_a_process(*one, cwd=tmp_path) for one in (["nothing"], ["train"], ["init", "--help"]))

    assert (wrong.returncode, failed.returncode, done.returncode) == (2, 1, 0)
    assert (failed.stdout, failed.stderr.count("\n")) == ("", 1)


def test_a_failure_is_one_line_even_where_the_database_says_more(started):
    path = started / "features" / "wrong.sql"
    path.write_text("-- A row.\n-- grain: event_id\nselect event_id, teem_id from attempts\n")

    done = fairlead("build", cwd=started)

    assert done.returncode == 1
    assert done.stderr.startswith(f"fairlead: {path}: ")
    assert "teem_id" in done.stderr
    assert done.stderr.count("\n") == 1


def test_too_few_rows_and_a_wrong_share_are_said_plainly(started):
    log = started / "few.jsonl"
    log.write_text("".join((DATA / "requests.jsonl").read_text("utf-8").splitlines(keepends=True)[:20]))
    fairlead("ingest", log, cwd=started)

    few, much = fairlead("train", cwd=started), fairlead("train", "--holdout", "2", cwd=started)

    assert few.returncode == 1
    assert few.stderr.startswith("fairlead: input_tokens: ")
    assert few.stderr.endswith(" rows have input_tokens, 50 are needed; ingest more logs\n")
    assert (much.returncode, much.stderr) == (2, "fairlead: holdout must be a share from 0 up to 1, not 2.0\n")


def test_a_project_is_started_once(started):
    again = fairlead("init", cwd=started)

    assert again.returncode == 1
    assert "is already a fairlead project" in again.stderr
    assert sorted(path.name for path in (started / "models").glob("*.toml")) == [
        "anomaly.toml",
        "cost.toml",
        "demand.toml",
        "failure.toml",
        "latency.toml",
        "quality.toml",
    ]


def test_the_sample_log_is_ingested_with_its_sum_and_only_once(started):
    logs = [DATA / "requests.jsonl", DATA / "requests.feedback.jsonl"]
    bad = started / "bad.jsonl"
    bad.write_text("not json\n")

    first = json.loads(fairlead("ingest", *logs, bad, "--json", cwd=started).stdout)
    second = json.loads(fairlead("ingest", *logs, bad, "--json", cwd=started).stdout)

    assert list(first) == ["read", "stored", "duplicates", "quarantined"]
    assert first["read"] == first["stored"] + first["duplicates"] + first["quarantined"]
    assert first["quarantined"] == 1
    assert first["stored"] > 300
    assert second == {"read": first["read"], "stored": 0, "duplicates": first["stored"], "quarantined": 1}


def test_features_build_and_a_report_is_written_from_the_sample(started):
    fairlead("ingest", DATA / "requests.jsonl", DATA / "requests.feedback.jsonl", cwd=started)

    built = json.loads(fairlead("build", "--json", cwd=started).stdout)
    report = fairlead("report", cwd=started)

    assert set(built) == {"request_shape", "endpoint_minute", "endpoint_hour", "endpoint_day"}
    assert report.returncode == 0, report.stderr
    assert Path(report.stdout.strip()).read_text().startswith("<!")


def test_without_a_champion_publishing_says_what_to_run(started):
    done = fairlead("publish", cwd=started)

    assert done.returncode == 1
    assert done.stderr == "fairlead: quality and cost have no champion yet; run `fairlead train`\n"


def test_a_dry_run_says_what_a_goal_would_choose_and_publishes_nothing(trained):
    here, _ = trained
    files = {path: path.stat().st_mtime_ns for path in here.published.iterdir()}

    done = fairlead("publish", "--goal", "budget", "--budget", "1.5", "--dry-run", "--json", cwd=here.root)
    words = fairlead("publish", "--goal", "budget", "--budget", "1.5", "--explore", "20", "--dry-run", cwd=here.root)
    dear = fairlead("publish", "--goal", "budget", "--budget", "0.000001", "--dry-run", cwd=here.root)

    found = json.loads(done.stdout)
    assert set(found) == {"policy", "parameters", "reason", "choice", "confirmation", "explores"}
    assert found["choice"]["requests"] > found["confirmation"]["requests"]
    assert "nothing, as you asked" in words.stdout
    assert "later days" in words.stdout
    assert dear.returncode == 1
    assert "no setting costs 1e-06 USD per 1,000 requests or less" in dear.stderr
    assert {path: path.stat().st_mtime_ns for path in here.published.iterdir()} == files


def test_a_published_snapshot_is_asked_on_the_command_line(trained):
    here, made = trained

    words = fairlead("decide", "Prove it.", "--route", "maths", "--id", "r-1", cwd=here.root)
    as_json = fairlead("decide", "-", "--route", "maths", "--id", "r-1", "--json", cwd=here.root, stdin="Prove it.")

    decision = json.loads(as_json.stdout)
    assert words.returncode == as_json.returncode == 0
    assert decision["endpoint"] in made.endpoints
    assert words.stdout.splitlines()[0] == decision["endpoint"]
    assert decision["request_id"] == "r-1"


def test_data_health_is_told_in_words_and_as_json_and_strict_fails_on_what_is_bad(project, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("not json\n")
    fairlead("ingest", log, cwd=project.root)

    words = fairlead("health", cwd=project.root)
    as_json = fairlead("health", "--json", "--strict", cwd=project.root)

    found = {check["name"]: check["verdict"] for check in json.loads(as_json.stdout)["checks"]}
    assert (words.returncode, as_json.returncode) == (0, 1)
    assert "BAD  unreadable lines" in words.stdout
    assert found["unreadable lines"] == "bad"
    assert found["conservation"] == "fine"


def test_policies_are_judged_on_the_command_line(trained):
    here, made = trained

    words = fairlead("judge", "--truth", made.truth, cwd=here.root)
    as_json = json.loads(fairlead("judge", "--json", cwd=here.root).stdout)

    assert "cost_matched_random" in words.stdout
    assert as_json["requests"] > 500
    assert {one["kind"] for one in as_json["policies"]} == {"status_quo", "candidate", "baseline"}


def test_a_candidate_is_published_beside_judged_and_promoted(trained, tmp_path):
    here = tmp_path / "project"
    shutil.copytree(trained[0].root, here)

    early = fairlead("publish", "--promote", cwd=here)
    laid = json.loads(fairlead("publish", "--candidate", "--json", cwd=here).stdout)
    ruled = fairlead("judge", "--candidate", "--json", cwd=here)
    promoted = json.loads(fairlead("publish", "--promote", "--json", cwd=here).stdout)
    again = fairlead("judge", "--candidate", cwd=here)

    assert (early.returncode, ruled.returncode, again.returncode) == (1, 0, 1)
    assert "no candidate was judged worth promoting" in early.stderr
    assert (laid["version"], json.loads(ruled.stdout)["verdict"]) == (2, "promote")
    assert promoted["version"] == json.loads(ruled.stdout)["candidate"]
    assert again.stdout.startswith("REFUSE")


def test_simulating_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        done = fairlead("simulate", tmp_path / name, "--requests", 50, "--endpoints", 3, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    first, second = ((tmp_path / name / "litellm.jsonl").read_bytes() for name in ("a", "b"))
    assert first == second


def test_a_simulation_takes_events_and_writes_the_log_that_is_asked_for(tmp_path):
    options = {
        "requests": 200, "endpoints": 3, "days": 4, "format": "envoy", "feedback-share": 0.5, "feedback-delay": 1,
        "feedback-bias": 1, "judge-noise": 0.2, "preferences": 0.3, "load": 2, "slots": 4, "lengths": "azure-conv",
    }  # fmt: skip
    asked = [word for name, value in options.items() for word in (f"--{name}", value)]
    events = ("outage provider=openai from=1d for=2h", "price model=gpt-4o-mini factor=0.5 from=2d")

    spoken = fairlead("simulate", "out", *asked, "--event", events[0], "--event", events[1], cwd=tmp_path)
    told = fairlead("simulate", "out", *asked, "--event", events[0], "--event", events[1], "--json", cwd=tmp_path)

    assert spoken.returncode == 0, spoken.stderr
    assert "tries before the last, costs, the prompt (not in a envoy log)" in " ".join(spoken.stdout.split())
    summary = json.loads(told.stdout)
    assert summary == json.loads((tmp_path / "out" / "simulation.json").read_text())
    assert [one["kind"] for one in summary["settings"]["events"]] == ["outage", "price"]
    assert summary["settings"]["opinions"] == {
        "share": 0.5, "delay_h": 1.0, "bias": 1.0, "judge_noise": 0.2, "judge_share": 0.5, "votes": 0.3
    }  # fmt: skip
    assert (summary["log"]["format"], summary["counts"]["records"]) == ("envoy", 200)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "envoy.jsonl", "feedback.jsonl", "feedback.toml", "judge.jsonl", "judge.toml", "prices.csv",
        "simulation.json", "truth.parquet", "votes.jsonl", "votes.toml",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--event", "outage from=1d"), "for is missing; outage takes from, for, provider, model, share"),
        (("--event", "price model=gpt-9 factor=2 from=1d"), "price: no model 'gpt-9'; the endpoints are"),
        (("--format", "smoke"), "no log format 'smoke' to write; choose from"),
        (("--lengths", "long"), "no lengths 'long'; choose from words, azure-conv, azure-code, mooncake"),
        (("--load", "20"), "20 calls in flight on average and 16 slots; give more slots"),
    ],
)
def test_a_simulation_that_cannot_be_is_refused_with_the_way_out(tmp_path, arguments, fault):
    done = fairlead("simulate", "out", "--requests", 20, *arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert fault in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_demo_does_not_touch_a_folder_that_is_not_its_own(tmp_path):
    (tmp_path / "mine").mkdir()

    done = fairlead("demo", tmp_path / "mine", cwd=tmp_path)

    assert done.returncode == 2
    assert "is not an earlier demo; name another folder" in done.stderr


@pytest.mark.slow
def test_the_demo_runs_the_whole_loop_and_ends_with_its_report(tmp_path):
    done = fairlead("demo", tmp_path / "demo", "--requests", 1000, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path.suffix == ".html"
    assert path.stat().st_size > 20_000
