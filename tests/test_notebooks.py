"""Every notebook runs from top to bottom, and lies in the repository without what it printed."""

import json
import os
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_numbered_questions_and_holds_no_output(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    headings = [
        cell["source"][0] for cell in cells if cell["cell_type"] == "markdown" and cell["source"][0][:2] == "##"
    ]

    assert path.stem[:2].isdigit()
    assert [line.split(".")[0] for line in headings] == [f"## {number}" for number in range(1, len(headings) + 1)]
    assert all(line.strip().endswith("?") for line in headings)
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
@pytest.mark.server  # a kernel listens on loopback
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_pictures(path, tmp_path, monkeypatch):
    client = pytest.importorskip("nbclient", reason="nbclient is not installed: fairlead[notebooks] brings it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: fairlead[notebooks] brings it")
    import nbformat

    monkeypatch.delenv("FAIRLEAD_ROUTING", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    drawn = sum("alt.Chart(" in cell["source"] for cell in notebook.cells if cell["cell_type"] == "code")

    done = client.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = [one for cell in done.cells for one in cell.get("outputs", [])]
    assert [one for one in outputs if one["output_type"] == "error"] == []
    assert sum("image/png" in one.get("data", {}) for one in outputs) >= drawn > 5
