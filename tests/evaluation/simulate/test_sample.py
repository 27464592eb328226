import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.evaluation.simulate.opinions import FEEDBACK_MAPPING
from fairlead.evaluation.simulate.synthetic import ENDPOINTS
from fairlead.evaluation.simulate.world import Endpoint
from fairlead.ingest import prices

DATA = Path(__file__).parents[3] / "data"


def test_the_sample_in_data_is_small_and_its_scores_belong_to_its_requests() -> None:
    log, feedback = DATA / "requests.jsonl", DATA / "requests.feedback.jsonl"

    answered = {
        record["trace_id"]
        for record in map(json.loads, log.read_text(encoding="utf-8").splitlines())
        if record["status"] == "success"
    }
    scored = [json.loads(line)["request_id"] for line in feedback.read_text(encoding="utf-8").splitlines()]

    assert log.stat().st_size < 800_000
    assert len(scored) == len(set(scored)) == 158
    assert set(scored) == answered


def test_the_sample_is_mapped_as_simulate_maps() -> None:
    mapping = (DATA / "requests.feedback.toml").read_text(encoding="utf-8")

    assert mapping == FEEDBACK_MAPPING
    assert tomllib.loads(mapping)["constants"]["target_kind"] == "request"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_made_up_endpoints_cost_what_the_catalogue_says(endpoint: Endpoint) -> None:
    rates = prices.read(DATA / "prices.csv").lookup(
        endpoint.provider, endpoint.model, datetime(2026, 10, 6, tzinfo=UTC)
    )

    assert rates is not None
    assert (float(rates.input * 1_000_000), float(rates.output * 1_000_000)) == (
        endpoint.input_usd,
        endpoint.output_usd,
    )
