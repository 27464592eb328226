import gzip
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead import ingest
from fairlead.errors import ReadError, UsageError
from fairlead.ingest import compression
from fairlead.ingest.sources import Options
from fairlead.project import Project


def counts(result: Any) -> tuple[int, int, int, int]:
    return result.read, result.stored, result.duplicates, result.quarantined


def zstd(data: bytes) -> bytes:
    """One frame that, as those of a stream, does not tell its length."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue().to_pybytes())


def lines(payload: Any, *numbers: int) -> bytes:
    return b"".join(json.dumps(payload(number)).encode() + b"\n" for number in numbers)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Any:
    def pipe(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return pipe


@pytest.mark.parametrize("name", ["log.jsonl.zst", "log.jsonl.gz", "log.jsonl", "log.csv", "log.parquet", "log"])
@pytest.mark.parametrize("pack", [zstd, gzip.compress, bytes])
def test_content_and_not_the_name_says_how_a_file_is_packed(
    name: str, pack: Any, project: Project, payload: Any, tmp_path: Path
) -> None:
    log = tmp_path / name
    log.write_bytes(pack(lines(payload, 0, 1)) + pack(lines(payload, 2)))

    assert counts(ingest.load(project, [log])) == (3, 3, 0, 0)


def test_parquet_is_known_under_any_name(project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    pq.write_table(pa.Table.from_pylist([payload(0), payload(1)]), log)

    assert counts(ingest.load(project, [log])) == (2, 2, 0, 0)


def test_frames_that_hold_nothing_are_skipped(project: Project, payload: Any, tmp_path: Path) -> None:
    note = b"\x5a\x2a\x4d\x18\x04\x00\x00\x00note"
    log = tmp_path / "log.jsonl.zst"
    log.write_bytes(note + zstd(lines(payload, 0)) + note + zstd(b"") + zstd(lines(payload, 1)))

    assert counts(ingest.load(project, [log])) == (2, 2, 0, 0)


@pytest.mark.parametrize(("pack", "name"), [(zstd, "log.jsonl.zst"), (gzip.compress, "log.jsonl.gz")])
def test_compressed_data_that_breaks_off_keeps_the_lines_before(
    pack: Any, name: str, project: Project, payload: Any, tmp_path: Path, select: Any
) -> None:
    log = tmp_path / name
    log.write_bytes(pack(lines(payload, *range(3000)))[:-200])

    result = ingest.load(project, [log])

    assert result.quarantined == 1
    assert 0 < result.stored == result.read - 1
    assert select("SELECT reason FROM quarantine") == [("bad_compression",)]


@pytest.mark.parametrize("pack", [zstd, gzip.compress])
def test_a_file_that_expands_beyond_reason_is_refused_before_it_fills_the_memory(
    pack: Any, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_FREE_BYTES", 1 << 20)
    bomb = tmp_path / "bomb.jsonl"
    bomb.write_bytes(pack(b"\n" * (8 << 20)) * 3)

    with pytest.raises(ReadError, match=r"bomb\.jsonl: expands to more than 200 times its size"):
        ingest.load(project, [bomb])


def test_links_pipes_sockets_and_devices_are_refused(project: Project, payload: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(lines(payload, 0))
    link, dead, pipe = tmp_path / "link.jsonl", tmp_path / "dead.jsonl", tmp_path / "pipe.jsonl"
    link.symlink_to(log)
    dead.symlink_to(tmp_path / "nothing")
    os.mkfifo(pipe)

    for path, said in [
        (link, "a symbolic link; name the file it leads to"),
        (dead, "a symbolic link; name the file it leads to"),
        (pipe, "not a regular file but a pipe, a socket or a device"),
        (Path("/dev/zero"), "not a regular file but a pipe, a socket or a device"),
    ]:
        with pytest.raises(ReadError, match=said):
            ingest.load(project, [path])
    with pytest.raises(ReadError, match="symbolic link"):
        ingest.load(project, [tmp_path / "li*.jsonl"])


def test_a_folder_leaves_links_and_special_files_out_and_says_so(
    project: Project, payload: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (tmp_path / "outside.jsonl").write_bytes(lines(payload, 1))
    (folder / "log.jsonl").write_bytes(lines(payload, 0))
    (folder / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    os.mkfifo(folder / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "s.json"))

    assert counts(ingest.load(project, [folder])) == (1, 1, 0, 0)
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}: 3 links and special files in it are left out"
    ]


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    project: Project, payload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_bytes(lines(payload, 0))
    second.write_bytes(lines(payload, 1))

    def swap(*_: Any) -> None:
        second.unlink(missing_ok=True)
        os.mkfifo(second)

    with pytest.raises(ReadError, match=r"b\.jsonl: not a regular file"):
        ingest.load(project, [first, second], progress=lambda path, *_: swap() if path == first else None)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_standard_input_is_read_like_a_file(pack: Any, project: Project, payload: Any, piped: Any, select: Any) -> None:
    data = pack(lines(payload, 0, 1) + b"{oops\n")
    piped(data)

    first = ingest.load(project, ["-"])
    piped(data)
    again = ingest.load(project, ["-"])

    assert (counts(first), first.files[0].path) == ((3, 2, 0, 1), "-")
    assert (counts(again), again.files[0].known) == ((3, 0, 2, 1), True)
    assert select("SELECT file, line FROM quarantine") == [("-", 3)]


def test_a_name_says_what_standard_input_holds(project: Project, piped: Any, tmp_path: Path, select: Any) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'table = "feedback"\nsource = "own"\n[columns]\ntarget_id = "id"\ntime = "at"\nname = "what"\n'
        'score_value = "score"\n[constants]\n'
        'target_kind = "request"\nvalue_type = "numeric"\nevaluator_kind = "human"\n'
    )
    piped(b"id,at,what,score\nx,2026-01-01,thumb,1\ny,2026-01-01,thumb\n")

    result = ingest.load(project, ["-"], mapping=mapping, options=Options(name="scores.csv"))

    assert (result.read, result.files[0].path) == (2, "scores.csv")
    assert ("scores.csv", "wrong_columns") in select("SELECT file, reason FROM quarantine")


def test_a_terminal_is_not_waited_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.BytesIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(terminal))

    with pytest.raises(ReadError, match="standard input is a terminal; pipe a log into it"):
        ingest.load(project, ["-"])


def test_what_is_piped_in_leaves_no_file_behind(
    project: Project, payload: Any, piped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    piped(lines(payload, 0))
    left = []

    ingest.load(project, ["-"], progress=lambda *_: left.extend((tmp_path / "spool").iterdir()))

    assert left == []


def test_files_are_removed_once_they_are_in_the_store(project: Project, payload: Any, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "good.jsonl").write_bytes(lines(payload, 0, 1))
    (inbox / "bad.jsonl").write_bytes(lines(payload, 2) + b"{oops\n")
    (inbox / "other.txt").write_text("stays")

    result = ingest.load(project, [inbox], options=Options(remove=True))

    assert counts(result) == (4, 3, 0, 1)
    assert sorted(path.name for path in inbox.iterdir()) == ["bad.jsonl.refused", "other.txt"]
    assert counts(ingest.load(project, [inbox], options=Options(remove=True))) == (0, 0, 0, 0)


def test_a_known_file_is_removed_too(project: Project, payload: Any, write: Any) -> None:
    log = write([payload(0)])
    ingest.load(project, [log])

    assert ingest.load(project, [log], options=Options(remove=True)).files[0].known
    assert not log.exists()


def test_a_file_that_could_not_be_loaded_or_has_grown_is_not_removed(
    project: Project, payload: Any, write: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(ReadError, match="not a readable Parquet file"):
        ingest.load(project, [broken], options=Options(remove=True))
    growing = write([payload(0)])

    def grow(*_: Any) -> None:
        with growing.open("ab") as log:
            log.write(lines(payload, 1))

    ingest.load(project, [growing], options=Options(remove=True), progress=grow)

    assert broken.exists()
    assert counts(ingest.load(project, [growing], options=Options(remove=True))) == (2, 1, 1, 0)
    assert not growing.exists()


def test_an_origin_nobody_knows_is_refused(project: Project) -> None:
    with pytest.raises(UsageError, match=r"^ftp:// is no origin of logs; there are files, -, s3:// and postgresql://$"):
        ingest.load(project, ["ftp://user:secret@host/file"])


def test_the_command_reads_a_real_pipe(project: Project, payload: Any) -> None:
    command = [sys.executable, "-c", "from fairlead.cli import main; main()", "ingest", "-", "--json"]

    done = subprocess.run(
        command,
        input=zstd(lines(payload, 0, 1)),
        capture_output=True,
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )

    assert json.loads(done.stdout) == {"read": 2, "stored": 2, "duplicates": 0, "quarantined": 0}
