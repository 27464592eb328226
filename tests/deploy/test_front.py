import contextlib
import datetime
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from fairlead.serve.security import Folder, keys, signing
from fairlead.serve.security.doctor import asking

ROOT = Path(__file__).parents[2]
FRONT = ROOT / "deploy" / "front"
pytestmark = [pytest.mark.server, pytest.mark.slow]

SERVE = "from fairlead.cli import main; main()"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "front.key", "-out", folder / "front.crt"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    (folder / "front.pem").write_bytes((folder / "front.crt").read_bytes() + (folder / "front.key").read_bytes())
    return folder


@contextlib.contextmanager
def running(*command, **options):
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def haproxy(folder, certificate, port, sock):
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("no HAProxy here: install Debian's package haproxy, or put haproxy on the PATH")
    named = {"FAIRLEAD_BIND": f"127.0.0.1:{port}", "FAIRLEAD_PEM": certificate / "front.pem", "FAIRLEAD_SOCKET": sock}
    environment = os.environ | {name: str(value) for name, value in named.items()}
    subprocess.run([program, "-c", "-f", FRONT / "haproxy.cfg"], check=True, env=environment, capture_output=True)
    return running(program, "-db", "-f", FRONT / "haproxy.cfg", env=environment)


def nginx(folder, certificate, port, sock):
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no nginx here: install Debian's package nginx, or put nginx on the PATH")
    text = (FRONT / "nginx.conf").read_text()
    for old, new in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/fairlead/front", str(certificate / "front")),
        ("/run/fairlead/serve.sock", str(sock)),
        ("access_log /dev/stdout", f"access_log {folder}/access.log"),
        ("worker_connections 10000", "worker_connections 100"),
    ):
        assert old in text
        text = text.replace(old, new)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.getuid() == 0 else ""
    text = f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n" + text.replace(
        "http {", f"http {{\n{paths}", 1
    )
    (folder / "nginx.conf").write_text(text)
    subprocess.run([program, "-t", "-c", folder / "nginx.conf", "-p", folder], check=True, capture_output=True)
    return running(program, "-c", folder / "nginx.conf", "-p", folder)


