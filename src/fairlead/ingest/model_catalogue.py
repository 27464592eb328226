"""Builds the model file from public catalogues: what each model takes, gives and can do.

Where catalogues disagree, the first that says so outright holds: LiteLLM, then models.dev, then MLflow. A rebuild adds
to what is known: a model that left the catalogues keeps its row, because logs are old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec

from fairlead.errors import UsageError
from fairlead.ingest.catalogues.common import Edition, digest
from fairlead.ingest.catalogues.model_facts import READERS, Facts
from fairlead.ingest.modelfile import CAPABILITIES, ModelRow, read_rows, write_rows

__all__ = ["Summary", "build"]

Key = tuple[str, str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a build put into the model file."""

    models: int
    providers: int
    added: int
    changed: int  # models of which the catalogues now say something else
    with_capabilities: int
    with_context_window: int


def build(
    out: Path,
    *,
    litellm: Path | None = None,
    models_dev: Path | None = None,
    mlflow: Path | None = None,
    retrieved_at: date,
    versions: Mapping[str, str] | None = None,
) -> Summary:
    """Build or refresh the model file `out` from the catalogues that are given.

    `versions` names the version of each (`{"litellm": "1.109.1"}`), else it is a digest of the file. The same input
    gives the same file, byte for byte, and a row with no news keeps its line. Raises ReadError, and leaves `out` as it
    was, when a catalogue is another file.
    """
    given = {"litellm": litellm, "models.dev": models_dev, "mlflow": mlflow}
    if not any(given.values()):
        raise UsageError("no catalogue was given; name at least one of --litellm, --models-dev, --mlflow")
    day, named = datetime.combine(retrieved_at, time(), UTC), versions or {}
    found: dict[Key, list[tuple[str, Facts]]] = {}
    for name, path in given.items():
        if path is not None:
            edition = Edition(name, path, named.get(name) or digest(path), day)
            for one in READERS[name](edition):
                found.setdefault(one.key, []).append((f"{name} {edition.version}", one))
    old = {row.key: row for row in read_rows(out)} if out.exists() else {}
    fresh = {key: _settled(old.get(key), _joined(facts, retrieved_at)) for key, facts in found.items()}
    rows = {**old, **fresh}
    write_rows(out, rows.values())
    return Summary(
        models=len(rows),
        providers=len({row.provider_name for row in rows.values()}),
        added=len(rows.keys() - old.keys()),
        changed=sum(key in old and old[key] != row for key, row in rows.items()),
        with_capabilities=sum(row.capabilities is not None for row in rows.values()),
        with_context_window=sum(row.context_window is not None for row in rows.values()),
    )


def _joined(facts: Sequence[tuple[str, Facts]], day: date) -> ModelRow:
    """Take each fact from the first catalogue that says it, and name the catalogues that said any."""
    says: dict[str, bool] = {}
    limits: dict[str, int] = {}
    sources: list[str] = []
    for source, one in facts:
        told = {"context_window": one.context_window, "max_output_tokens": one.max_output_tokens}
        news = {name: value for name, value in told.items() if value is not None and name not in limits}
        more = {name: value for name, value in one.says.items() if name not in says}
        limits |= news
        says |= more
        if (news or more or not sources) and source not in sources:
            sources.append(source)
    first = facts[0][1]
    return ModelRow(
        provider_name=first.provider_name,
        model=first.model,
        context_window=limits.get("context_window"),
        max_output_tokens=limits.get("max_output_tokens"),
        capabilities=tuple(word for word in CAPABILITIES if says.get(word)) if says else None,
        catalog="; ".join(sources),
        retrieved_at=day,
    )


def _settled(was: ModelRow | None, now: ModelRow) -> ModelRow:
    """Keep the line of a model of which the catalogues say what they said, or less."""
    if was is None:
        return now
    kept = msgspec.structs.replace(
        now,
        model=was.model,
        context_window=now.context_window or was.context_window,
        max_output_tokens=now.max_output_tokens or was.max_output_tokens,
        capabilities=was.capabilities if now.capabilities is None else now.capabilities,
    )
    facts = ("model", "context_window", "max_output_tokens", "capabilities")
    return was if all(getattr(kept, name) == getattr(was, name) for name in facts) else kept
