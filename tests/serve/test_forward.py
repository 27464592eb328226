import json

import pytest

from fairlead.errors import UsageError
from fairlead.scoring import Router, Weighted
from fairlead.serve.upstreams import read

CANARY = "canary-4711"
ASKED = {"model": "auto", "messages": [{"role": "user", "content": CANARY}], "user": "u-1", "max_tokens": 50}
ANSWER = b'{"id": "c-1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}'


@pytest.fixture
def forwarding(serving, published, upstream, tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "sk-acme")
    path = tmp_path / "upstreams.toml"
    path.write_text(
        f'[upstreams."acme/small"]\nurl = "{upstream.url}"\nkey_env = "ACME_KEY"\n'
        f'[upstreams."acme/large"]\nurl = "{upstream.url}/"\nmodel = "the-large-one"\n'
    )
    order = Weighted({"acme/small": 1.0}, default=0.0)
    return serving(Router(published, order), upstreams=path, upstream_s=1.0)


def _endpoint(server, name):
    return next(one for one in server.http.get("/v1/endpoints").json()["endpoints"] if one["endpoint"] == name)


def test_a_call_for_auto_is_decided_forwarded_and_observed(forwarding, upstream):
    upstream.answers = [(200, {"content-type": "application/json", "x-request-id": "q-1"}, [ANSWER])]

    answer = forwarding.post("/v1/chat/completions", ASKED, authorization="Bearer callers-own")

    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert answer.headers["x-fairlead-endpoint"] == "acme/small"
    assert float(answer.headers["x-fairlead-propensity"]) == 1.0
    assert len(answer.headers["x-fairlead-decision"]) == 32
    assert answer.headers["x-request-id"] == "q-1"
    path, body, headers = upstream.asked[0]
    assert (path, body) == ("/v1/chat/completions", {**ASKED, "model": "small"})
    assert headers["authorization"] == "Bearer sk-acme"
    state = _endpoint(forwarding, "acme/small")
    assert (state["in_flight"], state["latency_s"] > 0) == (0, True)
    assert 'fairlead_forwarded_total{endpoint="acme/small",status="ok"} 1' in forwarding.http.get("/metrics").text


def test_a_stream_comes_through_as_it_comes(forwarding, upstream):
    parts = [
        b'data: {"n": 1}\n\n',
        0.5,
        b'data: {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}\n\n',
        b"data: [DONE]\n\n",
    ]
    upstream.answers = [(200, {"content-type": "text/event-stream"}, parts)]

    with forwarding.http.stream("POST", "/v1/chat/completions", json={**ASKED, "stream": True}) as answer:
        first = next(chunks := answer.iter_raw())
        rest = b"".join(chunks)

    assert answer.headers["content-type"] == "text/event-stream"
    assert first == parts[0]
    assert rest == parts[2] + parts[3]


@pytest.mark.parametrize("status", [500, 429, 401])
def test_the_next_by_rank_is_asked_where_one_fails(forwarding, upstream, status):
    upstream.answers = [(status, {"retry-after": "7"}, [b"no"]), (200, {}, [ANSWER])]

    answer = forwarding.post("/v1/chat/completions", ASKED)

    assert (answer.status_code, answer.headers["x-fairlead-endpoint"]) == (200, "acme/large")
    assert [body["model"] for _, body, _ in upstream.asked] == ["small", "the-large-one"]
    assert 'fairlead_outcomes_total{endpoint="acme/small",status="error"} 1' in forwarding.http.get("/metrics").text
    assert _endpoint(forwarding, "acme/small")["available"] is False  # it asked us to wait


def test_an_upstream_that_hangs_or_is_not_there_is_passed_over(forwarding, upstream):
    upstream.answers = [(200, {}, [3.0, b"late"]), (200, {}, [ANSWER])]
    slow = forwarding.post("/v1/chat/completions", ASKED)
    upstream.close()
    gone = forwarding.post("/v1/chat/completions", ASKED)

    assert slow.content in (b"", ANSWER)  # it hung before or after its head
    assert (gone.status_code, gone.json()["error"]["code"]) == (502, "upstream_failed")


