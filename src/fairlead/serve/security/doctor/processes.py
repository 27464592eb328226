"""Servers that run on this machine, and what they were started with."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

__all__ = ["Process", "is_loopback", "option", "running"]


class Process(Struct, frozen=True, kw_only=True):
    """A process: its number, its words, and its environment where we may see it (else None)."""

    pid: int
    words: tuple[str, ...]
    environment: dict[str, str] | None = None

    def value(self, names: Sequence[str], variables: Sequence[str] = ()) -> str | None:
        """Give an option's value, else that of an environment variable."""
        given = option(self.words, names)
        return (
            given if given is not None else next((v for n in variables if (v := (self.environment or {}).get(n))), None)
        )


def running(proc: Path = Path("/proc")) -> Iterator[Process]:
    """Give the processes of this machine; where there is no /proc, none."""
    for folder in sorted(proc.glob("[0-9]*"), key=lambda one: int(one.name)):
        with contextlib.suppress(OSError):  # it has ended
            words = tuple((folder / "cmdline").read_bytes().decode(errors="replace").split("\0"))[:-1]
            if words:
                yield Process(pid=int(folder.name), words=words, environment=_environment(folder / "environ"))


def option(words: Sequence[str], names: Sequence[str]) -> str | None:
    """Give what follows an option, as `--host X` or `--host=X`; the last one counts.

    >>> option(["mlflow", "server", "--host=0.0.0.0"], ["--host", "-h"])
    '0.0.0.0'
    """
    found = None
    for number, word in enumerate(words):
        name, given, value = word.partition("=")
        if name in names:
            found = value if given else words[number + 1] if number + 1 < len(words) else ""
    return found


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host in {"localhost", ""} or host.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _environment(path: Path) -> dict[str, str] | None:
    try:
        pairs: Mapping[str, str] = dict(
            pair.split("=", 1) for pair in path.read_bytes().decode(errors="replace").split("\0") if "=" in pair
        )
    except OSError:
        return None
    return dict(pairs)
