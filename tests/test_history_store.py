"""The history's file: what is written is found again, whatever else writes, breaks or is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mmcli import media
from mmcli.engine.messages import Answer, Piece, Sampling, Seen, Usage
from mmcli.errors import InputError, MmcliError, ResourceError
from mmcli.history import Recorder, Store, schema
from mmcli.media.types import Image, Medium, Text
from tests.conftest import TIMEOUT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "data") as store:
        yield store


def load(path: Path | str) -> Medium:
    return media.load(media.find([str(path)])[0])


def answered(text: str, *inputs: Medium, reasoning: str = "") -> Answer:
    seen = tuple(Seen(m.receipt, "id", 64, 60, "encoded") for m in inputs)
    usage = Usage(prompt_tokens=78, completion_tokens=14, seconds={"load": 0.1})
    return Answer(text, reasoning, "stop", seen, usage, "starter", "aa", "bb", "CPU", 1280, 92, 7)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def said(store: Store, talk: str | None = None) -> list[tuple[str, str]]:
    return [(turn.question, turn.said) for turn in store.load(talk).live]


# what is kept


def test_what_was_dropped_and_left_out_is_written_down(store: Store, one: Path, two: Path) -> None:
    red, blue = load(one), load(two)
    talk = store.start("chat", "starter")
    first = store.ask(talk, "What?", [red, blue])
    second = store.ask(talk, "And this?", [red])
    assert store.drop(first, 0)
    assert not store.drop(first, 0)
    assert not store.drop(second, 1)
    assert [[each.is_dropped for each in turn.shown] for turn in store.load(talk).turns] == [[True, False], [False]]
    assert store.drop(second, 0)
    assert [[each.is_dropped for each in turn.shown] for turn in store.load(talk).turns] == [[True, False], [True]]
    store.leave_out(talk, 1)
    assert store.load(talk).n_left_out == 1


def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "history.db") as database:
        database.executescript(schema.MIGRATIONS[0])
        database.execute("INSERT INTO talks VALUES ('222222', 'chat', 'starter', NULL, NULL, 1, 2)")
        database.execute("INSERT INTO turns (talk, asked, model, question) VALUES ('222222', 1, 'starter', 'What?')")
        database.execute("PRAGMA user_version = 1")
        database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    database.close()
    with Store(tmp_path) as store:
        assert [turn.question for turn in store.load("222222").turns] == ["What?"]
        assert store.load("222222").n_left_out == 0
        store.leave_out("222222", 1)
        assert store.load("222222").n_left_out == 1


def test_a_talk_comes_back_as_it_was(store: Store, two: Path) -> None:
    picture = load(two)
    talk = store.start("chat", "starter", "Be brief.", mmproj="/models/mmproj.gguf")
    turn = store.ask(talk, "What is this?", [picture], sampling=Sampling(temperature=0, stop=("x",)))
    answer = answered("A circle.", picture, reasoning="Hm.")
    store.finish(turn, answer)
    found = store.load(talk)
    assert (found.kind, found.model, found.mmproj, found.system) == (
        "chat",
        "starter",
        "/models/mmproj.gguf",
        "Be brief.",
    )
    (kept,) = found.turns
    assert (kept.question, kept.said, kept.finish_reason, kept.error) == ("What is this?", "A circle.", "stop", None)
    assert kept.answer == answer
    assert kept.sampling is not None and (kept.sampling["temperature"], kept.sampling["stop"]) == (0, ["x"])
    (shown,) = kept.shown
    assert isinstance(picture, Image)
    assert (shown.receipt, shown.media_id) == (picture.receipt, picture.id)
    assert (shown.path, shown.url, shown.text) == (str(two), None, None)


def test_a_path_is_kept_from_the_root_on(store: Store, two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(two.parent)
    store.ask(store.start("ask", "starter"), "What?", [load("two.png")])
    (shown,) = store.load().turns[0].shown
    assert (shown.receipt.source, shown.path) == ("two.png", str(two))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")
def test_names_and_words_that_are_no_unicode_are_kept(store: Store, two: Path) -> None:
    name = os.fsdecode(os.fsencode(two.parent) + b"/\xff.png")
    os.rename(two, name)
    turn = store.ask(store.start("ask", "starter", "\udcff"), "What\udcff?", [load(name)])
    store.finish(turn, answered("\udcff"))
    (turn_,) = store.load().turns
    assert turn_.shown[0].path == name
    assert turn_.question == "What??"


def test_a_piped_text_is_part_of_the_question_and_a_text_file_is_not(store: Store, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Some notes.")
    piped = media.load(media.find(["-"], stdin=b"A piped text.")[0])
    store.ask(store.start("ask", "starter"), "Why?", [piped, load(tmp_path / "notes.md")])
    first, second = store.load().turns[0].shown
    assert isinstance(piped, Text)
    assert (first.text, first.path) == ("A piped text.", None)
    assert (second.text, second.path) == (None, str(tmp_path / "notes.md"))


def test_a_password_in_an_address_is_not_kept(store: Store, two: Path, tmp_path: Path) -> None:
    source = media.Source("https://example.org/two.png?x=1", data=two.read_bytes())
    store.ask(store.start("ask", "starter"), "What?", [media.load(source)])
    (shown,) = store.load().turns[0].shown
    assert (shown.url, shown.path) == ("https://example.org/two.png?x=1", None)


def test_a_question_without_an_answer_counts_as_interrupted(store: Store) -> None:
    turn = store.ask(store.start("ask", "starter"), "What?")
    store.say(turn, "So f", "Thinking")
    (kept,) = store.load().turns
    assert (kept.said, kept.finish_reason, kept.answer) == ("So f", "interrupted", None)


def test_turns_are_taken_back_and_not_destroyed(store: Store) -> None:
    talk = store.start("chat", "starter")
    for question in ("One?", "Two?", "Three?"):
        store.finish(store.ask(talk, question), answered(question))
    assert store.take_back(talk) == 1
    assert store.take_back(talk) == 1
    assert [turn.question for turn in store.load(talk).live] == ["One?"]
    assert [turn.is_taken_back for turn in store.load(talk).turns] == [False, True, True]
    assert store.take_back(talk, 5) == 1
    assert store.load(talk).live == ()
    assert [hit.is_taken_back for hit in store.search("three")] == [True]


def test_a_talk_may_change_its_model_and_what_was_asked_before_keeps_its_own(store: Store) -> None:
    talk = store.start("chat", "starter", "Be brief.")
    store.ask(talk, "One?")
    store.change(talk, model="other", mmproj=None, system=None)
    store.ask(talk, "Two?")
    assert [(turn.model, turn.system) for turn in store.load(talk).turns] == [("starter", "Be brief."), ("other", None)]


# finding it again


def test_an_id_may_be_shortened_as_long_as_it_is_the_only_one(store: Store) -> None:
    talks = [store.start("ask", "starter") for _ in range(9)]  # eight first characters: two begin with the same
    for talk in talks:
        assert store.find(talk) == talk
        assert store.find(talk[:5].upper()) in talks
    ((twice, _),) = Counter(talk[0] for talk in talks).most_common(1)
    with pytest.raises(InputError, match="several IDs"):
        store.find(twice)
    for nothing in ("zzzz", "", "%", "_"):
        with pytest.raises(InputError, match="no conversation"):
            store.find(nothing)


def test_without_an_id_the_last_talk_is_meant(store: Store) -> None:
    with pytest.raises(InputError, match="no conversation in the history yet"):
        store.load()
    one, two = store.start("ask", "starter"), store.start("ask", "starter")
    store.ask(two, "Two?")
    store.ask(one, "One?")
    assert store.load().id == one


def test_talks_are_listed_the_last_one_first(store: Store, two: Path) -> None:
    one = store.start("ask", "starter")
    store.ask(one, "What is this?", [load(two)])
    other = store.start("chat", "qwen")
    store.ask(other, "A slip?")
    store.take_back(other)
    store.ask(other, "Hello!")
    summaries = store.talks()
    assert [(s.id, s.kind, s.n_turns, s.n_media, s.title) for s in summaries] == [
        (other, "chat", 1, 0, "Hello!"),
        (one, "ask", 1, 1, "What is this?"),
    ]
    assert [s.id for s in store.talks(1)] == [other]


@pytest.mark.parametrize(
    "words",
    [
        "circle",
        "CIRC",
        "gruner",
        "Grün tell",
        "日本",
        "本語",
        "two.png",
        "circle-",
        '"circle" AND',
        "OR",
        "circle*",
    ],
)
def test_words_are_found_in_questions_answers_and_names(store: Store, two: Path, words: str) -> None:
    talk = store.start("ask", "starter")
    store.finish(store.ask(talk, "Grüner Teller, 日本語?", [load(two)]), answered("A circle or two, and more."))
    store.ask(store.start("ask", "starter"), "Nothing of that kind")
    assert [hit.talk for hit in store.search(words)] == [talk]


def test_words_that_are_nowhere_are_not_found(store: Store) -> None:
    store.ask(store.start("ask", "starter"), "Anything?")
    for words in ("nothing", "", "   ", "?!", "any thing"):
        assert store.search(words) == []


def test_what_an_interrupted_answer_said_is_found(store: Store) -> None:
    store.say(store.ask(store.start("ask", "starter"), "What?"), "A hexagon")
    assert [hit.said for hit in store.search("hexagon")] == ["A hexagon"]


# forgetting it


def test_what_is_deleted_is_gone_from_the_disk(store: Store, tmp_path: Path) -> None:
    kept, gone = store.start("ask", "starter"), store.start("ask", "starter")
    store.finish(store.ask(kept, "What stays?"), answered("This stays."))
    store.finish(store.ask(gone, "The xylophone?"), answered("It is a xylophone."))
    assert store.delete([gone]) == 1
    assert store.search("xylophone") == []
    assert [summary.id for summary in store.talks()] == [kept]
    store.close()
    for path in (tmp_path / "data").iterdir():
        assert b"xylophone" not in path.read_bytes(), path.name


def test_talks_are_older_than_their_last_word(store: Store) -> None:
    talk = store.start("ask", "starter")
    assert store.older_than(3600) == []
    assert store.older_than(-3600) == [talk]


def test_a_talk_that_another_process_deleted_meanwhile_costs_nothing(store: Store) -> None:
    talk = store.start("ask", "starter")
    turn = store.ask(talk, "What?")
    store.delete([talk])
    store.say(turn, "Some")
    store.finish(turn, answered("Some"))
    with pytest.raises(InputError, match="no conversation"):
        store.ask(talk, "More?")
    assert (store.talks(), store.search("some")) == ([], [])


# media that are kept


def test_a_kept_medium_is_stored_once_and_goes_with_its_last_talk(store: Store, two: Path, tmp_path: Path) -> None:
    picture, data = load(two), two.read_bytes()
    sha256 = picture.receipt.sha256
    assert store.kept(sha256) is None
    talks = [store.start("ask", "starter") for _ in range(2)]
    for talk in talks:
        store.ask(talk, "What?", [picture], kept={sha256: data})
    path = store.kept(sha256)
    assert path is not None and path.read_bytes() == data
    assert [path.name for path in (tmp_path / "data" / "media").iterdir()] == [sha256]
    store.delete(talks[:1])
    assert store.kept(sha256) == path
    store.delete(talks[1:])
    assert store.kept(sha256) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_nobody_else_may_read_any_of_it(store: Store, two: Path, tmp_path: Path) -> None:
    picture = load(two)
    store.ask(store.start("ask", "starter"), "What?", [picture], kept={picture.receipt.sha256: two.read_bytes()})
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"history.db", "history.db-wal", picture.receipt.sha256}
    assert {mode(path) for path in files} == {0o600}
    assert mode(tmp_path / "data") == mode(tmp_path / "data" / "media") == 0o700


# several at once, and killed


WRITER = """
import sys
from pathlib import Path
from mmcli.history import Store
with Store(Path(sys.argv[1])) as store:
    talk = store.start("ask", "starter")
    for i in range(int(sys.argv[2])):
        turn = store.ask(talk, f"Question {i}?")
        store.say(turn, "So far")
        store.fail(turn, f"error {i}")
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """They also make the file at once."""
    data, n_writers, n_turns = tmp_path / "data", 4, 25
    command = [sys.executable, "-c", WRITER, str(data), str(n_turns)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(n_writers)]
    for writer in writers:
        _, stderr = writer.communicate(timeout=TIMEOUT)
        assert (writer.returncode, stderr) == (0, "")
    with Store(data) as store:
        talks = [store.load(summary.id) for summary in store.talks()]
        assert len(talks) == n_writers
        for talk in talks:
            assert [turn.question for turn in talk.turns] == [f"Question {i}?" for i in range(n_turns)]
            assert [turn.error for turn in talk.turns] == [f"error {i}" for i in range(n_turns)]


