from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead import store
from fairlead.project import Project
from fairlead.schema import Attempt, Feedback, RequestFeatures
from fairlead.scoring.request import text_features

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    """A function that makes one attempt, `minutes` after noon."""

    def make(number: int, minutes: float = 0.0, **changes: Any) -> Attempt:
        values = {
            "event_id": f"event-{number}",
            "event_date": NOON.date(),
            "source": "test",
            "source_record_id": str(number),
            "ingested_at": NOON,
            "request_id": f"request-{number}",
            "provider_name": "openai",
            "response_model": "m",
            "start_time": NOON + timedelta(minutes=minutes),
            "duration_s": 1.0,
            "status": "ok",
            "is_final": True,
        }
        return Attempt(**{**values, **changes})

    return make


@pytest.fixture
def score() -> Callable[..., Feedback]:
    """A function that makes one score of a request or a trace."""

    def make(number: int, target: str, value: float | None, **changes: Any) -> Feedback:
        values = {
            "feedback_id": f"feedback-{number}",
            "event_date": NOON.date(),
            "source": "test",
            "time": NOON,
            "ingested_at": NOON,
            "target_kind": "request",
            "target_id": target,
            "name": "thumb",
            "value_type": "numeric",
            "score_normalized": value,
            "evaluator_kind": "human",
        }
        return Feedback(**{**values, **changes})

    return make


@pytest.fixture
def stored() -> Callable[..., Project]:
    """A function that commits attempts, with their request features, and feedback to a project's lake."""

    def load(project: Project, attempts: list[Attempt], feedback: list[Feedback] | None = None) -> Project:
        shapes = [
            RequestFeatures(
                event_id=one.event_id,
                event_date=one.event_date,
                source=one.source,
                request_id=one.request_id,
                start_time=one.start_time,
                feature_version=1,
                route="maths",
                text=text_features(one.request_id).tolist(),
            )
            for one in attempts
        ]
        name = f"{len(attempts)}-{attempts[0].event_id}"
        with store.open_lake(project.lake).loading(store.SourceFile(path=name, sha256=name, bytes=1)) as loading:
            loading.add("attempts", attempts)
            loading.add("request_features", shapes)
            loading.add("feedback", feedback or [])
            loading.commit()
        return project

    return load
