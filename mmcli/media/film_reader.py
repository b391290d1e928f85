"""An open film -> the frame of any moment, at the least cost. Knows PyAV; knows no models, and judges nothing.

What is cheap in a film is a keyframe: it can be decoded alone. Every other frame needs all those since the keyframe
before it. So `near` takes a keyframe where a part has one; and `at`, for a certain moment, seeks only where a keyframe
lies between here and there, and leaves out the frames on the way that no other one depends on.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import av

from mmcli.media.film_plan import Slot
from mmcli.media.soundtrack import Abandoned

TICK = 1e-4  # seconds: times that differ by less are the same
FAR = 10.0  # seconds: where keyframes are not listed, a seek pays from such a distance on
MARGIN = 0.25  # seconds before the wanted moment in which every frame is decoded
STEPS = (0.0, 5.0, 30.0)  # seconds by which a seek that lands behind the moment is moved back, before it begins anew
STAMPED = frozenset(("mov", "matroska", "mpegts"))  # containers whose packets say when their frames are shown
EARLY = 1.0  # seconds before a keyframe to which a seek goes where they are not listed
OFF = 2.0  # seconds: what index and frames may differ by, which is the reordering of frames


@dataclass(frozen=True)
class Shot:
    """One decoded frame and its time on the film's clock, in seconds."""

    time: float
    frame: av.VideoFrame
    following: av.VideoFrame | None = None  # the frame after it
    is_substitute: bool = False  # the one that is meant is damaged; this is the one before


