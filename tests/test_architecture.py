import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# One import that breaks each contract and no other: the module it is written into, and the line.
OFFENCES = {
    "Every floor stands only on the floors below it": ("store/lake.py", "import fairlead.reports.formats"),
    "Scoring needs numpy and the snapshot container, nothing heavy": ("scoring/snapshot.py", "import polars"),
    "Only flows/ knows Prefect": ("reports/render.py", "import prefect"),
    "One door to DuckDB": ("features/build.py", "import duckdb"),
    "One door to MLflow": ("training/fit.py", "import mlflow"),
    "One door to Redis": ("store/lake.py", "import redis"),
    "One door to httpx": ("store/lake.py", "import httpx"),
    "Serving works without the pipeline": ("serve/app.py", "import fastapi"),
    "Readers do not know each other": (
        "ingest/readers/litellm_spendlogs.py",
        "from fairlead.ingest.readers import generic",
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept_and_has_an_offence():
    states, _ = _lint(ROOT)

    assert states == dict.fromkeys(CONTRACTS, "KEPT")
    assert set(OFFENCES) == set(CONTRACTS)


@pytest.mark.parametrize("contract", OFFENCES)
def test_one_forbidden_import_breaks_its_contract_and_no_other(copy, contract):
    module, line = OFFENCES[contract]
    with (copy / "src" / "fairlead" / module).open("a") as out:
        out.write(f"\n{line}\n")

    states, said = _lint(copy)

    assert states == {name: "BROKEN" if name == contract else "KEPT" for name in CONTRACTS}
    assert f"fairlead.{module.removesuffix('.py').replace('/', '.')} -> " in said


def test_a_module_without_a_floor_is_reported(copy):
    (copy / "src" / "fairlead" / "anomalies.py").write_text('"""Nobody gave this a floor."""\n')

    states, said = _lint(copy)

    assert states["Every floor stands only on the floors below it"] == "BROKEN"
    assert re.search(r"not listed as layers:\s+- fairlead\.anomalies\b", said)


def test_no_contract_has_a_hole():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert [contract["name"] for contract in contracts if contract.get("ignore_imports")] == []


def _lint(folder: Path) -> tuple[dict[str, str], str]:
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    states = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", said, re.MULTILINE))
    assert (done.returncode == 0) == ("BROKEN" not in states.values()), said
    return states, said
