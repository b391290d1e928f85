"""Text -> speech: what a speaker is, and the voice that the system brings along. Knows no loudspeakers.

The system's programs get the text by standard input or in a file, never on a command line, and run in a process group
of their own: a Ctrl-C that is meant for mmcli must not kill them in the middle of a word.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import unicodedata
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmcli.errors import AudioDeviceError, UsageError

BLOCK = 2048  # samples that are handed on at once
PATIENCE = 60.0  # seconds for a sentence of a program that hands over only whole files
INSTALL = {
    "linux": "on Debian and Ubuntu: `apt install espeak-ng`; on Fedora: `dnf install espeak-ng`",
    "darwin": "macOS brings `say`; or `brew install espeak-ng`",
    "win32": "Windows brings PowerShell's voices; or `winget install eSpeak-NG.eSpeak-NG`",
}
_ESPEAK = ("espeak-ng", "espeak")
# The beginnings of the Unicode names of letters that a Latin voice can only spell out -> who can read them: the first,
# or any of the others where that is the user's own language.
SCRIPTS = {
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "CJK": ("cmn", "zh", "yue", "hak", "ja"),
    "HANGUL": ("ko",),
    "CYRILLIC": ("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "tt", "mn"),
    "GREEK": ("el", "grc"),
    "ARABIC": ("ar", "fa", "ur", "ug", "sd"),
    "HEBREW": ("he",),
    "DEVANAGARI": ("hi", "mr", "ne", "kok"),
}
_POWERSHELL = ("powershell", "pwsh")
# Text and names come in by files and variables: nothing a model says is ever part of a script.
_SAPI = """
$ErrorActionPreference = 'Stop'
Add-Type -AssemblyName System.Speech
$voice = New-Object System.Speech.Synthesis.SpeechSynthesizer
if ($env:MMCLI_SAPI_VOICE) { $voice.SelectVoice($env:MMCLI_SAPI_VOICE) }
elseif ($env:MMCLI_SAPI_LANGUAGE) {
  $culture = [Globalization.CultureInfo]::GetCultureInfo($env:MMCLI_SAPI_LANGUAGE)
  try { $voice.SelectVoiceByHints('NotSet', 'NotSet', 0, $culture) } catch { }
}
$form = New-Object System.Speech.AudioFormat.SpeechAudioFormatInfo(22050, 'Sixteen', 'Mono')
$voice.SetOutputToWaveFile($env:MMCLI_SAPI_WAV, $form)
$voice.Speak([IO.File]::ReadAllText($env:MMCLI_SAPI_TEXT, [Text.Encoding]::UTF8))
$voice.Dispose()
"""
_SAPI_VOICES = (
    "[Console]::OutputEncoding = [Text.Encoding]::UTF8; Add-Type -AssemblyName System.Speech; "
    "(New-Object System.Speech.Synthesis.SpeechSynthesizer).GetInstalledVoices() | "
    "ForEach-Object { $_.VoiceInfo.Name }"
)


class Speaker(Protocol):
    """What can say a text. One sentence at a time, and from one thread."""

    name: str  # as people know it
    sample_rate: int  # Hz, of what `say` yields

    def say(self, text: str, stop: threading.Event) -> Iterator[NDArray[np.float32]]:
        """(n_samples,) mono blocks, -1 … 1, as they are made; soon after `stop` is set none comes any more."""
        ...

    def close(self) -> None:
        """Free what it holds; it says nothing afterwards."""
        ...


def system_voice(voice: str | None = None, language: str | None = None) -> Speaker:
    """The system's own speaker. `voice` is a name that it knows; `language` a code, as `de`; None: the user's own.

    AudioDeviceError where no program that speaks is installed, UsageError where it does not know the voice.
    """
    language = language or own_language()
    if sys.platform == "darwin" and (program := shutil.which("say")):
        return Say(program, voice)
    if sys.platform == "win32" and (program := _first(_POWERSHELL)):
        return Sapi(program, voice, language)
    if program := _first(_ESPEAK):
        return Espeak(program, voice or language or "en", follows=voice is None)
    raise AudioDeviceError(
        "nothing on this machine can speak: there is no espeak-ng", hint=INSTALL.get(sys.platform, INSTALL["linux"])
    )


class Espeak:
    """espeak-ng, or the espeak it grew from: knows a hundred languages, and begins at once."""

    def __init__(self, program: str, voice: str, *, follows: bool = False) -> None:
        """`follows`: a text in letters that the voice cannot read is given to one that can."""
        self.name = f"{Path(program).stem} {voice}"
        self._program, self._voice, self._follows = program, voice, follows
        with _running(self._command(voice), b"a") as process:
            assert process.stdout is not None
            found = _wav_header(process.stdout)
        if found is None:
            hint = f"`{Path(program).stem} --voices` lists them"
            raise UsageError(f"{Path(program).stem} has no voice `{voice}`", hint=hint)
        self.sample_rate = found

    def say(self, text: str, stop: threading.Event) -> Iterator[NDArray[np.float32]]:
        voice = reader(text, self._voice) if self._follows else self._voice
        with _running(self._command(voice), plain(text).encode()) as process:
            assert process.stdout is not None
            if _wav_header(process.stdout) is None:
                if stop.is_set():
                    return
                raise AudioDeviceError(f"{self.name} said nothing", hint=f"try it: `{self._program} hello`")
            while not stop.is_set():
                data = process.stdout.read(2 * BLOCK)
                if not data:
                    break
                yield _floats(data)

    def _command(self, voice: str) -> list[str]:
        return [self._program, "-v", voice, "-b", "1", "--stdin", "--stdout"]

    def close(self) -> None:
        pass


class _ByFile:
    """A program that writes a sentence into a WAV file and ends."""

    name: str
    sample_rate = 22_050

    def say(self, text: str, stop: threading.Event) -> Iterator[NDArray[np.float32]]:
        with tempfile.TemporaryDirectory(prefix="mmcli-", ignore_cleanup_errors=True) as folder:
            written, sound = Path(folder, "text.txt"), Path(folder, "sound.wav")
            written.write_text(plain(text), "utf-8")
            command, variables = self._command(written, sound)
            with _running(command, b"", variables) as process:
                waited = 0.0
                while process.poll() is None and not stop.is_set():
                    if waited > PATIENCE:
                        raise AudioDeviceError(f"{self.name} does not finish")
                    waited += 0.02
                    stop.wait(0.02)
                if stop.is_set():
                    return
                told = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
            try:
                yield from self._read(sound, stop)
            except (OSError, EOFError, wave.Error) as error:
                reason = " ".join(told.split())[:200] or str(error)
                raise AudioDeviceError(f"{self.name} said nothing: {reason}") from error

    def _read(self, sound: Path, stop: threading.Event) -> Iterator[NDArray[np.float32]]:
        with wave.open(str(sound)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, self.sample_rate):
                raise wave.Error("not the form that was asked for")
            while not stop.is_set() and (data := file.readframes(BLOCK)):
                yield _floats(data)

    def _command(self, written: Path, sound: Path) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Say(_ByFile):
    """macOS's own voices; without a name, the one of the user's settings."""

    def __init__(self, program: str, voice: str | None) -> None:
        self.name = f"say {voice}" if voice else "say"
        self._program, self._voice = program, ["-v", voice] if voice else []
        if voice:
            # A line is `Anna                de_DE    # Hallo! …`; names may have blanks.
            lines = _listed([program, "-v", "?"])
            _check(
                voice, [line.split("#")[0].rsplit(None, 1)[0].strip() for line in lines if "#" in line], "say -v '?'"
            )

    def _command(self, written: Path, sound: Path) -> tuple[list[str], dict[str, str]]:
        form = ["--file-format=WAVE", f"--data-format=LEI16@{self.sample_rate}"]
        return [self._program, *self._voice, *form, "-o", str(sound), "-f", str(written)], {}


class Sapi(_ByFile):
    """Windows' own voices, through PowerShell."""

    def __init__(self, program: str, voice: str | None, language: str | None) -> None:
        self.name = voice or "Windows' voice"
        self._start = [program, "-NoProfile", "-NonInteractive", "-Command"]
        self._variables = {"MMCLI_SAPI_VOICE": voice or "", "MMCLI_SAPI_LANGUAGE": language or ""}
        if voice:
            _check(voice, _listed([*self._start, _SAPI_VOICES]), "Settings > Time & language > Speech")

    def _command(self, written: Path, sound: Path) -> tuple[list[str], dict[str, str]]:
        files = {"MMCLI_SAPI_TEXT": str(written), "MMCLI_SAPI_WAV": str(sound)}
        return [*self._start, _SAPI], self._variables | files


