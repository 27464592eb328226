"""Asks the servers that are configured, as a stranger would: without a password, and under another name."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from fairlead.serve.security.doctor.finding import Finding, fine, refused, warning
from fairlead.serve.security.doctor.processes import is_loopback

__all__ = ["front", "mlflow", "prefect"]

_WAIT_S = 3.0
_JSON = {"Content-Type": "application/json"}


def mlflow(uri: str) -> Iterator[Finding]:
    """Ask a tracking server for its experiments."""
    where = _http(uri)
    if where is None:
        return
    path = f"{where.path.rstrip('/')}/api/2.0/mlflow/experiments/search"
    status = _ask(where, "POST", path, b'{"max_results":1}')
    shown = f"MLflow at {where.hostname}:{where.port or where.scheme}"
    if status is None:
        yield warning("mlflow", f"{shown} does not answer, so it was not looked at", "start it, and ask again")
        return
    good = True
    if status == 200 and not is_loopback(where.hostname or ""):
        good = False
        yield refused(
            "mlflow", f"{shown} answers without a password", "--app-name basic-auth, or a proxy that asks who it is"
        )
    if status == 200 and _ask(where, "POST", path, b'{"max_results":1}', "rebound.invalid") == 200:
        good = False
        yield refused(
            "mlflow",
            f"{shown} answers to any Host header, so any web page that somebody here opens can ask it",
            "--allowed-hosts with the names it has, and without --disable-security-middleware",
        )
    yield from _in_the_clear("mlflow", shown, where)
    if good:
        yield fine(
            "mlflow", f"{shown} {'is for this machine only' if status == 200 else f'refuses strangers ({status})'}"
        )


def prefect(uri: str) -> Iterator[Finding]:
    """Ask a Prefect API how many flows there are."""
    where = _http(uri)
    if where is None:
        return
    status = _ask(where, "POST", f"{where.path.rstrip('/')}/flows/count", b"{}")
    shown = f"Prefect at {where.hostname}:{where.port or where.scheme}"
    if status is None:
        yield warning("prefect", f"{shown} does not answer, so it was not looked at", "start it, and ask again")
    elif status == 200 and not is_loopback(where.hostname or ""):
        yield refused(
            "prefect",
            f"{shown} lets everybody start flows",
            "set PREFECT_SERVER_API_AUTH_STRING there and PREFECT_API_AUTH_STRING here, or a proxy that asks who it is",
        )
    else:
        yield fine(
            "prefect", f"{shown} {'is for this machine only' if status == 200 else f'refuses strangers ({status})'}"
        )
    yield from _in_the_clear("prefect", shown, where)


def front(address: str) -> Iterator[Finding]:
    """Shake hands with a front: TLS 1.3 has to do, TLS 1.2 must not, and answers have to carry HSTS."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        yield refused("front", f"{address}: no address", "give it as HOST:PORT, such as decide.example.org:443")
        return
    new, old = (_shake(host, int(port), version) for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2))
    if new is None and old is None:
        yield warning(
            "front", f"{address} does not answer with TLS, so it was not looked at", "start it, and ask again"
        )
        return
    good = new is not None and old is None
    if new is None:
        yield refused("front", f"{address} does not speak TLS 1.3", "take deploy/front/haproxy.cfg or nginx.conf")
    if old is not None:
        yield refused(
            "front", f"{address} still speaks TLS 1.2", "ssl-min-ver TLSv1.3 (HAProxy), ssl_protocols TLSv1.3 (nginx)"
        )
    if new is False:
        yield warning(
            "front", f"{address} shows a certificate that is not trusted here", "see whose it is, and its end"
        )
    where = urlsplit(f"https://{address}/healthz")
    hsts = _headers(where).get("strict-transport-security")
    if new is not None and hsts is None:
        good = False
        yield refused("front", f"{address} sends no Strict-Transport-Security", "take it from deploy/front/")
    if good:
        yield fine("front", f"{address} speaks TLS 1.3 and nothing older, with HSTS")


def _http(uri: str) -> SplitResult | None:
    where = urlsplit(uri)
    return where if where.scheme in {"http", "https"} and where.hostname else None


def _in_the_clear(check: str, shown: str, where: SplitResult) -> Iterator[Finding]:
    if where.scheme == "http" and not is_loopback(where.hostname or ""):
        yield warning(check, f"{shown} is asked in the clear", "https, through a front")


def _connect(where: SplitResult) -> http.client.HTTPConnection:
    host, port = where.hostname or "", where.port
    if where.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_WAIT_S)
    return http.client.HTTPSConnection(host, port, timeout=_WAIT_S, context=_unchecked())


def _ask(where: SplitResult, method: str, path: str, body: bytes, host: str | None = None) -> int | None:
    connection = _connect(where)
    try:
        connection.request(method, path, body, _JSON if host is None else _JSON | {"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _headers(where: SplitResult) -> dict[str, str]:
    connection = _connect(where)
    try:
        connection.request("GET", where.path)
        return {name.lower(): value for name, value in connection.getresponse().getheaders()}
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def _shake(host: str, port: int, version: ssl.TLSVersion) -> bool | None:
    """Give whether a handshake of that version is trusted; None where there is none at all."""
    for context, trusted in ((ssl.create_default_context(), True), (_unchecked(), False)):
        context.minimum_version = context.maximum_version = version
        try:
            with (
                socket.create_connection((host, port), timeout=_WAIT_S) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                return trusted
        except OSError:
            continue
    return None


def _unchecked() -> ssl.SSLContext:
    """Give a context that takes any certificate: no secret is sent, only what is answered is looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
