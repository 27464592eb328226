"""Lines of text and where their slots are, found for all of them at once by counting quotes.

The lines of a template have the same quotes, but for those a slot would hold, and a slot that holds one is none. So
the place of a slot follows from the quotes beside it, and what is left of a line without its slots has to be the
template's fixed text, byte for byte: then the line consists of the template's pieces and other values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from fairlead.ingest import template

__all__ = ["Kinds", "Layout", "Slots", "Text", "layout"]

_LOOK: Final = 1 << 17  # bytes at a time, which stay in the cache
_QUOTE: Final = 34
_RETURN: Final = 13
_SPACE: Final = 32  # what is below it has no place in JSON but between values
_MIX: Final = np.random.default_rng(0).integers(1, 2**62, 4_096, dtype=np.int64)

Places = np.ndarray[Any, np.dtype[np.int64]]


class Text:
    """Lines of UTF-8, each with its newline, and the places of their quotes."""

    def __init__(self, data: bytes, ends: Places) -> None:
        self.data, self.ends = data, ends
        self.starts: Places = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        seen = np.frombuffer(data, np.uint8, int(ends[-1]))
        quotes, odd = [], []
        for start in range(0, len(seen), _LOOK):
            part = seen[start : start + _LOOK]
            quotes.append(np.flatnonzero(part == _QUOTE) + start)
            odd.append(np.count_nonzero(part < _SPACE))
        self.quotes: Places = np.concatenate(quotes)
        first = np.searchsorted(self.quotes, self.starts)
        self.first: Places = first
        self.counts: Places = np.diff(first, append=len(self.quotes))
        if sum(odd) > len(ends):  # a tab or the like somewhere; a line that has one is not for us
            places = np.flatnonzero(seen < _SPACE)
            usual = 1 + (seen[ends - 2] == _RETURN)
            self.counts[np.diff(np.searchsorted(places, self.starts), append=len(places)) != usual] = -1

    def __len__(self) -> int:
        return len(self.ends)

    def line(self, place: int) -> bytes:
        """Give one line."""
        return self.data[self.starts[place] : self.ends[place]]


class Layout(NamedTuple):
    """Where the slots of a template are, told by quotes; templates with the same are looked for together."""

    slots: tuple[str, ...]
    numbers: tuple[bool, ...]  # whether a slot is a number, which no quotes stand around
    quotes: int  # of a line
    before: tuple[int, ...]  # which quote is the last one before a slot
    lead: tuple[int, ...]  # and how far behind it the slot begins
    after: tuple[int, ...]
    trail: tuple[int, ...]


class Span(NamedTuple):
    """Where a slot is in each of some lines."""

    start: Places
    end: Places
    number: bool


class Slots(NamedTuple):
    """Lines of known templates: their places, their templates, and every place of each slot."""

    data: bytes
    places: Places
    templates: Places
    spans: dict[str, list[Span]]

    def cut(self, span: Span) -> pa.Array:
        """Give what stands there, as text."""
        return _cut(self.data, span.start, span.end)

    def of(self, chosen: Places) -> Slots:
        """Give some of the lines."""
        spans = {
            alias: [Span(one.start[chosen], one.end[chosen], one.number) for one in found]
            for alias, found in self.spans.items()
        }
        return Slots(self.data, self.places[chosen], self.templates[chosen], spans)


def layout(cut: template.Cut) -> Layout | None:
    """Give the layout of a template; None when its slots cannot be told by quotes."""
    pieces = [piece.encode() for piece in cut.pieces]
    if any(b'"' not in piece for piece in pieces):
        return None
    seen = np.cumsum([piece.count(b'"') for piece in pieces]).tolist()
    return Layout(
        cut.slots,
        tuple(not piece.endswith(b'"') for piece in pieces[:-1]),
        seen[-1],
        tuple(count - 1 for count in seen[:-1]),
        tuple(len(piece) - piece.rindex(b'"') for piece in pieces[:-1]),
        tuple(seen[:-1]),
        tuple(piece.index(b'"') for piece in pieces[1:]),
    )


class Kinds:
    """The templates of one layout."""

    def __init__(self, known: Layout) -> None:
        self._layout = known
        self._shapes: dict[int, tuple[Places, dict[bytes, int]]] = {}

    def add(self, number: int, pieces: Iterable[str]) -> None:
        """Take a template in under its number."""
        parts = [piece.encode() for piece in pieces]
        shape = np.array([len(part) for part in parts], np.int64)
        code = int(_codes(shape[:, None])[0])
        known = self._shapes.setdefault(code, (shape, {}))
        if (known[0] == shape).all():
            known[1].setdefault(b"".join(parts), number)

    def match(self, text: Text, left: Places) -> Slots | None:
        """Give the lines that are the text of one of these templates but for the slots; None when there are none.

        A slot may hold anything but a quote, and a slot that stands twice may hold two values.
        """
        places = left[text.counts[left] == self._layout.quotes]
        if not len(places):
            return None
        first = text.first[places]
        starts = _at(text, first, self._layout.before, self._layout.lead, 1)
        ends = _at(text, first, self._layout.after, self._layout.trail, -1)
        froms = np.concatenate([text.starts[places][None], ends])
        shapes = np.concatenate([starts, text.ends[places][None]]) - froms
        templates = np.full(len(places), -1, np.int64)
        usual = (ends >= starts).all(axis=0)
        for shape, numbers, members in self._groups(shapes, usual):
            fixed = _fixed(text, froms[:, members], shape)
            found = fixed.dictionary_encode()
            known = np.array([numbers.get(one, -1) for one in found.dictionary.to_pylist()], np.int64)
            templates[members] = known[found.indices.to_numpy()]
        chosen = np.flatnonzero(templates >= 0)
        if not len(chosen):
            return None
        if len(chosen) < len(places):
            places, templates, starts, ends = places[chosen], templates[chosen], starts[:, chosen], ends[:, chosen]
        spans: dict[str, list[Span]] = {}
        for alias, number, start, end in zip(self._layout.slots, self._layout.numbers, starts, ends, strict=True):
            spans.setdefault(alias, []).append(Span(start, end, number))
        return Slots(text.data, places, templates, spans)

    def _groups(self, shapes: Places, usual: Any) -> Iterator[tuple[Places, dict[bytes, int], Places]]:
        """Give the lines whose pieces are as long as those of a template, lines with the same lengths together."""
        codes = _codes(shapes)
        order = np.argsort(codes, kind="stable")
        bounds = np.flatnonzero(np.diff(codes[order])) + 1
        for members in np.split(order, bounds):
            shape, numbers = self._shapes.get(int(codes[members[0]]), (None, {}))
            if shape is not None:
                alike = usual[members] & (shapes[:, members] == shape[:, None]).all(axis=0)
                if alike.any():
                    yield shape, numbers, members[alike]


def _at(text: Text, first: Places, which: Sequence[int], away: Sequence[int], sign: int) -> Places:
    rows = [text.quotes[first + quote] + sign * far for quote, far in zip(which, away, strict=True)]
    return np.stack(rows)


def _codes(shapes: Places) -> Places:
    """Give a number for each column of lengths, by which most different ones differ."""
    mixed: Places = _MIX[: len(shapes)] @ shapes
    return mixed


def _fixed(text: Text, froms: Places, shape: Places) -> pa.Array:
    """Give lines without their slots: pieces of these lengths, from these places, put together."""
    width, rows = int(shape.sum()), froms.shape[1]
    out = np.empty(rows * width, np.uint8)
    at = 0
    for start, length in zip(froms, shape.tolist(), strict=True):
        if length:
            kind = f"V{length}"
            windows = np.ndarray((len(text.data) - length + 1,), kind, text.data, strides=(1,))
            np.ndarray((rows,), kind, out.data, at, (width,))[:] = windows[start]
            at += length
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(out)])


def _cut(data: bytes, starts: Places, ends: Places) -> pa.Array:
    """Give parts of the text, none of which overlap, as a column of their own."""
    offsets = np.stack([starts, ends], axis=1).astype(np.int32).ravel()
    around = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    return around.take(pa.array(np.arange(0, len(offsets), 2)))
