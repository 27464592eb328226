import itertools
import json

import pytest

from fairlead.serve.guard import Principal
from fairlead.serve.routes import ROLES, ROUTES

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
}
DANGEROUS = {
    "/v1/admin/promote": "promote",
    "/v1/admin/rollback": "rollback",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get")
PATHS = sorted({path for _, path in ALLOWED})


def test_the_table_has_every_route_and_no_other():
    assert {(one.method, one.path) for one in ROUTES} == set(ALLOWED)


def expected(method, path, role):
    """Give what the matrix says of one call: in, or the code of the refusal."""
    allowed = ALLOWED.get((method, path), frozenset())
    if allowed is None or (role is not None and role in allowed):
        return "in"
    return "key_missing" if role is None else "not_allowed" if (method, path) in ALLOWED else "wrong_method"


def test_a_role_may_do_what_the_matrix_says_and_nothing_else(cast, shows):
    guard, texts, tokens = cast

    def found(method, path, role):
        token = tokens.get((role, DANGEROUS.get(path)), "")
        headers = [] if role is None else shows(texts[role], x_fairlead_step_up=token)
        verdict = guard.check(method, path, headers, "127.0.0.1")
        return "in" if isinstance(verdict, Principal) else verdict.code

    calls = list(itertools.product(METHODS, PATHS, [None, *ROLES]))
    assert {call: found(*call) for call in calls} == {call: expected(*call) for call in calls}


GUARDS = {"key_missing", "key_refused", "not_allowed", "no_such_path", "wrong_method", "step_up_required"}


def test_the_real_server_asks_the_matrix_of_every_call(cast, serving):
    guard, texts, tokens = cast
    server = serving(guard=guard)

    def found(method, path, role):
        headers = {"content-type": "application/json"}
        if role is not None:
            headers |= {"authorization": f"Bearer {texts[role]}"}
            headers |= {"x-fairlead-step-up": tokens.get((role, DANGEROUS.get(path)), "")}
        # A body that no path takes: what is let in goes no further.
        with server.http.stream(method, path, headers=headers, content=b"[" if method == "POST" else None) as answer:
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
            kind = answer.headers["content-type"]
            if method == "HEAD" or kind != "application/json":
                return {401: "key_missing", 403: "not_allowed", 405: "wrong_method"}.get(answer.status_code, "in")
            code = json.loads(answer.read()).get("error", {}).get("code")
            return code if code in GUARDS else "in"

    # A HEAD is a GET whose body is not sent.
    calls = list(itertools.product((*METHODS[:5], "HEAD", "OPTIONS"), PATHS, [None, *ROLES]))
    seen = {call: found(*call) for call in calls}
    assert seen == {call: expected("GET" if call[0] == "HEAD" else call[0], call[1], call[2]) for call in calls}


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
