"""Secrets written into files that are committed and passed around: pyproject.toml, prefect.yaml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fairlead.serve.security import keytext
from fairlead.serve.security.doctor.finding import Finding, fine, refused

__all__ = ["written"]

_NAMED: Final = re.compile(r"(?i)(passw(or)?d|secret|token|api_?key|auth_string|private_key|credential)")
_TELLS_WHERE: Final = re.compile(r"(?i)_(env|file|path|name|url|tokens?_s)$")  # api_key_env names a variable
_REFERENCE: Final = re.compile(r"^$|^\{\{.*\}\}$|^\$|^<.*>$|^\*+$|^(null|~|true|false|none|-?[0-9.]+)$", re.IGNORECASE)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@'\"]*:[^/\s@'\"{$]+@", re.IGNORECASE)
_LINE: Final = re.compile(r"""^\s*(?:-\s+)?["']?([A-Za-z0-9_.-]+)["']?\s*:\s+(\S.*)$""")


def written(paths: list[Path]) -> Iterator[Finding]:
    """Look for secrets in TOML and YAML files. They are told by name and line, never by value."""
    there = [path for path in paths if path.is_file()]
    found = [(path, where) for path in there for where in sorted(set(_found(path)))]
    for path, where in found:
        yield refused(
            "written secrets",
            f"{path} {where} holds a secret",
            "put it into an environment variable or a secret store, name that here, and change the secret",
        )
    if there and not found:
        yield fine("written secrets", f"none in {', '.join(path.name for path in there)}")


def _found(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        keys = (key.group() for key in keytext.PATTERN.finditer(line))
        if _URL.search(line) or "PRIVATE KEY-----" in line or any(keytext.key_id(key) for key in keys):
            yield f"line {number}"
        elif path.suffix != ".toml":
            named = _LINE.match(line.split(" #")[0])
            if named and _is_secret(named[1], named[2].strip().strip("\"'")):
                yield f"line {number} ({named[1]})"
    if path.suffix == ".toml":
        try:
            yield from _walk(tomllib.loads(text), "")
        except tomllib.TOMLDecodeError:
            yield "cannot be read as TOML, so it may be that it"


def _walk(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            here = f"{where}.{name}" if where else name
            if isinstance(one, str) and _is_secret(name, one):
                yield f"[{here}]"
            else:
                yield from _walk(one, here)
    elif isinstance(value, list):
        for one in value:
            yield from _walk(one, where)


def _is_secret(name: str, value: str) -> bool:
    return bool(_NAMED.search(name)) and not _TELLS_WHERE.search(name) and not _REFERENCE.search(value)
