"""One name, one meaning: old names still work, with a note; and an error says where its value came from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from mmcli import main
from mmcli.commands import spelling
from tests.conftest import PICTURES, Run
from tests.speaking import needs_espeak, say, write
from tests.virtual_microphone import VirtualMicrophone, needs_microphone

COMMANDS = main.commands()
WHAT = (PICTURES / "shapes.png", "What is in this picture?")
# --model is the model that does a command's work; a setting agrees to downloads only (--yes), never to removing.
BY_COMMAND = {"--model", "--format", "--yes"}


@pytest.fixture
def config(home: Path) -> Path:
    folder = home / "config" / "mmcli"
    folder.mkdir(parents=True)
    return folder / "config.toml"


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    return write(tmp_path / "silence.wav", np.zeros(16_000, np.int16), 16_000)


def test_a_name_means_one_thing_in_all_commands() -> None:
    """An option that is a setting anywhere is the same setting everywhere."""
    meanings: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
    for command in COMMANDS.values():
        for param in command.params:
            if param.param_type_name == "option":
                for name in param.opts:
                    if name.startswith("--") and name not in BY_COMMAND:
                        meanings[name].add((param.name, param.envvar))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}
    settings: dict[str, set[str]] = defaultdict(set)
    for command in COMMANDS.values():
        for param in command.params:
            if param.envvar:
                settings[param.name].add(param.envvar)
    assert all(len(variables) == 1 for variables in settings.values()), settings


def test_old_names_lead_to_names_there_are_and_are_none_themselves() -> None:
    settings = {param.name for command in COMMANDS.values() for param in command.params if param.envvar}
    assert set(spelling.SETTINGS.values()) <= settings and not set(spelling.SETTINGS) & settings
    for command, renamed in spelling.OPTIONS.items():
        known = {name for param in COMMANDS[command].params for name in param.opts}
        assert set(renamed.values()) <= known and not set(renamed) & known


# language


@needs_espeak
def test_the_language_of_captions_does_not_make_german_of_english_speech(
    mmcli: Run, config: Path, tmp_path: Path, speech_model: Path
) -> None:
    """The built-in speech model refuses German, so that it would tell; a larger one would write nonsense."""
    sound = say(tmp_path / "a.wav", "how many red circles are there")
    done = mmcli("config", "set", "language", "de")
    assert done.status == 0
    assert done.stderr == ("note: `language` is now `answer-language`; the language of sounds is `spoken-language`\n")
    assert config.read_text() == 'answer-language = "de"\n'
    done = mmcli("transcribe", sound, "-m", str(speech_model), "--json")
    assert done.status == 0, done.stderr
    assert done.json["language"] == "en" and "circles" in done.json["text"].lower()
    assert "Answer in German." in mmcli("caption", WHAT[0], "-m", "starter", "--debug").prompt
    mmcli("config", "set", "spoken-language", "German")
    done = mmcli("transcribe", sound, "-m", str(speech_model))
    if speech_model.name == "speech":
        assert done.status == 4 and "understands English only, not `de`" in done.stderr


def test_an_old_language_in_the_file_counts_for_captions_and_is_told(
    mmcli: Run, config: Path, silence: Path, speech_model: Path
) -> None:
    config.write_text('language = "German"\n')
    done = mmcli("caption", WHAT[0], "-m", "starter", "--debug")
    assert "Answer in German." in done.prompt
    assert f"note: `language` in `{config}` is now `answer-language`" in done.stderr
    done = mmcli("transcribe", silence, "-m", str(speech_model))
    assert done.status == 0
    assert "it no longer sets the spoken language: `spoken-language` does" in done.stderr
    assert "note" not in mmcli("models").stderr  # it has nothing to do with it
    done = mmcli("transcribe", silence, "-m", str(speech_model), env={"MMCLI_LANGUAGE": "de"})
    assert done.status == 0 and "MMCLI_LANGUAGE is now MMCLI_ANSWER_LANGUAGE" in done.stderr


@pytest.mark.parametrize("language", ["English", "en", "EN", "en-US"])
def test_what_is_spoken_is_named_by_code_or_name(mmcli: Run, silence: Path, speech_model: Path, language: str) -> None:
    for option in ("-l", "--language", "--spoken-language"):
        done = mmcli("transcribe", silence, "-m", str(speech_model), option, language)
        assert done.status == 0 and "is now" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [(("--language", "de"), ("--answer-language", "German")), (("--context=exif",), ("--facts", "exif"))],
)
def test_old_options_of_captions_do_the_same(mmcli: Run, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    command = ("caption", WHAT[0], "-m", "starter", "--debug", "--no-cache")
    done, again = (mmcli(*command, *options) for options in (old, new))
    assert done.status == again.status == 0 and done.prompt == again.prompt
    name = old[0].partition("=")[0]
    assert (
        f"note: `{name}` of `mmcli caption` is now `{new[0]}`; the old name will go away after this release"
        in done.stderr
    )
    assert "note" not in again.stderr


def test_old_options_are_known_by_their_place_and_not_by_their_letters(mmcli: Run) -> None:
    """`--language` may be a value, or come after `--`."""
    done = mmcli("caption", WHAT[0], "-m", "starter", "--debug", "--prompt", "--language")
    assert "--language" in done.prompt and "note" not in done.stderr
    done = mmcli("caption", "-m", "starter", "--", "--language")
    assert "note" not in done.stderr and done.status == 3


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("transcribe", "none.wav", "--device", "cpu"), 3, "`--device` of `mmcli transcribe` is now `--speech-device`"),
        (("transcribe", "none.wav", "--prompt", "Hi."), 3, "`--prompt` of `mmcli transcribe` is now `--speech-prompt`"),
        (("voice", "-m", "starter", "--device", "x"), 9, "`--device` of `mmcli voice` is now `--input-device`"),
        (("ask", "Hi", "--speak", "--speaker", "nobody", "-m", "starter"), None, "is now `--voice-model`"),
    ],
)
def test_old_options_are_taken_with_a_note(
    mmcli: Run, arguments: tuple[str, ...], status: int | None, told: str
) -> None:
    done = mmcli(*arguments)
    assert told in done.stderr and "No such option" not in done.stderr
    assert status in (None, done.status), done.stderr
    assert told not in mmcli(*arguments, "-q").stderr
    if arguments[0] == "transcribe":
        assert mmcli(*arguments, "--json").json_error["code"] == "input"  # nothing but the error stands on stderr


def test_the_speech_prompt_is_a_setting(mmcli: Run, silence: Path, speech_model: Path) -> None:
    done = mmcli("transcribe", silence, "-m", str(speech_model), env={"MMCLI_SPEECH_PROMPT": "circles " * 300})
    assert done.status == 2
    assert "--speech-prompt is too long" in done.stderr and "MMCLI_SPEECH_PROMPT sets --speech-prompt" in done.stderr


def test_settings_are_changed_under_their_new_names(mmcli: Run, config: Path) -> None:
    config.write_text('# mine\nspeaker = "a"\ncontext = "exif"\n')
    assert mmcli("config", "set", "voice-model", "system").status == 0
    assert config.read_text() == '# mine\ncontext = "exif"\nvoice-model = "system"\n'
    rows = {row["name"]: row for row in mmcli("config", "--json", env={"MMCLI_SPEAKER": "b"}).json["settings"]}
    assert (rows["voice-model"]["value"], rows["voice-model"]["source"]) == ("b", "MMCLI_SPEAKER")
    assert (rows["facts"]["value"], rows["facts"]["source"]) == ("exif", "config.toml")
    assert "speaker" not in rows
    assert mmcli("config", "unset", "facts").status == 0
    assert mmcli("config", "unset", "speaker").status == 0
    assert config.read_text() == "# mine\n"
    config.write_text('speaker = "a"\nvoice-model = "b"\n')
    done = mmcli("models")
    assert (done.status, "line 2" in done.stderr) == (2, True)
    assert "did you mean `speech-batch`?" in mmcli("config", "set", "batch", "3").stderr


# where a value came from


@pytest.mark.parametrize(
    ("command", "setting", "value", "option", "status"),
    [
        (("ask", "Hi"), "model", "nobody", "--model", 4),
        (("caption", "none.png"), "model", "nobody", "--model", 4),
        (("transcribe", "SILENCE"), "spoken-language", "klingon", "--spoken-language", 2),
        (("transcribe", "SILENCE"), "speech-model", "whisper-nano", "--speech-model", 4),
        (("voice", "-m", "starter"), "talk-mode", "hold", "--talk", 2),
    ],
)
def test_an_error_names_the_line_or_the_variable(
    mmcli: Run,
    config: Path,
    silence: Path,
    command: tuple[str, ...],
    setting: str,
    value: str,
    option: str,
    status: int,
) -> None:
    arguments = [str(silence) if word == "SILENCE" else word for word in command]
    config.write_text(f'\n{setting} = "{value}"\n')
    done = mmcli(*arguments)
    assert done.status == status, done.stderr
    assert f"(line 2 of `{config}` sets {option} to `{value}`)" in done.stderr.splitlines()[0]
    config.write_text("")
    variable = f"MMCLI_{setting.upper().replace('-', '_')}"
    done = mmcli(*arguments, env={variable: value})
    assert f"({variable} sets {option} to `{value}`)" in done.stderr.splitlines()[0]
    assert done.stdout == ""


def test_what_was_typed_is_told_by_its_option(mmcli: Run, silence: Path) -> None:
    done = mmcli("transcribe", silence, "-l", "klingon")
    assert done.stderr.splitlines()[0] == "error: `klingon` is not a language that Whisper knows (--spoken-language)"
    assert mmcli("ask", "Hi", "-m", "nobody").stderr.splitlines()[0] == "error: there is no model named `nobody`"
    assert "MMCLI_MAX_TOKENS" in mmcli("ask", "Hi", env={"MMCLI_MAX_TOKENS": "many"}).stderr


@needs_microphone
def test_so_does_an_error_about_a_device_or_a_voice(mmcli: Run, microphone: VirtualMicrophone) -> None:
    speaking = ("ask", "Hi", "-m", "starter", "--speak")
    for command, variable, told in (
        (speaking, {"MMCLI_VOICE_MODEL": "starter"}, "`starter` cannot speak (MMCLI_VOICE_MODEL sets --voice-model to"),
        (
            speaking,
            {"MMCLI_SPEAKER": "starter"},
            "`starter` cannot speak (MMCLI_SPEAKER sets --voice-model to `starter`)",
        ),
        (speaking, {"MMCLI_OUTPUT_DEVICE": "nowhere"}, "(MMCLI_OUTPUT_DEVICE sets --output-device to `nowhere`)"),
        (("voice", "-m", "starter"), {"MMCLI_INPUT_DEVICE": "x"}, "(MMCLI_INPUT_DEVICE sets --input-device to `x`)"),
    ):
        done = mmcli(*command, env=microphone.env | variable)
        assert told in done.stderr, done.stderr
    done = mmcli("voice", "-m", "starter", "--input-device", "headset", env=microphone.env)
    assert "no microphone has `headset` in its name (--input-device)" in done.stderr
