import re
from pathlib import Path
from typing import Any

import pytest

from fairlead import features, store
from fairlead.errors import FeatureError
from fairlead.features.tables import build_tables, read_folder
from fairlead.project import Project

HOUR = """\
-- Calls by hour.
-- grain: endpoint, as_of
select endpoint, date_trunc('hour', start_time) + interval 1 hour as as_of, count(*) as calls from attempts group by all
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "features"
    made.mkdir()
    return made


@pytest.fixture
def con(tmp_path: Path) -> Any:
    connection = store.open_lake(tmp_path / "lake").connect()
    connection.execute(
        "create or replace view attempts as select 'event-' || range as event_id, 'm' || range % 2 as endpoint, "
        "timestamptz '2026-01-01 00:10:00+00' + to_minutes(range * 10) as start_time from range(12)"
    )
    yield connection
    connection.close()


def refused(call: Any) -> str:
    with pytest.raises(FeatureError) as fault:
        call()
    return str(fault.value)


def test_a_folder_without_features_is_refused(folder: Path) -> None:
    assert refused(lambda: read_folder(folder)) == (
        f"{folder}: no feature is declared here; add a SELECT, see {folder / 'README.md'}"
    )


def test_a_file_without_a_comment_is_refused(folder: Path) -> None:
    path = folder / "hour.sql"
    path.write_text("select 1 as event_id")

    assert refused(lambda: read_folder(folder)) == (
        f"{path}: no first comment; say what a row is, e.g. `-- How each endpoint did, hour by hour.`"
    )


def test_a_file_without_a_grain_is_refused(folder: Path) -> None:
    path = folder / "hour.sql"
    path.write_text("-- Calls by hour.\nselect 1 as event_id")

    assert refused(lambda: read_folder(folder)) == (
        f"{path}: no `-- grain:` line; say which columns make a row unique, e.g. `-- grain: endpoint, as_of`"
    )


@pytest.mark.parametrize("grain", ["endpoint", "as_of", "route, as_of"])
def test_a_grain_of_neither_a_request_nor_an_endpoint_at_a_moment_is_refused(folder: Path, grain: str) -> None:
    path = folder / "hour.sql"
    path.write_text(f"-- Calls by hour.\n-- grain: {grain}\nselect 1 as endpoint")

    assert refused(lambda: read_folder(folder)) == (
        f"{path}: grain {grain}: a row describes a request (event_id) or an endpoint at a moment (endpoint, as_of)"
    )


def test_a_file_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "hour.sql").write_bytes(b"-- Calls \xff\n-- grain: event_id\nselect 1")

    assert refused(lambda: read_folder(folder)).startswith(f"{folder / 'hour.sql'}: not UTF-8")


def test_tables_are_built_after_what_they_read(folder: Path, con: Any) -> None:
    (folder / "b_hour.sql").write_text(HOUR)
    (folder / "a_day.sql").write_text(
        "-- Calls by day.\n-- grain: endpoint, as_of\n"
        "with b as (select * from b_hour)\n"
        "select endpoint, max(as_of) as as_of, sum(calls) as day from b group by all;\n"
    )

    built = build_tables(con, read_folder(folder))

    assert [table.name for table in built] == ["b_hour", "a_day"]
    assert con.sql("select endpoint, day from a_day order by all").fetchall() == [("m0", 6), ("m1", 6)]


def test_a_name_given_to_a_subquery_is_not_a_file_that_is_read(folder: Path, con: Any) -> None:
    (folder / "hour.sql").write_text(
        "-- Calls by hour.\n-- grain: event_id\n"
        "with hour as (select event_id from attempts) select event_id from hour\n"
    )

    assert [table.name for table in build_tables(con, read_folder(folder))] == ["hour"]


def test_a_subquery_may_have_the_name_of_the_file_that_it_reads(folder: Path, con: Any) -> None:
    (folder / "b_hour.sql").write_text(HOUR)
    (folder / "a_day.sql").write_text(
        "-- Calls by day.\n-- grain: endpoint, as_of\nwith b_hour as (select * from b_hour) select * from b_hour"
    )

    assert [table.name for table in build_tables(con, read_folder(folder))] == ["b_hour", "a_day"]


def test_a_repeated_grain_is_refused_with_the_number_of_rows(folder: Path, con: Any) -> None:
    path = folder / "hour.sql"
    path.write_text("-- Calls.\n-- grain: endpoint, as_of\nselect endpoint, date '2026-01-01' as as_of from attempts")

    assert refused(lambda: build_tables(con, read_folder(folder))) == (
        f"{path}: 10 of 12 rows repeat the grain (endpoint, as_of); aggregate, or name more columns"
    )


def test_files_that_read_each_other_are_refused(folder: Path, con: Any) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (folder / f"{name}.sql").write_text(f"-- A row.\n-- grain: event_id\nselect * from {other}")

    assert re.fullmatch(
        r"features/: (a -> b -> a|b -> a -> b) read each other in a circle; break it",
        refused(lambda: build_tables(con, read_folder(folder))),
    )


def test_an_unknown_column_is_refused_with_the_file(folder: Path, con: Any) -> None:
    path = folder / "hour.sql"
    path.write_text("-- Calls.\n-- grain: event_id\nselect event_id, teem_id from attempts")

    said = refused(lambda: build_tables(con, read_folder(folder)))

    assert said.startswith(f"{path}: ")
    assert '"teem_id"' in said


def test_a_grain_that_is_not_selected_is_refused(folder: Path, con: Any) -> None:
    path = folder / "hour.sql"
    path.write_text("-- Calls.\n-- grain: event_id\nselect endpoint from attempts")

    assert refused(lambda: build_tables(con, read_folder(folder))).startswith(
        f"{path}: its grain names a column that it does not select"
    )


@pytest.mark.parametrize("sql", ["selekt 1", "create table x as select 1", "select 1; drop table attempts"])
def test_what_is_not_one_select_is_refused(folder: Path, con: Any, sql: str) -> None:
    path = folder / "hour.sql"
    path.write_text(f"-- Calls.\n-- grain: event_id\n{sql}")

    assert refused(lambda: build_tables(con, read_folder(folder))).startswith(f"{path}: ")


def test_building_gives_the_rows_of_each_table_and_leaves_a_database(project: Project) -> None:
    counts = features.build(project)

    names = ("endpoint_minute", "endpoint_hour", "endpoint_day", "request_shape")
    assert counts == dict.fromkeys(names, 0)
    assert project.database.is_file()


def test_a_failed_build_leaves_the_database_as_it_was(project: Project) -> None:
    features.build(project)
    before = project.database.read_bytes()
    (project.features / "zz.sql").write_text("-- A row.\n-- grain: event_id\nselect nothing from attempts")

    refused(lambda: features.build(project))

    assert project.database.read_bytes() == before
    assert [path.name for path in project.var.iterdir() if "tmp" in path.name] == []
