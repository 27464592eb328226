import contextlib
import datetime
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from msgspec import structs

from fairlead.scoring import Router
from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT
from fairlead.serve.app import App
from fairlead.serve.recorder import Recorder
from fairlead.serve.security import Folder, keys, signing
from fairlead.serve.server import Server, bound, config
from fairlead.serve.service import Service
from fairlead.serve.settings import Limits

collect_ignore = ["envoy_calls.py", "litellm_calls.py", "litellm_weights.py"]  # run by gateways' own Pythons
ROOT = Path(__file__).parents[2]
NAMES = ("openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-haiku-4-5")


class Brain:
    """A server with a key, in a thread: `url`, `key`, and `spool`, where its decisions are kept."""

    def __init__(self, folder):
        self.spool, self.snapshot = folder / "spool", folder / "published"
        plain = builtin(NAMES)
        parameters = {"weights": {NAMES[0]: 5.0, NAMES[1]: 3.0, NAMES[2]: 2.0}}
        manifest = structs.replace(plain.manifest, version=3, parameters=parameters)
        self.snapshot.mkdir()
        structs.replace(plain, manifest=manifest).write(self.snapshot / CURRENT)
        security, now = Folder(folder / "security"), datetime.datetime.now(datetime.UTC)
        signing.make(security.signing, shared=True)
        signer = signing.signer(security.signing)
        _, self.key = keys.edit(
            security.keys, signer, now, lambda kept: keys.issue(kept, "gateway", ("gateway",), now=now)
        )
        self.service = Service(Router(self.snapshot))
        recorder = Recorder(self.spool, self.service.metrics)
        self.app = App(self.service, limits=Limits(), guard=security.guard(), recorder=recorder, upstreams=None)
        opened = bound("127.0.0.1", 0)
        self.port = opened.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = Server(config(self.app), self.app)
        self._thread = threading.Thread(target=self._server.run, args=([opened],), daemon=True)
        self._thread.start()
        _wait(lambda: self._server.started)

    def end(self):
        self._server.should_exit = True
        self._thread.join(30)


class Faulty(http.server.BaseHTTPRequestHandler):
    """Answers as its path says: /hung, /401, /503, /garbage, /elsewhere."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        how = self.path.split("/")[1]
        if how == "hung":
            time.sleep(2)
        elsewhere = {
            "id": "d", "request_id": "r", "endpoint": "nobody/knows", "propensity": 0.5, "policy": "p",
            "policy_version": "1", "kind": "policy", "is_exploration": False, "decided_us": 1.0,
        }  # fmt: skip
        body = {"garbage": b"<html>", "elsewhere": json.dumps(elsewhere).encode()}.get(how, b"{}")
        with contextlib.suppress(OSError):
            self.send_response(int(how) if how.isdigit() else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Upstream(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible provider that answers at once, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((body, {name.lower(): value for name, value in self.headers.items()}))
        message = {"role": "assistant", "content": "Yes."}
        answer = {
            "id": f"chatcmpl-{len(self.server.asked)}", "object": "chat.completion", "created": 1767225600,
            "model": body.get("model"), "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
        }  # fmt: skip
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def _wait(ready, within_s=30.0):
    until = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.02)


@pytest.fixture
def wait():
    return _wait


@pytest.fixture
def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def until_open():
    """Wait until somebody listens on a port."""
    return lambda port: _wait(lambda: _answers(port))


@contextlib.contextmanager
def _http(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.asked = True, []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def brain(tmp_path_factory):
    made = Brain(tmp_path_factory.mktemp("brain"))
    yield made
    made.end()


@pytest.fixture(scope="session")
def faults():
    """Give the address of a fairlead that is broken, by how it is."""
    with _http(Faulty) as server:
        paths = {how: f"{server.url}/{how}" for how in ("hung", "401", "503", "garbage", "elsewhere")}
        yield {"down": "http://127.0.0.1:9", **paths}


@pytest.fixture
def upstream():
    with _http(Upstream) as server:
        yield server


@pytest.fixture(scope="session")
def python_of():
    """Give the Python that a variable of the environment names; skip where it names none."""

    def found(variable):
        named = os.environ.get(variable)
        if not named:
            pytest.skip(f"set {variable} to a Python with what this gateway needs (gateways/README.md)")
        return named

    return found


@pytest.fixture
def running(tmp_path):
    """Start programs beside the test; each is ended with it. What they say is in `log` files of the test's folder."""
    with contextlib.ExitStack() as stack:

        def start(*command, cwd=tmp_path, **more):
            environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "*"} | more
            log = stack.enter_context((tmp_path / f"{Path(command[0]).name}.log").open("a"))
            process = subprocess.Popen([*map(str, command)], cwd=cwd, env=environment, stdout=log, stderr=log)
            stack.callback(_end, process)
            return process

        yield start


def _end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def decisions():
    """Give the decisions in a spool, by id."""

    def read(folder):
        _wait(lambda: any(folder.glob("*")))
        lines = [json.loads(line) for path in sorted(folder.glob("*")) for line in path.read_bytes().splitlines()]
        return {line["decision_id"]: line for line in lines if line.get("fairlead") == "decision"}

    return read


@pytest.fixture(scope="session")
def here():
    """Give the Python that runs the tests."""
    return sys.executable
