"""A load generator over raw sockets: connections that ask as fast as they are answered, or arrivals at random."""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import time
from collections import deque

import numpy as np

HEAD = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Connection:
    """One connection, with at most one request under way."""

    def __init__(self, address: str) -> None:
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.file = self.socket.fileno()
        self.got, self.need, self.sent_at = b"", 0, 0.0

    def send(self, request: bytes, at: float) -> None:
        self.sent_at = at
        sent = self.socket.send(request)
        while sent < len(request):  # a socket's buffer holds any request of ours, but for a moment's congestion
            try:
                sent += self.socket.send(request[sent:])
            except BlockingIOError:
                time.sleep(0.0001)

    def read(self) -> int:
        """Give the status of an answer that is whole, 0 before that, -1 where the connection was closed."""
        try:
            part = self.socket.recv(1 << 18)
        except BlockingIOError:
            return 0
        except OSError:
            return -1
        if not part:
            return -1
        self.got = got = self.got + part if self.got else part
        if not self.need:
            end = got.find(b"\r\n\r\n")
            if end < 0:
                return 0
            at = got.find(b"content-length: ") + 16
            self.need = end + 4 + int(got[at : got.find(b"\r", at)])
        if len(got) < self.need:
            return 0
        status = int(got[9:12])
        self.got, self.need = b"", 0
        return status


def load(
    address: str, bodies: list[bytes], path: str, connections: int, seconds: float, rate: float
) -> dict[str, object]:
    """Ask for so many seconds; `rate` 0 asks again at once, else arrivals are Poisson, timed from when they are due."""
    requests = [HEAD % (path.encode(), len(body), body) for body in bodies]
    pool = [Connection(address) for _ in range(connections)]
    poll = select.epoll()
    by_file = {one.file: one for one in pool}
    for one in pool:
        poll.register(one.file, select.EPOLLIN)
    rng = np.random.default_rng(0)
    clock = time.perf_counter
    took, statuses, number = list[float](), dict[int, int](), 0
    begin = clock()
    idle: deque[Connection] = deque(pool)
    due: deque[float] = deque()
    arrivals = (
        iter((begin + np.cumsum(rng.exponential(1 / rate, int(rate * seconds * 1.2) + 10))).tolist())
        if rate
        else iter(())
    )
    upcoming = next(arrivals, float("inf"))
    end, last = begin + seconds, begin + seconds + 5
    while True:
        now = clock()
        if rate:
            while upcoming <= now and upcoming < end:
                due.append(upcoming)
                upcoming = next(arrivals, float("inf"))
            while due and idle:
                idle.popleft().send(requests[number % len(requests)], due.popleft())
                number += 1
        elif now < end:
            while idle:
                idle.popleft().send(requests[number % len(requests)], clock())
                number += 1
        if (now >= end and len(idle) == len(by_file) and not due) or now >= last:
            break
        for file, _ in poll.poll(0 if rate else 0.1):
            one = by_file[file]
            status = one.read()
            if status:
                statuses[status] = statuses.get(status, 0) + 1
                took.append(clock() - one.sent_at)
                if status < 0:
                    poll.unregister(file)
                    del by_file[file]
                else:
                    idle.append(one)
    span = max(clock() - begin, seconds) if rate else seconds
    times = np.sort(np.array(took or [0.0])) * 1000
    at = {f"p{share}": float(times[min(len(times) - 1, int(len(times) * share / 100))]) for share in (50, 90, 99, 99.9)}
    return {
        "answers": len(took),
        "unanswered": number - len(took) + len(due),
        "per_s": len(took) / span,
        "statuses": statuses,
        "ms": {**at, "max": float(times[-1])},
    }


def main() -> None:
    """Take bodies as JSON on standard input, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="HOST:PORT, or the path of a unix socket")
    parser.add_argument("--path", default="/v1/decide")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--core", type=int)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    bodies = [json.dumps(one).encode() for one in json.load(sys.stdin)]
    print(json.dumps(load(given.address, bodies, given.path, given.connections, given.seconds, given.rate)))


if __name__ == "__main__":
    main()
