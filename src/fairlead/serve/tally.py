"""What the workers of one machine have counted, together: any of them can be asked."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from fairlead.serve.metrics import Counts, Metrics, added

__all__ = ["Tally"]


class Tally:
    """Writes this worker's counts to a file every second, and reads the others'.

    A worker that takes the place of one that died goes on from its counts: a counter never falls.
    """

    def __init__(self, folder: Path, slot: int, metrics: Metrics, every_s: float = 1.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._slot, self._metrics, self._every_s = folder, slot, metrics, every_s
        metrics.counts = added([self._read(self._path(slot)), metrics.counts])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairlead-tally", daemon=True)
        self._thread.start()

    def others(self) -> list[Counts]:
        """Give what the other workers have counted, as of a second ago."""
        return [self._read(path) for path in sorted(self._folder.glob("*.json")) if path != self._path(self._slot)]

    def close(self) -> None:
        """Write the last counts."""
        self._ended.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._write()

    def _write(self) -> None:
        path = self._path(self._slot)
        with suppress(OSError, RuntimeError):  # no space, or counted while it was read: the next second does
            temporary = path.with_suffix(".part")
            temporary.write_bytes(self._metrics.counts.to_json())
            os.replace(temporary, path)

    def _path(self, slot: int) -> Path:
        return self._folder / f"{slot}.json"

    @staticmethod
    def _read(path: Path) -> Counts:
        try:
            return Counts.from_json(path.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return Counts()
