"""What a model can do at a provider: the file `data/models.csv`, and the book that answers from it.

>>> row = ModelRow(provider_name="openai", model="gpt-4o", context_window=128_000, capabilities=("tools", "vision"))
>>> ModelBook([row]).lookup("OpenAI", "openai/gpt-4o-2024-11-20").context_window
128000
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest import aliases
from fairlead.project import Project

__all__ = ["CAPABILITIES", "COLUMNS", "ModelBook", "ModelRow", "of", "read_rows", "write_rows"]

CAPABILITIES: Final = (
    "audio", "audio_output", "computer_use", "image_output", "json_schema", "parallel_tools", "pdf", "prompt_caching",
    "reasoning", "tools", "video", "vision", "web_search",
)  # fmt: skip
_NONE: Final = "none"  # written for a model that is known to have none of them; an empty cell is "not known"


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider. None: not known; an empty tuple of capabilities: known to have none."""

    provider_name: str
    model: str
    context_window: int | None = None  # tokens of input it takes
    max_output_tokens: int | None = None
    capabilities: tuple[str, ...] | None = None  # of CAPABILITIES, sorted
    catalog: str = ""  # catalogues that the facts were read in, each with its version
    retrieved_at: date | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What the row is of: provider and model (lower case)."""
        return self.provider_name, self.model.lower()


COLUMNS: Final = ModelRow.__struct_fields__


class ModelBook:
    """Models by provider, however a log or a catalogue spells them."""

    def __init__(self, rows: Iterable[ModelRow]) -> None:
        self._rows: dict[tuple[str, str], ModelRow] = {}
        self._sellers: set[str] = set()
        spelled: dict[tuple[str, str], list[ModelRow]] = {}
        for row in rows:
            seller, name = aliases.provider(row.provider_name), row.model.lower()
            self._sellers.add(seller)
            self._rows.setdefault((seller, name), row)
            for spelling, note in aliases.variants(seller, name):
                if not note and spelling != name:
                    spelled.setdefault((seller, spelling), []).append(row)
        # A Bedrock model may be named without its "-v1:0" where it is the only one of that name.
        for key, owners in spelled.items():
            if len(owners) == 1:
                self._rows.setdefault(key, owners[0])

    def __len__(self) -> int:
        return len({id(row) for row in self._rows.values()})

    def lookup(self, provider: str, model: str) -> ModelRow | None:
        """Give the facts of a model under the nearest spelling there is; None where no catalogue has it."""
        seller = aliases.provider(provider)
        if seller not in self._sellers and "/" in model:
            # A proxy's own name gives way to the provider that the model is prefixed with.
            seller = aliases.provider(model.split("/", 1)[0])
        _, name = aliases.split(seller, model)
        for spelling, _ in aliases.variants(seller, name.lower()):
            row = self._rows.get((seller, spelling))
            if row is not None:
                return row
        return None


def of(project: Project) -> ModelBook:
    """Read a project's `data/models.csv`; an empty book where there is none."""
    return ModelBook(read_rows(project.catalogue) if project.catalogue.is_file() else ())


def read_rows(path: Path) -> list[ModelRow]:
    """Read a model file; ReadError names the line when a row cannot be meant, or is there twice."""
    rows: dict[tuple[str, str], ModelRow] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            names = reader.fieldnames or ()
            if missing := [name for name in ("provider_name", "model") if name not in names]:
                raise ReadError(f"{path}: no column {missing[0]!r}; the columns are {', '.join(COLUMNS)}")
            if unknown := [name for name in names if name not in COLUMNS]:
                raise ReadError(f"{path}: unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}")
            for record in reader:
                where = f"{path} line {reader.line_num}"
                row = _row(where, record)
                if row.key in rows:
                    raise ReadError(f"{where}: {row.provider_name} {row.model} is there twice; delete one")
                rows[row.key] = row
    except OSError as fault:
        raise ReadError(f"{path}: cannot be read ({fault.strerror}); give the path of a model file") from fault
    except (UnicodeDecodeError, csv.Error) as fault:
        raise ReadError(f"{path}: not a CSV file in UTF-8 ({fault}); save it as one") from fault
    return list(rows.values())


def write_rows(path: Path, rows: Iterable[ModelRow]) -> None:
    """Write a model file, sorted, in one step: whoever reads meanwhile sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in sorted(rows, key=_order))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _row(where: str, record: dict[str, str | None]) -> ModelRow:
    if None in record or None in record.values():
        raise ReadError(f"{where}: as many cells as columns are needed; correct that line")
    text = {name: str(value).strip() for name, value in record.items()}
    try:
        if not text["provider_name"] or not text["model"]:
            raise ValueError("provider_name and model may not be empty")
        return ModelRow(
            provider_name=text["provider_name"],
            model=text["model"],
            context_window=_count(text.get("context_window", "")),
            max_output_tokens=_count(text.get("max_output_tokens", "")),
            capabilities=_capabilities(text.get("capabilities", "")),
            catalog=text.get("catalog", ""),
            retrieved_at=date.fromisoformat(text["retrieved_at"]) if text.get("retrieved_at") else None,
        )
    except ValueError as fault:
        raise ReadError(f"{where}: {fault}; correct that cell") from fault


def _count(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{text!r} is not a number of tokens")
    return int(text)


def _capabilities(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    words = set(text.split()) - {_NONE}
    if unknown := sorted(words - set(CAPABILITIES)):
        raise ValueError(f"unknown capability {unknown[0]!r}; known are {', '.join(CAPABILITIES)}")
    return tuple(sorted(words))


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or _NONE
    return "" if value is None else str(value)


def _order(row: ModelRow) -> tuple[str, str, str]:
    return (*row.key, row.model)
