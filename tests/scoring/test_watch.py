import threading
import time

import pytest

from fairlead import Request, Router
from fairlead.errors import UsageError
from fairlead.scoring.snapshot import CURRENT
from fairlead.scoring.watch import Watch


def test_a_published_snapshot_is_taken_without_being_asked_for(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / CURRENT)
    router = Router(tmp_path)

    watch = router.watch(tmp_path, every_s=0.01)
    make_snapshot(version=2).write(tmp_path / CURRENT)
    until = time.monotonic() + 20
    while router.snapshot.manifest.version < 2 and time.monotonic() < until:
        time.sleep(0.01)
    watch.stop()

    assert router.decide(Request()).snapshot_version == 2
    assert not any(thread.name == "fairlead-watch" for thread in threading.enumerate())


def test_a_file_is_looked_at_once_and_a_removed_one_changes_nothing(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / CURRENT)
    asked = []
    watch = Watch(tmp_path, lambda folder: bool(asked.append(folder)), every_s=3600)

    looks = [watch.look()]
    (tmp_path / CURRENT).write_bytes(b"damaged")
    looks += [watch.look(), watch.look()]
    (tmp_path / CURRENT).unlink()
    looks.append(watch.look())
    watch.stop()

    assert (looks, asked) == ([False] * 4, [tmp_path, tmp_path])


@pytest.mark.parametrize("every_s", [0, -1, float("nan")])
def test_a_watch_needs_a_time_between_its_looks(tmp_path, every_s):
    with pytest.raises(UsageError, match="give a number above 0"):
        Watch(tmp_path, lambda folder: True, every_s)