def test_what_the_last_one_says_is_told(forwarding, upstream):
    upstream.answers = [(429, {"retry-after": "7"}, [b'{"error": "slow down"}'])] * 2

    answer = forwarding.post("/v1/chat/completions", ASKED)

    assert (answer.status_code, answer.headers["retry-after"], answer.text) == (429, "7", '{"error": "slow down"}')


def test_a_refusal_of_the_caller_is_not_tried_elsewhere(forwarding, upstream):
    upstream.answers = [(400, {}, [b'{"error": "bad"}'])]

    assert forwarding.post("/v1/chat/completions", ASKED).status_code == 400
    assert len(upstream.asked) == 1


def test_a_model_by_name_is_asked_and_one_that_nobody_knows_refused(forwarding, upstream):
    upstream.answers = [(200, {}, [ANSWER])]

    named = forwarding.post("/v1/chat/completions", {**ASKED, "model": "acme/large"})
    unknown = forwarding.post("/v1/chat/completions", {**ASKED, "model": CANARY})
    empty = forwarding.post("/v1/chat/completions", {"model": "auto", "messages": []})
    odd = forwarding.post("/v1/chat/completions", {**ASKED, "model": {"a": 1}})

    assert named.headers["x-fairlead-endpoint"] == "acme/large"
    assert odd.json()["error"]["code"] == "unknown_model"
    assert (unknown.json()["error"]["code"], empty.json()["error"]["code"]) == ("unknown_model", "no_messages")
    assert CANARY not in unknown.text


def test_a_caller_that_leaves_is_told_to_live_state(forwarding, upstream):
    upstream.answers = [(200, {}, [b"data: 1\n\n", 0.6, b"data: 2\n\n", 0.3, b"data: 3\n\n"])]

    with forwarding.http.stream("POST", "/v1/chat/completions", json=ASKED) as answer:
        next(answer.iter_raw())
    import time

    until = time.monotonic() + 10
    while (
        'fairlead_forwarded_total{endpoint="acme/small",status="cancelled"} 1'
        not in forwarding.http.get("/metrics").text
    ):
        assert time.monotonic() < until, "it was not told"
        time.sleep(0.05)
    assert _endpoint(forwarding, "acme/small")["in_flight"] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "upstreams"),
        ("[upstreams.a]\nurl = 'ftp://x'", "https:// or http://"),
        ("[upstreams.a]\nurl = 'http://x'\nkey_env = 'NOT_SET_ANYWHERE'", "NOT_SET_ANYWHERE"),
        ("[upstreams.a]\nurl = 'http://x'\nkey = 'sk-1'", "unknown field"),
        ("=", "Invalid"),
    ],
)
def test_a_file_of_upstreams_that_is_off_is_refused(tmp_path, text, why):
    (tmp_path / "up.toml").write_text(text)

    with pytest.raises(UsageError, match=why):
        read(tmp_path / "up.toml")


def test_plano_clients_get_models_in_order_and_sessions_stay(serving, published):
    server = serving(Router(published, Weighted({"acme/small": 1.0, "acme/large": 1.0})))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": CANARY}], "routing_preferences": []}

    def ask(**headers):
        return server.post("/routing/v1/chat/completions", body, **headers)

    told = ask(**{"x-fairlead-route": "chat"}).json()
    sessions = [ask(**{"x-model-affinity": "s-1"}).json() for _ in range(8)]

    assert set(told) == {"models", "route", "trace_id"}
    assert (sorted(told["models"]), told["route"]) == (["acme/large", "acme/small", "other/large"], "chat")
    assert [one["pinned"] for one in sessions] == [False] + [True] * 7
    assert len({json.dumps(one["models"]) for one in sessions}) == 1
    assert {one["session_id"] for one in sessions} == {"s-1"}
    assert len({ask().json()["models"][0] for _ in range(30)}) == 2
    assert CANARY not in ask().text
