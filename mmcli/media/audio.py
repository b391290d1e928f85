"""One sound's bytes -> mono float samples with a receipt. Knows PyAV; knows no files, addresses or models."""

from __future__ import annotations

import hashlib
import io
import mmap
import threading

import av
import numpy as np
from numpy.typing import NDArray

from mmcli.errors import InputError, ResourceError
from mmcli.media import damage, ogg, promises, soundtrack, wholeness
from mmcli.media.clock import Clock, sample_at, shifted, time_of
from mmcli.media.locator import Locator, Stretch
from mmcli.media.mixing import FULL_SCALE, resampler, uncancelled
from mmcli.media.types import Audio, Receipt

SAMPLE_RATE = 16_000  # Hz, what Whisper and the audio encoders of libmtmd expect
MAX_SECONDS = 3600.0
OPUS_RATE = 48_000  # Hz, in which Opus counts time, whatever rate its sound had
BRIEF = 0.1  # seconds: what is shorter is not worth a note
# Containers in which 0 is the beginning of the file; in others, what comes first begins at 0, whatever its stamp says.
OWN_ZERO = frozenset("asf avi flv matroska mov nut".split())
# Containers whose stamps may jump from one recording to the next: as FFmpeg has it, by more than 10 seconds.
_JOINED = frozenset("mpegts mpeg ogg rtsp hls".split())
_MOST_JUMP = 10.0  # seconds
_MOST_LOST = 60.0  # seconds that a damaged first page can have held; a later stamp is one of a recorded stream
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def decode(
    data: bytes,
    name: str,
    *,
    shown: str,
    suffix: str = "",
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float = MAX_SECONDS,
    sound_of_video: bool = False,
    damaged_ok: bool = False,
    stretch: Stretch | None = None,
    stop: threading.Event | None = None,
) -> Audio:
    """Decode the first sound in a file to mono at `sample_rate`; `shown` is the name as error messages put it.

    Of a `stretch`, only that is decoded and kept; its times are those of the file. InputError where it holds no sound.

    A file with moving pictures is an InputError unless `sound_of_video`. So is what is too long, and what is cut short
    or badly damaged unless `damaged_ok`; and what is not decoded yet when `stop` is set.
    """
    notes: list[str] = []
    try:
        with av.open(_stream(data), "r", metadata_errors="ignore") as container:
            stream, container_name = (
                _sound(container, shown, sound_of_video, notes),
                container.format.name.split(",")[0],
            )
            granules = OPUS_RATE if stream.codec_context.name == "opus" else stream.codec_context.sample_rate
            pages = ogg.pages(data, granules) if container_name == "ogg" else None
            promise = promises.promise(data, container, stream)
            if stretch is None and promise is not None and promise.of != "file" and promise.seconds > max_seconds:
                raise _too_long(shown, promise.seconds, max_seconds)
            track = soundtrack.read(
                container, stream, _clock(container, container_name, pages, sample_rate), max_seconds, stretch, stop
            )
            file_format = _format(container.format.name, suffix)
            source_rate, n_channels = stream.codec_context.sample_rate, stream.codec_context.channels
    except soundtrack.TooLong as error:
        raise _too_long(shown, max_seconds, max_seconds) from error
    except soundtrack.Abandoned as error:
        raise InputError(f"{shown} was not decoded to its end: that was interrupted") from error
    except (av.FFmpegError, IndexError) as error:
        if damage.is_cut_short(data, error):
            raise _cut_short(shown) from error
        raise InputError(f"{shown} cannot be decoded as sound", hint="does another program play it?") from error
    except MemoryError as error:
        raise ResourceError(f"not enough memory to decode {shown}") from error
    if not track.clock.anchors:
        raise InputError(f"{shown} holds no sound that could be decoded", hint="does another program play it?")
    if track.is_ended:
        notes += wholeness.check(data, shown, container_name, promise, track, pages, damaged_ok=damaged_ok)
    seconds, anchors = track.clock.end, track.clock.anchors
    if stretch is not None:
        anchors = _cut(track, stretch, sample_rate, shown, notes)
        seconds = len(track.samples) / sample_rate
        if not track.is_ended:
            notes += wholeness.check_stretch(shown, container_name, track, pages, stretch, damaged_ok=damaged_ok)
    notes += _notes(track, sample_rate, n_channels, source_rate)
    media_id = hashlib.sha256(b"audio %d %d" % (sample_rate, len(track.samples)))
    media_id.update(track.samples.data)
    receipt = Receipt(
        source=name,
        kind="audio",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=file_format,
        seconds=seconds,
        locator=None if stretch is None else str(Locator(time=stretch)),
        notes=tuple(notes),
    )
    return Audio(track.samples, sample_rate, media_id.hexdigest(), receipt, tuple(anchors))


def _stream(data: bytes) -> io.BytesIO | mmap.mmap:
    """What FFmpeg reads; a film that is mapped is not copied."""
    if isinstance(data, mmap.mmap):
        data.seek(0)
        return data
    return io.BytesIO(data)


