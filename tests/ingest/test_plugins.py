"""Readers of other packages, installed as packages are: a module and a dist-info folder on the path."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.errors import UsageError
from fairlead.ingest import plugins
from fairlead.ingest.readers import all_readers
from fairlead.project import Project
from fairlead.testing import check_reader

READER = """\
from fairlead.ingest import rows, values

NAME = "acme_gateway"


def recognises(record):
    return "acme_call" in record


def read(record, context):
    found = {
        "source_record_id": values.required(values.text(record.get("acme_call")), "acme_call"),
        "start_time": values.required(values.moment(record.get("at"), "at"), "at"),
        "provider_name": "acme",
        "status": "ok",
    }
    yield rows.attempt(NAME, found, context)
"""
RECORDS = [{"acme_call": "1", "at": "2026-01-01T00:00:00Z"}, {"acme_call": "2", "at": "2026-01-01T00:00:01Z"}]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that installs a package with a reader, given its module's text and what the entry point names."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    all_readers.cache_clear()

    def make(text: str, names: str = "{module}", module: str = "acme_reader", package: str = "acme-fairlead") -> None:
        (site / f"{module}.py").write_text(text)
        info = site / f"{package.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\nacme = {names.format(module=module)}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    yield make
    all_readers.cache_clear()


def test_the_reader_of_an_installed_package_reads(install: Any, project: Project, write: Any) -> None:
    install(READER)

    result = ingest.load(project, [write(RECORDS)])

    con = store.open_lake(project.lake).connect()
    found = store.query(con, "SELECT source, source_record_id FROM attempts ORDER BY ALL").rows()
    con.close()
    assert (result.read, result.stored) == (2, 2)
    assert found == [("acme_gateway", "1"), ("acme_gateway", "2")]
    check_reader(all_readers()["acme_gateway"], RECORDS)


def test_a_reader_may_be_an_object_of_a_module(install: Any) -> None:
    made = "\nimport types\n\nit = types.SimpleNamespace(NAME=NAME, recognises=recognises, read=read)\n"
    install(READER + made, "{module}:it", "acme_object")

    assert not hasattr(all_readers()["acme_gateway"], "__file__")
    check_reader(all_readers()["acme_gateway"], RECORDS)


def test_readers_of_packages_come_after_our_own(install: Any) -> None:
    install(READER)

    assert list(all_readers())[-1] == "acme_gateway"


@pytest.mark.parametrize(
    ("text", "names", "module", "fault"),
    [
        (READER.replace("acme_gateway", "bedrock"), "{module}", "acme_1", "the name 'bedrock' is taken"),
        (READER.replace("acme_gateway", "Acme Gateway"), "{module}", "acme_2", "NAME is not a label"),
        (READER.replace("def read(", "def load("), "{module}", "acme_3", "read is not a function"),
        (READER + "\nparse_line = 'x'\n", "{module}", "acme_4", "parse_line is not a function"),
        ("1 / 0\n", "{module}", "acme_5", r"cannot be loaded \(ZeroDivisionError"),
        (READER, "{module}:missing", "acme_6", r"cannot be loaded \(AttributeError"),
        (READER, "acme_nowhere", "acme_7", r"cannot be loaded \(ModuleNotFoundError"),
    ],
)
def test_a_reader_that_cannot_be_used_names_its_package(
    install: Any, project: Project, write: Any, text: str, names: str, module: str, fault: str
) -> None:
    install(text, names, module)

    with pytest.raises(UsageError, match=f"reader 'acme' of acme-fairlead 1.2: {fault}"):
        ingest.load(project, [write(RECORDS)])


def test_two_packages_cannot_give_one_name(install: Any) -> None:
    install(READER, module="acme_first", package="acme-one")
    install(READER, module="acme_second", package="acme-two")

    with pytest.raises(UsageError, match=r"reader 'acme' of acme-two 1\.2: the name 'acme_gateway' is taken"):
        all_readers()