class FilmReader:
    """One film, open. Moments may be asked for in any order; in that of the film it is cheapest."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        zero: float,
        stop: threading.Event | None = None,
    ) -> None:
        """`zero`: the stamp, in seconds, that is 0 on the film's clock. Setting `stop` raises Abandoned."""
        self._container, self._stream, self._zero, self._stop = container, stream, zero, stop
        self._codec = stream.codec_context
        self._codec.thread_type = "AUTO"
        self._tick = float(stream.time_base or 0)
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._now: av.VideoFrame | None = None
        self._next: av.VideoFrame | None = None
        self._target = 0.0
        name = container.format.name.split(",")[0]
        self._is_stamped, self._is_unordered = name in STAMPED, name == "avi"  # an AVI numbers frames as they lie in it
        self.n_broken = 0  # packets and frames that could not be decoded whole
        self.is_ended = False  # the end of the film was seen
        self._n_between = 0  # of the broken ones, between the two frames at which it stands
        self.last = 0.0  # seconds: where the latest packet that was seen ends
        self.first = self._beginning()

    def time(self, frame: av.VideoFrame) -> float:
        """Seconds on the film's clock."""
        stamp = frame.pts if frame.pts is not None and not self._is_unordered else frame.dts
        return max(0.0, round((stamp or 0) * self._tick - self._zero, 6))

    @cached_property
    def keyframes(self) -> tuple[float, ...]:
        """The times of all keyframes where the file lists them; empty where it does not."""
        return tuple(time for time, _ in self._listed)

    @cached_property
    def _listed(self) -> list[tuple[float, int]]:
        """(time, the stamp to seek to) of each keyframe."""
        stamps = [entry.timestamp for entry in self._stream.index_entries if entry.is_keyframe]
        if not stamps:
            return []
        # An index may count in decoding order: a frame is shown a little later, by the same for all.
        shift = self.time(self.first.frame) - (stamps[0] * self._tick - self._zero)
        shift = shift if 0 <= shift < OFF else 0.0
        later = round(shift / self._tick)  # a seek, too, goes by when a frame is shown
        return [(round((stamp + later) * self._tick - self._zero, 6), stamp + later) for stamp in sorted(stamps)]

    def near(self, slot: Slot) -> Shot:
        """A keyframe of the slot's part, the one nearest to its target where that is known; else `at` its target."""
        inside = self._inside(slot)
        if inside:
            time, stamp = min(inside, key=lambda each: abs(each[0] - slot.target))
            shot = self._keyframe(stamp)
            if shot is not None and self._is_unordered:  # decoded alone, it was not held back
                shot = Shot(time, shot.frame)
            if shot is not None and slot.begin - TICK <= shot.time < slot.end:
                return shot
        elif not self._listed or slot.end > self._listed[-1][0]:  # a list may be unfinished
            shot = self._keyframe(self._stamp(slot.begin - EARLY), slot.begin)
            if shot is not None and slot.begin - TICK <= shot.time < slot.end:
                return shot
        return self.at(slot.target)

    def at(self, seconds: float) -> Shot:
        """The frame that is shown at that moment; the first or the last one where it lies outside."""
        self._target = seconds
        if self._now is None or self.time(self._now) > seconds + TICK or self._is_seek_worth(seconds):
            self._seek(seconds)
        while self._next is not None and self.time(self._next) <= seconds + TICK:
            self._now = self._next
            self._look_ahead()
        if self._now is None:
            return self.first
        is_substitute = self._n_between > 0 and seconds > self.time(self._now) + self._interval
        return Shot(self.time(self._now), self._now, self._next, is_substitute)

    @property
    def _interval(self) -> float:
        """Seconds that a frame is shown, usually, and a little more."""
        rate = self._stream.average_rate
        return 1.5 / float(rate) if rate else 0.1

    def each_keyframe(self, begin: float, end: float) -> Iterator[Shot]:
        """All keyframes of a stretch; nothing else is decoded."""
        if self._is_unordered:
            for time, stamp in self._listed:
                if begin - TICK <= time < end and (shot := self._keyframe(stamp)) is not None:
                    yield Shot(time, shot.frame)
            return
        self._forget()
        start = self._before(begin) if self._listed else self._stamp(begin - FAR)
        self._container.seek(start, stream=self._stream, backward=True)
        self._codec.skip_frame = "NONKEY"
        try:
            for frame in self._decoded(keys_only=True):
                time = self.time(frame)
                if time >= end:
                    break
                if time >= begin - TICK:
                    yield Shot(time, frame)
        finally:
            self._codec.skip_frame = "DEFAULT"

    def _beginning(self) -> Shot:
        """The film's first frame. EOFError where there is none."""
        self._frames = self._decoded()
        self._now = next(self._frames, None)
        if self._now is None:
            raise EOFError
        if self._is_unordered and self._now.dts is not None:  # reordering holds back the first one
            self._zero += self._now.dts * self._tick
        self._look_ahead()
        return Shot(self.time(self._now), self._now, self._next)

    def _inside(self, slot: Slot) -> list[tuple[float, int]]:
        first = bisect.bisect_left(self._listed, (slot.begin, -(1 << 62)))
        behind = bisect.bisect_left(self._listed, (slot.end, -(1 << 62)))
        return self._listed[first:behind]

    def _before(self, seconds: float) -> int:
        """The stamp to seek to for the keyframe before a moment."""
        place = bisect.bisect_right(self._listed, (seconds + TICK, 1 << 62))
        return self._listed[place - 1][1] if place else self._stamp(seconds)

    def _stamp(self, seconds: float) -> int:
        return int((seconds + self._zero) / self._tick) if self._tick else 0

    def _forget(self) -> None:
        self._frames, self._now, self._next = iter(()), None, None

    def _keyframe(self, stamp: int, begin: float | None = None) -> Shot | None:
        """The keyframe at or before a stamp, decoded alone; with `begin`, the first one that is not shown before it."""
        self._forget()
        try:
            self._container.seek(stamp, stream=self._stream, backward=True)
            for packet in self._packets():
                is_early = begin is not None and (packet.pts or 0) * self._tick - self._zero < begin - TICK
                if not packet.is_keyframe or is_early:
                    continue
                frames = [*packet.decode(), *self._codec.decode(None)]
                self._codec.flush_buffers()
                whole = [frame for frame in frames if isinstance(frame, av.VideoFrame) and not frame.is_corrupt]
                return Shot(self.time(whole[0]), whole[0]) if whole else None
        except av.FFmpegError:
            self.n_broken += 1
        return None

    def _is_seek_worth(self, seconds: float) -> bool:
        """Whether a keyframe lies between where decoding stands and the moment."""
        if self._next is None:
            return False
        here = self.time(self._next)
        if self._listed:
            place = bisect.bisect_right(self._listed, (seconds + TICK, 1 << 62))
            return place > 0 and self._listed[place - 1][0] > here + TICK
        return seconds - here > FAR

    def _seek(self, seconds: float) -> None:
        """Stand before the moment: at the keyframe before it."""
        stamps = [self._before(max(0.0, seconds - back)) for back in STEPS]
        for stamp in (*stamps, self._stamp(-FAR)):
            self._forget()
            try:
                self._container.seek(stamp, stream=self._stream, backward=True)
            except av.FFmpegError:
                continue
            self._frames = self._decoded()
            self._now = next(self._frames, None)
            if self._now is not None and self.time(self._now) <= seconds + TICK:
                break
        self._look_ahead()

    def _look_ahead(self) -> None:
        before = self.n_broken
        self._next = next(self._frames, None)
        self._n_between = self.n_broken - before

    def _packets(self) -> Iterator[av.Packet[Any]]:
        for packet in self._container.demux(self._stream):
            if self._stop is not None and self._stop.is_set():
                raise Abandoned
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * self._tick - self._zero
                self.last = max(self.last, end)
            yield packet
        self.is_ended = True

    def _decoded(self, *, keys_only: bool = False) -> Iterator[av.VideoFrame]:
        """Frames from where the container stands, those that are damaged left out."""
        packets = self._packets()
        is_begun = False
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if not is_begun and not packet.is_keyframe and packet.size:
                    continue  # what stands before the first keyframe cannot be decoded
                is_begun = True
                if not keys_only:
                    self._codec.skip_frame = "NONREF" if self._is_on_the_way(packet) else "DEFAULT"
                elif not packet.is_keyframe and packet.size:
                    continue
                frames = packet.decode()
            except av.FFmpegError:
                self.n_broken += 1
                if packet is None or not packets:
                    return
                continue
            for frame in frames:
                assert isinstance(frame, av.VideoFrame)
                if frame.is_corrupt:
                    self.n_broken += 1
                else:
                    yield frame

    def _is_on_the_way(self, packet: av.Packet[Any]) -> bool:
        """Whether the packet's frame surely ends before the wanted moment."""
        if not self._is_stamped or packet.pts is None or not packet.duration:
            return False
        return (packet.pts + packet.duration) * self._tick - self._zero < self._target - MARGIN
