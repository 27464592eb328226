"""Names that a person understands for the columns of a forest: `text_symbol_92` is a matter of symbols."""

from __future__ import annotations

from typing import Final

__all__ = ["group_of"]

_EXACT: Final = {
    "route": "route",
    "team": "team",
    "tools": "number of tools",
    "toolset": "which tools",
    "response_format": "form of the answer",
    "hour": "time of the day",
    "images": "number of images",
    "turn": "turn of the conversation",
    "input_tokens": "input tokens the caller counted",
    "max_tokens": "allowed length of the answer",
    "endpoint": "the endpoint itself",
    "provider": "the provider",
}
_FAMILIES: Final = {
    "code": ("python", "code", "markup", "sql", "json", "url", "fence", "tool"),
    "mathematics": ("prove", "solve", "count", "maths", "steps"),
    "subject": ("money", "legal", "medical"),
}
_TASKS: Final = {f"text_family_{word}": f"{name} words" for name, words in _FAMILIES.items() for word in words}
# The first prefix that fits; the plain "text_" is last, so that a new text feature always has a group.
_PREFIXES: Final = (
    ("text_family_", "kind of task"),
    ("text_symbol", "symbols and digits"),
    ("text_digits", "symbols and digits"),
    ("text_number", "symbols and digits"),
    ("text_longest_number", "symbols and digits"),
    ("text_hash", "wording"),
    ("text_indented", "code words"),
    ("text_longest", "length of the text"),
    ("text_distinct", "variety of the text"),
    ("text_entropy", "variety of the text"),
    ("embedding", "embedding"),
    ("text_", "shape of the text"),
)
_LENGTHS: Final = frozenset(f"text_{what}_log" for what in ("bytes", "chars", "words", "lines", "sentences"))


def group_of(column: str) -> str:
    """Give the group that a column belongs to; a tag of the caller's own is its own group.

    >>> group_of("text_family_sql"), group_of("text_bytes_log"), group_of("customer_tier")
    ('code words', 'length of the text', 'customer_tier')
    """
    if column in _LENGTHS:
        return "length of the text"
    named = _EXACT.get(column) or _TASKS.get(column)
    return named or next((name for prefix, name in _PREFIXES if column.startswith(prefix)), column)
