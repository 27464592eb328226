"""Where a project's features, models, prices and data live.

A project is a folder whose `pyproject.toml` has a `[tool.fairlead]` table; it is found by walking up, so a notebook
in `notebooks/` and a flow in `flows/` find the same one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fairlead.errors import ProjectError

__all__ = ["Project", "find", "init", "open_project"]

_KEYS: Final = {"var", "hash_key_env", "policy", "ingest", "feedback", "endpoints", "registry", "budget"}
# What `init` hands out: the folders that the engine runs.
_PARTS: Final = ("features", "models", "flows", "data", "prefect.yaml")
_PYPROJECT: Final = """\
[tool.fairlead]
# var = "var"                       # where the lake, the registry, snapshots and reports are kept
# [tool.fairlead.policy]
# goal = "status_quo"               # no worse than now; or best_single, floor, margin, budget, latency
# floor_share = 0.99                # with "floor": the share of the best single endpoint's quality to keep
# margin_points = 0.5               # with "margin": by how much it may be worse than now, of 100 points
# usd_per_1000 = 2.0                # with "budget": what 1,000 requests may cost
# p95_s = 4.0                       # with "latency": what 95 % of requests stay under
# confidence = 0.95                 # of what margin and latency promise
# [tool.fairlead.feedback]
# maturity = "7d"                   # how long a request's feedback is waited for
# [tool.fairlead.ingest]
# max_quarantined_share = 0.5       # a load ends with 1 when more than this of its records cannot be used
# drop = ["tags", "attributes"]     # columns to leave empty
# [tool.fairlead.budget]
# usd = 5000                        # dollars a month; `fairlead watch` says when it runs out
# [tool.fairlead.registry]
# uri = "http://localhost:5000"     # an MLflow server, instead of SQLite under var/mlflow
# [tool.fairlead.endpoints."NAME"]  # what you know better than the catalogue
# region = "eu-west-1"
# capabilities = ["tools", "vision"]
# context_window = 128000
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A project's folders and settings."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> Path:
        """Folder of SELECT files: what is known before the call."""
        return self.root / "features"

    @property
    def models(self) -> Path:
        """Folder of TOML files: what is predicted."""
        return self.root / "models"

    @property
    def prices(self) -> Path:
        """The dated price catalogue."""
        return self.root / "data" / "prices.csv"

    @property
    def contract(self) -> Path:
        """Prices agreed with a provider, which come before the catalogue's; need not exist."""
        return self.root / "data" / "prices.contract.csv"

    @property
    def catalogue(self) -> Path:
        """What models take, give and can do, from public catalogues; need not exist."""
        return self.root / "data" / "models.csv"

    @property
    def var(self) -> Path:
        """Folder of everything a project makes; delete it to begin again."""
        return self.root / str(self.settings.get("var", "var"))

    @property
    def lake(self) -> Path:
        """Folder of the Parquet segments and their manifest: the truth."""
        return self.var / "lake"

    @property
    def database(self) -> Path:
        """The DuckDB file derived from the lake; can always be rebuilt."""
        return self.var / "fairlead.duckdb"

    @property
    def registry(self) -> Path:
        """Folder of the MLflow database and its artifacts."""
        return self.var / "mlflow"

    @property
    def published(self) -> Path:
        """Folder of the snapshot that gateways read, and of the last good one."""
        return self.var / "published"

    @property
    def reports(self) -> Path:
        """Folder of reports."""
        return self.var / "reports"

    def hash_key(self) -> bytes:
        """Give the key under which user ids and prompts are hashed, making one on first use.

        It is taken from the environment variable named by `hash_key_env` (default FAIRLEAD_HASH_KEY), else from
        `var/hash.key`, which only its owner may read.
        """
        named = os.environ.get(str(self.settings.get("hash_key_env", "FAIRLEAD_HASH_KEY")))
        if named:
            return named.encode()
        path = self.var / "hash.key"
        try:
            if not path.exists():
                _make_key(path)
            return path.read_bytes()
        except OSError as fault:
            raise ProjectError(
                f"{path}: the key under which ids are hashed cannot be made or read ({fault.strerror});"
                " see to the space and the rights there, or set FAIRLEAD_HASH_KEY"
            ) from fault


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, whole = tempfile.mkstemp(dir=path.parent, prefix=".hash-")  # only its owner may read it
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_hex(32).encode())
            out.flush()
            os.fsync(out.fileno())
        # Linked when it is whole: nobody ever reads half a key, and where another process was first, its
        # key is the key.
        with contextlib.suppress(FileExistsError):
            os.link(whole, path)
    finally:
        os.unlink(whole)
    # A key that a power cut takes away is worse than none: what was hashed under it is never found again.
    for folder in (path.parent, path.parent.parent):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def find(start: Path | None = None) -> Project:
    """Find the project that `start` (default: the current folder) lies in; ProjectError when there is none."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        candidate = folder / "pyproject.toml"
        if candidate.is_file():
            settings = _settings(candidate)
            if settings is not None:
                return Project(folder, settings)
    raise ProjectError(
        "no pyproject.toml with a [tool.fairlead] table in this folder or above it; "
        "run `fairlead init` to start a project here"
    )


def open_project(root: Path) -> Project:
    """Open the project whose folder is `root`; ProjectError when it is none."""
    settings = _settings(root / "pyproject.toml") if (root / "pyproject.toml").is_file() else None
    if settings is None:
        raise ProjectError(f"{root}: no pyproject.toml with a [tool.fairlead] table; run `fairlead init {root}`")
    return Project(root.resolve(), settings)


def init(root: Path) -> Project:
    """Start a project in `root` with a copy of the default features, models, flows and prices.

    Files that are already there stay as they are. Raises ProjectError when `root` is already a project.
    """
    pyproject = root / "pyproject.toml"
    if pyproject.is_file() and _settings(pyproject) is not None:
        raise ProjectError(f"{root} is already a fairlead project; edit its files, or choose an empty folder")
    root.mkdir(parents=True, exist_ok=True)
    source = defaults()
    for part in _PARTS:
        origin, target = source / part, root / part
        if origin.is_dir():
            shutil.copytree(
                origin, target, dirs_exist_ok=True, copy_function=_copy, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            _copy(origin, target)
    with pyproject.open("a", encoding="utf-8") as out:
        out.write(("\n" if pyproject.stat().st_size else "") + _PYPROJECT)
    (root / ".gitignore").write_text("var/\n", encoding="utf-8") if not (root / ".gitignore").exists() else None
    return open_project(root)


def defaults() -> Path:
    """Give the folder of the default project: inside the wheel, or the checkout this module lies in."""
    inside = Path(__file__).parent / "_project"
    checkout = Path(__file__).parents[2]
    for folder in (inside, checkout):
        if (folder / "models").is_dir() and (folder / "features").is_dir():
            return folder
    raise ProjectError(f"the default project is missing beside {Path(__file__).parent}; reinstall fairlead")


def _copy(origin: str | Path, target: str | Path) -> None:
    if not Path(target).exists():
        shutil.copy2(origin, target)


def _settings(pyproject: Path) -> dict[str, Any] | None:
    try:
        tables = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ProjectError(f"{pyproject}: not valid TOML ({fault}); correct that line") from fault
    tool = tables.get("tool", {})
    settings = tool.get("fairlead") if isinstance(tool, dict) else None
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise ProjectError(f"{pyproject}: tool.fairlead is not a table; write [tool.fairlead] above its keys")
    unknown = sorted(set(settings) - _KEYS)
    if unknown:
        raise ProjectError(
            f"{pyproject} [tool.fairlead]: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}"
        )
    return dict(settings)
