"""`mmcli pull`, and questions to models that are not here yet: the real huggingface_hub and a Hub of the tests' own."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from mmcli.errors import ResourceError
from mmcli.models import hub as client
from tests import random_llava
from tests.conftest import STARTER, WEIGHTS, Completed, Random, Run
from tests.hub import COMMIT, TOKEN, Hub

REPO = "tests/Tiny-GGUF"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Tiny-Q8_0.gguf and mmproj-Tiny-F16.gguf."""
    folder = tmp_path_factory.mktemp("files")
    weights, projector = random_llava.write(folder, "tiny")
    return weights.rename(folder / "Tiny-Q8_0.gguf"), projector.rename(folder / "mmproj-Tiny-F16.gguf")


@pytest.fixture
def hub(pair: tuple[Path, Path]) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *pair)
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf"


@pytest.fixture
def pull(mmcli: Run, hub: Hub, cache: Path) -> Run:
    """Run any mmcli command against the local Hub."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None, **how: Any) -> Completed:
        return mmcli(*arguments, env=hub.environment(cache) | (env or {}), **how)

    return run


@pytest.fixture
def started(tmp_path: Path, environment: dict[str, str], hub: Hub, cache: Path) -> Iterator[Any]:
    """Start `mmcli ARGUMENTS` and go on; what is still running at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mmcli", *arguments]
        env = environment | hub.environment(cache)
        running.append(
            subprocess.Popen(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def blobs(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "hub").glob("models--*/blobs/*"))


def hashes(*files: Path) -> list[str]:
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def waits_for(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


# the way that works


def test_a_pulled_model_answers_a_question_without_one_more_request(
    pull: Run, hub: Hub, cache: Path, pair: tuple[Path, Path], two: Path
) -> None:
    done = pull("pull", f"{REPO}:Q8_0", "--json")
    assert done.status == 0, done.stderr
    assert [row["name"] for row in done.json] == [f"{REPO}:Q8_0"]
    assert Path(done.json[0]["weights"]).read_bytes() == pair[0].read_bytes()
    assert blobs(cache) == hashes(*pair)
    assert hub.sent == sum(path.stat().st_size for path in pair)
    hub.log.clear()
    for name in (f"{REPO}:Q8_0", REPO):
        answer = pull("ask", two, "What?", "-m", name, "--max-tokens", "3", "--json")
        assert answer.status == 0, answer.stderr
        assert answer.json["receipts"][0]["n_tokens"] == 16
    again = pull("pull", REPO)
    assert (again.status, "already" in again.stderr) == (0, True)
    assert hub.log == []


def test_ask_fetches_with_yes_and_answers(pull: Run, two: Path) -> None:
    done = pull("ask", two, "What?", "-m", REPO, "--max-tokens", "3", "--yes")
    assert done.status == 0
    assert "2 files" in done.stderr and "apache-2.0" in done.stderr


def test_the_variable_consents_too(pull: Run) -> None:
    assert pull("ask", "What?", "-m", REPO, "--max-tokens", "3", env={"MMCLI_YES": "1"}).status == 0


def test_large_files_come_by_a_redirect_and_the_token_stays_at_home(pull: Run, hub: Hub) -> None:
    hub.redirects = True
    assert pull("pull", REPO, env={"HF_TOKEN": TOKEN}).status == 0
    elsewhere = [request for request in hub.log if request.path.startswith("/blob/") and request.method == "GET"]
    assert [request.is_look for request in elsewhere] == [True, True, False, False]
    assert all(request.token is None for request in elsewhere)


def test_an_entry_of_one_s_own_is_pinned_and_carries_its_advice(
    pull: Run, hub: Hub, home: Path, pair: tuple[Path, Path]
) -> None:
    weights, projector = pair
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        f'[my-tiny]\nabout = "mine"\nrepo = "{REPO}"\nrevision = "{COMMIT}"\nlicence = "MIT"\nsees = true\n'
        f'weights = {{ file = "{weights.name}", bytes = {weights.stat().st_size}, sha256 = "{sha256}" }}\n'
        f'projector = {{ file = "{projector.name}" }}\nsampling = {{ temperature = 0 }}\n'
    )
    assert pull("pull", "my-t").status == 0  # the beginning of a name is enough
    hub.log.clear()
    listed = {row["name"]: row for row in pull("models", "--json").json}
    assert listed["my-tiny"]["here"] is True and listed["qwen3-vl-4b"]["here"] is False
    said = [pull("ask", "What?", "-m", "my-tiny", "--max-tokens", "8", "--no-loop-guard").stdout for _ in range(2)]
    assert said[0] == said[1]  # temperature 0, as the entry advises
    assert hub.log == []
    shown = pull("show", "my-tiny").stdout
    assert sha256 in shown and "llama" in shown
    own.write_text(own.read_text().replace(sha256, "0" * 64).replace("my-tiny", "other"))
    other = pull("pull", "other", env={"HF_HOME": str(home / "empty")})
    assert (other.status, "catalogue knows" in other.stderr) == (4, True)
    assert hub.sent == 0


def test_what_an_entry_tells_its_template_reaches_the_prompt(pull: Run, hub: Hub, home: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ greeting }}, {{ m['content'] }}{% endfor %}{{ enable_thinking }}"
    hub.add("tests/Polite", *random_llava.write(tmp_path / "polite", "tiny", template=template))
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        '[polite]\nabout = "mine"\nrepo = "tests/Polite"\nlicence = "MIT"\nsees = true\n'
        'weights = { file = "tiny.gguf" }\nprojector = { file = "tiny-mmproj.gguf" }\n'
        'template_kwargs = { greeting = "Good day", enable_thinking = false }\n'
    )
    asked = ("ask", "what?", "-m", "polite", "--max-tokens", "1", "--debug")
    assert pull(*asked, "--yes").prompt == "Good day, what?False"
    assert pull(*asked, "--think").prompt == "Good day, what?True"  # what the person says goes first


