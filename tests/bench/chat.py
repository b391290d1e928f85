"""A talk about a picture: time to the first token of a follow-up, beside llama-mtmd-cli's chat and llama-server.

    python -m tests.bench.chat --peers DIR --models DIR [--model 160m] [--tokens 16] [--runs 3]

All three hold the same talk: hello, then a question about a picture, then three more. The first token's time is taken
from when the question is sent to when the first byte of the answer comes. Nothing is kept on disk.
The bars: a follow-up takes at most 0.1 of the first question's time, and no longer than with either peer (1.05×).
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from tests.bench.measure import COMPILED, Ratios, machine
from tests.bench.subjects import MMCLI, QUESTION, Subjects, parser, prepare

FOLLOW_UPS = ("Which colours are in it, and where?", "What is on the left of it?", "And what is at the bottom?")


class Partner(Protocol):
    """One program in the middle of a talk."""

    def ask(self, question: str, picture: Path | None = None) -> float:
        """Seconds until the first byte of the answer; returns when the answer is complete."""


def first_byte(stream: IO[bytes], started: float) -> float:
    """White space does not count: llama-mtmd-cli writes a new line before it begins to compute."""
    while data := os.read(stream.fileno(), 1):
        if not data.isspace():
            return time.perf_counter() - started
    raise AssertionError("it ended before it answered")


class Mmcli:
    """`mmcli chat` with its lines from a pipe; what `/media` tells on stderr says that the answer is complete."""

    def __init__(self, subjects: Subjects) -> None:
        command = [
            *MMCLI, "chat", "-m", str(subjects.weights), "--mmproj", str(subjects.projector), "--no-cache",
            "--temperature", "0", "--max-tokens", str(subjects.tokens), "--threads", str(subjects.threads),
            "--no-loop-guard",
        ]  # fmt: skip
        env = {**os.environ, **COMPILED, **subjects.env, "MMCLI_CONFIG": os.devnull, "MMCLI_HISTORY": "0"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, bufsize=0)

    def ask(self, question: str, picture: Path | None = None) -> float:
        stdin, stdout, stderr = self.process.stdin, self.process.stdout, self.process.stderr
        assert stdin and stdout and stderr
        if picture is not None:
            self._wait_for_media(f"/attach {picture}")
        started = time.perf_counter()
        stdin.write(f"{question}\n".encode())
        seconds = first_byte(stdout, started)
        self._wait_for_media("")
        os.set_blocking(stdout.fileno(), False)
        while stdout.read(65536):
            pass
        os.set_blocking(stdout.fileno(), True)
        return seconds

    def _wait_for_media(self, line: str) -> None:
        assert self.process.stdin and self.process.stderr
        self.process.stdin.write(f"{line}\n/media\n".encode())
        while not (told := self.process.stderr.readline()).startswith((b"1\t", b"note: no files")):
            assert told, "mmcli ended"


class MtmdCli:
    """llama-mtmd-cli's chat mode: it says `> ` when it is ready."""

    def __init__(self, subjects: Subjects) -> None:
        command = [
            str(subjects.peers / "llama-mtmd-cli"), "-m", str(subjects.weights), "--mmproj", str(subjects.projector),
            "--jinja", "--temp", "0", "-n", str(subjects.tokens), "-t", str(subjects.threads), "-c", "4096",
        ]  # fmt: skip
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0)
        self._until_ready()

    def ask(self, question: str, picture: Path | None = None) -> float:
        assert self.process.stdin and self.process.stdout
        if picture is not None:
            self.process.stdin.write(f"/image {picture}\n".encode())
            self._until_ready()
        started = time.perf_counter()
        self.process.stdin.write(f"{question}\n".encode())
        while os.read(self.process.stdout.fileno(), 1) != b"\n":  # it repeats what was typed
            pass
        seconds = first_byte(self.process.stdout, started)
        self._until_ready()
        return seconds

    def _until_ready(self) -> None:
        assert self.process.stdout
        seen = b""
        while not seen.endswith(b"\n> "):
            byte = os.read(self.process.stdout.fileno(), 1)
            assert byte, f"llama-mtmd-cli ended after {seen[-200:]!r}"
            seen += byte


class Server:
    """llama-server with one slot; the whole talk goes to it each time, as its web page sends it."""

    def __init__(self, subjects: Subjects) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [
            str(subjects.peers / "llama-server"), "-m", str(subjects.weights), "--mmproj", str(subjects.projector),
            "-t", str(subjects.threads), "-c", "4096", "-np", "1", "--port", str(self.port), "--no-webui",
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        self.messages: list[dict[str, Any]] = []
        self.tokens = subjects.tokens
        while not self._is_ready():
            assert self.process.poll() is None, "llama-server ended"
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def ask(self, question: str, picture: Path | None = None) -> float:
        content: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if picture is not None:
            data = base64.b64encode(picture.read_bytes()).decode()
            content.insert(0, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
        self.messages.append({"role": "user", "content": content})
        wish = {"messages": self.messages, "stream": True, "temperature": 0, "max_tokens": self.tokens}
        body = json.dumps(wish)
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        seconds, said = 0.0, ""
        while line := answer.readline():
            if not line.startswith(b"data: {"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                if piece := choice["delta"].get("content"):
                    seconds = seconds or time.perf_counter() - started
                    said += piece
        self.messages.append({"role": "assistant", "content": said})
        return seconds


@contextmanager
def running(partner: Any) -> Iterator[Partner]:
    try:
        yield partner
    finally:
        partner.process.kill()
        partner.process.wait()


def talk(partner: Partner, picture: Path) -> tuple[float, float]:
    """Seconds to the first token: of the first question about the picture, and of those after it (median)."""
    partner.ask("Hello!")  # whatever is done once is done now
    first = partner.ask(QUESTION, picture)
    return first, statistics.median(partner.ask(question) for question in FOLLOW_UPS)


def main() -> None:
    given = parser(__doc__, runs=3).parse_args()
    print(machine())
    ratios = Ratios()
    with prepare(given) as (subjects, _):
        for number in range(given.runs):
            told, seconds = [], {}
            for name, start in (("mmcli", Mmcli), ("llama-mtmd-cli", MtmdCli), ("llama-server", Server)):
                with running(start(subjects)) as partner:
                    first, after = seconds[name] = talk(partner, subjects.picture)
                told.append(f"{name} {first:.3f} s, then {after:.3f} s")
                bar = 0.1 if name == "mmcli" else None
                ratios.add(f"follow-up / first question, {name}", after / first, most=bar)
            for peer in ("llama-mtmd-cli", "llama-server"):
                for i, which in enumerate(("first question", "follow-up")):
                    ratios.add(f"{which}, mmcli / {peer}", seconds["mmcli"][i] / seconds[peer][i], most=1.05)
            print(f"round {number + 1}: " + ", ".join(told), file=sys.stdout, flush=True)
    ratios.show()


if __name__ == "__main__":
    main()
