import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import msgspec
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from mlflow.gateway.config import GatewayConfig

from fairlead import features
from fairlead.errors import EvidenceError, ReadError, UsageError
from fairlead.features import pushed
from fairlead.publish.weights import FORMATS, Shares, Target, parts, pushed_of, shares_of, written
from fairlead.scoring.policies import make
from fairlead.scoring.predict import Predictor
from fairlead.scoring.snapshot import open_published
from fairlead.training import logs

NOW = datetime(2026, 1, 10, tzinfo=UTC)
TARGETS = {
    "openai/gpt-4o": Target(name="openai/gpt-4o", provider="openai", model="gpt-4o"),
    "aws.bedrock/claude": Target(name="aws.bedrock/claude", provider="aws.bedrock", model="claude"),
    "gcp.gemini/flash": Target(name="gcp.gemini/flash", provider="gcp.gemini", model="flash"),
}


def _shares(total=1000, by_route=True):
    third = parts(dict.fromkeys(TARGETS, 1 / 3), total)
    maths = parts({"openai/gpt-4o": 0.9, "aws.bedrock/claude": 0.1}, total)
    return Shares(
        total=total,
        parts={"": third, **({"maths": maths} if by_route else {})},
        targets=TARGETS,
        requests={"": 300, "maths": 100},
        start=NOW - timedelta(days=7),
        end=NOW,
        policy="intelligent",
        policy_version="7+abcdef0123456789",
    )


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(1e-9, 1), min_size=1, max_size=30),
    st.sampled_from([100, 1000]),
)
def test_parts_sum_exactly_and_none_is_a_whole_one_off(shares, total):
    found = parts(shares, total)

    exact = {name: Fraction(share) / sum(map(Fraction, shares.values())) * total for name, share in shares.items()}
    assert sum(found.values()) == total
    assert all(abs(found.get(name, 0) - value) <= 1 + Fraction(1, 10**6) for name, value in exact.items())
    assert 0 not in found.values()


@pytest.mark.parametrize("shares", [{"a": 0.0}, {"a": float("nan")}, {"a": 2.0, "b": -1.0}])
def test_shares_that_sum_to_nothing_are_refused(shares):
    with pytest.raises(UsageError, match="do not sum to anything"):
        parts(shares)


def test_shares_are_the_means_of_what_the_policy_would_choose(trained):
    project, _ = trained
    snapshot, _ = open_published(project.published)
    joined = features.join(project)
    rows = joined.rows.sort("start_time", "event_id").unique("request_id", keep="first", maintain_order=True)
    rows = rows.filter(pl.col("start_time") > rows["start_time"].max() - timedelta(days=7))
    policy = make(snapshot.manifest.policy, snapshot.manifest.parameters)
    chances = policy.probabilities(Predictor(snapshot).candidates(logs.requests_of(rows, joined)))

    found = shares_of(project, by_route=True, explore=0.2)

    used = (chances > 0).any(axis=0)
    chances = 0.8 * chances + 0.2 * used / used.sum()
    routes = {name for name, count in rows["route"].value_counts().rows() if name and count >= 50}
    assert found.requests[""] == rows.height
    assert found.parts.keys() == {"", *routes}
    assert len(routes) > 1
    for route in ("", *routes):
        mine = (rows["route"] == route).to_numpy() if route else slice(None)
        own = dict(zip(snapshot.endpoints, chances[mine].mean(axis=0).tolist(), strict=True))
        assert found.parts[route] == parts(own)
        assert all(abs(found.of(route)[name] - share) <= 1e-3 for name, share in own.items() if share > 1e-3)


def test_a_log_without_requests_gives_no_shares(trained, project):
    project.published.parent.mkdir(parents=True, exist_ok=True)
    project.published.symlink_to(trained[0].published)

    with pytest.raises(EvidenceError, match="no request in the log"):
        shares_of(project)
    with pytest.raises(UsageError, match="explore is 2"):
        shares_of(project, explore=2)


