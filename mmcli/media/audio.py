"""One sound's bytes -> mono float samples with a receipt. Knows PyAV; knows no files, addresses or models."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

from mmcli.errors import InputError, ResourceError
from mmcli.media import suspect
from mmcli.media.types import Audio, Receipt

SAMPLE_RATE = 16_000  # Hz, what Whisper and the audio encoders of libmtmd expect
MAX_SECONDS = 3600.0
_FULL_SCALE = 32768  # of the 16-bit samples that are asked of the resampler
_GUESSES_DURATION = frozenset({"aac", "ac3", "amr", "ogg"})  # from the bit rate, or from the last page that is there


def decode(
    data: bytes,
    name: str,
    *,
    shown: str,
    suffix: str = "",
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float = MAX_SECONDS,
    sound_of_video: bool = False,
) -> Audio:
    """Decode the first sound in a file to mono at `sample_rate`; `shown` is the name as error messages put it.

    A file with moving pictures is an InputError unless `sound_of_video`. So is what is damaged, cut short or too long.
    """
    notes: list[str] = []
    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="ignore") as container:
            stream = _sound(container, shown, sound_of_video, notes)
            promised = container.duration / av.time_base if container.duration else None  # seconds
            if promised is not None and promised > max_seconds:
                raise _too_long(shown, promised, max_seconds)
            samples = _samples(container, stream, shown, sample_rate, max_seconds, notes)
            file_format = _format(container.format.name, suffix)
            source_rate, n_channels = stream.codec_context.sample_rate, stream.codec_context.channels
    except (av.FFmpegError, IndexError) as error:
        if suspect.is_cut_short(data, error):
            raise _cut_short(shown) from error
        raise InputError(f"{shown} cannot be decoded as sound", hint="does another program play it?") from error
    except MemoryError as error:
        raise ResourceError(f"not enough memory to decode {shown}") from error
    seconds = len(samples) / sample_rate
    _check_whole(data, shown, file_format, seconds, promised, notes)
    if n_channels > 1 or source_rate != sample_rate:
        channels = f"{n_channels} channels mixed to one, " if n_channels > 1 else ""
        notes.append(f"{channels}{source_rate} Hz → {sample_rate} Hz")
    if not samples.any():
        notes.append("silence: every sample is zero")
    media_id = hashlib.sha256(b"audio %d %d" % (sample_rate, len(samples)))
    media_id.update(samples.data)
    receipt = Receipt(
        source=name,
        kind="audio",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=file_format,
        seconds=seconds,
        notes=tuple(notes),
    )
    return Audio(samples, sample_rate, media_id.hexdigest(), receipt)


def _sound(
    container: av.container.InputContainer, shown: str, sound_of_video: bool, notes: list[str]
) -> av.AudioStream:
    cover = av.stream.Disposition.attached_pic
    if any(not stream.disposition & cover for stream in container.streams.video):
        if not sound_of_video:
            raise InputError(
                f"{shown} is a video, which is not supported yet",
                hint="take frames out of it: `ffmpeg -i IN.mp4 -vf fps=1 frame-%03d.png`",
            )
        notes.append("the sound of a video")
    if not container.streams.audio:
        raise InputError(f"{shown} holds no sound")
    if len(container.streams.audio) > 1:
        notes.append(f"first of {len(container.streams.audio)} sound tracks")
    return container.streams.audio[0]


def _samples(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    shown: str,
    sample_rate: int,
    max_seconds: float,
    notes: list[str],
) -> NDArray[np.float32]:
    """Decode and resample; a few broken packets are left out and noted, as players do."""
    blocks: list[NDArray[np.int16]] = []
    n_samples = n_broken = 0
    resampler, setup = _resampler(sample_rate), None
    for frame in _frames(container, stream):
        if isinstance(frame, Exception):
            n_broken += 1
            continue
        parts = []
        if frame is not None and setup not in (None, _setup(frame)):  # radio streams change rate or channels midway
            parts, resampler = resampler.resample(None), _resampler(sample_rate)
        parts += resampler.resample(frame)
        setup = _setup(frame) if frame is not None else None
        for part in parts:
            blocks.append(np.asarray(part.to_ndarray(), np.int16).reshape(-1))  # (1, n) -> (n,)
            n_samples += part.samples
        if n_samples > max_seconds * sample_rate:
            raise _too_long(shown, n_samples / sample_rate, max_seconds)
    if not blocks:
        raise InputError(f"{shown} holds no sound that could be decoded", hint="does another program play it?")
    if n_broken:
        notes.append(f"{n_broken} damaged packet{'s' * (n_broken > 1)} left out")
    samples = np.concatenate(blocks).astype(np.float32)  # (n_samples,)
    samples /= _FULL_SCALE  # -1 … 1
    return samples


class Resampler:
    """Blocks of a recording -> mono at another rate; it remembers the end of the block before."""

    def __init__(self, source_rate: int, n_channels: int, sample_rate: int = SAMPLE_RATE) -> None:
        self._resampler = _resampler(sample_rate)
        self._rate, self._layout = source_rate, {1: "mono", 2: "stereo"}.get(n_channels, f"{n_channels}c")
        self._same = source_rate == sample_rate and n_channels == 1

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_frames, n_channels) float samples -> (n_samples,), as many as can be told by now."""
        if self._same:
            return block.reshape(-1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), "flt", self._layout)
        frame.sample_rate = self._rate
        parts = [np.asarray(part.to_ndarray()).reshape(-1) for part in self._resampler.resample(frame)]
        samples = np.concatenate([np.zeros(0, np.int16), *parts]).astype(np.float32)
        samples /= _FULL_SCALE
        return samples


