from pathlib import Path
from typing import Any

import pytest

from fairlead import features, ingest, store
from fairlead import project as projects
from fairlead.features.tables import read_folder
from fairlead.project import Project

ROOT = Path(__file__).parents[1]
TABLES = read_folder(ROOT / "features")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, int]]:
    here = projects.init(tmp_path_factory.mktemp("features") / "project")
    ingest.load(here, [ROOT / "data" / "requests.jsonl", ROOT / "data" / "requests.feedback.jsonl"])
    return here, features.build(here)


@pytest.fixture(scope="module")
def con(built: tuple[Project, dict[str, int]]) -> Any:
    connection = store.open_lake(built[0].lake).connect(built[0].database)
    yield connection
    connection.close()


def test_every_file_is_built_on_the_sample(built: tuple[Project, dict[str, int]]) -> None:
    _, counts = built

    assert set(counts) == {table.name for table in TABLES}
    assert min(counts.values()) > 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_keeps_its_grain_and_says_when_it_was_known(con: Any, table: Any) -> None:
    grain = ", ".join(table.grain)

    rows, unique, dated = con.sql(
        f"select count(*), (select count(*) from (select distinct {grain} from {table.name})), count(as_of) "
        f"from {table.name}"
    ).fetchall()[0]

    assert rows == unique == dated


def test_every_attempt_has_its_shape(con: Any, built: tuple[Project, dict[str, int]]) -> None:
    missing = con.sql(
        "select count(*) from attempts left join request_shape using (event_id) where request_shape.text is null"
    ).fetchall()[0][0]

    assert missing == 0
    assert con.sql("select count(*) from attempts").fetchall()[0][0] == built[1]["request_shape"]


def test_a_day_is_the_sum_of_its_hours(con: Any) -> None:
    wrong = con.sql(
        "select count(*) from endpoint_day as day where abs(exp(calls_day_log) - 1 - ("
        "select sum(calls) from endpoint_hour as hour where hour.endpoint = day.endpoint "
        "and hour.as_of > day.as_of - interval 24 hours and hour.as_of <= day.as_of)) > 1e-6"
    ).fetchall()[0][0]

    assert wrong == 0


def test_no_hour_is_known_before_it_is_over(con: Any) -> None:
    early = con.sql(
        "select count(*) from endpoint_hour as hour where hour.as_of < ("
        "select min(start_time) from attempts where attempts.endpoint = hour.endpoint) "
        "or hour.as_of <> date_trunc('hour', hour.as_of)"
    ).fetchall()[0][0]

    assert early == 0
