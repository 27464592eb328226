"""What S3 refuses, in a line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

import pyarrow as pa

from fairlead.errors import ReadError

__all__ = ["told"]

_CODE: Final = re.compile(r"AWS Error ([A-Z_]+)(?: \(HTTP status (\d+)\))?")
_NAMED: Final = re.compile(r"ExceptionName: (\w+)")
_WAYS_OUT: Final = {
    "NO_SUCH_BUCKET": "there is no such bucket; check its name and AWS_ENDPOINT_URL",
    "NO_SUCH_KEY": "there is no such object any more; list the bucket again",
    "RESOURCE_NOT_FOUND": "there is no such object any more; list the bucket again",
    "ACCESS_DENIED": "access is denied; these credentials need s3:ListBucket and s3:GetObject here",
    "INVALID_ACCESS_KEY_ID": "the access key is unknown; check AWS_ACCESS_KEY_ID, or AWS_PROFILE",
    "UNRECOGNIZED_CLIENT": "the access key is unknown; check AWS_ACCESS_KEY_ID, or AWS_PROFILE",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
    "REQUEST_TIME_TOO_SKEWED": "this machine's clock is off; set it",
    "EXPIRED_TOKEN": "the session token has expired; get new credentials",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION to it",
    "SLOW_DOWN": "the store asks for fewer requests; load again later",
    "THROTTLING": "the store asks for fewer requests; load again later",
}
Result = TypeVar("Result")


def told(url: str, work: Callable[[], Result]) -> Result:
    """Do what talks to the store; ReadError with a way out for whatever it raises. Its own words are not passed on."""
    try:
        return work()
    except FileNotFoundError as fault:
        raise ReadError(f"{url}: {_WAYS_OUT['NO_SUCH_KEY']}") from fault
    except (OSError, pa.ArrowException) as fault:
        raise ReadError(f"{url}: {_way_out(str(fault))}") from fault


def _way_out(text: str) -> str:
    found = _CODE.search(text)
    named = _NAMED.search(text)
    code = named.group(1) if named else found.group(1) if found else ""
    status = found.group(2) if found else None
    if code == "NETWORK_CONNECTION":
        late = "Timeout" in text or "too slow" in text
        return f"the store {'does not answer in time' if late else 'cannot be reached'}; check AWS_ENDPOINT_URL"
    if status in ("301", "307"):
        return _WAYS_OUT["PermanentRedirect"]
    if status in ("401", "403"):
        return _WAYS_OUT.get(code, _WAYS_OUT["ACCESS_DENIED"])
    known = _WAYS_OUT.get(code)
    return known or f"the store failed ({' '.join(filter(None, (code, status))) or 'no reason given'}); load it again"
