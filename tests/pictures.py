"""Draws small pictures and sounds, whole and odd ones, as bytes. Knows nothing of mmcli."""

from __future__ import annotations

import io
import struct
import wave
import zlib

import av
import numpy as np
from PIL import Image

# EXIF orientation -> how a camera held that way stores an upright picture
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
UPRIGHT_SIZE = (96, 64)


def upright() -> Image.Image:
    """Four corners of four colours, wider than high: any turn or flip shows."""
    width, height = UPRIGHT_SIZE
    picture = Image.new("RGB", UPRIGHT_SIZE, (200, 30, 30))
    picture.paste((30, 180, 30), (width // 2, 0, width, height // 2))
    picture.paste((30, 30, 200), (0, height // 2, width // 2, height))
    picture.paste((240, 240, 60), (width // 2, height // 2, width, height))
    return picture


def encoded(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def held(orientation: int, file_format: str, **options: object) -> bytes:
    """The upright picture as a camera stores it that was held that way."""
    turn = STORED[orientation]
    stored = upright() if turn is None else upright().transpose(turn)
    return encoded(stored, file_format, exif=exif(orientation), **options)


def noise(width: int = 120, height: int = 80) -> Image.Image:
    """A picture that no format can make small, so that half of its file is half of its pixels."""
    values = np.random.default_rng(7).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG put together by hand, for what Pillow does not write; with no rows, only a header and an empty body."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(tags: dict[int, tuple[int, int]], strip: bytes = b"") -> bytes:
    """A little-endian TIFF by hand: tag -> (type, value), type 3 is SHORT and 4 LONG; strip data at the end."""
    offset = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries = tags | {273: (4, offset), 279: (4, len(strip))}
    body = struct.pack("<H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        body += struct.pack("<HHI", tag, kind, 1) + (
            struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value)
        )
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 0) + strip


def tone(seconds: float = 1.0, rate: int = 44_100, channels: int = 2) -> np.ndarray:
    """(n, channels) int16: a 440 Hz tone at half of full scale."""
    time = np.arange(int(seconds * rate)) / rate
    wave_form = (0.5 * 32767 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    return np.repeat(wave_form[:, None], channels, axis=1)


def wav(seconds: float = 1.0, rate: int = 44_100, channels: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone(seconds, rate, channels).tobytes())
    return buffer.getvalue()


def sound(container_format: str, codec: str, seconds: float = 1.0, rate: int = 48_000) -> bytes:
    """A tone in any container that FFmpeg writes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        samples = np.ascontiguousarray(tone(seconds, rate).reshape(1, -1))  # packed: one row
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(
            stream.codec_context.format, "stereo", rate, stream.codec_context.frame_size or 1024
        )
        for part in resampler.resample(frame) + resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def video(with_sound: bool = True) -> bytes:
    """An MP4 of a few frames, with or without a sound track."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        track = container.add_stream("aac", rate=48_000, layout="stereo") if with_sound else None
        for _ in range(10):
            frame = av.VideoFrame.from_image(upright().resize((64, 64)))
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if track is not None:
            resampler = av.AudioResampler("fltp", "stereo", 48_000, 1024)
            samples = np.ascontiguousarray(tone(1.0, 48_000).reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, 0
            for part in resampler.resample(frame) + resampler.resample(None):
                container.mux(track.encode(part))
            container.mux(track.encode(None))
    return buffer.getvalue()
