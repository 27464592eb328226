import json
import threading
import time

import pytest

from fairlead.scoring import Request, Router, Weighted
from fairlead.serve.bodies import Answer
from fairlead.serve.refusals import CODES

SECRET = "canary-4711"
HEAD = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


def test_a_decision_is_the_routers_own(serving, published):
    server = serving()
    router = Router(published, seed=7)

    for number in range(50):
        told = server.post("/v1/decide", {"id": f"r-{number}", "route": "chat", "text": "Hello"}).json()

        own = router.decide(Request(id=f"r-{number}", route="chat", text="Hello"))
        assert (told["id"], told["endpoint"], told["propensity"]) == (own.id, own.endpoint, own.propensity)
        assert told["kind"] == "policy"


def test_what_is_wanted_beside_the_choice_is_told(serving, published):
    asked = {"id": "r-1", "want": ["metadata", "ranked", "reasons"]}

    told = serving().post("/v1/decide", asked).json()

    own = Router(published, seed=7).decide(Request(id="r-1"))
    assert told["metadata"] == own.metadata()
    assert [(one["arm"], one["propensity"]) for one in told["metadata"]["candidates"]] == [
        ("acme/small", 0.75),
        ("acme/large", 0.25),
        ("other/large", 0.0),
    ]
    assert [one["endpoint"] for one in told["ranked"]] == ["acme/small", "acme/large", "other/large"]
    assert told["reasons"] == ["fixed weights; the request is not looked at"]


def test_a_batch_gets_what_each_would_get_alone(serving):
    server = serving()
    asked = [{"id": f"r-{number}"} for number in range(20)]

    together = server.post("/v1/decide/batch", {"requests": asked}).json()["decisions"]

    alone = [server.post("/v1/decide", one).json() for one in asked]
    assert [(one["id"], one["endpoint"]) for one in together] == [(one["id"], one["endpoint"]) for one in alone]


def test_calls_of_one_moment_get_what_each_would_get_alone(serving, published):
    server = serving(together=16)
    found = {}

    def ask(number):
        found[number] = server.post("/v1/decide", {"id": f"r-{number}"}).json()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    router = Router(published, seed=7)
    own = {number: router.decide(Request(id=f"r-{number}")) for number in range(40)}
    assert {number: (one["id"], one["propensity"]) for number, one in found.items()} == {
        number: (one.id, one.propensity) for number, one in own.items()
    }


def test_a_whole_number_may_be_written_with_a_point(serving):
    server = serving()

    assert server.post("/v1/decide", {"tools": 2.0, "max_tokens": 5.0, "embedding": [1.0, 0.5]}).status_code == 200
    assert server.post("/v1/decide", {"tools": 2.5}).json()["error"]["at"] == "$.tools"


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/observe"])  # the short way, and uvicorn's own
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b'{"endpoint": "\\ud800"}', "not_json"),
        (b"[" * 100_000, "wrong_type"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b'{"%b": 1, "endpoint": "a"}' % SECRET.encode(), "unknown_field"),
        (b'{"endpoint": "a", "input_tokens": "%b"}' % SECRET.encode(), "wrong_type"),
        (b'{"endpoint": "a", "input_tokens": -1}', "out_of_range"),
        (b'{"endpoint": "a", "input_tokens": 1e400}', "out_of_range"),
        (b'{"endpoint": "a", "input_tokens": 1' + b"0" * 400 + b"}", "out_of_range"),
        (b'{"endpoint": NaN}', "not_json"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_body_is_refused_with_a_stable_code_and_not_repeated(serving, path, body, code):
    answer = serving().post(path, body.replace(b'"endpoint"', b'"route"') if path == "/v1/decide" else body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (CODES[code][0], code)
    assert SECRET not in answer.text
    assert len(answer.content) < 300


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/v1/decide", {}, 405, "wrong_method"),
        ("POST", "/healthz", {}, 405, "wrong_method"),
        ("DELETE", "/v1/observe", {}, 405, "wrong_method"),
        ("GET", "/", {}, 404, "no_such_path"),
        ("GET", f"/{SECRET}", {}, 404, "no_such_path"),
        ("GET", "/healthz/", {}, 404, "no_such_path"),
        ("GET", "/v1/shadow", {}, 404, "no_shadow"),
        ("POST", "/v1/decide", {"content-type": "text/plain"}, 415, "wrong_content_type"),
        ("POST", "/v1/observe", {"content-type": "application/x-www-form-urlencoded"}, 415, "wrong_content_type"),
        ("POST", "/v1/feedback", {"content-type": "application/json"}, 404, "no_spool"),
        ("POST", "/v1/chat/completions", {"content-type": "application/json"}, 404, "no_upstream"),
    ],
)
def test_a_call_that_cannot_be_is_refused(serving, method, path, headers, status, code):
    body = b'{"target_id": "r-1", "score": true}' if path == "/v1/feedback" else b"{}"
    server = serving()
    request = server.http.build_request(method, "/", headers=headers, content=None if method == "GET" else body)
    request.url = request.url.copy_with(raw_path=path.encode())

    answer = server.http.send(request)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert SECRET not in answer.text
    assert (status == 405) == ("allow" in answer.headers)


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/observe"])
def test_a_body_that_is_too_large_is_refused_once_it_is_read(serving, path):
    server = serving(body_bytes=1000)

    whole = server.post(path, {"text": "x" * 5000})
    chunked = server.http.post(
        path, content=iter([b'{"text": "', b"x" * 5000, b'"}']), headers={"content-type": "application/json"}
    )

    assert [one.json()["error"]["code"] for one in (whole, chunked)] == ["too_large"] * 2
    assert server.post("/v1/decide", {"text": "x" * 900}).status_code == 200


