"""Speaking aloud without hardware and without a fake: espeak-ng speaks, PortAudio plays it, PulseAudio's monitor hears.

Each case runs in a process of its own, for PortAudio looks for devices once only.
"""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.errors import AudioDeviceError, UsageError
from mmcli.speech import speaker as speakers
from mmcli.speech.echo import resembles
from tests.conftest import TIMEOUT, clean_environment
from tests.loudness import heard_in, seconds_of_sound
from tests.speaking import needs_espeak
from tests.virtual_microphone import VirtualMicrophone, needs_microphone

RATE = 16_000  # Hz, of what is recorded
BEGIN = """
import json, sys, threading, time
from mmcli.errors import MmcliError
from mmcli.speech.playback import Aloud
from mmcli.speech.speaker import system_voice
"""


def spoken(code: str, loudspeaker: VirtualMicrophone, tmp_path: Path, home: Path) -> tuple[Any, NDArray[np.float32]]:
    """What the code tells in its last line (JSON), and what the loudspeaker played meanwhile: (n_samples,) at RATE."""
    with loudspeaker.recording(tmp_path / "played.raw") as path:
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + code],
            env=clean_environment(home) | loudspeaker.env,
            capture_output=True,
            timeout=TIMEOUT,
        )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1]), heard_in(path)


@needs_espeak
def test_the_system_s_voice_speaks_in_blocks() -> None:
    voice, stop = speakers.system_voice("en-us"), threading.Event()
    blocks = list(voice.say("A red circle.", stop))
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    sound = np.concatenate(blocks)
    assert 0.5 < len(sound) / voice.sample_rate < 3 and 0.05 < np.abs(sound).max() <= 1
    assert np.array_equal(sound, np.concatenate(list(voice.say("A red circle.", stop))))
    assert "en-us" in voice.name
    voice.close()


@needs_espeak
def test_the_system_s_voice_stops_when_it_is_told() -> None:
    voice, stop = speakers.system_voice("en-us"), threading.Event()
    blocks = voice.say("word " * 300, stop)
    next(blocks)
    stop.set()
    assert len(list(blocks)) <= 1


@needs_espeak
def test_a_text_is_no_command_to_the_voice() -> None:
    """Phonemes in brackets, options and shell syntax are words."""
    voice, stop = speakers.system_voice("en-us"), threading.Event()
    for text in ("-w out.wav", "$(touch x); `touch y`", "[[h@loU]]", "\x1b[31m", "--help"):
        assert list(voice.say(text, stop)), text
    assert speakers.plain("a [[b]] \x1b[1m\n") == "a [ [b] ]  [1m "


@needs_espeak
def test_an_unknown_voice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as told:
        speakers.system_voice("nobody")
    assert "`nobody`" in told.value.message and "--voices" in str(told.value.hint)


@needs_espeak
@pytest.mark.parametrize(
    ("variable", "name"), [("de_DE.UTF-8", "de"), ("C.UTF-8", "en"), ("pt_BR@x", "pt"), ("", "en")]
)
def test_the_voice_speaks_the_language_of_the_person_s_settings(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    for other in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(other, variable)
    assert speakers.system_voice().name.split()[-1] == name
    assert speakers.system_voice(language="fr").name.split()[-1] == "fr"
    assert speakers.system_voice("it", "fr").name.split()[-1] == "it"


@pytest.mark.parametrize(
    ("text", "language", "read"),
    [
        ("A red circle", "en-us", "en-us"),
        ("写真には赤い丸があります。", "en", "ja"),
        ("照片里有一个红色的圆。", "en", "cmn"),
        ("照片里有一个红色的圆。", "zh", "zh"),
        ("빨간 원이 있습니다", "de", "ko"),
        ("Красный круг", "en", "ru"),
        ("Червоне коло", "uk", "uk"),
        ("The word круг means circle", "en", "en"),
        ("3.5, 7!", "fr", "fr"),
    ],
)
def test_a_text_is_read_by_who_knows_its_letters(text: str, language: str, read: str) -> None:
    assert speakers.reader(text, language) == read


@needs_espeak
def test_an_english_voice_does_not_spell_out_other_letters_unless_it_was_named() -> None:
    def seconds(voice: speakers.Speaker) -> float:
        return sum(map(len, voice.say("写真には赤い丸があります。", threading.Event()))) / voice.sample_rate

    read, spelt = seconds(speakers.system_voice(language="en")), seconds(speakers.system_voice("en"))
    assert 0.5 < read < spelt, "it spells: Chinese letter, Chinese letter"


def test_without_any_program_that_speaks_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioDeviceError) as told:
        speakers.system_voice()
    assert "espeak-ng" in told.value.message and "install" in str(told.value.hint)


