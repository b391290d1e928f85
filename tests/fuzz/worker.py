"""A process that runs cases and reports each: `python -m tests.fuzz.worker FOLDER`. What crashes it crashes it alone.

It reads lines `TARGET SEED [process]` and answers each with two lines of JSON: what the case is, before it runs, and
how it ended. stdout and stderr are turned away beforehand, so that whatever native code writes there is seen.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mmcli import terminal
from mmcli.errors import MmcliError
from tests.fuzz import targets
from tests.fuzz.case import Case, Fault, Ran, judge

ADDRESS_SPACE = 6 << 30  # bytes above what is mapped at first: a wild allocation fails instead of filling the machine
OF_A_RUN = 600 << 20  # bytes that any whole run may take: Python, llama.cpp and the starter
WHOLE_RUN = 120.0  # seconds by the clock until a whole run counts as one that does not end


class OutOfTime(BaseException):
    """A call that took more CPU time than it may; `_run` sees it by the clock of the CPU."""


def _out_of_time(*_: object) -> None:
    raise OutOfTime


def main(folder: Path) -> None:
    reports = os.fdopen(os.dup(1), "w", buffering=1)
    spill = folder / "spill"
    to_spill = os.open(spill, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(to_spill, 1)
    os.dup2(to_spill, 2)
    warnings.simplefilter("ignore")  # as in a whole run: the filters of pytest are its own
    faulthandler.enable(open(folder / "crash", "w"))
    signal.signal(signal.SIGPROF, _out_of_time)
    keep = folder / "kept"
    keep.mkdir(exist_ok=True)
    _own_home(folder)
    _bound()
    for line in sys.stdin:
        name, seed, *how = line.split()
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            case = targets.make(name, seed, place, keep)
        except Exception:
            _tell(reports, label="its input could not be made", arguments=[])
            _tell(reports, status=-1, faults=[vars(Fault("fuzz", traceback.format_exc()))])
            continue
        _tell(reports, label=case.label, arguments=case.arguments)
        os.truncate(spill, 0)
        faults, status = _run(case, place, spill, whole=bool(how))
        if faults:
            case.prepare()
        _tell(reports, status=status, faults=[vars(fault) for fault in faults])


def _own_home(folder: Path) -> None:
    """Nothing of the person's settings, history or caches is read or written."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    for name in list(os.environ):
        if name.startswith(("MMCLI_", "HF_", "XDG_", "LC_", "LANG", "NO_COLOR", "FORCE_COLOR")):
            del os.environ[name]
    names = {"HOME": home, "XDG_CACHE_HOME": home / "cache", "XDG_CONFIG_HOME": home / "config"}
    os.environ.update({name: str(path) for name, path in names.items()})
    os.environ.update(MMCLI_OFFLINE="1", LC_ALL="C.UTF-8")


def _bound() -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_SPACE, resource.RLIM_INFINITY))


def _tell(reports: IO[str], **what: Any) -> None:
    reports.write(json.dumps(what) + "\n")


def _run(case: Case, place: Path, spill: Path, *, whole: bool) -> tuple[list[Fault], int]:
    os.environ.update(case.environment)
    who = resource.RUSAGE_CHILDREN if whole else resource.RUSAGE_SELF
    before, since = _peak(who), _cpu(who)
    try:
        ran = _whole(case, place) if whole else _called(case)
    finally:
        for name in case.environment:
            os.environ.pop(name, None)
    faults = judge(case, ran)
    took, memory = _cpu(who) - since, _peak(who) - before
    if whole:  # known is the largest of all children so far: it is this one's only where it grew
        memory = max(0, before + memory - OF_A_RUN) if memory > 0 else 0
    if took > case.limits.cpu_seconds:
        faults.append(Fault("time", f"took {took:.0f} seconds of CPU", case.label.split(":")[0]))
    if memory > case.limits.memory:
        faults.append(Fault("memory", f"took {memory >> 20} MB", case.label.split(":")[0]))
    if written := spill.read_text(errors="replace"):
        faults.append(Fault("stream", f"wrote past mmcli's own output: {written[:300]!r}", written[:25]))
    return faults, ran.status


def _called(case: Case) -> Ran:
    """The call in this process, with what its error says as a terminal is shown it."""
    gc.collect()
    signal.setitimer(signal.ITIMER_PROF, 1.5 * case.limits.cpu_seconds)  # ends a loop in Python; the parent the others
    with _streams() as said:
        try:
            ran = case.call()
            return Ran(ran.status, said.getvalue() + ran.said, ran.silent)
        except OutOfTime:
            return Ran(min(case.statuses), said.getvalue())
        except MmcliError as error:
            terminal.error(error, terminal.Style())
            return Ran(error.status, said.getvalue())
        except Exception:
            return Ran(1, said.getvalue() + traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


@contextlib.contextmanager
def _streams() -> Iterator[io.StringIO]:
    said, usual = io.StringIO(), (sys.stdin, sys.stdout, sys.stderr)
    with open(os.devnull) as nothing:
        sys.stdin, sys.stdout, sys.stderr = nothing, said, said
        try:
            yield said
        finally:
            sys.stdin, sys.stdout, sys.stderr = usual


def _whole(case: Case, place: Path) -> Ran:
    case.prepare()
    command = [sys.executable, "-m", "mmcli", *case.arguments]
    with open(os.devnull) as nothing:
        process = subprocess.Popen(
            command, cwd=place, stdin=nothing, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        said, _ = process.communicate(timeout=WHOLE_RUN)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        said, _ = process.communicate()
        return Ran(-9, f"does not end within {WHOLE_RUN:.0f} seconds\n" + said.decode(errors="replace"))
    return Ran(process.returncode, said.decode("utf-8", "surrogateescape"))


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _peak(who: int) -> int:
    """The most memory in use, in bytes, since the last call (of this process; of children ever)."""
    if who == resource.RUSAGE_CHILDREN:
        return resource.getrusage(who).ru_maxrss * 1024
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # begin to measure anew
    return int(fields["VmHWM"].split()[0]) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
