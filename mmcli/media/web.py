"""Download one medium from an http(s) address. Knows httpx and limits; knows nothing of what the bytes are."""

from __future__ import annotations

import threading
from http import HTTPStatus

import httpx2

from mmcli import __version__, network
from mmcli.errors import InputError, NetworkError
from mmcli.media.names import quoted
from mmcli.media.sources import without_password

MAX_BYTES = 64_000_000
MAX_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 20.0, 60.0


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    read_seconds: float = READ_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
    stop: threading.Event | None = None,
) -> bytes:
    """Download what an address points to, following few redirects, all of them http(s).

    Network trouble is a NetworkError, an address or an answer that makes no sense an InputError. No message shows
    the address's user or password. All of the answer has `total_seconds`; setting `stop` ends the download (Stopped).
    """
    shown = quoted(without_password(url))
    network.check_variables()
    data = bytearray()
    try:
        network.within(
            total_seconds,
            lambda connections: _receive(url, shown, data, max_bytes, read_seconds, connections),
            stop=stop,
            what=f"the download of {shown}",
        )
    except network.TooSlow as error:
        raise NetworkError(f"{shown} is too slow: {len(data)} bytes before the time was up") from error
    except httpx2.InvalidURL as error:
        raise InputError(f"{shown} is not a valid address: {error}") from error
    except UnicodeError as error:  # a part of the host's name is empty or too long; half a character in the path
        raise InputError(f"{shown} is not a valid address") from error
    except (httpx2.HTTPError, ImportError, OSError) as error:
        why = network.reason(error, url)
        raise NetworkError(f"{shown} could not be downloaded: {why}", hint=_advice(error)) from error
    return bytes(data)


def _receive(
    url: str, shown: str, data: bytearray, max_bytes: int, read_seconds: float, connections: network.Connections
) -> None:
    """Fill `data` with what the address leads to."""
    timeout = httpx2.Timeout(read_seconds, connect=CONNECT_SECONDS)
    # "identity": a picture is compressed already, and its Content-Length is then the size of what arrives
    headers = {"User-Agent": f"mmcli/{__version__}", "Accept-Encoding": "identity"}
    with httpx2.Client(timeout=timeout, headers=headers) as client:
        request = client.build_request("GET", url)
        for _ in range(MAX_REDIRECTS + 1):
            _check_target(request.url, shown)
            request.extensions["trace"] = connections.trace
            response = client.send(request, stream=True)
            try:
                if response.next_request is None:
                    _body(response, shown, data, max_bytes)
                    return
                request = response.next_request
            finally:
                response.close()
    raise NetworkError(f"{shown} redirects more than {MAX_REDIRECTS} times")


def _check_target(url: httpx2.URL, shown: str) -> None:
    if url.scheme and url.scheme not in ("http", "https"):
        raise InputError(f"{shown} redirects to a `{url.scheme}:` address, which mmcli does not follow")
    if not url.host:
        raise InputError(f"{shown} is not a valid address: no host is named")


def _body(response: httpx2.Response, shown: str, data: bytearray, max_bytes: int) -> None:
    """Read the answer while counting: a Content-Length may be missing, or a lie."""
    _check_status(response, shown)
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > max_bytes):
        raise _too_big(shown, max_bytes)
    for block in response.iter_bytes():
        data += block
        if len(data) > max_bytes:
            raise _too_big(shown, max_bytes)


def _check_status(response: httpx2.Response, shown: str) -> None:
    status = response.status_code
    if response.is_success:
        return
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    hint = {
        401: "it requires a login: download it with your browser",
        403: "it may require a login, or a browser: download it and name the file",
        404: "check the address",
        407: "the proxy requires a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
        429: "too many downloads: wait a while",
    }.get(status)
    raise NetworkError(f"{shown} answered {status}{phrase}", hint=hint)


def _too_big(shown: str, max_bytes: int) -> InputError:
    return InputError(f"{shown} is larger than {max_bytes / 1e6:g} MB", hint="download it yourself and name the file")


def _advice(error: Exception) -> str | None:
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return "check the address, the network, and HTTPS_PROXY if you need one"
    return None
