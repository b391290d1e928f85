"""Is a sound all there? What its header promises beside what came out: refused, or told in a note. Decodes nothing."""

from __future__ import annotations

from mmcli.errors import InputError
from mmcli.media import promises
from mmcli.media.clock import JUMP, Gap, in_words
from mmcli.media.locator import Stretch
from mmcli.media.ogg import Pages
from mmcli.media.promises import Promise
from mmcli.media.soundtrack import Track

MOST_MISSING = 0.1  # of a sound that is taken all the same, with a note
SLACK = 0.2  # seconds more that may be missing: short sounds, and what encoders add in front and behind
DELAY = 0.08  # seconds that a codec may take off the end
_SPARE_FRAMES = 2  # of an MP3: the one that holds the header, and one that the bits of another make up
# Formats that number their samples and have no pauses: between any two packets that are apart, a third was lost.
_NO_PAUSES = frozenset("ape flac tak tta wv".split())


def check(
    data: bytes,
    shown: str,
    file_format: str,
    promise: Promise | None,
    track: Track,
    pages: Pages | None,
    *,
    damaged_ok: bool = False,
) -> list[str]:
    """Notes on what is damaged; InputError where too much is missing, unless `damaged_ok`."""
    notes, end = [], promises.data_end(data) or 0
    if end > len(data) and _is_too_much(len(data), end, file_format, promise):
        notes += _refused(shown, "cut short: its end is missing", damaged_ok)
    lost, ending = _lost(file_format, track, pages), _missing_at_end(promise, track)
    if promise is not None and promise.of == "frames":
        lost = 0.0  # frames are counted: those between others are among the missing ones
    missing = lost + ending
    whole = promise.seconds if promise is not None else max(track.clock.end, track.clock.heard + missing)
    if missing > MOST_MISSING * whole + SLACK:
        text = f"cut short or damaged: {max(0.0, whole - missing):.1f} of {whole:.1f} seconds came out"
        notes += _refused(shown, text, damaged_ok)
    elif lost or ending > DELAY:
        notes.append(f"damaged: {_short(missing)} of {whole:.1f} seconds are missing{_where(lost, track.clock.gaps)}")
    elif end > len(data) and not notes:
        notes.append(f"cut short: {_short(100 - 100 * len(data) / end)} % of its data are missing")
    elif track.is_altered and not track.n_broken:
        notes.append("damaged: the MD5 in its header is not that of its samples")
    if pages is not None and pages.n_lost and not lost:
        notes.append(f"damaged: {pages.n_lost} page{'s' * (pages.n_lost > 1)} left out")
    if pages is not None and not pages.has_end:
        notes.append("no end mark: it may be cut short")
    if track.n_broken:
        notes.append(f"{track.n_broken} damaged packet{'s' * (track.n_broken > 1)} left out")
    pauses = [gap for gap in track.clock.gaps if gap.seconds > JUMP]
    if pauses and not lost:
        seconds = sum(gap.seconds for gap in pauses)
        where = f"at {in_words(pauses[0].start)}" if len(pauses) == 1 else f"in {len(pauses)} places"
        notes.append(f"no sound for {seconds:.1f} s {where}: its time stamps jump")
    return notes


def check_stretch(
    shown: str, file_format: str, track: Track, pages: Pages | None, stretch: Stretch, *, damaged_ok: bool = False
) -> list[str]:
    """The same for a stretch of a sound, of which nothing was read behind it: what is missing inside counts."""
    notes = []
    end = track.clock.end if stretch.end is None else min(stretch.end, track.clock.end)
    lost = 0.0
    if file_format in _NO_PAUSES or (pages is not None and pages.n_lost):
        overlaps = (min(gap.start + gap.seconds, end) - max(gap.start, stretch.begin) for gap in track.clock.gaps)
        lost = sum(overlap for overlap in overlaps if overlap > 0)
    if lost > MOST_MISSING * (end - stretch.begin) + SLACK:
        notes += _refused(shown, f"damaged: {lost:.1f} of {end - stretch.begin:.1f} seconds are missing", damaged_ok)
    elif lost:
        notes.append(f"damaged: {_short(lost)} of {end - stretch.begin:.1f} seconds are missing")
    if track.n_broken:
        notes.append(f"{track.n_broken} damaged packet{'s' * (track.n_broken > 1)} left out")
    return notes


def _is_too_much(n_bytes: int, end: int, file_format: str, promise: Promise | None) -> bool:
    """Is a file that ends before its header says so to be refused? Where seconds are promised, they decide."""
    is_known = promise is not None and promise.of == "file"
    if file_format == "mov":  # written piece by piece, so that what there is can be used
        return False
    return file_format == "wav" or (not is_known and n_bytes < (1 - MOST_MISSING) * end)


def _lost(file_format: str, track: Track, pages: Pages | None) -> float:
    """Seconds that are missing for certain in the middle; of an Ogg with damaged pages, also at its end."""
    if pages is None or not pages.n_lost:
        return track.clock.lost if file_format in _NO_PAUSES else 0.0
    by_pages = pages.end - track.clock.zero - track.clock.heard if pages.end else 0.0
    return max(track.clock.lost, by_pages if by_pages > DELAY else 0.0)


def _missing_at_end(promise: Promise | None, track: Track) -> float:
    """Seconds between where the sound should end and where it does."""
    if promise is None:
        return 0.0
    if promise.of == "frames":
        n_missing = promise.n_frames - track.n_packets
        return n_missing * promise.seconds / promise.n_frames if n_missing > _SPARE_FRAMES else 0.0
    end = track.last if promise.of == "file" else track.clock.end - track.clock.start
    return max(0.0, promise.seconds - end)


def _refused(shown: str, text: str, damaged_ok: bool) -> list[str]:
    if not damaged_ok:
        raise InputError(f"{shown} is {text}", hint="copy or download it again; --damaged-ok takes what is there")
    return [f"{text}; taken as it is"]


def _where(lost: float, gaps: list[Gap]) -> str:
    return f", at {in_words(gaps[0].start)}" if lost and len(gaps) == 1 else ""


def _short(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= 0.1 else f"{seconds:.2f}"
