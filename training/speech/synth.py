"""Text to speech through espeak-ng's library, with the time of every word and phone. Knows nothing of training."""

from __future__ import annotations

import atexit
import ctypes
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from training.speech import voices
from training.speech.voices import Voice

LIBRARY = "libespeak-ng.so.1"
SAMPLE_RATE = 16_000  # Hz, what Whisper expects; espeak-ng's voices have 22,050
ESPEAK_RATE = 22_050  # Hz
RETURN_SAMPLES = 2  # AUDIO_OUTPUT_SYNCHRONOUS
PHONE_EVENTS_IN_IPA = 1 | 2
END, WORD, PHONE = 0, 1, 7  # kinds of events
RATE, PITCH, RANGE, WORD_GAP = 1, 3, 4, 7  # parameters
UTF8 = 1


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p), ("languages", ctypes.c_char_p), ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte), ("age", ctypes.c_ubyte), ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte), ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]  # fmt: skip


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Phone:
    """One phone of an utterance, from `start` to `end` samples at 16 kHz; `symbol` is empty for a pause."""

    symbol: str
    word: int  # index among the text's words; -1 in a pause
    start: int
    end: int


@dataclass(frozen=True)
class Utterance:
    text: str
    samples: np.ndarray  # float32 mono at 16 kHz, within ±1
    phones: tuple[Phone, ...]

    @property
    def end(self) -> int:
        """Where the last word ends, in samples."""
        return max((phone.end for phone in self.phones if phone.word >= 0), default=0)


class Espeak:
    """The library, which can be opened once a process. `data` is the folder that holds its `espeak-ng-data`."""

    def __init__(self, data: Path) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._blocks: list[np.ndarray] = []
        self._events: list[tuple[int, int, int, int, str]] = []
        self._callback = _Callback(self._receive)  # kept alive as long as the library may call it
        rate = self._library.espeak_Initialize(RETURN_SAMPLES, 0, str(data).encode(), PHONE_EVENTS_IN_IPA)
        assert rate == ESPEAK_RATE, f"espeak-ng gives {rate} Hz"
        self._library.espeak_SetSynthCallback(self._callback)

    @property
    def version(self) -> str:
        return str(self._library.espeak_Info(None).decode())

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], n: int, events: ctypes._Pointer[_Event]) -> int:
        if n > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (n,)).copy())
        i = 0
        while (event := events[i]).type != END:
            if event.type in (WORD, PHONE):
                symbol = event.id.string.decode("utf-8", "ignore") if event.type == PHONE else ""
                self._events.append((event.type, event.text_position, event.length, event.sample, symbol))
            i += 1
        return 0

    def _choose(self, name: str) -> None:
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:  # knows no capital letters; by language it does
            wanted = _Voice(languages=name.encode())
            status = self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted))
            assert status == 0, f"espeak-ng has no voice {name}"

    def say(self, text: str, voice: Voice) -> Utterance:
        self._blocks.clear()
        self._events.clear()
        self._choose(voice.name)
        for parameter, value in (
            (RATE, voice.speed), (PITCH, voice.pitch), (RANGE, voice.range), (WORD_GAP, voice.gap)
        ):  # fmt: skip
            self._library.espeak_SetParameter(parameter, value, 0)
        raw = text.encode()
        status = self._library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, UTF8, None, None)
        assert status == 0, f"espeak-ng cannot say {text!r}"
        samples = np.concatenate(self._blocks).astype(np.float32) / 32768
        return Utterance(text, resampled(samples), self._phones(text, len(samples)))

    def _phones(self, text: str, n: int) -> tuple[Phone, ...]:
        """Phones by the events' times; what espeak-ng says as one (`in the`) is divided by letters."""
        spans = [match.span() for match in re.finditer(r"[A-Za-z']+", text)]
        firsts = [  # index of the first word each word event stands for
            max((i for i, (start, _) in enumerate(spans) if start < position), default=0)
            for kind, position, *_ in self._events
            if kind == WORD
        ]
        groups: list[list[tuple[str, int]]] = [[] for _ in firsts]  # (symbol, sample) of each word event
        current = -1
        times = []
        for kind, _, _, sample, symbol in self._events:
            if kind == WORD:
                current += 1
            else:
                times.append(sample)
                groups[max(current, 0)].append((symbol, sample))
        times = [round(time * SAMPLE_RATE / ESPEAK_RATE) for time in (*times, n)]
        phones: list[Phone] = []
        for i, group in enumerate(groups):
            last = firsts[i + 1] if i + 1 < len(firsts) else len(spans)
            words = list(range(firsts[i], max(last, firsts[i] + 1)))
            letters = np.cumsum([spans[word][1] - spans[word][0] for word in words])
            spoken = sum(bool(symbol) for symbol, _ in group)
            said = 0
            for symbol, _ in group:
                word = -1
                if symbol:
                    word = words[int(np.searchsorted(letters, (said + 0.5) / spoken * letters[-1]))]
                    said += 1
                k = len(phones)
                phones.append(Phone(symbol.strip("ˈˌ"), word, times[k], times[k + 1]))
        return tuple(phones)


def resampled(samples: np.ndarray) -> np.ndarray:
    """22,050 to 16,000 Hz, band-limited, by one Fourier transform of the whole."""
    padded = np.pad(samples, (0, -len(samples) % 441))
    n = len(padded) // 441 * 320
    return np.fft.irfft(np.fft.rfft(padded)[: n // 2 + 1], n).astype(np.float32) * (320 / 441)


@cache
def speaker() -> Espeak:
    """espeak-ng, which also knows the invented variants: its data folder's links and our files side by side."""
    told = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    system = Path(told.partition("Data at: ")[2].strip())
    folder = Path(tempfile.mkdtemp(prefix="espeak-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # the library reads from it as long as it speaks
    data = folder / "espeak-ng-data"
    variants = data / "voices" / "!v"
    variants.mkdir(parents=True)
    for there, here in ((system, data), (system / "voices", data / "voices"), (system / "voices" / "!v", variants)):
        for entry in there.iterdir():
            if not (here / entry.name).exists() and entry.name != "mb":  # MBROLA's voices: too many for its list
                (here / entry.name).symlink_to(entry)
    for name in voices.INVENTED:
        (variants / name).write_text(voices.variant_file(name), "ascii")
    return Espeak(folder)
