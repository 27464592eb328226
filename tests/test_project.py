import os
import stat
import threading
from pathlib import Path

import pytest

from fairlead import project
from fairlead.errors import ProjectError
from fairlead.project import Project


def test_a_new_project_has_a_copy_of_the_default_one(tmp_path):
    here = project.init(tmp_path / "new")

    origin = project.defaults()
    for folder in ("features", "models", "flows", "data"):
        copied = {path.relative_to(here.root) for path in (here.root / folder).rglob("*") if path.is_file()}
        held = {path.relative_to(origin) for path in (origin / folder).rglob("*") if path.is_file()}
        assert copied == {path for path in held if "__pycache__" not in path.parts}
    assert (here.root / ".gitignore").read_text() == "var/\n"
    assert here.settings == {}
    assert not here.var.exists()


def test_files_that_are_there_already_stay(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"')
    (tmp_path / "prefect.yaml").write_text("mine")
    (tmp_path / ".gitignore").write_text("mine\n")

    here = project.init(tmp_path)

    assert (tmp_path / "pyproject.toml").read_text().startswith('[project]\nname = "mine"\n[tool.fairlead]\n')
    assert ((tmp_path / "prefect.yaml").read_text(), (tmp_path / ".gitignore").read_text()) == ("mine", "mine\n")
    assert here == project.open_project(tmp_path)


def test_an_edited_file_of_the_defaults_stays(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "cost.toml").write_text("# mine\n")

    here = project.init(tmp_path)

    assert (here.models / "cost.toml").read_text() == "# mine\n"
    assert (here.models / "quality.toml").is_file()


def test_a_project_is_not_started_twice(tmp_path):
    project.init(tmp_path)

    with pytest.raises(ProjectError, match="is already a fairlead project"):
        project.init(tmp_path)


def test_a_project_is_found_from_any_folder_below_it(tmp_path, monkeypatch):
    here = project.init(tmp_path / "new")
    deep = here.root / "notebooks" / "deep"
    deep.mkdir(parents=True)
    (deep / "pyproject.toml").write_text('[project]\nname = "other"\n')  # no project of ours
    monkeypatch.chdir(deep)

    assert project.find() == project.find(deep) == here


def test_where_no_project_is_the_way_to_one_is_said(tmp_path):
    with pytest.raises(ProjectError, match="run `fairlead init`"):
        project.find(Path("/"))
    with pytest.raises(ProjectError, match=f"run `fairlead init {tmp_path}`"):
        project.open_project(tmp_path)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[tool.fairlead]\nvra = 1\n",
            "unknown key 'vra'; known are budget, endpoints, feedback, hash_key_env, ingest, policy, registry, var",
        ),
        ("[tool.fairlead\n", "not valid TOML"),
        ("[tool]\nfairlead = 3\n", "tool.fairlead is not a table"),
        ("tool = 3\n", "run `fairlead init"),
    ],
)
def test_settings_that_are_off_are_refused_with_their_file(tmp_path, text, fault):
    (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(ProjectError, match=fault) as refusal:
        project.open_project(tmp_path)
    assert str(tmp_path) in str(refusal.value)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ProjectError, match="not valid TOML"):
        project.open_project(tmp_path)


def test_everything_a_project_makes_lies_below_var(tmp_path):
    here = Project(tmp_path, {"var": "elsewhere"})

    made = (here.lake, here.database, here.registry, here.published, here.reports)

    assert [path.relative_to(tmp_path).as_posix() for path in made] == [
        "elsewhere/lake",
        "elsewhere/fairlead.duckdb",
        "elsewhere/mlflow",
        "elsewhere/published",
        "elsewhere/reports",
    ]
    assert Project(tmp_path, {"var": "/srv/fairlead"}).var == Path("/srv/fairlead")
    assert here.prices == tmp_path / "data" / "prices.csv"


def test_the_hash_key_is_made_once_and_only_for_its_owner(tmp_path, monkeypatch):
    monkeypatch.delenv("FAIRLEAD_HASH_KEY", raising=False)
    here = Project(tmp_path)

    key = here.hash_key()

    assert (len(key), here.hash_key()) == (64, key)
    assert [path.name for path in here.var.iterdir()] == ["hash.key"]
    assert stat.S_IMODE(os.stat(here.var / "hash.key").st_mode) == 0o600


def test_the_hash_key_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_HASH_KEY", "one")
    monkeypatch.setenv("OTHER", "two")

    keys = [Project(tmp_path).hash_key(), Project(tmp_path, {"hash_key_env": "OTHER"}).hash_key()]

    assert keys == [b"one", b"two"]
    assert not (tmp_path / "var").exists()


def test_all_who_ask_first_at_once_get_one_whole_key(tmp_path, monkeypatch):
    monkeypatch.delenv("FAIRLEAD_HASH_KEY", raising=False)
    keys, together = [], threading.Barrier(8)

    def ask():
        together.wait()
        keys.append(Project(tmp_path).hash_key())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert set(keys) == {(tmp_path / "var" / "hash.key").read_bytes()}
    assert len(keys[0]) == 64
