import importlib.util
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# About 190, most of them numpy's; a stray import of anything heavy brings hundreds.
MOST_MODULES = 300
DECIDE = """
import sys
from fairlead import Request, Router
router = Router(sys.argv[1])
print(router.decide(Request(text="What is 2 + 2?", route="maths", id="one")).endpoint)
"""
PROBE = """
import json, sys, time
before, started = set(sys.modules), time.process_time()
import fairlead
taken = time.process_time() - started
from fairlead import project
made = project.init(project.Path(sys.argv[1]))
print(json.dumps({
    "cpu_s": taken,
    "modules": len(set(sys.modules) - before),
    "where": fairlead.__file__,
    "features": sorted(path.name for path in made.features.iterdir()),
}))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: `make test` installs it")
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """An environment with the wheel and what it asks for, nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    _run(
        str(folder / "bin" / "python"),
        "-I",
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        str(wheel),
        cwd=folder,
    )
    return folder / "bin" / "python"


def test_the_wheel_carries_the_default_project(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    carried = {name.removeprefix("fairlead/_project/") for name in names if name.startswith("fairlead/_project/")}
    wanted = {
        str(path.relative_to(ROOT))
        for folder in ("features", "models", "flows", "data")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in carried if "__pycache__" not in name} == wanted | {"prefect.yaml"}
    assert [name for name in names if "__pycache__" in name or "_cache/" in name] == []


def test_nothing_but_the_package_is_installed(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert tops == {"fairlead", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}


def test_a_gateway_installs_three_packages(bare):
    listed = json.loads(_run(str(bare), "-I", "-m", "pip", "list", "--format", "json", cwd=bare.parent))

    assert {one["name"] for one in listed} - {"pip", "setuptools"} == {"fairlead", "msgspec", "numpy", "safetensors"}


def test_the_wheel_imports_fast_and_starts_a_project_outside_the_checkout(bare, tmp_path):
    seen = json.loads(_run(str(bare), "-I", "-c", PROBE, str(tmp_path / "mine"), cwd=tmp_path))

    print(f"import fairlead: {seen['cpu_s']:.2f} s CPU, {seen['modules']} modules")
    assert Path(seen["where"]).is_relative_to(bare.parents[1])
    assert seen["modules"] < MOST_MODULES
    assert seen["features"] == sorted(path.name for path in (ROOT / "features").iterdir() if path.is_file())


def test_the_wheel_alone_decides_as_the_pipeline_does(bare, trained, tmp_path):
    published = str(trained[0].published)

    alone = _run(str(bare), "-I", "-c", DECIDE, published, cwd=tmp_path)

    assert alone == _run(sys.executable, "-c", DECIDE, published, cwd=tmp_path)


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
