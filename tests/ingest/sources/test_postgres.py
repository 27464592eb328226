import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead import ingest
from fairlead.errors import ReadError, UsageError
from fairlead.ingest import loader
from fairlead.ingest.sources import Options
from fairlead.ingest.sources import postgres as source
from fairlead.project import Project

# As prisma makes it from LiteLLM's schema: 36 columns, moments without a zone.
SPEND_LOGS = """\
CREATE TABLE "LiteLLM_SpendLogs" (
    request_id TEXT PRIMARY KEY, call_type TEXT NOT NULL, api_key TEXT NOT NULL DEFAULT '',
    spend DOUBLE PRECISION NOT NULL DEFAULT 0, total_tokens INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
    "startTime" TIMESTAMP(3) NOT NULL, "endTime" TIMESTAMP(3) NOT NULL, request_duration_ms INTEGER,
    "completionStartTime" TIMESTAMP(3), model TEXT NOT NULL DEFAULT '', model_id TEXT DEFAULT '',
    model_group TEXT DEFAULT '', custom_llm_provider TEXT DEFAULT '', api_base TEXT DEFAULT '',
    "user" TEXT DEFAULT '', metadata JSONB DEFAULT '{}', cache_hit TEXT DEFAULT '', cache_key TEXT DEFAULT '',
    request_tags JSONB DEFAULT '[]', team_id TEXT, organization_id TEXT, end_user TEXT, requester_ip_address TEXT,
    messages JSONB DEFAULT '{}', response JSONB DEFAULT '{}', session_id TEXT, status TEXT,
    mcp_namespaced_tool_name TEXT, billing_agent_id TEXT, agent_id TEXT, proxy_server_request JSONB DEFAULT '{}',
    litellm_call_id TEXT, created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX ON "LiteLLM_SpendLogs" ("startTime", request_id);
"""


class Database:
    def __init__(self, server: Any) -> None:
        self.server = server
        self.name = f"db{secrets.token_hex(4)}"
        server.sql(f"CREATE DATABASE {self.name}")

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, self.name)

    def add(self, ident: str, start: str, end: str | None = None, **more: str) -> None:
        """Add a row; `more` are SQL expressions."""
        values = {
            "request_id": f"'{ident}'",
            "call_type": "'acompletion'",
            '"startTime"': f"'{start}'",
            '"endTime"': f"'{end or start}'",
            "model": "'openai/gpt-4o-mini'",
            "custom_llm_provider": "'openai'",
            "status": "'success'",
            "spend": "0.25",
            "prompt_tokens": "10",
            "completion_tokens": "20",
        } | more
        self.sql(
            f'INSERT INTO "LiteLLM_SpendLogs" ({", ".join(values)}) VALUES ({", ".join(values.values())})'
            " ON CONFLICT (request_id) DO UPDATE SET spend = EXCLUDED.spend, updated_at = EXCLUDED.updated_at"
        )


@pytest.fixture
def database(postgres: Any) -> Iterator[Database]:
    made = Database(postgres)
    made.sql(SPEND_LOGS)
    yield made
    postgres.sql(f"DROP DATABASE {made.name} WITH (FORCE)")


def load(project: Project, database: Database, **options: Any) -> tuple[int, int, int, int]:
    done = ingest.load(project, [database.url], options=Options(**options))
    return done.read, done.stored, done.duplicates, done.quarantined


def test_a_row_becomes_the_same_attempt_as_its_export(project: Project, database: Database, select: Any) -> None:
    database.add(
        "chatcmpl-1",
        "2026-01-01 10:00:00.250",
        "2026-01-01 10:00:02.750",
        request_tags="""'["prod", "route:maths"]'""",
        metadata="""'{"usage_object": {"prompt_tokens_details": {"cached_tokens": 4}}}'""",
        messages="""'[{"role": "user", "content": "What is\\ntwo plus one?"}]'""",
        cache_hit="'False'",
        litellm_call_id="'call-1'",
    )

    assert load(project, database) == (1, 1, 0, 0)
    assert select(
        "SELECT source, source_record_id, request_id, start_time::VARCHAR, duration_s, status, input_tokens,"
        " cache_read_input_tokens, output_tokens, reported_cost_usd::DOUBLE, tags['route'], gateway_cache_status"
        " FROM attempts"
    ) == [
        (
            *("litellm_spendlogs", "chatcmpl-1", "call-1", "2026-01-01 10:00:00.25+00", 2.5, "ok"),
            *(10, 4, 20, 0.25, "maths", "miss"),
        )
    ]
    assert select("SELECT count(*) FROM request_features") == [(1,)]


def test_the_next_load_reads_what_came_since_and_a_window_before(
    project: Project, database: Database, select: Any, marks: Any
) -> None:
    for number in range(5):
        database.add(f"old-{number}", f"2026-01-0{number + 1} 10:00:00")
    first = load(project, database)
    database.add("new", "2026-01-05 11:00:00")

    second = load(project, database)

    assert (first, second) == ((5, 5, 0, 0), (2, 1, 1, 0))
    assert load(project, database) == (2, 0, 2, 0)
    assert load(project, database, overlap_s=0) == (1, 0, 1, 0)
    assert list(marks().values()) == ["2026-01-05 11:00:00"]
    assert select("SELECT count(*), count(DISTINCT event_id) FROM attempts") == [(6, 6)]


