import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

from fairlead.cli import main
from fairlead.errors import ReadError, StoreError, UsageError
from fairlead.ingest import files, receive
from fairlead.ingest.receive import otlp
from fairlead.ingest.receive.limits import Limits
from fairlead.serve.spool import Spool

JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def span(number: int = 0, **more: Any) -> dict[str, Any]:
    ids = {"traceId": f"{number:032x}", "spanId": f"{number:016x}"}
    return {**ids, "name": "chat", "startTimeUnixNano": "1767225600000000001", "kind": 3, **more}


def document(*spans: dict[str, Any]) -> dict[str, Any]:
    scope = {"scope": {"name": "s"}, "spans": list(spans), "schemaUrl": "u"}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}


def kept(folder: Path) -> list[Any]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


class Service:
    """A receiver in a process of its own."""

    def __init__(self, inbox: Path, *options: str, token: str | None = None, host: str = "127.0.0.1") -> None:
        self.inbox = inbox
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment |= {} if token is None else {"FAIRLEAD_RECEIVE_TOKEN": token}
        code = "from fairlead.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "receive", "--host", host, "--port", "0", "--inbox", str(inbox), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("listening on http://"), (said, self.process.communicate())
        self.url = said.split()[2].rstrip(",")

    def stop(self, how: int = signal.SIGTERM) -> str:
        self.process.send_signal(how)
        return self.process.communicate(timeout=30)[1]


@contextlib.contextmanager
def running(inbox: Path, *options: str, **more: Any) -> Iterator[Service]:
    service = Service(inbox, *options, **more)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("receive") / "inbox", "--every", "3600") as service:
        yield service


@pytest.mark.server
def test_what_is_acknowledged_is_in_a_private_file_of_json_lines(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    one = document(span(1, name="über"))
    with running(inbox) as service:
        pretty = httpx.post(service.url, content=json.dumps(one, indent=2).encode(), headers=JSON)
        packed = httpx.post(
            service.url, content=gzip.compress(json.dumps(one).encode()), headers={**JSON, "Content-Encoding": "gzip"}
        )
        empty = httpx.post(service.url, content=b"{}", headers=JSON)
        hidden = list(inbox.iterdir())
        with pytest.raises(ReadError, match="no log files"):
            files.find(inbox)
        service.stop()

    for answer in (pretty, packed, empty):
        assert (answer.status_code, answer.json()) == (200, {"partialSuccess": {}})
    assert kept(inbox) == [one, one]
    assert [path.name[0] for path in hidden] == ["."]
    assert {oct(path.stat().st_mode)[-3:] for path in inbox.iterdir()} == {"600"}
    assert oct(inbox.stat().st_mode)[-3:] == "700"


@pytest.mark.server
def test_the_real_exporter_is_understood(tmp_path: Path) -> None:
    exporter = pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http.trace_exporter", reason="needs opentelemetry-exporter-otlp-proto-http"
    )
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    with running(tmp_path / "inbox", token="secret") as service:
        sender = exporter.OTLPSpanExporter(
            endpoint=service.url, headers={"authorization": "Bearer secret"}, compression=Compression.Gzip
        )
        provider = TracerProvider(resource=Resource.create({"service.name": "gateway"}))
        provider.add_span_processor(SimpleSpanProcessor(sender))
        with provider.get_tracer("t").start_as_current_span("chat gpt-4o") as parent:
            parent.set_attribute("gen_ai.usage.input_tokens", 12)
            with provider.get_tracer("t").start_as_current_span("child") as child:
                child.set_attribute("gen_ai.response.finish_reasons", ["stop"])
        provider.shutdown()
        service.stop()

    (inner, outer) = (one["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for one in kept(tmp_path / "inbox"))
    trace = f"{parent.get_span_context().trace_id:032x}"
    assert (inner["traceId"], outer["traceId"]) == (trace, trace)
    assert inner["parentSpanId"] == outer["spanId"] == f"{parent.get_span_context().span_id:016x}"
    assert outer["startTimeUnixNano"] == str(parent.start_time)
    assert outer["attributes"] == [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}}]
    assert inner["attributes"] == [
        {
            "key": "gen_ai.response.finish_reasons",
            "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}},
        }
    ]


