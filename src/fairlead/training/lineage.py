"""From a fit back to the rows that it learned from."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np

from fairlead import features
from fairlead.project import Project
from fairlead.training import logs, spec
from fairlead.training.entry import Rows
from fairlead.training.frame import Frame

__all__ = ["find", "rows_of"]


def rows_of(frame: Frame, joined: features.Joined, until: datetime.datetime | None, project: Project) -> Rows:
    """Describe the rows of a frame so that `find` can give them again."""
    now = datetime.datetime.now(datetime.UTC)
    horizon = now if joined.horizon is None else max(now, joined.horizon)
    return Rows(
        count=len(frame),
        as_of=horizon.isoformat(),
        ingested_until=(joined.loaded_until or now).isoformat(),
        until=None if until is None else until.isoformat(),
        digest=_digest_of_ids(frame),
        values_digest=_digest_of_values(frame),
        source=str(project.lake),
    )


def find(project: Project, rows: Rows) -> tuple[Frame, bool]:
    """Give the rows that a fit learned from, and whether they are the same to the last number.

    They differ where feedback has come since that is dated before the fit, or where rows were removed.
    """
    as_of, loaded = (datetime.datetime.fromisoformat(moment) for moment in (rows.as_of, rows.ingested_until))
    until = None if rows.until is None else datetime.datetime.fromisoformat(rows.until)
    frame = logs.frame_of(features.join(project, as_of, loaded, spec.tables_of(project.models)), until)
    return frame, (_digest_of_ids(frame), _digest_of_values(frame)) == (rows.digest, rows.values_digest)


def _digest_of_ids(frame: Frame) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(frame), 100_000):  # joined in parts: ten million ids at once are a gigabyte of text
        digest.update("\n".join(map(str, frame.ids[start : start + 100_000])).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _digest_of_values(frame: Frame) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(frame.endpoint).tobytes())
    for name in sorted(frame.targets):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(frame.targets[name], dtype=np.float64).tobytes())
    return digest.hexdigest()
