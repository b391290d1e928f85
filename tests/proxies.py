"""Proxies of the tests' own on 127.0.0.1: an HTTP one that wants a login or refuses, and a SOCKS5 one that works."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Http(BaseHTTPRequestHandler):
    """Answers every request, and every CONNECT, with one status."""

    status = 407

    def _refuse(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_CONNECT = _refuse

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def http_proxy(status: int) -> Iterator[str]:
    """The address of one that answers everything with `status`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Http,), {"status": status}))
    server.daemon_threads = True
    with _running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


class _Socks(socketserver.BaseRequestHandler):
    """SOCKS5 (RFC 1928) without a login: one CONNECT, then bytes both ways."""

    def handle(self) -> None:
        client: socket.socket = self.request
        _, n_methods = client.recv(2)
        client.recv(n_methods)
        client.sendall(b"\x05\x00")
        kind = client.recv(4)[3]
        if kind == 3:
            host = client.recv(client.recv(1)[0]).decode()
        else:
            host = socket.inet_ntop(
                socket.AF_INET if kind == 1 else socket.AF_INET6, client.recv(4 if kind == 1 else 16)
            )
        (port,) = struct.unpack("!H", client.recv(2))
        self.server.asked.append(host)  # type: ignore[attr-defined]
        try:
            target = socket.create_connection(("127.0.0.1" if host.endswith(".invalid") else host, port), timeout=5)
        except OSError:
            client.sendall(b"\x05\x05\x00\x01" + bytes(6))  # connection refused
            return
        client.sendall(b"\x05\x00\x00\x01" + bytes(6))
        with target:
            other = threading.Thread(target=_pass_on, args=(client, target), daemon=True)
            other.start()
            _pass_on(target, client)
            other.join(5)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def socks_proxy() -> Iterator[tuple[str, list[str]]]:
    """The address of one that takes every `.invalid` name for 127.0.0.1, and the names that it was asked for."""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        asked: list[str] = []

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), _Socks)
    server.asked = []
    with _running(server):
        yield f"socks5://127.0.0.1:{server.server_address[1]}", server.asked


@contextlib.contextmanager
def trickling(head: bytes = b"HTTP/1.1 200 OK\r\nX: ") -> Iterator[str]:
    """The address of a server whose answer's head never ends: a letter of it every 50 ms."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with contextlib.suppress(OSError):
                self.request.sendall(head)
                while not stop.wait(0.05):
                    self.request.sendall(b"a")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    stop = threading.Event()
    server = Server(("127.0.0.1", 0), Handler)
    with _running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"
        stop.set()


@contextlib.contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
