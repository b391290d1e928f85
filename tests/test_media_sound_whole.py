"""Which sounds are whole, and which are not: what a file's own header and time stamps say, and no guess."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mmcli import media
from mmcli.errors import InputError
from tests import sounds
from tests.sounds import flipped, sound, tone, with_sizes, without

AUDIO = frozenset({"audio"})
WAV = sounds.wav(tone(2.0, 16_000))
MP3 = sound("mp3", "libmp3lame")  # with a Xing header
PIPED_MP3 = sound("mp3", "libmp3lame", piped=True, options={"write_xing": "0"})
OPUS = sound("ogg", "libopus")
FLAC = sound("flac", "flac")


def load(data: bytes, name: str = "a.wav", **options) -> media.Audio:
    audio = media.load(media.Source(name, data=bytes(data)), kinds=AUDIO, **options)
    assert isinstance(audio, media.Audio)
    return audio


def refusal(data: bytes, name: str = "a.wav") -> str:
    with pytest.raises(InputError) as caught:
        load(data, name)
    assert "--damaged-ok" in str(caught.value.hint)
    return caught.value.message


def remarks(audio: media.Audio) -> list[str]:
    """Notes but those on what is done to every sound."""
    return [note for note in audio.receipt.notes if "Hz →" not in note]


# whole, whatever else is in the file


@pytest.mark.parametrize(
    ("container", "codec"), [("matroska", "aac"), ("mp4", "aac"), ("avi", "libmp3lame"), ("mpegts", "aac")]
)
def test_a_film_may_be_longer_than_its_sound(container: str, codec: str) -> None:
    audio = load(sound(container, codec, tone(2.0), film=8.0), "film.mkv")
    assert audio.receipt.seconds == pytest.approx(2.0, abs=0.15) and remarks(audio) == ["the sound of a video"]


def test_the_first_track_may_be_shorter_than_the_second() -> None:
    audio = load(sound("matroska", "aac", tone(2.0), second=tone(6.0)), "two.mkv")
    assert audio.receipt.seconds == pytest.approx(2.0, abs=0.1) and remarks(audio) == ["first of 2 sound tracks"]


@pytest.mark.parametrize("off", [-200, -1, 1, 7, 8, 44, 200])
def test_only_the_size_of_the_samples_counts_in_a_wav(off: int) -> None:
    audio = load(with_sizes(WAV, whole=len(WAV) - 8 + off))
    assert (audio.receipt.seconds, audio.receipt.notes) == (2.0, ())


@pytest.mark.parametrize("unknown", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("field", ["whole", "samples"])
def test_a_wav_whose_writer_could_not_go_back_is_read(field: str, unknown: int) -> None:
    audio = load(with_sizes(WAV, **{field: unknown}))
    assert (audio.receipt.seconds, audio.receipt.notes) == (2.0, ())


@pytest.mark.parametrize(
    "behind",
    [
        bytes(40_000),
        b"TAG" + bytes(125),
        b"APETAGEX" + struct.pack("<IIII", 2000, 40, 0, 0) + bytes(8),
        b"ID3\x04\0\0\0\0\0\x0a" + bytes(10),
    ],
    ids=["zeros", "ID3v1", "APE", "ID3v2"],
)
@pytest.mark.parametrize("data", [MP3, PIPED_MP3], ids=["Xing", "none"])
def test_what_stands_behind_an_mp3_is_no_sound(data: bytes, behind: bytes) -> None:
    audio = load(data + behind, "a.mp3")
    assert audio.receipt.seconds == pytest.approx(4.0, abs=0.1) and remarks(audio) == []


@pytest.mark.parametrize(("first", "second"), [(MP3, MP3), (PIPED_MP3, PIPED_MP3), (MP3, PIPED_MP3), (PIPED_MP3, MP3)])
def test_mp3s_may_be_joined(first: bytes, second: bytes) -> None:
    audio = load(first + second, "a.mp3")
    assert audio.receipt.seconds == pytest.approx(8.0, abs=0.2) and remarks(audio) == []


@pytest.mark.parametrize("second", [OPUS, sound("ogg", "libopus", tone(2.0))], ids=["same", "other"])
def test_ogg_streams_may_follow_each_other(second: bytes) -> None:
    audio = load(OPUS + second, "radio.opus")
    assert audio.receipt.seconds == pytest.approx(len(audio.samples) / 16_000, abs=0.1)
    assert audio.receipt.seconds > 5.9 and remarks(audio) == []


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("matroska", "aac"),
        ("webm", "libopus"),
        ("ogg", "libopus"),
        ("mp3", "libmp3lame"),
        ("wav", "pcm_s16le"),
        ("adts", "aac"),
        ("mpegts", "aac"),
        ("flv", "aac"),
    ],
)
def test_who_writes_into_a_pipe_knows_no_length(container: str, codec: str) -> None:
    audio = load(sound(container, codec, rate=44_100 if container == "flv" else 48_000, piped=True), "live")
    assert audio.receipt.seconds == pytest.approx(4.0, abs=0.1) and remarks(audio) == []


def test_a_flac_may_not_know_its_length() -> None:
    data = bytearray(FLAC)
    data[21] &= 0xF0  # the upper bits of the number of samples
    data[22:42] = bytes(20)  # the rest, and the MD5
    audio = load(bytes(data), "live.flac")
    assert audio.receipt.seconds == pytest.approx(4.0) and remarks(audio) == []


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("w64", "pcm_s16le", {}),
        ("wav", "pcm_s16le", {"rf64": "always"}),
        ("wav", "adpcm_ima_wav", {}),
        ("aiff", "pcm_s16be", {}),
        ("caf", "pcm_s16le", {}),
        ("caf", "alac", {}),
        ("au", "pcm_s16be", {}),
        ("voc", "pcm_s16le", {}),
        ("wv", "wavpack", {}),
        ("tta", "tta", {}),
        ("mp2", "mp2", {}),
        ("ac3", "ac3", {}),
        ("asf", "wmav2", {}),
        ("3gp", "aac", {}),
        ("mp4", "aac", {"movflags": "frag_every_frame+empty_moov+default_base_moof"}),
        ("mp4", "aac", {"movflags": "dash", "frag_duration": "1000000"}),
    ],
)
def test_a_whole_sound_in_any_container_is_whole(container: str, codec: str, options: dict[str, str]) -> None:
    audio = load(sound(container, codec, rate=44_100, options=options), "a")
    assert audio.receipt.seconds == pytest.approx(4.0, abs=0.15) and remarks(audio) == []


@pytest.mark.parametrize("data", [sounds.dsf(), sounds.dff()], ids=["dsf", "dff"])
def test_direct_stream_digital_is_read(data: bytes) -> None:
    audio = load(data, "a")
    spectrum = np.abs(np.fft.rfft(audio.samples))
    assert audio.receipt.seconds == pytest.approx(1.0, abs=0.05)
    assert np.argmax(spectrum) * 16_000 / len(audio.samples) == pytest.approx(440, abs=2)


# cut


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8])
@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("wav", "pcm_s16le", {}),
        ("wav", "pcm_s16le", {"rf64": "always"}),
        ("w64", "pcm_s16le", {}),
        ("aiff", "pcm_s16be", {}),
        ("caf", "pcm_s16le", {}),
        ("au", "pcm_s16be", {}),
        ("flac", "flac", {}),
        ("wv", "wavpack", {}),
        ("tta", "tta", {}),
        ("mp3", "libmp3lame", {}),
        ("mp4", "aac", {"movflags": "faststart"}),
        ("matroska", "aac", {}),
        ("webm", "libopus", {}),
        ("asf", "wmav2", {}),
        ("flv", "aac", {}),
        ("avi", "libmp3lame", {}),
    ],
)
def test_a_sound_that_lost_its_end_is_refused_or_taken_as_it_is(
    container: str, codec: str, options: dict[str, str], part: float
) -> None:
    data = sound(container, codec, rate=48_000 if codec == "libopus" else 44_100, options=options)
    cut = data[: int(len(data) * part)]
    assert "is cut short" in refusal(cut, "a")
    audio = load(cut, "a", damaged_ok=True)
    assert 0.5 * part < audio.receipt.seconds / 4.0 < part + 0.1
    assert any("cut short" in note and "taken as it is" in note for note in audio.receipt.notes)


@pytest.mark.parametrize("data", [sounds.dsf(), sounds.dff()], ids=["dsf", "dff"])
def test_half_of_direct_stream_digital_is_refused(data: bytes) -> None:
    assert "is cut short" in refusal(data[: len(data) // 2], "a")


@pytest.mark.parametrize("n_bytes", [1, 2, 100])
def test_a_wav_that_lacks_some_bytes_is_refused(n_bytes: int) -> None:
    assert refusal(bytes(WAV[:-n_bytes])) == "`a.wav` is cut short: its end is missing"


def test_the_second_of_two_joined_mp3s_may_be_cut() -> None:
    assert "8.1 seconds came out" in refusal(MP3 + MP3[: len(MP3) // 2], "a.mp3")


def test_a_film_that_is_cut_where_its_sound_goes_on_is_refused() -> None:
    film = sound("matroska", "aac", tone(6.0), film=8.0)
    assert "is cut short or damaged" in refusal(film[: len(film) // 2], "film.mkv")


def test_the_last_piece_of_a_recording_in_pieces_may_be_cut() -> None:
    data = sound("mp4", "aac", options={"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"})
    assert remarks(load(data[: len(data) * 2 // 3], "a.mp4")) == [
        "damaged: 0.4 of 3.1 seconds are missing",
        "1 damaged packet left out",
    ]


def test_nothing_but_a_header_is_refused_however_much_damage_is_taken() -> None:
    with pytest.raises(InputError, match="no sound that could be decoded|cannot be decoded"):
        load(FLAC[:60], "a.flac", damaged_ok=True)


# damaged in the middle


def test_a_lost_page_of_an_ogg_is_told_with_its_seconds_and_its_place() -> None:
    whole = sound("ogg", "libopus", tone(20.0))
    audio = load(flipped(whole), "a.opus")
    assert remarks(audio) == ["damaged: 1.0 of 20.0 seconds are missing, at 0:09"]
    assert audio.receipt.seconds == pytest.approx(20.0, abs=0.05), "what follows keeps its time"
    assert len(audio.samples) == pytest.approx(20.0 * 16_000, abs=1600)


def test_a_page_that_is_gone_is_told_too() -> None:
    pages = sound("ogg", "libopus", tone(20.0)).split(b"OggS")
    data = b"OggS".join([*pages[:6], *pages[7:]])
    assert remarks(load(data, "a.opus")) == ["damaged: 1.0 of 20.0 seconds are missing, at 0:03"]


def test_a_damaged_last_page_of_an_ogg_is_told_too() -> None:
    whole = sound("ogg", "libopus", tone(20.0))
    assert remarks(load(flipped(whole, 0.97), "a.opus")) == ["damaged: 1.0 of 20.0 seconds are missing"]
    pages = whole.split(b"OggS")
    pages[-1] = flipped(pages[-1])
    assert "no end mark: it may be cut short" in remarks(load(b"OggS".join(pages), "a.opus"))


def test_small_pages_of_an_ogg_are_told_too() -> None:
    data = sound("ogg", "libopus", options={"page_duration": "20000"})
    assert remarks(load(flipped(data), "a.opus")) == ["damaged: 0.02 of 4.0 seconds are missing, at 0:01"]


def test_an_ogg_that_lost_its_first_page_keeps_its_time() -> None:
    pages = sound("ogg", "libopus", tone(20.0)).split(b"OggS")
    pages[3] = flipped(pages[3])  # two with headers come first
    audio = load(b"OggS".join(pages), "a.opus")
    assert audio.time(0.0) == pytest.approx(1.0, abs=0.05) and audio.receipt.seconds == pytest.approx(20.0, abs=0.05)
    assert any("damaged" in note for note in remarks(audio))


def test_an_ogg_that_is_damaged_all_over_is_refused() -> None:
    data = bytearray(OPUS)
    for at in range(len(data) // 4, len(data), 2000):
        data[at] ^= 1
    assert "cut short or damaged" in refusal(bytes(data), "a.opus")


@pytest.mark.parametrize(
    ("container", "codec", "seconds"), [("flac", "flac", 0.1), ("wv", "wavpack", 1.0), ("tta", "tta", 1.0)]
)
def test_one_wrong_bit_of_a_lossless_sound_is_told(container: str, codec: str, seconds: float) -> None:
    whole = sound(container, codec, tone(20.0))
    (told, *_) = remarks(load(flipped(whole), "a"))
    lost = float(told.removeprefix("damaged: ").partition(" ")[0])
    assert told.startswith("damaged: ") and lost == pytest.approx(seconds, rel=0.2)
    assert "of 20.0 seconds are missing, at 0:" in told


def test_a_piece_that_a_flac_lost_is_told() -> None:
    (told,) = remarks(load(without(sound("flac", "flac", tone(20.0)), 0.5, 60_000), "a.flac"))
    assert told.startswith("damaged: ") and "of 20.0 seconds are missing, at 0:09" in told


def test_a_flac_s_fingerprint_is_that_of_its_samples() -> None:
    data = bytearray(FLAC)
    data[30] ^= 1  # of the MD5
    assert remarks(load(bytes(data), "a.flac")) == ["damaged: the MD5 in its header is not that of its samples"]


@pytest.mark.parametrize("depth", ["s16", "s32"])
@pytest.mark.parametrize(("layout", "n_channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_a_flac_of_any_depth_and_number_of_channels_is_whole(layout: str, n_channels: int, depth: str) -> None:
    samples = np.random.default_rng(1).integers(-(2**14), 2**14, (48_000, n_channels)).astype(np.int16)
    assert remarks(load(sounds.channels("flac", "flac", layout, samples, sample_format=depth), "a.flac")) == []


def test_zeros_in_the_middle_of_an_mp3_are_told_with_their_seconds() -> None:
    middle = len(MP3) // 2
    data = MP3[:middle] + bytes(3000) + MP3[middle + 3000 :]
    (told, packets) = remarks(load(data, "a.mp3"))
    assert told.startswith("damaged: 0.3") or told.startswith("damaged: 0.4") or told.startswith("damaged: 0.2")
    assert packets == "1 damaged packet left out"


# time


@pytest.mark.parametrize(
    ("container", "codec"),
    [("matroska", "aac"), ("webm", "libopus"), ("mp4", "aac"), ("mov", "pcm_s16le"), ("flv", "aac")],
)
def test_a_sound_that_begins_late_has_the_file_s_own_time(container: str, codec: str) -> None:
    audio = load(sound(container, codec, rate=48_000 if codec != "aac" else 44_100, late=2.4), "a")
    assert audio.time(0.0) == pytest.approx(2.4, abs=0.05) and audio.time(1.0) == pytest.approx(3.4, abs=0.05)
    assert audio.receipt.seconds == pytest.approx(6.4, abs=0.1)
    assert len(audio.samples) == pytest.approx(4 * 16_000, abs=800), "no silence is put before it"
    assert remarks(audio) == ["the sound begins at 2.4 s"]


@pytest.mark.parametrize("container", ["mpegts", "matroska", "mp4"])
def test_a_sound_that_begins_after_the_pictures_do_keeps_that_time(container: str) -> None:
    audio = load(sound(container, "aac", late=2.4, film=8.0), "a")
    assert audio.time(0.0) == pytest.approx(2.4, abs=0.05)


@pytest.mark.parametrize("container", ["ogg", "mpegts"])
def test_where_stamps_say_nothing_of_the_file_what_comes_first_begins_at_0(container: str) -> None:
    audio = load(sound(container, "libopus" if container == "ogg" else "aac", late=1000.0), "a")
    assert audio.time(0.0) == 0 and audio.receipt.seconds == pytest.approx(4.0, abs=0.1) and remarks(audio) == []


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
def test_a_pause_in_the_stamps_is_silence(container: str) -> None:
    audio = load(sound(container, "aac", gap=(2.0, 3.0)), "a")
    assert audio.receipt.seconds == pytest.approx(7.0, abs=0.1)
    assert len(audio.samples) == pytest.approx(7 * 16_000, abs=1600)
    silence = audio.samples[int(2.2 * 16_000) : int(4.8 * 16_000)]
    assert not silence.any() and np.abs(audio.samples[int(5.2 * 16_000) :]).max() > 0.4
    assert remarks(audio) == ["no sound for 3.0 s at 0:02: its time stamps jump"]


def test_a_long_pause_takes_no_memory_and_what_follows_keeps_its_time() -> None:
    audio = load(sound("matroska", "aac", gap=(2.0, 36_000.0)), "a")
    assert audio.receipt.seconds == pytest.approx(36_004.0, abs=0.1)
    assert len(audio.samples) < 30 * 16_000
    loud = np.flatnonzero(np.abs(audio.samples) > 0.3) / 16_000  # seconds in the samples
    after = loud[loud > 5.0][0]
    assert audio.time(after) == pytest.approx(36_002.0, abs=0.1) and audio.time(1.0) == pytest.approx(1.0, abs=0.05)


# channels


def test_channels_that_cancel_each_other_out_are_not_mixed() -> None:
    mono = tone(2.0, 16_000)
    audio = load(sounds.wav(np.stack([mono, -mono], axis=1)))
    assert np.allclose(audio.samples, mono / 32_768, atol=2e-4)
    assert remarks(audio) == ["its channels cancel each other out: the first alone is taken"]


def test_one_channel_is_taken_only_where_they_cancel_each_other_out() -> None:
    mono = tone(4.0, 16_000)
    other = np.where(np.arange(len(mono)) < 2 * 16_000, mono, -mono)
    audio = load(sounds.wav(np.stack([mono, other], axis=1)))
    assert np.allclose(audio.samples, mono / 32_768, atol=2e-4)
    assert remarks(audio) == ["its channels cancel each other out: the first alone is taken for 2.0 of 4.0 s"]


def test_the_louder_channel_is_taken() -> None:
    mono = tone(2.0, 16_000)
    audio = load(sounds.wav(np.stack([-0.6 * mono, mono], axis=1).astype(np.int16)))
    assert np.allclose(audio.samples, mono / 32_768, atol=2e-4)
    assert "the second alone is taken" in remarks(audio)[0]


@pytest.mark.parametrize("other", ["same", "silent", "noise"])
def test_other_channels_are_mixed_as_ever(other: str) -> None:
    mono = tone(2.0, 16_000)
    noise = np.random.default_rng(3).normal(0, 8000, len(mono)).astype(np.int16)
    second = {"same": mono, "silent": np.zeros_like(mono), "noise": noise}[other]
    audio = load(sounds.wav(np.stack([mono, second], axis=1)))
    assert np.allclose(audio.samples, (mono.astype(float) + second) / 2 / 32_768, atol=2e-4) and remarks(audio) == []


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
@pytest.mark.parametrize(("layout", "n_channels"), [("5.1", 6), ("7.1", 8)])
def test_a_film_s_channels_may_cancel_each_other_out(layout: str, n_channels: int, codec: str) -> None:
    samples = np.zeros((96_000, n_channels), np.int16)
    samples[:, 0] = tone(2.0)
    plain = load(sounds.channels("matroska", codec, layout, samples), "a.mka")
    assert remarks(plain) == [] and np.abs(plain.samples).max() > 0.05
    samples[:, 1] = -samples[:, 0]
    turned = load(sounds.channels("matroska", codec, layout, samples), "a.mka")
    assert "cancel each other out" in remarks(turned)[0] and np.abs(turned.samples).max() > 0.3


@pytest.mark.parametrize("n_channels", [3, 8, 10, 16])
def test_channels_without_a_layout_are_mixed(n_channels: int) -> None:
    audio = load(sounds.wav(np.repeat(tone(1.0, 16_000)[:, None], n_channels, axis=1)))
    assert audio.receipt.seconds == 1.0 and np.abs(audio.samples).max() > 0.1
