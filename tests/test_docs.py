import ast
import re
import tomllib
from pathlib import Path

import pytest
import typer

import fairlead
from fairlead.cli import app

ROOT = Path(__file__).parents[1]
COMMANDS = typer.main.get_command(app).commands
FOLDERS = ("benchmarks", "data", "deploy", "features", "flows", "gateways", "models", "notebooks")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_in_the_readme(name):
    assert (COMMANDS[name].help or "").strip().endswith(".")
    assert f"`fairlead {name}`" in README


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name):
    inside = getattr(COMMANDS[name], "commands", {}).values()
    silent = [
        one.name for command in (COMMANDS[name], *inside) for one in command.params if not getattr(one, "help", 0)
    ]

    assert silent == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_only_commands_and_options_that_exist(page):
    unknown = [f"{line}: {fault}" for line in _shell(page.read_text()) for fault in _faults(line)]

    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_shows_python_that_can_be_imported():
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)

    imported = [
        alias.name
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module == "fairlead"
        for alias in node.names
    ]

    assert imported
    assert set(imported) <= set(fairlead.__all__)


def test_the_readme_names_every_folder_of_the_project():
    for folder in ("features", "models", "flows", "data", "src/fairlead", "benchmarks"):
        assert f"{folder}/" in README


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text()

    assert {"demo", "test", "lint", "lock", "clean"} <= _targets(makefile)


def _shell(text: str) -> list[str]:
    blocks = re.findall(r"^```(?:sh|shell|bash|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"(?:^    \S.*\n(?:^     .*\n)*)+", text, re.MULTILINE)
    joined = "\n".join(blocks).replace("\\\n", " ")
    parts = [
        part.split(" #")[0].strip().removeprefix("$ ") for line in joined.splitlines() for part in line.split("&&")
    ]
    return [part for part in parts if part.split(" ")[0] in {"fairlead", "make"} or "fairlead[" in part]


def _faults(line: str) -> list[str]:
    words = line.split()
    if words[0] == "make":
        asked = [word for word in words[1:] if "=" not in word]
        return [f"no target {word}" for word in asked if word not in _targets((ROOT / "Makefile").read_text())]
    if words[0] != "fairlead":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        extras = [extra.strip() for found in re.findall(r"fairlead\[([^]]+)\]", line) for extra in found.split(",")]
        return [f"no extra {extra}" for extra in extras if extra not in known]
    if words[1] not in COMMANDS:
        return [] if words[1].startswith("-") else [f"no command {words[1]}"]
    command = COMMANDS[words[1]]
    if hasattr(command, "commands") and not words[2].startswith("-"):  # `fairlead keys new`
        if words[2] not in command.commands:
            return [f"no command {words[1]} {words[2]}"]
        command = command.commands[words[2]]
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    return [f"no option {word}" for word in words[2:] if word.startswith("--") and word.split("=")[0] not in options]


def _targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
