import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from fairlead.scoring import Outcome, Request
from fairlead.serve import Client

pytestmark = pytest.mark.server


def _soon(check, within_s=30.0):
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.05)


def _decided(url):
    text = httpx.get(f"{url}/metrics", trust_env=False, timeout=10).text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("fairlead_decisions_total")
    )


def _asked(url, number):
    """Ask over a connection of its own, so that the kernel chooses a worker."""
    with Client(url, timeout_s=10) as client:
        return client.decide(Request(id=f"r-{number}"))


def test_workers_share_a_port_their_counts_and_their_live_state_and_one_that_dies_is_replaced(process, published):
    server = process("--snapshot", published, "--workers", 2)
    before = server.workers()
    first = {number: _asked(server.address, number) for number in range(40)}
    _soon(lambda: _decided(server.address) == 40)
    with Client(server.address, timeout_s=10) as client:
        assert sum(one.in_flight for one in client.endpoints().endpoints) == 40

    os.kill(before[0], signal.SIGKILL)
    _soon(lambda: len(server.workers()) == 2 and before[0] not in server.workers())
    _soon(lambda: len({_worker(server.address) for _ in range(10)}) == 2)
    again = {number: _asked(server.address, number) for number in range(40)}

    assert len(before) == 2
    assert {number: one.id for number, one in again.items()} == {number: one.id for number, one in first.items()}
    # What the one that died had counted since it last told went with it: on a busy machine up to all of its own.
    _soon(lambda: _decided(server.address) >= 40)
    assert server.end() == (0, "")


def test_a_budget_is_counted_in_what_is_spent(process, published):
    server = process("--snapshot", published, "--budget", 500)

    with Client(server.address, timeout_s=10) as client:
        decision = client.decide(Request(id="r-1"))
        client.observe(Outcome(endpoint=decision.endpoint, request_id="r-1", cost_usd=0.25, duration_s=1.0))
    metrics = httpx.get(f"{server.address}/metrics", trust_env=False, timeout=10).text

    assert "fairlead_budget_spent_usd 0.25\n" in metrics
    assert "fairlead_budget_pace 1\n" in metrics
    assert server.end() == (0, "")


def test_workers_end_with_the_process_that_started_them(process, published):
    server = process("--snapshot", published, "--workers", 2)
    workers = server.workers()

    server.process.kill()

    assert len(workers) == 2
    _soon(lambda: not any(Path(f"/proc/{pid}/stat").exists() for pid in workers))


def _worker(url):
    """Tell workers apart by the port of the other side: each has its own queue, which is all that can be seen."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as one:
        one.settimeout(10)
        one.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
        return _owner(one.getsockname()[1])


def _owner(port):
    """Find which process holds the server's end of a connection from this port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inode = next(line.split()[9] for line in lines if line.split()[2].endswith(f":{port:04X}"))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]" for fd in os.listdir(f"/proc/{pid}/fd")):
                return pid
        except OSError:
            continue
    return None


def test_what_is_under_way_is_answered_before_a_server_ends(process, published):
    server = process("--snapshot", published, "--drain", 8)
    port = int(server.address.rpartition(":")[2])
    head = b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n"
    with (
        httpx.Client(base_url=server.address, trust_env=False, timeout=10) as other,
        socket.create_connection(("127.0.0.1", port), timeout=20) as one,
    ):
        assert other.get("/readyz").status_code == 200
        one.sendall(head)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        _soon(lambda: other.get("/readyz").status_code == 503, 5)
        _soon(lambda: _refuses(port), 5)
        one.sendall(b'{"id": "r-1"}')
        got = one.recv(4096)

    assert got.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in got
    assert b'"request_id":"r-1"' in got
    assert server.process.wait(20) == 0


