"""Writes sounds that begin late, pause, are cut, joined or inverted, in any container. Knows nothing of mmcli."""

from __future__ import annotations

import io
import struct
import tempfile
import wave
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000  # Hz
Samples = NDArray[np.int16]


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0) -> Samples:
    """(n,) samples at half of full scale, with a little noise, so that no codec makes nothing of them."""
    n = int(seconds * rate)
    noise = np.random.default_rng(5).normal(0, 300, n)
    return (16_000 * np.sin(2 * np.pi * hertz * np.arange(n) / rate) + noise).astype(np.int16)


class _Pipe(io.RawIOBase):
    """Takes what is written and cannot go back: headers stay as they were before anything was known."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def sound(
    container: str,
    codec: str,
    samples: Samples | None = None,
    *,
    rate: int = RATE,
    late: float = 0.0,
    gap: tuple[float, float] | None = None,
    film: float = 0.0,
    second: Samples | None = None,
    piped: bool = False,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """A mono sound, 4 seconds of a tone if none is given.

    `late`: seconds at which it begins. `gap`: (at, seconds) by which later stamps are moved. `film`: seconds of moving
    pictures. `second`: another sound track. `piped`: written by somebody who cannot go back to the header.
    """
    with tempfile.TemporaryDirectory() as folder:  # some formats are read again to be finished
        out = _Pipe() if piped else f"{folder}/sound"
        file = av.open(out, "w", format=container, options=dict(options or {}))
        packets = _packets(file, codec, tone(4.0, rate) if samples is None else samples, rate)
        for packet in packets:
            time = float(packet.pts * packet.time_base)
            moved = late + (gap[1] if gap is not None and time >= gap[0] else 0.0)
            packet.pts += round(moved / packet.time_base)
            packet.dts = packet.pts
        if second is not None:
            packets += _packets(file, codec, second, rate)
        if film:
            packets += _pictures(file, film)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            file.mux(packet)
        file.close()
        return bytes(out.data) if isinstance(out, _Pipe) else Path(out).read_bytes()


def _packets(file: Any, codec: str, samples: Samples, rate: int) -> list[Any]:
    stream = file.add_stream(codec, rate=rate)
    stream.layout = "mono"
    if codec == "wmav2":
        stream.bit_rate = 64_000
    context = stream.codec_context
    context.open(strict=False)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
    frame.sample_rate = rate
    found, at = [], 0
    resampler = av.AudioResampler(context.format, "mono", rate, context.frame_size or 1024)
    for part in resampler.resample(frame) + resampler.resample(None):
        part.pts, part.time_base = at, Fraction(1, rate)
        at += part.samples
        found += stream.encode(part)
    return found + stream.encode(None)


def _pictures(file: Any, seconds: float) -> list[Any]:
    stream = file.add_stream("mpeg4", rate=5)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    found = []
    for i in range(round(seconds * 5)):
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        frame.pts, frame.time_base = i, Fraction(1, 5)
        found += stream.encode(frame)
    return found + stream.encode(None)


def channels(
    container: str,
    codec: str,
    layout: str,
    samples: NDArray[np.int16],
    rate: int = RATE,
    *,
    sample_format: str | None = None,
) -> bytes:
    """(n, n_channels) samples in a container."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = layout
        if sample_format is not None:
            stream.format = sample_format
        context = stream.codec_context
        context.open(strict=False)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(context.format, layout, rate, context.frame_size or 1024)
        for part in resampler.resample(frame) + resampler.resample(None):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


def wav(samples: Samples, rate: int = 16_000) -> bytearray:
    """(n,) or (n, n_channels) samples; 4 to 8 is the size of the whole, 40 to 44 that of the data."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((samples.shape[1] if samples.ndim > 1 else 1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return bytearray(buffer.getvalue())


def with_sizes(data: bytearray, *, whole: int | None = None, samples: int | None = None) -> bytes:
    """A WAV with other sizes in its header."""
    changed = bytearray(data)
    for at, size in ((4, whole), (40, samples)):
        if size is not None:
            changed[at : at + 4] = struct.pack("<I", size)
    return bytes(changed)


def flipped(data: bytes, at: float = 0.5) -> bytes:
    """One bit changed, at that part of the whole."""
    changed = bytearray(data)
    changed[int(len(data) * at)] ^= 1
    return bytes(changed)


def without(data: bytes, at: float, n_bytes: int) -> bytes:
    """A piece in the middle is gone."""
    start = int(len(data) * at)
    return data[:start] + data[start + n_bytes :]


# Direct Stream Digital, which FFmpeg reads and does not write


def _bits(seconds: float, rate: int) -> NDArray[np.uint8]:
    """A tone of 440 Hz as bits that are as often 1 as it is high."""
    signal = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate) // 8 * 8) / rate)
    steps = np.floor(np.cumsum((signal + 1) / 2))
    return np.diff(np.concatenate([[0], steps])).clip(0, 1).astype(np.uint8)


def dsf(seconds: float = 1.0, rate: int = 2_822_400) -> bytes:
    bits = _bits(seconds, rate)
    data = np.packbits(bits, bitorder="little").tobytes()
    data += bytes(-len(data) % 4096)
    form = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 1, 1, rate, 1, len(bits), 4096, 0)
    body = form + b"data" + struct.pack("<Q", 12 + len(data)) + data
    return b"DSD " + struct.pack("<QQQ", 28, 28 + len(body), 0) + body


def dff(seconds: float = 1.0, rate: int = 2_822_400) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">Q", len(body)) + body + bytes(len(body) % 2)

    properties: Sequence[bytes] = (
        chunk(b"FS  ", struct.pack(">I", rate)),
        chunk(b"CHNL", struct.pack(">H", 1) + b"C   "),
        chunk(b"CMPR", b"DSD \x0enot compressed"),
    )
    body = chunk(b"FVER", bytes([1, 5, 0, 0])) + chunk(b"PROP", b"SND " + b"".join(properties))
    body += chunk(b"DSD ", np.packbits(_bits(seconds, rate)).tobytes())
    return chunk(b"FRM8", b"DSD " + body)