def _resampler(sample_rate: int) -> av.AudioResampler:
    # 16-bit, because for floats the resampler adds the channels up beyond full scale instead of averaging them.
    return av.AudioResampler(format="s16", layout="mono", rate=sample_rate)


def _setup(frame: av.AudioFrame) -> tuple[str, str, int]:
    """What must not change under one resampler."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[av.AudioFrame | av.FFmpegError | None]:
    """Decoded frames in order, an error for each packet that would not decode, and None to flush the resampler."""
    decoded = False
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    decoded = True
                    yield frame
            except av.FFmpegError as error:
                yield error
    except av.FFmpegError as error:  # the container itself breaks off
        yield error
    if decoded:
        yield None


def _check_whole(
    data: bytes, shown: str, file_format: str, seconds: float, promised: float | None, notes: list[str]
) -> None:
    """Refuse a sound whose header promises clearly more than came out. FFmpeg plays what is there and says nothing."""
    if file_format == "wav" and suspect.is_cut_short(data):
        raise _cut_short(shown)
    flags = data[data.rfind(b"OggS") + 5 :][:1]
    if file_format == "ogg" and not (flags and flags[0] & 4):  # 4 marks the last page of a stream
        notes.append("no end mark: it may be cut short")
    guessed = file_format in _GUESSES_DURATION or (
        file_format == "mp3" and b"Xing" not in data[:300_000] and b"Info" not in data[:300_000]
    )
    if promised is None or guessed:
        return
    if seconds < 0.9 * promised - 0.2:
        raise InputError(
            f"{shown} is cut short or damaged: {seconds:.1f} of {promised:.1f} seconds came out",
            hint="copy or download it again",
        )
    if seconds < promised - 0.08:  # more than a codec's delay
        notes.append(f"damaged: {promised - seconds:.1f} of {promised:.1f} seconds are missing")


def _cut_short(shown: str) -> InputError:
    return InputError(f"{shown} is cut short: its end is missing", hint="copy or download it again")


def _too_long(shown: str, seconds: float, max_seconds: float) -> InputError:
    return InputError(
        f"{shown} lasts at least {seconds / 60:.0f} minutes, the limit is {max_seconds / 60:.0f}",
        hint="cut it: `ffmpeg -i IN -ss 0 -t 3600 OUT.wav`",
    )


def _format(names: str, suffix: str) -> str:
    """FFmpeg's name of the container; where it has several ("mov,mp4,m4a"), the one the extension says."""
    options = names.split(",")
    return suffix[1:] if suffix[1:] in options else options[0]
