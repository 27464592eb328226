"""LiteLLM's proxy end to end on loopback: what the callback adds to a request, and whether every decision comes back.

    python benchmarks/gateway_litellm.py --litellm PYTHON [--requests 600] [--concurrency 6] [--rate 20] [--json]

PYTHON is that of an environment with `litellm[proxy]` and fairlead's base requirements. Starts `fairlead serve` with
fixed shares and a spool, then three proxies, on one config but for its callbacks: without fairlead, with it in process,
with it over HTTP; each request goes to all three in turn, at a fixed rate, so that what else the machine does falls on
all alike. Providers are LiteLLM's mocks; prompts are the simulator's, on three routes. Then LiteLLM's own log (its
StandardLoggingPayload, one JSON line a call) is ingested, and compared with what was decided.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from msgspec import structs

from fairlead import ingest, project, store
from fairlead.evaluation.simulate import words
from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT

ROOT = Path(__file__).parents[1]
SHARES = {"openai/gpt-4o-mini": 0.5, "openai/gpt-4o": 0.3, "anthropic/claude-haiku-4-5": 0.2}
ROUTES = ("maths", "code", "support")
LOG = """
import json, os
from litellm.integrations.custom_logger import CustomLogger

class Log(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        with open(os.environ["LITELLM_JSONL"], "a") as out:
            out.write(json.dumps(kwargs["standard_logging_object"], default=str) + "\\n")

log = Log()
"""
KEY = "sk-bench"
WARM = 100  # LiteLLM stalls for half a second, once, soon after it started: its first full garbage collection


def config(folder: Path, callbacks: list[str]) -> Path:
    """Write the proxy's config.yaml, which JSON is a part of."""
    mocked = {"api_key": "none", "mock_response": "Yes, that is so."}
    models = [
        {"model_name": "chat", "litellm_params": {"model": name, **mocked}, "model_info": {"id": name}}
        for name in SHARES
    ]
    settings = {"callbacks": [*callbacks, "jsonl_log.log"]}
    path = folder / "config.yaml"
    path.write_text(json.dumps({"model_list": models, "litellm_settings": settings}))
    (folder / "jsonl_log.py").write_text(LOG)
    (folder / "fairlead_litellm.py").write_text((ROOT / "gateways/litellm/fairlead_litellm.py").read_text())
    return path


def free() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def started(command: list[str], url: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a program and wait until it answers."""
    with log.open("w") as out:
        environ = os.environ | {"PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "*"} | environment
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=out, cwd=log.parent)
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return process
        except httpx.HTTPError:
            time.sleep(0.2)
    process.kill()
    raise SystemExit(f"{command[0]} did not start:\n{log.read_text()[-3000:]}")


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a program."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def driven(
    urls: dict[str, str], asked: list[dict[str, Any]], rate: float, concurrency: int
) -> dict[str, list[float]]:
    """Send each request to every proxy in turn at a fixed rate, at most so many at once; give seconds by proxy."""
    took: dict[str, list[float]] = {name: [] for name in urls}
    gate, names = asyncio.Semaphore(concurrency), list(urls)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(timeout=60, trust_env=False, headers=headers) as client:

        async def one(name: str, body: dict[str, Any], counts: bool) -> None:
            async with gate:
                start = time.perf_counter()
                answer = await client.post(f"{urls[name]}/v1/chat/completions", json=body)
                if counts:
                    took[name].append(time.perf_counter() - start)
                answer.raise_for_status()

        tasks, began, sent = [], time.perf_counter(), 0
        for number, body in enumerate(asked):
            for place in range(len(names)):  # who is first takes turns
                await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))
                name, sent = names[(number + place) % len(names)], sent + 1
                tasks.append(asyncio.create_task(one(name, body, number >= WARM)))
        await asyncio.gather(*tasks)
    return took


def bodies(count: int) -> list[dict[str, Any]]:
    """Give requests as simulated callers make them."""
    rng = np.random.default_rng(0)
    routes = rng.integers(0, len(ROUTES), count + WARM)
    texts = words.prompts(routes, rng.random(count + WARM), rng)
    return [
        {
            "model": "chat",
            "messages": [{"role": "user", "content": text}],
            "metadata": {"tags": [f"route:{ROUTES[route]}"]},
        }
        for route, text in zip(routes, texts, strict=True)
    ]


def run(python: str, count: int, rate: float, concurrency: int, folder: Path) -> dict[str, Any]:
    """Run the three ways and compare."""
    published, spool = folder / "published", folder / "spool"
    published.mkdir()
    plain = builtin(list(SHARES))
    manifest = structs.replace(plain.manifest, version=1, parameters={"weights": SHARES})
    structs.replace(plain, manifest=manifest).write(published / CURRENT)
    port = free()
    serve = [sys.executable, "-c", "from fairlead.cli import main; main()", "serve", "--snapshot", str(published)]
    serve += ["--port", str(port), "--spool", str(spool)]
    brain = started(serve, f"http://127.0.0.1:{port}/healthz", folder / "serve.log")
    ways = {
        "without": ([], {}),
        "in process": (["fairlead_litellm.callback"], {"FAIRLEAD_SNAPSHOT": str(published)}),
        "server": (["fairlead_litellm.callback"], {"FAIRLEAD_URL": f"http://127.0.0.1:{port}"}),
    }
    found: dict[str, Any] = {"requests": count, "rate": rate, "sent": count + WARM}
    with contextlib.ExitStack() as stack:
        stack.callback(ended, brain)
        urls, logs = {}, []
        for name, (callbacks, settings) in ways.items():
            own = folder / name.replace(" ", "_")
            own.mkdir()
            urls[name], process = proxy(python, config(own, callbacks), settings)
            stack.callback(ended, process)
            logs.append(own / "calls.jsonl")
        for name, took in asyncio.run(driven(urls, bodies(count), rate, concurrency)).items():
            p50, p99 = np.percentile(np.array(took) * 1000, [50, 99])
            found[name] = {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
        until = time.monotonic() + 30  # a log is written behind the answers
        while time.monotonic() < until and not all(written(log, count + WARM) for log in logs):
            time.sleep(0.2)
    lines = (json.loads(line) for path in sorted(spool.glob("*.jsonl")) for line in path.read_bytes().splitlines())
    decided = {
        one["decision_id"]: (one["endpoint"], one["propensity"]) for one in lines if one["fairlead"] == "decision"
    }
    for name in ("in process", "server"):
        logged = ingested(folder / name.replace(" ", "_"))
        true = [row for row in logged if row[0] and abs(SHARES[row[1]] - (row[2] or 0)) < 1e-12]
        found[name]["attempts"] = len(logged)
        found[name]["decisions"] = len({row[0] for row in logged} - {None})
        found[name]["with the share of the endpoint called"] = len(true)
        if name == "server":
            same = [row for row in logged if decided.get(row[0] or "") == row[1:]]
            found[name]["equal to what the server recorded"] = len(same)
    return found


def proxy(python: str, path: Path, settings: dict[str, str]) -> tuple[str, subprocess.Popen[bytes]]:
    """Start LiteLLM's proxy on a config; give its address."""
    port = free()
    run_it = "from litellm.proxy.proxy_cli import run_server; run_server()"
    command = [python, "-c", run_it, "--config", str(path), "--port", str(port), "--host", "127.0.0.1"]
    url, log = f"http://127.0.0.1:{port}", path.parent / "calls.jsonl"
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_JSONL": str(log), "LITELLM_MASTER_KEY": KEY}
    return url, started(command, f"{url}/health/liveliness", path.parent / "proxy.log", **environment, **settings)


def written(log: Path, lines: int) -> bool:
    """Say whether a log has so many lines."""
    return log.exists() and len(log.read_bytes().splitlines()) >= lines


def ingested(folder: Path) -> list[tuple[str | None, str, float | None]]:
    """Load LiteLLM's log with `fairlead ingest`, and give decision id, endpoint and propensity of each attempt."""
    here = project.init(folder / "project")
    ingest.load(here, [folder / "calls.jsonl"])
    with store.open_lake(here.lake).connect() as con:
        return list(con.sql("select decision_id, endpoint, propensity from attempts").fetchall())


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", default=os.environ.get("FAIRLEAD_LITELLM"), help="Python with litellm[proxy]")
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second, of all three together")
    parser.add_argument("--concurrency", type=int, default=6, help="requests at once, at most")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not asked.litellm:
        parser.error("give --litellm PYTHON, or set FAIRLEAD_LITELLM")
    with tempfile.TemporaryDirectory() as folder:
        found = run(asked.litellm, asked.requests, asked.rate, asked.concurrency, Path(folder))
    if asked.json:
        print(json.dumps(found))
        return
    print(f"{asked.requests} requests at {asked.rate:g} a second")
    for name in ("without", "in process", "server"):
        own = found[name]
        more = {key: value for key, value in own.items() if not key.endswith("_ms")}
        added = f"{own['p50_ms'] - found['without']['p50_ms']:+.2f} / {own['p99_ms'] - found['without']['p99_ms']:+.2f}"
        print(f"{name:<11} p50 {own['p50_ms']:7.2f} ms  p99 {own['p99_ms']:7.2f} ms  added {added}  {more or ''}")


if __name__ == "__main__":
    main()
