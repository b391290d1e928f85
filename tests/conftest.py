"""Runs mmcli as a person does: another process, a home of its own, no settings but those a test gives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import pytest
from PIL import Image, ImageDraw

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

import mmcli as package
from tests import random_llava
from tests.virtual_microphone import VirtualMicrophone, virtual_microphone

STARTER = Path(package.__file__).parent / "models" / "starter"
WEIGHTS, PROJECTOR = STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
TIMEOUT = 120  # seconds: only a hang takes that long


def pytest_configure(config: pytest.Config) -> None:
    # Containers often set this; then each of our thousands of processes would compile all that it imports anew, which
    # takes two thirds of its time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Python 3.12 warns where a process with threads opens a pseudo-terminal; llama.cpp's threads are such, and idle.
    config.addinivalue_line("filterwarnings", "ignore:.*use of forkpty:DeprecationWarning")
    # A script's background jobs, and what nohup starts, ignore these, and so would every program that we test.
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGQUIT", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    ):
        number = getattr(signal, name, None)  # Windows has the first alone
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


# What a test asks for, or its module imports, if it starts processes, or runs models in this one.
PROCESS = {"mmcli", "environment", "microphone", "needs_espeak", "Terminal", "Voice", "subprocess", "pexpect"}
SOUND = "sound"  # the group of tests that play or record in real time
ENGINE = {
    "tiny",
    "parrot",
    "speech_model",
    "random_llava",
    "random_speakers",
    "scripted",
    "LocalEngine",
    "talker",
    "tts",
}


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes and what runs models; the rest is `quick`. Share the tests between two processes.

    A file stays in one of them, and so does all that plays or records sound in real time.
    """
    for item in items:
        module = vars(getattr(item, "module", object))
        uses_sound = "needs_microphone" in module
        item.add_marker(pytest.mark.xdist_group(name=SOUND if uses_sound else item.path.stem))
        used = {*getattr(item, "fixturenames", ()), *module}
        for name, signs in (("process", PROCESS), ("engine", ENGINE)):
            if used & signs:
                item.add_marker(name)
        if not any(item.get_closest_marker(name) for name in ("process", "engine", "slow", "real")):
            item.add_marker("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What plays or records sound in real time has the machine to itself: the other process of xdist waits meanwhile.

    Whoever wants to begin goes through a gate; one that waits for the machine keeps the gate, so its turn comes.
    """
    run = getattr(item.config, "workerinput", {}).get("testrunuid")
    if run is None or fcntl is None:
        return (yield)
    alone = item.get_closest_marker("xdist_group").kwargs.get("name") == SOUND  # type: ignore[union-attr]
    with _locked(f"{run}-gate", fcntl.LOCK_EX) as gate, _locked(run, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if run := getattr(session.config, "workerinput", {}).get("testrunuid"):
        for name in (run, f"{run}-gate"):  # the other process, if it still runs, is alone now
            _lock_file(name).unlink(missing_ok=True)


def _lock_file(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"mmcli-tests-{name}.lock"


@contextmanager
def _locked(name: str, kind: int) -> Iterator[int]:
    with _lock_file(name).open("a") as file:
        fcntl.flock(file, kind)
        yield file.fileno()


@pytest.fixture(autouse=True)
def _quick_is_quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that is marked `quick` starts no process: it would belong to the others."""
    if request.node.get_closest_marker("quick"):

        def refuse(*args: object, **kwargs: object) -> None:
            raise AssertionError("a quick test starts no process: name what does it in tests/conftest.py's PROCESS")

        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


@dataclass(frozen=True)
class Completed:
    """How one run of mmcli ended."""

    status: int
    stdout: str
    stderr: str
    stdout_bytes: bytes = b""

    @property
    def words(self) -> set[str]:
        """The words of the answer, in lower case and without punctuation."""
        return {word.strip(".,!?") for word in self.stdout.lower().split()}

    @property
    def json(self) -> Any:
        """stdout, which must be one JSON document and nothing else."""
        return json.loads(self.stdout)

    @property
    def json_error(self) -> Any:
        """What --json says on stderr: one object and nothing else."""
        return json.loads(self.stderr)["error"]

    @property
    def prompt(self) -> str:
        """The rendered prompt that --debug shows."""
        import ast

        lines = [line for line in self.stderr.splitlines() if line.startswith("prompt: ")]
        assert len(lines) == 1, self.stderr[-2000:]
        return str(ast.literal_eval(lines[0].removeprefix("prompt: ")))


Run = Callable[..., Completed]


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without anything that mmcli, Rich or the Hub would take as a wish of the person."""
    unwanted = ("MMCLI_", "HF_", "XDG_", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES", "LC_", "LANG")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and not name.lower().endswith("_proxy")
    }
    return kept | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder that mmcli is given: empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return clean_environment(home)


@pytest.fixture
def mmcli(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run `mmcli ARGUMENTS` in `tmp_path` with `stdin` piped into it (None: /dev/null); wait for its end."""

    def run(*arguments: str | Path, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Completed:
        done = subprocess.run(
            [sys.executable, "-m", "mmcli", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | (env or {}),
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT,
        )
        text = done.stdout.decode(errors="surrogateescape")
        return Completed(done.returncode, text, done.stderr.decode(), done.stdout)

    return run


@pytest.fixture
def ask(mmcli: Run) -> Run:
    """The same for `mmcli ask … -m starter --temperature 0`."""

    def run(*arguments: str | Path, **how: Any) -> Completed:
        return mmcli("ask", "-m", "starter", "--temperature", "0", *arguments, **how)

    return run


@pytest.fixture
def caption(mmcli: Run) -> Run:
    """The same for `mmcli caption … -m starter`."""

    def run(*arguments: str | Path, **how: Any) -> Completed:
        return mmcli("caption", "-m", "starter", *arguments, **how)

    return run


def draw(path: Path, *shapes: str, size: tuple[int, int] | None = None) -> Path:
    """Draw big clear shapes from left to right on white, such as "red circle" and "blue square"."""
    width, height = size or (160 * len(shapes), 240)
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for i, (colour, shape) in enumerate(text.split() for text in shapes):
        x, y, r = int((i + 0.5) * width / len(shapes)), height // 2, min(width // len(shapes), height) // 4
        if shape == "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        elif shape == "square":
            pen.rectangle((x - r, y - r, x + r, y + r), fill=colour)
        else:
            assert shape == "triangle", shape
            pen.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=colour)
    picture.save(path)
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """two.png: a red circle on the left, a blue square on the right."""
    return draw(tmp_path / "two.png", "red circle", "blue square")


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """one.png: a green triangle."""
    return draw(tmp_path / "one.png", "green triangle")


@dataclass(frozen=True)
class Random:
    """A model with random weights, as the options that choose it."""

    weights: Path
    projector: Path

    @property
    def options(self) -> tuple[str, ...]:
        return ("-m", str(self.weights), "--mmproj", str(self.projector), "--no-cache", "--temperature", "0")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Random:
    """A model that answers nonsense at once, and whose metadata would command a terminal."""
    folder = tmp_path_factory.mktemp("tiny")
    return Random(*random_llava.write(folder, "tiny", metadata={"general.name": "\x1b]0;owned\x07\x1b[31mred"}))


PARROT = "w2e"


@pytest.fixture(scope="session")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Random]:
    """A model that takes about a second for a picture, and then says one word for ever (at temperature 0)."""
    model = Random(*random_llava.write(tmp_path_factory.mktemp("parrot"), "slow"))
    reader = gguf.GGUFReader(model.weights, "r+")
    vocabulary = reader.fields["tokenizer.ggml.tokens"].contents()
    word = vocabulary.index("▁" + PARROT)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}  # (rows, bytes of a row)
    for name, rows in tensors.items():
        if name.endswith(("output.weight", "ffn_down.weight")):
            rows[:] = 0  # so the last token's embedding comes through all layers unchanged
    tensors["token_embd.weight"][:] = tensors["token_embd.weight"][word].copy()
    tensors["output.weight"][word] = tensors["token_embd.weight"][word]
    del reader, tensors, rows
    yield model
    for path in (model.weights, model.projector):  # 60 MB: pytest keeps the last three folders
        path.unlink()


@pytest.fixture
def microphone() -> Iterator[VirtualMicrophone]:
    with virtual_microphone() as found:
        yield found


@pytest.fixture
def loudspeaker(microphone: VirtualMicrophone) -> VirtualMicrophone:
    """The same sound server: what is played is what the microphone hears."""
    return microphone


@pytest.fixture(scope="session")
def speech_model() -> Path:
    """The starter speech model, or the one that MMCLI_TEST_SPEECH_MODEL names: a folder, and a Whisper of its words."""
    named = os.environ.get("MMCLI_TEST_SPEECH_MODEL")
    for folder in (STARTER / "speech", *([Path(named)] if named else [])):
        if (folder / "model.bin").is_file():
            return folder
    pytest.skip("no starter speech model in this checkout; MMCLI_TEST_SPEECH_MODEL=FOLDER names another")
