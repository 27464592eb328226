"""What the caller wants, and the features of its text: the same function at the door, in training and in a decision.

The text is read once as UTF-8 bytes; no tokenizer, no embedding, no vocabulary. Features are counts, shares, markers
and a small hashed bag of words and word pairs, so the prompt itself need not be kept.

>>> request = Request(text="Solve 3x + 1 = 10.", route="maths")
>>> features = text_features(request.text)
>>> round(float(features[TEXT_FEATURES.index("text_digits_share")]), 3)
0.222
"""

from __future__ import annotations

import math
import re
import uuid
import zlib
from typing import Any, Final

import numpy as np
from msgspec import Struct, field

__all__ = ["FEATURE_VERSION", "TEXT_FEATURES", "Request", "text_features"]

FEATURE_VERSION: Final = 1
MAX_BYTES: Final = 65_536  # beyond this only the length is counted: a decision's time must be bounded
_BUCKETS: Final = 32

_SYMBOLS: Final = "=\\$^{}[]()\"':;?!,.<>+-*/%#@_|`&"
# Each family is one feature: how often any of its words is seen, lower case, as bytes.
_FAMILIES: Final[dict[str, tuple[bytes, ...]]] = {
    "python": (b"def ", b"import ", b"python", b"self."),
    "code": (b"function", b"return", b"class ", b"void ", b"int "),
    "markup": (b"</", b"/>", b"<div", b"html"),
    "sql": (b"select ", b" from ", b" where ", b" join "),
    "json": (b"json", b'":', b"schema"),
    "url": (b"http://", b"https://", b"www."),
    "fence": (b"```",),
    "translate": (b"translat", b"in english", b"in french", b"in german"),
    "summarise": (b"summar", b"tl;dr", b"key points", b"briefly"),
    "explain": (b"explain", b"describe", b"why "),
    "write": (b"write ", b"draft", b"compose", b"essay", b"email"),
    "prove": (b"prove", b"theorem", b"lemma", b"proof"),
    "solve": (b"solve", b"equation", b"calculate", b"compute"),
    "count": (b"how many", b"how much", b"total", b"number of"),
    "ask": (b"what ", b"who ", b"when ", b"where ", b"which "),
    "choice": (b"\na.", b"\nb.", b"a)", b"b)", b"(a)", b"(b)", b"\na:", b"\nb:"),
    "classify": (b"classif", b"label", b"categor", b"sentiment"),
    "extract": (b"extract", b"find all", b"list all"),
    "steps": (b"step by step", b"steps", b"think"),
    "system": (b"you are ", b"your task", b"assistant"),
    "maths": (b"\\frac", b"\\sqrt", b"sum", b"integral", b"triangle", b"probab"),
    "money": (b"price", b"cost", b"dollar", b"percent", b"%"),
    "legal": (b"contract", b"law", b"court", b"clause"),
    "medical": (b"patient", b"disease", b"treatment", b"symptom"),
    "tool": (b"tool", b"call ", b"api", b"parameter"),
}
_SHAPE: Final = (
    "bytes_log",
    "chars_log",
    "words_log",
    "lines_log",
    "longest_line_log",
    "longest_word_log",
    "mean_word_length",
    "distinct_words_share",
    "distinct_bytes_log",
    "entropy_bits",
    "digits_share",
    "upper_share",
    "lower_share",
    "space_share",
    "foreign_share",
    "symbol_share",
    "numbers_log",
    "longest_number_log",
    "indented_lines_log",
    "ends_with_question",
    "sentences_log",
)
TEXT_FEATURES: Final[tuple[str, ...]] = (
    *(f"text_{name}" for name in _SHAPE),
    *(f"text_symbol_{ord(symbol)}" for symbol in _SYMBOLS),
    *(f"text_family_{name}" for name in _FAMILIES),
    *(f"text_hash_{bucket}" for bucket in range(_BUCKETS)),
)

_WORD: Final = re.compile(rb"[a-z0-9\x80-\xff]+")
_NUMBER: Final = re.compile(rb"[0-9]+")
_SYMBOL_CODES: Final = np.frombuffer(_SYMBOLS.encode(), dtype=np.uint8)


