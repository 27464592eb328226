import base64
import json
import time

import httpx
import pytest

from fairlead.errors import GateError
from fairlead.scoring import swap
from fairlead.scoring.snapshot import CANDIDATE, CURRENT, LAST_GOOD, Snapshot
from fairlead.serve.security import signing, totp
from fairlead.serve.security.audit_check import verify

JSON = {"content-type": "application/json"}


class Operator:
    """A key with an authenticator, at a server."""

    def __init__(self, house):
        key, text = house.new("ops", "operator")
        uri = house.folder.step_up(make=True).enrol(key.id, key.name)
        self.id, self._secret = key.id, base64.b32decode(uri.split("secret=")[1].split("&")[0])
        self.http = httpx.Client(headers={"authorization": f"Bearer {text}", **JSON}, trust_env=False)
        self._step = None

    def post(self, path, body, **headers):
        answer = self.http.post(path, content=json.dumps(body).encode(), headers=headers)
        return answer.status_code, answer.json()

    def does(self, action, body):
        # A code counts once: the step before, this one and the next are good, reckoned from the first use.
        self._step = int(time.time() // totp.STEP_S) - 1 if self._step is None else self._step + 1
        status, told = self.post("/v1/admin/step-up", {"action": action, "code": totp.code(self._secret, self._step)})
        assert (status, told["expires_in_s"]) == (200, 300.0)
        return self.post(f"/v1/admin/{action}", body, **{"x-fairlead-step-up": told["token"]})


def soon(check, within_s=20.0):
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.05)


@pytest.mark.server
def test_an_operator_promotes_and_rolls_back_and_the_log_tells_it(process, published, make_snapshot, house):
    ops = Operator(house)
    server = process("--snapshot", published, "--workers", "2", "--keys", house.folder.root)
    ops.http.base_url = server.address
    better = Snapshot.from_bytes(make_snapshot(version=2, weights={"other/large": 1.0}).to_bytes())
    better.write(published / CANDIDATE)

    def version():
        return {ops.http.get("/v1/snapshot", headers={"connection": "close"}).json()["version"] for _ in range(8)}

    early = ops.does("promote", {"sha256": better.sha256[:16]})
    swap.keep_verdict(published, "promote", better.sha256)
    promoted = ops.does("promote", {"sha256": better.sha256[:16]})
    soon(lambda: version() == {2})
    back = ops.does("rollback", {"reason": "errors at other/large"})
    soon(lambda: version() == {3})
    without = ops.post("/v1/admin/rollback", {"reason": "again"})

    assert (early[0], early[1]["error"]["code"]) == (409, "not_promoted")
    assert "the gates did not say `promote` of it" in early[1]["error"]["detail"]
    assert promoted == (200, {"version": 2, "sha256": better.sha256})
    assert (back[0], back[1]["version"]) == (200, 3)
    assert (without[0], without[1]["error"]["code"]) == (403, "step_up_required")
    assert Snapshot.read(published / swap.WITHDRAWN).manifest.version == 2
    assert server.end() == (0, "")
    entries = [json.loads(line) for line in house.folder.audit.read_bytes().splitlines()]
    own = [(one["event"], one["detail"].get("status") or one["detail"].get("version")) for one in entries
           if one["actor"] == ops.id and not one["event"].startswith("step_up")]  # fmt: skip
    assert own == [
        ("action.admitted", None), ("snapshot.promoted", "failed"),
        ("action.admitted", None), ("snapshot.promoted", 2),
        ("action.admitted", None), ("snapshot.rolled_back", 3),
        ("action.refused", None),
    ]  # fmt: skip
    assert verify(house.folder.audit, signing.verifier(house.folder.audit_public)).sound
    ops.http.close()


def test_a_server_without_keys_swaps_nothing(serving, published, make_snapshot):
    make_snapshot(version=2).write(published / CANDIDATE)
    server = serving()

    answers = [server.post(f"/v1/admin/{path}", {}) for path in ("step-up", "promote", "rollback")]

    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [(403, "no_keys")] * 3


def test_a_key_decides_for_its_routes_and_teams_only(serving, house):
    _, text = house.new("search", "gateway", scopes=(("chat",), ("search",)))
    server = serving(guard=house.guard())
    own = {"authorization": f"Bearer {text}"}
    messages = [{"role": "user", "content": "Hello"}]

    def code(path, body, **headers):
        answer = server.post(path, body, **own, **headers)
        return answer.json().get("error", {}).get("code", answer.status_code)

    asked = {"route": "chat", "team": "search"}
    assert code("/v1/decide", asked) == 200
    assert code("/v1/decide", {"route": "chat"}) == code("/v1/decide", {}) == "out_of_scope"
    assert code("/v1/decide/batch", {"requests": [asked]}) == 200
    assert code("/v1/decide/batch", {"requests": [asked, {"route": "code", "team": "search"}]}) == "out_of_scope"
    assert code("/routing/v1/chat/completions", {"messages": messages}) == "out_of_scope"


def test_a_limit_is_answered_on_the_short_way_too_and_counted(serving, house):
    from fairlead.serve.security.keyfile import Limit

    _, text = house.new("a", "gateway", limit=Limit(rate_per_s=0.1, burst=2))
    _, look = house.new("b", "analyst")
    server = serving(guard=house.guard())

    answers = [server.post("/v1/decide", {}, authorization=f"Bearer {text}") for _ in range(3)]
    metrics = server.http.get("/metrics", headers={"authorization": f"Bearer {look}"}).text

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert (answers[2].json()["error"]["code"], answers[2].headers["retry-after"]) == ("too_many", "10")
    assert 'fairlead_guard_events_total{event="refused.over_limit"} 1' in metrics
    assert "fairlead_limits_alone 0" in metrics


def test_what_is_put_back_is_the_last_good_one_under_a_new_version(published, make_snapshot):
    first = Snapshot.read(published / CURRENT)
    swap.keep_last_good(published)
    make_snapshot(version=5, weights={"other/large": 1.0}).write(published / CURRENT)

    back = swap.roll_back(published)

    assert back.sha256 == Snapshot.read(published / CURRENT).sha256
    assert (back.manifest.version, back.manifest.parameters) == (6, first.manifest.parameters)
    assert Snapshot.read(published / swap.WITHDRAWN).manifest.version == 5
    assert Snapshot.read(published / LAST_GOOD).sha256 == first.sha256
    with pytest.raises(GateError, match="there is nothing to go back to"):
        swap.roll_back(published)
