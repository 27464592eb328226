import json
from datetime import UTC, datetime, timedelta

import pytest

from fairlead.errors import UsageError
from fairlead.serve.keys import KeyFile, hashed


def _file(path, **scopes):
    keys = [{"name": name, "sha256": hashed(f"rk_{name}"), "scopes": list(of)} for name, of in scopes.items()]
    path.write_text(json.dumps({"keys": keys}))
    return path


def _bearer(key):
    return {"authorization": f"Bearer {key}"}


def test_a_key_may_do_what_its_scopes_say_and_nothing_else(serving, tmp_path):
    server = serving(guard=KeyFile(_file(tmp_path / "keys.json", gateway=["decide"], reader=["read"])))

    def status(method, path, key):
        headers = {"content-type": "application/json"} | (_bearer(key) if key else {})
        answer = server.http.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
        return answer.status_code if answer.status_code == 200 else answer.json()["error"]["code"]

    assert status("POST", "/v1/decide", "rk_gateway") == 200
    assert status("POST", "/v1/decide", "rk_reader") == "not_allowed"
    assert status("POST", "/v1/decide", "rk_unknown") == "key_refused"
    assert status("POST", "/v1/decide", None) == "key_missing"
    assert status("GET", "/v1/endpoints", "rk_reader") == 200
    assert status("GET", "/metrics", "rk_gateway") == "not_allowed"
    assert status("GET", "/v1/stream", None) == "key_missing"
    assert status("POST", "/v1/chat/completions", "rk_gateway") == "not_allowed"
    assert [status("GET", path, None) for path in ("/healthz", "/readyz", "/openapi.json")] == [200] * 3


def test_every_path_that_is_not_open_asks_for_a_key(serving, tmp_path):
    from fairlead.serve.routes import ROUTES

    server = serving(guard=KeyFile(_file(tmp_path / "keys.json")))

    for route in ROUTES:
        answer = server.http.request(route.method, route.path, headers={"content-type": "application/json"})
        assert (answer.status_code == 401) == (route.scope is not None), route.path
        assert answer.headers.get("www-authenticate") == ("Bearer" if route.scope is not None else None)


def test_a_file_that_changes_is_taken_and_one_that_is_spoilt_is_not(tmp_path, monkeypatch):
    from fairlead.serve import keys
    from fairlead.serve.refusals import RefusedError

    monkeypatch.setattr(keys, "_LOOK_S", 0.0)
    path = _file(tmp_path / "keys.json", first=["decide"])
    guard = KeyFile(path)

    def admitted(name):
        try:
            return guard.admit("POST", "/v1/decide", [(b"authorization", f"bearer rk_{name}".encode())], "decide").name
        except RefusedError as refused:
            return refused.code

    assert (admitted("first"), admitted("second")) == ("first", "key_refused")
    _file(path, second=["decide"])
    assert (admitted("first"), admitted("second")) == ("key_refused", "second")
    path.write_text("{")
    assert admitted("second") == "second"
    assert str(path) in guard.refused
    _file(path, first=["decide"], second=["decide"])
    assert (admitted("first"), guard.refused) == ("first", None)


def test_a_key_expires(tmp_path):
    from fairlead.serve.refusals import RefusedError

    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    key = {"name": "old", "sha256": hashed("rk_old"), "scopes": ["decide"], "expires_at": past}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key]}))

    with pytest.raises(RefusedError, match="key_refused"):
        KeyFile(tmp_path / "keys.json").admit("POST", "/", [(b"authorization", b"Bearer rk_old")], "decide")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": [{"name": "a", "sha256": "rk_plain", "scopes": []}]}', '{"keys": [], "x": 1}']
)
def test_a_file_that_is_none_is_refused_at_the_start(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)

    with pytest.raises(UsageError, match=r"keys\.json: cannot be read"):
        KeyFile(tmp_path / "keys.json")
