import subprocess
import sys

import pytest

PIPELINE = [
    *("duckdb", "polars", "pyarrow", "pandas", "scipy", "sklearn", "lightgbm", "mlflow", "prefect", "fastapi"),
    *("starlette", "sqlalchemy", "optuna", "altair", "great_tables", "jinja2", "redis"),
]
BLOCK = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {PIPELINE!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""


@pytest.mark.server
def test_a_server_runs_where_nothing_of_the_pipeline_is_installed(published):
    code = BLOCK + "from fairlead.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--snapshot", str(published), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = server.stdout.readline().strip().removeprefix("deciding at ")
        ask = BLOCK + (
            "from fairlead import Request; from fairlead.serve import Client;"
            f"print(Client({address!r}, timeout_s=10).decide(Request(id='r-1')).kind)"
        )
        told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    finally:
        server.terminate()
        _, said = server.communicate(timeout=30)

    assert (told.stdout, told.stderr) == ("policy\n", "")
    assert (server.returncode, said) == (0, "")


def test_what_serving_imports_is_light():
    code = "import sys; import fairlead.serve.worker; print(*{name.split('.')[0] for name in sys.modules})"

    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )

    assert loaded & {*PIPELINE, "typer", "pydantic"} == set()


def test_no_text_of_a_request_is_written_or_said_anywhere(process, published, tmp_path):
    import httpx

    server = process("--snapshot", published, "--spool", tmp_path / "spool")
    told = []
    with httpx.Client(base_url=server.address, trust_env=False, timeout=10) as client:
        for path in ("/v1/decide", "/v1/decide/batch", "/v1/observe", "/v1/feedback", "/routing/v1/chat/completions"):
            for body in (
                {"text": "canary-4711", "want": ["ranked", "reasons", "metadata"]},
                {"requests": [{"text": "canary-4711"}]},
                {"canary-4711": "canary-4711"},
                {"messages": [{"role": "user", "content": "canary-4711"}]},
                {"text": ["canary-4711"]},
                "canary-4711",
            ):
                told.append(client.post(path, json=body).text)
        told += [client.get(path).text for path in ("/metrics", "/canary-4711", "/v1/endpoints", "/v1/snapshot")]
    code, said = server.end()

    assert code == 0
    assert "canary" not in "".join(told) + said
    assert "canary" not in "".join(path.read_text() for path in (tmp_path / "spool").iterdir())
