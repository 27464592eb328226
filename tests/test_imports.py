import subprocess
import sys

import pytest

HEAVY = {
    "duckdb",
    "polars",
    "pyarrow",
    "pandas",
    "scipy",
    "sklearn",
    "lightgbm",
    "mlflow",
    "prefect",
    "typer",
    "rich",
    "httpx",
}


@pytest.mark.parametrize("module", ["fairlead", "fairlead.scoring", "fairlead.project"])
def test_what_a_gateway_imports_is_light(module):
    loaded = _loaded(f"import {module}")

    assert loaded & HEAVY == set()


def test_the_command_line_starts_without_the_heavy_packages():
    loaded = _loaded("import fairlead.cli")

    assert loaded & {"sklearn", "lightgbm", "mlflow", "prefect", "pandas", "scipy"} == set()


def _loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
