"""What a reader says of its lines so that many can be read at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

__all__ = ["Bulk"]

# Gives further columns of the values, and for which lines they are right.
Derive = Callable[[Mapping[str, Any]], tuple[dict[str, Any], Any]]


class Bulk:
    """Which values vary from line to line, and how columns follow from them.

    `slots` gives each varying value an alias and says of which kind it is (see `typed.read`) and where it stands,
    `copies` names the other places where the same value stands, `texts` the strings that hold JSON themselves. `key`
    names fields by which kinds of lines are told apart. `columns` names the alias of each column that is a
    value as it stands, `people` that of each id to be hashed; `derive` works out the others of the `needed` values
    and those that are there. A duration is given in microseconds and a cost in units of 1e-12 USD.
    """

    def __init__(
        self,
        *,
        slots: dict[str, tuple[str, str]],
        copies: dict[str, str],
        texts: Sequence[str],
        key: Sequence[str],
        columns: dict[str, str],
        people: dict[str, str],
        needed: Sequence[str],
        derive: Derive,
    ) -> None:
        self.kinds = {alias: kind for alias, (kind, _) in slots.items()}
        self.places = {alias: path for alias, (_, path) in slots.items()}
        self.copies, self.texts, self.key = copies, tuple(texts), tuple(key)
        self.columns, self.people, self.needed, self.derive = columns, people, frozenset(needed), derive

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The alias of every place that has one."""
        return {path: alias for alias, path in self.places.items()} | self.copies