def _cut(
    track: soundtrack.Track, stretch: Stretch, sample_rate: int, shown: str, notes: list[str]
) -> list[tuple[int, float]]:
    """Leave only the samples of the stretch in the track, and give their anchors; a note says what they are.

    InputError where there are none.
    """
    anchors = shifted(track.clock.anchors, track.offset, sample_rate)
    n = len(track.samples)
    first = sample_at(anchors, stretch.begin, n, sample_rate)
    behind = n if stretch.end is None else sample_at(anchors, stretch.end, n, sample_rate)
    if first >= behind:
        if track.is_ended and first == n and track.clock.end < stretch.begin + BRIEF:
            raise InputError(f"{shown}: there is no such part, the sound ends at {track.clock.end:.1f} s")
        raise InputError(f"{shown}: that part of it holds no sound")
    track.samples = track.samples[first:behind]
    last = time_of(anchors, behind, sample_rate)
    is_short = track.is_ended and stretch.end is not None and stretch.end - last > BRIEF
    ending = ", where it ends" if stretch.end is None or is_short else ""
    begin = time_of(anchors, first, sample_rate)
    notes.append(f"heard from {begin:.1f} s to {last:.1f} s{ending}")
    return shifted(anchors, first, sample_rate)


def _sound(
    container: av.container.InputContainer, shown: str, sound_of_video: bool, notes: list[str]
) -> av.AudioStream:
    cover = av.stream.Disposition.attached_pic
    if any(not stream.disposition & cover for stream in container.streams.video):
        if not sound_of_video:
            raise InputError(
                f"{shown} is a video, which is not supported yet",
                hint="extract frames: `ffmpeg -i IN.mp4 -vf fps=1 frame-%03d.png`",
            )
        notes.append("the sound of a video")
    if not container.streams.audio:
        raise InputError(f"{shown} holds no sound")
    if container.streams.audio[0].codec_context is None:
        raise InputError(f"{shown} holds sound in a form that cannot be decoded", hint="does another program play it?")
    if len(container.streams.audio) > 1:
        notes.append(f"first of {len(container.streams.audio)} sound tracks")
    return container.streams.audio[0]


def _clock(
    container: av.container.InputContainer, container_name: str, pages: ogg.Pages | None, sample_rate: int
) -> Clock:
    """The file's own clock: which stamp is 0 on it, and whether its stamps may begin anew."""
    begins = (container.start_time or 0) / av.time_base
    has_lost_its_beginning = pages is not None and pages.is_first_lost and begins < _MOST_LOST
    zero = 0.0 if container_name in OWN_ZERO or has_lost_its_beginning else begins
    is_damaged = pages is not None and pages.n_lost > 0
    longest = _MOST_JUMP if container_name in _JOINED and not is_damaged else float("inf")
    return Clock(sample_rate, zero, longest)


def _notes(track: soundtrack.Track, sample_rate: int, n_channels: int, source_rate: int) -> list[str]:
    """What was done to a sound that is whole."""
    notes, seconds = [], len(track.samples) / sample_rate
    if track.clock.start > BRIEF:
        notes.append(f"the sound begins at {track.clock.start:.1f} s")
    if track.cancelled > BRIEF:
        which = f"the {_ORDINALS[track.channels[0]]}" if len(track.channels) == 1 and track.channels[0] < 8 else "one"
        part = f" for {track.cancelled:.1f} of {seconds:.1f} s" if track.cancelled < 0.95 * seconds else ""
        notes.append(f"its channels cancel each other out: {which} alone is taken{part}")
    if n_channels > 1 or source_rate != sample_rate:
        channels = f"{n_channels} channels mixed to one, " if n_channels > 1 else ""
        notes.append(f"{channels}{source_rate} Hz → {sample_rate} Hz")
    if not track.samples.any():
        notes.append("silence: every sample is zero")
    return notes


class Resampler:
    """Blocks of a recording -> mono at another rate; it remembers the end of the block before."""

    def __init__(self, source_rate: int, n_channels: int, sample_rate: int = SAMPLE_RATE) -> None:
        self._resampler = resampler(sample_rate)
        self._rate, self._layout = source_rate, {1: "mono", 2: "stereo"}.get(n_channels, f"{n_channels}c")
        self._same = source_rate == sample_rate and n_channels == 1

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_frames, n_channels) float samples -> (n_samples,), as many as can be told by now."""
        if self._same:
            return block.reshape(-1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(uncancelled(block)).reshape(1, -1), "flt", self._layout)
        frame.sample_rate = self._rate
        parts = [np.asarray(part.to_ndarray()).reshape(-1) for part in self._resampler.resample(frame)]
        samples = np.concatenate([np.zeros(0, np.int16), *parts]).astype(np.float32)
        samples /= FULL_SCALE
        return samples


def _cut_short(shown: str) -> InputError:
    return InputError(f"{shown} is cut short: its end is missing", hint="copy or download it again")


def _too_long(shown: str, seconds: float, max_seconds: float) -> InputError:
    return InputError(
        f"{shown} lasts at least {seconds / 60:.0f} minutes, the limit is {max_seconds / 60:.0f}",
        hint=f"take a part of it, in seconds: `talk.mp3#t=0,{max_seconds:.0f}`",
    )


def _format(names: str, suffix: str) -> str:
    """FFmpeg's name of the container; where it has several ("mov,mp4,m4a"), the one the extension says."""
    options = names.split(",")
    return suffix[1:] if suffix[1:] in options else options[0]