# what was interrupted


def test_a_cut_connection_goes_on_where_it_stopped(pull: Run, hub: Hub, pair: tuple[Path, Path]) -> None:
    hub.faults.cut_after = [100_000]
    assert pull("pull", REPO).status == 0
    assert hub.sent == sum(path.stat().st_size for path in pair)
    assert "bytes=100000-" in [request.range for request in hub.log]


def test_a_server_without_ranges_makes_it_start_anew(pull: Run, hub: Hub, cache: Path, pair: tuple[Path, Path]) -> None:
    hub.faults.cut_after, hub.faults.no_ranges = [100_000], True
    assert pull("pull", REPO).status == 0
    assert blobs(cache) == hashes(*pair)
    assert hub.sent == 100_000 + sum(path.stat().st_size for path in pair)


def test_a_killed_pull_goes_on_where_it_stopped(
    pull: Run, started: Any, hub: Hub, cache: Path, pair: tuple[Path, Path]
) -> None:
    hub.faults.bytes_per_second = 200_000
    process = started("pull", REPO)
    waits_for(lambda: any(file.stat().st_size > 0 for file in (cache / "hub").glob("**/*.incomplete")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (part,) = (cache / "hub").glob("**/*.incomplete")
    kept = part.stat().st_size
    time.sleep(0.3)  # until the server has seen it
    hub.faults.bytes_per_second = None
    hub.log.clear()
    assert pull("pull", REPO).status == 0
    assert hub.sent == sum(path.stat().st_size for path in pair) - kept
    assert blobs(cache) == hashes(*pair)


def test_ctrl_c_ends_a_pull_and_keeps_what_came(started: Any, hub: Hub, cache: Path) -> None:
    hub.faults.bytes_per_second = 100_000
    process = started("pull", REPO)
    waits_for(lambda: any(file.stat().st_size > 0 for file in (cache / "hub").glob("**/*.incomplete")))
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert b"Traceback" not in process.stderr.read()
    assert list((cache / "hub").glob("**/*.incomplete"))


def test_two_pulls_at_once_fetch_every_byte_once(started: Any, hub: Hub, cache: Path, pair: tuple[Path, Path]) -> None:
    hub.faults.bytes_per_second = 400_000
    processes = [started("pull", REPO) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert blobs(cache) == hashes(*pair)
    assert hub.sent == sum(path.stat().st_size for path in pair)


# what goes wrong


def test_damaged_bytes_are_removed_and_told(pull: Run, hub: Hub, cache: Path) -> None:
    hub.faults.flip_a_byte = True
    done = pull("pull", REPO)
    assert (done.status, done.stdout) == (5, "")
    assert "SHA-256" in done.stderr and "removed" in done.stderr
    assert blobs(cache) == []
    hub.faults.flip_a_byte = False
    assert pull("pull", REPO).status == 0


def test_a_file_that_another_program_left_cut_short_is_replaced(
    pull: Run, cache: Path, pair: tuple[Path, Path]
) -> None:
    assert pull("pull", REPO).status == 0
    blob = cache / "hub" / "models--tests--Tiny-GGUF" / "blobs" / hashes(pair[0])[0]
    with blob.open("r+b") as file:
        file.truncate(1000)
    (cache / "hub" / "models--tests--Tiny-GGUF" / "refs" / "main").unlink()
    assert pull("pull", REPO).status == 0
    assert blobs(cache) == hashes(*pair)


def test_a_gated_repository_needs_a_token(pull: Run, hub: Hub) -> None:
    hub.repos[REPO].gated = True
    done = pull("pull", REPO)
    assert done.status == 5
    assert "gated" in done.stderr and f"{hub.address}/{REPO}" in done.stderr and "HF_TOKEN" in done.stderr
    assert pull("pull", REPO, env={"HF_TOKEN": TOKEN}).status == 0


def test_weights_that_are_a_projector_are_told_by_their_header_before_they_are_fetched(pull: Run, hub: Hub) -> None:
    weights, projector = hub.repos[REPO].files.values()
    hub.repos[REPO].files = {"Tiny-Q8_0.gguf": projector, "mmproj-Tiny-F16.gguf": weights}
    done = pull("pull", REPO)
    assert (done.status, "is a projector, not" in done.stderr) == (4, True)
    assert hub.sent == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("pull", "tests/none"), 5, ("`tests/none`", "HF_TOKEN")),
        (("pull", f"{REPO}:Q2_K"), 4, ("`Q2_K`", f"`{REPO}:Q8_0`")),
        (("pull", "qwen3-vl"), 4, ("`qwen3-vl-2b`", "`qwen3-vl-8b`")),
        (("pull", "qwen3-vl-4x"), 4, ("`qwen3-vl-4x`", "`qwen3-vl-4b`")),
        (("pull",), 2, ("NAME",)),
    ],
)
def test_what_is_not_there_is_told(pull: Run, arguments: tuple[str, ...], status: int, words: tuple[str, ...]) -> None:
    done = pull(*arguments)
    assert (done.status, done.stdout) == (status, "")
    for word in words:
        assert word in done.stderr


