"""Whether a model fits, as `models`, `show` and `pull` tell it, and weights in parts: with the real huggingface_hub."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from mmcli.models import catalogue
from tests import random_llava, shapes
from tests.conftest import WEIGHTS, Completed, Run
from tests.hub import TOKEN, Hub

REPO = "tests/Tiny-GGUF"
VERDICTS = {"fits", "tight", "no"}
HUGE = shapes.Shape("llama", 500, 65_536, 65_536, 512, 512, 128)  # 537 GB of KV cache for 4096 tokens


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("whole"), "tiny")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The same model, its weights in three parts, as gguf's own writer splits them; then the projector."""
    first, projector = random_llava.write(tmp_path_factory.mktemp("split"), "tiny", max_tensors=8)
    parts = sorted(first.parent.glob("tiny-0000?-of-00003.gguf"))
    assert parts[0] == first and len(parts) == 3
    return (*parts, projector)


@pytest.fixture
def hub(whole: tuple[Path, Path]) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *whole)
        yield running


@pytest.fixture
def run(mmcli: Run, hub: Hub, tmp_path: Path) -> Run:
    """Run any mmcli command against the local Hub."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None, **how: Any) -> Completed:
        return mmcli(*arguments, env=hub.environment(tmp_path / "hf") | (env or {}), **how)

    return run


# what is told


def test_the_list_tells_what_each_model_needs_and_whether_it_fits(run: Run, hub: Hub) -> None:
    # `starter` is also a speech model and an embedding model, which have rows of their own
    every = run("models", "--json").json
    rows = {row["name"]: row for row in every if row["abilities"] not in ("speech", "embedding")}
    for name, entry in catalogue.load().items():
        row = rows[name]
        if entry.n_bytes is None and not entry.builtin:
            assert (row["needs_bytes"], row["fits"], row["largest_context"]) == (None, None, None)
            continue
        assert row["needs_bytes"] > (entry.n_bytes or WEIGHTS.stat().st_size)
        assert row["needs_gb"] == round(row["needs_bytes"] / 1e9, 3)
        assert row["fits"] in VERDICTS
        assert (row["largest_context"] == 0) == (row["fits"] == "no")
    assert (rows["starter"]["fits"], rows["starter"]["largest_context"]) == ("fits", 2048)
    assert rows["qwen3-vl-8b"]["needs_bytes"] > rows["qwen3-vl-2b"]["needs_bytes"]
    starter = run("models").stdout.splitlines()[0].split("\t")
    assert starter[:5] == ["starter", "yes", "0.006", f"{rows['starter']['needs_gb']:.3f}", "fits"]
    assert hub.log == []


def test_one_model_is_told_part_by_part(run: Run, whole: tuple[Path, Path]) -> None:
    told = run("show", whole[0], "--json").json
    needs = told["needs"]
    assert (needs["weights"], needs["projector"]) == tuple(path.stat().st_size for path in whole)
    # two layers, two heads of 16 numbers for keys and for values, two bytes each; as many tokens as it was trained on
    assert (needs["kv_cache"], needs["context"], needs["from_headers"]) == (2 * 2 * 16 * 2 * 2 * 4096, 4096, True)
    assert needs["bytes"] == sum(needs[part] for part in ("weights", "projector", "kv_cache", "compute"))
    assert told["fits"].keys() == {"verdict", "place", "free_bytes", "largest_context", "gpu_layers"}
    assert (told["fits"]["verdict"], told["fits"]["largest_context"]) == ("fits", 4096)
    shown = run("show", whole[0]).stdout
    assert re.search(
        r"^memory needed +0\.\d+ GB: weights 0\.\d+, projector 0\.\d+, KV cache 0\.\d+ for 4096 tokens", shown, re.M
    )
    assert re.search(r"^fits here +fits: \d+\.\d+ GB of memory are free, enough for 4096 tokens", shown, re.M)


def test_what_is_known_by_its_size_only_is_told_as_a_guess(run: Run) -> None:
    told = run("show", "qwen3-vl-4b", "--json").json
    assert told["needs"]["from_headers"] is False
    assert re.search(r"^memory needed +about \d\.\d\d GB: ", run("show", "qwen3-vl-4b").stdout, re.M)
    assert run("show", "llava-1.5-7b", "--json").json["fits"] is None


def test_a_model_whose_files_are_damaged_is_listed_all_the_same(run: Run, tmp_path: Path, home: Path) -> None:
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        f'[mine]\nabout = "mine"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\n'
        'weights = { file = "tiny.gguf" }\nprojector = { file = "tiny-mmproj.gguf" }\n'
    )
    assert run("pull", "mine").status == 0
    for blob in (tmp_path / "hf" / "hub").glob("models--*/blobs/*"):
        blob.write_bytes(b"not a GGUF".ljust(blob.stat().st_size))
    (row,) = [row for row in run("models", "--json").json if row["name"] == "mine"]
    assert (row["here"], row["fits"]) == (True, None)


@pytest.mark.parametrize("which", ["weights", "projector", "part"])
def test_a_file_that_is_cut_short_is_told_in_one_sentence(
    run: Run, whole: tuple[Path, Path], split: tuple[Path, ...], tmp_path: Path, which: str
) -> None:
    files = split if which == "part" else whole
    copies = [Path(shutil.copy(path, tmp_path)) for path in files]
    broken = {"weights": copies[0], "projector": copies[-1], "part": copies[1]}[which]
    size = broken.stat().st_size
    broken.write_bytes(broken.read_bytes()[: size * 3 // 4])
    for command in (("show", copies[0]), ("ask", "What?", "-m", copies[0], "--mmproj", copies[-1])):
        done = run(*command)
        if which == "projector" and command[0] == "show":
            continue  # it is not taken beside the weights then
        assert (done.status, done.stdout) == (4, "")
        (told,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert f"`{broken}` is cut short: it ends after {size * 3 // 4} bytes" in told
    assert run("show", copies[0], "--json").status == (0 if which == "projector" else 4)


def test_a_damaged_model_of_the_hub_s_cache_comes_with_the_commands_that_bring_it_anew(
    run: Run, tmp_path: Path
) -> None:
    assert run("pull", REPO).status == 0
    (blob,) = [path for path in (tmp_path / "hf" / "hub").glob("models--*/blobs/*") if path.stat().st_size < 200_000]
    blob.write_bytes(b"\0" * blob.stat().st_size)
    done = run("ask", "What?", "-m", REPO)
    assert (done.status, f"`mmcli rm {REPO}`, then `mmcli pull {REPO}`" in done.stderr) == (4, True)
    assert run("rm", REPO, "--yes").status == 0
    assert run("pull", REPO).status == 0
    assert run("ask", "What?", "-m", REPO, "--max-tokens", "2").status == 0


# before a download


def test_a_pull_tells_memory_disk_and_licence_from_the_first_bytes_of_the_files(run: Run, hub: Hub) -> None:
    done = run("pull", REPO)
    assert done.status == 0
    assert re.search(r"takes 0\.4 MB on the disk; \d+\.\d\d GB are free", done.stderr)
    assert re.search(r"in memory it takes 0\.\d+ GB: weights 0\.\d+, projector .* for 4096 tokens", done.stderr)
    assert re.search(r"it fits: \d+\.\d\d GB of memory are free, enough for 4096 tokens", done.stderr)
    assert "licence: apache-2.0" in done.stderr
    assert [request.range for request in hub.looks] == ["bytes=0-65535"] * 2
    assert "on the disk" not in run("pull", REPO, "-q").stderr


def test_a_projector_of_one_s_own_is_reckoned_too(run: Run, whole: tuple[Path, Path]) -> None:
    done = run("ask", "What?", "-m", REPO, "--mmproj", whole[1], "--max-tokens", "2", "--yes")
    assert done.status == 0
    assert "1 file," in done.stderr and "about" not in done.stderr
    assert f"projector {whole[1].stat().st_size / 1e9:.3f}" in done.stderr
    done = run("ask", "What?", "-m", f"{REPO}:F32", "--mmproj", "none.gguf", "--yes")
    assert done.status == 4


def test_headers_are_read_through_redirects_and_gates_and_the_token_stays_at_home(run: Run, hub: Hub) -> None:
    hub.redirects = hub.repos[REPO].gated = True
    done = run("pull", REPO, env={"HF_TOKEN": TOKEN})
    assert (done.status, "about" in done.stderr) == (0, False)
    assert len(hub.looks) == 2
    assert all(request.path.startswith("/blob/") and request.token is None for request in hub.looks)


def test_a_long_header_is_read_in_growing_steps(run: Run, hub: Hub, tmp_path: Path) -> None:
    hub.add("tests/Long", *random_llava.write(tmp_path, "tiny", metadata={"general.name": "x" * 300_000}))
    done = run("pull", "tests/Long")
    assert (done.status, "about" in done.stderr) == (0, False)
    assert [request.range for request in hub.looks] == [
        "bytes=0-65535",
        "bytes=65536-262143",
        f"bytes=262144-{len(hub.repos['tests/Long'].files['tiny.gguf']) - 1}",
        "bytes=0-65535",  # the projector's
    ]


def test_never_more_than_four_megabytes_are_read_to_judge_a_file(run: Run, hub: Hub, tmp_path: Path) -> None:
    hub.add("tests/Long", *random_llava.write(tmp_path, "tiny", metadata={"general.name": "x" * 9_000_000}))
    done = run("pull", "tests/Long")
    assert (done.status, "in memory it takes about" in done.stderr) == (0, True)
    assert sum(request.sent for request in hub.looks) == 4 << 20


def test_a_hub_without_ranges_is_not_made_to_send_the_file_twice(run: Run, hub: Hub, tmp_path: Path) -> None:
    hub.faults.no_ranges = True
    hub.repos[REPO].files["tiny.gguf"] += b"\0" * 30_000_000
    done = run("pull", REPO)
    assert (done.status, "in memory it takes about" in done.stderr) == (0, True)
    assert any(request.is_look for request in hub.log)
    assert hub.looks == []  # the stream was closed before the file had gone out
    assert hub.sent == sum(map(len, hub.repos[REPO].files.values()))


@pytest.mark.parametrize("data", [b"<html>no model</html>" * 9000, b"GGUF" + b"\xff" * 200_000, b"GGUF\3\0\0\0"])
def test_what_is_no_gguf_is_told_after_a_guess(data: bytes, run: Run, hub: Hub) -> None:
    hub.repos[REPO].files["tiny.gguf"] = data
    done = run("pull", REPO)
    assert done.status == 4
    assert "in memory it takes about" in done.stderr and "Traceback" not in done.stderr


def test_a_download_that_the_disk_cannot_hold_is_refused_before_any_byte(run: Run, hub: Hub) -> None:
    hub.redirects = True
    hub.repos[REPO].claims["tiny.gguf"] = 10**17
    for arguments in (("pull", REPO), ("pull", REPO, "--yes"), ("ask", "Hello!", "-m", REPO, "--yes")):
        done = run(*arguments)
        assert (done.status, done.stdout) == (6, "")
        assert re.search(r"takes 100000000\.00 GB, but the disk of `.*` has \d+\.\d\d GB free", done.stderr)
    assert (hub.sent, hub.looks) == (0, [])


def add_huge(hub: Hub, folder: Path) -> str:
    """A model whose header asks for more memory than any machine has."""
    weights = shapes.write(folder / "huge.gguf", HUGE, tensors=False)
    hub.add("tests/Huge", weights, random_llava.write(folder, "tiny")[1].rename(folder / "mmproj.gguf"))
    return "tests/Huge"


def test_a_model_that_does_not_fit_is_told_and_fetched_where_that_is_wanted(run: Run, hub: Hub, tmp_path: Path) -> None:
    done = run("pull", add_huge(hub, tmp_path), "--yes")
    assert done.status == 0
    assert re.search(r"warning: `tests/Huge` does not fit this machine: in memory it takes \d+\.\d\d GB", done.stderr)
    assert re.search(r"KV cache 536\.87 for 4096 tokens", done.stderr)


@pytest.mark.skipif(not hasattr(pexpect, "spawn"), reason="pseudo-terminals need a Unix")
@pytest.mark.parametrize(("reply", "status"), [("n", 4), ("y", 0)])
def test_on_a_terminal_a_model_that_does_not_fit_is_asked_about(
    reply: str, status: int, hub: Hub, tmp_path: Path, environment: dict[str, str]
) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "mmcli", "pull", add_huge(hub, tmp_path), "--no-check"],
        cwd=str(tmp_path),
        env=environment | hub.environment(tmp_path / "hf") | {"TERM": "xterm-256color"},
        dimensions=(40, 300),
        timeout=60,
    )
    child.expect_exact("[Y/n] ")
    asked = child.before.decode()
    assert "does not fit this machine" in asked and "Download it anyway" in asked
    child.sendline(reply)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert (hub.sent > 0) == (reply == "y")


# weights in parts


def test_weights_in_parts_answer_as_the_whole_ones_do(
    run: Run, whole: tuple[Path, Path], split: tuple[Path, ...], two: Path
) -> None:
    asked = ("ask", two, "What?", "--max-tokens", "6", "--temperature", "0", "--no-cache", "--json")
    answers = [run(*asked, "-m", weights).json for weights in (whole[0], split[0], split[2])]
    assert len({answer["answer"] for answer in answers}) == 1
    assert answers[1]["receipts"][0]["n_tokens"] == 16  # the projector beside them was found
    assert answers[1]["model"] == answers[2]["model"] != answers[0]["model"]
    told = run("show", split[1], "--json").json
    assert (told["weights"], told["parts"]) == (str(split[0]), [str(path) for path in split[:3]])
    assert told["needs"]["weights"] == sum(path.stat().st_size for path in split[:3])


def test_weights_in_parts_are_fetched_whole_and_are_one_model(
    run: Run, hub: Hub, split: tuple[Path, ...], two: Path
) -> None:
    hub.add("tests/Split", *split)
    done = run("pull", "tests/Split", "--json")
    assert done.status == 0, done.stderr
    assert [Path(row["weights"]).name for row in done.json] == ["tiny-00001-of-00003.gguf"]
    assert hub.sent == sum(path.stat().st_size for path in split)
    hub.log.clear()
    answer = run("ask", two, "What?", "-m", "tests/Split", "--max-tokens", "3", "--json")
    assert answer.status == 0, answer.stderr
    assert "already" in run("pull", "tests/Split").stderr
    assert hub.log == []


def test_an_entry_may_name_weights_in_parts(run: Run, hub: Hub, split: tuple[Path, ...], home: Path) -> None:
    hub.add("tests/Split", *split)
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        '[mine]\nabout = "mine"\nrepo = "tests/Split"\nlicence = "MIT"\nsees = true\n'
        'weights = { file = "tiny-00001-of-00003.gguf" }\nprojector = { file = "tiny-mmproj.gguf" }\n'
    )
    assert "4 files" in run("pull", "mine").stderr
    hub.log.clear()
    assert run("ask", "What?", "-m", "mine", "--max-tokens", "3").status == 0
    assert hub.log == []
    own.write_text(own.read_text().replace("00001-of", "00002-of"))
    assert (run("models").status, "first of its parts" in run("models").stderr) == (2, True)


def test_a_part_that_is_missing_is_told_in_one_sentence(
    run: Run, hub: Hub, split: tuple[Path, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for path in (split[0], split[2], split[3]):
        (folder / path.name).write_bytes(path.read_bytes())
    for given in (0, 2):
        done = run("ask", "What?", "-m", folder / split[given].name)
        assert done.status == 4
        assert "error: `tiny-00002-of-00003.gguf` is missing" in done.stderr and "3 files" in done.stderr
    hub.add("tests/Some", split[0], split[2], split[3])
    done = run("pull", "tests/Some")
    assert (done.status, "not `tiny-00002-of-00003.gguf`" in done.stderr) == (4, True)
    assert hub.sent == 0


def test_a_part_that_is_damaged_is_told(run: Run, split: tuple[Path, ...], tmp_path: Path) -> None:
    for path in split:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / split[1].name).write_bytes(b"GGUF")
    done = run("ask", "What?", "-m", tmp_path / split[0].name)
    assert (done.status, done.stdout, "Traceback" in done.stderr) == (4, "", False)


def test_a_pull_of_parts_that_was_interrupted_goes_on(run: Run, hub: Hub, split: tuple[Path, ...]) -> None:
    hub.add("tests/Split", *split)
    hub.faults.answers = [(200, {}), (404, {})]  # the first part is cut off at once; then it is gone
    assert run("pull", "tests/Split").status == 5
    hub.faults.answers.clear()
    found = run("ask", "What?", "-m", "tests/Split", "--max-tokens", "3")
    assert (found.status, "not on this machine" in found.stderr) == (4, True)
    assert run("pull", "tests/Split").status == 0
