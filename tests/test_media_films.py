"""Films and animations opened as documents: which moments, upright, in the right colours, and what is said in them."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mmcli import media
from mmcli.errors import InputError
from mmcli.media import film_frames, film_plan
from mmcli.media.wanted import FilmRecipe, FilmWanted, Wanted
from tests import films

REAL = films.real()


def opened(name: Path | str, *, damaged_ok: bool = False, **film) -> media.Document:
    (source,) = media.find([str(name)])
    found = media.load(source, wanted=Wanted(film=FilmWanted(**film)), damaged_ok=damaged_ok)
    assert isinstance(found, media.Document)
    return found


def clips(film: media.Document) -> list[media.Clip]:
    return [part for part in film.content if isinstance(part, media.Clip)]


def words(film: media.Document) -> list[str]:
    return [part.words for part in film.parts]


def refusal(name: Path | str, **how) -> InputError:
    with pytest.raises(InputError) as caught:
        opened(name, **how)
    return caught.value


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Ten seconds, a keyframe every two."""
    return films.make(tmp_path_factory.mktemp("films") / "film.mp4", seconds=10)


# which moments


def test_each_equal_part_gives_the_keyframe_inside_it_or_its_centre(film):
    found = opened(film, frames=5).receipt.times
    assert found == (0.0, 2.0, 4.0, 6.0, 8.0)
    with_parts_without = opened(film, frames=10).receipt.times
    assert with_parts_without == (0.0, 1.5, 2.0, 3.5, 4.0, 5.5, 6.0, 7.5, 8.0, 9.5)


def test_exact_takes_the_frame_shown_at_the_centre(film):
    assert opened(film, frames=5, exact=True).receipt.times == (1.0, 3.0, 5.0, 7.0, 9.0)
    assert opened(film, frames=4, exact=True).receipt.times == (1.2, 3.7, 6.2, 8.7)


@pytest.mark.parametrize("name", ["film.mkv", "film.mov", "film.ts", "film.avi", "film.webm"])
def test_every_container_gives_the_same_moments(name, tmp_path):
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    options = {"deadline": "realtime"} if name.endswith("webm") else {"crf": "18", "preset": "fast"}  # with B-frames
    path = films.make(tmp_path / name, seconds=6, codec=codec, options=options)
    assert opened(path, frames=3, exact=True).receipt.times == pytest.approx((1.0, 3.0, 5.0))
    assert opened(path, frames=3).receipt.times == pytest.approx((0.0, 2.0, 4.0), abs=0.11)
    shown = clips(opened(path, frames=3, exact=True))[1].frames[0]
    left = np.argwhere((shown[..., 0] > 150) & (shown[..., 1] < 100)).min(axis=0)[1]
    assert abs(left - (10 + 3.0 * 37)) <= 4, "the frame is not the one of its time"


def test_a_rate_of_frames_and_a_stretch(film):
    assert opened(film, fps=1).receipt.times == tuple(i + 0.5 for i in range(10))
    part = opened(f"{film}#t=3,5", frames=4).receipt
    assert part.times == (3.2, 3.7, 4.0, 4.7) and part.span == (3.0, 5.0) and part.locator == "t=3,5"
    assert opened(f"{film}#t=3,3.1").receipt.times == (3.0,)
    assert "there is no such part, the film ends at 10.0 s" in refusal(f"{film}#t=30,50").message
    assert "which has no pages to choose from" in refusal(f"{film}#page=2").message