def test_a_passing_trouble_is_waited_for(pull: Run, hub: Hub) -> None:
    hub.faults.answers = [(503, {}), (429, {"Retry-After": "1"})]
    assert pull("pull", REPO).status == 0


def test_a_hub_that_wants_much_patience_is_told_at_once(pull: Run, hub: Hub) -> None:
    hub.faults.answers = [(429, {"Retry-After": "3000"})]
    done = pull("pull", REPO)
    assert done.status == 5
    assert "429" in done.stderr and "3000 seconds" in done.stderr


def test_a_repository_cannot_write_outside_of_the_cache(pull: Run, hub: Hub, cache: Path) -> None:
    files = hub.repos[REPO].files
    hub.repos[REPO].files = {f"../../../../{name}": data for name, data in files.items()}
    done = pull("pull", REPO)
    assert (done.status, "impossible name" in done.stderr) == (5, True)
    assert not list(cache.parent.rglob("*.gguf"))
    hub.repos[REPO].files, hub.repos[REPO].commit = files, "../../../evil"
    assert pull("pull", REPO).status == 5
    assert not list(cache.parent.rglob("*.gguf"))


def test_offline_makes_no_connection_and_says_so(pull: Run, hub: Hub) -> None:
    done = pull("pull", REPO, env={"HF_HUB_OFFLINE": "1"})
    assert (done.status, "HF_HUB_OFFLINE" in done.stderr) == (5, True)
    assert hub.log == []


def test_a_hub_that_cannot_be_reached_is_told_soon(pull: Run) -> None:
    began = time.monotonic()
    done = pull("pull", REPO, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.status == 5
    assert "cannot reach http://127.0.0.1:9" in done.stderr and "HF_ENDPOINT" in done.stderr
    assert time.monotonic() - began < 10


@pytest.mark.skipif(not hasattr(pexpect, "spawn"), reason="pseudo-terminals need a Unix")
def test_on_a_terminal_the_person_is_asked_and_then_gets_the_answer(
    tmp_path: Path, environment: dict[str, str], hub: Hub, cache: Path
) -> None:
    def ask(reply: str) -> tuple[int | None, str]:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "mmcli", "ask", "What?", "-m", REPO, "--max-tokens", "3"],
            cwd=str(tmp_path),
            env=environment | hub.environment(cache) | {"TERM": "xterm-256color"},
            dimensions=(40, 200),
            timeout=60,
        )
        child.expect_exact("[Y/n] ")
        question = child.before.decode()
        assert f"Download {REPO}: 2 files, 0.4 MB, from {REPO}, licence: apache-2.0?" in question
        child.sendline(reply)
        child.expect(pexpect.EOF)
        child.close()
        return child.exitstatus, child.before.decode()

    status, text = ask("n")
    assert (status, hub.sent) == (4, 0)
    assert "was not downloaded" in text
    status, text = ask("")
    assert status == 0
    assert len(text.split()) >= 1 and "error" not in text


