import sys

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.errors import UsageError
from fairlead.scoring import Request, View
from fairlead.scoring.constraints import Constraints
from fairlead.scoring.manifest import Endpoint

BIG = Endpoint(
    name="big",
    provider_name="acme",
    model="big",
    region="eu",
    context_window=100_000,
    max_output_tokens=8_000,
    capabilities=["tools", "vision"],
)
SMALL = Endpoint(
    name="small", provider_name="acme", model="small", region="us", context_window=8_000, capabilities=["tools"]
)
UNKNOWN = Endpoint(name="unknown", provider_name="other", model="unknown")
ALL = [BIG, SMALL, UNKNOWN]


def allowed(constraints, request, view=None):
    return [
        name for name, may in zip(constraints.endpoints, constraints.eligible(request, view).mask, strict=True) if may
    ]


def ejected(*away):
    return replace(View.unknown(3), available=np.array([one.name not in away for one in ALL]))


def test_a_request_that_asks_for_nothing_may_go_anywhere_and_gets_the_same_array_each_time():
    constraints = Constraints(ALL)

    first, again = (constraints.eligible(Request(text="hello"), View.unknown(3)) for _ in range(2))

    assert (first.mask.tolist(), first.status) == ([True] * 3, "ok")
    assert first is again
    with pytest.raises(ValueError, match="read-only"):
        first.mask[0] = False


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"input_tokens": 8_000}, ["big", "small", "unknown"]),
        ({"input_tokens": 8_001}, ["big", "unknown"]),
        ({"input_tokens": 7_000, "max_tokens": 2_000}, ["big", "unknown"]),
        ({"input_tokens": 99_000, "max_tokens": 2_000}, ["unknown"]),
        ({"text": "x" * 32_000}, ["big", "small", "unknown"]),
        ({"text": "x" * 32_004}, ["big", "unknown"]),
        ({"text": "é" * 16_004}, ["big", "unknown"]),
        ({"max_tokens": 8_001}, ["unknown"]),
        ({"tools": 2}, ["big", "small", "unknown"]),
        ({"images": 1}, ["big", "unknown"]),
        ({"needs": ("audio",)}, ["unknown"]),
        ({"regions": ("eu",)}, ["big"]),
        ({"regions": ("eu", "us")}, ["big", "small"]),
        ({"regions": ()}, []),
        ({"providers": ("acme",)}, ["big", "small"]),
        ({"endpoints": ("small", "small", "gone")}, ["small"]),
        ({"endpoints": ("small", "unknown"), "images": 1}, ["unknown"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_rule_leaves_out_who_cannot_serve(asked, names):
    assert allowed(Constraints(ALL), Request(**asked)) == names


def test_a_strict_project_does_not_trust_what_it_does_not_know():
    assert allowed(Constraints(ALL, strict=True), Request(images=1)) == ["big"]


def test_ejected_endpoints_are_left_out_unless_nobody_else_may_serve():
    constraints = Constraints(ALL)

    assert allowed(constraints, Request(), ejected("big")) == ["small", "unknown"]
    alone = constraints.eligible(Request(regions=("eu",)), ejected("big"))
    assert (alone.mask.tolist(), alone.status) == ([True, False, False], "unavailable")


def test_nothing_eligible_is_an_answer_with_reasons_and_no_error():
    constraints = Constraints(ALL)
    asked = Request(
        regions=("asia",), images=1, input_tokens=9_000, max_tokens=9_000, providers=("{x}",), needs=("{y}",)
    )

    answer = constraints.eligible(asked, ejected("small"))

    assert (answer.mask.tolist(), answer.status) == ([False] * 3, "no_eligible")
    assert constraints.reasons(asked, ejected("small")) == {
        "big": (
            "its provider is not among the request's",
            "its region (eu) is not among the request's",
            "it has no (y)",
            "its output limit of 8000 tokens is under 9000",
        ),
        "small": (
            "its provider is not among the request's",
            "its region (us) is not among the request's",
            "it has no (y)",
            "it has no vision",
            "its context window of 8000 tokens is under 18000",
            "it is ejected for now, or asked us to wait",
        ),
        "unknown": (
            "its provider is not among the request's",
            "its region (not known) is not among the request's",
        ),
    }


def test_what_a_strict_project_misses_is_called_unknown():
    found = Constraints(ALL, strict=True).reasons(Request(images=1, endpoints=("big", "unknown")))

    assert found == {
        "small": ("it is not among the request's endpoints", "it has no vision"),
        "unknown": ("it is not known to have vision",),
    }


def test_the_last_resort_may_be_too_small_but_never_where_the_data_must_not_go():
    constraints = Constraints(ALL, strict=True, last_resort="small")

    answers = [
        constraints.eligible(Request(needs=("audio",))),
        constraints.eligible(Request(needs=("audio",), regions=("us",))),
        constraints.eligible(Request(needs=("audio",), regions=("eu",))),
        constraints.eligible(Request(needs=("audio",), providers=("other",))),
        constraints.eligible(Request(needs=("audio",), endpoints=("big",))),
    ]

    assert [(answer.mask.tolist(), answer.status) for answer in answers] == [
        ([False, True, False], "last_resort"),
        ([False, True, False], "last_resort"),
        ([False, False, False], "no_eligible"),
        ([False, False, False], "no_eligible"),
        ([False, False, False], "no_eligible"),
    ]


def test_a_last_resort_that_is_not_there_is_wrong_use():
    with pytest.raises(UsageError, match="last_resort: no endpoint named 'tiny'; there are big, small, unknown"):
        Constraints(ALL, last_resort="tiny")


def test_a_snapshot_without_endpoints_has_nobody():
    answer = Constraints([]).eligible(Request())

    assert (answer.mask.tolist(), answer.status) == ([], "no_eligible")


@pytest.mark.parametrize("value", ["many", float("nan"), -5, [], {}])
def test_what_is_no_count_asks_for_nothing_and_never_raises(value):
    request = Request(input_tokens=value, max_tokens=value)

    assert allowed(Constraints(ALL), request) == ["big", "small", "unknown"]


names = st.sampled_from(["big", "small", "unknown", "gone"])


@settings(max_examples=200, deadline=None)
@cases(
    request=st.builds(
        Request,
        input_tokens=st.none() | st.integers(-1, 200_000),
        max_tokens=st.none() | st.integers(0, 20_000),
        tools=st.none() | st.integers(0, 2),
        images=st.none() | st.integers(0, 2),
        needs=st.lists(st.sampled_from(["tools", "audio"]), max_size=2).map(tuple),
        regions=st.none() | st.lists(st.sampled_from(["eu", "us", "asia"])).map(tuple),
        providers=st.none() | st.lists(st.sampled_from(["acme", "other"])).map(tuple),
        endpoints=st.none() | st.lists(names).map(tuple),
    ),
    away=st.sets(st.sampled_from(["big", "small", "unknown"])),
    strict=st.booleans(),
)
def test_who_is_left_out_has_a_reason_and_who_is_not_has_none(request, away, strict):
    constraints, view = Constraints(ALL, strict=strict), ejected(*away)

    answer, reasons = constraints.eligible(request, view), constraints.reasons(request, view)

    kept = [name for name, may in zip(constraints.endpoints, answer.mask, strict=True) if may]
    if answer.status == "unavailable":
        assert set(kept) <= away
        assert all(reasons[name] == ("it is ejected for now, or asked us to wait",) for name in kept)
    else:
        assert set(reasons) == set(constraints.endpoints) - set(kept)
        assert (answer.status == "ok") == bool(kept)


def test_the_arrays_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(sys.modules["fairlead.scoring.constraints"], "_CACHED", 8)
    many = [Endpoint(name=f"e{place}", provider_name="p", model="m") for place in range(20)]
    constraints = Constraints(many)

    for place in range(20):
        assert allowed(constraints, Request(endpoints=(f"e{place}",))) == [f"e{place}"]

    assert len(constraints._arrays) <= 8
