"""From a body of OTLP/HTTP to lines of OTLP JSON, one document a line, none of them too long to be read back."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from msgspec import Raw, Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from fairlead.errors import ReadError

__all__ = ["JSON", "PROTOBUF", "Lines", "TooLargeError", "accepted", "inflate", "lines", "refused"]

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
_LONGEST: Final = 8 << 20  # half of what a line of a log may have
_LEVELS: Final = ("resourceSpans", "scopeSpans", "spans")
_IDS: Final = ("traceId", "spanId", "parentSpanId")
_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


class TooLargeError(ReadError):
    """A body that is larger than is taken."""


class Lines(Struct, frozen=True):
    """What a body holds: documents, each ending its line, and how many spans are too large to be kept."""

    documents: list[bytes]
    rejected: int


def inflate(body: bytes, most: int) -> bytes:
    """Give what a gzip body holds; TooLargeError beyond `most` bytes, ReadError for what is not gzip."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = unpacker.decompress(body, most + 1)
    except zlib.error as fault:
        raise ReadError("the body is not gzip, as its Content-Encoding says") from fault
    if len(data) > most:
        raise TooLargeError(f"the body expands to more than {most} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise ReadError("the body is not one whole gzip stream")
    return data


def lines(body: bytes, content_type: str) -> Lines:
    """Take a body apart; ReadError when it is no request to export traces."""
    text = _from_protobuf(body) if content_type == PROTOBUF else body
    try:
        text.decode()  # what is passed over as it is, is not looked into below
        document = msgspec.json.decode(text, type=dict[str, Raw])
        spans = msgspec.json.decode(document.get(_LEVELS[0], Raw(b"[]")), type=list[Raw])
        if not spans:
            return Lines([], 0)
        pieces = list(_pieces(text, _LEVELS))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise ReadError('the body is not OTLP JSON: an object with a list "resourceSpans"') from fault
    kept = [piece.translate(_BREAKS) + b"\n" for piece in pieces if len(piece) <= _LONGEST]
    return Lines(kept, len(pieces) - len(kept))


def accepted(rejected: int, content_type: str) -> bytes:
    """Give the answer to a body that was kept, but for so many spans."""
    why = f"a span of more than {_LONGEST} bytes cannot be kept" if rejected else ""
    if content_type == PROTOBUF:
        partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=why) if rejected else None
        return bytes(ExportTraceServiceResponse(partial_success=partial).SerializeToString())
    partial_json = {"rejectedSpans": str(rejected), "errorMessage": why} if rejected else {}
    return msgspec.json.encode({"partialSuccess": partial_json})


def refused(message: str, content_type: str) -> bytes:
    """Give the body of an error: a google.rpc.Status, of which only the message is set."""
    if content_type != PROTOBUF:
        return msgspec.json.encode({"message": message})
    text = message.encode()[:127]  # a length below 128 is one byte
    return b"\x12" + bytes([len(text)]) + text


def _pieces(document: bytes, levels: tuple[str, ...]) -> Iterator[bytes]:
    """Give a document whole where it is short enough, else again for some of its children at a time."""
    if len(document) <= _LONGEST or not levels:
        yield document
        return
    fields = msgspec.json.decode(document, type=dict[str, Raw])
    children = msgspec.json.decode(fields.pop(levels[0], Raw(b"[]")), type=list[Raw])
    around = sum(len(value) for value in fields.values()) + 100
    group: list[bytes] = []
    for child in children:
        for piece in _pieces(bytes(child), levels[1:]):
            if group and around + sum(map(len, group)) + len(piece) > _LONGEST:
                yield _rebuilt(fields, levels[0], group)
                group = []
            group.append(piece)
    if group:
        yield _rebuilt(fields, levels[0], group)


def _rebuilt(fields: dict[str, Raw], level: str, children: list[bytes]) -> bytes:
    return msgspec.json.encode({**fields, level: [Raw(child) for child in children]})


def _from_protobuf(body: bytes) -> bytes:
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as fault:
        raise ReadError("the body is not an ExportTraceServiceRequest in protobuf") from fault
    document = MessageToDict(request, use_integers_for_enums=True)
    for resource in document.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                _hex(span)
                for link in span.get("links", ()):
                    _hex(link)
    return msgspec.json.encode(document)


def _hex(span: dict[str, Any]) -> None:
    """Write ids as OTLP JSON has them: in hexadecimal, where other bytes are base64."""
    for name in _IDS:
        if name in span:
            span[name] = base64.b64decode(span[name]).hex()