def test_progress_never_goes_backwards_even_when_the_server_starts_anew(
    hub: Hub, cache: Path, pair: tuple[Path, Path]
) -> None:
    hub.faults.cut_after, hub.faults.no_ranges = [150_000], True
    code = (
        "import sys; from mmcli import models; found = models.find(sys.argv[1]);"
        "models.fetch(models.plan(found), lambda *told: print(*told, sep='|'))"
    )
    env = dict(os.environ) | hub.environment(cache)
    done = subprocess.run([sys.executable, "-c", code, REPO], env=env, capture_output=True, text=True, check=True)
    seen = [(phase, int(n), int(total)) for phase, n, total in (line.split("|") for line in done.stdout.splitlines())]
    for path in pair:
        counts = [n for phase, n, total in seen if phase == f"download {path.name}" and total == path.stat().st_size]
        assert counts == sorted(counts) and counts[-1] == path.stat().st_size
        assert len(counts) > 2


def test_what_a_file_says_about_itself_is_shown_without_its_escape_sequences(mmcli: Run, tiny: Random) -> None:
    shown = mmcli("show", tiny.weights)
    assert shown.status == 0
    assert "\x1b" not in shown.stdout and "owned" not in shown.stdout
    assert "calls itself        red" in shown.stdout
    told = mmcli("show", tiny.weights, "--json").json
    assert (told["architecture"], told["abilities"], told["projector"]) == ("llama", ["image"], str(tiny.projector))
    assert "USER: " in told["template"]


def test_nobody_is_asked_in_a_pipe_and_the_commands_that_help_are_named(pull: Run, hub: Hub) -> None:
    for arguments, name in ((("-m", REPO), REPO), (("-m", "qwen3-vl-2b"), "qwen3-vl-2b"), ((), "qwen3")):
        done = pull("ask", "What?", *arguments)
        assert (done.status, done.stdout) == (4, "")
        assert f"mmcli pull {name}" in done.stderr and "-m starter" in done.stderr
    assert hub.log == []


def test_what_a_model_cannot_do_is_told_before_it_is_fetched(pull: Run, hub: Hub, tmp_path: Path) -> None:
    sound = tmp_path / "tone.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 8000)
    done = pull("ask", sound, "What?", "-m", "qwen3-vl-2b")
    assert (done.status, "cannot hear" in done.stderr, "whisper-small" in done.stderr) == (4, True, True)
    assert hub.log == []
    pull("ask", sound, "What?", "-m", "qwen3-vl-2b", "--yes")  # what writes it down is fetched first
    assert hub.log and all("faster-whisper-small" in request.path for request in hub.log)


def test_a_cache_that_cannot_be_written_is_a_sentence(pull: Run, cache: Path) -> None:
    cache.write_text("a file, where a folder is wanted")
    done = pull("pull", REPO)
    assert (done.status, "cannot write" in done.stderr) == (6, True)


def test_a_disk_that_is_too_small_is_told_before_the_first_byte(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(cache))
    with pytest.raises(ResourceError, match="GB free"):
        client.check_disk(10**18)


# whether it sees


def test_a_check_after_a_pull_tells_who_does_not_see(pull: Run) -> None:
    done = pull("pull", REPO, "--check", "--json")
    assert (done.status, done.json[0]["sees"]) == (4, False)
    told = pull("pull", REPO, "--check")  # of what is here already, too
    assert told.status == 4 and "does not see what it is shown" in told.stderr
    assert told.stdout.rstrip("\n").split("\t")[-1] == "no"


def test_a_check_after_a_pull_tells_who_sees(pull: Run, hub: Hub) -> None:
    hub.add("tests/Seeing", WEIGHTS, STARTER / "starter-mmproj.gguf")
    done = pull("pull", "tests/Seeing", "--check", "--json")
    verdicts = {0: True, 4: False}  # the starter reads most of its cards, and which one it gets is drawn anew
    assert done.json[0]["sees"] is verdicts[done.status]


@pytest.mark.parametrize("arguments", [(), ("--yes",), ("--no-check",)])
def test_nobody_who_cannot_be_asked_waits_for_a_check(pull: Run, arguments: tuple[str, ...]) -> None:
    done = pull("pull", REPO, *arguments, "--json")
    assert (done.status, done.json[0]["sees"]) == (0, None)


@pytest.mark.skipif(not hasattr(pexpect, "spawn"), reason="pseudo-terminals need a Unix")
@pytest.mark.parametrize(("reply", "status", "verdict"), [("n", 0, False), ("", 4, True)])
def test_on_a_terminal_the_check_is_offered(
    tmp_path: Path, environment: dict[str, str], hub: Hub, cache: Path, reply: str, status: int, verdict: bool
) -> None:
    env = environment | hub.environment(cache) | {"TERM": "xterm-256color"}
    child = pexpect.spawn(
        sys.executable, ["-m", "mmcli", "pull", REPO], cwd=str(tmp_path), env=env, dimensions=(40, 200), timeout=60
    )
    child.expect_exact("[Y/n] ")
    child.sendline("")
    child.expect_exact("to find out whether it sees? [Y/n] ")
    child.sendline(reply)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert ("does not see what it is shown" in child.before.decode()) == verdict
