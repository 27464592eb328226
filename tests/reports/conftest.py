import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead import store
from fairlead.evaluation.judgement import Judgement, from_json
from fairlead.project import Project
from fairlead.schema import Attempt, Feedback, Quarantined, RequestFeatures, record_id

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
ENDPOINTS = (("openai", "gpt-big", "0.02"), ("openai", "gpt-small", "0.002"), ("anthropic", "claude", "0.01"))


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 11, 6, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    def make(number: int, **more: Any) -> Attempt:
        provider, model, cost = ENDPOINTS[number % 3]
        start = START + timedelta(minutes=30 * number)
        values = {
            "event_id": f"e{number}",
            "event_date": start.date(),
            "source": "litellm",
            "source_record_id": f"e{number}",
            "ingested_at": START + timedelta(days=10),
            "request_id": f"r{number}",
            "team_id": ("search", "support", None)[number % 3],
            "provider_name": provider,
            "response_model": model,
            "start_time": start,
            "duration_s": 1.0 + number % 7,
            "time_to_first_chunk_s": 0.2,
            "status": "ok",
            "input_tokens": 100,
            "output_tokens": 50,
            "list_cost_usd": Decimal(cost),
            "reported_cost_usd": Decimal(cost),
            "propensity": 0.5,
        }
        return Attempt(**(values | more))

    return make


@pytest.fixture
def fill(project: Project) -> Callable[..., None]:
    """Commit rows as one source file."""

    def commit(*rows: Any, name: str = "log.jsonl") -> None:
        source = store.SourceFile(path=name, sha256=record_id(name), bytes=1)
        with store.open_lake(project.lake).loading(source) as load:
            for row in rows:
                if isinstance(row, Quarantined):
                    load.quarantine(row)
                else:
                    load.record((row,))
            load.commit()

    return commit


@pytest.fixture
def filled(project: Project, attempt: Callable[..., Attempt], fill: Callable[..., None]) -> Project:
    attempts = [attempt(number) for number in range(300)]
    failed = [
        attempt(number, event_id=f"x{number}", source_record_id=f"x{number}", status="error", error_class="rate_limit",
                start_time=START + timedelta(minutes=30 * number - 1), list_cost_usd=None, reported_cost_usd=None)
        for number in range(0, 300, 10)
    ]  # fmt: skip
    features = [
        RequestFeatures(event_id=row.event_id, event_date=row.event_date, source=row.source, request_id=row.request_id,
                        start_time=row.start_time, feature_version=1, route=("chat", "code")[n % 2], text=[])
        for n, row in enumerate(attempts)
    ]  # fmt: skip
    scores = [
        Feedback(feedback_id=f"f{n}", event_date=row.event_date, source="evals", time=row.start_time,
                 ingested_at=row.ingested_at, target_kind="request", target_id=row.request_id, name="solved",
                 value_type="boolean", score_normalized=float(n % 4 != 0), evaluator_kind="code")
        for n, row in enumerate(attempts[:150])
    ]  # fmt: skip
    bad = Quarantined(quarantine_id="q", event_date=START.date(), source="litellm", ingested_at=START,
                      file="in/log.jsonl", line=17, reason="not JSON", sha256="ab")  # fmt: skip
    fill(*attempts, *failed, *features, *scores, bad)
    return project


@pytest.fixture
def judgement() -> Callable[..., Judgement]:
    """Make a judgement whose candidate saves `saved` and changes quality by `quality`, each (value, low, high)."""

    def estimate(value: float, low: float, high: float) -> dict[str, float]:
        return {"value": value, "low": low, "high": high}

    def policy(name: str, kind: str, cost: float, **more: Any) -> dict[str, Any]:
        metrics = {
            "cost_usd": (cost, cost * 0.9, cost * 1.1),
            "quality": (0.8, 0.79, 0.81),
            "latency_s": (2.0, 1.9, 2.1),
        }
        return {
            "name": name,
            "kind": kind,
            "metrics": {metric: {"dr": estimate(*ends)} for metric, ends in metrics.items()},
            "ess": 1000.0,
            "max_weight_share": 0.01,
            "verdict": "trust",
            "reasons": [],
            "endpoint_shares": {"openai/gpt-big": 0.5, "anthropic/claude": 0.5},
        } | more

    def make(
        saved: tuple[float, float, float] = (0.38, 0.31, 0.44),
        quality: tuple[float, float, float] = (0.0, -0.01, 0.01),
        **candidate: Any,
    ) -> Judgement:
        found = {"savings_share": estimate(*saved), "quality_change": estimate(*quality)}
        cheap = {"savings_share": estimate(0.9, 0.88, 0.92), "quality_change": estimate(-0.1, -0.12, -0.08)}
        table = {"savings_share": estimate(0.2, 0.15, 0.25), "quality_change": estimate(0.0, -0.01, 0.01)}
        text = {
            "judged_at": "2026-11-11T04:00:00Z",
            "window": {"from": "2026-11-01T00:00:00Z", "to": "2026-11-07T00:00:00Z"},
            "requests": 1000,
            "propensities_share": 1.0,
            "candidate": candidate.get("name", "intelligent"),
            "policies": [
                policy("status_quo", "status_quo", 0.01),
                policy("category_table", "baseline", 0.008, **table),
                policy("all_cheap", "baseline", 0.001, **cheap),
                policy("intelligent", "candidate", 0.0062) | found | candidate,
            ],
        }
        return from_json(json.dumps(text))

    return make


@pytest.fixture
def judged(project: Project) -> Callable[[Judgement], Project]:
    from fairlead.evaluation.judgement import to_json

    def write(found: Judgement) -> Project:
        folder = project.var / "judgements"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "latest.json").write_bytes(to_json(found))
        return project

    return write
