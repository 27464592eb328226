import base64
import datetime
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import SecurityError, UsageError
from fairlead.serve.guard import Principal
from fairlead.serve.headers import HEADERS
from fairlead.serve.refusals import RefusedError
from fairlead.serve.security import keyfile, keys, keytext, signing, totp
from fairlead.serve.security.audit_check import verify
from fairlead.serve.security.keyfile import Limit
from fairlead.serve.security.keyring import Keyring

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def log(house):
    return [json.loads(line) for line in house.folder.audit.read_bytes().splitlines()]


def events(house):
    return [one["event"] for one in log(house) if one["event"] != "checkpoint"]


def test_who_shows_a_key_is_who_it_was_made_for(house, shows):
    key, text = house.new("litellm", "gateway", scopes=(("chat", "code"), ("search",)))

    principal = house.guard().check("POST", "/v1/decide", shows(text), "192.0.2.1")

    assert principal == Principal(
        key_id=key.id,
        name="litellm",
        roles=frozenset(["gateway"]),
        routes=frozenset(["chat", "code"]),
        teams=frozenset(["search"]),
    )
    principal.check("chat", "search")
    for route, team in (("sql", "search"), ("chat", "ads"), (None, None)):
        with pytest.raises(RefusedError, match="out_of_scope"):
            principal.check(route, team)


def test_a_key_may_be_sent_as_bearer_in_any_case_or_as_x_api_key(house):
    _, text = house.new("a", "gateway")
    guard = house.guard()
    ways = [
        (b"authorization", f"Bearer {text}".encode()),
        (b"authorization", f"bearer  {text} ".encode()),
        (b"x-api-key", text.encode()),
    ]

    assert [type(guard.check("POST", "/v1/decide", [way], None)) for way in ways] == [Principal] * 3


def test_a_stranger_learns_nothing_of_keys_or_paths(house, shows):
    key, text = house.new("a", "gateway")
    gone, gone_text = house.new("b", "gateway")
    house.change(lambda kept: keys.revoke(kept, gone.id, now=NOW))
    old = house.change(lambda kept: keys.issue(kept, "c", ("gateway",), now=NOW - 100 * DAY))[1]
    early = house.change(lambda kept: keys.issue(kept, "d", ("gateway",), now=NOW + DAY))[1]
    guard = house.guard()
    wrong = {
        "malformed": text[:-1] + ("a" if text[-1] != "a" else "b"),
        "unknown": keytext.new("zzzzzzzzzz"),
        "revoked": gone_text,
        "expired": old,
        "not_yet_valid": early,
    }
    forged = keytext.new(key.id)

    answers = {
        name: [
            guard.check(method, path, shows(shown), None) for method, path in (("POST", "/v1/decide"), ("GET", "/x"))
        ]
        for name, shown in [*wrong.items(), ("forged", forged)]
    }

    assert {name: {one.reason for one in found} for name, found in answers.items()} == {
        **{name: {name} for name in wrong},
        "forged": {"unknown"},
    }
    told = {(one.status, one.body(), tuple(one.headers())) for found in answers.values() for one in found}
    assert len(told) == 1
    assert guard.check("GET", "/x", [], None).status == guard.check("POST", "/v1/decide", [], None).status == 401


@pytest.mark.parametrize(
    "more",
    [
        [(b"authorization", b"Bearer x")],
        [(b"x-api-key", b"x")],
        [(b"authorization", b"Basic YTpi")],
    ],
)
def test_two_keys_in_one_call_are_refused(house, shows, more):
    _, text = house.new("a", "gateway")

    verdict = house.guard().check("POST", "/v1/decide", [*shows(text), *more], None)

    assert (verdict.status, verdict.reason) == (401, "two_keys")


HEADER = st.tuples(
    st.sampled_from([b"authorization", b"x-api-key", b"x-forwarded-for", b"x-fairlead-step-up", b"host"]),
    st.binary(max_size=80) | st.text(max_size=60).map(lambda text: b"Bearer fl_" + text.encode()),
)


@settings(max_examples=300, deadline=None)
@given(
    method=st.text(max_size=8),
    path=st.text(max_size=40),
    headers=st.lists(HEADER, max_size=5),
    peer=st.text(max_size=20),
)
def test_whatever_is_sent_is_refused_and_raises_nothing(lasting_guard, method, path, headers, peer):
    assert lasting_guard.check(method, path, headers, peer).status == 401
    assert lasting_guard.check("POST", "/v1/decide", headers, peer).status == 401


