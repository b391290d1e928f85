"""Sounds in every container people have, whole and broken."""

from __future__ import annotations

import hashlib
import struct
import threading

import numpy as np
import pytest

from mmcli import media
from mmcli.errors import InputError
from tests.pictures import encoded, sound, upright, video, wav

FORMATS = [
    ("wav", "pcm_s16le", "a.wav", "wav"),
    ("mp3", "mp3", "a.mp3", "mp3"),
    ("flac", "flac", "a.flac", "flac"),
    ("ogg", "libopus", "a.opus", "ogg"),
    ("ipod", "aac", "a.m4a", "m4a"),
    ("webm", "libopus", "a.webm", "webm"),
    ("adts", "aac", "a.aac", "aac"),
    ("aiff", "pcm_s16be", "a.aiff", "aiff"),
    ("matroska", "flac", "a.mka", "matroska"),
]


def load(data: bytes, name: str = "a.wav", **options) -> media.Audio:
    audio = media.load(media.Source(name, data=data), **options)
    assert isinstance(audio, media.Audio)
    return audio


def refusal(data: bytes, name: str = "a.wav", **options) -> str:
    with pytest.raises(InputError) as caught:
        load(data, name, **options)
    return caught.value.message


def frequency(audio: media.Audio) -> float:
    """The loudest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(audio.samples))
    return float(np.argmax(spectrum) * audio.sample_rate / len(audio.samples))


@pytest.mark.parametrize(("container", "codec", "name", "format_name"), FORMATS)
def test_a_tone_survives_every_container(container, codec, name, format_name):
    audio = load(sound(container, codec), name)
    assert audio.samples.dtype == np.float32 and audio.samples.ndim == 1 and audio.sample_rate == 16_000
    assert abs(frequency(audio) - 440) < 3
    assert 0.9 < audio.receipt.seconds < 1.2
    assert 0.4 < np.abs(audio.samples[2000:-2000]).max() < 0.6  # two channels are averaged, not added up
    assert audio.receipt.format == format_name and audio.receipt.kind == "audio"
    assert audio.receipt.notes == ("2 channels mixed to one, 48000 Hz → 16000 Hz",)


def test_the_id_is_of_rate_and_samples_and_the_receipt_of_the_file():
    data = wav(0.5, 16_000, 1)
    audio = load(data)
    assert audio.id == hashlib.sha256(b"audio 16000 8000" + audio.samples.tobytes()).hexdigest()
    assert audio.receipt.sha256 == hashlib.sha256(data).hexdigest() and audio.receipt.notes == ()
    assert load(data, sample_rate=24_000).id != audio.id
    assert len(load(data, sample_rate=24_000).samples) == pytest.approx(12_000, abs=50)


def test_the_content_decides_and_not_the_extension():
    assert load(sound("flac", "flac"), "really.mp3").receipt.format == "flac"


def test_silence_is_noted():
    assert "silence: every sample is zero" in load(wav(0.2)[:44] + bytes(len(wav(0.2)) - 44)).receipt.notes


@pytest.mark.parametrize(("container", "codec", "name", "_"), FORMATS)
def test_a_sound_that_is_cut_short_is_refused_or_noted(container, codec, name, _):
    data = sound(container, codec, seconds=4.0)
    half = data[: len(data) // 2]
    if name in ("a.opus", "a.aac"):  # these say nowhere how long they are
        notes = load(half, name).receipt.notes
        assert "no end mark: it may be cut short" in notes or "1 damaged packet left out" in notes
    else:
        assert any(words in refusal(half, name) for words in ("cut short", "cannot be decoded"))
    refusal(data[:60], name)


def test_a_wav_from_a_pipe_that_never_knew_its_length_is_read():
    data = bytearray(wav(0.5, 16_000, 1))
    for at in (4, 40):
        struct.pack_into("<I", data, at, 0xFFFFFFFF)
    assert load(bytes(data)).receipt.seconds == pytest.approx(0.5, abs=0.01)


def test_a_wav_that_lost_its_end_is_refused():
    assert refusal(wav(1.0)[:20_000]) == "`a.wav` is cut short: its end is missing"


def test_a_stream_that_changes_its_channels_midway_is_read_to_its_end():
    frames = sound("adts", "aac", rate=48_000), sound("adts", "aac", rate=44_100)
    audio = load(b"".join(frames), "radio.aac")
    assert 1.9 < audio.receipt.seconds < 2.2 and abs(frequency(audio) - 440) < 3


def test_damage_in_the_middle_is_left_out_and_noted():
    data = bytearray(sound("flac", "flac", seconds=4.0))
    data[20_000:20_600] = bytes(600)
    audio = load(bytes(data), "a.flac")
    assert any("damaged" in note for note in audio.receipt.notes)


def test_a_sound_beyond_the_limit_is_refused():
    assert refusal(wav(3.0), max_seconds=2.0) == "`a.wav` lasts at least 0 minutes, the limit is 0"
    data = bytearray(wav(3.0, 16_000, 1))
    for at in (4, 40):
        struct.pack_into("<I", data, at, 0xFFFFFFFF)
    assert "the limit is" in refusal(bytes(data), max_seconds=2.0)


def test_a_sound_that_nobody_waits_for_any_more_is_not_decoded_to_its_end():
    stop = threading.Event()
    stop.set()
    assert "interrupted" in refusal(wav(3.0), stop=stop)


@pytest.mark.parametrize("data", [b"RIFF\x10\0\0\0WAVE", b"fLaC", b"OggS" + bytes(100), b"ID3" + bytes(100), b"ID3"])
def test_a_header_without_a_sound_is_refused(data):
    assert refusal(data).startswith("`a.wav` ")


def test_random_damage_never_raises_anything_but_our_errors():
    rng = np.random.default_rng(11)
    for container, codec, name, _ in FORMATS:
        good = sound(container, codec, seconds=0.3)
        for _ in range(10):
            data = bytearray(good)
            for at in rng.integers(0, len(data), 5):
                data[at] = rng.integers(0, 256)
            try:
                media.load(media.Source(name, data=bytes(data)))
            except InputError as error:
                assert error.message


def test_a_video_is_refused_where_pictures_are_wanted_and_gives_its_sound_where_only_sound_is():
    assert refusal(video(), "talk.mp4", kinds=frozenset({"image"})) == "`talk.mp4` is a video, not a picture"
    audio = load(video(), "talk.mp4", kinds=frozenset({"audio"}))
    assert abs(frequency(audio) - 440) < 3 and audio.receipt.notes[0] == "the sound of a video"
    message = refusal(video(with_sound=False), "silent.mp4", kinds=frozenset({"audio"}))
    assert message == "`silent.mp4` holds no sound"


def test_a_cover_picture_does_not_make_a_video(tmp_path):
    jpeg = encoded(upright(), "JPEG")
    picture = struct.pack(">I", 3) + struct.pack(">I", 10) + b"image/jpeg" + bytes(4)
    picture += struct.pack(">IIIII", 96, 64, 24, 0, len(jpeg)) + jpeg
    flac = sound("flac", "flac")
    block = bytes([6]) + len(picture).to_bytes(3, "big") + picture
    stream_info_end = 4 + 4 + 34
    audio = load(flac[:stream_info_end] + block + flac[stream_info_end:], "song.flac")
    assert abs(frequency(audio) - 440) < 3


def test_a_picture_is_refused_where_only_sounds_are_wanted_and_the_reverse():
    only_sounds, only_pictures = frozenset({"audio"}), frozenset({"image"})
    assert refusal(encoded(upright(), "PNG"), "a.png", kinds=only_sounds) == "`a.png` is a picture, not a sound"
    assert refusal(wav(), kinds=only_pictures) == "`a.wav` is a sound, not a picture"
    assert refusal(b"hello", "a.mp3") == "`a.mp3` is a text file, not a sound"


def test_a_playlist_named_like_a_sound_opens_nothing():
    text = b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.mp3\n"
    assert refusal(text, "a.mp3") == "`a.mp3` is a text file, not a sound"