def test_keyframes_and_scenes(tmp_path):
    def three_scenes(canvas, second):
        canvas.rectangle((0, 0, 320, 180), fill=("green", "blue", "black")[int(second // 4)])
        films.moving_box(canvas, second)

    path = films.make(tmp_path / "scenes.mp4", three_scenes, seconds=12, gop=10)
    assert opened(path, sample="keyframes", frames=20).receipt.times == tuple(float(i) for i in range(12))
    thinned = opened(path, sample="keyframes", frames=4).receipt
    assert thinned.times == (1.0, 4.0, 7.0, 10.0) and "4 of 12 keyframes" in thinned.notes
    assert opened(path, sample="scene").receipt.times == (2.0, 6.0, 10.0)


def test_pairs_are_neighbours_half_a_second_apart(film):
    pairs = FilmRecipe(pairs=True)
    found = opened(film, frames=8, recipe=pairs)
    assert found.receipt.pairs == 4 and found.receipt.frames == 8
    assert [clip.times for clip in clips(found)] == [(2.0, 2.5), (4.0, 4.5), (6.0, 6.5), (8.0, 8.5)]
    assert all(clip.frames.shape == (2, 180, 320, 3) for clip in clips(found))


def test_times_follow_the_stamps_where_the_rate_varies(tmp_path):
    shown = [0, 0.04, 0.08, 1, 1.04, 5, 5.04, 5.08, 9, 9.9]
    path = films.make(tmp_path / "vfr.mkv", times=shown, gop=5)
    assert opened(path, frames=5, exact=True).receipt.times == (1.0, 1.04, 5.0, 5.08, 9.0)
    assert set(opened(path, fps=4).receipt.times) <= set(shown)


def test_the_same_frames_come_back_from_a_receipts_times(film):
    for recipe in (FilmRecipe(), FilmRecipe(pairs=True)):
        first = opened(film, frames=6, recipe=recipe)
        again = opened(film, times=first.receipt.times, recipe=recipe)
        assert [clip.id for clip in clips(again)] == [clip.id for clip in clips(first)]


def test_the_budget_is_what_recipe_and_context_allow():
    recipe = FilmRecipe(frames=16, tokens=100)
    assert film_plan.budget(FilmWanted(recipe=recipe)) == 16
    assert film_plan.budget(FilmWanted(recipe=recipe, room=450)) == 4
    assert film_plan.budget(FilmWanted(recipe=FilmRecipe(frames=16, tokens=100, pairs=True), room=450)) == 4
    assert film_plan.budget(FilmWanted(recipe=recipe, room=5)) == 1


# what they look like


@pytest.mark.parametrize(("asked", "told"), [(90, "270"), (-90, "90"), (180, "180")])
def test_a_film_turned_by_its_display_matrix_is_upright(asked, told, tmp_path):
    path = films.make(tmp_path / "phone.mp4", seconds=2, rotation=asked)
    upright = films.make(tmp_path / "upright.mp4", seconds=2)
    turned, plain = opened(path, frames=1), opened(upright, frames=1)
    assert turned.receipt.rotation == told
    expected = np.rot90(clips(plain)[0].frames[0], asked // 90)
    assert np.array_equal(clips(turned)[0].frames[0], expected)
    assert turned.receipt.sent_size == expected.shape[1::-1] and turned.receipt.source_size == (320, 180)


def test_frames_are_scaled_down_and_never_up(film):
    assert opened(film, frames=1, recipe=FilmRecipe(side=160)).receipt.sent_size == (160, 90)
    assert opened(film, frames=1, recipe=FilmRecipe(pixels=16 * 9 * 100)).receipt.sent_size == (160, 90)
    assert opened(film, frames=1, recipe=FilmRecipe(side=1000)).receipt.sent_size == (320, 180)


def test_hdr_is_shown_as_sdr_with_white_as_white(tmp_path):
    path = tmp_path / "hdr.mp4"
    colours = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=0:pools=1:frame-threads=1"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=10, options={"x265-params": colours})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p10le"
        for _ in range(3):
            level = np.full((90, 160, 3), int(0.58 * 65535), np.uint16)  # PQ's diffuse white, 203 candela
            frame = av.VideoFrame.from_ndarray(level, format="rgb48le")
            container.mux(stream.encode(frame.reformat(format="yuv420p10le", dst_colorspace=9)))
        container.mux(stream.encode(None))
    film = opened(path)
    assert film.receipt.hdr is True and "HDR shown as SDR" in film.receipt.notes
    assert clips(film)[0].frames.mean() >= 235


def test_interlaced_lines_are_joined(tmp_path):
    path = tmp_path / "interlaced.mp4"

    def drawn(second: float) -> np.ndarray:
        picture = np.full((240, 320, 3), 30, np.uint8)
        left = int(second * 200) % 280
        picture[80:160, left : left + 30] = 230
        return picture

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "interlaced=1:tff=1"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(50):
            picture = drawn(i / 25)
            picture[1::2] = drawn(i / 25 + 0.02)[1::2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    film = opened(path, frames=3)
    assert "interlaced: its lines were joined" in film.receipt.notes
    middle = clips(film)[1].frames[0][100:140].astype(int)
    assert np.abs(middle[1:] - middle[:-1]).mean() < 1, "the lines of two moments alternate"


def test_frames_that_look_like_the_one_before_are_left_out_and_told(tmp_path):
    still = films.make(tmp_path / "still.mp4", lambda canvas, second: None, seconds=4)
    receipt = opened(still).receipt
    assert receipt.times == (0.0,) and receipt.notes == ("15 of 16 frames look like the one before and were left out",)
    small = films.make(tmp_path / "star.mp4", films.star_at(2), seconds=4, gop=5)
    assert len(opened(small).receipt.times) == 2
    one = np.full((90, 160, 3), 200, np.uint8)
    other = one.copy()
    other[40:46, 50:56] = 120
    assert film_frames.look_alike(one, one) and not film_frames.look_alike(one, other)


@pytest.mark.skipif(not REAL, reason="needs ../shared/data, or MMCLI_TEST_DATA")
def test_real_films_open():
    for path in REAL:
        check_real(path)


def check_real(path: Path) -> None:
    film = opened(path, frames=6)
    assert len(film.receipt.times) == 6 and list(film.receipt.times) == sorted(film.receipt.times)
    assert all(5 < clip.frames.mean() < 250 for clip in clips(film))
    if path.name == "nasa_13013.mp4":
        assert film.receipt.sound == "subtitles" and film.receipt.source_size == (480, 270)
        assert '[00:00] ▸ "NAR: This is the optical and science segment of the Webb"' in "".join(words(film))


# animations


@pytest.fixture(params=["GIF", "PNG", "WEBP"])
def animation(request) -> bytes:
    frames = [Image.new("RGB", (60, 40), (50 * i, 0, 255 - 50 * i)) for i in range(5)]
    out = io.BytesIO()
    options = {"save_all": True, "append_images": frames[1:], "duration": [100, 200, 300, 400, 500]}
    frames[0].save(out, request.param, lossless=True, **options)
    return out.getvalue()


def animated(data: bytes, part: str | None = None, **film) -> media.Medium:
    locator = None if part is None else media.locator.parse(part)
    return media.load(media.Source("a.gif", data=data, locator=locator), wanted=Wanted(film=FilmWanted(**film)))


def test_an_animation_is_a_film_with_its_own_times(animation):
    film = animated(animation)
    assert isinstance(film, media.Document) and film.receipt.kind == "video"
    assert film.receipt.times == (0.0, 0.1, 0.3, 0.6, 1.0) and film.receipt.seconds == 1.5
    assert animated(animation, frames=2).receipt.times == (0.3, 1.0)
    assert animated(animation, "t=0,0.5").receipt.times == (0.0, 0.1, 0.3)
    pairs = animated(animation, recipe=FilmRecipe(pairs=True))
    assert [clip.times for clip in clips(pairs)] == [(0.0, 0.1), (0.3, 0.6), (1.0, 1.0)]


def test_a_moment_of_an_animation_is_a_picture(animation):
    first, later = animated(animation, "t=0"), animated(animation, "t=0.7")
    assert isinstance(first, media.Image) and isinstance(later, media.Image)
    assert abs(int(first.pixels[0, 0, 0]) - 0) <= 2 and abs(int(later.pixels[0, 0, 0]) - 150) <= 2
    assert later.receipt.locator == "t=0.7"


def test_a_damaged_animation_is_refused(animation):
    with pytest.raises(InputError):
        animated(animation[: len(animation) * 2 // 3])


# what is said


SAID = [(0.5, 1.5, "Hello <i>there</i>"), (5.0, 6.0, "Now it turns"), (9.7, 9.9, "The end")]


def test_subtitles_stand_before_the_first_frame_at_or_after_them(tmp_path):
    film = opened(films.make(tmp_path / "said.mkv", seconds=10, subtitles=SAID), frames=5)
    assert film.receipt.sound == "subtitles"
    assert film.receipt.spoken == ((0.5, "Hello there"), (5.0, "Now it turns"), (9.7, "The end"))
    assert words(film) == [
        "00:00 ",
        '\n[00:00] ▸ "Hello there"\n00:02 ',
        "\n00:04 ",
        '\n[00:05] ▸ "Now it turns"\n00:06 ',
        "\n00:08 ",
        '\n[00:09] ▸ "The end"',
    ]
    assert film.parts[-1].medium is None


def test_subtitles_can_be_left_out_and_keep_to_the_stretch(tmp_path):
    path = films.make(tmp_path / "said.mkv", seconds=10, subtitles=SAID)
    assert opened(path, sound="off").receipt.spoken == ()
    assert [text for _, text in opened(f"{path}#t=4,8", frames=2).receipt.spoken] == ["Now it turns"]


def test_sound_waits_until_somebody_puts_it_into_words(tmp_path):
    samples = (np.sin(np.arange(64_000) / 20) * 8000).astype(np.int16)
    film = opened(films.make(tmp_path / "loud.mp4", sound=samples), frames=2)
    assert film.sound is not None and film.receipt.sound == "none"
    assert film.sound().receipt.seconds == pytest.approx(4.0, abs=0.2)
    assert opened(tmp_path / "loud.mp4", sound="off").receipt.sound == "off"
    silent = opened(films.make(tmp_path / "silent.mp4"))
    assert silent.sound is None and silent.receipt.sound == "none"


def test_a_model_that_hears_gets_the_sound_in_pieces_between_the_frames(tmp_path):
    from mmcli.media import film as films_

    samples = (np.sin(np.arange(16_000 * 70) / 20) * 8000).astype(np.int16)
    film = opened(films.make(tmp_path / "long.mp4", seconds=70, rate=2, sound=samples), frames=4)
    heard = films_.with_sound(film, film.sound())
    kinds = [
        "sound" if isinstance(part, media.Audio) else "clip" for part in heard.content if not isinstance(part, str)
    ]
    assert kinds.count("sound") == 3 and kinds[0] == "sound" and heard.receipt.sound == "heard"
    assert {clip.receipt.sound for clip in clips(heard)} == {"heard"}


# what is wrong with one


def test_a_film_that_is_cut_short_says_so(film, tmp_path):
    for name in ("half.mp4", "half.mkv"):
        whole = film if name.endswith("mp4") else films.make(tmp_path / "whole.mkv")
        (tmp_path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        assert "is cut short: its end is missing" in refusal(tmp_path / name).message


def test_a_film_without_pictures_or_without_sense(film, tmp_path):
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(film.read_bytes()[:32] + bytes(4000))
    assert "is damaged: it cannot be opened as a video" in refusal(junk).message
    only_sound = tmp_path / "only.mkv"
    with av.open(str(only_sound), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for packet in films._sound(stream, np.zeros(16_000, np.int16)):
            container.mux(packet)
    found = media.load(media.Source("only.mkv", path=only_sound))
    assert isinstance(found, media.Audio)


def test_damage_in_the_middle_is_refused_or_taken_as_it_is(film, tmp_path):
    data = bytearray(film.read_bytes())
    start = data.index(b"mdat") + len(data) // 4
    data[start : start + len(data) // 4] = bytes(len(data) // 4)
    (tmp_path / "bad.mp4").write_bytes(data)
    assert "frames cannot be decoded" in refusal(tmp_path / "bad.mp4", frames=20, exact=True).message
    taken = opened(tmp_path / "bad.mp4", frames=20, exact=True, damaged_ok=True).receipt
    assert any("could not be decoded" in note for note in taken.notes)


def test_a_film_in_memory_is_read_like_one_in_a_file(film):
    piped = media.load(media.Source("-", data=film.read_bytes()), wanted=Wanted(film=FilmWanted(frames=5)))
    assert piped.id == opened(film, frames=5).id and piped.receipt.sha256 == opened(film).receipt.sha256


def test_a_large_film_is_mapped_and_not_read(tmp_path, monkeypatch):
    from mmcli.media import opening

    samples = (np.sin(np.arange(64_000) / 20) * 8000).astype(np.int16)
    path = films.make(tmp_path / "loud.mkv", sound=samples)
    plain = media.load(media.Source("loud.mkv", path=path), kinds=frozenset({"audio"}))
    monkeypatch.setattr(opening, "MAPPED", 1000)
    data = media.read(media.Source("loud.mkv", path=path), max_bytes=2000)
    assert not isinstance(data, bytes) and len(data) == path.stat().st_size, "read whole, or refused for its size"
    mapped = media.load(media.Source("loud.mkv", path=path), kinds=frozenset({"audio"}))
    assert mapped.id == plain.id and mapped.receipt == plain.receipt
    found = media.load(media.Source("loud.mkv", data=data), wanted=Wanted(film=FilmWanted(frames=3)))
    assert found.id == opened(path, frames=3).id
