from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import ingest, store
from fairlead.ingest import feedback
from fairlead.ingest.quarantine import BadRecordError
from fairlead.project import Project

SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["win", "up"])
KINDS = st.sampled_from(["numeric", "boolean", "categorical", "text", "preference", None])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"score_value": True}, ("boolean", 1.0, 1.0)),
        ({"score_value": False}, ("boolean", 0.0, 0.0)),
        ({"score_value": 1.0, "value_type": "boolean"}, ("boolean", 1.0, 1.0)),
        ({"score_value": 7.0}, ("numeric", 7.0, None)),
        ({"score_value": -10, "scale_min": -10, "scale_max": 10}, ("numeric", -10, 0.0)),
        ({"score_value": 2.0, "scale_min": 5.0, "scale_max": 1.0}, ("numeric", 2.0, 0.75)),
        ({"score_value": 3.0, "score_normalized": 0.1, "scale_min": 1, "scale_max": 5}, ("numeric", 3.0, 0.1)),
        ({"score_label": "fine"}, ("categorical", None, None)),
        ({}, ("text", None, None)),
        ({"value_type": "preference", "score_label": "Winner"}, ("preference", 1.0, 1.0)),
        ({"value_type": "preference", "score_value": 0.5}, ("preference", 0.5, 0.5)),
        ({"value_type": "preference", "score_value": False}, ("preference", 0.0, 0.0)),
        ({"name": "copied", "evaluator_kind": "implicit"}, ("boolean", 1.0, 1.0)),
        ({"name": "Regenerate", "evaluator_kind": "implicit", "score_value": True}, ("boolean", 1.0, 0.0)),
        ({"name": "accepted", "evaluator_kind": "implicit", "score_value": 0}, ("boolean", 0.0, 0.0)),
        ({"name": "copied", "evaluator_kind": "human", "score_value": False}, ("boolean", 0.0, 0.0)),
        ({"name": "seconds_read", "evaluator_kind": "implicit", "score_value": 9.0}, ("numeric", 9.0, None)),
    ],
)
def test_every_kind_of_feedback_is_brought_to_one_scale(said: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = dict(said)

    feedback.normalise(found)

    assert (found["value_type"], found.get("score_value"), found.get("score_normalized")) == expected


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"score_value": 6.0, "scale_min": 1.0, "scale_max": 5.0}, "out_of_range"),
        ({"score_value": 1.0, "scale_min": 1.0, "scale_max": 1.0}, "out_of_range"),
        ({"score_value": 0.7, "value_type": "preference"}, "unknown_value"),
        ({"score_label": "a secret", "value_type": "preference"}, "unknown_value"),
    ],
)
def test_a_score_that_means_nothing_is_refused_without_quoting_it(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecordError) as fault:
        feedback.normalise(dict(said))

    assert fault.value.reason == reason
    assert "secret" not in str(fault.value)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "value_type": KINDS,
            "evaluator_kind": st.sampled_from(["human", "implicit"]),
            "name": SCALAR,
            **dict.fromkeys(("score_value", "score_label", "scale_min", "scale_max"), SCALAR),
        },
    )
)
def test_whatever_is_said_ends_on_the_scale_or_is_refused(said: dict[str, Any]) -> None:
    found = dict(said)
    try:
        feedback.normalise(found)
    except (BadRecordError, OverflowError):
        return

    normal = found.get("score_normalized")
    assert normal is None or 0 <= normal <= 1


def test_a_judge_keeps_its_model_and_cost_and_a_preference_its_other_side(project: Project, tmp_path: Path) -> None:
    names = ("target_id", "time", "name", "evaluator_kind", "evaluator_model", "evaluator_cost_usd", "score_value",
             "scale_min", "scale_max", "value_type", "score_label", "other_target_id")  # fmt: skip
    (tmp_path / "said.toml").write_text(
        'table = "feedback"\nsource = "judges"\n[columns]\n' + "".join(f'{name} = "{name}"\n' for name in names)
    )
    (tmp_path / "said.jsonl").write_text(
        '{"target_id":"r1","time":"2026-01-02","name":"good","evaluator_kind":"llm","evaluator_model":"m",'
        '"evaluator_cost_usd":"0.002","score_value":4,"scale_min":1,"scale_max":5}\n'
        '{"target_id":"r1","time":"2026-01-02","name":"arena","evaluator_kind":"human","value_type":"preference",'
        '"score_label":"tie","other_target_id":"r2"}\n'
    )

    ingest.load(project, [tmp_path / "said.jsonl"])

    con = store.open_lake(project.lake).connect()
    rows = con.sql(
        "select evaluator_model, evaluator_cost_usd::varchar, value_type, score_value, score_normalized,"
        " other_target_id from feedback order by name desc"
    ).fetchall()
    con.close()
    assert rows == [("m", "0.002000000000", "numeric", 4.0, 0.75, None), (None, None, "preference", 0.5, 0.5, "r2")]