class Request(Struct, frozen=True, kw_only=True):
    """One request as its caller can describe it before any endpoint is asked.

    `route`, `team` and the counts are worth more than the text on most traffic: send what you have.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    text: str = ""
    route: str | None = None  # the part of the caller's application that asks: a tag, a template, a model alias
    team: str | None = None
    tools: int | None = None
    images: int | None = None
    turn: int | None = None
    input_tokens: int | None = None  # when the caller has counted them
    tags: dict[str, Any] = field(default_factory=dict)  # whatever else is known before the call, by column name
    embedding: tuple[float, ...] | None = None  # a vector of the caller's own, which becomes features
    conversation: str | None = None  # whose turns should stay where the prompt is cached
    max_tokens: int | None = None  # that the answer may have
    needs: tuple[str, ...] = ()  # capabilities the endpoint must have; tools and images imply their own
    endpoints: tuple[str, ...] | None = None  # when not every endpoint may be used
    providers: tuple[str, ...] | None = None  # when not every provider may be used
    regions: tuple[str, ...] | None = None  # where the data may go; an endpoint of unknown region is left out

    def scalar(self, name: str) -> Any:
        """Give the named field or tag; None where the request has neither."""
        return self.tags.get(name, getattr(self, name, None))


def text_features(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Turn a prompt into its feature vector: float32, one value for each name in TEXT_FEATURES."""
    whole = text.encode("utf-8", "surrogatepass")
    data = whole[:MAX_BYTES]
    lower = data.lower()
    words = _WORD.findall(lower)
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    symbols = counts[_SYMBOL_CODES]
    families = np.fromiter(
        (sum(lower.count(word) for word in family) for family in _FAMILIES.values()), dtype=np.float64
    )
    return np.concatenate(
        (
            _shape(whole, data, words, counts, int(symbols.sum())),
            np.log1p(symbols),
            np.log1p(families),
            _hashed(words),
        )
    ).astype(np.float32)


def _shape(
    whole: bytes, data: bytes, words: list[bytes], counts: np.ndarray[Any, Any], symbols: int
) -> np.ndarray[Any, Any]:
    size = max(len(data), 1)
    lines = data.split(b"\n")
    numbers = _NUMBER.findall(data)
    seen = counts[counts > 0] / size
    return np.array(
        (
            math.log1p(len(whole)),
            math.log1p(len(data) - int(counts[0x80:0xC0].sum())),
            math.log1p(len(words)),
            math.log1p(len(lines)),
            math.log1p(max(map(len, lines))),
            math.log1p(max(map(len, words), default=0)),
            sum(map(len, words)) / max(len(words), 1),
            len(set(words)) / max(len(words), 1),
            math.log1p(len(seen)),
            float(-(seen * np.log2(seen)).sum()) if len(seen) else 0.0,
            int(counts[48:58].sum()) / size,
            int(counts[65:91].sum()) / size,
            int(counts[97:123].sum()) / size,
            int(counts[[9, 10, 13, 32]].sum()) / size,
            int(counts[0x80:].sum()) / size,
            symbols / size,
            math.log1p(len(numbers)),
            math.log1p(max(map(len, numbers), default=0)),
            math.log1p(sum(line[:1] in (b" ", b"\t") for line in lines)),
            float(data.rstrip()[-1:] == b"?"),
            math.log1p(data.count(b". ") + data.count(b"? ") + data.count(b"! ")),
        )
    )


def _hashed(words: list[bytes]) -> np.ndarray[Any, Any]:
    """Signed hashing of words and word pairs (Weinberger et al. 2009), scaled by the root of their number."""
    codes = [zlib.crc32(word) for word in words]
    codes += [zlib.crc32(after, zlib.crc32(b" ", before)) for before, after in zip(codes, words[1:], strict=False)]
    if not codes:
        return np.zeros(_BUCKETS)
    hashes = np.array(codes, dtype=np.uint32)
    signs = np.where(hashes & np.uint32(0x80000000), 1.0, -1.0)
    return np.bincount(hashes % _BUCKETS, weights=signs, minlength=_BUCKETS) / math.sqrt(len(codes))
