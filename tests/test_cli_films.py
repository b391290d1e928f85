"""Films in the commands: `mmcli ask film.mp4 …` on the real llama.cpp, from the container to the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmcli import media
from tests import films, random_llava
from tests.conftest import Run
from tests.speaking import needs_espeak, say

QUESTION = "What is in this picture?"


def circle(canvas, seconds: float) -> None:
    """A red circle that moves a little to the right."""
    left = 60 + 10 * seconds
    canvas.ellipse((left, 50, left + 80, 130), fill="red")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return films.make(tmp_path / "film.mp4", circle, seconds=4)


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """A blue circle; from 0:12 on a yellow star."""
    return films.make(tmp_path / "star.mp4", films.star_at(12), seconds=20, gop=40)


# what the model sees


def test_a_question_about_a_film_is_answered_with_a_receipt(ask: Run, film: Path) -> None:
    done = ask("film.mp4", QUESTION, "-v")
    assert done.status == 0 and done.stdout == "I see a red circle.\n"
    assert (
        "film.mp4: mp4 h264 320×180, 0:00-0:04 of 0:04, 2 frames at 0.0 2.0 s, no sound, 128 tokens, enc" in done.stderr
    )
    first, second = ask("film.mp4", QUESTION, "--json").json["receipts"]
    assert (first["kind"], first["times"], second["times"]) == ("video", [0.0], [2.0])
    assert (first["span"], first["sampling"], first["sound"], first["hdr"]) == ([0.0, 4.0], "uniform", "none", False)


def test_a_star_that_appears_at_twelve_seconds(ask: Run, star: Path) -> None:
    assert "blue circle" in ask("star.mp4#t=0,11", QUESTION).stdout
    assert "yellow star" in ask("star.mp4#t=13,20", QUESTION).stdout
    both = ask("star.mp4", "What is different?").stdout
    assert "blue circle" in both and "yellow star" in both
    for second, shape in ((11.9, "circle"), (12.1, "star")):
        done = ask(f"star.mp4#t={second},{second + 0.05:.2f}", QUESTION)
        assert shape in done.stdout and "moment" not in done.stderr


def test_how_much_was_seen_is_told_without_being_asked(ask: Run, star: Path) -> None:
    stderr = ask("star.mp4", QUESTION, "--frames", "40").stderr
    assert "2 moments of 0:20 seen (--frames N for more, `#t=10,10.1` for a single one)" in stderr
    assert "38 of 40 frames look like the one before and were left out" in stderr
    assert ask("star.mp4", QUESTION, "-q").stderr == ""


def test_a_portrait_film_is_upright(ask: Run, tmp_path: Path, film: Path) -> None:
    films.make(tmp_path / "phone.mp4", lambda c, s: c.ellipse((100, 50, 180, 130), fill="red"), seconds=2, rotation=-90)
    done = ask("phone.mp4", QUESTION, "--json").json
    (receipt,) = done["receipts"]
    assert done["answer"] == ask("film.mp4", QUESTION).stdout.strip() == "I see a red circle."
    assert receipt["sent_size"] == {"width": 180, "height": 320} and receipt["rotation"] == "90"
    assert receipt["source_size"] == {"width": 320, "height": 180}


def test_an_animation_is_a_film_and_a_moment_of_it_a_picture(ask: Run, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (200, 200), "white") for _ in range(2)]
    for picture, draw in zip(frames, (films.star_at(9), films.star_at(0)), strict=True):
        from PIL import ImageDraw

        draw(ImageDraw.Draw(picture), 1.0)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    both = ask("a.gif", "What is different?")
    assert "circle" in both.stdout and "star" in both.stdout
    first = ask("a.gif#t=0", QUESTION, "--json").json
    assert "circle" in first["answer"] and first["receipts"][0]["kind"] == "image"
    assert "star" in ask("a.gif#t=0.7", QUESTION).stdout


def test_a_film_from_a_pipe(ask: Run, film: Path) -> None:
    assert ask(QUESTION, stdin=film.read_bytes()).stdout == "I see a red circle.\n"


def test_a_model_that_takes_pairs_gets_them_stamped_and_a_new_process_reuses_them(mmcli: Run, tmp_path: Path) -> None:
    weights, projector = random_llava.write_mrope(tmp_path / "model")

    def moving(canvas, seconds: float) -> None:
        canvas.rectangle((10 + 100 * seconds, 20, 50 + 100 * seconds, 60), fill="red")

    films.make(tmp_path / "pairs.mp4", moving, size=(224, 224), seconds=1.6, rate=20)
    options = (
        "-m",
        weights,
        "--mmproj",
        projector,
        "--temperature",
        "0",
        "--max-tokens",
        "4",
        "--frames",
        "8",
        "--exact",
    )
    env = {"MMCLI_CACHE_SIZE": "1"}
    first = mmcli("ask", "pairs.mp4", "What?", *options, "--json", env=env).json
    assert [receipt["n_tokens"] for receipt in first["receipts"]] == [64] * 4 and first["usage"]["n_encodes"] == 4
    assert [receipt["times"] for receipt in first["receipts"]] == [[0.1, 0.3], [0.5, 0.7], [0.9, 1.1], [1.3, 1.5]]
    assert {receipt["pairs"] for receipt in first["receipts"]} == {4}
    prompt = mmcli("ask", "pairs.mp4", "What?", *options, "--debug").prompt
    assert "<0.2 seconds><media><0.6 seconds><media><1.0 seconds><media><1.4 seconds><media>" in prompt
    assert "8 frames in 4 pairs at 0.1 0.3 0.5" in mmcli("ask", "pairs.mp4", "What?", *options, "-v").stderr


# the talk


def test_a_talk_goes_on_with_the_same_frames(ask: Run, mmcli: Run, star: Path) -> None:
    first = ask("star.mp4", QUESTION, "--frames", "4", "--exact", "--json").json
    again = mmcli("ask", "-c", "What color is it?", "--json").json
    ids = [[receipt["media_id"] for receipt in answer["receipts"]] for answer in (first, again)]
    assert ids[0] == ids[1] and again["receipts"][0]["times"] == first["receipts"][0]["times"]
    star.unlink()
    gone = mmcli("ask", "-c", "And?")
    assert gone.status == 3 and "star.mp4" in gone.stderr


def test_a_chat_takes_films(mmcli: Run, star: Path) -> None:
    typed = "/attach star.mp4\nWhat is different?\n/media\n"
    done = mmcli("chat", "-m", "starter", "--temperature", "0", stdin=typed.encode())
    assert done.status == 0 and "yellow star" in done.stdout and "star.mp4, mp4 h264 320×180 20.0 s" in done.stderr


# what is said


@needs_espeak
def test_what_is_said_stands_before_the_frames_at_its_time(mmcli: Run, tmp_path: Path, speech_model: Path) -> None:
    said = media.load(media.Source("said.wav", path=say(tmp_path / "said.wav", "what colour is the star")))
    assert isinstance(said, media.Audio)
    words = said.samples  # (n,) float32 at 16,000 Hz
    sound = np.concatenate([np.zeros(16_000 * 5, np.float32), words, np.zeros(16_000 * 5, np.float32)])
    films.make(tmp_path / "talk.mp4", circle, seconds=len(sound) / 16_000, sound=(sound * 32_000).astype(np.int16))
    options = ("-m", "starter", "--temperature", "0", "--speech-model", speech_model, "--frames", "6", "--exact")
    done = mmcli("ask", "talk.mp4", QUESTION, *options, "--debug")
    spoken = done.prompt.index("▸")
    assert 2 <= done.prompt[:spoken].count("<media>") <= 4 and "star" in done.prompt[spoken:]
    answer = mmcli("ask", "talk.mp4", QUESTION, *options, "--json")
    assert {receipt["sound"] for receipt in answer.json["receipts"]} == {"transcript"}
    assert mmcli("ask", "talk.mp4", QUESTION, *options, "--no-sound", "--json").json["receipts"][0]["sound"] == "off"


def loud(path: Path) -> Path:
    return films.make(path, circle, sound=(np.sin(np.arange(64_000) / 20) * 8000).astype(np.int16))


def test_without_a_speech_model_the_sound_is_left_out_and_that_is_told(ask: Run, tmp_path: Path) -> None:
    loud(tmp_path / "loud.mp4")
    done = ask("loud.mp4", QUESTION)
    assert done.status == 0 and "there is no speech model on this machine" in " ".join(done.stderr.split())
    assert "no speech model" not in ask("loud.mp4", QUESTION, "--no-sound").stderr


def test_a_model_that_hears_gets_the_sound_only_where_it_can_hear(ask: Run, tmp_path: Path) -> None:
    loud(tmp_path / "loud.mp4")
    done = ask("loud.mp4", QUESTION, "--hear")
    assert done.status == 4 and "cannot hear the sound of `loud.mp4`" in done.stderr


def test_subtitles_are_words_without_any_speech_model(ask: Run, tmp_path: Path) -> None:
    films.make(tmp_path / "said.mkv", circle, seconds=10, subtitles=[(1, 2, "Hello there")])
    done = ask("said.mkv", QUESTION, "--debug")
    assert '[00:01] ▸ "Hello there"' in done.prompt
    assert ask("said.mkv", QUESTION, "--json").json["receipts"][0]["sound"] == "subtitles"


# what is wrong


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["film.mp4", QUESTION, "--frames", "3", "--fps", "1"], 2, "--frames and --fps are two ways to choose frames"),
        (["film.mp4", QUESTION, "--no-sound", "--hear"], 2, "--no-sound and --hear contradict each other"),
        (["film.mp4", QUESTION, "--frames", "0"], 2, "`0` is not in the range"),
        (["film.mp4#t=9,12", QUESTION], 3, "there is no such part, the film ends at 4.0 s"),
        (["film.mp4#page=2", QUESTION], 3, "is a video, which has no pages to choose from"),
        (["half.mp4", QUESTION], 3, "is cut short: its end is missing"),
        (["film.mp4", QUESTION, "--frames", "64", "--exact", "--ctx-size", "512"], 6, "context"),
    ],
)
def test_what_cannot_be_is_one_sentence(ask: Run, tmp_path: Path, film: Path, arguments, status, words) -> None:
    (tmp_path / "half.mp4").write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    done = ask(*arguments)
    assert done.status == status and words in done.stderr and done.stdout == "", done.stderr


# long films


@pytest.fixture(scope="module")
def two_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours at a frame a second, a keyframe every 250."""
    return films.make(
        tmp_path_factory.mktemp("long") / "long.mp4",
        lambda canvas, s: canvas.rectangle((s % 60, 5, s % 60 + 20, 25), fill="red"),
        size=(96, 54),
        seconds=7200,
        rate=1,
        gop=250,
    )


