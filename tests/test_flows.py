import ast
import contextlib
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

import fairlead
from fairlead import project as projects
from fairlead import store

_TRIES = 8
ROOT = Path(__file__).parents[1]
FLOWS = sorted((ROOT / "flows").glob("*.py"))
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]

LOAD = """
import sys
from prefect.flows import load_flow_from_entrypoint
print(*(load_flow_from_entrypoint(entrypoint).name for entrypoint in sys.argv[1:]))
"""


def test_every_flow_loads_from_its_entrypoint():
    names = [path.stem for path in FLOWS]

    done = _python("-c", LOAD, *(f"flows/{name}.py:{name}" for name in names), cwd=ROOT, env=_environment())

    assert done.split() == names


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_file_names_steps_and_nothing_else(path):
    tree = ast.parse(path.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    flows = [node.name for node in functions if "flow" in [_name(one) for one in node.decorator_list]]
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]

    assert flows == [path.stem]
    assert {_name(one) for node in functions for one in node.decorator_list} == {"flow", "task"}
    assert {type(node) for node in tree.body} == {ast.Expr, ast.ImportFrom, ast.FunctionDef}
    assert {(node.module or "").split(".")[0] for node in imported} == {"prefect", "fairlead"}
    assert len(path.read_text().splitlines()) <= 40


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_file_takes_no_name_that_someone_imports(path):
    installed = {name for name in importlib.metadata.packages_distributions() if name != "fairlead"}

    assert path.stem not in sys.stdlib_module_names
    assert path.stem not in installed


def test_prefect_yaml_names_every_flow_once_and_nothing_else():
    assert sorted(one["entrypoint"] for one in DEPLOYMENTS) == [f"flows/{path.name}:{path.stem}" for path in FLOWS]


def test_every_deployment_has_a_utc_schedule_and_never_runs_twice_at_once():
    wanted = {"limit": 1, "collision_strategy": "CANCEL_NEW"}

    assert {one["name"]: [when["timezone"] for when in one["schedules"]] for one in DEPLOYMENTS} == {
        one["name"]: ["UTC"] for one in DEPLOYMENTS
    }
    assert [one["concurrency_limit"] for one in DEPLOYMENTS] == [wanted] * len(DEPLOYMENTS)
    assert {one["work_pool"]["name"] for one in DEPLOYMENTS} == {"fairlead"}


@pytest.mark.server
@pytest.mark.timeout(150)
@pytest.mark.slow
def test_a_deployment_is_scheduled_and_runs_on_a_real_server(project, tmp_path):
    sample = ROOT / "data" / "requests.jsonl"
    (project.root / "logs").mkdir()
    shutil.copy(sample, project.root / "logs")

    with _server(tmp_path / "prefect") as environment:
        api = environment["PREFECT_API_URL"]
        _prefect("work-pool", "create", "fairlead", "--type", "process", cwd=project.root, env=environment)
        _prefect("--no-prompt", "deploy", "--all", cwd=project.root, env=environment)
        deployment = _call(api, "deployments/name/ingest/every-ten-minutes")["id"]
        # With some releases of Prefect's own dependencies schedules are stored and never fire; only this shows it.
        scheduled = _wait(lambda: _scheduled(api, deployment), "a scheduled run", seconds=40)
        _call(api, f"deployments/{deployment}", {"paused": True}, "PATCH")
        for one in _scheduled(api, deployment):  # one that is due by now would collide with ours, and ours be cancelled
            _call(api, f"flow_runs/{one['id']}", method="DELETE")
        run = _call(api, f"deployments/{deployment}/create_flow_run", {})["id"]
        with _process("worker", "start", "--pool", "fairlead", cwd=tmp_path, env=environment):
            state = _wait(lambda: _ended(api, run), "the run to end", seconds=100)

    assert all(one["auto_scheduled"] and one["parameters"] == {"paths": ["logs"]} for one in scheduled)
    assert state == "COMPLETED"
    assert _attempts(project) == len(sample.read_text().splitlines())


def _attempts(project: projects.Project) -> int:
    with contextlib.closing(store.open_lake(project.lake).connect()) as con:
        return int(con.sql("select count(*) from attempts").fetchall()[0][0])


def _scheduled(api: str, deployment: str) -> list[dict]:
    wanted = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    return _call(api, "flow_runs/filter", wanted)


def _ended(api: str, run: str) -> str | None:
    state = _call(api, f"flow_runs/{run}")["state"]
    return state["type"] if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None


@contextlib.contextmanager
def _server(home: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = _environment() | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    home.mkdir()
    with _process("server", "start", "--host", "127.0.0.1", "--port", str(port), cwd=home, env=environment):
        _wait(lambda: _call(environment["PREFECT_API_URL"], "health"), "the server", seconds=90)
        yield environment


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    source = str(Path(fairlead.__file__).parents[1])
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    }


@contextlib.contextmanager
def _process(*command: str, cwd: Path, env: dict[str, str]):
    log = Path(env["PREFECT_HOME"]) / f"{command[0]}.log"
    with log.open("wb") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", "prefect", *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # so that what it starts ends with it
        )
        try:
            yield
        except BaseException as fault:
            fault.add_note(f"{' '.join(command)} said:\n{log.read_text(errors='replace')[-3000:]}")
            raise
        finally:
            _end(started)


def _end(started: subprocess.Popen) -> None:
    for how, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(seconds)
            return


def _prefect(*command: str, cwd: Path, env: dict[str, str]) -> str:
    return _python("-m", "prefect", *command, cwd=cwd, env=env)


def _python(*command: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _call(api: str, path: str, body: dict | None = None, method: str | None = None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{api}/{path}", data, {"Content-Type": "application/json"}, method=method)
    for left in reversed(range(_TRIES)):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            # A busy SQLite is answered with 503; Prefect's own client asks again as well.
            if refused.code != 503 or not left:
                raise
            time.sleep(1)
    raise AssertionError("unreachable")


def _wait(ask, what: str, seconds: float):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if found := ask():
                return found
        time.sleep(0.5)
    raise TimeoutError(f"{what} did not come within {seconds} s")


def _name(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    return called.id if isinstance(called, ast.Name) else ""
