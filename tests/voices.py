"""`mmcli voice` in a pipe, at the virtual microphone: what it says, line by line, and a hand that types and plays."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.speaking import VOICE, say
from tests.virtual_microphone import VirtualMicrophone

PATIENCE = 240  # seconds: only a hang takes that long
TRIES = 6  # times a sentence is said: a busy machine may lose some of what it plays
VOICES = (VOICE, f"{VOICE}+f3", "en-gb")  # in turn: a model that mishears one speaker mishears that speaker every time
LAG = 2  # seconds that one pipe may be read later than the other
WHAT = "what is in this picture"
HOW_MANY = "how many shapes are there"


class Voice:
    """One run of `mmcli voice ARGUMENTS`, with stdin, stdout and stderr as pipes."""

    def __init__(
        self, arguments: list[str], environment: dict[str, str], folder: Path, microphone: VirtualMicrophone
    ) -> None:
        self.folder, self.microphone = folder, microphone
        self.out, self.told = "", ""  # stdout and stderr so far
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmcli", "voice", *arguments],
            cwd=folder,
            env=environment | microphone.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("out", "told")]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = self.process.stdout if name == "out" else self.process.stderr
        assert stream is not None
        while data := stream.read(4096):
            setattr(self, name, getattr(self, name) + data.decode())

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Until `is_so`; an error where the program ends before."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, f"waited for {what}: {self.out!r}, {self.told}"
            if self.process.poll() is not None:
                for reader in self._readers:
                    reader.join()
                assert is_so(), f"it ended ({self.process.returncode}) before {what}: {self.out!r}, {self.told}"
            time.sleep(0.01)

    def listens(self, times: int = 1) -> None:
        """Until it has said so many times that it listens."""
        self.wait(lambda: self.told.count("note: listening to") >= times, f"listening, {times} times")

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    def play(self, sentence: str, speaker: str = VOICE) -> subprocess.Popen[bytes]:
        """Begin to say something."""
        path = self.folder / f"{abs(hash((sentence, speaker)))}.wav"
        return self.microphone.play(path if path.exists() else say(path, sentence, speaker))

    def say(self, sentence: str, is_so: Callable[[], bool], what: str) -> None:
        """Say it, and again by another speaker where something else was heard, until `is_so`."""
        for number in range(TRIES):
            heard = self.told.count("note: heard: ")
            assert self.play(sentence, VOICES[number % len(VOICES)]).wait(PATIENCE) == 0
            self.wait(lambda heard=heard: self.told.count("note: heard: ") > heard, f"hearing of `{sentence}`")  # type: ignore[misc]
            self.wait(lambda: "note: listening to" in self.told.rpartition("note: heard: ")[2], "the end of the turn")
            end = time.monotonic() + LAG
            while not is_so() and time.monotonic() < end:
                time.sleep(0.01)
            if is_so():
                return
        raise AssertionError(f"{what} never came: {self.out!r}, {self.told}")

    def end(self, signal_number: int | None = None) -> int:
        """Type /quit, or send a signal; the exit status."""
        if signal_number is None:
            self.type("/quit")
        else:
            self.process.send_signal(signal_number)
        self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
