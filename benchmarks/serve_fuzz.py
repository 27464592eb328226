"""Malformed requests against a real server: no crash, and no answer of 5xx but the 503 that sheds load.

    python benchmarks/serve_fuzz.py [--requests 100000] [--seed 0] [--keyed]

Four of five are bodies that are whole HTTP and spoilt JSON (bytes changed, cut, doubled; values swapped for others of a
wrong type, size or depth) for each path that takes one; every fifth is HTTP that is spoilt itself, on a connection of
its own. Between them valid requests are asked, and have to be answered as ever. With `--keyed` the server has keys, and
its control routes are asked too. Ends with 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT
from fairlead.serve.routes import ROLES
from fairlead.serve.security import Folder, keys, signing

VALID: dict[str, Any] = {
    "/v1/decide": {
        "id": "r-1",
        "text": "Hello",
        "route": "a",
        "tags": {"a": 1},
        "tools": 2,
        "embedding": [0.5],
        "needs": ["x"],
        "endpoints": ["a"],
        "want": ["ranked", "metadata", "reasons"],
    },
    "/v1/decide/batch": {"requests": [{"id": "r-1", "text": "Hello"}, {"route": "b"}]},
    "/v1/observe": {
        "endpoint": "a",
        "request_id": "r-1",
        "duration_s": 1.5,
        "status": "error",
        "error_class": "server",
    },
    "/v1/feedback": {"target_id": "r-1", "score": 0.5, "scale_min": 0, "scale_max": 1, "tags": {"a": "b"}},
    "/routing/v1/chat/completions": {
        "model": "auto",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [{}],
    },
    "/v1/chat/completions": {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "stream": True},
}
CONTROL: dict[str, Any] = {
    "/v1/admin/step-up": {"action": "promote", "code": "000000"},
    "/v1/admin/promote": {"sha256": "0" * 16},
    "/v1/admin/rollback": {"reason": "x"},
}
ODD: tuple[Any, ...] = (
    *(None, True, "", "x" * 3000, 0, -1, 1e308, -0.0, 2**63, 10**40, [], {}, [[]], {"": None}, ["a"] * 300),
    *(
        "\ud800",
        "\0",
        "é́\u202e",
        "'; DROP TABLE x; --",
        "../../etc/passwd",
        "${jndi:ldap://x}",
        "NaN",
        [None],
        {"a": {"a": {}}},
    ),
)


def body(rng: random.Random, valid: Any) -> bytes:
    """Give a spoilt body."""
    how = rng.randrange(8)
    if how == 0:
        return b"[" * rng.randrange(1, 20_000)
    if how == 1:
        return b'{"a":' * rng.randrange(1, 5_000) + b"1"
    if how <= 4:
        return json.dumps(swapped(rng, valid)).encode()
    data = bytearray(json.dumps(valid).encode())
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randrange(20)]
        else:
            data[at:at] = rng.randbytes(rng.randrange(4))
    return bytes(data)


def swapped(rng: random.Random, value: Any) -> Any:
    """Put something odd in the place of one part of a value, or beside it."""
    if rng.random() < 0.3 or not value or not isinstance(value, (dict, list)):
        return rng.choice(ODD)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [*value[:at], swapped(rng, value[at]), *value[at + 1 :]]
    name = rng.choice(sorted(value))
    if rng.random() < 0.2:
        return {**value, str(rng.choice(ODD))[:500]: rng.choice(ODD)}
    return {**value, name: swapped(rng, value[name])}


def spoilt(rng: random.Random, path: str, valid: Any) -> bytes:
    """Give HTTP that is spoilt."""
    sent = json.dumps(valid).encode()
    heads = [
        b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n",
        b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\ncontent-length: %d\r\n\r\n",
        b"GET %b HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nx: %d\r\n\r\n",
        b"POST %b HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n",
        b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer fl_abcdefghij_0\r\nauthorization: \xff\r\n"
        b"x-fairlead-step-up: fs1.a.b.9.c.d\r\nx-forwarded-for: ,,\xe9\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n%b %d",
    ]
    data = bytearray(rng.choice(heads) % (path.encode(), rng.choice((len(sent), 0, 1, len(sent) + 5, 10**9))) + sent)
    for _ in range(rng.randrange(6)):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(3)] = rng.choice(
            (b"", b"\0", b"\r\n", b"\xff", b":", b" ", b"%", b"\r\n\r\n", b"9" * 30)
        )
    return bytes(data)


class Caller:
    """One connection that stays, opened again when the server closes it."""

    def __init__(self, port: int, key: str = "") -> None:
        self._more = f"authorization: Bearer {key}\r\n".encode() if key else b""
        self.port, self.socket = port, socket.create_connection(("127.0.0.1", port), timeout=20)

    def ask(self, path: str, data: bytes) -> tuple[int, bytes]:
        """Send a body; give the status and the answer, (0, b"") where the connection ended."""
        head = b"POST %b HTTP/1.1\r\nhost: x\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        got = b""
        try:
            self.socket.sendall(head % (path.encode(), self._more, len(data)) + data)
            while b"\r\n\r\n" not in got or len(got) < _length(got):
                part = self.socket.recv(1 << 16)
                if not part:
                    break
                got += part
        except OSError:
            got = b""
        if not got or b"connection: close" in got:
            self.socket.close()
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return (int(got[9:12]), got.partition(b"\r\n\r\n")[2]) if got else (0, b"")


def _length(got: bytes) -> int:
    head = got.index(b"\r\n\r\n")
    at = got.find(b"content-length: ") + 16
    return head + 4 + int(got[at : got.index(b"\r", at)])


def once(port: int, data: bytes) -> int:
    """Send bytes on a connection of their own; give the first status that comes back, 0 for none."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        try:
            one.sendall(data)
            one.settimeout(0.05)
            got = one.recv(4096)
        except OSError:
            return 0
    return int(got[9:12]) if got[:5] == b"HTTP/" and got[9:12].isdigit() else 0


