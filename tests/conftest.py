"""What several folders of tests share."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fairlead import evaluation, features, ingest, publish, training
from fairlead import project as projects
from fairlead.evaluation import simulate

# Two workers on two cores are slower with four threads each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
# Folds follow hashed prompts: with one key every run fits the same predictors.
os.environ["FAIRLEAD_HASH_KEY"] = "tests"


@pytest.fixture
def project(tmp_path: Path) -> projects.Project:
    """Give a project as `fairlead init` makes it, with nothing loaded."""
    return projects.init(tmp_path / "project")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of public data that lies beside some checkouts; skip where it does not."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("../shared is absent: this test needs its public data sets")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[projects.Project, simulate.Simulation]:
    """Give a project that ingested a simulated log, trained and published; read it, do not change it."""
    here = projects.init(tmp_path_factory.mktemp("trained") / "project")
    made = simulate.run(here.root / "gateway", requests=2500, endpoints=4, exploration=0.6, seed=0)
    shutil.copy(made.prices, here.contract)
    ingest.load(here, [made.log, made.feedback])
    features.build(here)
    training.train(here)
    tuned = evaluation.tune(here)
    publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)
    return here, made


def _programs() -> Path | None:
    """Debian keeps the server's programs off the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    folders = [*reversed(installed), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((one for one in folders if all((one / name).exists() for name in ("initdb", "pg_ctl", "psql"))), None)


class Postgres:
    """A server on a Unix socket in a temporary folder."""

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self.folder = folder
        self._programs = programs
        self._as: Any = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self.run("initdb", "-D", folder / "data", "-A", "trust", "-U", "fairlead", "-E", "UTF8", "--no-sync")
        hba = folder / "data" / "pg_hba.conf"
        hba.write_text("local all locked scram-sha-256\n" + hba.read_text())
        options = f"-c listen_addresses='' -c fsync=off -c timezone=America/New_York -k {folder}"
        self.run("pg_ctl", "-D", folder / "data", "-w", "-o", options, "-l", folder / "log", "start")

    def run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, env=environment, **self._as)

    def sql(self, statement: str, database: str = "postgres") -> str:
        command = [self._programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", "fairlead"]
        done = subprocess.run([*command, "-d", database], input=statement, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url(self, database: str, user: str = "fairlead") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: install Debian's package postgresql, or put initdb on the PATH")
    folder = Path(tempfile.mkdtemp(prefix="fairlead-pg-"))  # the socket's path has to be short
    user = None
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        user = "postgres"
        shutil.chown(folder, user, user)
    folder.chmod(0o755)
    server = None
    try:
        server = Postgres(folder, programs, user)
        yield server
    finally:
        if server is not None:
            server.run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(folder)
