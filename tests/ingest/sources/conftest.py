from typing import Any

import pytest

from fairlead import store
from fairlead.project import Project


@pytest.fixture
def select(project: Project) -> Any:
    """A function that gives the rows of a query over the project's lake."""

    def run(sql: str) -> list[Any]:
        con = store.open_lake(project.lake).connect()
        try:
            return store.query(con, sql).rows()
        finally:
            con.close()

    return run


@pytest.fixture
def marks(project: Project) -> Any:
    """A function that gives what the project remembers of its origins."""
    return lambda prefix="": store.open_lake(project.lake).marks(prefix)