@pytest.mark.server
@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/v1/traces", JSON, b"", 405),
        ("POST", "/v1/logs", JSON, b"{}", 404),
        ("POST", "/v1/traces", {"Content-Type": "text/plain"}, b"{}", 415),
        ("POST", "/v1/traces", {}, b"{}", 415),
        ("POST", "/v1/traces", {**JSON, "Content-Encoding": "br"}, b"{}", 415),
        ("POST", "/v1/traces", {**JSON, "Content-Encoding": "gzip"}, b"{}", 400),
        ("POST", "/v1/traces", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0)[:-3], 400),
        ("POST", "/v1/traces", {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b" " * (40 << 20), mtime=0), 413),
        ("POST", "/v1/traces", JSON, b" " * (33 << 20), 413),
        ("POST", "/v1/traces", JSON, b"", 400),
        ("POST", "/v1/traces", JSON, b"[]", 400),
        ("POST", "/v1/traces", JSON, b'{"resourceSpans": {}}', 400),
        ("POST", "/v1/traces", JSON, b'{"resourceSpans": [1', 400),
        ("POST", "/v1/traces", JSON, b'{"resourceSpans": [{"a": NaN}]}', 400),
        ("POST", "/v1/traces", JSON, b'{"resourceSpans": [{"a": "\n"}]}', 400),
        ("POST", "/v1/traces", JSON, b'{"resourceSpans": [{"a": "\xff"}]}', 400),
        ("POST", "/v1/traces", JSON, b'{"resourceSpans": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", 400),
        ("POST", "/v1/traces", PROTOBUF, b"\xff\xff", 400),
    ],
)
def test_what_is_no_export_is_refused_and_leaves_nothing(
    method: str, path: str, headers: dict[str, str], body: bytes, status: int, shared_service: Service
) -> None:
    answer = httpx.request(method, shared_service.url.replace("/v1/traces", path), headers=headers, content=body)

    assert answer.status_code == status
    assert list(shared_service.inbox.iterdir()) == []
    if headers == PROTOBUF:
        assert answer.content[2:].decode() == "the body is not an ExportTraceServiceRequest in protobuf"
    else:
        assert set(answer.json()) == {"message"}


@pytest.mark.server
def test_a_sender_that_goes_away_in_the_middle_leaves_nothing(shared_service: Service) -> None:
    host, port = shared_service.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as sender:
        sender.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
        )

    assert httpx.post(shared_service.url, content=b"{}", headers=JSON).status_code == 200
    assert list(shared_service.inbox.iterdir()) == []


@pytest.mark.server
def test_a_token_is_asked_for_and_never_told(tmp_path: Path) -> None:
    with running(tmp_path / "inbox", token="s3cret", host="0.0.0.0") as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        answers = [
            httpx.post(url, content=b"{}", headers=JSON | more)
            for more in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer s3cret"})
        ]
        said = service.stop()

    assert [answer.status_code for answer in answers] == [401, 401, 200]
    assert "s3cret" not in "".join(answer.text for answer in answers) + said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_others_are_not_served_without_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be reached by others; set FAIRLEAD_RECEIVE_TOKEN"):
        receive.serve(tmp_path / "inbox", host=host, port=0)


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="choose another --port"):
        receive.serve(tmp_path, port=taken.getsockname()[1])


@pytest.mark.server
def test_a_full_spool_makes_senders_wait_until_it_was_ingested(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    big = json.dumps(document(span(1, name="x" * (1 << 20)))).encode()
    with running(inbox, "--max-mb", "1", "--every", "1") as service:
        first = httpx.post(service.url, content=big, headers=JSON)
        second = httpx.post(service.url, content=big, headers=JSON)
        while not (ready := list(inbox.glob("*.jsonl"))):
            assert service.process.poll() is None
        ready[0].unlink()
        while (third := httpx.post(service.url, content=big, headers=JSON)).status_code == 503:
            assert third.headers["retry-after"] == "30"

    assert (first.status_code, second.status_code, third.status_code) == (200, 503, 200)
    assert second.headers["retry-after"] == "30"


@pytest.mark.server
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    acknowledged: list[int] = []
    victim = Service(inbox)

    def send(worker: int) -> None:
        with httpx.Client() as client, contextlib.suppress(httpx.TransportError):
            for number in range(worker * 100_000, worker * 100_000 + 5_000):
                body = json.dumps(document(span(number + 1))).encode()
                if client.post(victim.url, content=body, headers=JSON).status_code == 200:
                    acknowledged.append(number + 1)
                    if len(acknowledged) == 150:
                        victim.process.kill()

    workers = [threading.Thread(target=send, args=[worker]) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    victim.process.communicate()
    assert kept(inbox) == []
    with running(inbox):
        found = kept(inbox)

    numbers = [int(one["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"], 16) for one in found]
    assert len(acknowledged) >= 150
    assert set(acknowledged) <= set(numbers)
    assert len(numbers) == len(set(numbers))


def test_what_a_dead_writer_left_is_finished_and_a_living_ones_is_not(tmp_path: Path) -> None:
    living = Spool(tmp_path, Limits())
    living.write([b'{"a": 1}\n'])
    (tmp_path / ".otlp-1.part").write_bytes(b'{"b": 1}\n{"torn')
    (tmp_path / ".otlp-2.part").write_bytes(b'{"torn')
    (tmp_path / ".otlp-3.part").write_bytes(b'{"c": 1}\n' + b"x" * 200_000)

    Spool(tmp_path, Limits())

    assert kept(tmp_path) == [{"b": 1}, {"c": 1}]
    assert len(list(tmp_path.glob(".*.part"))) == 1
    living.finish()
    assert sorted(map(str, kept(tmp_path))) == ["{'a': 1}", "{'b': 1}", "{'c': 1}"]


def test_a_disk_that_fails_acknowledges_nothing_and_goes_on_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, Limits())
    spool.write([b"1\n"])
    whole = os.write

    def half(descriptor: int, data: Any) -> int:
        if bytes(data) == b"22222222\n":
            return whole(descriptor, data[:4])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space"):
            spool.write([b"22222222\n"])
    spool.write([b"3\n"])
    spool.finish()

    assert kept(tmp_path) == [1, 3]
    assert list(tmp_path.glob(".*")) == []


def test_nothing_counts_before_the_disk_has_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, Limits())
    spool.write([b"1\n"])

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output"):
            spool.write([b"2\n"])
    spool.finish()
    Spool(tmp_path, Limits())

    assert kept(tmp_path) == [1]


