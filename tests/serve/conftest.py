import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.serve import connect


class Redis:
    """A server on loopback that a test may stop, kill and start again."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        client, end = connect(self.url, budget_s=1.0), time.monotonic() + 30
        while True:
            try:
                client.ping()
                break
            except Exception:
                assert time.monotonic() < end, "redis-server did not start"
                time.sleep(0.02)
        client.close()

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no Redis server here: install Debian's package redis-server, or put redis-server on the PATH")
    server = Redis(program, tmp_path)
    yield server
    server.kill()
