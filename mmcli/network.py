"""Opens connections with one deadline for the whole response, and translates every failure into a sentence.

Knows sockets, TLS, proxies and the environment's variables for them; knows neither the Hub nor media.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mmcli.errors import NetworkError

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
LOOK_UP = 0.1  # seconds between two looks whether a transfer is stopped
T = TypeVar("T")


class TooSlow(Exception):
    """The time was up."""


class DownloadStopped(NetworkError):
    """Somebody asked for an end."""


# one deadline


class Connections:
    """The sockets that a transfer opens, so that another thread can end its waiting; httpx calls `trace`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: list[Any] = []
        self._is_cut = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """What httpx says of its steps: `connection.connect_tcp.complete` has the stream that was opened."""
        stream = info.get("return_value")
        if not hasattr(stream, "get_extra_info"):
            return
        with self._lock:
            self._streams.append(stream)
            if self._is_cut:
                self._shut(stream)

    def cut(self) -> None:
        """End what is being read or written, and what will be."""
        with self._lock:
            self._is_cut = True
            for stream in self._streams:
                self._shut(stream)

    def _shut(self, stream: Any) -> None:
        with contextlib.suppress(OSError):  # closed already
            found = stream.get_extra_info("socket")
            if found is not None:
                found.shutdown(socket.SHUT_RDWR)


def within(
    seconds: float, work: Callable[[Connections], T], *, stop: threading.Event | None = None, what: str = "the download"
) -> T:
    """What `work` returns, in at most so many seconds, name look-ups and a trickling head of an answer included.

    It runs in a thread of its own: TooSlow when the time is up, Stopped soon after `stop` is set. A KeyboardInterrupt
    of the waiting thread ends it as well.
    """
    connections, done = Connections(), threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(connections))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="transfer", daemon=True).start()
    deadline = time.monotonic() + seconds
    try:
        while not done.wait(min(LOOK_UP, max(deadline - time.monotonic(), 0.0))):
            if stop is not None and stop.is_set():
                raise DownloadStopped(f"{what} was stopped")
            if time.monotonic() >= deadline:
                raise TooSlow
    finally:
        if not done.is_set():
            connections.cut()
    if errors:
        raise errors[0]
    return results[0]


# what the environment says


def check_variables() -> None:
    """NetworkError where a variable names a proxy or a certificate that cannot be used: no connection is possible."""
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        value = os.environ.get(name, "").strip()
        if value.lower().startswith("socks://"):  # as GNOME writes it
            os.environ[name] = value = f"socks5{value[5:]}"
        if value and not _is_proxy(value):
            raise NetworkError(
                f"{name} is `{_without_password(value)}`, which is not the address of a proxy",
                hint="http://HOST:PORT or socks5://HOST:PORT; or unset it",
            )
    for name, exists in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        path = os.environ.get(name)
        if path and not exists(path):
            kind = "file" if name.endswith("FILE") else "folder"
            raise NetworkError(f"{name} is `{path}`, but there is no such {kind}", hint=f"correct it, or unset {name}")
        if path == "":
            del os.environ[name]
        if path and name == "SSL_CERT_FILE" and not _has_certificates(path):
            raise NetworkError(f"{name} is `{path}`, which holds no certificates", hint=f"correct it, or unset {name}")
    key_log = os.environ.get("SSLKEYLOGFILE")
    if key_log is not None and not os.path.isdir(os.path.dirname(key_log) or "."):
        del os.environ["SSLKEYLOGFILE"]  # a help for debugging, which costs nobody the download


def _has_certificates(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:  # SSLError is one
        return False
    return True


def _is_proxy(value: str) -> bool:
    if "://" not in value:
        value = f"http://{value}"
    try:
        parts = urlsplit(value)
        return parts.scheme.lower() in PROXY_SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _without_password(address: str) -> str:
    return re.sub(r"^([^/@]*//)?[^/@]*@", r"\1", address)


def proxy_for(address: str) -> str | None:
    """The proxy that leads to an address, by the environment, without its password."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(address)
    known = getproxies()
    found = known.get(parts.scheme.lower()) or known.get("all")
    if not found or not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return _without_password(found)


# what went wrong


def reason(error: BaseException, address: str = "") -> str:
    """One clause for any failure of a connection. Libraries' own words may quote passwords, so none is passed on.

    `address` says whether a proxy is between: then it is what cannot be reached.
    """
    found = _causes(error)
    proxy = proxy_for(address) if address else None
    is_connecting = any(type(cause).__name__ in ("ConnectError", "ConnectTimeout") for cause in found)
    is_tls = any(isinstance(cause, ssl.SSLError) for cause in found)
    clause = _clause(error, found)
    return f"the proxy `{proxy}` cannot be reached: {clause}" if proxy and is_connecting and not is_tls else clause


def _clause(error: BaseException, found: list[BaseException]) -> str:
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({cause.verify_message or 'verification failed'})"
    for cause in found:
        if isinstance(cause, ssl.SSLError):
            return "no secure connection could be made"
        if isinstance(cause, socket.gaierror):
            is_passing = cause.errno == getattr(socket, "EAI_AGAIN", None)
            return "its name cannot be looked up at the moment" if is_passing else "its host name is not known"
        if isinstance(cause, ImportError):
            return "a SOCKS proxy needs the package socksio (`pip install socksio`)"
        if isinstance(cause, TooSlow):
            return "it is too slow"
        if isinstance(cause, OSError) and cause.errno in _BY_NUMBER:
            return _BY_NUMBER[cause.errno]
    name = type(error).__name__
    if name == "ProxyError":
        wants_login = re.match(r"\s*407\b", str(error)) or "auth" in str(error).lower()
        return "the proxy requires a login" if wants_login else "the proxy refused, or could not reach it"
    return _BY_NAME.get(name, "the connection failed")


_BY_NUMBER = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection broke off",
    errno.ECONNABORTED: "the connection broke off",
    errno.EPIPE: "the connection broke off",
    errno.ENETUNREACH: "it cannot be reached from this network",
    errno.EHOSTUNREACH: "it cannot be reached from this network",
    errno.ENETDOWN: "the network is down",
    errno.ETIMEDOUT: "it does not answer",
    errno.EACCES: "this machine forbids the connection",
    errno.EPERM: "this machine forbids the connection",
}
_BY_NAME = {  # httpx's
    "ConnectTimeout": "it does not answer",
    "PoolTimeout": "it does not answer",
    "ReadTimeout": "it stopped answering",
    "WriteTimeout": "it stopped listening",
    "ConnectError": "no connection could be made",
    "RemoteProtocolError": "the connection broke off, or it does not speak HTTP",
    "LocalProtocolError": "what would have to be sent is not valid HTTP",
    "ReadError": "the connection broke off",
    "WriteError": "the connection broke off",
    "DecodingError": "its answer is damaged",
    "TooManyRedirects": "it redirects too often",
    "UnsupportedProtocol": "its address is not one of http or https",
    "InvalidURL": "its address is not valid",
}


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
