"""MLflow, Prefect and `fairlead serve` as they run here, or would in this environment: who can reach and ask them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from fairlead.serve.security.doctor.finding import Finding, fine, refused, warning
from fairlead.serve.security.doctor.processes import Process, is_loopback

__all__ = ["look", "mlflow", "prefect", "serve"]

_TRUE = {"1", "true", "yes", "on"}


def look(processes: Iterable[Process], environment: dict[str, str]) -> Iterator[Finding]:
    """Look at every server that runs, and at what this environment would start one with."""
    for process in processes:
        names = [PurePath(word).name for word in process.words[:4]]
        if _runs(names, "mlflow", {"server", "ui"}):
            yield from mlflow(process, f"MLflow (pid {process.pid})")
        elif _runs(names, "prefect", {"server"}) and "start" in process.words:
            yield from prefect(process, f"Prefect (pid {process.pid})")
        elif _runs(names, "fairlead", {"serve"}):
            yield from serve(process, f"fairlead serve (pid {process.pid})")
    here = Process(pid=0, words=(), environment=environment)
    if any(name in environment for name in ("MLFLOW_HOST", "MLFLOW_SERVER_ALLOWED_HOSTS")):
        yield from mlflow(here, "an MLflow server started in this environment")
    if "PREFECT_SERVER_API_HOST" in environment:
        yield from prefect(here, "a Prefect server started in this environment")


def mlflow(process: Process, who: str) -> Iterator[Finding]:
    """Look at an MLflow tracking server: where it listens, whom it answers, what it would unpickle."""
    check = "mlflow"
    host = process.value(["--host", "-h"], ["MLFLOW_HOST"]) or "127.0.0.1"
    allowed = process.value(["--allowed-hosts"], ["MLFLOW_SERVER_ALLOWED_HOSTS"])
    guarded = process.value(["--app-name"]) == "basic-auth"
    off = "--disable-security-middleware" in process.words or _on(process, "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE")
    found: list[Finding] = []
    if not is_loopback(host) and not guarded:
        found.append(
            refused(
                check,
                f"{who} listens on {host} and asks nobody for a password",
                "--host 127.0.0.1 behind your identity provider's proxy, or --app-name basic-auth (mlflow[auth])",
            )
        )
    if off or (allowed is not None and "*" in [one.strip() for one in allowed.split(",")]):
        found.append(
            refused(
                check,
                f"{who} answers to any Host header, so any web page that somebody here opens can ask it",
                "--allowed-hosts with the names it has, and without --disable-security-middleware",
            )
        )
    elif not is_loopback(host) and allowed is None:
        found.append(
            warning(check, f"{who} listens on {host} without --allowed-hosts", "name the hosts it is called by there")
        )
    if process.environment is not None and not _off(process, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        found.append(
            warning(
                check, f"{who} loads pickled models", "set MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false: fairlead has none"
            )
        )
    yield from found or [fine(check, f"{who} listens on {host}")]


def prefect(process: Process, who: str) -> Iterator[Finding]:
    """Look at a Prefect server: its API starts flows, which is to run code."""
    host = process.value(["--host"], ["PREFECT_SERVER_API_HOST"]) or "127.0.0.1"
    guarded = bool(process.value([], ["PREFECT_SERVER_API_AUTH_STRING"]))
    if process.environment is None and not is_loopback(host):
        yield warning(
            "prefect",
            f"{who} listens on {host}; it is somebody else's, so whether it asks for a password cannot be seen",
            "run the doctor as its user",
        )
    elif not is_loopback(host) and not guarded:
        yield refused(
            "prefect",
            f"{who} listens on {host} and lets everybody start flows",
            "--host 127.0.0.1, or set PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING",
        )
    else:
        yield fine("prefect", f"{who} listens on {host}{' and asks for a password' if guarded else ''}")


def serve(process: Process, who: str) -> Iterator[Finding]:
    """Look at our own server: beyond this machine it needs keys, and a front that speaks TLS."""
    host = process.value(["--host"]) or "127.0.0.1"
    keyed = process.value(["--keys"]) is not None
    if process.value(["--uds"]) is not None or is_loopback(host):
        yield fine("serve", f"{who} can be reached from this machine only")
    elif not keyed:
        yield refused(
            "serve", f"{who} listens on {host} and asks for no keys", "listen on 127.0.0.1 or --uds, or give it keys"
        )
    else:
        yield warning(
            "serve", f"{who} listens on {host}: keys travel in the clear", "--uds, behind a front of deploy/front/"
        )


def _runs(names: list[str], program: str, words: set[str]) -> bool:
    at = next((number for number, name in enumerate(names) if name == program), None)
    return at is not None and at + 1 < len(names) and names[at + 1] in words


def _on(process: Process, variable: str) -> bool:
    return (process.environment or {}).get(variable, "").lower() in _TRUE


def _off(process: Process, variable: str) -> bool:
    return (process.environment or {}).get(variable, "").lower() in {"0", "false", "no", "off"}
