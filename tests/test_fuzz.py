"""A fixed number of the fuzz's cases, and whether it sees what it is there to see: `python -m tests.fuzz` runs on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import known, runner, targets
from tests.fuzz.runner import ROOT, Found, Report, Seed

# As many as take about two minutes of one core together. (calls in this process, whole runs)
SEEDS = {
    "pictures": (300, 5),
    "sounds": (180, 4),
    "gguf": (80, 5),
    "templates": (40, 2),
    "config": (60, 2),
    "databases": (60, 3),
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fuzz measures memory in Linux's /proc")


def told(report: Report) -> str:
    faults = [
        f"{found.fault.kind}, {found.times} times: {found.fault.words}\n  {found.label!a}\n  {found.again}"
        for key, found in report.found.items()
        if not known.why(key)
    ]
    return "\n".join(faults)


@pytest.mark.parametrize("target", targets.MODULES)
def test_no_case_is_a_fault(target: str, tmp_path: Path) -> None:
    n_calls, n_runs = SEEDS[target]
    seeds = [Seed(target, i) for i in range(n_calls)] + [Seed(target, i, whole=True) for i in range(n_runs)]
    report = runner.run(seeds, out=tmp_path / "found")
    assert report.n_cases == len(seeds)
    assert not told(report), told(report)


def test_a_case_is_the_same_each_time() -> None:
    seeds = [Seed(target, 3) for target in ("config", "pictures", "sounds", "templates")]
    labels: list[list[str]] = [[], []]
    for seen in labels:
        runner.run(seeds, on_case=lambda seed, label, *_, seen=seen: seen.append(label))
    assert labels[0] == labels[1] and len(labels[0]) == len(seeds)


KINDS = ("traceback", "status", "terminal", "silent", "memory", "time", "stream", "crash", "hang")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """What the fuzz says of planted faults, by kind; innocent cases stand between them."""
    seeds = [Seed(kind, i) for kind in KINDS for i in (1, 2)]
    between = [Seed(name, i) for i, name in enumerate(("none", "refused"))]
    report = runner.run([*seeds, *between], out=tmp_path_factory.mktemp("planted"), patience=30)
    assert (report.statuses["refused"], report.statuses["none"]) == ({3: 1}, {0: 1})
    assert {key.split(":")[0] for key in report.found} == set(KINDS)
    return {key.split(":")[0]: each for key, each in report.found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_found_and_its_input_kept(kind: str, found: dict[str, Found]) -> None:
    each = found[kind]
    assert (each.fault.kind, each.times) == (kind, 2), each.fault
    assert each.place is not None and (each.place / "input").read_bytes()
    written = json.loads((each.place / "fault.json").read_text("utf-8"))
    assert written["again"] == each.again == f"uv run python -m tests.fuzz {kind}:1"
    assert written["fault"]["kind"] == kind


def test_a_whole_run_is_judged_by_its_status() -> None:
    report = runner.run([Seed("process", 1, whole=True), Seed("none", 1, whole=True)])
    (found,) = report.found.values()
    assert found.fault.words.startswith("status 2, not one of 0, 3: error: ")
    assert found.again == "uv run python -m tests.fuzz process:1:process"


def test_the_command_that_repeats_a_case_does() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "config:3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("config:3  ") and "\n1 cases, " in done.stdout
    assert subprocess.run([*command[:-1], "no-such"], cwd=ROOT, capture_output=True).returncode == 2


def test_a_known_fault_names_its_issue() -> None:
    for pattern, issue in known.OPEN:
        assert pattern and issue.startswith("issue ")