def test_litellms_models_have_the_weights_and_the_names_of_the_log():
    said = yaml.safe_load(written(_shares(by_route=False), "litellm", "chat"))

    assert said["router_settings"] == {"routing_strategy": "simple-shuffle"}
    assert [
        (one["model_name"], one["litellm_params"]["model"], one["litellm_params"]["weight"], one["model_info"]["id"])
        for one in said["model_list"]
    ] == [
        ("chat", "openai/gpt-4o", 333, "openai/gpt-4o"),
        ("chat", "bedrock/claude", 334, "aws.bedrock/claude"),
        ("chat", "gemini/flash", 333, "gcp.gemini/flash"),
    ]
    assert said["model_list"][0]["litellm_params"]["api_key"] == "os.environ/OPENAI_API_KEY"


def test_portkeys_config_tells_routes_apart_by_metadata():
    plain = json.loads(written(_shares(by_route=False), "portkey", "chat"))
    said = json.loads(written(_shares(), "portkey", "chat"))

    assert plain["strategy"] == {"mode": "loadbalance"}
    assert sum(one["weight"] for one in plain["targets"]) == 1000
    assert said["strategy"] == {
        "mode": "conditional",
        "conditions": [{"query": {"metadata.route": {"$eq": "maths"}}, "then": "route-1"}],
        "default": "others",
    }
    assert said["targets"][1] == {
        "name": "route-1",
        "strategy": {"mode": "loadbalance"},
        "targets": [
            {"provider": "openai", "override_params": {"model": "gpt-4o"}, "weight": 900},
            {"provider": "bedrock", "override_params": {"model": "claude"}, "weight": 100},
        ],
    }


def test_envoys_route_sets_the_headers_that_its_log_needs():
    said = yaml.safe_load(written(_shares(), "envoy", "chat"))

    first, last = said["spec"]["rules"]
    assert said["kind"] == "HTTPRoute"
    assert first["matches"] == [
        {"headers": [{"name": "x-ai-eg-model", "value": "chat"}, {"name": "x-fairlead-route", "value": "maths"}]}
    ]
    assert [(one["name"], one["weight"]) for one in first["backendRefs"]] == [
        ("openai-gpt-4o", 900),
        ("aws-bedrock-claude", 100),
    ]
    put = first["backendRefs"][0]["filters"][0]["requestHeaderModifier"]["set"]
    assert {one["name"]: one["value"] for one in put} == {
        "x-fairlead-model": "openai/gpt-4o",
        "x-fairlead-propensity": "0.9",
        "x-fairlead-policy-id": "weights",
        "x-fairlead-policy-version": "7+abcdef0123456789",
    }
    assert sum(one["weight"] for one in last["backendRefs"]) == 1000


def test_mlflows_gateway_takes_its_split(monkeypatch):
    for name in ("OPENAI_API_KEY", "GCP_GEMINI_API_KEY"):
        monkeypatch.setenv(name, "none")
    shares = msgspec.structs.replace(
        _shares(100), parts={"": {"openai/gpt-4o": 70, "gcp.gemini/flash": 30}, "maths": {"openai/gpt-4o": 100}}
    )

    said = yaml.safe_load(written(shares, "mlflow", "chat"))

    checked = GatewayConfig(**said)
    assert [(one.name, one.endpoint_type) for one in checked.endpoints] == [
        ("openai-gpt-4o", "llm/v1/chat"),
        ("gcp-gemini-flash", "llm/v1/chat"),
    ]
    assert [(one.name, [(to.name, to.traffic_percentage) for to in one.destinations]) for one in checked.routes] == [
        ("chat", [("openai-gpt-4o", 70), ("gcp-gemini-flash", 30)]),
        ("chat-maths", [("openai-gpt-4o", 100)]),
    ]


def test_kongs_targets_have_weights_and_name_their_keys_only():
    said = json.loads(written(_shares(), "kong", "chat"))

    assert [one["route"] for one in said["plugins"]] == ["chat", "chat-maths"]
    assert said["plugins"][1]["config"]["targets"][0] == {
        "route_type": "llm/v1/chat",
        "model": {"provider": "openai", "name": "gpt-4o"},
        "auth": {"header_name": "Authorization", "header_value": "{vault://env/openai-api-key}"},
        "weight": 900,
    }
    assert all(sum(to["weight"] for to in one["config"]["targets"]) == 1000 for one in said["plugins"])


