"""Each fault, planted in a small sound lake, turns the check that is there for it, and no other."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from fairlead import store
from fairlead.project import Project
from fairlead.reports import health, render
from fairlead.schema import Attempt, Feedback, Quarantined, RequestFeatures, record_id

DAYS, AN_HOUR = 20, 6
START = datetime(2026, 11, 2, tzinfo=UTC)
NOW = START + timedelta(days=DAYS, hours=1)
MODELS = ("big", "small")
Fault = Callable[[list[Attempt], list[Feedback]], Any]
PRICES = (
    "provider_name,model,region,service_tier,min_input_tokens,valid_from,input,output,cache_read,cache_creation,"
    "cache_creation_1h,reasoning,context_window,max_output_tokens,catalog,catalog_version,retrieved_at\n"
    "openai,big,,standard,0,,1,1,,,,,1000,500,mine,1,2026-01-01\n"
)


def sound() -> tuple[list[Attempt], list[Feedback]]:
    """Make twenty days of calls, six an hour, two models, each prompt asked of both, each answer scored a bit later."""
    rng = np.random.default_rng(0)
    attempts, feedback = [], []
    for number in range(DAYS * 24 * AN_HOUR):
        start = START + timedelta(minutes=number * 60 / AN_HOUR, microseconds=int(rng.integers(0, 1_000_000)))
        pair, swapped = number // 2, (number // 2) % 2
        prompt = hashlib.sha256(str(pair).encode()).digest()
        own = f"r{number}"
        attempts.append(
            Attempt(
                event_id=f"e{number}", event_date=start.date(), source="gateway", source_record_id=own,
                ingested_at=start.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=62),
                request_id=own, trace_id=f"t{number}", response_id=f"a{number}", team_id=("one", "two")[pair % 2],
                provider_name="openai", response_model=MODELS[(number + swapped) % 2], start_time=start,
                duration_s=2.0, time_to_first_chunk_s=0.5, status="ok", request_max_tokens=500,
                input_tokens=100, output_tokens=50, list_cost_usd=Decimal("0.01"), reported_cost_usd=Decimal("0.01"),
                propensity=0.5, prompt_sha256=prompt,
            )
        )  # fmt: skip
        score = float(rng.random() < (0.9 if prompt[0] % 2 else 0.2))
        feedback.append(
            Feedback(
                feedback_id=f"f{number}", event_date=start.date(), source="thumbs", time=start + timedelta(minutes=20),
                ingested_at=start + timedelta(hours=2), target_kind="request", target_id=own, name="thumb",
                value_type="boolean", score_value=score, score_normalized=score, evaluator_kind="human",
            )
        )  # fmt: skip
    return attempts, feedback


def store_all(project: Project, *rows: Any, name: str = "log.jsonl") -> None:
    with store.open_lake(project.lake).loading(store.SourceFile(path=name, sha256=record_id(name), bytes=1)) as load:
        for row in rows:
            load.quarantine(row) if isinstance(row, Quarantined) else load.record((row,))
        load.commit()


def verdicts(project: Project) -> dict[str, str]:
    return {check.name: check.verdict for check in health(project, now=NOW).checks}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.prices.parent.mkdir()
    made.prices.write_text(PRICES)
    return made


def test_a_sound_lake_has_nothing_to_say(project: Project) -> None:
    attempts, feedback = sound()
    store_all(project, *attempts, *feedback)

    found = health(project, now=NOW)

    assert {check.name: check.meaning for check in found.checks if check.verdict != "fine"} == {}
    assert all(check.threshold and not check.action for check in found.checks)
    assert found.bad == []


def test_an_empty_lake_has_nothing_to_check(project: Project) -> None:
    assert set(verdicts(project).values()) == {"none"}


def change(where: Callable[[int], bool], **new: Any) -> Fault:
    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        for number, attempt in enumerate(attempts):
            if where(number):
                for name, value in new.items():
                    setattr(attempt, name, value(attempt) if callable(value) else value)

    return plant


def ahead(step: int, minutes: int) -> Fault:
    """Start calls after they were ingested; their scores go, or they would come before the call."""

    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        change(every(step), start_time=lambda a: a.ingested_at + timedelta(minutes=minutes))(attempts, feedback)
        feedback[:] = [one for one in feedback if int(one.target_id[1:]) % step != 7]

    return plant


def every(step: int) -> Callable[[int], bool]:
    return lambda number: number % step == 7


def on_the_tenth(attempt: Attempt) -> bool:
    return attempt.start_time.date() == (START + timedelta(days=9)).date()


def again(**new: Any) -> Fault:
    """Store one call in fifty a second time, changed."""

    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        for attempt in attempts[7::50]:
            made = {name: getattr(attempt, name) for name in attempt.__struct_fields__}
            ids = {name: f"{made[name]}-again" for name in ("event_id", "request_id", "source_record_id")}
            more = {name: value(attempt) if callable(value) else value for name, value in new.items()}
            attempts.append(Attempt(**made | ids | more))

    return plant


def set_quarantine(detail: str, reason: str, lines: int) -> Fault:
    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> list[Quarantined]:
        return [
            Quarantined(quarantine_id=f"q{n}", event_date=START.date(), source="ingest", ingested_at=START,
                        file="in/bad.jsonl", line=n, reason=reason, detail=detail, sha256="ab")
            for n in range(lines)
        ]  # fmt: skip

    return plant


def drop_feedback(where: Callable[[Feedback], bool]) -> Fault:
    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        feedback[:] = [one for one in feedback if not where(one)]

    return plant


def drop_attempts(where: Callable[[Attempt], bool], **moved: Any) -> Fault:
    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        gone = {one.request_id for one in attempts if where(one)}
        attempts[:] = [one for one in attempts if one.request_id not in gone]
        feedback[:] = [one for one in feedback if one.target_id not in gone]

    return plant


def alter_feedback(**new: Any) -> Fault:
    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        for one in feedback[3::4]:
            for name, value in new.items():
                setattr(one, name, value(one))

    return plant


def shift_day(attempts: list[Attempt], feedback: list[Feedback]) -> None:
    """Give each score of two days to the request before."""
    mine = feedback[5 * 144 : 7 * 144]
    scores = [one.score_normalized for one in mine]
    for one, score in zip(mine, np.roll(scores, 1).tolist(), strict=True):
        one.score_normalized = score


def other_source(shift: timedelta, share: int) -> Fault:
    def plant(attempts: list[Attempt], feedback: list[Feedback]) -> None:
        change(lambda number: number % share < share // 2, source="proxy")(attempts, feedback)
        for attempt in [one for one in attempts if one.source == "proxy"][:40]:
            made = {name: getattr(attempt, name) for name in attempt.__struct_fields__}
            new = {name: f"{made[name]}-span" for name in ("event_id", "request_id", "source_record_id")}
            new |= {"source": "gateway", "response_id": None, "prompt_sha256": None}
            attempts.append(Attempt(**made | new | {"start_time": attempt.start_time + shift}))

    return plant


FAULTS: dict[str, tuple[Fault, set[str], str]] = {
    "one in fifty lines unread": (set_quarantine("", "not_json", 120), {"unreadable lines"}, "look"),
    "ends before starts": (set_quarantine("duration_s", "out_of_range", 2), {"ends before starts"}, "look"),
    "clock a little ahead": (
        ahead(900, 3), {"future starts"}, "look"),
    "clock far ahead": (
        ahead(90, 17), {"future starts"}, "bad"),
    "first chunk after the end": (change(every(900), time_to_first_chunk_s=9.0), {"ends before starts"}, "bad"),
    "late ingest": (
        change(lambda n: n % 4 == 0, ingested_at=lambda a: a.start_time + timedelta(days=4)), {"ingest lag"}, "look"),
    "clocks apart": (other_source(timedelta(seconds=30), 2), {"clocks apart"}, "look"),
    "clocks a day apart": (other_source(timedelta(seconds=-90), 2), {"clocks apart"}, "bad"),
    "local time": (
        change(lambda n: True, ingested_at=lambda a: a.ingested_at + timedelta(hours=5, minutes=-11)),
        {"time zone"}, "look"),
    "stored twice": (again(), {"suspected duplicates"}, "bad"),
    "in two sources": (again(source="proxy", trace_id=None), {"calls in two sources"}, "bad"),
    "cached over input": (change(every(900), cache_read_input_tokens=101), {"cached over input"}, "bad"),
    "reasoning over output": (change(every(900), reasoning_output_tokens=51), {"reasoning over output"}, "bad"),
    "over the limit": (change(every(900), output_tokens=900, input_tokens=1), {"output over its limit"}, "bad"),
    "no tokens": (change(every(900), input_tokens=0, output_tokens=0), {"no tokens but ok"}, "bad"),
    "over the context": (
        change(lambda n: n % 90 == 8, input_tokens=2000), {"over the context"}, "bad"),
    "too fast": (change(every(900), duration_s=0.001, time_to_first_chunk_s=None), {"too fast"}, "bad"),
    "no price": (
        change(every(30), list_cost_usd=None, reported_cost_usd=None), {"unpriced attempts"}, "look"),
    "cost off": (
        change(lambda n: (n + n // 2 % 2) % 2 == 0, reported_cost_usd=Decimal("0.012")), {"reported cost"}, "bad"),
    "no propensity": (change(every(10), propensity=None), {"known propensities"}, "look"),
    "a new team": (
        change(lambda n: n > 18 * 144 and n % 9 == 0, team_id="three"), {"newly seen"}, "look"),
    "a team falls silent": (
        change(lambda n: n > 16 * 144, team_id="one"), {"fallen silent"}, "look"),
    "feedback stops": (
        drop_feedback(lambda f: f.time > START + timedelta(days=17)), {"feedback that stopped"}, "look"),
    "a day is missing": (
        drop_attempts(on_the_tenth), {"days with few rows"}, "bad"),
    "most of a day is missing": (
        drop_attempts(lambda a: on_the_tenth(a) and int(a.request_id[1:]) % 144 > 20),
        {"days with few rows"}, "look"),
    "few labels": (
        drop_feedback(lambda f: int(f.target_id[1:]) % 40 > 0), {"feedback coverage", "misaligned labels"}, "look"),
    "scores of no request": (
        alter_feedback(target_id=lambda f: f"{f.target_id}-lost"), {"feedback without a request"}, "look"),
    "late labels": (
        alter_feedback(time=lambda f: f.time + timedelta(days=9)), {"late labels"}, "look"),
    "shifted labels": (shift_day, {"misaligned labels"}, "bad"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_turns_its_check_and_no_other(project: Project, fault: str) -> None:
    plant, expected, verdict = FAULTS[fault]
    attempts, feedback = sound()
    bad = plant(attempts, feedback) or []
    store_all(project, *attempts, *feedback, *bad)

    found = health(project, now=NOW)

    turned = {check.name: check for check in found.checks if check.verdict in ("look", "bad")}
    missing = {check.name for check in found.checks if check.verdict == "none"}
    assert set(turned) | missing == expected, {name: check.meaning for name, check in turned.items()}
    assert verdict in {check.verdict for check in turned.values()}
    assert all(check.action for check in turned.values())


def also_judged(right: float) -> Callable[[Feedback], Feedback]:
    """The same request scored by a judge that agrees with people in `right` of the cases."""
    rng = np.random.default_rng(1)

    def judge(one: Feedback) -> Feedback:
        value = one.score_normalized if rng.random() < right else 1 - (one.score_normalized or 0)
        more = {"evaluator_kind": "llm", "evaluator_model": "judge-1", "source": "judge"}
        return structs.replace(
            one, feedback_id=f"j{one.feedback_id}", score_value=value, score_normalized=value, **more
        )

    return judge


def test_judges_are_held_against_people_and_comparisons_are_counted(project: Project) -> None:
    attempts, feedback = sound()
    judged = list(map(also_judged(0.8), feedback[:400]))
    votes = [
        structs.replace(feedback[n], feedback_id=f"v{n}", value_type="preference", other_target_id=f"r{n + 1}",
                        score_normalized=float(attempts[n].response_model == MODELS[0]), name="arena")
        for n in range(0, 100, 2)
    ]  # fmt: skip
    store_all(project, *attempts, *feedback, *judged, *votes)

    found = {check.name: check for check in health(project, now=NOW).checks}

    assert found["judges"].verdict == "fine"
    assert found["judges"].meaning.startswith("llm thumb judge-1 agrees with people and tests on 400 requests, r 0.")
    assert found["preferences"].verdict == "fine"
    assert found["preferences"].meaning.startswith(f"openai/{MODELS[0]} is preferred to a middling one in ")


def test_a_judge_that_tosses_coins_is_named(project: Project) -> None:
    attempts, feedback = sound()
    store_all(project, *attempts, *feedback, *map(also_judged(0.5), feedback[:300]))

    found = {check.name: check for check in health(project, now=NOW).checks}

    assert found["judges"].verdict == "bad"
    assert "nothing shows that it knows good from bad; it is left out" in found["judges"].meaning


def test_a_damaged_segment_is_named(project: Project) -> None:
    attempts, feedback = sound()
    store_all(project, *attempts, *feedback)
    path = store.open_lake(project.lake).segments("attempts")[3]
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"\0")

    found = {check.name: check for check in health(project, now=NOW).checks}

    # What cannot be read is left out, and missed.
    assert {name for name, check in found.items() if check.verdict == "bad"} == {"segments", "days with few rows"}
    assert path.parent.name in found["segments"].meaning


def test_a_load_that_does_not_add_up_is_named(project: Project) -> None:
    attempts, feedback = sound()
    store_all(project, *attempts, *feedback)
    manifest = sqlite3.connect(project.lake / "manifest.sqlite")
    manifest.execute("update sources set stored = stored - 1")
    manifest.commit()
    manifest.close()

    assert {name for name, verdict in verdicts(project).items() if verdict == "bad"} == {"conservation"}


def test_the_page_shows_the_checks_the_gap_and_where_unread_lines_stand(project: Project) -> None:
    attempts, feedback = sound()
    drop_attempts(on_the_tenth)(attempts, feedback)
    shapes = [
        RequestFeatures(event_id=one.event_id, event_date=one.event_date, source=one.source, request_id=one.request_id,
                        start_time=one.start_time, feature_version=1, route="chat", text=[])
        for one in attempts
    ]  # fmt: skip
    bad = set_quarantine("a field", "wrong_type", 4)([], [])
    store_all(project, *attempts, *feedback, *shapes, *bad)

    page = render(project, now=NOW).read_text(encoding="utf-8")

    assert "Bad: days with few rows." in page
    assert "Far fewer attempts than usual: gateway on 11 November 2026 (0 of 144)." in page
    assert "in/bad.jsonl:3, in/bad.jsonl:2, in/bad.jsonl:1" in page
    assert 'id="lateness"' in page
    assert 'id="pairs"' in page


def test_what_is_found_is_given_as_json(project: Project) -> None:
    import msgspec

    attempts, feedback = sound()
    store_all(project, *attempts, *feedback)

    found = json.loads(msgspec.json.encode(health(project, now=NOW)))

    assert found["checks"][0] == {
        "name": "conservation",
        "group": "loads",
        "value": "holds",
        "verdict": "fine",
        "meaning": "5,760 records in 1 files = 5,760 stored + 0 known + 0 quarantined.",
        "action": "",
        "threshold": "read = stored + known + quarantined, for every file",
    }