def test_a_body_may_come_in_pieces_and_a_call_may_ask_whether_to_go_on(serving):
    server = serving()
    chunked = (HEAD % b"/v1/decide") + b"transfer-encoding: chunked\r\n\r\n"

    pieces = server.raw(chunked, b'5\r\n{"id"\r\n', b'5\r\n:"a"}\r\n0\r\n\r\n')
    asked = server.raw((HEAD % b"/v1/decide") + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n", b"{}")

    assert pieces.startswith(b"HTTP/1.1 200 OK")
    assert b'"request_id":"a"' in pieces
    assert asked.startswith(b"HTTP/1.1 100 Continue")
    assert b"HTTP/1.1 200 OK" in asked


def test_calls_that_are_sent_ahead_are_answered_in_their_order(serving):
    def call(path, body):
        return (HEAD % path) + b"content-length: %d\r\n\r\n%b" % (len(body), body)

    get = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    sent = [call(b"/v1/decide", b'{"id":"r-%d"}' % number) for number in range(6)]

    got = serving().raw(
        sent[0] + sent[1] + get + sent[2] + call(b"/v1/decide", b"{") + sent[3] + get + sent[4] + sent[5]
    )

    marks = [got.find(b'"request_id":"r-%d"' % number) for number in range(6)]
    healthy = got.find(b'{"status":"ok"}')
    assert marks == sorted(marks)
    assert marks[0] > 0
    assert marks[1] < healthy < marks[2] < got.find(b'"not_json"') < marks[3]
    assert got.count(b"HTTP/1.1 200 OK") == 8


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"POST /v1/decide HTTP/9.9\r\n\r\n",
        b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
        b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n{}",
        b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % number for number in range(5000)) + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nh: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nh: " + b"x" * 2_000_000,
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_http_ends_its_connection_and_nothing_else(serving, sent):
    server = serving()

    got = server.raw(sent)

    assert got == b"" or got.startswith(b"HTTP/1.1 400 ")
    assert server.http.get("/healthz").json() == {"status": "ok"}


def test_a_connection_on_which_nothing_comes_is_ended(serving):
    server = serving(idle_s=1.0)
    began = time.monotonic()

    fresh = server.raw(pause_s=0, silent_s=8.0)
    used = server.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", silent_s=8.0)

    assert fresh == b""
    assert used.endswith(b'{"status":"ok"}')
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("sent", [b"POST /v1/dec", (HEAD % b"/v1/decide") + b"content-length: 9\r\n\r\n{", b"GET /"])
def test_a_call_that_is_not_there_in_time_ends_its_connection(serving, sent):
    server = serving(body_s=0.5)
    began = time.monotonic()

    got = server.raw(sent, pause_s=2.5)

    assert got.startswith(b"HTTP/1.1 408 ")
    assert b'"too_slow"' in got
    assert time.monotonic() - began < 10


class Breaks(Weighted):
    def probabilities(self, candidates):
        raise ZeroDivisionError(SECRET)


