"""What a person can name: files, globs, folders, URLs, stdin; and what they get told when it is not there."""

from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path

import pytest

from mmcli import media
from mmcli.errors import InputError
from tests.pictures import encoded, upright

PNG = encoded(upright(), "PNG")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)


def names(*arguments: str, **options) -> list[str]:
    return [source.name for source in media.find(arguments, **options)]


def refusal(*arguments: str, **options) -> InputError:
    with pytest.raises(InputError) as caught:
        media.find(arguments, **options)
    return caught.value


# ---- what is found


def test_files_come_in_the_order_given_and_twice_if_named_twice(folder):
    put(folder, "b.png", "a.png")
    assert names("b.png", "a.png", "b.png") == ["b.png", "a.png", "b.png"]


def test_a_home_folder_is_expanded_and_the_name_stays_as_typed(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    put(folder, "pictures/a.png")
    (source,) = media.find(["~/pictures/a.png"])
    assert source.name == "~/pictures/a.png" and source.path == folder / "pictures/a.png"


def test_a_glob_is_sorted_naturally(folder):
    put(folder, "scan 10.png", "Scan 9.png", "scan 1.png", "sub/scan 2.png", ".scan 3.png", "._scan 1.png")
    assert names("*.png") == ["scan 1.png", "Scan 9.png", "scan 10.png"]
    assert names("**/*.png") == ["scan 1.png", "Scan 9.png", "scan 10.png", "sub/scan 2.png"]


def test_a_file_whose_name_looks_like_a_glob_is_taken_as_it_is(folder):
    put(folder, "photo[1].png", "photo1.png", "what?.png")
    assert names("photo[1].png") == ["photo[1].png"]
    assert names("what?.png") == ["what?.png"]


def test_a_folder_gives_its_visible_media_in_natural_order(folder):
    put(folder, "in/10.jpg", "in/9.PNG", "in/a.mp3", "in/.hidden.png", "in/._9.png", "in/notes.txt", "in/sub/1.png")
    assert names("in") == ["in/9.PNG", "in/10.jpg", "in/a.mp3"]
    assert names("in/") == ["in/9.PNG", "in/10.jpg", "in/a.mp3"]
    assert names("in", recursive=True) == ["in/9.PNG", "in/10.jpg", "in/a.mp3", "in/sub/1.png"]
    assert names("in", kinds=frozenset({"audio"})) == ["in/a.mp3"]
    assert names("in", kinds=frozenset({"image"})) == ["in/9.PNG", "in/10.jpg"]


def test_hidden_folders_and_links_to_folders_are_not_searched(folder):
    put(folder, "in/1.png", "in/.thumbnails/1.png", "elsewhere/2.png")
    (folder / "in/loop").symlink_to(folder / "in")
    (folder / "in/away").symlink_to(folder / "elsewhere")
    (folder / "in/link.png").symlink_to(folder / "elsewhere/2.png")
    (folder / "in/dangling.png").symlink_to(folder / "nowhere.png")
    assert names("in", recursive=True) == ["in/1.png", "in/link.png"]


def test_file_addresses_are_paths(folder):
    put(folder, "a b#1.png")
    (source,) = media.find([f"file://{folder}/a%20b%231.png"])
    assert source.path == folder / "a b#1.png"
    assert "another machine" in refusal("file://server/a.png").message


def test_web_addresses_keep_their_password_out_of_sight():
    (source,) = media.find(["https://me:secret@example.org/a.png?x=1@2"])
    assert source.url == "https://me:secret@example.org/a.png?x=1@2"
    assert source.name == "https://example.org/a.png?x=1@2"
    assert "secret" not in repr(source) and source.suffix == ".png"


def test_stdin_is_a_source():
    (source,) = media.find(["-"], stdin=PNG)
    assert source.name == "-" and media.load(source).receipt.source == "-"


def test_names_no_text_can_hold_are_found(folder):
    odd = ["new\nline.png", "\x1b[31mred.png", os.fsdecode(b"latin\xe9.png"), "  spaces  .png", "-dash.png", "日本.png"]
    put(folder, *odd)
    for name in odd:
        (source,) = media.find([name])
        assert source.name == name and media.load(source).receipt.source == name
    assert sorted(names(".")) == sorted(f"./{name}" for name in odd)


def test_accents_and_spaces_that_look_the_same_are_the_same(folder):
    put(folder, unicodedata.normalize("NFD", "café.png"), "Screenshot at 9.41\u202fAM.png")
    assert media.load(media.find([unicodedata.normalize("NFC", "café.png")])[0]).receipt.format == "PNG"
    assert media.find(["Screenshot at 9.41 AM.png"])[0].path is not None


# ---- what is refused


def test_a_missing_file_is_refused_with_the_nearest_name(folder):
    put(folder, "photo.jpg", "pictures/holiday.png")
    assert refusal("foto.jpg").message == "no file named `foto.jpg`"
    assert refusal("foto.jpg").hint == "did you mean `photo.jpg`?"
    assert refusal("PHOTO.JPG").hint == "did you mean `photo.jpg`?"
    assert refusal("photo.jpeg").hint == "did you mean `photo.jpg`?"
    assert refusal("pictures/hoiday.png").hint == "did you mean `pictures/holiday.png`?"
    assert refusal("picture/holiday.png").hint == "did you mean `pictures`?"
    assert refusal("nothing like it at all").hint is None


def test_a_name_with_the_shell_quoting_still_on_it(folder):
    put(folder, "my photo.png")
    for name in ("'my photo.png'", '"my photo.png"', "my\\ photo.png", "my photo.png\n"):
        assert refusal(name).hint == "did you mean `my photo.png`?"


def test_a_glob_that_matches_nothing(folder):
    put(folder, "IMG_1.JPG", "in/sub/a.png")
    assert refusal("*.png").message == "nothing matches `*.png`"
    assert refusal("*.jpg").hint == "did you mean `*.JPG`?"
    assert refusal("in/*").message == "`in/*` matches folders only"


def test_an_empty_name_is_not_the_current_folder(folder):
    put(folder, "a.png")
    for name in ("", " "):
        assert "an empty name" in refusal(name).message


def test_a_folder_without_media_tells_what_it_holds(folder):
    (folder / "empty").mkdir()
    put(folder, "odd/1.doc", "odd/2.doc", "odd/readme", "deep/down/a.png")
    assert (
        refusal("empty").message == "the folder `empty` holds no pictures, sounds or PDFs"
        and refusal("empty").hint is None
    )
    assert refusal("odd").hint == "it holds 2 × .doc, 1 × no extension"
    assert refusal("deep").hint == "add `-r` to look into its sub-folders"
    assert refusal("odd", kinds=frozenset({"audio"})).message == "the folder `odd` holds no sounds"


def test_a_dangling_link_and_a_link_to_itself(folder):
    (folder / "a.png").symlink_to("gone.png")
    (folder / "b.png").symlink_to("b.png")
    assert refusal("a.png").message == "`a.png` is a link to `gone.png`, which does not exist"
    assert refusal("b.png").message.startswith("`b.png` cannot be reached: ")


def test_pipes_sockets_and_devices_are_refused_at_once(folder):
    os.mkfifo("fifo.png")
    assert refusal("fifo.png").message == "`fifo.png` is a pipe, not a file"
    assert refusal("/dev/null").message == "`/dev/null` is a device, not a file"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert refusal("socket.png").message == "`socket.png` is a pipe, not a file"


def test_a_pipe_that_took_the_files_place_does_not_hang_the_load(folder):
    os.mkfifo("fifo.png")
    with pytest.raises(InputError, match="is a pipe or a device"):
        media.load(media.Source("fifo.png", folder / "fifo.png"))


def test_a_folder_or_a_vanished_file_cannot_be_loaded(folder):
    with pytest.raises(InputError, match="is a folder, not a file"):
        media.load(media.Source("here", folder))
    with pytest.raises(InputError, match="no file named `gone.png`"):
        media.load(media.Source("gone.png", folder / "gone.png"))


def test_an_unreadable_file_is_refused(folder):
    put(folder, "a.png", "locked/a.png")
    os.chmod("a.png", 0)
    os.chmod("locked", 0)
    try:
        if os.access("a.png", os.R_OK):  # root reads everything: a file kept by the kernel takes its place
            with pytest.raises(InputError, match="cannot be read: "):
                media.load(media.Source("mem", Path("/proc/self/mem")))
        else:
            with pytest.raises(InputError, match="`a.png` cannot be read: permission denied"):
                media.load(media.find(["a.png"])[0])
            assert "permission denied" in refusal("locked/a.png").message
    finally:
        os.chmod("locked", 0o700)


def test_a_file_beyond_the_limit_is_not_read(folder):
    with open("huge.png", "wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on disk
    with pytest.raises(InputError, match="`huge.png` has 1099512 MB, the limit is 1074 MB"):
        media.load(media.find(["huge.png"])[0])


@pytest.mark.parametrize("address", ["ftp://example.org/a.png", "s3://bucket/a.png", "data:image/png;base64,iVBORw0"])
def test_other_schemes_are_refused(address):
    assert "addresses are not supported" in refusal(address).message


def test_a_question_in_place_of_a_file_is_shortened(folder):
    message = refusal("why " * 5000).message
    assert len(message) < 250
    refusal("a\0b.png")


def test_dash_without_anything_on_stdin():
    for stdin in (None, b""):
        assert "nothing was" in refusal("-", stdin=stdin).message


# ---- is the question a file?


def test_a_question_that_is_a_file_is_noticed(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    put(folder, "photo", "what is this.png", "cat/1.png")
    for argument in ("photo", "what is this.png", "gone.jpg", "~/photo", "./cat", "https://a.org/b.png", "*.png", "."):
        assert media.looks_like_medium(argument), argument
    for argument in ("What is this?", "describe cat.png", "cat", "", "3.5", "e.g.", "a\0b", "x" * 5000):
        assert not media.looks_like_medium(argument), argument


# ---- kinds


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (PNG, "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "image"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\xff\xfb\x90\x64" + bytes(40), "audio"),
        (b"\xff\xf1\x50\x80\x2a\xff\xfc", "audio"),
        (b"OggS\0\x02" + bytes(22) + b"\x01\x13OpusHead", "audio"),
        (b"OggS\0\x02" + bytes(22) + b"\x01\x2a\x80theora", "video"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81", "video"),
        (b"%PDF-1.4\n", "pdf"),
        (b"P6\n# made by hand\n4 4\n255\n", "image"),
        (b"P1 is the first of them\n", "text"),
        (b"BMW makes cars, and this is a text\n", "text"),
        (b"ID: 17\n", "text"),
        (b"#define FOO 1\nint main", "text"),
        (b"#define cat_width 16\n", "image"),
        (b"\xef\xbb\xbf<svg>", "image"),
        ("Grüße".encode(), "text"),
        ("Grüße aus dem Süden".encode("latin-1"), "text"),
        ("Grüße".encode("utf-16"), "text"),
        (("é" * 3000).encode()[:4095], "text"),
        (b"", None),
        (b"\xff" * 100, None),
        (bytes(100), None),
        (b"plain\0text", None),
    ],
)
def test_the_kind_is_told_from_the_bytes(head, kind):
    assert media.sniff(head) == kind


@pytest.mark.parametrize("head", [b"P1 " + b"# " * 2000, b"<!-- " + b"--> <!-- " * 400, b" " * 4096, b"<?" * 2000])
def test_no_head_makes_sniffing_slow(head):
    import time

    start = time.perf_counter()
    media.sniff(head)
    assert time.perf_counter() - start < 2
