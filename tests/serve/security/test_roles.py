import base64
import datetime
import itertools

import pytest

from fairlead.errors import UsageError
from fairlead.serve.security import Folder, Principal, keys, signing, totp
from fairlead.serve.security.roles import ROLES, RULES, Rule, Table

# Written out a second time, by hand: who may do what is not read from the table that is tested.
ALLOWED = {
    ("POST", "/v1/decide"): {"gateway"},
    ("POST", "/v1/decide/batch"): {"gateway"},
    ("POST", "/v1/observe"): {"gateway"},
    ("POST", "/v1/feedback"): {"gateway", "analyst"},
    ("POST", "/routing/v1/chat/completions"): {"gateway"},
    ("POST", "/v1/chat/completions"): {"gateway"},
    ("GET", "/v1/endpoints"): {"gateway", "analyst", "operator", "admin"},
    ("GET", "/v1/snapshot"): {"gateway", "analyst", "operator", "admin"},
    ("GET", "/v1/shadow"): {"analyst", "operator", "admin"},
    ("GET", "/v1/stream"): {"analyst", "operator", "admin"},
    ("GET", "/metrics"): {"analyst", "operator", "admin"},
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/openapi.json"): None,
    ("POST", "/v1/admin/step-up"): {"operator", "admin"},
    ("POST", "/v1/admin/promote"): {"operator", "admin"},
    ("POST", "/v1/admin/rollback"): {"operator", "admin"},
    ("POST", "/v1/admin/prices"): {"operator", "admin"},
    ("POST", "/v1/admin/keys"): {"admin"},
    ("GET", "/v1/audit"): {"admin"},
}
DANGEROUS = {
    "/v1/admin/promote": "promote",
    "/v1/admin/rollback": "rollback",
    "/v1/admin/prices": "prices",
    "/v1/admin/keys": "keys",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get")
PATHS = sorted({path for _, path in ALLOWED})


@pytest.fixture(scope="module")
def cast(tmp_path_factory):
    """One guard, a key of each role, and a token of each key for each dangerous action."""
    folder, now = Folder(tmp_path_factory.mktemp("cast")), datetime.datetime.now(datetime.UTC)
    signing.make(folder.signing)
    signer = signing.signer(folder.signing)
    texts, tokens = {}, {}
    for role in ROLES:
        key, texts[role] = keys.edit(
            folder.keys, signer, now, lambda kept, role=role: keys.issue(kept, role, (role,), now=now)
        )
        for action in DANGEROUS.values():
            step_up = folder.step_up(make=True)
            uri = step_up.enrol(key.id, role)
            secret = base64.b32decode(uri.split("secret=")[1].split("&")[0])
            shown = totp.code(secret, int(now.timestamp() // totp.STEP_S))
            tokens[role, action], _ = step_up.exchange(key.id, action, shown)
    return folder.guard(), texts, tokens


def test_the_table_has_every_route_and_no_other():
    assert {(one.method, one.path) for one in RULES} == set(ALLOWED)


@pytest.mark.parametrize("role", [None, *ROLES])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_a_role_may_do_what_the_matrix_says_and_nothing_else(cast, shows, method, path, role):
    guard, texts, tokens = cast
    token = tokens.get((role, DANGEROUS.get(path)), "")
    headers = [] if role is None else shows(texts[role], x_fairlead_step_up=token)

    verdict = guard.check(method, path, headers, "127.0.0.1")

    allowed = ALLOWED.get((method, path), frozenset())
    admitted = allowed is None or (role is not None and role in allowed)
    expected = 200 if admitted else 401 if role is None else 403 if (method, path) in ALLOWED else 405
    assert (200 if isinstance(verdict, Principal) else verdict.status) == expected


@pytest.mark.parametrize(
    ("path", "role"), [(path, role) for path in DANGEROUS for role in sorted(ALLOWED["POST", path])]
)
def test_a_dangerous_action_needs_a_token_for_that_action_and_that_key(cast, shows, path, role):
    guard, texts, tokens = cast
    action = DANGEROUS[path]
    other_actions = [tokens[role, other] for other in DANGEROUS.values() if other != action]
    other_keys = [tokens[other, action] for other in ROLES if other != role]

    answers = {
        guard.check("POST", path, shows(texts[role], x_fairlead_step_up=token), "127.0.0.1").code
        for token in ["", "fs1.x.y.9999999999.z.w", *other_actions, *other_keys]
    } | {guard.check("POST", path, shows(texts[role]), "127.0.0.1").code}

    assert answers == {"step_up_required"}


TRICKS = [
    "/v1/decide/", "//v1/decide", "/v1//decide", "/V1/decide", "/v1/decide%2f", "/v1/./decide", "/v1/x/../decide",
    "/v1/decide;x", "/v1/decide?x=1", "/v1/decide\x00", "/healthz/../v1/decide", "/healthz/", "", "/", "*", "/v1",
]  # fmt: skip


@pytest.mark.parametrize(("path", "role"), list(itertools.product(TRICKS, ROLES)))
def test_a_path_that_is_written_another_way_is_no_path(cast, shows, path, role):
    guard, texts, _ = cast

    verdict = guard.check("POST", path, shows(texts[role]), "127.0.0.1")

    assert verdict.status == 404


def test_a_star_stands_for_one_segment():
    table = Table([Rule("GET", "/v1/keys/*", frozenset(["admin"]))])

    found = [table.find("GET", path) is not None for path in ("/v1/keys/a", "/v1/keys/", "/v1/keys/a/b", "/v1/keys")]

    assert found == [True, False, False, False]
    assert table.has_path("/v1/keys/a")


def test_a_server_with_a_route_that_nobody_gave_a_rule_does_not_start():
    with pytest.raises(UsageError, match="no rule says who may call GET /v1/new; add it"):
        Table().require([("POST", "/v1/decide"), ("GET", "/v1/new")])


def test_a_rule_for_a_role_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no role"):
        Table([Rule("GET", "/", frozenset(["root"]))])
