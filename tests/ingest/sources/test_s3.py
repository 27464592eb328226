import contextlib
import gzip
import http.server
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pyarrow import fs

from fairlead import ingest
from fairlead.errors import ReadError, UsageError
from fairlead.ingest.sources import s3
from fairlead.project import Project


class Bucket:
    """A bucket of a real S3 server, whose requests are counted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = "logs-" + os.urandom(4).hex()
        self._store = fs.S3FileSystem(
            region="us-east-1", endpoint_override=url.removeprefix("http://"), scheme="http", allow_bucket_creation=True
        )
        self._store.create_dir(self.name)

    def put(self, key: str, content: bytes) -> None:
        with self._store.open_output_stream(f"{self.name}/{key}", compression=None) as out:
            out.write(content)

    def __truediv__(self, key: str) -> str:
        return f"s3://{self.name}/{key}"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    moto = pytest.importorskip("moto.server", reason="no S3 server here: pip install 'moto[server]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    return Bucket(server)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects whose bytes were asked for."""
    seen: list[str] = []
    whole = s3._Object._copy

    def copy(self: Any, kept: Any) -> Any:
        seen.append(self.name)
        return whole(self, kept)

    monkeypatch.setattr(s3._Object, "_copy", copy)
    return seen


def lines(payload: Any, *numbers: int) -> bytes:
    return b"".join(json.dumps(payload(number)).encode() + b"\n" for number in numbers)


def counts(result: Any) -> tuple[int, int, int, int]:
    return result.read, result.stored, result.duplicates, result.quarantined


def test_keys_prefixes_and_patterns_are_found(project: Project, payload: Any, bucket: Bucket) -> None:
    bucket.put("logs/2026/a.jsonl", lines(payload, 0, 1))
    bucket.put("logs/2026/deep/b.jsonl.gz", gzip.compress(lines(payload, 2)))
    bucket.put("logs/odd [1]?%2F ü.jsonl", lines(payload, 3))
    bucket.put("logs/README.txt", b"not a log")
    bucket.put("logs-of-others/c.jsonl", lines(payload, 4))
    bucket.put("single", lines(payload, 5))

    def names(given: str) -> list[str]:
        return [str(file.path) for file in ingest.load(project, [bucket / given]).files]

    assert (
        names("logs/")
        == names("logs")
        == [
            bucket / "logs/2026/a.jsonl",
            bucket / "logs/2026/deep/b.jsonl.gz",
            bucket / "logs/odd [1]?%2F ü.jsonl",
        ]
    )
    assert names("logs/odd [1]?%2F ü.jsonl") == [bucket / "logs/odd [1]?%2F ü.jsonl"]
    assert names("logs*/*.jsonl") == [bucket / "logs-of-others/c.jsonl", bucket / "logs/odd [1]?%2F ü.jsonl"]
    assert names("**/2026/**") == [bucket / "logs/2026/a.jsonl", bucket / "logs/2026/deep/b.jsonl.gz"]
    assert names("single") == [bucket / "single"]
    assert len(names("")) == 4


def test_an_unchanged_object_is_not_downloaded_again(
    project: Project, payload: Any, bucket: Bucket, downloads: list[str], select: Any
) -> None:
    bucket.put("a.jsonl", lines(payload, 0, 1) + b"{oops\n")

    first = ingest.load(project, [bucket / "a.jsonl"])
    again = ingest.load(project, [bucket / ""])

    assert (counts(first), counts(again)) == ((3, 2, 0, 1), (3, 0, 2, 1))
    assert (again.files[0].known, downloads) == (True, [bucket / "a.jsonl"])
    assert select("SELECT file, line FROM quarantine") == [(bucket / "a.jsonl", 3)]


