"""The model registry: MLflow, on SQLite beside the project or on a server. The only module that knows MLflow.

`[tool.fairlead.registry]` names a server and how long it is waited for; user and password come from MLflow's own
environment variables, never from a file:

uri = "http://mlflow.internal:5000"   # default: SQLite under var/mlflow
timeout_s = 10                        # what one answer may take
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.errors import ModelError, ProjectError
from fairlead.project import Project
from fairlead.training.entry import Entry, Registered, Rows

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "Registry"]

CHAMPION: Final = "champion"  # what publish takes
CHALLENGER: Final = "challenger"  # the newest version that its gate kept out
PREVIOUS: Final = "previous"  # the champion before, to go back to
TIMEOUT_S: Final = 10.0
_FOLDER: Final = "predictor"
_EXPERIMENT: Final = "fairlead"
_MOST_TEXT: Final = 5000  # of a description; the whole card is an artifact
_KEYS: Final = {"uri", "timeout_s"}
_MISSING: Final = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # of a name, of an alias


class Registry:
    """Tracks runs and registers what was fitted.

    Without `uri` everything lies under `folder`: `mlflow.db` and the artifacts beside it. With the `uri` of an MLflow
    server, `folder` only keeps copies of what was fetched. Raises ModelError where a server does not answer in time.
    """

    def __init__(self, folder: Path, uri: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        # MLflow reports home, loads pickles and waits four minutes for a dead server unless told otherwise.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(timeout_s)))
        os.environ.setdefault("MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT", str(max(1, round(6 * timeout_s))))
        import mlflow

        folder.mkdir(0o750, parents=True, exist_ok=True)
        self.uri = uri or f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        self._kept = folder / "fetched"
        self._remote = uri is not None
        artifacts = None if uri else (folder / "artifacts").resolve().as_uri()
        with self._asking():
            self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            found = self._client.get_experiment_by_name(_EXPERIMENT)
            self._experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT, artifacts)

    @classmethod
    def of(cls, project: Project) -> Registry:
        """Open the project's registry; ProjectError when its settings are off, ModelError when it does not answer."""
        where = f"{project.root / 'pyproject.toml'} [tool.fairlead.registry]"
        given = project.settings.get("registry", {})
        if not isinstance(given, dict):
            raise ProjectError(f"{where}: not a table; write [tool.fairlead.registry] above its keys")
        if unknown := sorted(set(given) - _KEYS):
            raise ProjectError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
        uri, timeout_s = given.get("uri"), given.get("timeout_s", TIMEOUT_S)
        if uri is not None and not (isinstance(uri, str) and uri.startswith(("http://", "https://"))):
            raise ProjectError(f"{where} uri: expected the address of an MLflow server, such as http://localhost:5000")
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not 0 < timeout_s <= 600:
            raise ProjectError(f"{where} timeout_s: expected seconds above 0 and up to 600")
        return cls(project.registry, uri, timeout_s=float(timeout_s))

    def register(self, entry: Entry, reason: str) -> Registered:
        """Track a fit as a run and register it as a new version: the challenger, until it is promoted."""
        name = entry.name
        with self._asking(), tempfile.TemporaryDirectory() as scratch:
            run = self._client.create_run(self._experiment, run_name=name, tags={"predictor": name, "gate": reason})
            run_id: str = run.info.run_id
            try:
                self._describe(run_id, entry)
                folder = Path(scratch) / _FOLDER
                entry.write(folder)
                digest = _digest(folder)
                _sign(folder, entry, run_id)
                self._client.log_artifacts(run_id, str(folder), _FOLDER)
            except BaseException:
                self._client.set_terminated(run_id, "FAILED")
                raise
            self._client.set_terminated(run_id)
            self._ensure(name)
            version = self._client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{_FOLDER}",
                run_id=run_id,
                tags={"sha256": digest, "gate": reason, "rows": _text(entry.rows)},
                description=entry.card[:_MOST_TEXT] or None,
            )
            self._client.set_registered_model_alias(name, CHALLENGER, version.version)
            return self._registered(version)

    def track(self, name: str, trials: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> None:
        """Track tries that are not registered: one run each, with its params and metrics."""
        from mlflow.entities import Metric, Param

        with self._asking():
            for params, metrics in trials:
                run = self._client.create_run(self._experiment, run_name=name, tags={"trial": name})
                kept = [Param(key, str(value)) for key, value in params.items()]
                told = [Metric(key, float(value), 0, 0) for key, value in metrics.items()]
                self._client.log_batch(run.info.run_id, metrics=told, params=kept)
                self._client.set_terminated(run.info.run_id)

    def promote(self, registered: Registered) -> None:
        """Make a version the champion of its name; the one before stays to be gone back to."""
        before = self._by_alias(registered.name, CHAMPION)
        with self._asking():
            if before is not None and int(before.version) != registered.version:
                self._client.set_registered_model_alias(registered.name, PREVIOUS, before.version)
            self._client.set_registered_model_alias(registered.name, CHAMPION, str(registered.version))
            challenger = self._by_alias(registered.name, CHALLENGER)
            if challenger is not None and int(challenger.version) == registered.version:
                self._client.delete_registered_model_alias(registered.name, CHALLENGER)

    def champion(self, name: str) -> Registered | None:
        """Give the champion of a name, its files checked against their SHA-256; None when there is none yet."""
        return self.named(name, CHAMPION)

    def named(self, name: str, alias: str) -> Registered | None:
        """Give the version that bears an alias; None when none does."""
        version = self._by_alias(name, alias)
        if version is None:
            return None
        with self._asking():
            return self._registered(version)

    def version(self, name: str, version: int) -> Registered:
        """Give one version; ModelError when there is none."""
        with self._asking():
            return self._registered(self._client.get_model_version(name, str(version)))

    def versions(self, name: str) -> list[dict[str, Any]]:
        """List a name's versions, newest first: version, aliases, why its gate decided so, when, run."""
        with self._asking():
            found = self._client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])
            aliases: dict[str, list[str]] = {}
            for alias, version in (self._client.get_registered_model(name).aliases if found else {}).items():
                aliases.setdefault(str(version), []).append(alias)
        return [
            {
                "version": int(one.version),
                "aliases": sorted(aliases.get(str(one.version), [])),
                "gate": one.tags.get("gate", ""),
                "created_ms": one.creation_timestamp,
                "run_id": one.run_id,
            }
            for one in found
        ]

    def _describe(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Dataset, DatasetInput, Metric, Param

        params = [Param(key, str(value)) for key, value in entry.params.items()]
        metrics = [Metric(key, float(value), 0, 0) for key, value in entry.metrics.items()]
        self._client.log_batch(run_id, metrics=metrics, params=params)
        if entry.card:
            self._client.log_text(run_id, entry.card, "card.md")
        if entry.rows is not None:
            rows = entry.rows
            profile = msgspec.json.encode({"rows": rows.count, "as_of": rows.as_of, "until": rows.until}).decode()
            data = Dataset("attempts", rows.digest[:36], "local", rows.source, profile=profile)
            self._client.log_inputs(run_id, [DatasetInput(data, [])])

    def _registered(self, version: Any) -> Registered:
        folder = self._files(version)
        rows = version.tags.get("rows")
        return Registered(
            name=version.name,
            version=int(version.version),
            run_id=version.run_id,
            folder=folder,
            rows=msgspec.json.decode(rows, type=Rows) if rows else None,
        )

    def _files(self, version: Any) -> Path:
        """Give the folder of a version's files: where they are, or for a server a copy that is fetched once."""
        if not self._remote:
            return _checked(Path(self._client.download_artifacts(version.run_id, _FOLDER)), version)
        kept = self._kept / f"{version.name}-{version.version}-{version.tags.get('sha256', '')[:16]}"
        if not kept.is_dir():
            self._kept.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._kept) as scratch:
                fetched = Path(self._client.download_artifacts(version.run_id, _FOLDER, scratch))
                _checked(fetched, version)
                if not kept.is_dir():  # another process may have been first
                    os.replace(fetched, kept)
        try:
            return _checked(kept, version)
        except ModelError:
            shutil.rmtree(kept)  # a damaged copy is fetched again next time
            raise

    def _by_alias(self, name: str, alias: str) -> Any:
        from mlflow.exceptions import MlflowException

        with self._asking():
            try:
                return self._client.get_model_version_by_alias(name, alias)
            except MlflowException as fault:
                if fault.error_code in _MISSING:
                    return None
                raise

    def _ensure(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(name)
        except MlflowException:
            self._client.create_registered_model(name)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn what MLflow raises into a ModelError that names the registry."""
        from mlflow.exceptions import MlflowException

        try:
            with _quiet():
                yield
        except (MlflowException, OSError) as fault:  # requests' errors are OSErrors
            said = str(fault).split("\n", 1)[0][:300]
            way = "; see that the server is up and [tool.fairlead.registry] names it" if self._remote else ""
            raise ModelError(f"the registry at {self.uri} refused or did not answer ({said}){way}") from fault


def _sign(folder: Path, entry: Entry, run_id: str) -> None:
    """Write MLflow's own description beside the files, so that its pages show what goes in and what comes out."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    if entry.signature is None:
        return
    kinds = {"number": DataType.double, "category": DataType.string}

    def schema(columns: tuple[tuple[str, str], ...]) -> Any:
        return Schema([ColSpec(kinds[kind], name, required=False) for name, kind in columns])

    signed = ModelSignature(schema(entry.signature.inputs), schema(entry.signature.outputs))
    model = Model(artifact_path=_FOLDER, run_id=run_id, signature=signed, flavors={"fairlead": {"data": "."}})
    model.save(str(folder / "MLmodel"))


def _text(rows: Rows | None) -> str:
    return "" if rows is None else msgspec.json.encode(rows).decode()


def _checked(folder: Path, version: Any) -> Path:
    if _digest(folder) != version.tags.get("sha256"):
        raise ModelError(
            f"{version.name} version {version.version}: its files do not match their SHA-256 ({folder}); train again"
        )
    return folder


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "MLmodel":  # MLflow's own, which says when it was written
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's migrations and notices out of the user's terminal."""
    import logging
    import warnings

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
