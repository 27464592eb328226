import contextlib
import datetime
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from fairlead.serve.security import keys, keytext
from fairlead.serve.security.doctor import asking, places, processes, servers, texts
from fairlead.serve.security.doctor import house as houses
from fairlead.serve.security.doctor.processes import Process, is_loopback

NOW = datetime.datetime.now(datetime.UTC)
SAFE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def told(findings):
    return [(one.check, one.verdict) for one in findings]


def started(line, **environment):
    return servers.look([Process(pid=7, words=tuple(line.split()), environment=environment)], {})


@pytest.mark.parametrize(
    ("line", "environment", "verdicts"),
    [
        ("python /venv/bin/mlflow server", SAFE, ["ok"]),
        ("python -m mlflow server --host 127.0.0.1", SAFE, ["ok"]),
        ("python -m mlflow server", {}, ["warning"]),  # unpickles what it loads
        ("mlflow server --host 0.0.0.0", SAFE, ["refused", "warning"]),
        ("mlflow ui -h 0.0.0.0", SAFE, ["refused", "warning"]),
        ("mlflow server --host=::", SAFE, ["refused", "warning"]),
        ("mlflow server --host 0.0.0.0 --app-name basic-auth --allowed-hosts ml.example", SAFE, ["ok"]),
        ("mlflow server --host 0.0.0.0 --app-name basic-auth", SAFE, ["warning"]),
        ("mlflow server --allowed-hosts *", SAFE, ["refused"]),
        ("mlflow server --allowed-hosts ml.example,*", SAFE, ["refused"]),
        ("mlflow server --disable-security-middleware", SAFE, ["refused"]),
        ("mlflow server", SAFE | {"MLFLOW_HOST": "10.0.0.5"}, ["refused", "warning"]),
        ("mlflow server --host 127.0.0.1", SAFE | {"MLFLOW_HOST": "10.0.0.5"}, ["ok"]),
        ("mlflow server", SAFE | {"MLFLOW_SERVER_ALLOWED_HOSTS": "*"}, ["refused"]),
        ("python /venv/bin/prefect server start", {}, ["ok"]),
        ("prefect server start --host 0.0.0.0", {}, ["refused"]),
        ("prefect server start", {"PREFECT_SERVER_API_HOST": "0.0.0.0"}, ["refused"]),
        ("prefect server start --host 0.0.0.0", {"PREFECT_SERVER_API_AUTH_STRING": "a:b"}, ["ok"]),
        ("prefect server start --host 0.0.0.0", {"PREFECT_SERVER_API_AUTH_STRING": ""}, ["refused"]),
        ("python /venv/bin/fairlead serve", {}, ["ok"]),
        ("fairlead serve --host 0.0.0.0", {}, ["refused"]),
        ("fairlead serve --host 0.0.0.0 --keys k.json", {}, ["warning"]),
        ("fairlead serve --host 0.0.0.0 --uds /run/s.sock", {}, ["ok"]),
        ("fairlead report", {}, []),
        ("grep mlflow server.log", {}, []),
        ("vim mlflow", {}, []),
    ],
)
def test_servers_are_judged_by_what_they_were_started_with(line, environment, verdicts):
    assert [one.verdict for one in started(line, **environment)] == verdicts


def test_what_this_environment_would_start_is_judged_too():
    environment = SAFE | {"MLFLOW_HOST": "0.0.0.0", "PREFECT_SERVER_API_HOST": "0.0.0.0"}

    found = list(servers.look([], environment))

    assert told(found) == [("mlflow", "refused"), ("mlflow", "warning"), ("prefect", "refused")]
    assert list(servers.look([], {"PATH": "/bin"})) == []


def test_every_refusal_and_warning_says_the_way_out():
    found = [
        *started("mlflow server --host 0.0.0.0 --allowed-hosts *"),
        *started("prefect server start --host 0.0.0.0"),
        *started("fairlead serve --host 0.0.0.0"),
    ]

    assert [one.verdict for one in found].count("refused") == 4
    assert all(one.way_out for one in found if one.verdict != "ok")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "::1", "[::1]", "localhost", "127.8.9.1")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.nip.io")),
    ],
)
def test_loopback_is_told_from_the_rest(host, loopback):
    assert is_loopback(host) == loopback


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_a_process_that_runs_is_seen_with_its_words_and_its_environment():
    command = [sys.executable, "-c", "import time; time.sleep(60)", "mlflow", "server"]
    with subprocess.Popen(command, env={"MLFLOW_HOST": "0.0.0.0"}) as child:
        try:
            time.sleep(0.2)
            found = {one.pid: one for one in processes.running()}[child.pid]
        finally:
            child.kill()

    assert found.words == tuple(command)
    assert found.value(["--host"], ["MLFLOW_HOST"]) == "0.0.0.0"


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    for name, mode in (("a", 0o600), ("b", 0o640), ("c", 0o604)):
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)

    found = list(places.secret_files([tmp_path / name for name in "abcd"]))

    assert [one.what.split(": ")[0] for one in found] == [str(tmp_path / "b"), str(tmp_path / "c")]
    assert told(places.secret_files([tmp_path / "a"])) == [("secrets", "ok")]
    assert told(places.secret_files([tmp_path / "none"])) == []


