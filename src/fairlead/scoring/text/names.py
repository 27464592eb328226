"""What the features of a text are called, and which bytes and words they count.

A text is read as UTF-8 bytes. Each byte has one of 16 classes; pairs of neighbouring classes say most of what there is
to say of a text's shape in any language: line ends, indentation, numbers, calls, keys, list marks. Words are runs of
ASCII letters (in lower case), digits and letters of other scripts; a character of three bytes or more that is not
Indic, Thai or their neighbours is a word of its own, since Chinese and Japanese put no spaces between words.

>>> len(TEXT_FEATURES), TEXT_FEATURES[:3]
(134, ('text_lines_log', 'text_indented_lines_log', 'text_blank_lines_log'))
"""

from __future__ import annotations

from typing import Final

__all__ = ["BUCKETS", "CLASSES", "FAMILIES", "MARKS", "RATIOS", "SHARES", "SYMBOLS", "TEXT_FEATURES", "WIDE"]

BUCKETS: Final = 32
WIDE: Final = 0xE2  # the first byte of a character that is a word of its own; before it lie Latin, Indic, Thai, ...

CLASSES: Final[dict[str, bytes]] = {
    "other": b"",
    "space": b" \t\r\x0b\x0c",
    "line": b"\n",
    "digit": b"0123456789",
    "lower": b"abcdefghijklmnopqrstuvwxyz",
    "upper": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "foreign": bytes(range(0x80, WIDE)),
    "wide": bytes(range(WIDE, 0x100)),
    "stop": b".",
    "ask": b"?!",
    "comma": b",;",
    "colon": b":",
    "quote": b"\"'`",
    "open": b"([{",
    "close": b")]}",
    "sign": b"<>=+-*/^%|&~$\\_#@",
}
_ANY: Final = "other space line digit lower upper foreign wide stop ask comma colon quote open close sign"
_NOT_DIGIT: Final = _ANY.replace("digit ", "")
# Each mark is one feature: how often a byte of the first classes is followed by one of the second ones. A text has a
# line end before its first byte and after its last.
MARKS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "lines": ((_ANY, "line"),),
    "indented_lines": (("line", "space"),),
    "blank_lines": (("line", "line"),),
    "symbol_lines": (("line", "stop quote open sign"),),
    "number_lines": (("line", "digit"),),
    "capital_lines": (("line", "upper"),),
    "question_lines": (("ask", "line"),),
    "colon_lines": (("colon", "line"),),
    "code_lines": (("comma open close", "line"),),
    "sentences": (("stop ask", "space line"),),
    "commas": (("comma", "space"),),
    "numbers": ((_NOT_DIGIT, "digit"),),
    "decimals": (("stop comma", "digit"),),
    "identifiers": (("lower upper", "digit"), ("digit", "lower upper"), ("lower", "upper")),
    "acronyms": (("upper", "upper"),),
    "calls": (("lower upper digit", "open"),),
    "keys": (("quote", "colon"),),
    "labels": (("lower upper", "colon"),),
    "options": (("upper", "stop close colon"), ("open", "upper")),
    "operators": (("sign", "sign"),),
    "terms": (("digit", "sign"), ("sign", "digit")),
    "paths": (("lower upper", "sign"), ("sign", "lower upper")),
    "urls": (("colon", "sign"),),
    "quotes": (("quote", "quote"),),
    "brackets": (("open", "close open"), ("close", "close")),
}
SYMBOLS: Final = "=\\$^{}[]()\"':;?!,.<>+-*/%#@_|`&~"
# Each family is one feature: how many different ones of its words are seen.
FAMILIES: Final[dict[str, str]] = {
    "python": "def import python self elif none py pip numpy pandas lambda",
    "code": "function functions returns class void int const var let public static struct async string array code "
    "javascript java rust cpp",
    "debug": "error errors bug bugs debug exception traceback fix failed failing refactor",
    "markup": "div html span href css br xml svg",
    "sql": "sql select join where database mysql insert table query",
    "json": "json schema yaml csv null true false",
    "url": "http https www com",
    "translate": "translate translation translated translating english french german spanish chinese",
    "summarise": "summarize summarise summary summarized summaries tl briefly concise shorten",
    "explain": "explain explanation describe why meaning define definition",
    "write": "write draft compose essay email story poem article blog letter rewrite",
    "prove": "prove theorem lemma proof contradiction induction",
    "solve": "solve solution solutions equation equations calculate compute evaluate simplify",
    "maths": "frac sqrt sum integral triangle probability angle polynomial matrix prime integer integers",
    "count": "how many much total number count average",
    "ask": "what who when which",
    "choice": "options option correct choose following multiple",
    "classify": "classify classification label labels category categories sentiment positive negative",
    "extract": "extract find list identify entities",
    "compare": "compare difference versus vs better advantages",
    "steps": "step steps think reasoning carefully first then finally",
    "plan": "plan schedule puzzle houses clues left right",
    "system": "you your task assistant instructions must not",
    "format": "format output respond answer bullet markdown words",
    "money": "price cost costs dollar dollars percent profit interest tax market",
    "legal": "contract law court clause legal liability statute plaintiff defendant",
    "medical": "patient patients disease treatment symptom symptoms diagnosis clinical drug blood",
    "science": "energy mass velocity force temperature reaction molecule cell electron gas",
    "tool": "tool tools api parameter parameters call endpoint request arguments",
    "person": "i my me we please help",
}
# Shares of all bytes, by class; wide characters are counted once each.
SHARES: Final[dict[str, str]] = {
    "digits_share": "digit",
    "lower_share": "lower",
    "upper_share": "upper",
    "space_share": "space line",
    "foreign_share": "foreign",
    "wide_share": "wide",
    "symbol_share": "stop ask comma colon quote open close sign",
}
RATIOS: Final = ("mean_word_length", "distinct_words_share", "ends_with_question")
TEXT_FEATURES: Final[tuple[str, ...]] = (
    *(f"text_{name}_log" for name in MARKS),
    *(f"text_symbol_{ord(symbol)}" for symbol in SYMBOLS),
    *(f"text_hash_{bucket}" for bucket in range(BUCKETS)),
    *(f"text_family_{name}" for name in FAMILIES),
    "text_bytes_log",
    "text_chars_log",
    "text_words_log",
    "text_longest_line_log",
    "text_distinct_bytes_log",
    *(f"text_{name}" for name in SHARES),
    *(f"text_{name}" for name in RATIOS),
)