def test_a_long_call_that_ends_after_the_place_has_passed_its_start_is_not_lost(
    project: Project, database: Database, select: Any
) -> None:
    database.add("short", "2026-01-01 12:00:00")
    load(project, database)
    database.add("long", "2026-01-01 10:30:00", "2026-01-01 12:10:00")

    assert load(project, database) == (2, 1, 1, 0)

    database.add("longer", "2026-01-01 09:30:00", "2026-01-01 12:20:00")
    assert load(project, database) == (2, 0, 2, 0)
    assert load(project, database, overlap_s=4 * 3600) == (3, 1, 2, 0)
    assert select("SELECT count(*) FROM attempts") == [(3,)]


def test_a_row_dated_ahead_does_not_hide_those_still_to_come(project: Project, database: Database, marks: Any) -> None:
    database.add("ahead", "2099-01-01 00:00:00")
    database.add("never", "infinity")
    assert load(project, database) == (2, 1, 0, 1)

    database.sql("""INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, "startTime", "endTime", status)
        SELECT 'now', 'acompletion', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc', 'success'""")

    assert load(project, database) == (3, 1, 1, 1)
    assert list(marks().values()) < ["2090"]


def test_a_changed_row_is_a_newer_version_and_by_updated_at_it_is_always_found(
    project: Project, database: Database, select: Any
) -> None:
    database.add("one", "2026-01-01 10:00:00", updated_at="'2026-01-01 10:00:05'")
    database.add("two", "2026-01-09 10:00:00", updated_at="'2026-01-09 10:00:05'")
    load(project, database)
    assert load(project, database, cursor="updated_at") == (2, 0, 2, 0)
    database.add("one", "2026-01-01 10:00:00", spend="0.75", updated_at="'2026-01-10 10:00:00'")

    assert load(project, database) == (1, 0, 1, 0)
    assert load(project, database, cursor="updated_at") == (2, 1, 1, 0)
    assert select("SELECT source_record_id, reported_cost_usd::DOUBLE FROM attempts ORDER BY 1") == [
        ("one", 0.75),
        ("two", 0.25),
    ]