def test_a_long_film_gives_a_moment_of_each_part(two_hours: Path) -> None:
    from mmcli.media import video
    from mmcli.media.wanted import FilmWanted

    for exact in (False, True):
        film = video.decode(two_hours, shown="film", wanted=FilmWanted(frames=32, exact=exact))
        assert len(film.moments) >= 30  # a few parts may look alike
        for moment in film.moments:
            part = int(moment.times[0] // 225)
            assert part * 225 <= moment.times[0] < (part + 1) * 225
            if exact:
                assert abs(moment.times[0] - (part + 0.5) * 225) <= 1.0
            elif part % 10 != 9:
                assert moment.times[0] % 250 == 0, "not a keyframe, though the part has one"


# many


def test_each_clip_of_a_folder_is_one_caption(mmcli: Run, caption: Run, film: Path, star: Path) -> None:
    done = caption(".")
    assert done.status == 0 and done.stdout == "./film.mp4\tI see a red circle.\n./star.mp4\tI see a yellow star.\n"
    again = caption(".", "--json").json
    assert [each["cached"] for each in again] == [True, True]
    (receipt,) = again[1]["receipts"]
    assert (receipt["kind"], receipt["times"], receipt["n_tokens"]) == ("video", [4.0, 16.0], 128)
    (other,) = caption("star.mp4", "--frames", "1", "--json").json
    assert other["cached"] is False and len(other["receipts"][0]["times"]) == 1
