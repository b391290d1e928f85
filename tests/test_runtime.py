"""What every front end shares, without a terminal: it works for nobody, prints nothing, and tells a reporter."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmcli import engine, media, models
from mmcli.errors import ModelError, UsageError
from mmcli.runtime import model_fetch, model_loader, transcription
from mmcli.runtime.reporter import OnProgress, Reporter, Silent
from mmcli.terminal import Screen
from tests.conftest import PICTURES

SOUND = PICTURES.parent / "sounds" / "question.ogg"


class Notes(Silent):
    """A reporter that remembers what it was told, and says yes where `answer` does."""

    def __init__(self, answer: bool | None = None) -> None:
        self.answer = answer
        self.notices: list[str] = []
        self.warnings: list[str] = []
        self.phases: list[str] = []
        self.questions: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def can_ask(self) -> bool:
        return self.answer is not None

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return bool(self.answer)

    @contextlib.contextmanager
    def progress(self) -> Iterator[OnProgress]:
        yield lambda phase, done, total: self.phases.append(phase)


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [Silent, Screen, Notes])
def test_a_reporter_has_what_the_contract_names(kind: type) -> None:
    for name, promised in inspect.getmembers(Reporter, inspect.isfunction):
        if not name.startswith("_"):
            kept = inspect.signature(getattr(kind, name))
            assert list(kept.parameters) == list(inspect.signature(promised).parameters), name
    assert hasattr(kind, "is_debug")


def test_the_starter_is_found_loaded_and_asked_for_nobody() -> None:
    reporter = Silent()
    found = model_fetch.find("starter", None, yes=False, reporter=reporter)
    model = model_fetch.here(found, yes=False, reporter=reporter)
    (source,) = media.find([str(PICTURES / "shapes.png")])
    picture = media.load(source)
    assert isinstance(picture, media.Image)
    sampling = model_loader.sampling(model, model_loader.Choice(temperature=0))
    with model_loader.load(model, model_loader.Machine(cache=False), reporter) as ready:
        *_, last = ready.generate([engine.Message("user", (picture, "How many shapes are there?"))], sampling)
    assert last.answer is not None and last.answer.text == "There are 3 shapes."
    assert model_loader.status(last.answer) == 0


def test_nobody_is_asked_before_a_download_and_none_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = model_fetch.find("smolvlm-256m", None, yes=False, reporter=Silent())
    assert isinstance(found, models.WantedModel)
    with pytest.raises(ModelError, match="is not on this machine yet") as refused:
        model_fetch.here(found, yes=False, reporter=Silent())
    assert "mmcli pull smolvlm-256m" in (refused.value.hint or "")


def test_a_sound_is_written_down_and_the_reporter_told() -> None:
    notes = Notes()
    speech = models.find_speech("starter")
    assert isinstance(speech, models.SpeechModel)
    (source,) = media.find([str(SOUND)], kinds=frozenset({"audio"}))
    sound = media.load(source, kinds=frozenset({"audio"}))
    assert isinstance(sound, media.Audio)
    (text,) = transcription.write_down([sound], speech, "some model", notes)
    assert "What is in this picture?" in text.text
    assert notes.notices == [f"{SOUND}: `some model` cannot hear; it gets a transcript by {speech.name}"]
    assert any(phase.startswith("listening to") for phase in notes.phases)


def test_a_sampling_is_what_was_chosen_then_the_makers_advice_then_ours() -> None:
    starter = models.find("starter")
    assert isinstance(starter, models.Model)
    plain = model_loader.sampling(starter, model_loader.Choice())
    assert plain == engine.Sampling(**starter.advice.sampling)
    chosen = model_loader.sampling(starter, model_loader.Choice(temperature=1.5, seed=3, stop=("a",)))
    assert (chosen.temperature, chosen.seed, chosen.stop) == (1.5, 3, ("a",))
    assert chosen.max_tokens == plain.max_tokens


def test_an_unknown_template_is_refused_with_a_near_name() -> None:
    with pytest.raises(UsageError) as refused:
        model_loader.template("chatmll")
    assert "did you mean `chatml`?" in (refused.value.hint or "")
