"""Taking new snapshots as they are published, beside the decisions and never in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from fairlead.errors import UsageError
from fairlead.scoring.snapshot import CURRENT

__all__ = ["Watch"]


class Watch:
    """Looks at a published file every so many seconds and calls `reload` when it is another one.

    Only the file's name, size and times are looked at, so an idle look costs one system call. A refused file is not
    tried again until it changes. It is a daemon thread: it ends with the process, or with `stop`.
    """

    def __init__(self, folder: Path | str, reload: Callable[[Path], bool], every_s: float = 2.0) -> None:
        if not every_s > 0:
            raise UsageError(f"a snapshot cannot be looked for every {every_s} s; give a number above 0")
        self.folder, self.every_s = Path(folder), every_s
        self._reload = reload
        self._seen: tuple[int, int, int] | None = None  # so that what was published since the router was built is taken
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairlead-watch", daemon=True)
        self._thread.start()

    def look(self) -> bool:
        """Look once; True when a new snapshot was taken."""
        # Marked before it is read: what replaces it meanwhile is seen at the next look.
        marks = _marks(self.folder / CURRENT)
        if marks is None or marks == self._seen:
            return False
        self._seen = marks
        return self._reload(self.folder)

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self.every_s):
            self.look()


def _marks(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
