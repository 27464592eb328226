"""What a log format can carry of a request, so that nobody looks in a log for what it cannot hold."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Carries"]


class Carries(Struct, frozen=True, kw_only=True):
    """What is in a format's records; `tries` are the tries of a request that it tells of."""

    tries: Literal["all", "answered", "last"] = "all"
    grouped: bool = True  # tries of one request are told as one; else all but its last are requests of their own
    input_tokens: bool = True
    output_tokens: bool = True
    cost: bool = True
    endpoint: bool = True  # which provider and model it was
    decision: bool = True  # the id of the decision and its propensity
    prompt: bool = True
    named: str = ""  # what stands before a request's id in this format
    suffix: str = ".jsonl"

    @property
    def lacking(self) -> str:
        """What the format cannot hold, in words.

        >>> Carries(tries="last", decision=False).lacking
        'tries before the last, the propensity of a decision'
        """
        words = {
            "failed tries": self.tries == "answered",
            "tries before the last": self.tries == "last",
            "input tokens": not self.input_tokens,
            "costs": not self.cost,
            "the endpoint": not self.endpoint,
            "the propensity of a decision": not self.decision,
            "the prompt": not self.prompt,
        }
        return ", ".join(word for word, lacks in words.items() if lacks)
