"""How long a sound's own header says that it is, and whether the file is all there. Looks at bytes; decodes nothing.

Only what the writer of the file put there counts. FFmpeg also guesses lengths, from bit rates and from the end of the
file, and gives the length of a whole film for that of its sound: neither says that a sound is cut short.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcli.media import boxes

if TYPE_CHECKING:
    import av

# FFmpeg's names of containers whose header has the length of each track, as it was when the file was made.
_OF_TRACKS = frozenset("aiff ape au caf dsf flac iff mov mpc mpc8 nistsphere shn tak tta voc w64 wv".split())
# Those that have the length of the whole file: where its last track ends.
_OF_FILES = frozenset("flv matroska rm".split())
_UNKNOWN = 0x7FFF_0000  # bytes: writers that cannot go back to the header say "very long"
_ALL = 0xFFFFFFFF
_XING = re.compile(rb"Xing|Info|VBRI")
_EBML = b"\x1aE\xdf\xa3"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_OFFSETS = (36, 21, 13, 38, 23, 15)  # bytes from a frame's beginning to its Xing header
_RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG-1


@dataclass(frozen=True)
class Promise:
    """The length that a file's header gives."""

    seconds: float
    of: str  # "track": of the sound; "file": where the last of its tracks ends; "frames": of so many MP3 frames
    n_frames: int = 0


def promise(data: bytes, container: av.container.InputContainer, stream: av.AudioStream) -> Promise | None:
    """What the header promises of the sound; None where it says nothing."""
    name = container.format.name.split(",")[0]
    if name == "mp3":
        frames = mp3_frames(data)
        return Promise(frames.count * frames.seconds, "frames", frames.count) if frames else None
    if name in _OF_TRACKS and stream.duration and stream.time_base:
        return Promise(float(stream.duration * stream.time_base), "track")
    end = data_end(data) if name in _OF_FILES else None
    if name in _OF_FILES and container.duration and (end is None or end > len(data)):
        return Promise(container.duration / 1_000_000, "file")  # FFmpeg counts microseconds
    return None


@dataclass(frozen=True)
class Frames:
    """What the headers of an MP3 promise: frames of sound, of so many seconds each."""

    count: int
    seconds: float


def data_end(data: bytes) -> int | None:
    """The byte at which the sound's data end, or the whole file, by what its header says; None where it says nothing.

    Of a WAV it is the data chunk's size that counts: that of the whole is wrong in many a file that lacks nothing.
    """
    if data[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _riff_end(data)
    if data[:4] == b"riff":
        return _wave64_end(data)
    if data[:4] == b"caff":
        return _caf_end(data)
    if data[:4] == b"FRM8":
        return 12 + int.from_bytes(data[4:12], "big")
    if data[:4] == b"DSD ":
        return int.from_bytes(data[12:20], "little")
    if data[:16] == _ASF:
        at = data.find(_ASF_PROPERTIES, 0, 65_536)
        return int.from_bytes(data[at + 40 : at + 48], "little") or None if at > 0 else None
    if data[4:8] == b"ftyp":
        return _fragments_end(data)
    return _matroska_end(data) if data[:4] == _EBML else None


def _riff_end(data: bytes) -> int | None:
    """The end of the last data chunk: `data` of a WAV, `movi` of an AVI, which may consist of several RIFFs."""
    order = ">" if data[:4] == b"RIFX" else "<"
    at, size64, end = 0, None, None
    while at + 12 <= len(data):
        kind, size, form = struct.unpack_from(f"{order}4sI4s", data, at)
        if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
            at += 12
            continue
        at += 8
        if kind == b"ds64":
            size64 = int.from_bytes(data[at + 8 : at + 16], "little")
        if kind == b"data" or (kind == b"LIST" and form == b"movi"):
            if size == _ALL and size64 is not None:
                size = size64
            elif size == 0 or size >= _UNKNOWN:
                return None
            end = at + size
        at += size + size % 2
    return end


def _wave64_end(data: bytes) -> int | None:
    at = 40
    while at + 24 <= len(data):
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        if data[at : at + 4] == b"data":
            return at + size if 0 < size < 1 << 62 else None
        if size < 24:
            return None
        at += size + -size % 8
    return None


def _caf_end(data: bytes) -> int | None:
    at = 8
    while at + 12 <= len(data):
        kind, size = struct.unpack_from(">4sq", data, at)
        if kind == b"data" or size < 0:
            return at + 12 + size if size >= 0 else None
        at += 12 + int(size)
    return None


def _fragments_end(data: bytes) -> int | None:
    """The end of an MP4 that was written piece by piece; of any other, its tables say what there is of each track."""
    found = list(boxes.boxes(data))
    return found[-1].end if any(box.kind == b"moof" for box in found) else None


def _matroska_end(data: bytes) -> int | None:
    header = _ebml_size(data, 4)
    if header is None or header[0] is None:
        return None
    segment = header[1] + header[0]
    size = _ebml_size(data, segment + 4) if data[segment : segment + 4] == b"\x18\x53\x80\x67" else None
    return None if size is None or size[0] is None else size[1] + size[0]


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int] | None:
    """An element's size, None for "unknown", and where its contents begin."""
    if at >= len(data) or not data[at]:
        return None
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), at + length


def mp3_frames(data: bytes) -> Frames | None:
    """The frames that an MP3's Xing, Info and VBRI headers promise; of several files in one, all together."""
    found = [frames for match in _XING.finditer(data) if (frames := _promised(data, match.start()))]
    if not found:
        return None
    return Frames(sum(frames.count for frames in found), found[0].seconds)


def _promised(data: bytes, at: int) -> Frames | None:
    """What the header that begins at `at` says, if it stands where such a header can: behind that of a frame."""
    if data[at : at + 4] == b"VBRI":
        seconds, count = _frame_seconds(data, at - 36), data[at + 14 : at + 18]
        return Frames(int.from_bytes(count, "big"), seconds) if seconds and len(count) == 4 else None
    for offset in _OFFSETS:
        seconds = _frame_seconds(data, at - offset)
        if seconds and offset - _side_info(data, at - offset) in (4, 6):  # 2 bytes of a checksum may follow the header
            flags, count = data[at + 4 : at + 8], data[at + 8 : at + 12]
            return Frames(int.from_bytes(count, "big"), seconds) if len(count) == 4 and flags[3] & 1 else None
    return None


def _frame_seconds(data: bytes, at: int) -> float | None:
    """How long the Layer III frame lasts that begins at `at`; None where none does."""
    head = data[at : at + 4] if at >= 0 else b""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3  # version 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5
    if version == 1 or rate == 3 or head[2] >> 4 in (0, 15):
        return None
    return (1152 if version == 3 else 576) / (_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version])


def _side_info(data: bytes, at: int) -> int:
    """Bytes that a Layer III frame has between its header and what a Xing header takes the place of."""
    is_mpeg1, is_mono = data[at + 1] >> 3 & 3 == 3, data[at + 3] >> 6 == 3
    return {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[is_mpeg1, is_mono]