def test_a_fault_in_scoring_is_answered_with_the_last_resort(serving, published):
    server = serving(Router(published, Breaks(), last_resort="acme/large"))

    told = server.post("/v1/decide", {"id": "r-1", "want": ["reasons"]}).json()
    more = server.post("/v1/decide/batch", {"requests": [{}, {}]}).json()["decisions"]

    assert (told["kind"], told["endpoint"]) == ("last_resort", "acme/large")
    assert told["reasons"] == [f"deciding failed (ZeroDivisionError: {SECRET}); the last resort acme/large is taken"]
    assert [one["kind"] for one in more] == ["last_resort"] * 2
    assert server.http.get("/v1/snapshot").json()["faults"] == 3


def test_a_fault_outside_scoring_is_no_500(serving, monkeypatch):
    server = serving()
    monkeypatch.setattr(server.service, "endpoints", lambda: 1 / 0)
    monkeypatch.setattr(server.app.gather, "put", lambda *_: 1 / 0)

    assert server.http.get("/v1/endpoints").json()["error"]["code"] == "overloaded"
    assert server.post("/v1/decide", {}).status_code == 503


def test_outcomes_move_live_state(serving):
    server = serving()
    chosen = server.post("/v1/decide", {"id": "r-1"}).json()["endpoint"]

    def state():
        return next(one for one in server.http.get("/v1/endpoints").json()["endpoints"] if one["endpoint"] == chosen)

    assert state()["in_flight"] == 1
    told = {"endpoint": chosen, "request_id": "r-1", "duration_s": 2.5, "cost_usd": 0.01}
    assert server.post("/v1/observe", told).json() == {"taken": 1, "id": None}
    assert (state()["in_flight"], state()["latency_s"]) == (0, 2.5)
    for _ in range(5):
        server.post("/v1/observe", {"endpoint": chosen, "status": "error", "error_class": "server", "duration_s": 0.1})
    assert state()["available"] is False
    assert server.post("/v1/decide", {"id": "r-2"}).json()["endpoint"] != chosen


def test_metrics_count_and_are_bounded_whatever_callers_send(serving):
    server = serving()
    server.post("/v1/decide/batch", {"requests": [{"id": f"r-{number}"} for number in range(40)]})
    server.post("/v1/decide", b"{")
    for number in range(2100):
        server.service.metrics.add("fairlead_outcomes_total", f"made-up-{number}", "ok")

    text = server.http.get("/metrics").text

    decided = [line for line in text.splitlines() if line.startswith("fairlead_decisions_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in decided) == 40
    assert 'fairlead_http_requests_total{path="/v1/decide",status="400"} 1' in text
    assert 'fairlead_refused_total{code="not_json"} 1' in text
    assert "fairlead_decision_seconds_count 40" in text
    assert 'fairlead_endpoint_available{endpoint="acme/small"} 1' in text
    assert len(text.splitlines()) < 2200
    assert 'fairlead_outcomes_total{endpoint="other",status="other"}' in text


def test_a_server_that_drains_says_so_and_answers_what_is_under_way(serving):
    server = serving()
    assert server.http.get("/readyz").json() == {"status": "ok", "snapshot_version": 1, "stale": False}

    server.app.drain()

    assert server.http.get("/readyz").status_code == 503
    last = server.post("/v1/decide", {"id": "r-1"})
    assert (last.status_code, last.headers["connection"]) == (200, "close")
    assert server.http.get("/healthz").json() == {"status": "ok"}


def test_answers_are_not_to_be_stored_and_head_has_no_body(serving):
    server = serving()

    short, usual, head = (
        server.post("/v1/decide", {}),
        server.post("/v1/observe", {"endpoint": "a"}),
        server.http.head("/metrics"),
    )

    for one in (short, usual, head):
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert "server" not in one.headers
    assert (head.status_code, head.content) == (200, b"")


def test_an_answer_over_http_is_an_answer_by_its_class(serving):
    import msgspec

    told = serving().post("/v1/decide", {"want": ["ranked", "metadata"]})

    assert msgspec.json.encode(msgspec.json.decode(told.content, type=Answer, strict=True)) == told.content
    assert json.loads(told.content).keys() <= set(Answer.__struct_fields__)


@pytest.mark.parametrize("missing", [("httptools",), ("uvloop",), ("httptools", "uvloop", "websockets")])
def test_without_the_fast_parts_it_serves_all_the_same(serving, monkeypatch, missing):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in missing else find(name, *more))
    server = serving(body_bytes=1000)

    assert server.post("/v1/decide", {"id": "r-1"}).json()["kind"] == "policy"
    assert server.post("/v1/decide", {"text": "x" * 5000}).json()["error"]["code"] == "too_large"
    assert server.post("/v1/decide", b"{").json()["error"]["code"] == "not_json"