@pytest.fixture(scope="module", params=[haproxy, nginx], ids=["haproxy", "nginx"])
def front(request, certificate, tmp_path_factory):
    """Give a front on loopback with a worker behind it: where it listens, and a key."""
    folder = tmp_path_factory.mktemp("front")
    security, now = Folder(folder / "security"), datetime.datetime.now(datetime.UTC)
    signing.make(security.signing)
    _, text = keys.edit(
        security.keys,
        signing.signer(security.signing),
        now,
        lambda kept: keys.issue(kept, "litellm", ("gateway",), now=now),
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sock = folder / "serve.sock"
    serve = ["serve", "--uds", sock, "--keys", security.root, "--snapshot", folder, "--default", "acme/small"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    context = ssl.create_default_context(cafile=certificate / "front.crt")
    with (
        running(sys.executable, "-c", SERVE, *serve, env=environment),
        request.param(folder, certificate, port, sock),
    ):
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ask(port, context, "GET", "/healthz")[0] == 200:
                    break
            assert time.monotonic() < end, "the front did not start"
            time.sleep(0.1)
        yield port, context, text, security


def ask(port, context, method, path, body=None, headers=None):
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    try:
        connection.request(
            method, path, body, headers or {}, encode_chunked=headers is not None and "Transfer-Encoding" in headers
        )
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def bearer(text, **more):
    return {
        "Authorization": f"Bearer {text}",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def test_it_speaks_tls_1_3_and_nothing_older(front, certificate):
    port, *_ = front
    spoken = {}
    for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate / "front.crt")
        context.set_ciphers("ALL:@SECLEVEL=0")
        version = getattr(ssl.TLSVersion, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        try:
            with (
                socket.create_connection(("localhost", port), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as wrapped,
            ):
                spoken[name] = wrapped.version()
        except (ssl.SSLError, ConnectionResetError):
            spoken[name] = None

    assert spoken == {"TLSv1": None, "TLSv1_1": None, "TLSv1_2": None, "TLSv1_3": "TLSv1.3"}


def test_answers_carry_hsts_and_the_apis_headers_and_name_no_server(front):
    port, context, text, _ = front

    status, headers, body = ask(port, context, "POST", "/v1/decide", b"{}", bearer(text))

    assert (status, json.loads(body)["endpoint"]) == (200, "acme/small")
    assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers.get("server", "nginx") == "nginx"  # nginx names itself, without a version


def test_the_doctor_finds_nothing_to_refuse(front):
    port, *_ = front

    found = list(asking.front(f"localhost:{port}"))

    assert [one.verdict for one in found] == ["warning", "ok"]
    assert "a certificate that is not trusted here" in found[0].what


def test_the_doctor_refuses_a_front_that_speaks_older_tls_and_sends_no_hsts(certificate):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = ["-key", certificate / "front.key", "-cert", certificate / "front.crt"]
    with running("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet", *names):
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
                break
            time.sleep(0.05)
        found = list(asking.front(f"localhost:{port}"))

    assert [one.what.split(" ", 1)[1] for one in found if one.verdict == "refused"] == [
        "still speaks TLS 1.2",
        "sends no Strict-Transport-Security",
    ]


def test_a_refusal_comes_through_as_it_is(front):
    port, context, *_ = front

    status, headers, body = ask(port, context, "POST", "/v1/decide", b"{}")

    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(body)["error"]["code"] == "key_missing"


def test_a_caller_cannot_say_where_it_calls_from(front):
    port, context, text, security = front

    assert ask(port, context, "POST", "/v1/decide", b"{}", bearer(text))[0] == 200
    for number in range(3):
        lies = bearer(text, X_Forwarded_For=f"203.0.{number}.9", Forwarded=f"for=203.0.{number}.9")
        assert ask(port, context, "POST", "/v1/decide", b"{}", lies)[0] == 200

    assert not security.audit.exists()  # a key that is used from elsewhere is an alert, and that is an entry


@pytest.mark.parametrize(
    ("path", "size", "expected"),
    [
        ("/v1/decide", 1 << 20, 400),
        ("/v1/decide", (1 << 20) + 1, 413),
        ("/v1/chat/completions", 2 << 20, 404),
        ("/v1/chat/completions", (16 << 20) + 1, 413),
    ],
)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(front, path, size, expected):
    port, context, text, _ = front
    sent = b"x" * size if expected != 413 else b""
    headers = bearer(text, Content_Length=str(size))

    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    connection.putrequest("POST", path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(sent)
    answer = connection.getresponse()
    status = answer.status
    connection.close()

    assert status == expected


def test_a_body_of_unknown_length_is_refused_or_counted(front):
    port, context, text, _ = front
    statuses = []
    for parts in (iter([b"x" * 100]), iter([b"x" * 65536] * 32)):
        try:
            statuses.append(
                ask(port, context, "POST", "/v1/decide", parts, bearer(text, Transfer_Encoding="chunked"))[0]
            )
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):  # it hung up while we still sent
            statuses.append(None)

    assert statuses[0] in {400, 411, None}
    assert statuses[1] in {411, 413, None}


def test_other_methods_do_not_come_through(front):
    port, context, text, _ = front

    statuses = {method: ask(port, context, method, "/v1/decide", None, bearer(text))[0] for method in ("PUT", "DELETE")}

    assert set(statuses.values()) <= {403, 405}


def test_a_sender_that_drips_is_told_so_and_holds_no_worker(front):
    port, context, text, _ = front
    began = time.monotonic()
    slow = []
    drips = [b"X-Drip: ", b"Content-Length: 9\r\n\r\n{"]
    for number in range(20):
        wrapped = context.wrap_socket(
            socket.create_connection(("localhost", port), timeout=20), server_hostname="localhost"
        )
        wrapped.sendall(b"POST /v1/decide HTTP/1.1\r\nHost: localhost\r\n" + drips[number % 2])
        slow.append(wrapped)

    status, _, _ = ask(port, context, "POST", "/v1/decide", b"{}", bearer(text))
    answers = [one.recv(4096) for one in slow]
    taken_s = time.monotonic() - began
    for one in slow:
        one.close()

    assert status == 200
    assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 408", b"HTTP/1.0 408", b""}  # 408, or just closed
    assert 4 < taken_s < 15
