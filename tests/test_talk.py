"""A conversation without any terminal: its turns, its media, and what the model gets of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mmcli import chat, engine, media
from mmcli.chat import Conversation
from mmcli.chat import input as lines
from mmcli.engine import Answer, Piece, Sampling
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import ContextFull, InputError, UsageError
from mmcli.media import Medium, encode
from tests import random_llava
from tests.conftest import draw
from tests.engines import STARTER, picture

GREEDY = Sampling(temperature=0, max_tokens=32)
SHORT = Sampling(temperature=0, max_tokens=8, loop_guard=False)
WHAT = "What is in this picture?"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("models"), "tiny")


@pytest.fixture
def starter() -> Iterator[LocalEngine]:
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf", Options(media_newline=True)) as loaded:
        yield loaded


def ask(conversation: Conversation, running: LocalEngine, words: str, sampling: Sampling = GREEDY) -> Answer:
    *_, last = conversation.ask(running, words, sampling)
    assert last.answer is not None
    return last.answer


class Notes:
    """A recorder that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def question(
        self,
        text: str,
        media: Sequence[Medium] = (),
        sampling: Sampling | None = None,
        *,
        heard_by: str | None = None,
    ) -> int:
        self.told.append(f"? {text} {len(media)}")
        return len(self.told)

    def keep(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        said = ""
        for piece in pieces:
            said += piece.text
            yield piece
        self.told.append(f"! {said}")

    def drop(self, turn: int, place: int) -> None:
        self.told.append(f"x {turn} {place}")

    def leave_out(self, n_turns: int) -> None:
        self.told += [f"< {n_turns}"] if n_turns else []

    def take_back(self, n_turns: int = 1) -> None:
        self.told.append(f"- {n_turns}")


# turns and media


def test_staged_media_go_with_the_next_question_only(starter: LocalEngine) -> None:
    conversation = Conversation()
    assert conversation.stage(picture("red")) == 1
    assert "red circle" in ask(conversation, starter, WHAT).text
    assert conversation.staged == []
    assert ask(conversation, starter, "How many shapes are there?").text == "There is 1 shape."
    assert [len(turn.media) for turn in conversation.turns] == [1, 0]
    assert starter.n_encodes == 1


def test_undo_stages_the_media_again_and_retry_encodes_nothing(starter: LocalEngine) -> None:
    conversation = Conversation()
    conversation.stage(picture("red"))
    first = ask(conversation, starter, WHAT)
    turn = conversation.undo()
    assert (turn.words, conversation.turns, len(conversation.staged)) == (WHAT, [], 1)
    assert ask(conversation, starter, turn.words).text == first.text
    assert starter.n_encodes == 1


def test_undo_without_a_turn_says_so() -> None:
    with pytest.raises(UsageError, match="nothing was asked yet"):
        Conversation().undo()


def test_a_dropped_picture_is_not_shown_to_the_model_any_more(starter: LocalEngine) -> None:
    conversation = Conversation()
    conversation.stage(picture("red"))
    ask(conversation, starter, WHAT)
    conversation.stage(picture("blue", "green"))
    conversation.stage(picture("yellow"))
    assert conversation.drop(1).receipt.source == "red"
    assert conversation.drop(2).receipt.source == "yellow"
    assert [medium.receipt.source for medium in conversation.media] == ["blue-green"]
    told = ask(conversation, starter, WHAT)
    assert [seen.receipt.source for seen in told.seen] == ["blue-green"]


def test_of_equal_pictures_the_one_that_was_meant_is_dropped(starter: LocalEngine) -> None:
    notes = Notes()
    conversation = Conversation(recorder=notes)
    for words in ("One?", "Two?"):
        for _ in range(2):
            conversation.stage(picture("red"))
        ask(conversation, starter, words)
    conversation.drop(1)
    conversation.drop(1)  # the second of the first question's
    conversation.drop(2)
    assert [told for told in notes.told if told.startswith("x")] == ["x 1 0", "x 1 1", "x 3 1"]
    assert [len(turn.media) for turn in conversation.turns] == [0, 1]


@pytest.mark.parametrize("number", [0, 2, 99])
def test_a_number_that_no_medium_has_is_told(number: int) -> None:
    conversation = Conversation()
    conversation.stage(picture("red"))
    with pytest.raises(UsageError, match=f"no file {number}: there is one"):
        conversation.drop(number)
    assert len(conversation.media) == 1


def test_a_question_is_recorded_before_its_answer_and_an_undo_after_it(starter: LocalEngine) -> None:
    notes = Notes()
    conversation = Conversation(recorder=notes)
    conversation.stage(picture("red"))
    pieces = conversation.ask(starter, WHAT, GREEDY)
    next(pieces)
    assert notes.told == [f"? {WHAT} 1"]
    for _ in pieces:
        pass
    conversation.undo()
    assert notes.told == [f"? {WHAT} 1", "! I see a red circle.", "- 1"]


def test_what_was_said_before_the_reader_left_stays(starter: LocalEngine) -> None:
    conversation = Conversation()
    conversation.stage(picture("red"))
    pieces = conversation.ask(starter, WHAT, GREEDY)
    said = next(pieces).text
    pieces.close()
    (turn,) = conversation.turns
    assert (turn.said, turn.finish_reason) == (said, "interrupted")
    assert conversation.staged == []


def test_a_question_without_an_answer_is_not_part_of_the_talk(starter: LocalEngine) -> None:
    notes = Notes()
    conversation = Conversation(recorder=notes)
    conversation.stage(picture("red"))
    starter.stop()
    told = ask(conversation, starter, WHAT)
    assert (told.text, told.finish_reason) == ("", "interrupted")
    assert (conversation.turns, len(conversation.staged)) == ([], 1)
    assert notes.told[-1] == "- 1"
    assert "red circle" in ask(conversation, starter, WHAT).text


# a full context


def test_a_full_context_leaves_out_the_oldest_turns_but_no_picture_and_no_system_prompt(
    tiny: tuple[Path, Path],
) -> None:
    told: list[str] = []
    notes = Notes()
    conversation = Conversation("Be brief.", recorder=notes, on_notice=told.append)
    with engine.load(*tiny, Options(media_newline=True, n_ctx=512)) as running:
        conversation.stage(picture("red"))
        for i in range(9):
            answer = ask(conversation, running, f"{i}: and this? {'why ' * 12}", SHORT)
            assert answer.n_past <= 512
            assert [seen.receipt.source for seen in answer.seen] == ["red"]
            if i == 4:
                conversation.stage(picture("blue"))
                ask(conversation, running, "And this one?", SHORT)
                conversation.drop(2)
        assert running.n_encodes == 2
    assert conversation.n_left_out > 0
    assert f"< {conversation.n_left_out}" in notes.told
    assert f"x {notes.told.index('? And this one? 1') + 1} 0" in notes.told
    assert len(told) >= 2, "a notice each time that turns are left out"
    assert "the context is full" in told[0] and "all files stay" in told[0]
    first, second, *_ = conversation.messages()
    assert first.parts == ("Be brief.",)
    assert [medium.receipt.source for medium in second.media] == ["red"]
    assert len(conversation.turns) == 10, "nothing is lost"


def test_a_question_for_which_there_is_no_room_is_refused_with_numbers(tiny: tuple[Path, Path]) -> None:
    conversation = Conversation()
    with engine.load(*tiny, Options(media_newline=True, n_ctx=256)) as running:
        ask(conversation, running, "Hello", SHORT)
        conversation.stage(picture("red"))
        with pytest.raises(ContextFull, match=r"takes \d+ tokens and an answer 8, but the context holds only 256") as e:
            ask(conversation, running, "why " * 300, SHORT)
        assert e.value.status == 6 and e.value.hint is not None and "/drop" in e.value.hint
        assert (len(conversation.turns), len(conversation.staged), conversation.n_left_out) == (1, 1, 0)
        ask(conversation, running, "Then this.", SHORT)


# saved


def test_a_saved_talk_is_loaded_with_its_media(starter: LocalEngine, tmp_path: Path) -> None:
    file = draw(tmp_path / "two.png", "red circle", "blue square")
    (source,) = media.find([str(file)])
    conversation = Conversation("Be brief.")
    conversation.stage(media.load(source))
    conversation.stage(media.load(media.Source("clip:", data=file.read_bytes())))
    ask(conversation, starter, WHAT)
    conversation.stage(media.load(media.Source("-", data=b"a text")))
    document = json.loads(json.dumps(chat.dump(conversation, "starter", encode.pack)))
    assert "data" not in document["turns"][0]["media"][0], "a file is named, not copied"

    system, turns, staged = chat.restore(document, load_again)
    assert system == "Be brief."
    assert [(turn.words, turn.said) for turn in turns] == [(turn.words, turn.said) for turn in conversation.turns]
    before = [medium.id for medium in conversation.turns[0].media]  # type: ignore[union-attr]
    assert [medium.id for medium in turns[0].media] == before  # type: ignore[union-attr]
    assert [medium.receipt.source for medium in staged] == ["-"]

    draw(file, "green triangle")
    with pytest.raises(InputError, match="has changed since this conversation"):
        chat.restore(document, load_again)


def load_again(told: dict[str, str]) -> Medium:
    import base64

    if told["place"]:
        return media.load(media.find([told["place"]])[0])
    return media.load(media.Source(told["source"], data=base64.b64decode(told["data"])))


@pytest.mark.parametrize(
    "document", [None, [], {}, {"mmcli": "talk", "version": 9}, {"mmcli": "talk", "version": 1, "turns": [1]}]
)
def test_what_is_no_saved_talk_is_told(document: object) -> None:
    with pytest.raises(InputError):
        chat.restore(document, load_again)


def test_markdown_has_the_whole_talk(starter: LocalEngine) -> None:
    conversation = Conversation()
    conversation.stage(picture("red"))
    ask(conversation, starter, WHAT)
    text = chat.markdown(conversation, "starter")
    assert "> *red*" in text and f"> {WHAT}" in text and "I see a red circle." in text


# lines


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("a.png", "my pic.png", "b.txt", "README", "it's.png"):
        (tmp_path / name).write_text("x")
    monkeypatch.chdir(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("  ", chat.Empty()),
        ("hello", chat.Question("hello")),
        ("/help", chat.Command("help", "")),
        ("/attach a.png 'my pic.png'", chat.Command("attach", "a.png 'my pic.png'")),
        ("/hepl me", chat.Command("hepl", "me")),
        ("/?", chat.Command("?", "")),
        ("D/a.png", chat.Attach(("D/a.png",), "")),
        ("D/a.png what is it?", chat.Attach(("D/a.png",), "what is it?")),
        ("'D/my pic.png' what's it?", chat.Attach(("D/my pic.png",), "what's it?")),
        ("D/my pic.png", chat.Attach(("D/my pic.png",), "")),
        (r"D/my\ pic.png and?", chat.Attach(("D/my pic.png",), "and?")),
        ("D/a.png D/it\\'s.png", chat.Attach(("D/a.png", "D/it's.png"), "")),
        ("file://D/my%20pic.png", chat.Attach(("file://D/my%20pic.png",), "")),
        ("/no/such.png hi", chat.Attach(("/no/such.png",), "hi")),
        ("a.png", chat.Attach(("a.png",), "")),
        ("a.png 'my pic.png'", chat.Attach(("a.png", "my pic.png"), "")),
        ("@a.png", chat.Attach(("a.png",), "")),
        ("README", chat.Question("README")),
        ("what's up", chat.Question("what's up")),
        ("a.png is what?", chat.Question("a.png is what?")),
        ('"""\n/help\n"""', chat.Question("/help")),
        ("https://example.org/a.png", chat.Attach(("https://example.org/a.png",), "")),
        ("see https://example.org/a.png", chat.Question("see https://example.org/a.png")),
    ],
)
def test_what_a_line_means(folder: str, text: str, meant: chat.Line) -> None:
    if isinstance(meant, chat.Attach):
        meant = chat.Attach(tuple(path.replace("D/", folder + "/") for path in meant.paths), meant.words)
    assert chat.read(text.replace("D/", folder + "/"), {"help", "attach"}) == meant


