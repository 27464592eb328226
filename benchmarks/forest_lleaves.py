"""The other side of `forest_engine.py --lleaves`: it runs in an interpreter of its own and imports nothing of ours.

python benchmarks/forest_lleaves.py ROWS.npy MODEL.txt... (then a number of calls a line on standard input)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import lleaves
import numpy as np


def main() -> None:
    """Compile, say so, then answer each line with the microseconds of that many decisions."""
    rows = np.load(sys.argv[1])
    models = []
    started = time.perf_counter()
    for path in map(Path, sys.argv[2:]):
        model = lleaves.Model(model_file=path)
        model.compile(cache=path.with_suffix(".lleaves"))
        models.append(model)
    sums = np.stack([model.predict(rows[0], n_jobs=1) for model in models])
    print(json.dumps({"compile_s": round(time.perf_counter() - started, 1), "first": sums.tolist()}), flush=True)
    for line in sys.stdin:
        taken = []
        for call in range(int(line)):
            row = rows[call % len(rows)]
            begin = time.perf_counter_ns()
            for model in models:
                model.predict(row, n_jobs=1)
            taken.append((time.perf_counter_ns() - begin) / 1000)
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
