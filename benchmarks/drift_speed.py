"""How long a look for drift takes on a lake, of which all but the newest share was learned from.

    python benchmarks/drift_speed.py [--rows 1000000] [--fresh 0.04] [--folder DIR]

The lake is that of benchmarks/features_speed.py, and may be shared with it (`--folder`). One predictor is trained,
small and once, so that there is something to compare with. Busy seconds are of all cores together.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import spend_logs
from features_speed import timed

from fairlead import ingest, project, training
from fairlead.training.drift import drift

MODEL = """# What will it cost?
features = ["request_shape.*"]
heads = [{ name = "output_tokens", target = "output_tokens", alpha = 0.5 }]
[params]
rounds = 5
[gate]
metric = "pinball"
"""


def main() -> None:
    """Make the lake and the champion where there are none yet, then look twice."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--fresh", type=float, default=0.04)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fairlead-drift-"))
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "project").is_dir():
        here = project.open_project(folder / "project")
    else:
        spend_logs.write(folder / "log.jsonl", given.rows)
        here = project.init(folder / "project")
        ingest.load(here, [folder / "log.jsonl"])
    if not (here.models / "tokens.toml").is_file():
        shutil.rmtree(here.models)
        here.models.mkdir()
        (here.models / "tokens.toml").write_text(MODEL)
        training.train(here, holdout=given.fresh)
    for _ in range(2):
        checks = timed("drift", given.rows, lambda: drift(here))
    for check in checks:
        print(f"{check.verdict:8} {check.group}, {check.name}: {check.reason}")


if __name__ == "__main__":
    main()
