"""The model registry: MLflow on SQLite, versions and the `champion` alias. The only module that knows MLflow."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from fairlead.errors import ModelError
from fairlead.training import predictor as files
from fairlead.training.predictor import TrainedPredictor

__all__ = ["CHAMPION", "Registered", "Registry"]

CHAMPION: Final = "champion"
_FOLDER: Final = "predictor"
_EXPERIMENT: Final = "fairlead"


class Registered(Struct, frozen=True):
    """One registered version of a predictor."""

    name: str
    version: int
    run_id: str
    predictor: TrainedPredictor


class Registry:
    """Tracks runs and registers predictors under `folder`: `mlflow.db` and the artifacts beside it."""

    def __init__(self, folder: Path) -> None:
        # MLflow reports home, loads pickles and waits four minutes for a dead server unless told otherwise.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
        import mlflow

        folder.mkdir(parents=True, exist_ok=True)
        self.uri = f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        self._artifacts = (folder / "artifacts").resolve()
        with _quiet():
            self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            found = self._client.get_experiment_by_name(_EXPERIMENT)
            self._experiment = (
                found.experiment_id
                if found
                else self._client.create_experiment(_EXPERIMENT, artifact_location=self._artifacts.as_uri())
            )

    def register(self, predictor: TrainedPredictor, decision: str) -> Registered:
        """Track a fit as a run and register it as a new version, not yet the champion."""
        name = predictor.spec.name
        with _quiet():
            run = self._client.create_run(self._experiment, run_name=name, tags={"predictor": name, "gate": decision})
            run_id: str = run.info.run_id
            for key, value in _params(predictor).items():
                self._client.log_param(run_id, key, value)
            for head in predictor.heads:
                for key, number in head.metrics.items():
                    self._client.log_metric(run_id, f"{head.plan.name}.{key}", number)
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / _FOLDER
                files.write(predictor, folder)
                digest = _digest(folder)
                self._client.log_artifacts(run_id, str(folder), _FOLDER)
            self._client.set_terminated(run_id)
            self._ensure(name)
            version = self._client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{_FOLDER}",
                run_id=run_id,
                tags={"sha256": digest, "gate": decision},
            )
        return Registered(name, int(version.version), run_id, predictor)

    def promote(self, registered: Registered) -> None:
        """Make a version the champion of its name."""
        with _quiet():
            self._client.set_registered_model_alias(registered.name, CHAMPION, str(registered.version))

    def champion(self, name: str) -> Registered | None:
        """Give the champion of a name, checked against its SHA-256; None when there is none yet."""
        from mlflow.exceptions import MlflowException

        try:
            with _quiet():
                version: Any = self._client.get_model_version_by_alias(name, CHAMPION)
                local = Path(self._client.download_artifacts(version.run_id, _FOLDER))
        except MlflowException:
            return None
        if _digest(local) != version.tags.get("sha256"):
            raise ModelError(
                f"{name} version {version.version}: its files do not match their SHA-256 ({local}); train again"
            )
        return Registered(name, int(version.version), version.run_id, files.read(local))

    def _ensure(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(name)
        except MlflowException:
            self._client.create_registered_model(name)


def _params(predictor: TrainedPredictor) -> dict[str, Any]:
    shape = {"rows": predictor.rows, "endpoints": len(predictor.endpoints), "columns": len(predictor.columns)}
    grown = {f: getattr(predictor.spec.params, f) for f in predictor.spec.params.__struct_fields__}
    served = {f"{head.plan.name}.serve": head.serve for head in predictor.heads}
    return {**shape, **grown, **served}


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
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
