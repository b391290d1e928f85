"""A stretch of a sound: its samples are those of the whole sound at that time, and its times are the file's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmcli import media
from mmcli.errors import InputError
from mmcli.media import locator
from tests import sounds

RATE = 16_000
SECONDS = 12.0


def steps(seconds: float = SECONDS, rate: int = sounds.RATE) -> sounds.Samples:
    """A tone that gets higher each second, so that no second is like another one."""
    tones = [sounds.tone(1.0, rate, 200.0 + 100.0 * second) for second in range(int(seconds))]
    return np.concatenate(tones)


def load(data: bytes, fragment: str | None = None, name: str = "talk", **options: Any) -> media.Audio:
    source = media.Source(name, data=data)
    if fragment is not None:
        source = media.Source(f"{name}#{fragment}", data=data, locator=locator.parse(fragment))
    found = media.load(source, kinds=frozenset({"audio"}), **options)
    assert isinstance(found, media.Audio)
    return found


def at(sound: media.Audio, begin: float, end: float) -> Any:
    """The samples of a sound between two times on the file's clock."""
    times = np.array([sound.time(sample / RATE) for sample in range(0, len(sound.samples), 16)])
    first, behind = np.searchsorted(times, [begin, end])
    return sound.samples[first * 16 : behind * 16]


def likeness(one: Any, other: Any) -> float:
    """1.0 for the same samples; a few of them more or less at the ends do not count."""
    best = 0.0
    for shift in range(-32, 33):
        a, b = one[64 : len(one) - 64], other[64 + shift : len(other) - 64 + shift]
        n = min(len(a), len(b))
        best = max(best, float(np.corrcoef(a[:n], b[:n])[0, 1]))
    return best


CONTAINERS = [
    ("wav", "pcm_s16le", {}),
    ("flac", "flac", {}),
    ("mp3", "libmp3lame", {}),
    ("ogg", "libopus", {}),
    ("mp4", "aac", {}),
    ("mp4", "aac", {"film": SECONDS}),
    ("mpegts", "aac", {}),
    ("matroska", "flac", {}),
    ("mp4", "aac", {"late": 1.5}),
]


@pytest.mark.parametrize("container, codec, how", CONTAINERS, ids=lambda value: str(value))
@pytest.mark.parametrize("fragment, begin, end", [("t=3,5.5", 3.0, 5.5), ("t=,2.25", 0.0, 2.25), ("t=7.5", 7.5, None)])
def test_a_stretch_is_that_of_the_whole_sound(
    container: str, codec: str, how: dict[str, Any], fragment: str, begin: float, end: float | None
) -> None:
    data = sounds.sound(container, codec, steps(), **how)
    whole, part = load(data), load(data, fragment)
    first = max(begin, whole.time(0.0))
    last = whole.receipt.seconds if end is None else end
    assert last is not None
    assert part.time(0.0) == pytest.approx(first, abs=0.01)
    assert part.time(len(part.samples) / RATE) == pytest.approx(last, abs=0.06)
    assert part.receipt.seconds == pytest.approx(len(part.samples) / RATE)
    assert likeness(part.samples, at(whole, first, last)) > 0.98
    assert part.receipt.locator == str(locator.parse(fragment)) and whole.receipt.locator is None
    assert part.receipt.sha256 == whole.receipt.sha256 and part.id != whole.id
    assert load(data, fragment).id == part.id
    assert any(note.startswith("heard from") for note in part.receipt.notes)


@pytest.mark.parametrize("gap", [0.5, 4.0, 30.0])
def test_times_behind_a_pause_are_those_of_the_file(gap: float) -> None:
    data = sounds.sound("matroska", "flac", steps(), gap=(4.0, gap))
    part = load(data, f"t={6 + gap},{8 + gap}")
    assert part.time(0.0) == pytest.approx(6 + gap, abs=0.01)
    assert likeness(part.samples, steps(rate=RATE)[6 * RATE : 8 * RATE].astype(float)) > 0.99
    around = load(data, f"t=3,{5 + gap}")
    assert around.time(len(around.samples) / RATE) == pytest.approx(5 + gap, abs=0.01)
    inside = load(data, f"t={4 + gap / 4},{5 + gap}")
    assert not inside.samples[: int(min(gap, 10.0) / 4 * RATE)].any()


def test_a_stretch_ends_where_the_sound_does_and_says_so() -> None:
    part = load(sounds.sound("wav", "pcm_s16le", steps()), "t=10,500")
    assert part.receipt.seconds == pytest.approx(2.0)
    assert "heard from 10.0 s to 12.0 s, where it ends" in part.receipt.notes


@pytest.mark.parametrize("fragment", ["t=12", "t=50", "t=12,60"])
def test_a_stretch_behind_the_end_is_an_error_with_the_length(fragment: str) -> None:
    with pytest.raises(InputError, match=r"the sound ends at 12\.0 s"):
        load(sounds.sound("wav", "pcm_s16le", steps()), fragment)


def test_a_stretch_before_the_sound_begins_is_an_error() -> None:
    with pytest.raises(InputError, match="holds no sound"):
        load(sounds.sound("mp4", "aac", steps(), late=3.0, film=15.0), "t=0,2")


def test_nothing_is_decoded_behind_the_stretch() -> None:
    whole = sounds.sound("flac", "flac", steps())
    cut = whole[: len(whole) // 2]
    with pytest.raises(InputError, match="cut short"):
        load(cut)
    assert load(cut, "t=1,3").id == load(whole, "t=1,3").id
    with pytest.raises(InputError, match="cut short"):  # its own end is missing
        load(cut, "t=1")
    assert load(cut, "t=1", damaged_ok=True).receipt.notes


def test_damage_inside_the_stretch_counts_and_that_outside_does_not() -> None:
    whole = sounds.sound("flac", "flac", steps())
    holed = sounds.without(whole, 0.25, len(whole) // 6)  # two seconds from the third on
    assert load(holed, "t=0,2").id == load(whole, "t=0,2").id
    with pytest.raises(InputError, match="seconds are missing"):
        load(holed, "t=2,6")


def test_the_limit_counts_for_the_stretch_alone() -> None:
    data = sounds.sound("mp3", "libmp3lame", steps())
    with pytest.raises(InputError, match="minutes"):
        load(data, max_seconds=5.0)
    assert load(data, "t=6,11", max_seconds=5.0).receipt.seconds == pytest.approx(5.0, abs=0.01)
    with pytest.raises(InputError, match="minutes"):
        load(data, "t=3,11", max_seconds=5.0)


@pytest.mark.parametrize("fragment, words", [("page=1", "no pages"), ("xywh=0,0,5,5", "no box")])
def test_a_sound_has_no_pages_and_no_box(fragment: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(sounds.sound("wav", "pcm_s16le", steps()), fragment)