STAND_IN = """#!{python}
import subprocess, sys
arguments = sys.argv[1:]
if arguments == ["-v", "?"]:
    print("Anna                de_DE    # Hallo, ich bin Anna.\\nBad News            en_US    # The light you see")
    sys.exit()
if "-v" not in arguments:
    sys.exit("no voice is installed")
assert arguments[:-4] == {voice} + ["--file-format=WAVE", "--data-format=LEI16@22050"], arguments
out, text = arguments[-3], arguments[-1]
assert (arguments[-4], arguments[-2]) == ("-o", "-f")
subprocess.run(["{espeak}", "-v", "de", "-f", text, "-w", out], check=True)
"""


@needs_espeak
def test_a_voice_that_writes_files_is_heard_too(tmp_path: Path) -> None:
    """macOS's `say`, which is not on this machine: a stand-in with its options writes the same kind of file."""
    program = tmp_path / "say"
    espeak = shutil.which("espeak-ng")
    program.write_text(STAND_IN.format(python=sys.executable, voice=["-v", "Bad News"], espeak=espeak))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    voice, stop = speakers.Say(str(program), "Bad News"), threading.Event()
    sound = np.concatenate(list(voice.say("ein roter Kreis", stop)))
    assert len(sound) > 0.5 * voice.sample_rate and np.abs(sound).max() > 0.05
    with pytest.raises(UsageError) as told:
        speakers.Say(str(program), "Ana")
    assert "did you mean `Anna`?" in str(told.value.hint)
    with pytest.raises(AudioDeviceError) as failed:
        list(speakers.Say(str(program), None).say("Hallo", stop))
    assert failed.value.message == "say said nothing: no voice is installed"
    stop.set()
    assert not list(voice.say("Hallo", stop))


@needs_espeak
@needs_microphone
def test_what_is_added_piece_by_piece_is_heard_whole(
    loudspeaker: VirtualMicrophone, tmp_path: Path, home: Path, speech_model: Path
) -> None:
    """Played by PulseAudio, recorded from its monitor, and understood by a speech model."""
    from mmcli.speech.transcriber import Transcriber

    code = """
before = time.monotonic()
with Aloud(system_voice("en-us")) as aloud:
    for piece in ("how many red", " circles are there? ", "What is in", " the picture?"):
        aloud.add(piece)
    was_speaking = aloud.speaking
    aloud.finish()
    now = time.monotonic()
    first, said, before_all = aloud.first_sound, aloud.saying(now, 60), aloud.saying(before, 60)
    print(json.dumps([was_speaking, aloud.speaking, before < first < now, said, before_all]))
"""
    told, samples = spoken(code, loudspeaker, tmp_path, home)
    assert told == [True, False, True, "how many red circles are there? What is in the picture?", ""]
    heard = " ".join(one.text for one in Transcriber(speech_model, threads=1).transcribe(samples))
    assert resembles(heard, told[3]) >= 0.7, heard


@needs_espeak
@needs_microphone
def test_stop_silences_at_once_and_the_next_text_is_heard(
    loudspeaker: VirtualMicrophone, tmp_path: Path, home: Path
) -> None:
    code = """
with Aloud(system_voice("en-us")) as aloud:
    aloud.add("one two three four five six seven eight nine ten " * 6 + ". And more. And more. ")
    while aloud.first_sound is None:
        time.sleep(0.01)
    time.sleep(max(0, aloud.first_sound + 1 - time.monotonic()))
    aloud.stop()
    aloud.finish()
    stopped = aloud.saying(time.monotonic() + 1, 0.1)
    aloud.add("Good")
    aloud.finish()
    print(json.dumps([stopped, aloud.saying(time.monotonic(), 0.5)]))
"""
    told, samples = spoken(code, loudspeaker, tmp_path, home)
    assert told == ["", "Good"]
    assert 0.5 < seconds_of_sound(samples) < 4, "of a text that takes half a minute"