def test_a_table_is_read_in_pieces_and_goes_on_from_the_last(
    project: Project, database: Database, select: Any, marks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_PIECE_ROWS", 40)
    monkeypatch.setattr(source, "_FETCHED_ROWS", 7)
    # Half of the rows share one moment: the key alone tells where a piece ended.
    database.sql("""INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, status, "startTime", "endTime")
        SELECT 'r' || n, 'acompletion', 'success', t, t FROM generate_series(1, 130) n,
        LATERAL (SELECT TIMESTAMP '2026-01-01' + interval '1 hour' * (n % 2) * n AS t) moments""")
    broken = loader._load_part
    pieces = []

    def breaks(*arguments: Any) -> Any:
        if len(pieces) == 2:
            raise ReadError("broken")
        pieces.append(arguments[1].name)
        return broken(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(loader, "_load_part", breaks)
        with pytest.raises(ReadError, match="broken"):
            load(project, database)
    reached = marks()

    assert select("SELECT count(*) FROM attempts") == [(80,)]
    assert list(reached.values()) == ["2026-01-02 05:00:00"]
    assert load(project, database, overlap_s=0) == (51, 50, 1, 0)
    assert select("SELECT count(*), count(DISTINCT event_id) FROM attempts") == [(130, 130)]


def test_a_connection_that_is_killed_loses_nothing_that_was_committed(
    project: Project, database: Database, select: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_PIECE_ROWS", 50)
    monkeypatch.setattr(source, "_FETCHED_ROWS", 10)
    database.sql("""INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, status, "startTime", "endTime")
        SELECT 'r' || n, 'acompletion', 'success', t, t FROM generate_series(1, 200) n,
        LATERAL (SELECT TIMESTAMP '2026-01-01' + interval '1 minute' * n AS t) moments""")
    whole, calls = source._copy, []

    async def killed(connection: Any, *arguments: Any) -> Any:
        calls.append(connection)
        if len(calls) == 3:
            victim = connection.get_server_pid()
            worker = threading.Thread(target=database.sql, args=[f"SELECT pg_terminate_backend({victim}, 5000)"])
            worker.start()
            worker.join()
        return await whole(connection, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(source, "_copy", killed)
        with pytest.raises(ReadError, match=r"connection.*load it again"):
            load(project, database)

    assert select("SELECT count(*) FROM attempts") == [(100,)]
    assert load(project, database, overlap_s=0) == (101, 100, 1, 0)
    assert select("SELECT count(*), count(DISTINCT event_id) FROM attempts") == [(200, 200)]


def test_a_row_that_cannot_be_is_quarantined_and_the_rest_is_read(
    project: Project, database: Database, select: Any
) -> None:
    database.add("good", "2026-01-01 10:00:00")
    database.add("nan", "2026-01-01 10:00:01", spend="'NaN'")
    database.add("negative", "2026-01-01 10:00:02", prompt_tokens="-5")
    database.add("before", "0044-03-15 10:00:02 BC")

    assert load(project, database) == (4, 1, 0, 3)
    assert sorted(select("SELECT reason, file FROM quarantine")) == [
        ("nan_or_infinity", _name(database)),
        ("out_of_range", _name(database)),
        ("wrong_type", _name(database)),
    ]


def test_a_table_of_ones_own_with_other_names_and_types_is_read_by_a_mapping(
    project: Project, database: Database, select: Any, tmp_path: Any
) -> None:
    database.sql("""CREATE SCHEMA "my logs"; CREATE TABLE "my logs"."odd ""calls" (
        part int, id uuid, at timestamptz NOT NULL, model text, tags text[], body json, fairlead_row int,
        PRIMARY KEY (part, id));
        INSERT INTO "my logs"."odd ""calls" VALUES
        (1, '00000000-0000-0000-0000-000000000001', '2026-01-01 10:00:00+02', 'm', '{a,b}', E'{"a":\\n1}', 1);""")
    mapping = tmp_path / "calls.toml"
    mapping.write_text(
        'table = "attempts"\nsource = "own"\n[columns]\nsource_record_id = "id"\nstart_time = "at"\n'
        'request_model = "model"\nprovider_name = "model"\nstatus = "model"\n'
    )
    table = 'my logs.odd "calls'

    done = ingest.load(project, [database.url], mapping=mapping, options=Options(table=table, cursor="at"))

    assert done.read == 1
    assert done.files[0].path == f"{_name(database).rpartition('/')[0]}/{table}"


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ("", {"table": "LiteLLM_Spendlogs"}, "'LiteLLM_Spendlogs' is not in this database.*check --table"),
        ("", {"table": "pg_catalog.pg_type"}, "no column 'startTime'"),
        ("", {"cursor": "started"}, "no column 'started'; name with --cursor .*: created_at, endTime, startTime"),
        ("", {"cursor": "completionStartTime"}, "may be null; --cursor needs a timestamp that is never null"),
        ('ALTER TABLE "LiteLLM_SpendLogs" ALTER "startTime" TYPE TEXT', {}, "is text; --cursor needs a timestamp"),
        ('ALTER TABLE "LiteLLM_SpendLogs" DROP CONSTRAINT "LiteLLM_SpendLogs_pkey"', {}, "no primary key"),
    ],
)
def test_a_table_with_wrong_columns_is_refused_with_what_is_wrong(
    change: str, options: dict[str, str], said: str, project: Project, database: Database
) -> None:
    database.sql(change)

    with pytest.raises((UsageError, ReadError), match=said):
        load(project, database, **options)


def test_what_the_server_refuses_is_one_line_without_the_password(
    project: Project, database: Database, postgres: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    database.sql("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'")
    socket = postgres.folder
    urls = {
        f"postgresql://locked:wr0ng@/{database.name}?host={socket}": "the password is wrong or missing",
        f"postgresql://locked@/{database.name}?host={socket}": "the password is wrong or missing",
        f"postgresql://locked:right@/{database.name}?host={socket}": "may not read the table; GRANT SELECT",
        f"postgresql://fairlead:s3cret@/nothing?host={socket}": "there is no such database",
        f"postgresql://fairlead:s3cret@/x?host={socket}/none": "cannot be reached",
        "postgresql://fairlead:s3cret@127.0.0.1:1/x": "cannot be reached",
        "postgresql://fairlead:s3cret@127.0.0.1:port/x": "cannot be taken apart",
        f"postgresql://fairlead:s3cret@/x?host={socket}&sslmode=perhaps": "this URL cannot be used",
    }

    for url, said in urls.items():
        with pytest.raises((ReadError, UsageError), match=said) as caught:
            ingest.load(project, [url])
        assert not {"wr0ng", "right", "s3cret"} & set(str(caught.value).replace(":", " ").replace("@", " ").split())


def test_a_table_that_was_made_anew_is_read_from_its_beginning(project: Project, database: Database) -> None:
    database.add("one", "2026-01-05 10:00:00")
    load(project, database)
    database.sql('DROP TABLE "LiteLLM_SpendLogs"')
    database.sql(SPEND_LOGS)
    database.add("two", "2026-01-01 10:00:00")

    assert load(project, database) == (1, 1, 0, 0)


def test_reading_takes_no_rights_but_reading(project: Project, database: Database, postgres: Any) -> None:
    database.add("one", "2026-01-05 10:00:00")
    database.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
    database.sql('GRANT SELECT ON "LiteLLM_SpendLogs" TO reader')

    done = ingest.load(project, [postgres.url(database.name, "reader")])

    assert (done.read, done.stored) == (1, 1)
    database.sql("DROP OWNED BY reader; DROP ROLE reader")


def _name(database: Database) -> str:
    return f"postgresql://{str(database.server.folder).replace('/', '%2F')}/{database.name}/LiteLLM_SpendLogs"
