"""The Kong plugin in nginx with its Lua module: nginx, Lua, sockets, proxying are real; `kong.*` is a shim over ngx."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fairlead import ingest, store

PLUGIN = Path(__file__).parents[2] / "gateways" / "kong"
MODULES = Path("/usr/lib/nginx/modules")
SHARES = {"gpt-4o-mini": 0.5, "gpt-4o": 0.3, "claude-haiku-4-5": 0.2}
CHAT = {"tools": [], "n": 1.0, "model": "auto", "messages": [{"role": "user", "content": 'A "model": {} \\'}]}
CONFIG = """\
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{}}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  lua_package_path "{plugin}/?.lua;;";
  init_by_lua_block {{
    cjson = require("cjson.safe")
    local headers = function() return ngx.req.get_headers() end
    kong = {{
      request = {{
        get_raw_body = function() ngx.req.read_body() return ngx.req.get_body_data() end,
        get_header = function(name) return headers()[name] end,
      }},
      service = {{ request = {{ set_raw_body = ngx.req.set_body_data, clear_header = ngx.req.clear_header }} }},
      log = {{
        warn = function(...) ngx.log(ngx.WARN, ...) end,
        set_serialize_value = function(key, value)
          ngx.ctx.log = ngx.ctx.log or {{}}
          ngx.ctx.log[key] = value
        end,
      }},
    }}
    plugin = require("handler")
    conf = cjson.decode([==[{conf}]==])
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      client_body_buffer_size 1m;
      access_by_lua_block {{ plugin:access(conf) }}
      log_by_lua_block {{
        plugin:log(conf)
        local out = io.open("told.jsonl", "a")
        out:write(cjson.encode({{ id = ngx.var.request_id, told = ngx.ctx.log or {{}} }}), "\\n")
        out:close()
      }}
      proxy_pass {upstream};
    }}
  }}
}}
"""


@pytest.fixture
def kong(running, tmp_path, free_port, until_open, upstream):
    """Start nginx with the plugin and its settings; give its address and what it logs."""
    if shutil.which("nginx") is None or not (MODULES / "ngx_http_lua_module.so").exists():
        pytest.skip("install Debian's nginx-light, libnginx-mod-http-lua and lua-cjson")

    def start(url, **settings):
        where = urlsplit(url)
        conf = {"host": where.hostname, "port": where.port, "path": where.path, "timeout_ms": 30, "asked": "auto"}
        conf |= settings
        parts = {"modules": MODULES, "plugin": PLUGIN, "port": free_port, "upstream": upstream.url}
        (tmp_path / "nginx.conf").write_text(CONFIG.format(conf=json.dumps(conf), **parts))
        running("nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log")
        until_open(free_port)
        return f"http://127.0.0.1:{free_port}/v1/chat/completions"

    return start


def _told(folder, wait, count):
    path = folder / "told.jsonl"
    wait(lambda: path.exists() and len(path.read_bytes().splitlines()) == count)
    return [json.loads(line)["told"] or {} for line in path.read_bytes().splitlines()]


def _post(url, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"content-type": "application/json", **headers}
    return httpx.post(url, content=data, headers=kind, timeout=20, trust_env=False)


def test_the_model_is_set_and_every_other_byte_of_the_body_stays(kong, brain, upstream, tmp_path, wait):
    url = kong(brain.url, key=brain.key, timeout_ms=5000)

    answers = [_post(url, CHAT, **{"x-fairlead-propensity": "1"}) for _ in range(10)]

    told = _told(tmp_path, wait, 10)
    called = [body["model"] for body, _ in upstream.asked]
    assert [answer.status_code for answer in answers] == [200] * 10
    assert set(called) <= SHARES.keys()
    assert [body for body, _ in upstream.asked] == [{**CHAT, "model": model} for model in called]
    assert not any(name.startswith("x-fairlead-") for _, headers in upstream.asked for name in headers)
    logged = [float(one["request.headers.x-fairlead-propensity"]) for one in told]
    assert logged == [pytest.approx(SHARES[model], abs=1e-12) for model in called]
    wait(lambda: brain.service.metrics and any(one.latency_s for one in brain.service.endpoints().endpoints))


def test_the_decision_comes_back_from_kongs_log(kong, brain, decisions, project, tmp_path, wait, upstream):
    url = kong(brain.url, key=brain.key, timeout_ms=5000)
    for _ in range(10):
        _post(url, CHAT)
    told = _told(tmp_path, wait, 10)
    log = tmp_path / "kong.jsonl"
    lines = [  # Kong puts the values into its line at the places that the plugin named
        {
            "started_at": 1767225600000 + number, "latencies": {"request": 900, "proxy": 880, "kong": 5},
            "request": {
                "id": f"kong-{number}",
                "headers": {name.removeprefix("request.headers."): value for name, value in one.items()},
            },
            "response": {"status": 200},
            "ai": {"proxy": {
                "meta": {"provider_name": "openai", "request_model": body["model"], "response_model": body["model"]},
                "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            }},
        }
        for number, (one, (body, _)) in enumerate(zip(told, upstream.asked, strict=True))
    ]  # fmt: skip
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))

    ingest.load(project, [log])

    made = decisions(brain.spool)
    with store.open_lake(project.lake).connect() as con:
        found = con.sql("select decision_id, response_model, propensity, policy_id from attempts").fetchall()
    assert len(found) == 10
    assert [
        (name, one["endpoint"].partition("/")[2], one["propensity"], one["policy_id"])
        for name, one in ((row[0], made[row[0]]) for row in found)
    ] == found


def test_requests_that_name_a_model_or_are_no_json_are_let_through(kong, brain, upstream):
    url = kong(brain.url, key=brain.key, timeout_ms=5000)
    named = {**CHAT, "model": "gpt-4o"}

    codes = [_post(url, body).status_code for body in (named, {**CHAT, "model": 7}, {"messages": "?"})]

    assert codes == [200] * 3
    assert [body for body, _ in upstream.asked] == [named, {**CHAT, "model": 7}, {"messages": "?"}]


@pytest.mark.parametrize("how", ["down", "hung", "401", "503", "garbage", "wrong key"])
def test_without_a_decision_kong_goes_on_with_the_request_as_it_is(kong, faults, brain, how, upstream, tmp_path, wait):
    url = kong(brain.url if how == "wrong key" else faults[how], key="rk_other")

    answers = [_post(url, CHAT) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert [body for body, _ in upstream.asked] == [CHAT] * 4
    assert _told(tmp_path, wait, 4) == [{}] * 4
    assert max(answer.elapsed.total_seconds() for answer in answers) < 1.0  # it hangs for 2


def test_the_plugin_and_its_schema_are_lua_5_1():
    if shutil.which("luac5.1") is None:
        pytest.skip("install Debian's lua5.1")

    done = subprocess.run(["luac5.1", "-p", PLUGIN / "handler.lua", PLUGIN / "schema.lua"], capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")