def test_a_file_is_finished_when_it_is_large_enough(tmp_path: Path) -> None:
    spool = Spool(tmp_path, Limits(file_bytes=10))

    for number in range(6):
        spool.write([b"%d\n" % number * 2])

    assert [path.stat().st_size for path in sorted(tmp_path.glob("*.jsonl"))] == [12, 12]
    assert spool.due() is None


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"file/inbox: cannot be used \(Not a directory\)"):
        Spool(tmp_path / "file" / "inbox", Limits())


def test_protobuf_becomes_the_json_of_the_same_request() -> None:
    request = service.ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    one = scope.spans.add(trace_id=b"\x01" * 16, span_id=b"\xff" * 8, parent_span_id=b"\x02" * 8, name="chat", kind=3)
    one.start_time_unix_nano = 1_767_225_600_000_000_001
    one.links.add(trace_id=b"\x03" * 16, span_id=b"\x04" * 8)
    one.attributes.add(key="b").value.bytes_value = b"\xff\x00"
    one.attributes.add(key="n").value.int_value = 2**60
    one.status.code = 2

    (line,) = otlp.lines(request.SerializeToString(), otlp.PROTOBUF).documents

    assert json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"] == [
        {
            "traceId": "01" * 16,
            "spanId": "ff" * 8,
            "parentSpanId": "02" * 8,
            "name": "chat",
            "kind": 3,
            "startTimeUnixNano": "1767225600000000001",
            "attributes": [
                {"key": "b", "value": {"bytesValue": "/wA="}},
                {"key": "n", "value": {"intValue": str(2**60)}},
            ],
            "links": [{"traceId": "03" * 16, "spanId": "04" * 8}],
            "status": {"code": 2},
        }
    ]


def test_a_long_document_is_split_and_a_span_too_long_is_told_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "_LONGEST", 2000)
    spans = [span(number, name="x" * 300) for number in range(1, 12)]
    body = json.dumps(document(*spans, span(99, name="y" * 3000)), indent=1).encode()

    found = otlp.lines(body, otlp.JSON)

    assert (len(found.documents) > 2, found.rejected) == (True, 1)
    assert max(map(len, found.documents)) <= 2001
    parts = [json.loads(line)["resourceSpans"][0] for line in found.documents]
    assert [one for part in parts for one in part["scopeSpans"][0]["spans"]] == spans
    assert [
        (part["resource"], part["scopeSpans"][0]["scope"], part["scopeSpans"][0]["schemaUrl"]) for part in parts
    ] == [({"attributes": []}, {"name": "s"}, "u")] * len(parts)
    assert json.loads(otlp.accepted(1, otlp.JSON))["partialSuccess"]["rejectedSpans"] == "1"
    answer = service.ExportTraceServiceResponse.FromString(otlp.accepted(1, otlp.PROTOBUF))
    assert answer.partial_success.rejected_spans == 1
    assert otlp.accepted(0, otlp.PROTOBUF) == b""


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["resourceSpans", "scopeSpans", "spans", "x"]), inner, max_size=3)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value, indent=1).encode()),
    ),
    st.sampled_from([otlp.JSON, otlp.PROTOBUF]),
)
def test_any_body_is_lines_of_json_or_refused(body: bytes, content_type: str) -> None:
    try:
        found = otlp.lines(body, content_type)
    except ReadError:
        return

    for line in found.documents:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert isinstance(msgspec.json.decode(line)["resourceSpans"], list)


def test_an_empty_token_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setenv("FAIRLEAD_RECEIVE_TOKEN", " ")
    monkeypatch.setattr(sys, "argv", ["fairlead", "receive", "--inbox", str(tmp_path / "inbox")])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "fairlead: FAIRLEAD_RECEIVE_TOKEN is set but empty; set it to a secret, or unset it\n"
    )