def test_data_is_refused_only_where_every_user_gets_to_it(tmp_path):
    top = Path(f"/tmp/fairlead-doctor-{os.getpid()}")  # pytest's own folders are closed to others
    lake = top / "var" / "lake"
    lake.mkdir(parents=True)
    try:
        for folder in (top, top / "var", lake):
            folder.chmod(0o755)
        reached = told(places.data([lake]))
        (top / "var").chmod(0o700)
        closed = told(places.data([lake]))
    finally:
        lake.rmdir()
        (top / "var").rmdir()
        top.rmdir()

    assert reached == [("data", "refused")]
    assert closed == [("data", "ok")]


@pytest.mark.parametrize(("mode", "verdict"), [(0o755, "ok"), (0o700, "ok"), (0o775, "refused"), (0o777, "refused")])
def test_a_folder_of_snapshots_that_others_may_write_is_refused(tmp_path, mode, verdict):
    folder = tmp_path / "published"
    folder.mkdir()
    folder.chmod(mode)

    assert {one.verdict for one in places.decides(folder)} == {verdict}


def test_a_snapshot_or_a_folder_above_that_others_may_write_is_refused_too(tmp_path):
    folder = tmp_path / "var" / "published"
    folder.mkdir(parents=True)
    (folder / "current.json").touch()
    (folder / "current.json").chmod(0o666)
    (tmp_path / "var").chmod(0o777)

    found = [one.way_out for one in places.decides(folder)]

    assert found == [f"chmod go-w {folder / 'current.json'}", f"chmod go-w {tmp_path / 'var'}"]


SECRETS = {
    "pyproject.toml": [
        '[tool.fairlead.registry]\nuri = "http://me:hunter2@ml.example"\n',
        '[tool.x]\npassword = "hunter2"\n',
        '[tool.x.deep]\nAPI_KEY = "sk-123"\n',
        '[[tool.x]]\nsecret = "s"\n',
        '[tool.x]\nkey = "MADE"\n',  # a key of ours, made when the test runs: none stands in a file
    ],
    "prefect.yaml": [
        "env:\n  OPENAI_API_KEY: sk-123\n",
        "  - db_password: 'hunter2' # mine\n",
        "job:\n  url: postgresql://me:hunter2@db/x\n",
        'PREFECT_SERVER_API_AUTH_STRING: "admin:pass"\n',
        "key: |\n  -----BEGIN PRIVATE KEY-----\n",
    ],
}
NONE = {
    "pyproject.toml": [
        '[tool.fairlead]\nhash_key_env = "FAIRLEAD_HASH_KEY"\n',
        '[tool.x]\nmax_tokens = 4\npassword = ""\ntoken_file = "/run/secrets/t"\n',
        '[tool.x]\nuri = "postgresql://db/x"\nother = "https://example.org:443/a@b"\n',
    ],
    "prefect.yaml": [
        'env:\n  OPENAI_API_KEY: "{{ prefect.blocks.secret.openai }}"\n',
        "env:\n  OPENAI_API_KEY: $OPENAI_API_KEY\n",
        "max_tokens: 100\nsecret: null\ntoken:\n",
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, all_ in SECRETS.items() for text in all_])
def test_a_secret_that_is_written_down_is_refused_and_not_repeated(tmp_path, name, text):
    text = text.replace("MADE", keytext.new("abcdefghij"))
    (tmp_path / name).write_text(text)

    found = list(texts.written([tmp_path / name]))

    assert told(found) == [("written secrets", "refused")]
    assert not any(secret in found[0].what for secret in ("hunter2", "sk-123", "fl_", "admin:pass"))


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, all_ in NONE.items() for text in all_])
def test_what_only_names_a_secret_is_fine(tmp_path, name, text):
    (tmp_path / name).write_text(text)

    assert told(texts.written([tmp_path / name])) == [("written secrets", "ok")]


def test_our_own_project_has_no_secrets_written_down():
    root = Path(__file__).parents[3]

    assert told(texts.written([root / "pyproject.toml", root / "prefect.yaml"])) == [("written secrets", "ok")]


def test_a_house_in_order_is_fine(house_in_order):
    found = [*houses.keys(house_in_order, NOW), *houses.audit(house_in_order)]

    assert told(found) == [("keys", "ok"), ("audit", "ok")]


@pytest.fixture
def house_in_order(house):
    house.folder.log().add("key.new", "operator")
    return house.folder


