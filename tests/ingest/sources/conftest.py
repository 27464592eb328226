import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead import store
from fairlead.project import Project


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


@pytest.fixture
def select(project: Project) -> Any:
    """A function that gives the rows of a query over the project's lake."""

    def run(sql: str) -> list[Any]:
        con = store.open_lake(project.lake).connect()
        try:
            return store.query(con, sql).rows()
        finally:
            con.close()

    return run


@pytest.fixture
def marks(project: Project) -> Any:
    """A function that gives what the project remembers of its origins."""
    return lambda prefix="": store.open_lake(project.lake).marks(prefix)
