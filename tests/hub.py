"""A Hugging Face Hub of the tests' own on 127.0.0.1: small, real HTTP, and able to misbehave on demand.

Answers what huggingface_hub asks of the Hub for models: `resolve` with ranges, in place or by a redirect to another
origin, and the model API. Every request is in `log`, with the bytes that were sent for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_goodtokengoodtokengoodtoken"


@dataclass
class Request:
    """One request as it came, and how many bytes of a file went out for it."""

    method: str
    path: str
    range: str | None
    token: str | None
    sent: int = 0

    @property
    def is_look(self) -> bool:
        return bool(re.fullmatch(r"bytes=\d+-\d+", self.range or ""))


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    licence: str | None = "apache-2.0"
    claims: dict[str, int] = field(default_factory=dict)  # sizes that are told, and are not so (with redirects)
    in_git: frozenset[str] = frozenset()  # small files, known by Git's hash instead of their SHA-256


@dataclass
class Faults:
    """How to misbehave; lists are used up, one item a file request (GET). Looks at a header count as none."""

    cut_after: list[int] = field(default_factory=list)  # bytes, then the connection is gone
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # statuses instead of the file
    described: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # the same for what is asked about files
    stall_after: int | None = None  # bytes, then silence
    too_much: bytes = b""  # behind the end of a file
    flip_a_byte: bool = False
    no_ranges: bool = False
    bytes_per_second: int | None = None


class Hub:
    """`with Hub() as hub:` serves `hub.repos` at `hub.address` until the end of the block."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults = Faults()
        self.redirects = False  # to a second origin, as the real Hub's large files
        self.log: list[Request] = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server, self._cdn = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2))

    def __enter__(self) -> Hub:
        for server in (self._server, self._cdn):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in (self._server, self._cdn):
            server.shutdown()
            server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def sent(self) -> int:
        """Bytes of files that went out so far, but for those of looks at a header."""
        return sum(request.sent for request in self.log if not request.is_look)

    @property
    def looks(self) -> list[Request]:
        """The answered requests for a part of a file with a beginning and an end: somebody reads its header."""
        return [request for request in self.log if request.is_look and request.sent]

    def add(self, repo: str, *files: Path, **how: Any) -> Repo:
        self.repos[repo] = Repo({path.name: path.read_bytes() for path in files}, **how)
        return self.repos[repo]

    def environment(self, home: Path) -> dict[str, str]:
        return {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self._cdn.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self._request = Request(self.command, path, self.headers.get("Range"), token)
        self.hub.log.append(self._request)
        if self.hub.faults.described and (self.command == "HEAD" or path.startswith("/api/")):
            status, headers = self.hub.faults.described.pop(0)
            self._answer(status, headers, b"")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self._describe(found[1], found[2] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3])
        elif found := re.fullmatch(r"/blob/([0-9a-f]{64})", path):
            bodies = [data for repo in self.hub.repos.values() for data in repo.files.values()]
            self._file(next(data for data in bodies if _sha256(data) == found[1]), {})
        else:
            self._refuse(404, None)

    def _repo(self, name: str, revision: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        if repo is None:
            self._refuse(401 if self._request.token is None else 404, "RepoNotFound")
        elif revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound")
            return None
        return repo

    def _describe(self, name: str, revision: str) -> None:
        if repo := self._repo(name, revision):
            body = {
                "id": name,
                "sha": repo.commit,
                "siblings": [{"rfilename": file} for file in sorted(repo.files)],
                "private": False,
                "gated": "manual" if repo.gated else False,
                "tags": [],
                "cardData": {"license": repo.licence} if repo.licence else {},
            }
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repo = self._repo(name, revision)
        if repo is None:
            return
        if repo.gated and self._request.token != TOKEN:
            self._refuse(401 if self._request.token is None else 403, "GatedRepo")
        elif file not in repo.files:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": repo.commit})
        else:
            data = repo.files[file]
            etag = _git_hash(data) if file in repo.in_git else _sha256(data)
            headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{etag}"'}
            if self.hub.redirects and file not in repo.in_git:
                headers |= {
                    "Location": f"{self.hub.cdn}/blob/{_sha256(data)}",
                    "X-Linked-Etag": f'"{_sha256(data)}"',
                    "X-Linked-Size": str(repo.claims.get(file, len(data))),
                    "ETag": '"of the redirect"',
                }
                self._answer(302, headers, b"")
            else:
                self._file(data, headers)

    def _file(self, data: bytes, headers: dict[str, str]) -> None:
        faults = self.hub.faults
        is_get = self.command == "GET" and not self._request.is_look
        if is_get and faults.answers:
            status, more = faults.answers.pop(0)
            self._answer(status, more, b"")
            return
        if is_get and faults.flip_a_byte:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        if is_get:
            data += faults.too_much
        status, start, end = 200, 0, len(data)
        if not faults.no_ranges:
            headers["Accept-Ranges"] = "bytes"
            if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self._request.range or ""):
                status, start, end = 206, int(found[1]), min(int(found[2] or end) + bool(found[2]), end)
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        body = data[start:end]
        cut = faults.cut_after.pop(0) if is_get and faults.cut_after else None
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        stall = faults.stall_after if is_get else None
        if self.command == "GET":
            self._send(body[: cut if stall is None else stall])
        if stall is not None:
            with contextlib.suppress(OSError):
                self.connection.recv(1)  # until the client gives up
        if cut is not None or stall is not None:
            self.close_connection = True

    def _send(self, body: bytes) -> None:
        rate = self.hub.faults.bytes_per_second
        step = max(rate // 20, 1) if rate else len(body) or 1
        for start in range(0, len(body), step):
            try:
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
            except OSError:  # the client has gone
                self.close_connection = True
                return
            self._request.sent += len(body[start : start + step])
            if rate:
                time.sleep(0.05)

    def _refuse(self, status: int, code: str | None, headers: dict[str, str] | None = None) -> None:
        self._answer(status, {**({"X-Error-Code": code} if code else {}), **(headers or {})}, b"")

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
