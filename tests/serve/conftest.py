import contextlib
import datetime
import http.server
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec import structs

from fairlead.scoring import Router
from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT
from fairlead.serve import connect
from fairlead.serve.app import App
from fairlead.serve.guard import OPEN
from fairlead.serve.recorder import Recorder
from fairlead.serve.security import Folder, keys, signing
from fairlead.serve.server import Server, bound, config
from fairlead.serve.service import Service
from fairlead.serve.settings import Limits

NAMES = ("acme/small", "acme/large", "other/large")
NOW = datetime.datetime.now(datetime.UTC)
JSON = {"content-type": "application/json"}


def _snapshot(version=1, weights=None):
    plain = builtin(NAMES)
    parameters = {"weights": weights or {"acme/small": 3.0, "acme/large": 1.0}}
    return structs.replace(plain, manifest=structs.replace(plain.manifest, version=version, parameters=parameters))


class Serving:
    """A server on loopback, in a thread of its own."""

    def __init__(self, router, *, shadow=False, guard=OPEN, spool=None, upstreams=None, **limits):
        self.service = Service(router, shadow=shadow)
        recorder = None if spool is None else Recorder(spool, self.service.metrics)
        self.app = App(
            self.service,
            limits=Limits(**limits),
            guard=guard,
            recorder=recorder,
            upstreams=None if upstreams is None else str(upstreams),
        )
        self._socket = bound("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = Server(config(self.app), self.app)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self):
        self._thread.start()
        until = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.01)
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        return self

    def __exit__(self, *_):
        self.http.close()
        self.end()

    def end(self):
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def post(self, path, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=data, headers={**JSON, **headers})

    def raw(self, *parts, wait_s=10.0, pause_s=0.05, silent_s=0.7):
        """Send bytes as they are, and give all that comes back until the connection ends or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as one:
            got = b""
            try:
                for part in parts:
                    one.sendall(part)
                    time.sleep(pause_s)
                one.settimeout(silent_s)
                while more := one.recv(1 << 16):
                    got += more
            except (TimeoutError, OSError):
                pass
            return got


@pytest.fixture(scope="session")
def make_snapshot():
    return _snapshot


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    _snapshot().write(folder / CURRENT)
    return folder


@pytest.fixture
def serving(published):
    """Start servers; each is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(router=None, **how):
            given = Router(published, seed=7, last_resort="acme/large") if router is None else router
            return stack.enter_context(Serving(given, **how))

        yield start


class Process:
    """`fairlead serve` as a process."""

    def __init__(self, *arguments):
        code = "from fairlead.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", "--port", "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().strip().removeprefix("deciding at ")

    def end(self, how=signal.SIGTERM, within_s=30):
        self.process.send_signal(how)
        code = self.process.wait(within_s)
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, said

    def workers(self):
        told = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(one) for one in told.split()]


@pytest.fixture
def process():
    running = []

    def start(*arguments):
        running.append(Process(*arguments))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        one.process.stdout.close()
        one.process.stderr.close()


class Upstream:
    """An OpenAI-compatible server that answers as it is told to, and remembers what it was asked."""

    def __init__(self):
        self.asked, self.answers = [], []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.asked.append((self.path, body, dict(self.headers)))
                status, headers, parts = upstream.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for part in parts:
                    if isinstance(part, float):
                        time.sleep(part)
                        continue
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


class Redis:
    """A server on loopback that a test may stop, kill and start again."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        client, end = connect(self.url, budget_s=1.0), time.monotonic() + 30
        while True:
            try:
                client.ping()
                break
            except Exception:
                assert time.monotonic() < end, "redis-server did not start"
                time.sleep(0.02)
        client.close()

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no Redis server here: install Debian's package redis-server, or put redis-server on the PATH")
    server = Redis(program, tmp_path)
    yield server
    server.kill()


class House:
    """A folder with its keys, and a guard over it."""

    def __init__(self, root):
        self.folder = Folder(root)
        signing.make(self.folder.signing)
        signing.make(self.folder.audit_signing)
        self._signer = signing.signer(self.folder.signing)
        self.new("first", "gateway")

    def change(self, change):
        return keys.edit(self.folder.keys, self._signer, NOW, change)

    def new(self, name, *roles, **options):
        return self.change(lambda kept: keys.issue(kept, name, roles, now=NOW, **options))

    def guard(self, **options):
        return self.folder.guard(**options)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "security")


@pytest.fixture(scope="session")
def shows():
    """Give the headers of a call that shows a key."""

    def headers(text, **more):
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        return [(b"host", b"localhost"), (b"authorization", f"Bearer {text}".encode()), *named]

    return headers


@pytest.fixture(scope="session")
def make_house():
    return House
