"""Download one medium from an http(s) address. Knows httpx and limits; knows nothing of what the bytes are."""

from __future__ import annotations

import ssl
import time
from http import HTTPStatus

import httpx2

from mmcli import __version__
from mmcli.errors import InputError, NetworkError
from mmcli.media.paths import quoted, without_password

MAX_BYTES = 64_000_000
MAX_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 20.0, 60.0


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    read_seconds: float = READ_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> bytes:
    """Download what an address points to, following few redirects, all of them http(s).

    Network trouble is a NetworkError, an address or an answer that makes no sense an InputError. No message shows
    the address's user or password.
    """
    shown = quoted(without_password(url))
    deadline = time.monotonic() + total_seconds
    timeout = httpx2.Timeout(read_seconds, connect=CONNECT_SECONDS)
    # "identity": a picture is compressed already, and its Content-Length is then the size of what arrives
    headers = {"User-Agent": f"mmcli/{__version__}", "Accept-Encoding": "identity"}
    try:
        with httpx2.Client(timeout=timeout, headers=headers) as client:
            request = client.build_request("GET", url)
            for _ in range(MAX_REDIRECTS + 1):
                _check_target(request.url, shown)
                response = client.send(request, stream=True)
                try:
                    if response.next_request is None:
                        return _body(response, shown, max_bytes, deadline)
                    request = response.next_request
                    _check_deadline(0, shown, deadline)
                finally:
                    response.close()
    except httpx2.InvalidURL as error:
        raise InputError(f"{shown} is not a valid address: {error}") from error
    except httpx2.HTTPError as error:
        raise NetworkError(f"{shown} could not be downloaded: {_reason(error)}", hint=_advice(error)) from error
    except ImportError as error:  # a SOCKS proxy is asked for, and its package is missing
        raise NetworkError(f"{shown} could not be downloaded: {error}") from error
    raise NetworkError(f"{shown} redirects more than {MAX_REDIRECTS} times")


def _check_target(url: httpx2.URL, shown: str) -> None:
    if url.scheme and url.scheme not in ("http", "https"):
        raise InputError(f"{shown} redirects to a `{url.scheme}:` address, which mmcli does not follow")
    if not url.host:
        raise InputError(f"{shown} is not a valid address: no host is named")


def _body(response: httpx2.Response, shown: str, max_bytes: int, deadline: float) -> bytes:
    """Read the answer while counting: a Content-Length may be missing, or a lie."""
    _check_status(response, shown)
    _check_deadline(0, shown, deadline)
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_big(shown, max_bytes)
    data = bytearray()
    for block in response.iter_bytes():
        data += block
        if len(data) > max_bytes:
            raise _too_big(shown, max_bytes)
        _check_deadline(len(data), shown, deadline)
    return bytes(data)


def _check_deadline(n_bytes: int, shown: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise NetworkError(f"{shown} is too slow: {n_bytes} bytes before the time was up")


def _check_status(response: httpx2.Response, shown: str) -> None:
    status = response.status_code
    if response.is_success:
        return
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    hint = {
        401: "it wants a login: download it with your browser",
        403: "it may want a login, or a browser: download it and name the file",
        404: "check the address",
        429: "too many downloads: wait a while",
    }.get(status)
    raise NetworkError(f"{shown} answered {status}{phrase}", hint=hint)


def _too_big(shown: str, max_bytes: int) -> InputError:
    return InputError(f"{shown} is larger than {max_bytes / 1e6:g} MB", hint="download it yourself and name the file")


def _reason(error: httpx2.HTTPError) -> str:
    """One plain clause for any network failure. httpx's own words may quote the address, so they are not passed on."""
    causes = list(_causes(error))
    certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return f"its certificate is not valid ({certificate.verify_message or 'verification failed'})"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "no secure connection could be made"
    if any(type(cause).__name__ == "gaierror" for cause in causes):
        return "its host name is not known"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "the connection was refused"
    return {
        "ConnectTimeout": f"no connection within {CONNECT_SECONDS:.0f} seconds",
        "ReadTimeout": "it stopped answering",
        "ConnectError": "no connection could be made",
        "ProxyError": "the proxy refused",
        "RemoteProtocolError": "the connection broke off, or it does not speak HTTP",
        "ReadError": "the connection broke off",
    }.get(type(error).__name__, "the connection failed")


def _advice(error: httpx2.HTTPError) -> str | None:
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return "check the address, the network, and HTTPS_PROXY if you need one"
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
