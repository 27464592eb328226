"""What several folders of tests share."""

import os
import shutil
from pathlib import Path

import pytest

from fairlead import evaluation, features, ingest, publish, training
from fairlead import project as projects
from fairlead.evaluation import simulate

# Two workers on two cores are slower with four threads each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
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