def test_a_file_of_keys_that_no_server_would_take_is_refused(house_in_order):
    where = house_in_order
    good = where.keys.read_bytes()
    unsigned = json.loads(good)["content"]

    where.keys.write_bytes(json.dumps(unsigned).encode())
    no_signature = list(houses.keys(where, NOW))
    where.keys.write_bytes(good)
    where.keys.chmod(0o644)
    readable = list(houses.keys(where, NOW))
    where.keys.unlink()

    assert told(no_signature) == told(readable) == [("keys", "refused")]
    assert "others may read it" in readable[0].what
    assert told(houses.keys(where, NOW)) == [("keys", "warning")]


@pytest.mark.parametrize(
    ("age_days", "days", "verdicts"),
    [(0, 90, ["ok"]), (0, None, ["warning"]), (85, 90, ["warning"]), (500, 3650, ["refused"]), (100, 90, ["ok"])],
)
def test_keys_are_judged_by_their_age_and_their_end(house, age_days, days, verdicts):
    then = NOW - datetime.timedelta(days=age_days)
    house.change(lambda kept: keys.issue(kept, "a", ("gateway",), now=then, days=days))

    assert [one.verdict for one in houses.keys(house.folder, NOW)] == verdicts


def test_a_rotated_key_is_no_longer_stale(house):
    then = NOW - datetime.timedelta(days=500)
    key, _ = house.change(lambda kept: keys.issue(kept, "a", ("gateway",), now=then, days=3650))
    house.change(lambda kept: keys.rotate(kept, key.id, now=NOW - datetime.timedelta(days=2), overlap_s=3600))

    assert [one.verdict for one in houses.keys(house.folder, NOW)] == ["ok"]


def test_an_audit_log_that_was_changed_is_refused_with_its_line(house_in_order):
    path = house_in_order.audit
    path.write_bytes(path.read_bytes().replace(b'"operator"', b'"somebody"'))

    found = list(houses.audit(house_in_order))

    assert told(found) == [("audit", "refused")]
    assert f"{path} line 2: another entry than the last" in found[0].what


def test_an_audit_log_that_nobody_signs_is_a_warning(house):
    house.folder.audit_signing.unlink()
    house.folder.audit_public.unlink()
    house.folder.log().add("key.new", "operator")

    assert told(houses.audit(house.folder)) == [("audit", "warning"), ("audit", "ok")]


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@contextlib.contextmanager
def real(command, folder, address, **environment):
    named = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder), **environment}
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=log, stderr=log, cwd=folder, env=named, start_new_session=True
        )
    try:
        for _ in range(240):
            assert running.poll() is None, (folder / "log").read_text()[-3000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
                break
            time.sleep(0.5)
        yield running
    finally:
        running.terminate()
        running.wait(30)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "verdict"), [pytest.param([], "ok", marks=pytest.mark.study), (["--allowed-hosts", "*"], "refused")]
)
def test_a_real_mlflow_is_asked_under_another_name_and_seen_among_the_processes(tmp_path, monkeypatch, more, verdict):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *more]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **SAFE}

    with real(command, tmp_path, f"{uri}/health", **quiet) as running:
        asked = list(asking.mlflow(uri))
        seen = [one for one in servers.look(processes.running(), {}) if f"pid {running.pid}" in one.what]
        monkeypatch.setattr(asking, "is_loopback", lambda host: False)
        elsewhere = told(asking.mlflow(uri))

    assert told(asked) == told(seen) == [("mlflow", verdict)]
    assert ("mlflow", "refused") in elsewhere  # it asks nobody for a password
    assert told(asking.mlflow(uri)) == [("mlflow", "warning")]  # gone


@pytest.mark.study
@pytest.mark.parametrize(("password", "verdict"), [("", "refused"), ("admin:pass", "ok")])
def test_a_real_prefect_is_asked_whether_it_lets_strangers_in(tmp_path, monkeypatch, password, verdict):
    port = free_port()
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    if password:
        quiet["PREFECT_SERVER_API_AUTH_STRING"] = password

    with real(command, tmp_path, f"http://127.0.0.1:{port}/api/health", **quiet):
        here = told(asking.prefect(f"http://127.0.0.1:{port}/api"))
        monkeypatch.setattr(asking, "is_loopback", lambda host: False)
        elsewhere = told(asking.prefect(f"http://127.0.0.1:{port}/api"))

    assert here == [("prefect", "ok")]
    assert elsewhere == [("prefect", verdict), ("prefect", "warning")]  # and it is asked in the clear


def test_addresses_that_are_none_are_not_asked():
    assert [*asking.mlflow("sqlite:///x.db"), *asking.mlflow(""), *asking.prefect("")] == []
    assert told(asking.front("nonsense")) == [("front", "refused")]
    assert told(asking.front(f"127.0.0.1:{free_port()}")) == [("front", "warning")]