def test_a_command_wins_over_a_folder_of_its_name() -> None:
    assert os.path.isdir("/tmp")
    assert chat.read("/tmp", {"tmp"}) == chat.Command("tmp", "")
    assert chat.read("/tmp", {"help"}) == chat.Attach(("/tmp",), "")


@pytest.mark.parametrize(
    ("words", "paths", "left"),
    [
        ("what is @a.png?", ("a.png",), "what is a.png?"),
        ("@'my pic.png' or @my\\ pic.png.", ("my pic.png", "my pic.png"), "my pic.png or my pic.png."),
        ("see @missing.png", ("missing.png",), "see missing.png"),
        ("see @/no/such", ("/no/such",), "see such"),
        ("@alice, mail a@b.png", (), "@alice, mail a@b.png"),
        ("@app.route('/x')", (), "@app.route('/x')"),
    ],
)
def test_files_in_a_message(folder: str, words: str, paths: tuple[str, ...], left: str) -> None:
    assert chat.files_in(words) == (paths, left)


@pytest.mark.parametrize(
    ("text", "n_paths"),
    [("'D/my pic.png' D/a.png", 2), ("D/my pic.png\n", 1), ("a.png", 0), ("see D/a.png", 0), ("D/b.txt", 0), ("", 0)],
)
def test_a_paste_that_is_nothing_but_pictures(folder: str, text: str, n_paths: int) -> None:
    assert len(chat.dropped(text.replace("D/", folder + "/"))) == n_paths


