"""What the guard costs a request: a key that counts, one that does not, limits here and through Redis, the audit log.

    python benchmarks/guard.py --keys 1000 --calls 20000

Each line is the median of five runs and a ratio to the first, which is one SHA-256 of 64 bytes. `--redis URL` adds the
limit through that server. Without a seed: keys are random, and no figure depends on which.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fairlead.serve.security import Folder, keys, signing
from fairlead.serve.security.keyfile import Keys, Limit
from fairlead.serve.security.keytext import new


def median_us(call: Callable[[], object], calls: int) -> float:
    runs = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        runs.append((time.perf_counter() - began) / calls * 1e6)
    return statistics.median(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--redis", help="such as redis://127.0.0.1:6379/0")
    asked = parser.parse_args()
    folder, now = Folder(Path(tempfile.mkdtemp()) / "security"), datetime.datetime.now(datetime.UTC)
    signing.make(folder.signing)
    signing.make(folder.audit_signing)
    content, texts = Keys(written_at=now), []
    wide = Limit(rate_per_s=1e6, burst=1_000_000)
    for number in range(asked.keys):
        limit = wide if number % 2 else None
        content, (_, text) = keys.issue(content, f"key {number}", ("gateway",), now=now, limit=limit)
        texts.append(text)
    keys.edit(folder.keys, signing.signer(folder.signing), now, lambda _: (content, None))
    here, block, log = folder.guard(), b"x" * 64, folder.log()

    def check(text: str, guard: object = here) -> Callable[[], object]:
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {text}".encode())]
        return lambda: guard.check("POST", "/v1/decide", headers, "192.0.2.1")  # type: ignore[attr-defined]

    lines: list[tuple[str, Callable[[], object], int]] = [
        ("one SHA-256", lambda: hashlib.sha256(block).hexdigest(), asked.calls),
        ("open path", lambda: here.check("GET", "/healthz", [], "192.0.2.1"), asked.calls),
        ("key that counts", check(texts[0]), asked.calls),
        ("with a limit here", check(texts[1]), asked.calls),
        ("key that is unknown", check(new("zzzzzzzzzz")), asked.calls),
        ("file of keys read and checked", lambda: here.keyring.__class__(folder.keys, here.keyring._by), 20),
        ("audit entry (fsync)", lambda: log.add("action.admitted", "benchmark"), 200),
    ]
    if asked.redis:
        lines.append(("with a limit in Redis", check(texts[1], folder.guard(redis=asked.redis)), asked.calls // 10))
    base = None
    for name, call, calls in lines:
        took_us = median_us(call, calls)
        base = base or took_us
        print(f"{name:<32} {took_us:>10.2f} us  x{took_us / base:,.1f}")


if __name__ == "__main__":
    main()
