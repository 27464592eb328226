"""Real processes that share a folder: what one does the others see, and what a dead one held is gone."""

import multiprocessing
import os
import threading
import time

import pytest

from fairlead.errors import UsageError
from fairlead.scoring import Outcome
from fairlead.scoring.live import Live, Settings, Shared
from fairlead.scoring.live.shared import SLOTS

SPAWN = multiprocessing.get_context("spawn")


def _worker(folder, pipe):
    """Do what the test says, one method at a time."""
    live = Live(["a", "b"], Settings(jitter=0), shared=Shared(folder))
    pipe.send("ready")
    while (said := pipe.recv()) is not None:
        name, arguments = said
        if name == "in_flight":
            pipe.send(live.view().in_flight.tolist())
        elif name == "hammer":
            end = time.monotonic() + arguments[0]
            while time.monotonic() < end:
                live.begin("a", "r-1")
                live.begin("b", "r-1")
                live.end(Outcome(endpoint="b", request_id="r-1"))
                live.end(Outcome(endpoint="a", request_id="r-1"))
            pipe.send("done")
        else:
            getattr(live, name)(*arguments)
            pipe.send("done")


class Process:
    def __init__(self, folder):
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_worker, args=(str(folder), theirs), daemon=True)
        self._process.start()

    def ready(self):
        assert self._pipe.recv() == "ready"
        return self

    def tell(self, name, *arguments):
        self._pipe.send((name, arguments))

    def ask(self, name, *arguments):
        self.tell(name, *arguments)
        return self._pipe.recv()

    def kill(self):
        self._process.kill()  # SIGKILL
        self._process.join()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    started = []

    def run(folder, many):
        fresh = [Process(folder) for _ in range(many)]
        started.extend(fresh)
        return [one.ready() for one in fresh]

    yield run
    for one in started:
        one.kill()


def _soon(check, within_s=10.0):
    """Wait until something holds; say how long it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < within_s, "it never held"
        time.sleep(0.002)
    return time.monotonic() - began


def test_workers_see_each_others_calls_and_ejections_and_forget_the_dead(tmp_path, start):
    live = Live(["a", "b"], Settings(jitter=0), shared=Shared(tmp_path))
    first, second = start(tmp_path, 2)
    _soon(lambda: first.ask("in_flight") == [0, 0])

    first.ask("begin", "a", "r-1")
    first.ask("begin", "a", "r-2")
    second.ask("begin", "b", "r-3")
    live.begin("b", "r-4")
    for here in (first, second):
        _soon(lambda here=here: here.ask("in_flight") == [2, 2])
    _soon(lambda: live.view().in_flight.tolist() == [2, 2])

    for _ in range(5):
        second.ask("end", Outcome(endpoint="b", status="error"))
    _soon(lambda: live.view().available.tolist() == [True, False])

    first.kill()
    _soon(lambda: live.view().in_flight.tolist() == [0, 2])
    second.kill()
    _soon(lambda: live.view().in_flight.tolist() == [0, 1])
    assert live.view().available.tolist() == [True, False]  # what a dead worker found is still known

    (third,) = start(tmp_path, 1)
    third.ask("begin", "a", "r-5")
    _soon(lambda: live.view().in_flight.tolist() == [1, 1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker-00", "worker-01", "worker-02"]
    live.close()


def test_a_torn_read_is_never_taken(tmp_path, start):
    (writer,) = start(tmp_path, 1)
    live = Live(["a", "b"], Settings(refresh_s=0), shared=Shared(tmp_path))
    writer.tell("hammer", 1.0)

    seen = set()
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        seen.add(tuple(live.view().in_flight.tolist()))

    assert seen <= {(0, 0), (1, 0), (1, 1)}  # `b` never has a call without `a`
    assert len(seen) > 1
    live.close()


def test_a_call_that_ends_elsewhere_is_taken_out_where_it_began(tmp_path):
    first, second = (Live(["a"], Settings(refresh_s=0), shared=Shared(tmp_path)) for _ in range(2))
    first.begin("a", "r-1")

    second.end(Outcome(endpoint="a", request_id="r-1", duration_s=1.0))

    _soon(lambda: first.view().in_flight.tolist() == [0] and second.view().in_flight.tolist() == [0])
    assert first.view().latency_s[0] == pytest.approx(1.0, rel=0.1)
    first.close()
    second.close()


def test_a_worker_that_leaves_is_forgotten_and_its_slot_used_again(tmp_path):
    first, second = (Live(["a"], Settings(refresh_s=0), shared=Shared(tmp_path)) for _ in range(2))
    second.begin("a")
    _soon(lambda: first.view().in_flight.tolist() == [1])

    second.close()
    second.begin("a")  # goes on alone

    _soon(lambda: first.view().in_flight.tolist() == [0])
    third = Shared(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["worker-00", "worker-01"]
    third.leave()
    first.close()


def test_garbage_in_a_slot_is_not_read(tmp_path):
    first, second = (Live(["a"], Settings(refresh_s=0), shared=Shared(tmp_path)) for _ in range(2))
    second.begin("a")
    _soon(lambda: first.view().in_flight.tolist() == [1])

    with (tmp_path / "worker-01").open("r+b") as slot:
        slot.write(os.urandom(1 << 16))
    assert first.view().in_flight.tolist() == [1]  # what was last read whole

    second.begin("a")
    _soon(lambda: first.view().in_flight.tolist() == [2])
    first.close()
    second.close()


def test_when_all_slots_are_taken_it_says_so(tmp_path):
    taken = [Shared(tmp_path) for _ in range(SLOTS)]

    with pytest.raises(UsageError, match=f"all {SLOTS} slots are taken"):
        Shared(tmp_path)

    for one in taken:
        one.leave()


def test_a_folder_that_is_taken_away_leaves_the_local_view(tmp_path):
    folder = tmp_path / "shared"
    live = Live(["a"], Settings(refresh_s=0), shared=Shared(folder))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()

    live.begin("a")
    time.sleep(0.3)

    assert live.view().in_flight.tolist() == [1]
    live.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_takes_a_slot_of_its_own(tmp_path):
    live = Live(["a"], Settings(refresh_s=0), shared=Shared(tmp_path))
    live.begin("a", "the parent's")
    ours, theirs = os.pipe(), os.pipe()

    child = os.fork()
    if child == 0:
        live.begin("a", "the child's")
        time.sleep(0.3)
        os.write(ours[1], b"%d" % live.view().in_flight[0])
        os.read(theirs[0], 1)
        os._exit(0)
    assert os.read(ours[0], 9) == b"2"
    _soon(lambda: live.view().in_flight.tolist() == [2])
    os.write(theirs[1], b".")
    os.waitpid(child, 0)

    _soon(lambda: live.view().in_flight.tolist() == [1])
    live.close()
    for end in (*ours, *theirs):
        os.close(end)


def test_threads_of_one_worker_write_one_slot(tmp_path):
    first, second = (Live(["a", "b"], Settings(refresh_s=0), shared=Shared(tmp_path)) for _ in range(2))

    def work(number):
        for turn in range(200):
            first.begin(turn % 2, f"{number}-{turn}")
            first.end(Outcome(endpoint="ab"[turn % 2], request_id=f"{number}-{turn}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    _soon(lambda: second.view().turns.tolist() == [400, 400])
    assert second.view().in_flight.tolist() == [0, 0]
    first.close()
    second.close()