@needs_espeak
@needs_microphone
def test_the_next_sentence_is_made_while_one_is_played(
    loudspeaker: VirtualMicrophone, tmp_path: Path, home: Path
) -> None:
    code = """
class Noted:
    def __init__(self, voice):
        self.voice, self.name, self.sample_rate, self.made = voice, voice.name, voice.sample_rate, []
    def say(self, text, stop):
        yield from self.voice.say(text, stop)
        self.made.append(text)
    def close(self):
        self.voice.close()
noted = Noted(system_voice("en-us"))
with Aloud(noted) as aloud:
    aloud.add("This is the first sentence, and it is a long one. This is the second. ")
    while len(noted.made) < 2:
        time.sleep(0.01)
    saying = aloud.saying(time.monotonic() + 0.2, 0)
    print(json.dumps([noted.made, saying]))
"""
    told, _ = spoken(code, loudspeaker, tmp_path, home)
    first, second = "This is the first sentence, and it is a long one.", "This is the second."
    assert told == [[first, second], first]


@needs_espeak
@needs_microphone
def test_what_is_made_slower_than_it_sounds_is_not_chopped(
    loudspeaker: VirtualMicrophone, tmp_path: Path, home: Path
) -> None:
    code = """
import numpy as np
class Slow:
    name, sample_rate = "slow", 16000
    def say(self, text, stop):
        for i in range(6):
            time.sleep(0.5)
            yield np.full(1600, 0.5, np.float32) * np.sin(np.arange(1600, dtype=np.float32))
    def close(self):
        pass
with Aloud(Slow()) as aloud:
    aloud.add("Hello. ")
    aloud.finish()
    print(json.dumps(None))
"""
    _, samples = spoken(code, loudspeaker, tmp_path, home)
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    assert len(loud), "nothing was heard"
    # 0.6 s of sound; with a gap after each piece it would be 2.6 s long, and a busy machine makes few gaps of its own
    assert 0.3 < (loud[-1] - loud[0]) / RATE < 1.6


@needs_espeak
@needs_microphone
def test_what_goes_wrong_in_the_background_is_raised_by_the_caller(
    loudspeaker: VirtualMicrophone, tmp_path: Path, home: Path
) -> None:
    code = """
class Broken:
    name, sample_rate = "broken", 16000
    def say(self, text, stop):
        raise MmcliError("it cannot say that")
    def close(self):
        pass
with Aloud(Broken()) as aloud:
    aloud.add("Hello. ")
    told = []
    for do in (aloud.finish, lambda: aloud.add("More.")):
        try:
            do()
        except MmcliError as error:
            told.append(str(error))
    aloud.stop()
    print(json.dumps([told, aloud.speaking]))
"""
    told, samples = spoken(code, loudspeaker, tmp_path, home)
    assert told == [["it cannot say that"] * 2, False]
    assert seconds_of_sound(samples) == 0


@needs_espeak
@needs_microphone
def test_a_loudspeaker_that_goes_away_is_an_audio_device_error(loudspeaker: VirtualMicrophone, home: Path) -> None:
    code = """
with Aloud(system_voice("en-us")) as aloud:
    aloud.add("one two three four five six seven eight nine ten " * 20)
    while aloud.first_sound is None:
        time.sleep(0.01)
    print("speaking", flush=True)
    try:
        aloud.finish()
    except MmcliError as error:
        print(error.status, error.message)
"""
    environment = clean_environment(home) | loudspeaker.env
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"speaking\n"
        loudspeaker.unplug()
        told, _ = process.communicate(timeout=TIMEOUT)
    assert told.startswith(b"9 the loudspeaker `") and process.returncode == 0, told


@needs_microphone
def test_without_a_loudspeaker_the_remedy_is_told(tmp_path: Path, home: Path) -> None:
    code = """
try:
    Aloud(system_voice("en-us"))
except MmcliError as error:
    print(json.dumps([error.status, bool(error.hint)]))
"""
    environment = clean_environment(home) | {"XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], env=environment, capture_output=True, timeout=TIMEOUT, check=True
    )
    assert json.loads(done.stdout) == [9, True]
