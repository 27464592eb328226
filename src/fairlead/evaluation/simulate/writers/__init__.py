"""One module a log format that `fairlead simulate` can write: what it carries, and its records of a request.

A module has `CARRIES` and `write(asked, calls)`, which gives a request's records as objects, or as text where the
format is no JSON. They are the counterparts of `fairlead.ingest.readers`, written from the formats' descriptions and
examples; a module that is put in this folder is found, there is no list to edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Protocol, cast

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.calls import Asked, Call
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["Carries", "Writer", "all_writers", "of"]


class Writer(Protocol):
    """What a writer module offers."""

    CARRIES: Carries

    def write(self, asked: Asked, calls: Sequence[Call]) -> Iterable[dict[str, Any] | str]:
        """Give the records of a request."""


@cache
def all_writers() -> dict[str, Writer]:
    """Give the writers by the name of their format."""
    names = [found.name for found in pkgutil.iter_modules(__path__) if found.name != "carries"]
    return {name: cast("Writer", importlib.import_module(f"{__name__}.{name}")) for name in names}


def of(name: str) -> Writer:
    """Give the writer of a format; UsageError when there is none."""
    found = all_writers().get(name)
    if found is None:
        raise UsageError(f"no log format {name!r} to write; choose from {', '.join(all_writers())}")
    return found
