"""Rebuilds the project's database: the canonical views and every feature table."""

from __future__ import annotations

from typing import Any

from fairlead import store
from fairlead.features.labels import make_views, rules_of
from fairlead.features.tables import build_tables, read_folder
from fairlead.project import Project

__all__ = ["build"]


def build(project: Project) -> dict[str, int]:
    """Build every file of features/ into the project's database; give the rows of each table, in build order.

    The database is a new file that takes the old one's place, so whoever reads the old one is not disturbed.
    """
    tables = read_folder(project.features)
    counts: dict[str, int] = {}

    def fill(con: Any) -> None:
        store.load_prices(con, project.prices)
        make_views(con, rules_of(project))
        counts.update({table.name: rows for table, rows in build_tables(con, tables).items()})

    store.open_lake(project.lake).rebuild(project.database, fill)
    return counts
