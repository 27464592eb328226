"""What one gate says of a candidate, and what all of them say together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

__all__ = ["Gate", "Ruling", "Verdict", "held", "passed", "refused", "together"]

Verdict = Literal["promote", "hold", "refuse"]


class Gate(Struct, frozen=True, kw_only=True):
    """One gate: refuse says that the candidate is bad, hold that nobody can know yet or that a person must agree."""

    name: str
    verdict: Verdict
    said: str  # what was seen, and the limit
    way_out: str = ""


class Ruling(Struct, frozen=True, kw_only=True):
    """What all gates say of a candidate: the worst of their verdicts.

    `candidate` and `champion` are version and hash, as decisions carry them; the champion is None before the first.
    """

    verdict: Verdict
    candidate: str
    champion: str | None
    ruled_at: datetime
    requests: int  # that it was judged on
    gates: list[Gate]

    def gate(self, name: str) -> Gate:
        """Give the gate of that name; KeyError when it was not asked."""
        return {gate.name: gate for gate in self.gates}[name]

    @property
    def against(self) -> list[Gate]:
        """The gates that do not let it pass, the worst first."""
        return sorted(
            (gate for gate in self.gates if gate.verdict != "promote"), key=lambda gate: gate.verdict == "hold"
        )


def together(gates: Sequence[Gate]) -> Verdict:
    """Give the worst verdict.

    >>> together([passed("a", "fine"), held("b", "few rows", "wait")])
    'hold'
    """
    found = {gate.verdict for gate in gates}
    return "refuse" if "refuse" in found else "hold" if "hold" in found else "promote"


def passed(name: str, said: str) -> Gate:
    """Let pass."""
    return Gate(name=name, verdict="promote", said=said)


def held(name: str, said: str, way_out: str) -> Gate:
    """Hold back, and say what would let it pass."""
    return Gate(name=name, verdict="hold", said=said, way_out=way_out)


def refused(name: str, said: str, way_out: str) -> Gate:
    """Refuse, and say what to mend."""
    return Gate(name=name, verdict="refuse", said=said, way_out=way_out)
