"""Objects in S3 and what speaks like it: listed, downloaded whole to a temporary file, and only when they changed.

Endpoint, region and credentials come from the standard AWS variables and files: AWS_ENDPOINT_URL_S3 or
AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID and so on, AWS_PROFILE, roles, AWS_CA_BUNDLE.
"""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Generator
from typing import IO, Final

import msgspec
from msgspec import Struct
from pyarrow import fs

from fairlead.errors import ReadError, UsageError
from fairlead.ingest import files
from fairlead.ingest.sources import s3errors, wildcards
from fairlead.ingest.sources.part import Marks, Part, held, spool

__all__ = ["find"]

_SCHEME: Final = "s3://"
_CHUNK: Final = 4 << 20
_CONNECT_S: Final = 10.0
_SILENCE_S: Final = 30.0  # without a byte, until a request counts as failed
_ATTEMPTS: Final = 3  # of each request
_DOWNLOADS: Final = 3  # of an object that changes, or breaks off, while it is read
# Moments of change have the grain of a second and another clock: only what was older than this when it was read is
# known by its size and moment alone.
_SETTLED_S: Final = 300.0


class _Mark(Struct, frozen=True, kw_only=True):
    etag: str
    size: int
    changed_ns: int
    settled: bool
    sha256: str


class _Object:
    """One object."""

    def __init__(self, store: fs.S3FileSystem, found: fs.FileInfo, mark: str, before: _Mark | None) -> None:
        self.name = _SCHEME + found.path
        self._store = store
        self._found = found
        self._mark = mark
        self._before = before

    def parts(self) -> Generator[Part, None, None]:
        """Give the object as it is now; its bytes only when they may be others than before."""
        before = self._before
        if before is not None and self._unchanged(before):
            mark = self._remember(before.etag, before.sha256, before.size)
            yield Part(name=self.name, sha256=before.sha256, size=before.size, file=None, marks=mark)
            return
        with spool() as kept:
            etag = self._download(kept)
            part = held(kept, self.name)
            yield msgspec.structs.replace(part, marks=self._remember(etag, part.sha256, part.size))

    def _unchanged(self, before: _Mark) -> bool:
        if (self._found.size, self._found.mtime_ns) != (before.size, before.changed_ns):
            return False
        return before.settled or s3errors.told(self.name, self._etag) == before.etag

    def _download(self, kept: IO[bytes]) -> str:
        for _ in range(_DOWNLOADS):
            kept.seek(0)
            kept.truncate()
            etag, size = s3errors.told(self.name, lambda: self._copy(kept))
            # Reads are by range: only an object that is the same afterwards was one object all the time.
            if etag == s3errors.told(self.name, self._etag) and kept.tell() == size:
                return etag
        raise ReadError(f"{self.name}: it changed or broke off each of {_DOWNLOADS} times it was read; load it later")

    def _copy(self, kept: IO[bytes]) -> tuple[str, int]:
        with self._store.open_input_stream(self._found.path, compression=None) as stream:
            told = stream.metadata()
            while piece := stream.read(_CHUNK):
                kept.write(piece)
        return _text(told, "ETag"), int(_text(told, "Content-Length") or -1)

    def _etag(self) -> str:
        with self._store.open_input_stream(self._found.path, compression=None) as stream:
            return _text(stream.metadata(), "ETag")

    def _remember(self, etag: str, sha256: str, size: int) -> dict[str, str]:
        changed_ns = self._found.mtime_ns or 0
        settled = time.time() - changed_ns / 1e9 > _SETTLED_S and size == self._found.size
        mark = _Mark(etag=etag, size=size, changed_ns=changed_ns, settled=settled, sha256=sha256)
        return {self._mark: msgspec.json.encode(mark).decode()}


def find(url: str, marks: Marks, how: str) -> list[_Object]:
    """Give the objects that a URL means: one, those under a prefix, or those that match a pattern."""
    path = _path(url)
    store, endpoint = _store()
    infos = s3errors.told(url, lambda: _infos(store, path, url))
    prefix = f"s3 {endpoint} "
    known = {name: msgspec.json.decode(value, type=_Mark) for name, value in marks(prefix).items()}
    found = []
    for info in infos:
        mark = f"{prefix}{info.path} {how}"
        found.append(_Object(store, info, mark, known.get(mark)))
    return found


def _infos(store: fs.S3FileSystem, path: str, url: str) -> list[fs.FileInfo]:
    if not path.endswith("/") and "/" in path:
        exact = store.get_file_info(path)
        if exact.type == fs.FileType.File:
            return [exact]
    pattern = glob.has_magic(path)
    base = wildcards.base(path) if pattern else path.rstrip("/")
    try:
        listed = store.get_file_info(fs.FileSelector(base, recursive=True))
    except FileNotFoundError:
        listed = []
    found = [
        one
        for one in listed
        if one.type == fs.FileType.File
        and (wildcards.matches(path, one.path) if pattern else one.path.lower().endswith(files.SUFFIXES))
    ]
    if not found:
        raise ReadError(
            f"{url}: no such object, and no logs under it; give s3://bucket/key, s3://bucket/prefix/ or a pattern, "
            f"and mind that a log's name under a prefix ends in one of {', '.join(files.SUFFIXES)}"
        )
    return sorted(found, key=lambda one: str(one.path))


def _path(url: str) -> str:
    path = url.removeprefix(_SCHEME)
    if "@" in path.split("/")[0]:
        raise UsageError("s3://: credentials do not belong into a URL; put them into AWS_ACCESS_KEY_ID and so on")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-_]{1,254}(/.*)?", path, re.DOTALL):
        raise UsageError("s3://: no name of a bucket; give s3://bucket/key, s3://bucket/prefix/ or a pattern")
    return path


def _store() -> tuple[fs.S3FileSystem, str]:
    environment = os.environ
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    scheme, _, host = endpoint.rstrip("/").rpartition("://")
    if "@" in host:
        raise UsageError("AWS_ENDPOINT_URL: holds credentials; put them into AWS_ACCESS_KEY_ID and so on")
    store = fs.S3FileSystem(
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
        endpoint_override=host or None,
        scheme=scheme or "https",
        connect_timeout=_CONNECT_S,
        request_timeout=_SILENCE_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        tls_ca_file_path=environment.get("AWS_CA_BUNDLE"),
    )
    return store, host or "aws"


def _text(told: dict[str, bytes], name: str) -> str:
    return (told or {}).get(name, b"").decode("utf-8", "replace")