KILLED = """
import sys, time
from pathlib import Path
from mmcli.history import Store
store = Store(Path(sys.argv[1]))
turn = store.ask(store.start("ask", "starter"), "What?")
store.say(turn, "Half an ans")
store._database.execute("BEGIN IMMEDIATE")
store._database.execute("UPDATE turns SET answer = 'never committed'")
print("ready", flush=True)
time.sleep(1000)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_process_killed_in_the_middle_of_writing_leaves_what_it_had_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    with Store(tmp_path) as store:
        (turn,) = store.load().turns
        assert (turn.said, turn.finish_reason) == ("Half an ans", "interrupted")
        store.ask(store.load().id, "And now?")  # its lock went with it


def test_a_growing_answer_does_not_wait_for_another_writer(store: Store, tmp_path: Path) -> None:
    turn = store.ask(store.start("ask", "starter"), "What?")
    other = sqlite3.connect(tmp_path / "data" / "history.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not store.say(turn, "Some", patience=0.01)
    other.execute("ROLLBACK")
    other.close()
    assert store.say(turn, "Some", patience=0.01)


# files that are not what they should be


def refused(folder: Path, kind: type[MmcliError], match: str) -> None:
    path = folder / "history.db"
    before = path.read_bytes()
    with pytest.raises(kind, match=match):
        Store(folder)
    assert path.read_bytes() == before


def test_a_history_from_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "history.db") as database:
        database.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    database.close()
    refused(tmp_path, InputError, "newer mmcli")


def test_a_damaged_history_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    refused(tmp_path, InputError, "damaged")


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        talk = store.start("ask", "starter")
        for i in range(50):
            store.ask(talk, f"{i}" * 500)
    path = tmp_path / "history.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"), Store(tmp_path) as store:
        store.load(talk)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("UPDATE turns SET facts = '{' WHERE talk = ?", "turn 1: its receipts and usage"),
        ("UPDATE turns SET facts = '{}' WHERE talk = ?", "turn 1: its receipts and usage"),
        ("UPDATE turns SET facts = json_set(facts, '$.seen[0].receipt.kind', 7) WHERE talk = ?", "receipts and usage"),
        ("UPDATE turns SET sampling = '[[' WHERE talk = ?", "turn 1: its sampling"),
        ("UPDATE turns SET answer = x'ff80' WHERE talk = ?", "turn 1: its answer"),
        ("UPDATE turns SET question = CAST(x'57ff' AS TEXT) WHERE talk = ?", "turn 1: its question"),
        ("UPDATE turns SET asked = 1e300 WHERE talk = ?", "turn 1: its time"),
        ("UPDATE turns SET asked = 'noon' WHERE talk = ?", "turn 1: its time"),
        ("UPDATE turns SET finish_reason = 'tired' WHERE talk = ?", "turn 1: its ending"),
        ("UPDATE talks SET changed = -1e300, started = x'00' WHERE id = ?", "the talk: its end"),
        ("UPDATE talks SET model = x'ff' WHERE id = ?", "the talk: its model"),
        (f"UPDATE media SET receipt = '{'[' * 100_000}' WHERE ? != ''", "file 1 of turn 1: its receipt"),
        ("UPDATE media SET sha256 = '../../history.db', url = x'ff' WHERE ? != ''", "its address"),
    ],
)
def test_a_damaged_row_is_told_and_all_else_is_there(tmp_path: Path, two: Path, query: str, what: str) -> None:
    medium = load(two)
    with Store(tmp_path) as store:
        bad, good = store.start("ask", "starter"), store.start("ask", "starter")
        for talk, shown in ((bad, [medium]), (good, [])):
            turn = store.ask(talk, "What is this?", shown, sampling=Sampling())
            store.finish(turn, answered("A circle.", *shown))
    with closing(sqlite3.connect(tmp_path / "history.db")) as database, database:
        database.execute(query, (bad,))
    with Store(tmp_path) as store:
        with pytest.raises(InputError, match=f"conversation `{bad}` is damaged: .*{what} cannot be read"):
            store.load(bad)
        found = store.load(bad, damaged=True)
        assert any(what in clause for clause in found.damage)
        (turn,) = found.turns
        texts = (turn.question == "What is this?", turn.said == "A circle.", len(turn.shown) == 1)
        assert sum(texts) >= 2
        assert store.load(good).turns[0].answer is not None
        assert {summary.id for summary in store.talks()} == {bad, good}
        assert {hit.talk for hit in store.search("circle")} == {bad, good}
        assert store.delete([bad]) == 1 and store.path.exists()
        assert [summary.id for summary in store.talks()] == [good]


def test_what_a_later_version_has_added_is_no_damage(tmp_path: Path, two: Path) -> None:
    medium = load(two)
    with Store(tmp_path) as store:
        talk = store.start("ask", "starter")
        store.finish(store.ask(talk, "What?", [medium], sampling=Sampling()), answered("A circle.", medium))
        before = store.load(talk)
    with closing(sqlite3.connect(tmp_path / "history.db")) as database, database:
        database.execute("UPDATE turns SET facts = json_set(facts, '$.later', 1, '$.usage.later', json('[1]'))")
        database.execute("UPDATE media SET receipt = json_set(receipt, '$.later', json('{}'))")
    with Store(tmp_path) as store:
        assert store.load(talk) == before and before.damage == ()


def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "history.db") as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    refused(tmp_path, InputError, "not mmcli's history")


def test_a_history_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(ResourceError, match="cannot be written"):
        Store(tmp_path / "data")


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    (tmp_path / "history.db").touch()
    with Store(tmp_path) as store:
        assert store.talks() == []


def test_looking_does_not_make_a_history(tmp_path: Path) -> None:
    with Store(tmp_path / "data", create=False) as store:
        assert store.talks() == []
    assert not (tmp_path / "data").exists()


# the recorder


def pieces(*texts: str, end: Answer | None = None) -> Iterator[Piece]:
    yield from (Piece(text) for text in texts)
    if end is not None:
        yield Piece("", answer=end)


def recorder(folder: Path, troubles: list[str] | None = None, **how: object) -> Recorder:
    told = [] if troubles is None else troubles
    return Recorder(on_trouble=told.append, place=folder, interval=0, **how)  # type: ignore[arg-type]


def test_a_recorder_keeps_a_talk(tmp_path: Path) -> None:
    with recorder(tmp_path) as recording:
        recording.begin("chat", "starter")
        assert recording.talk is None
        for question in ("One?", "Two?"):
            recording.question(question)
            assert [p.text for p in recording.keep(pieces("A", "B", end=answered("AB")))] == ["A", "B", ""]
        recording.take_back()
        recording.question("Three?")
        talk = recording.talk
        recording.begin("chat", "starter")
        recording.question("Another talk?")
        assert recording.talk != talk
    with Store(tmp_path) as store:
        assert said(store, talk) == [("One?", "AB"), ("Three?", "")]
        assert said(store) == [("Another talk?", "")]


def test_a_talk_without_a_question_leaves_no_trace(tmp_path: Path) -> None:
    with recorder(tmp_path / "data") as recording:
        recording.begin("chat", "starter")
        recording.change(model="other", system="Be brief.")
        recording.take_back()
    assert not (tmp_path / "data").exists()


def test_an_answer_is_kept_up_while_it_grows(tmp_path: Path) -> None:
    with recorder(tmp_path) as recording, Store(tmp_path) as store:
        recording.begin("ask", "starter")
        recording.question("What?")
        growing = recording.keep(pieces("A", "B", "C"))
        for text in ("A", "AB"):
            next(growing)
            assert said(store) == [("What?", text)]


def test_an_answer_whose_reader_went_away_is_kept(tmp_path: Path) -> None:
    with Recorder(on_trouble=print, place=tmp_path) as recording:
        recording.begin("ask", "starter")
        recording.question("What?")
        next(recording.keep(pieces("A", "B")))
    with Store(tmp_path) as store:
        assert said(store) == [("What?", "A")]


def test_an_error_is_kept_beside_its_question(tmp_path: Path) -> None:
    def failing() -> Iterator[Piece]:
        yield Piece("A")
        raise ResourceError("the context is full")

    with recorder(tmp_path) as recording:
        recording.begin("ask", "starter")
        recording.question("What?")
        with pytest.raises(ResourceError):
            list(recording.keep(failing()))
    with Store(tmp_path) as store:
        (turn,) = store.load().turns
        assert (turn.said, turn.error, turn.finish_reason) == ("A", "the context is full", "interrupted")


def test_a_talk_goes_on(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        talk = store.start("ask", "starter")
        store.finish(store.ask(talk, "One?"), answered("1"))
    with recorder(tmp_path) as recording:
        recording.go_on(talk, "ask", "other", "Be brief.")
        recording.question("Two?")
        assert recording.talk == talk
    with Store(tmp_path) as store:
        found = store.load(talk)
        assert [(turn.question, turn.model) for turn in found.turns] == [("One?", "starter"), ("Two?", "other")]
        assert (found.model, found.system) == ("other", "Be brief.")


def test_trouble_is_told_once_and_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    troubles: list[str] = []
    with recorder(tmp_path, troubles) as recording:
        recording.begin("ask", "starter")
        for _ in range(2):
            recording.question("What?")
            assert [p.text for p in recording.keep(pieces("A", end=answered("A")))] == ["A", ""]
            recording.take_back()
    assert len(troubles) == 1
    assert "not saved" in troubles[0] and "damaged" in troubles[0]


def test_nothing_is_kept_where_nothing_is_wanted(tmp_path: Path, two: Path) -> None:
    with recorder(tmp_path / "data", wanted=False, keep_media=True) as recording:
        recording.begin("ask", "starter")
        recording.collect(two.read_bytes())
        recording.question("What?", [load(two)])
        list(recording.keep(pieces("A", end=answered("A"))))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("keep_media", [True, False])
def test_media_are_copied_only_if_that_was_asked_for(tmp_path: Path, two: Path, one: Path, keep_media: bool) -> None:
    with recorder(tmp_path / "data", keep_media=keep_media) as recording:
        recording.begin("ask", "starter")
        picture = media.load(media.find([str(two)])[0], on_data=recording.collect)
        media.load(media.find([str(one)])[0], on_data=recording.collect)  # loaded, but never shown
        recording.question("What?", [picture])
    copies = [path.name for path in (tmp_path / "data" / "media").glob("*")]
    assert copies == ([picture.receipt.sha256] if keep_media else [])


def test_receipts_are_kept_as_json_that_other_programs_can_read(store: Store, two: Path, tmp_path: Path) -> None:
    picture = load(two)
    store.finish(store.ask(store.start("ask", "starter"), "What?", [picture]), answered("A", picture))
    database = sqlite3.connect(tmp_path / "data" / "history.db")
    facts, receipt = database.execute("SELECT facts, receipt FROM turns JOIN media ON turn = id").fetchone()
    database.close()
    assert json.loads(receipt)["sha256"] == json.loads(facts)["seen"][0]["receipt"]["sha256"] == picture.receipt.sha256
