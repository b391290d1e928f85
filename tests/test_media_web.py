"""Downloads from a real server on this machine: what works, what is refused, and what no message may show."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmcli import __version__, media
from mmcli.errors import InputError, MmcliError, NetworkError
from mmcli.media import web
from tests.pictures import encoded, upright, wav

PNG = encoded(upright(), "PNG")


class Handler(BaseHTTPRequestHandler):
    """Answers by path; `seen` collects the requests."""

    seen: list[tuple[str, dict[str, str]]] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        type(self).seen.append((self.path, dict(self.headers)))
        path = self.path.split("?")[0]
        if path.startswith("/to/"):
            return self.answer(302, b"", {"Location": path.removeprefix("/to/")})
        getattr(self, "at_" + path.strip("/").replace(".", "_").replace("/", "_"), self.at_missing)()

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def at_missing(self) -> None:
        self.answer(404, b"<html>not here</html>", {"Content-Type": "text/html"})

    def at_a_png(self) -> None:
        self.answer(200, PNG, {"Content-Type": "text/html"})  # servers lie: the bytes decide

    def at_a_wav(self) -> None:
        self.answer(200, wav(0.2))

    def at_notes_txt(self) -> None:
        self.answer(200, b"hello")

    def at_page_png(self) -> None:
        self.answer(200, b"<!-- hi -->\n<!DOCTYPE html><html>", {"Content-Type": "image/png"})

    def at_empty_png(self) -> None:
        self.answer(200, b"")

    def at_relative(self) -> None:
        self.answer(301, b"", {"Location": "/a.png"})

    def at_loop(self) -> None:
        self.answer(302, b"", {"Location": "/loop"})

    def at_file(self) -> None:
        self.answer(302, b"", {"Location": "file:///etc/hostname"})

    def at_forbidden(self) -> None:
        self.answer(403, b"")

    def at_odd(self) -> None:
        self.answer(599, b"")

    def at_declared(self) -> None:
        self.answer(200, b"", {"Content-Length": "999999999999"})

    def at_endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(65536))
        except OSError:
            self.close_connection = True

    def at_dripping(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def at_silent(self) -> None:
        time.sleep(3)
        self.close_connection = True

    def at_short(self) -> None:
        self.answer(200, PNG[:50], {"Content-Length": str(len(PNG))})
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server():
    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    Handler.seen.clear()


def load(url: str, **options):
    return media.load(media.find([url])[0], **options)


def refusal(kind: type[MmcliError], url: str, **options) -> MmcliError:
    with pytest.raises(kind) as caught:
        load(url, **options)
    assert type(caught.value) is kind and "\n" not in caught.value.message
    return caught.value


def test_a_picture_a_sound_and_a_text_are_downloaded(server):
    image = load(f"{server}/a.png?size=large")
    assert image.receipt.source == f"{server}/a.png?size=large" and image.receipt.sent_size == (96, 64)
    assert load(f"{server}/a.wav").receipt.kind == "audio"
    assert load(f"{server}/notes.txt").text == "hello"
    path, headers = Handler.seen[0]
    assert path == "/a.png?size=large" and headers["User-Agent"] == f"mmcli/{__version__}"


def test_redirects_are_followed_and_each_is_checked(server):
    assert load(f"{server}/relative").receipt.format == "PNG"
    assert load(f"{server}/to/{server}/a.png").receipt.format == "PNG"
    assert "redirects more than 5 times" in refusal(NetworkError, f"{server}/loop").message
    assert len([path for path, _ in Handler.seen if path == "/loop"]) == 6
    assert "redirects to a `file:` address" in refusal(InputError, f"{server}/file").message


def test_the_status_of_a_failed_answer_is_told(server):
    assert refusal(NetworkError, f"{server}/gone.png").message == f"`{server}/gone.png` answered 404 Not Found"
    assert refusal(NetworkError, f"{server}/forbidden").message.endswith("answered 403 Forbidden")
    assert refusal(NetworkError, f"{server}/odd").message.endswith("answered 599")


def test_a_web_page_is_not_a_picture(server):
    message = refusal(InputError, f"{server}/page.png").message
    assert message == f"`{server}/page.png` is a web page, not a picture"
    assert refusal(InputError, f"{server}/empty.png").message.endswith("is empty: it has 0 bytes")


def test_what_is_too_big_is_refused_with_and_without_a_declared_length(server):
    started = time.monotonic()
    for path in ("declared", "endless"):
        error = refusal(InputError, f"{server}/{path}", max_download_bytes=3_000_000)
        assert error.message == f"`{server}/{path}` is larger than 3 MB"
    assert time.monotonic() - started < 30


def test_a_slow_a_silent_and_a_broken_answer_end_in_time(server):
    for path, words in (("dripping", "is too slow"), ("silent", "stopped answering"), ("short", "broke off")):
        with pytest.raises(NetworkError, match=words):
            web.fetch(f"{server}/{path}", read_seconds=0.5, total_seconds=1.0)


def test_nobody_answers():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refusal(NetworkError, f"http://127.0.0.1:{port}/a.png")
    assert error.message.endswith("could not be downloaded: the connection was refused")
    assert "host name is not known" in refusal(NetworkError, "http://no-such-host.invalid/a.png").message


def test_a_server_that_speaks_no_tls_and_one_that_speaks_no_http(server):
    error = refusal(NetworkError, server.replace("http:", "https:") + "/a.png")
    assert error.message.endswith("no secure connection could be made")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        message = refusal(NetworkError, f"http://127.0.0.1:{listener.getsockname()[1]}/").message
        thread.join()
    assert "does not speak HTTP" in message


@pytest.mark.parametrize("url", ["http://", "http:///a.png", "http://[::1/a", "http://a:port/"])
def test_an_address_that_is_none(url):
    assert "is not a valid address" in refusal(InputError, url).message


def test_no_message_shows_the_password(server):
    secret = server.replace("http://", "http://me:s3cret@")
    image = load(f"{secret}/a.png")
    assert "s3cret" not in str(image.receipt)
    assert Handler.seen[0][1]["Authorization"].startswith("Basic ")
    for path in ("gone.png", "loop", "file", "page.png"):
        error = refusal(InputError if path in ("file", "page.png") else NetworkError, f"{secret}/{path}")
        assert "s3cret" not in f"{error.message} {error.hint}"
    with pytest.raises(MmcliError) as caught:
        load("http://me:s3cret@no-such-host.invalid/a.png")
    assert "s3cret" not in str(caught.value)


def test_a_password_is_not_sent_on_to_another_host(server):
    other = server.replace("127.0.0.1", "localhost")
    load(f"{server.replace('http://', 'http://me:s3cret@')}/to/{other}/a.png")
    assert "Authorization" in Handler.seen[0][1] and "Authorization" not in Handler.seen[1][1]


def test_a_proxy_named_in_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(NetworkError, match="answered 404"):
        load("http://example.invalid/through-the-proxy")
    assert Handler.seen[0][0] == "http://example.invalid/through-the-proxy"
