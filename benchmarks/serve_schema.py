"""Schemathesis over the OpenAPI document, against a real server without keys and one with them.

    uv venv /tmp/schemathesis && uv pip install --python /tmp/schemathesis schemathesis
    python benchmarks/serve_schema.py /tmp/schemathesis/bin/schemathesis [--examples 100] [--seed 0]

It needs an environment of its own: its dependencies are not ours. Every answer is held to what the document says of it,
and to having no 5xx. The stream is left out, since it never ends. Ends with 1 where a check failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from serve_fuzz import keyed

from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT


def main() -> None:
    """Run it twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schemathesis", type=Path)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    failed = []
    for name in ("open", "keyed"):
        with tempfile.TemporaryDirectory() as folder:
            builtin(["a", "b"]).write(Path(folder) / CURRENT)
            command = [sys.executable, "-c", "from fairlead.cli import main; main()", "serve", "--snapshot", folder]
            command += ["--port", "0", "--spool", f"{folder}/spool"]
            headers = []
            if name == "keyed":
                headers = ["-H", f"Authorization: Bearer {keyed(Path(folder) / 'security')}"]
                command += ["--keys", f"{folder}/security"]
            server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            run = [given.schemathesis, "run", f"{url}/openapi.json", "--exclude-path", "/v1/stream", *headers]
            run += ["--max-examples", str(given.examples), "--request-timeout", "10", "--seed", str(given.seed)]
            done = subprocess.run(list(map(str, run)), capture_output=True, text=True, check=False)
            alive = server.poll() is None
            server.terminate()
            code = server.wait(60)
            cases = next((line.strip() for line in done.stdout.splitlines() if "generated" in line), "no cases")
            print(f"{name}: {cases}; server alive to the end: {alive}, exit code {code}", flush=True)
            if done.returncode or not alive or code:
                failed.append(name)
                print(done.stdout[-4000:], done.stderr[-1000:])
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