def keyed(folder: Path) -> str:
    """Make a key that may do everything; give its text."""
    where, now = Folder(folder), datetime.datetime.now(datetime.UTC)
    signing.make(where.signing)
    signing.make(where.audit_signing)
    by = signing.signer(where.signing)
    made = keys.edit(where.keys, by, now, lambda kept: keys.issue(kept, "fuzz", ROLES, now=now))
    return made[1]


def main() -> None:
    """Ask, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keyed", action="store_true")
    given = parser.parse_args()
    rng, found, wrong = random.Random(given.seed), Counter[tuple[str, int]](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        builtin(["a", "b"]).write(Path(folder) / CURRENT)
        code = "from fairlead.cli import main; main()"
        command = [
            sys.executable,
            "-c",
            code,
            "serve",
            "--snapshot",
            folder,
            "--port",
            "0",
            "--spool",
            f"{folder}/spool",
        ]
        key = ""
        if given.keyed:
            key = keyed(Path(folder) / "security")
            command += ["--keys", f"{folder}/security"]
            VALID.update(CONTROL)
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        caller, paths = Caller(port, key), sorted(VALID)
        for number in range(given.requests):
            path = rng.choice(paths)
            if number % 5 == 4:
                status, told = once(port, spoilt(rng, path, VALID[path])), b""
                found["HTTP", status] += 1
            else:
                data = body(rng, VALID[path])
                status, told = caller.ask(path, data)
                found["body", status] += 1
                if status == 0:
                    wrong.append(f"no answer: {path} {data[:200]!r}")
            if status >= 500 and status != 503:
                wrong.append(f"{status} {path} {told[:200]!r}")
            if number % 500 == 0 and caller.ask("/v1/decide", json.dumps(VALID["/v1/decide"]).encode())[0] != 200:
                wrong.append("a valid request was not answered")
            if number % 20_000 == 0:
                print(f"{number:,}", flush=True)
        alive = server.poll() is None
        server.terminate()
        said = server.communicate(timeout=60)[1]
    for (kind, status), count in sorted(found.items()):
        print(f"{kind:5} {status or 'closed':>7} {count:9,}")
    print(f"server alive to the end: {alive}, exit code {server.returncode}, said {len(said)} characters")
    print(f"wrong: {len(wrong)}", *wrong[:10], sep="\n")
    sys.exit(bool(wrong or not alive or server.returncode or said))


if __name__ == "__main__":
    main()