def test_over_its_limit_a_key_is_told_when_to_ask_again(house, shows):
    _, text = house.new("a", "gateway", limit=Limit(rate_per_s=0.1, burst=3))
    _, other = house.new("b", "gateway")
    guard = house.guard()

    answers = [guard.check("POST", "/v1/decide", shows(text), None) for _ in range(4)]

    assert [type(one) for one in answers[:3]] == [Principal] * 3
    assert (answers[3].status, answers[3].code) == (429, "too_many")
    assert answers[3].headers() == [(b"retry-after", b"10")]
    assert isinstance(guard.check("POST", "/v1/decide", shows(other), None), Principal)
    assert guard.counts["refused.over_limit"] == 1


def test_refused_calls_use_up_a_limit_too(house, shows):
    _, text = house.new("a", "gateway", limit=Limit(rate_per_s=0.1, burst=2))
    guard = house.guard()

    answers = [guard.check("POST", "/v1/admin/promote", shows(text), None).status for _ in range(3)]

    assert answers == [403, 403, 429]


def test_a_dangerous_action_takes_a_code_and_is_recorded(house, shows):
    key, text = house.new("ops", "operator")
    uri = house.folder.step_up(make=True).enrol(key.id, key.name)
    secret = base64.b32decode(uri.split("secret=")[1].split("&")[0])
    guard = house.guard()

    first = guard.check("POST", "/v1/admin/promote", shows(text), "192.0.2.1")
    principal = guard.check("POST", "/v1/admin/step-up", shows(text), "192.0.2.1")
    wrong = guard.step_up(principal, "promote", "xxxxxx")
    none = guard.step_up(principal, "destroy", "000000")
    token = guard.step_up(principal, "promote", totp.code(secret, int(time.time() // totp.STEP_S)))
    admitted = guard.check("POST", "/v1/admin/promote", shows(text, x_fairlead_step_up=token), "192.0.2.1")
    done = guard.record("snapshot.promoted", admitted, version=7, sha256="ab" * 32)

    assert (first.status, first.code) == (403, "step_up_required")
    assert (wrong.code, none.code) == ("wrong_code", "no_such_action")
    assert admitted == principal
    assert done
    assert events(house) == [
        "action.refused", "step_up.refused", "step_up.granted", "action.admitted", "snapshot.promoted",
    ]  # fmt: skip
    assert {one["actor"] for one in log(house) if one["event"] != "checkpoint"} == {key.id}
    written = house.folder.audit.read_bytes()
    assert text.encode() not in written
    assert token.encode() not in written
    assert verify(house.folder.audit, signing.verifier(house.folder.audit_public)).sound


def test_a_dangerous_action_that_cannot_be_recorded_is_refused_and_any_other_goes_on(house, shows):
    key, text = house.new("ops", "operator", "gateway")
    uri = house.folder.step_up(make=True).enrol(key.id, key.name)
    secret = base64.b32decode(uri.split("secret=")[1].split("&")[0])
    guard = house.guard()
    principal = guard.check("POST", "/v1/admin/step-up", shows(text), None)
    token = guard.step_up(principal, "rollback", totp.code(secret, int(time.time() // totp.STEP_S)))
    house.folder.audit.chmod(0o644)

    verdict = guard.check("POST", "/v1/admin/rollback", shows(text, x_fairlead_step_up=token), None)

    assert (verdict.status, verdict.code) == (503, "not_recorded")
    assert isinstance(guard.check("POST", "/v1/decide", shows(text), None), Principal)
    assert guard.counts["audit_failures"] == 1


def test_a_key_used_from_elsewhere_is_an_alert_in_the_log_and_a_count(house, shows):
    key, text = house.new("a", "gateway")
    guard, counted = house.guard(fronts=["10.0.0.0/8"]), []
    guard.watch(counted.append)

    for peer, forwarded in (("192.0.2.1", "x"), ("10.0.0.1", "203.0.113.5, 192.0.2.2"), ("10.0.0.1", "198.51.100.7")):
        guard.check("POST", "/v1/decide", shows(text, x_forwarded_for=forwarded), peer)

    assert guard.counts["alert.new_network"] == 1
    assert counted == ["alert.new_network"]
    alert = log(house)[-1]
    assert (alert["event"], alert["detail"]) == (
        "key.alert",
        {"alert": "new_network", "count": 2, "key_id": key.id, "network": "198.51.100.0/24"},
    )


def test_a_new_key_counts_without_a_restart_and_a_revoked_one_no_more(house, shows):
    guard = house.guard()
    guard.keyring._every_s = 0.0
    key, text = house.new("a", "gateway")

    before = guard.check("POST", "/v1/decide", shows(text), None)
    house.change(lambda kept: keys.revoke(kept, key.id, now=NOW))
    after = guard.check("POST", "/v1/decide", shows(text), None)

    assert isinstance(before, Principal)
    assert after.reason == "revoked"
    assert events(house) == ["keys.taken", "keys.taken"]


def test_a_rotated_key_counts_with_both_texts_until_the_overlap_is_over(house, shows):
    key, first = house.new("a", "gateway")
    _, second = house.change(lambda kept: keys.rotate(kept, key.id, now=NOW, overlap_s=3600))
    by, clock = signing.verifier(house.folder.public), [NOW.timestamp() + 60]
    ring = Keyring(house.folder.keys, by, clock=lambda: clock[0])

    found = [ring.find(text) for text in (first, second)]
    clock[0] += 3600
    later = [ring.find(text) for text in (first, second)]

    assert [one.id for one in found] == [key.id, key.id]
    assert (later[0], later[1].id) == ("expired", key.id)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "mode", "older", "forged", "gone"])
def test_a_file_of_keys_that_is_off_is_refused_and_the_last_good_one_stays(house, shows, tmp_path, damage):
    old = house.folder.keys.read_bytes()
    _, text = house.new("a", "gateway")
    guard = house.guard()
    guard.keyring._every_s = 0.0
    path, good = house.folder.keys, house.folder.keys.read_bytes()
    if damage == "mode":
        path.chmod(0o640)
    elif damage == "gone":
        path.unlink()
    elif damage == "forged":
        signing.make(tmp_path / "other.key", shared=True)
        content = keyfile.decode(good, signing.verifier(house.folder.public))
        keyfile.write(path, content, signing.signer(tmp_path / "other.key"))
    else:
        path.write_bytes(
            {"flip": good.replace(b"gateway", b"adminis"), "cut": good[:-9], "empty": b"", "older": old}[damage]
        )

    verdicts = [guard.check("POST", "/v1/decide", shows(text), None) for _ in range(3)]
    failure, refused = guard.keyring.failure, guard.keyring.refused
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    path.chmod(0o600)
    guard.check("POST", "/v1/decide", shows(text), None)

    assert [type(one) for one in verdicts] == [Principal] * 3
    assert (str(path) in failure, refused) == (True, 1)  # told once, not at every look
    assert (guard.keyring.failure, guard.counts["keys.refused"], guard.counts["keys.taken"]) == (None, 1, 1)


def test_a_server_whose_file_of_keys_is_off_does_not_start(house):
    house.folder.keys.chmod(0o644)
    with pytest.raises(SecurityError, match="others may read it"):
        house.guard()

    house.folder.keys.unlink()
    with pytest.raises(SecurityError, match="no keys yet; make one with `fairlead keys new"):
        house.guard()


def test_a_front_that_is_no_network_is_refused(house):
    with pytest.raises(UsageError, match="a front's network"):
        house.guard(fronts=["10.0.0.1/8"])


def test_a_front_on_a_socket_is_believed_and_a_stranger_is_not(house, shows):
    _, text = house.new("a", "gateway")
    guard = house.guard()

    for peer, forwarded in ((None, "192.0.2.1"), (None, "198.51.100.1"), ("192.0.2.1", "203.0.113.1")):
        guard.check("POST", "/v1/decide", shows(text, x_forwarded_for=forwarded), peer)

    assert [one["detail"]["network"] for one in log(house) if one["event"] == "key.alert"] == ["198.51.100.0/24"]


def test_headers_are_in_lower_case_and_each_is_there_once():
    names = [name for name, _ in HEADERS]

    assert names == [name.lower() for name in names]
    assert len(set(names)) == len(names)
    assert dict(HEADERS)[b"x-content-type-options"] == b"nosniff"