@pytest.mark.parametrize("name", ["a b.png", "it's.png", 'q"q.png', "back\\slash.png", "日本 語.png"])
def test_a_folded_path_is_one_word(name: str) -> None:
    assert chat.split(f"x {lines.fold(name)} y") == ["x", name, "y"]


# completion

WORDS = chat.Words(
    {"attach": ("stage files", "paths"), "model": ("another one", "model"), "drop": ("take out", "number")},
    lambda: ["starter", "qwen3-vl-2b"],
    lambda: 2,
)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("/", ["/attach ", "/model ", "/drop "]),
        ("/mo", ["/model "]),
        ("/attach ", ["a.png", "b.txt", r"it\'s.png", r"my\ pic.png", "README"]),
        ("/attach a.png my", [r"my\ pic.png"]),
        ("/attach my\\ p", [r"my\ pic.png"]),
        ("/model st", ["starter"]),
        ("/drop ", ["1", "2"]),
        ("what is @my", [r"my\ pic.png"]),
        ("what is my", []),
        ("./a", ["./a.png"]),
        ('"""\nlook at @a', ["a.png"]),
        ("/none x", []),
    ],
)
def test_what_completion_offers(folder: str, text: str, offered: list[str]) -> None:
    found = list(chat.candidates(text, WORDS))
    assert [one.text for one in found if not one.text.startswith("/") or text.startswith("/")] == offered
    for one in found:
        assert text.endswith(text[len(text) - one.back :])
