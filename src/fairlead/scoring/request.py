"""What the caller wants, and the features of its text: the same function at the door, in training and in a decision.

The text is read once as UTF-8 bytes; no tokenizer, no embedding, no vocabulary. Features are counts, shares, marks
and a small hashed bag of words, so the prompt itself need not be kept.

>>> request = Request(text="Solve 3x + 1 = 10.", route="maths")
>>> features = text_features(request.text)
>>> round(float(features[TEXT_FEATURES.index("text_digits_share")]), 3)
0.222
"""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

import numpy as np
from msgspec import Struct, field

from fairlead.scoring.text import MAX_BYTES, TEXT_FEATURES, read

__all__ = ["FEATURE_VERSION", "MAX_BYTES", "TEXT_FEATURES", "Request", "text_features"]

FEATURE_VERSION: Final = 2


class Request(Struct, frozen=True, kw_only=True):
    """One request as its caller can describe it before any endpoint is asked.

    `route`, `team` and the counts are worth more than the text on most traffic: send what you have.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    text: str = ""
    route: str | None = None  # the part of the caller's application that asks: a tag, a template, a model alias
    team: str | None = None
    tools: int | None = None
    toolset: str | None = None  # which ones, as `offer.toolset` names them
    response_format: str | None = None  # text, json_object, json_schema
    images: int | None = None
    turn: int | None = None
    input_tokens: int | None = None  # when the caller has counted them
    tags: dict[str, Any] = field(default_factory=dict)  # whatever else is known before the call, by column name
    embedding: tuple[float, ...] | None = None  # a vector of the caller's own, which becomes features
    conversation: str | None = None  # whose turns should stay where the prompt is cached
    max_tokens: int | None = None  # that the answer may have
    at: float | None = None  # when it is asked, in seconds since 1970; now where it is not said
    needs: tuple[str, ...] = ()  # capabilities the endpoint must have; tools and images imply their own
    endpoints: tuple[str, ...] | None = None  # when not every endpoint may be used
    providers: tuple[str, ...] | None = None  # when not every provider may be used
    regions: tuple[str, ...] | None = None  # where the data may go; an endpoint of unknown region is left out

    def scalar(self, name: str) -> Any:
        """Give the named field or tag, or the `hour` of the day in UTC; None where the request has none of them.

        >>> Request(at=86_400 + 5 * 3_600).scalar("hour")
        5
        """
        value = self.tags.get(name, getattr(self, name, None))
        if value is None and name == "hour":
            return int(time.time() if self.at is None else self.at) // 3_600 % 24
        return value


def text_features(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Turn a prompt into its feature vector: float32, one value for each name in TEXT_FEATURES."""
    features: np.ndarray[tuple[int], np.dtype[np.float32]] = read(text)[0]
    return features
