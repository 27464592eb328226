import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UsageError
from fairlead.evaluation import simulate
from fairlead.evaluation.simulate.events import KINDS, Event, check, columns, parse
from fairlead.evaluation.simulate.synthetic import ENDPOINTS


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("outage provider=openai from=3d for=2h", Event(kind="outage", provider="openai", from_s=259200, for_s=7200)),
        ("price model=X factor=0.5 from=7d", Event(kind="price", model="X", factor=0.5, from_s=604800)),
        ("drift route=code quality=-0.1 from=90s", Event(kind="drift", route="code", quality=-0.1, from_s=90)),
        ("arrives model=X from=1.5h", Event(kind="arrives", model="X", from_s=5400)),
        ("slow provider=Y factor=2 from=0m for=30m", Event(kind="slow", provider="Y", factor=2, from_s=0, for_s=1800)),
    ],
)  # fmt: skip
def test_an_event_is_read_as_it_is_written(text: str, event: Event) -> None:
    assert parse(text) == event


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no kind ''; one of outage, slow, price"),
        ("flood from=1d", "no kind 'flood'"),
        ("outage from=1d", "for is missing; outage takes from, for, provider, model, share"),
        ("outage for=1d", "from is missing"),
        ("outage from=1 for=1d", "from is '1'; write a span such as 90s, 30m, 2h or 3d"),
        ("outage from=1d for=1d share=2", "share is '2'; it is a number from 0 to 1"),
        ("price factor=free from=1d", "factor is 'free'; it is a number from 0.01 to 100"),
        ("drift quality=nan from=1d", "quality is 'nan'; it is a number from -1 to 1"),
        (
            "price factor=2 from=1d from=2d",
            "cannot read 'from=2d'; price takes from, factor, provider, model, for",
        ),
        ("price factor=2 from=1d route=code", "cannot read 'route=code'"),
        ("price factor from=1d", "cannot read 'factor'"),
        ("arrives from=1d", "say which provider or model arrives"),
        ("retires model=X from=1d for=2d", "cannot read 'for=2d'"),
    ],
)
def test_what_is_no_event_is_refused_with_what_to_write(text: str, fault: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse(text)

    assert fault in str(refusal.value)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("outage provider=openia from=1d for=1h", "outage: no provider 'openia'; the endpoints are openai/gpt-4o-mini"),
        (
            "price provider=openai model=claude-haiku-4-5 factor=2 from=1d",
            "no provider 'openai' model 'claude-haiku-4-5'",
        ),
        ("drift route=poems quality=0.1 from=1d", "drift: no route 'poems'; there are code"),
        ("slow factor=2 from=15d", "slow: begins after 15 days, the traffic lasts 14"),
    ],
)
def test_an_event_that_befalls_nothing_is_refused(text: str, fault: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check([parse(text)], ENDPOINTS, {"code"}, 14)

    assert fault in str(refusal.value)


@given(
    st.sampled_from(list(KINDS)),
    st.text(alphabet="=- .0123456789smhdprovidermodelfactorqualityshareroutefrom", max_size=40),
)
def test_any_text_is_an_event_or_refused(kind: str, rest: str) -> None:
    try:
        event = parse(f"{kind} {rest}")
    except UsageError:
        return
    assert event.kind == kind
    assert event.from_s < event.to_s or event.for_s == 0


def test_an_event_befalls_the_endpoints_that_it_names() -> None:
    assert columns(parse("slow factor=2 from=1d"), ENDPOINTS) == list(range(len(ENDPOINTS)))
    assert columns(parse("slow provider=openai factor=2 from=1d"), ENDPOINTS) == [0, 5]
    assert columns(parse("slow model=openai/gpt-4.1 factor=2 from=1d"), ENDPOINTS) == [5]


def test_a_world_in_which_nothing_can_be_called_is_refused(tmp_path) -> None:
    gone = [simulate.parse(f"retires provider={name} from=1d") for name in ("openai", "anthropic")]

    with pytest.raises(UsageError, match="at some time no endpoint is left to call"):
        simulate.run(tmp_path / "none", requests=50, endpoints=2, events=gone)
