"""Sounds: every container and codec that PyAV writes here, damaged; checksums tell whether damage was seen."""

from __future__ import annotations

import functools
import io
import random
import struct
import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mmcli import media
from tests.fuzz.case import Case, Limits, Ran
from tests.fuzz.damage import damage, several
from tests.fuzz.pictures import NAMES

RATE = 16_000  # Hz
SECONDS = 3.0
NOTICED = 0.15  # seconds: less may be a codec's delay, or the filling of its last packet
# Containers that say how long they are: what is cut off them must be missed.
LENGTHS = frozenset({"wav", "flac", "m4a", "mkv", "aiff", "caf", "tta", "wv", "ogg", "opus"})
# Their own checksums: whatever changes in the sound must be seen.
CHECKED = frozenset({"flac", "ogg", "opus"})


@functools.cache
def melody() -> np.ndarray:
    """(n,) float32 in -1 … 1: a tone that rises, so that no two parts of it are alike."""
    time = np.arange(int(SECONDS * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * (200 + 300 * time) * time)).astype(np.float32)


def _wav(form: str, code: int, bits: int) -> Callable[[], bytes]:
    """A WAV by hand: `form` is numpy's, `code` the format tag (1 PCM, 3 float)."""

    def make() -> bytes:
        if code == 1 and bits == 8:
            body = ((melody() + 1) * 127).astype("u1").tobytes()
        else:
            body = (melody() * (1 if code == 3 else 2 ** (bits - 1) - 1)).astype(form).tobytes()
        header = struct.pack("<HHIIHH", code, 1, RATE, RATE * bits // 8, bits // 8, bits)
        chunks = b"fmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(body)) + body
        return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks

    return make


def _stereo() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, RATE, 0, "NONE", ""))
        samples = (melody() * 32767).astype("<i2")
        out.writeframes(np.stack([samples, samples // 2], axis=1).tobytes())
    return file.getvalue()


def _encoded(form: str, codec: str, rate: int = RATE, *, film: bool = False) -> Callable[[], bytes]:
    def make() -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format=form) as out:
            track = out.add_stream(codec, rate=rate)
            track.layout = "mono"
            if film:
                pictures = out.add_stream("mpeg4", rate=5)
                pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
                for i in range(int(5 * SECONDS)):
                    frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), i, np.uint8), "rgb24")
                    frame.pts, frame.time_base = i, Fraction(1, 5)
                    out.mux(pictures.encode(frame))
                out.mux(pictures.encode(None))
            source = av.AudioFrame.from_ndarray(melody().reshape(1, -1), "flt", "mono")
            source.sample_rate, source.pts, source.time_base = RATE, 0, Fraction(1, RATE)
            size = track.codec_context.frame_size or 1024
            resampler = av.AudioResampler(track.codec_context.format, "mono", rate, size)
            for part in resampler.resample(source) + resampler.resample(None):
                out.mux(track.encode(part))
            out.mux(track.encode(None))
        return file.getvalue()

    return make


MAKERS: dict[str, Callable[[], bytes]] = {
    "wav": _wav("<i2", 1, 16),
    "8.wav": _wav("u1", 1, 8),
    "32.wav": _wav("<i4", 1, 32),
    "float.wav": _wav("<f4", 3, 32),
    "stereo.wav": _stereo,
    "adpcm.wav": _encoded("wav", "adpcm_ms"),
    "flac": _encoded("flac", "flac"),
    "opus": _encoded("ogg", "libopus", 48_000),
    "flac.ogg": _encoded("ogg", "flac"),
    "mp3": _encoded("mp3", "libmp3lame"),
    "mp2": _encoded("mp2", "mp2"),
    "m4a": _encoded("ipod", "aac"),
    "alac.m4a": _encoded("ipod", "alac"),
    "aac": _encoded("adts", "aac"),
    "ac3": _encoded("ac3", "ac3", 48_000),
    "aiff": _encoded("aiff", "pcm_s16be"),
    "au": _encoded("au", "pcm_mulaw"),
    "caf": _encoded("caf", "pcm_s16le"),
    "mkv": _encoded("matroska", "flac", film=True),
    "webm": _encoded("webm", "libopus", 48_000),
    "mp4": _encoded("mp4", "aac", film=True),
    "avi": _encoded("avi", "libmp3lame", film=True),
    "ts": _encoded("mpegts", "aac", film=True),
    "wv": _encoded("wv", "wavpack"),
    "tta": _encoded("tta", "tta"),
}


@dataclass(frozen=True)
class Whole:
    data: bytes
    samples: np.ndarray
    notes: frozenset[str]


@functools.cache
def whole(name: str) -> Whole | None:
    """A format's file as it should be; None where this machine's FFmpeg cannot write it."""
    try:
        data = MAKERS[name]()
    except (av.FFmpegError, ValueError, TypeError):
        return None
    heard = load(Path(f"whole.{name}"), data)
    return Whole(data, heard.samples, frozenset(heard.receipt.notes))


def load(path: Path, data: bytes) -> media.Audio:
    source = media.Source(path.name, data=data)
    found = media.load(source, kinds=frozenset({"audio"}), max_seconds=600)
    assert isinstance(found, media.Audio)
    return found


def make(chance: random.Random, folder: Path, keep: Path) -> Case:
    names = [name for name in MAKERS if whole(name)]
    name = chance.choice(names)
    before = whole(name)
    assert before is not None
    done = damage(chance, before.data) if chance.random() < 0.6 else several(chance, before.data)
    path = folder / f"{chance.choice(NAMES) if chance.random() < 0.3 else 'talk'}.{name}"
    path.write_bytes(done.data)

    def call() -> Ran:
        from mmcli import terminal

        heard = load(path, done.data)
        for note in (heard.receipt.source, *heard.receipt.notes):
            terminal.notice(note, terminal.Style())
        return Ran(silent=_silent(name, done.kind, before, heard))

    label = f"{name}: {done} of {len(before.data)}"
    arguments = ("transcribe", "-m", "starter", "-v", f"./{path.name}")
    return Case(label, call, arguments, frozenset({0, 3}), limits=Limits(memory=300 << 20))


def _silent(name: str, kind: str, before: Whole, heard: media.Audio) -> str | None:
    """Whether sound is missing, or is another, and no note says so."""
    if set(heard.receipt.notes) - before.notes:
        return None
    family = name.rsplit(".", 1)[-1]
    missing = (len(before.samples) - len(heard.samples)) / RATE
    if kind == "cut" and family in LENGTHS and missing > NOTICED:
        return f"{family} cut short: {missing:.1f} seconds are missing, and no note says so"
    if family not in CHECKED or kind not in ("flip", "noise", "zeros", "ones", "delete", "zero-end", "ones-end"):
        return None
    if missing > NOTICED:
        return f"{family} with a wrong checksum: {missing:.1f} seconds are missing, and no note says so"
    n = min(len(before.samples), len(heard.samples))
    if np.abs(before.samples[:n] - heard.samples[:n]).max(initial=0) > 0.05:
        return f"{family} with a wrong checksum: another sound, and no note says so"
    return None
