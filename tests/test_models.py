from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead import features, ingest
from fairlead import project as projects
from fairlead.features import Joined
from fairlead.training import logs, spec
from fairlead.training.failure import fit_failure
from fairlead.training.fit import fit_head

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "models").glob("*.toml"))
OF_REQUESTS = [path for path in FILES if not spec.of_series(path)]
# What a router predicts before it chooses; scoring reads these heads by name.
HEADS = {
    "failure": ["failure"],
    "cost": ["input_tokens", "output_tokens", "output_tokens_p90"],
    "latency": ["latency_s", "latency_p90_s", "ttft_s", "ttft_p90_s"],
    "quality": ["quality"],
}


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Joined:
    here = projects.init(tmp_path_factory.mktemp("models") / "project")
    ingest.load(here, [ROOT / "data" / "requests.jsonl", ROOT / "data" / "requests.feedback.jsonl"])
    return features.join(here)


def test_the_predictors_are_those_that_scoring_reads() -> None:
    assert {one.name: [head.name for head in one.heads] for one in spec.read_all(ROOT / "models")} == HEADS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_what_it_predicts(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith("# ")
    assert "?" in first


def test_demand_and_anomaly_are_declared_beside_them() -> None:
    assert [path.stem for path in FILES if spec.of_series(path)] == ["anomaly", "demand"]


@pytest.mark.parametrize("path", OF_REQUESTS, ids=lambda path: path.stem)
def test_every_feature_exists_and_every_predictor_fits_on_the_sample(path: Path, joined: Joined) -> None:
    one = spec.read(path)
    frame = logs.frame_of(joined)
    hidden = logs.hidden(frame, one, joined)

    fit = fit_failure if one.method == "rates" else fit_head
    fitted = [fit(replace(frame, hidden=hidden), plan, one.params) for plan in one.heads]

    assert {pattern.split(".")[0] for pattern in one.features} <= set(joined.table_of.values())
    assert hidden < {column.name for column in frame.columns}
    for head in fitted:
        assert head.table.shape == (frame.routes + 1, len(frame.endpoints))
        assert np.isfinite(head.oof).all()
        assert head.metrics["loss_served"] < 2 * head.metrics["loss_endpoint_mean"]
