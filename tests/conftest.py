"""What several folders of tests share."""

import os
from pathlib import Path

import pytest

from fairlead import project as projects

# Two workers on two cores are slower with four threads each.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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
