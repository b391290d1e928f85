"""Feeds seeds to workers, sees those that crash or hang, and writes each new fault down. Prints nothing."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.case import Fault

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # seconds by the clock for one case: only a hang takes that long
PER_FAULT = 3  # cases of one fault that are kept as files


@dataclass(frozen=True)
class Seed:
    target: str
    number: int
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.target}:{self.number}" + (":process" if self.whole else "")


@dataclass
class Found:
    """One fault, with the first case that shows it."""

    seed: Seed
    label: str
    fault: Fault
    place: Path | None  # where its input was written
    times: int = 1

    @property
    def again(self) -> str:
        return f"uv run python -m tests.fuzz {self.seed}"


@dataclass
class Report:
    """What a run of the fuzz saw."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)

    @property
    def n_cases(self) -> int:
        return sum(sum(counted.values()) for counted in self.statuses.values())


class _Worker:
    """One child process and its folder."""

    def __init__(self, folder: Path, patience: float) -> None:
        self.folder, self._patience = folder, patience
        folder.mkdir()
        self.process: subprocess.Popen[str] | None = None

    def run(self, seed: Seed) -> tuple[str, list[str], int, list[Fault]]:
        """Label, arguments, status and faults; a worker that dies is one, and the next case gets a new one."""
        process = self.process or self._start()
        assert process.stdin is not None and process.stdout is not None
        alarm = threading.Timer(self._patience, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        told: dict[str, Any] = {"label": "while its input was made", "arguments": []}
        try:
            process.stdin.write(f"{seed.target} {seed.number}{' process' if seed.whole else ''}\n")
            process.stdin.flush()
            for _ in range(2):
                line = process.stdout.readline()
                if not line:
                    return told["label"], told["arguments"], -1, [self._died()]
                told |= json.loads(line)
        except BrokenPipeError:
            return told["label"], told["arguments"], -1, [self._died()]
        finally:
            alarm.cancel()
        return told["label"], told["arguments"], told["status"], [Fault(**fault) for fault in told["faults"]]

    def _start(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self.process

    def _died(self) -> Fault:
        assert self.process is not None
        status = self.process.wait()
        trace, spilt = (_text(self.folder / name) for name in ("crash", "spill"))
        words = (trace or spilt).strip()[-1500:]
        self.close()
        if status == -signal.SIGKILL:
            return Fault("hang", f"did not end within {self._patience:.0f} seconds (or took all memory)", "hang")
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        place = next((line.strip() for line in trace.splitlines() if "mmcli/" in line), words.splitlines()[-1:])
        return Fault("crash", f"the process died of {name}: {words}", f"{name} {place}")

    def close(self) -> None:
        if self.process is not None:
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def run(
    seeds: Iterable[Seed],
    *,
    jobs: int = 1,
    out: Path | None = None,
    patience: float = PATIENCE,
    on_case: Callable[[Seed, str, int, list[Fault]], None] = lambda *told: None,
) -> Report:
    """Run the cases; `out` is a folder for the inputs of the faults."""
    report, lock = Report(), threading.Lock()
    waiting: Iterator[Seed] = iter(seeds)
    failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def work(worker: _Worker) -> None:
        try:
            while True:
                with lock:
                    seed = next(waiting, None)
                if seed is None:
                    return
                label, arguments, status, faults = worker.run(seed)
                with lock:
                    name = seed.target + (" (whole)" if seed.whole else "")
                    report.statuses.setdefault(name, Counter())[status] += 1
                    for fault in faults:
                        _note(report, seed, label, arguments, fault, worker.folder, out)
                    on_case(seed, label, status, faults)
        except BaseException as error:
            failures.put(error)
        finally:
            worker.close()

    with tempfile.TemporaryDirectory(prefix="mmcli-fuzz-", ignore_cleanup_errors=True) as folder:
        threads = [threading.Thread(target=work, args=[_Worker(Path(folder, str(i)), patience)]) for i in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if not failures.empty():
        raise failures.get()
    return report


def _note(
    report: Report, seed: Seed, label: str, arguments: list[str], fault: Fault, folder: Path, out: Path | None
) -> None:
    key = f"{seed.target}: {fault.signature}"
    known = report.found.get(key)
    if known is not None:
        known.times += 1
        if known.times > PER_FAULT:
            return
    place = None
    if out is not None and (folder / "case").is_dir():
        place = out / f"{seed.target}-{seed.number}{'-process' if seed.whole else ''}"
        shutil.copytree(folder / "case", place, dirs_exist_ok=True, symlinks=True)
        told = {"case": str(seed), "what": label, "fault": vars(fault), "mmcli": arguments}
        told["again"] = f"uv run python -m tests.fuzz {seed}"
        (place / "fault.json").write_text(json.dumps(told, indent=1, ensure_ascii=True) + "\n")
    if known is None:
        report.found[key] = Found(seed, label, fault, place)