def plain(text: str) -> str:
    """The text without what espeak-ng and `say` take as commands: `[[…]]` are phonemes to them."""
    text = text.replace("[[", "[ [").replace("]]", "] ]")
    return "".join(character if character.isprintable() else " " for character in text)


def reader(text: str, language: str) -> str:
    """The language to read a text in: `language`, unless most of its letters are of a script that is foreign to it."""
    letters = [unicodedata.name(character, "").split(" ")[0] for character in text if character.isalpha()]
    # a few kana make Chinese characters Japanese
    found = [SCRIPTS[name.split("-")[0]] for name in letters if name.split("-")[0] in SCRIPTS]
    if 2 * len(found) <= len(letters):
        return language
    readers = next((script for script in found if script == ("ja",)), found[0])
    return language if language.split("-")[0] in readers else readers[0]


def own_language() -> str | None:
    """The code of the language that the user's settings name: `de` of `de_DE.UTF-8`."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name, ""):
            code = value.split(".")[0].split("_")[0].split("@")[0].lower()
            return code if len(code) in (2, 3) and code.isalpha() else None
    return None


def _first(programs: tuple[str, ...]) -> str | None:
    return next((found for name in programs if (found := shutil.which(name))), None)


@contextlib.contextmanager
def _running(
    command: list[str], told: bytes, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program with `told` on its standard input; it is ended at the end."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(variables or {})}, **apart
        )
    except OSError as error:
        raise AudioDeviceError(f"`{command[0]}` cannot be started: {error.strerror}") from error
    with process:
        try:
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # it ended before it read: its exit says more than a broken pipe
                process.stdin.write(told)
                process.stdin.close()
            yield process
        finally:
            process.kill()


def _listed(command: list[str]) -> list[str]:
    """The lines a program tells; none where it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]


def _check(voice: str, known: list[str], where: str) -> None:
    """UsageError where the voice is none of those; nothing where they could not be listed."""
    names = {name.casefold(): name for name in known}
    if names and voice.casefold() not in names:
        close = difflib.get_close_matches(voice.casefold(), names, n=1)
        hint = f"did you mean `{names[close[0]]}`?" if close else f"`{where}` lists them"
        raise UsageError(f"this machine has no voice `{voice}`", hint=hint)


def _wav_header(stream: IO[bytes]) -> int | None:
    """Read a WAV stream up to its samples: the rate in Hz, or None where nothing comes. Its length is not known yet."""
    start = stream.read(12)
    if len(start) < 12 or start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return None
    rate = 0
    while len(head := stream.read(8)) == 8:
        if head[:4] == b"data":
            return rate or None
        body = stream.read(struct.unpack("<I", head[4:])[0])
        if head[:4] == b"fmt " and len(body) >= 16:
            form, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if (form, channels, bits) != (1, 1, 16):
                return None
    return None


def _floats(data: bytes) -> NDArray[np.float32]:
    """(n_samples,) of 16-bit little-endian samples."""
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32)
    samples /= 32768
    return samples
