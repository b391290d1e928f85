"""One track of an open container -> its samples and their time. Knows PyAV; knows no files, and judges nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mmcli.media.clock import Clock
from mmcli.media.flac import Fingerprint
from mmcli.media.locator import Stretch
from mmcli.media.mixing import FULL_SCALE, Mixer

# A checksum that FFmpeg's decoders look at only when asked, and then leave out what is wrong.
_CHECKED = {"err_detect": "crccheck+explode"}
_WITH_CHECKSUMS = frozenset("flac wavpack tta ape tak mlp truehd".split())
EDGES = 1.0  # seconds: what the frames at both ends of a stretch may hold besides
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


class TooLong(Exception):
    """There are more than `max_seconds` of sound."""


class Abandoned(Exception):
    """It was not decoded to its end, for nobody waits for it any more."""


@dataclass
class Track:
    """What came out of a track."""

    samples: NDArray[np.float32]  # (n,), mono, -1 … 1
    clock: Clock
    n_packets: int  # that gave sound
    n_broken: int  # packets that gave none, tags and padding left aside
    last: float  # seconds: where the last packet of any track ends
    cancelled: float  # seconds in which one channel stands for all
    channels: tuple[int, ...]  # the ones that did, from 0
    is_altered: bool  # other samples were encoded than these
    offset: int = 0  # samples of the track before the first of these, where only a stretch was wanted
    is_ended: bool = True  # whether the file was read to its end, not only to that of the stretch


@dataclass
class _Reading:
    clock: Clock
    mixer: Mixer
    fingerprint: Fingerprint | None
    tick: float  # seconds that the track's time stamps count
    stretch: Stretch | None = None  # what is wanted of it
    offset: float = 0.0  # samples that were decoded and not kept
    is_done: bool = False  # the stretch ended before the file does
    n_packets: int = 0
    n_broken: int = 0
    n_blank: int = 0  # broken packets of nothing but zeros: padding, unless sound follows
    last: float = 0.0
    blocks: list[NDArray[np.int16]] = field(default_factory=list)
    n_samples: int = 0

    def keep(self, blocks: Iterator[NDArray[np.int16]]) -> None:
        for block in blocks:
            self.blocks.append(block)
            self.n_samples += len(block)

    def pause(self, seconds: float) -> None:
        self.keep(self.mixer.flush())
        self.keep(iter([np.zeros(round(seconds * self.clock.sample_rate), np.int16)]))

    def frame(self, frame: av.AudioFrame) -> None:
        stamp = None if frame.pts is None else frame.pts * self.tick
        if self.fingerprint is not None:
            self.fingerprint.feed(frame)
        seconds = frame.samples / frame.sample_rate
        silence = self.clock.frame(stamp, seconds)
        if self.stretch is not None and not self._is_inside(self.stretch, seconds):
            return
        if silence:
            self.pause(silence)
        self.keep(self.mixer.feed(frame))

    def _is_inside(self, stretch: Stretch, seconds: float) -> bool:
        """Whether some of the frame of which the clock was just told lies in the stretch."""
        if self.clock.end <= stretch.begin:
            self.offset = self.clock.n_samples
            return False
        self.is_done = stretch.end is not None and self.clock.end - seconds >= stretch.end
        return not self.is_done

    def broken(self, packet: av.Packet[Any]) -> None:
        data = bytes(packet)
        if data.startswith(_TAGS):
            return
        if data and not any(data):
            self.n_blank += 1
        else:
            self.n_broken += 1


def read(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    clock: Clock,
    max_seconds: float,
    stretch: Stretch | None = None,
    stop: threading.Event | None = None,
) -> Track:
    """Decode a track to its end, or to where the container breaks off; what cannot be decoded is left out.

    Of a `stretch`, only the frames that lie in it are kept, and nothing is read behind its end. TooLong where there is
    more than `max_seconds`; Abandoned once `stop` is set.
    """
    ticks = {each.index: float(each.time_base or 0) for each in container.streams}  # seconds; fractions would take long
    reading = _Reading(clock, Mixer(clock.sample_rate), _fingerprint(container, stream), ticks[stream.index], stretch)
    max_samples = (max_seconds + (EDGES if stretch is not None else 0.0)) * clock.sample_rate
    if stream.codec_context.name in _WITH_CHECKSUMS:
        stream.codec_context.options = _CHECKED
    try:
        for packet in container.demux():
            if stop is not None and stop.is_set():
                raise Abandoned
            index = packet.stream_index
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * ticks.get(index, 0.0)
                reading.last = max(reading.last, end - clock.zero)
            if index == stream.index:
                _decode(packet, reading)
            if reading.n_samples > max_samples:
                raise TooLong
            if reading.is_done:
                break
    except av.FFmpegError:  # the container itself breaks off
        reading.n_broken += 1
    reading.keep(reading.mixer.flush())
    return Track(
        samples=_joined(reading.blocks),
        clock=clock,
        n_packets=reading.n_packets,
        n_broken=reading.n_broken,
        last=max(reading.last, clock.end),
        cancelled=reading.mixer.n_cancelled / clock.sample_rate,
        channels=tuple(sorted(reading.mixer.channels)),
        is_altered=not reading.is_done and reading.fingerprint is not None and reading.fingerprint.differs,
        offset=round(reading.offset),
        is_ended=not reading.is_done,
    )


def _fingerprint(container: av.container.InputContainer, stream: av.AudioStream) -> Fingerprint | None:
    extra = stream.codec_context.extradata
    is_flac = container.format.name == "flac" and stream.codec_context.name == "flac"  # elsewhere, nobody fills it in
    return Fingerprint(extra) if is_flac and extra else None


def _decode(packet: av.Packet[Any], reading: _Reading) -> None:
    try:
        frames = packet.decode()
    except av.FFmpegError:
        reading.broken(packet)
        return
    for frame in frames:
        assert isinstance(frame, av.AudioFrame)
        reading.frame(frame)
    if frames and packet.size:
        reading.n_packets += 1
        reading.n_broken, reading.n_blank = reading.n_broken + reading.n_blank, 0


def _joined(blocks: list[NDArray[np.int16]]) -> NDArray[np.float32]:
    """All blocks as one array of floats; each is let go as it is copied, so that a long sound is held only once."""
    samples = np.empty(sum(map(len, blocks)), np.float32)
    at = len(samples)
    while blocks:
        block = blocks.pop()
        at -= len(block)
        samples[at : at + len(block)] = block
        samples[at : at + len(block)] /= FULL_SCALE
    return samples