def _rows(endpoints, *, source="litellm_payload", start=NOW, route=None, name="chat"):
    count = len(endpoints)
    return pl.DataFrame(
        {
            "request_id": [f"{source}-{start}-{number}" for number in range(count)],
            "start_time": [start + timedelta(seconds=number) for number in range(count)],
            "endpoint": endpoints,
            "propensity": pl.Series([None] * count, dtype=pl.Float64),
            "policy_id": pl.Series([None] * count, dtype=pl.String),
            "policy_version": pl.Series([None] * count, dtype=pl.String),
            "route": pl.Series([route] * count, dtype=pl.String),
            "pushed.source": [source] * count,
            "pushed.name": [name] * count,
        }
    )


def _push(**more):
    shares = {"": {"a": 0.5, "b": 0.5}, "maths": {"a": 0.9, "b": 0.1}}
    told = {
        "id": "litellm-1", "since": NOW, "gateway": "litellm", "sources": ["litellm_payload"], "name": "chat",
        "policy": "intelligent", "policy_version": "1+a", "requests": 9, "shares": shares,
    }  # fmt: skip
    return pushed.Pushed(**{**told, **more})


HALF = ["a", "b"] * 10
TENTH = ["a"] * 18 + ["b"] * 2


def _filled(rows, *pushes):
    found = pushed.fill(rows, sorted(pushes, key=lambda one: one.since))
    return dict(zip(found["endpoint"].to_list(), found["propensity"].to_list(), strict=True))


def test_what_was_drawn_by_a_push_gets_its_share():
    found = pushed.fill(
        pl.concat([_rows(HALF), _rows(TENTH, route="maths", start=NOW + timedelta(hours=1))]), [_push()]
    )

    assert found["propensity"].to_list() == [0.5] * 20 + [0.9] * 18 + [0.1] * 2
    assert set(found["policy_id"]) == {"weights"}
    assert set(found["policy_version"]) == {"litellm-1"}


@pytest.mark.parametrize(
    "rows",
    [
        _rows(HALF, start=NOW - timedelta(hours=1)),  # before it
        _rows(HALF, source="kong"),  # another gateway's
        _rows(HALF, name="other"),  # another name was asked for
        _rows(["a"] * 30),  # hardly drawn so
        _rows([*HALF, "c"]),  # an endpoint that had no share
    ],
    ids=["before", "elsewhere", "other name", "contradicted", "stranger"],
)
def test_what_was_not_drawn_by_it_stays_unknown(rows):
    assert set(pushed.fill(rows, [_push()])["propensity"]) == {None}


def test_the_next_push_ends_the_one_before():
    later = _push(id="litellm-2", since=NOW + timedelta(hours=1), shares={"": {"a": 0.9, "b": 0.1}})

    assert _filled(_rows(HALF), _push(), later) == {"a": 0.5, "b": 0.5}
    assert _filled(_rows(TENTH, start=NOW + timedelta(hours=2)), _push(), later) == {"a": 0.9, "b": 0.1}


def test_a_propensity_that_was_logged_stays_and_a_second_attempt_gets_none():
    rows = pl.concat([_rows(HALF), _rows(["b"], start=NOW + timedelta(minutes=5))])
    again = rows.with_columns(
        request_id=pl.when(pl.int_range(pl.len()) == 20).then(pl.lit(rows["request_id"][0])).otherwise("request_id"),
        propensity=pl.when(pl.int_range(pl.len()) == 3).then(0.25).otherwise("propensity"),
    )

    assert pushed.fill(again, [_push()])["propensity"].to_list() == [*[0.5] * 3, 0.25, *[0.5] * 16, None]


def test_a_push_is_kept_whole_and_a_damaged_file_is_named(project):
    push = pushed_of(_shares(), "litellm", "chat", NOW)

    path = pushed.write(project, push)

    assert pushed.read(project) == [push]
    assert (push.id, push.name, push.sources) == ("litellm-20260110T000000Z", "chat", list(FORMATS["litellm"].sources))
    path.write_text("{}")
    with pytest.raises(ReadError, match=f"{path.name}: not what `fairlead weights` writes"):
        pushed.read(project)