def test_an_object_that_changed_within_the_second_at_the_same_length_is_downloaded(
    project: Project, payload: Any, bucket: Bucket, downloads: list[str]
) -> None:
    bucket.put("a.jsonl", lines(payload, 1))
    ingest.load(project, [bucket / "a.jsonl"])
    bucket.put("a.jsonl", lines(payload, 2))

    result = ingest.load(project, [bucket / "a.jsonl"])

    assert counts(result) == (1, 1, 0, 0)
    assert len(downloads) == 2


def test_an_object_read_another_way_is_downloaded_again(
    project: Project, payload: Any, bucket: Bucket, downloads: list[str]
) -> None:
    bucket.put("a.jsonl", lines(payload, 1))
    wrong = ingest.load(project, [bucket / "a.jsonl"], reader="litellm_spendlogs")

    right = ingest.load(project, [bucket / "a.jsonl"])

    assert (counts(wrong), counts(right)) == ((1, 0, 0, 1), (1, 1, 0, 0))
    assert len(downloads) == 2


def test_a_listing_of_many_pages_is_read_to_its_end(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with httpx.Client() as client:
        for number in range(1100):
            client.put(f"{bucket.url}/{bucket.name}/many/{number:04}.jsonl", content=b"")

    found = s3.find(bucket / "many/", lambda _: {}, "auto ")

    assert [one.name for one in found] == [bucket / f"many/{number:04}.jsonl" for number in range(1100)]


def test_what_the_store_refuses_is_one_line_with_a_way_out(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, said in {
        "s3://no-such-bucket-here/x/": "there is no such bucket; check its name and AWS_ENDPOINT_URL",
        bucket / "nothing": "no such object, and no logs under it",
        bucket / "no*thing": "no such object, and no logs under it",
        "s3://": "no name of a bucket",
        "s3:///key": "no name of a bucket",
        "s3://AKIA:s3cret@bucket/key": "credentials do not belong into a URL",
    }.items():
        with pytest.raises((ReadError, UsageError), match=said) as caught:
            ingest.load(project, [url])
        assert "s3cret" not in str(caught.value)

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ReadError, match="the store cannot be reached; check AWS_ENDPOINT_URL"):
        ingest.load(project, [bucket / "x/"])


class Broken(http.server.BaseHTTPRequestHandler):
    """A store of one object, of which something is off."""

    content = b"x" * 100_000
    fault = ""
    asked = 0

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        if "list-type" in self.path:
            self.send_error(404)
        else:
            self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        cls = type(self)
        cls.asked += 1
        if cls.fault.isdigit():
            self.send_response(int(cls.fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        etag = f'"{cls.asked}"' if cls.fault == "changes" else '"same"'
        start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        body = cls.content[int(start) : int(end) + 1 if end else None]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(body) - 1}/{len(cls.content)}")
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if cls.fault in ("breaks", "stalls") else body)
            if cls.fault == "stalls":
                self.wfile.flush()
                self.server.released.wait(20)
            self.close_connection = True

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    class Store(Broken):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        server.daemon_threads = False
        server.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(s3, "_SILENCE_S", 1.0)
        monkeypatch.setattr(s3, "_ATTEMPTS", 2)
        try:
            yield Store
        finally:
            server.released.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("breaks", "the store|broke off"),
        ("stalls", "the store does not answer in time"),
        ("changes", "it changed or broke off each of 3 times"),
        ("500", "the store failed"),
        ("403", "access is denied; these credentials need s3:ListBucket and s3:GetObject"),
    ],
)
def test_half_an_object_is_never_loaded(
    fault: str, said: str, project: Project, payload: Any, broken: Any, select: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    broken.content = lines(payload, *range(100))
    broken.fault = fault
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())

    with pytest.raises(ReadError, match=said):
        ingest.load(project, ["s3://bucket/log.jsonl"])

    assert broken.asked < 40
    assert sorted(tmp_path.iterdir()) == before
    with contextlib.suppress(Exception):
        assert select("SELECT count(*) FROM attempts") == [(0,)]
    broken.fault = ""
    assert counts(ingest.load(project, ["s3://bucket/log.jsonl"])) == (100, 100, 0, 0)
