"""Files that a reader sees as they were or as they are now, never in part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write"]


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a file in place whole: written beside, on the disk, then renamed over the old one; its folder exists.

    >>> folder = Path(tempfile.mkdtemp())
    >>> write(folder / "a", b"new")
    >>> [one.name for one in folder.iterdir()], (folder / "a").read_bytes()
    (['a'], b'new')
    """
    # Until it is whole it is for its owner only.
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
