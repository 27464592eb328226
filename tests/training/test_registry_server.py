"""The registry on an MLflow server that keeps its records in PostgreSQL."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import ModelError, ProjectError
from fairlead.project import Project
from fairlead.training.entry import Entry, Rows, Signature
from fairlead.training.registry import CHALLENGER, PREVIOUS, Registry

ROWS = Rows(
    count=3,
    as_of="2026-01-02T00:00:00+00:00",
    ingested_until="2026-01-02T00:00:00+00:00",
    until=None,
    digest="a" * 64,
    values_digest="b" * 64,
    source="lake",
)


def entry(text: str) -> Entry:
    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "numbers.txt").write_text(text)

    return Entry(
        name="demand",
        write=write,
        params={"method": "forecast"},
        metrics={"wape": 0.25},
        card="# demand\n",
        rows=ROWS,
        signature=Signature(inputs=(("hour", "number"), ("route", "category")), outputs=(("tokens", "number"),)),
    )


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture(scope="module")
def server(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a server; its tables are made by MLflow's own migrations."""
    postgres.sql("CREATE DATABASE mlflow")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    uri = postgres.url("mlflow").replace("postgresql://", "postgresql+psycopg://")
    options = ["--backend-store-uri", uri, "--artifacts-destination", folder / "artifacts", "--workers", 1]
    where = ["--host", "127.0.0.1", "--port", port]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *map(str, options + where)],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={
                "PATH": str(Path(sys.executable).parent),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", running, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(30)
        postgres.sql("DROP DATABASE mlflow WITH (FORCE)")


def _wait(address: str, running: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert running.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


def test_versions_aliases_files_and_rows_come_back_from_the_server(server: str, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "one", server)
    first = registry.register(entry("1"), "first of its name")
    registry.promote(first)
    second = registry.register(entry("2"), "better")
    registry.promote(second)
    third = registry.register(entry("3"), "worse")

    elsewhere = Registry(tmp_path / "two", server)
    champion = elsewhere.champion("demand")

    assert [(one["version"], one["aliases"], one["gate"]) for one in elsewhere.versions("demand")] == [
        (third.version, [CHALLENGER], "worse"),
        (second.version, ["champion"], "better"),
        (first.version, [PREVIOUS], "first of its name"),
    ]
    assert champion is not None
    assert (champion.version, champion.rows) == (second.version, ROWS)
    assert (champion.folder / "numbers.txt").read_text() == "2"
    assert "demand" not in [one["gate"] for one in elsewhere.versions("nothing")]

    (champion.folder / "numbers.txt").write_text("tampered")
    with pytest.raises(ModelError, match="do not match their SHA-256"):
        elsewhere.champion("demand")
    assert (elsewhere.champion("demand").folder / "numbers.txt").read_text() == "2"  # fetched again


def test_the_servers_pages_show_signature_metrics_and_data(server: str, tmp_path: Path) -> None:
    import mlflow

    registry = Registry(tmp_path, server)
    made = registry.register(entry("4"), "shown")
    client = mlflow.MlflowClient(server, server)
    run = client.get_run(made.run_id)
    signature = mlflow.models.Model.load(made.folder / "MLmodel").signature

    assert run.data.metrics == {"wape": 0.25}
    assert run.data.params == {"method": "forecast"}
    assert [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs] == [("attempts", "a" * 36)]
    assert signature.inputs.input_names() == ["hour", "route"]
    assert signature.outputs.input_names() == ["tokens"]


def test_a_server_that_is_not_there_is_named_within_seconds(tmp_path: Path) -> None:
    begun = time.monotonic()

    with pytest.raises(ModelError, match=r"the registry at http://127.0.0.1:\d+ refused or did not answer"):
        Registry(tmp_path, f"http://127.0.0.1:{free_port()}", timeout_s=1)

    assert time.monotonic() - begun < 20


def test_a_server_that_never_answers_is_given_up_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(ModelError, match="did not answer"):
            Registry(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=1)

    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("here", r"\[tool.fairlead.registry\]: not a table"),
        ({"url": "x"}, "unknown key 'url'; known are timeout_s, uri"),
        ({"uri": "sqlite:///x"}, "uri: expected the address of an MLflow server"),
        ({"timeout_s": 0}, "timeout_s: expected seconds above 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(tmp_path: Path, given: Any, fault: str) -> None:
    with pytest.raises(ProjectError, match=fault):
        Registry.of(Project(tmp_path, {"registry": given}))
