"""Where each endpoint is to be reached, for calls that are forwarded."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from fairlead.errors import UsageError

__all__ = ["Upstream", "read"]


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint's OpenAI-compatible address; the key is taken from the environment and never written down."""

    url: str  # up to /v1, as in OPENAI_BASE_URL
    model: str | None = None  # as the upstream calls it; None: as the endpoint is called, less its provider
    key_env: str | None = None

    def named(self, endpoint: str) -> str:
        """Give the model's name there."""
        return self.model or endpoint.partition("/")[2] or endpoint

    def key(self) -> str | None:
        """Give the key; None where it needs none."""
        return None if self.key_env is None else os.environ.get(self.key_env)


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    upstreams: dict[str, Upstream]


def read(path: str | Path) -> dict[str, Upstream]:
    """Read a TOML file of `[upstreams."provider/model"]` tables; UsageError says what is wrong with it."""
    try:
        found = msgspec.convert(tomllib.loads(Path(path).read_text(encoding="utf-8")), _File).upstreams
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as fault:
        raise UsageError(f'{path}: {fault}; write a table [upstreams."ENDPOINT"] with url for each') from fault
    for endpoint, upstream in found.items():
        parts = urlsplit(upstream.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{path}: upstream {endpoint!r}: url has to begin with https:// or http://")
        if upstream.key_env is not None and not upstream.key():
            raise UsageError(f"{path}: upstream {endpoint!r}: set {upstream.key_env} in the environment")
    return found