def _refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_unix_socket_serves_several_workers_and_is_gone_afterwards(process, published, tmp_path):
    path = tmp_path / "fairlead.sock"
    path_of_a_dead_server = socket.socket(socket.AF_UNIX)
    path_of_a_dead_server.bind(str(path))
    path_of_a_dead_server.close()

    server = process("--snapshot", published, "--workers", 2, "--uds", path)

    assert server.address == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o660
    for _ in range(5):
        with Client(uds=str(path), timeout_s=10) as client:
            assert client.decide(Request(id="r-1")).kind == "policy"
    second = process("--snapshot", published, "--uds", path)
    assert second.process.wait(30) == 2
    assert "somebody serves there already" in second.process.stderr.read()
    assert server.end()[0] == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--host", "0.0.0.0"], "give --keys FOLDER"),
        (["--keys", "/nowhere"], "no keys yet; make one with `fairlead keys new"),
        (["--workers", "0"], "give 1 to 64"),
        (["--port", "70000"], "cannot be bound"),
        (["--snapshot", "/nowhere"], "cannot be read"),
        (["--upstreams", "/nowhere.toml"], "nowhere.toml"),
        (["--policy", "made_up"], "no policy named"),
        (["--max-wait-ms", "0"], "wait_s is 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_an_exit_code(process, published, arguments, why):
    given = arguments if "--snapshot" in arguments else ["--snapshot", published, *arguments]
    server = process(*given)

    code, said = server.process.wait(60), server.process.stderr.read()

    assert code == (1 if arguments[0] in {"--snapshot", "--keys"} else 2)
    assert why in said
    assert said.count("\n") == 1


def test_without_a_snapshot_the_default_decides_until_one_is_published(process, make_snapshot, tmp_path):
    server = process("--snapshot", tmp_path, "--default", "acme/large", "--default", "acme/small")
    with Client(server.address, timeout_s=10) as client:
        assert client.decide(Request()).endpoint == "acme/large"

        make_snapshot(version=3, weights={"acme/small": 1.0}).write(tmp_path / "snapshot.safetensors")

        _soon(lambda: client.snapshot().version == 3)
        assert client.decide(Request()).endpoint == "acme/small"
    assert server.end()[0] == 0


def test_snapshots_that_come_and_go_lose_and_mix_no_decision(serving, published, make_snapshot):
    names = ("acme/small", "acme/large", "other/large")
    make_snapshot(version=1, weights={names[1]: 1.0}).write(published / "snapshot.safetensors")
    from fairlead.scoring import Router

    router = Router(published)
    watch = router.watch(published, every_s=0.02)
    server, stop, wrong, versions = serving(router), threading.Event(), [], set()

    def ask():
        with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client:
            while not stop.is_set():
                told = client.post("/v1/decide", json={}).json()
                version = int(told["policy_version"].partition("+")[0])
                versions.add(version)
                if told["endpoint"] != names[version % 3] or told["kind"] != "policy":
                    wrong.append(told)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    _soon(lambda: versions == {1})
    path = published / "snapshot.safetensors"
    for version in range(2, 22):
        good = make_snapshot(version=version, weights={names[version % 3]: 1.0}).to_bytes()
        path.write_bytes(good)  # not by rename: a part of it may be read
        _soon(lambda version=version: router.status().version == version)
        path.write_bytes(good[: len(good) // 2] if version % 2 else good[:-9] + b"\0" + good[-8:])
        _soon(lambda: router.status().refused is not None)
    stop.set()
    for one in threads:
        one.join()
    watch.stop()

    assert wrong == []
    assert {1, 2, 21} <= versions
    assert server.http.get("/v1/snapshot").json()["version"] == 21


def test_a_redis_that_hangs_or_dies_holds_no_decision_up(process, published, redis):
    server = process("--snapshot", published, "--redis", redis.url)
    with Client(server.address, timeout_s=10) as client:

        def slowest(count=300):
            took = []
            for number in range(count):
                began = time.perf_counter()
                assert client.decide(Request(id=f"r-{number}")).kind == "policy"
                took.append(time.perf_counter() - began)
            return sorted(took)[-3]  # a busy machine holds up one or two by itself

        slowest()
        redis.hang()
        hung = slowest()
        redis.go_on()
        redis.kill()
        dead = slowest()

    assert max(hung, dead) < 1.0  # redis-py by itself waits for a minute
    assert server.end()[0] == 0
