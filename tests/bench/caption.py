"""A folder of pictures: mmcli's engine beside a loop of llama-mtmd-cli and llama-server with eight clients, in turns.

    python -m tests.bench.caption --peers DIR --models DIR [--model 160m] [--tokens 48] [--runs 3]

Needs llama.cpp's programs (tests/peers/README.md); --models is where the random models are kept between calls. The
same pictures, files, words and threads for all. The bars: 1.8× the throughput of the loop with 48 tokens each and 2.2×
with 128; 1.1× of the server with -np 8.

Whole processes are compared with the loop, which loads the model for every picture. With the server, the pictures alone
are (its start and warm-up are left out, and so is our loading); the table has the whole processes, too.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.measure import COMPILED, Ratios, Run, machine, run
from tests.bench.subjects import QUESTION, Subjects, parser, prepare

CLIENTS = 8
LOOP_BAR = {48: 1.8, 128: 2.2}  # tokens → at least so much of the loop's throughput
SERVER_BAR = 1.1


def main() -> None:
    options = parser(__doc__, runs=3)
    options.set_defaults(model="160m", tokens=48)
    options.add_argument("--pictures", type=int, default=32)
    options.add_argument("--loop", type=int, help="pictures the loop takes, its time scaled up (default: all of them)")
    options.add_argument("--parallel", type=int, help="sequences (default: what mmcli thinks the machine bears)")
    options.add_argument("--skip", nargs="*", default=(), choices=("loop", "server"), help="leave these out")
    given: argparse.Namespace = options.parse_args()
    print(machine())
    ratios = Ratios()
    with prepare(given) as (subjects, scratch):
        pictures = draw(scratch / "pictures", given.pictures)
        for number in range(given.runs):
            told = _round(subjects, pictures, given, ratios)
            print(f"round {number + 1}: " + ", ".join(told), flush=True)
    ratios.show()


def _round(subjects: Subjects, pictures: list[Path], given: argparse.Namespace, ratios: Ratios) -> list[str]:
    more = {"--parallel": given.parallel}
    done = ours(subjects, pictures[0].parent, {name: value for name, value in more.items() if value is not None})
    mine = json.loads(done.out.splitlines()[-1])
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in mine["phases"].items())
    rate = len(pictures) / mine["seconds"]
    told = [f"mmcli {done.seconds:.1f} s, {rate:.3f} pictures/s when loaded (CPU {done.cpu:.1f} s; {phases})"]
    if "loop" not in given.skip:
        some = pictures[: given.loop or len(pictures)]
        peers = [Subjects(**{**vars(subjects), "picture": picture}).mtmd_cli(QUESTION) for picture in some]
        seconds, cpu = (
            sum(values) * len(pictures) / len(some) for values in zip(*((p.seconds, p.cpu) for p in peers), strict=True)
        )
        ratios.add("throughput / loop of llama-mtmd-cli", seconds / done.seconds, least=LOOP_BAR.get(given.tokens))
        ratios.add("CPU seconds / the same loop", done.cpu / cpu)
        same = _same(mine, [peer.out for peer in peers])
        told.append(f"loop {seconds:.1f} s ({len(pictures) / seconds:.3f}/s, CPU {cpu:.1f} s), {same}")
    if "server" not in given.skip:
        with server(subjects) as running:
            began = time.perf_counter()
            with ThreadPoolExecutor(CLIENTS) as clients:
                answers = list(clients.map(lambda picture: _post(subjects, running.address, picture), pictures))
            seconds = time.perf_counter() - began
        name = f"throughput / llama-server -np {CLIENTS}"
        ratios.add(f"{name}, loaded", seconds / mine["seconds"], least=SERVER_BAR)
        ratios.add(f"{name}, whole processes", (running.start + seconds) / done.seconds)
        ratios.add("CPU seconds / the same", done.cpu / running.cpu)
        told.append(
            f"server {seconds:.1f} s ({len(pictures) / seconds:.3f}/s, CPU {running.cpu:.1f} s), {_same(mine, answers)}"
        )
    return told


def ours(subjects: Subjects, folder: Path, more: dict[str, int]) -> Run:
    """The whole process; its last line is JSON (captioner.py)."""
    command = [
        sys.executable, "-m", "tests.bench.captioner", str(subjects.weights), str(subjects.projector), str(folder),
        "--tokens", str(subjects.tokens), "--threads", str(subjects.threads), "--prompt", QUESTION,
        *(word for name, value in more.items() for word in (name, str(value))),
    ]  # fmt: skip
    return run(command, {**COMPILED, **subjects.env})


@dataclass
class Server:
    """A llama-server that is ready."""

    address: str
    start: float  # seconds until it was
    cpu: float = 0.0  # seconds, when it has ended


@contextmanager
def server(subjects: Subjects) -> Iterator[Server]:
    """llama-server, ready until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        str(subjects.peers / "llama-server"), "-m", str(subjects.weights), "--mmproj", str(subjects.projector),
        "-np", str(CLIENTS), "-t", str(subjects.threads), "-c", str(1024 * CLIENTS), "--jinja",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            while not _ready(address):
                if process.poll() is not None:
                    log.seek(0)
                    sys.exit(f"llama-server ended: {log.read()[-2000:].decode('utf-8', 'replace')}")
                time.sleep(0.05)
            out = Server(address, time.perf_counter() - began)
            yield out
            process.terminate()
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
            out.cpu = usage.ru_utime + usage.ru_stime
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _post(subjects: Subjects, address: str, picture: Path) -> str:
    """One client's question; the newline after the picture is LLaVA's, as llama-mtmd-cli is asked."""
    url = "data:image/*;base64," + base64.b64encode(picture.read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": f"\n{QUESTION}"}]
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": subjects.tokens}
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=3600) as reply:
        answer = json.load(reply)
    assert answer["usage"]["completion_tokens"] == subjects.tokens, answer["usage"]
    return str(answer["choices"][0]["message"]["content"])


def _same(mine: dict[str, Any], theirs: list[str]) -> str:
    """How many answers are word for word the same. Of the PNGs: two decoders of JPEG differ in the last bits.

    llama-mtmd-cli now and then loses the end of an answer.
    """
    pairs = list(zip(mine["answers"], theirs, strict=False))[::4]
    return f"{sum(a.strip() == b.strip() for a, b in pairs)} of {len(pairs)} answers the same"


def draw(folder: Path, count: int) -> list[Path]:
    """Photograph-like pictures of different sizes and shapes, JPEGs and every fourth a PNG."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    random = np.random.default_rng(0)
    paths = []
    for i in range(count):
        width, height = int(random.integers(320, 2049)), int(random.integers(240, 1537))
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)  # (rows, columns, RGB)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        paths.append(folder / (f"{i:03}.jpg" if i % 4 else f"{i:03}.png"))
        picture.save(paths[-1], quality=90)
    return paths


if __name__ == "__main__":
    main()
