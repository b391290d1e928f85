"""The parts of a caption run by themselves: styles, names of lists, results, XMP."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmcli import media
from mmcli.engine import Answer, Sampling, Seen, Usage
from mmcli.errors import InputError
from mmcli.jobs import caption_styles, result_cache
from mmcli.jobs.caption import CaptionTask
from mmcli.jobs.engine_worker import EngineWorker
from mmcli.jobs.inputs import InputNames, SpooledInputs, split
from mmcli.jobs.ordered_channel import Channel
from mmcli.jobs.runner import Runner
from mmcli.media import exif
from mmcli.outputs import renames, xmp
from mmcli.outputs.renames import Namer
from mmcli.outputs.sidecars import SidecarPlan
from tests import pictures
from tests.conftest import TIMEOUT, draw
from tests.scripted_engine import ScriptedEngine


@pytest.mark.parametrize(
    ("style", "answer", "caption"),
    [
        ("short", '"A red circle."\n', "A red circle."),
        ("short", "**Caption:** A\n\nred   circle", "A red circle"),
        ("short", 'A "red" circle and a "blue" one', 'A "red" circle and a "blue" one'),
        ("short", "a\x1b[31m\u202eb\0c", "a [31m b c"),
        ("tags", "Tags: Red, circle; Blue Square, red.", "red, circle, blue square"),
        ("tags", "- red circle\n- blue\n2. Star", "red circle, blue, star"),
        ("filename", "A red circle, and a blue square!", "red-circle-and-a-blue-square"),
        ("filename", "The image shows the Élan_vital of 2024.jpg", "élan-vital-of-2024"),
        ("filename", "../../etc/passwd", "etc-passwd"),
        ("filename", "红色圆圈", "红色圆圈"),
        ("filename", "word " * 30, "-".join(["word"] * 12)),
        ("filename", "...", ""),
        ("filename", "हिन्दी में", "हिन्दी-में"),
        ("short", "می\u200cخواهم 👩\u200d🎨", "می\u200cخواهم 👩\u200d🎨"),
    ],
)
def test_an_answer_becomes_a_caption_of_its_style(style: str, answer: str, caption: str) -> None:
    assert caption_styles.tidy(caption_styles.STYLES[style], answer) == caption


def test_the_question_names_language_and_facts() -> None:
    asked = caption_styles.question(caption_styles.STYLES["short"], prompt="What?", language="DE")
    assert asked == "What? Answer in German."
    assert caption_styles.with_facts(asked, {}) == asked
    assert caption_styles.with_facts(asked, {"place": "Rome"}).endswith("\n- place: Rome\n\nWhat? Answer in German.")


@pytest.mark.parametrize(
    ("blocks", "separator", "names"),
    [
        ([b"a\nb", b"c\n\nd"], b"\n", ["a", "bc", "d"]),
        ([b"a\0b\nc\0"], b"\0", ["a", "b\nc"]),
        ([b"\xef\xbb\xbfa\r\n", b"\xff\n"], b"\n", ["a", "\udcff"]),
        ([], b"\n", []),
    ],
)
def test_a_list_is_cut_into_names(blocks: list[bytes], separator: bytes, names: list[str]) -> None:
    assert [name for some in split(iter(blocks), separator) for name in some] == names


def test_a_listing_hands_on_what_it_has_while_the_list_goes_on() -> None:
    more = threading.Event()

    def blocks() -> object:
        yield b"first\n"
        assert more.wait(60)
        yield b"second\n"

    listing = SpooledInputs(InputNames(names=blocks()))  # type: ignore[arg-type]
    listing.start()
    first = listing.take()
    assert first is not None and (first.index, first.source.name) == (0, "first")
    assert not listing.complete
    more.set()
    second = listing.take()
    assert second is not None and second.source == media.named("second")
    assert listing.take() is None and (listing.n, listing.complete) == (2, True)
    listing.stop()


def test_a_stopped_listing_lets_go_of_whoever_waits() -> None:
    never = threading.Event()

    def blocks() -> object:
        never.wait(60)
        yield b"x\n"

    listing = SpooledInputs(InputNames(names=blocks()))  # type: ignore[arg-type]
    listing.start()
    threading.Timer(0.1, listing.stop).start()
    assert listing.take() is None
    never.set()


def test_a_closed_channel_gives_what_it_holds_and_takes_nothing() -> None:
    channel: Channel[int] = Channel(2, rank=int)
    channel.put(1)
    channel.close()
    channel.put(2)
    assert (channel.wait(), channel.get()) == (True, 1)
    assert (channel.wait(), channel.get()) == (False, None)


def test_what_comes_first_leaves_a_channel_first() -> None:
    channel: Channel[int] = Channel(3, rank=int)
    for number in (3, 1, 2):
        channel.put(number)
    assert channel.least == 1
    channel.put(0)  # waits for no place: it comes before the others
    assert [channel.get() for _ in range(4)] == [0, 1, 2, 3]
    assert channel.least is None


def test_the_engine_is_asked_about_the_first_picture_first_though_it_takes_long_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, colour in enumerate(("red", "green", "blue")):
        draw(tmp_path / f"{number}.png", f"{colour} circle")
    real, others = media.load, threading.Semaphore(0)

    def load(source: media.Source, **how: Any) -> Any:
        first = source.name.endswith("0.png")
        assert not first or (others.acquire(timeout=TIMEOUT) and others.acquire(timeout=TIMEOUT))
        loaded = real(source, **how)
        if not first:
            others.release()
        return loaded

    monkeypatch.setattr(media, "load", load)
    engine = ScriptedEngine(InputError("not today"))
    worker = EngineWorker(
        CaptionTask("What?", caption_styles.STYLES["short"], Sampling()),
        result_cache.Results(None),
        lambda: engine,
    )
    with Runner(SpooledInputs(InputNames([str(tmp_path)])), worker) as run:
        assert [type(outcome.error) for outcome in run] == [InputError] * 3
    sources = [Path(messages[0].media[0].receipt.source).name for messages in engine.asked]
    assert sources[0] == "0.png" and sorted(sources) == ["0.png", "1.png", "2.png"]


def answer(text: str, number: int) -> Answer:
    receipt = media.Receipt(f"{number}.png", "image", f"{number:064}", 9, "PNG", (4, 2), (4, 2), notes=("flat",))
    seen = Seen(receipt, f"pixels {number}", 64, 64, "encoded")
    return Answer(text, "", "stop", (seen,), Usage(10, 0, 4), "starter", "w", "p", "CPU", 256, 14, 0)


def test_a_result_comes_back_as_it_was_with_the_receipt_of_now(tmp_path: Path) -> None:
    store = result_cache.Results(tmp_path / "deep" / "captions.db")
    store.save("key", "setup", answer("a circle", 1), 2.0)
    store.close()
    again = result_cache.Results(tmp_path / "deep" / "captions.db")
    known = again.seen_before(f"{1:064}")
    assert known is not None
    media_id, receipt = known
    assert (media_id, receipt) == ("pixels 1", answer("", 1).seen[0].receipt)
    loaded = again.load("key", receipt)
    assert loaded is not None
    assert (loaded.text, loaded.usage, loaded.seen[0].origin) == ("a circle", Usage(10, 0, 4), "disk")
    assert again.load("other", receipt) is None
    assert (again.seconds("setup"), again.seconds("another")) == (2.0, None)
    again.close()


def test_the_oldest_results_make_room_for_new_ones(tmp_path: Path) -> None:
    store = result_cache.Results(tmp_path / "captions.db", max_bytes=300_000)
    for number in range(1000):
        store.save(f"key {number}", "setup", answer("long " * 40, number), 1.0)
    receipt = answer("", 1).seen[0].receipt
    assert store.load("key 0", receipt) is None
    assert store.load("key 999", receipt) is not None
    store.close()


def test_a_sidecar_is_ours_as_long_as_nobody_changed_it(tmp_path: Path) -> None:
    store = result_cache.Results(None)
    place, picture = tmp_path / "a.txt", tmp_path / "a.png"
    assert not store.is_ours(place, b"x")
    store.wrote(place, picture, b"x")
    assert store.is_ours(place, b"x") and not store.is_ours(place, b"y")
    store.moved(place, tmp_path / "b.txt")
    store.moved(tmp_path / "a.png", tmp_path / "b.png")
    assert store.is_ours(tmp_path / "b.txt", b"x") and store.owner(place) is None
    store.close()


def test_a_tree_outside_of_here_is_mirrored_whole(tmp_path: Path) -> None:
    plan = SidecarPlan(("txt",), folder=Path("out"))
    outside = Path("/elsewhere/p/a.jpg")
    assert plan.place(outside, "txt") == Path("out/elsewhere/p/a.txt")
    assert plan.place(Path("p/../q/a.jpg"), "xmp") == Path("out/q/a.jpg.xmp")


def test_names_differ_without_extension_and_without_case(tmp_path: Path) -> None:
    for name in ("Cat.png", "1.jpg", "2.jpg", "3.jpg"):
        (tmp_path / name).touch()
    namer = Namer()
    given = [namer.propose(tmp_path / name, "cat").name for name in ("1.jpg", "2.jpg", "Cat.png")]
    assert given == ["cat-2.jpg", "cat-3.jpg", "Cat.png"]
    assert namer.propose(tmp_path / "3.jpg", "con").name == "con-picture.jpg"
    with pytest.raises(InputError):
        namer.propose(tmp_path / "3.jpg", "")


def test_a_name_that_looks_the_same_is_taken(tmp_path: Path) -> None:
    (tmp_path / f"{unicodedata.normalize('NFD', 'ÉCLAIR')}.png").touch()
    (tmp_path / "1.jpg").touch()
    assert Namer().propose(tmp_path / "1.jpg", "éclair").name == "éclair-2.jpg"


@pytest.mark.parametrize("line", ["{", "[]", '{"old": "/a"}', '{"old": 1, "new": "/b"}', "[" * 100_000, "\xff"])
def test_a_damaged_journal_renames_nothing_back(tmp_path: Path, line: str) -> None:
    (tmp_path / "b").touch()
    whole = json.dumps({"old": str(tmp_path / "a"), "new": str(tmp_path / "b")})
    (tmp_path / "1.jsonl").write_text(f"{line}\n{whole}\n", "latin-1")
    with pytest.raises(InputError, match="line 1 of .* is damaged, so nothing is undone"):
        list(renames.undo(tmp_path / "1.jsonl"))
    assert (tmp_path / "b").exists() and (tmp_path / "1.jsonl").exists()


def test_an_attribute_description_and_a_foreign_prefix_are_understood() -> None:
    old = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<!-- kept --><r:Description r:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        b'xmlns:lr="http://ns.adobe.com/lightroom/1.0/" lr:note="a&#10;b" dc:description="mine"/></r:RDF></x:xmpmeta>'
    )
    assert xmp.is_human(old, shown="x")
    new = xmp.with_description(old, "a <b> & c\x00", model="m", date="2026-01-01")
    assert not xmp.is_human(new, shown="x")
    text = new.decode()
    assert "mine" not in text and "a &lt;b&gt; &amp; c<" in text
    assert "kept" in text and 'lr:note="a&#10;b"' in text
    assert xmp.with_description(new, "a <b> & c\x00", model="m", date="2027-01-01") == new


def test_tags_are_keywords_beside_a_person_s() -> None:
    old = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<r:Description r:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:description="mine"><dc:subject>'
        b"<r:Bag><r:li>Holiday</r:li><r:li>Sea</r:li></r:Bag></dc:subject></r:Description></r:RDF></x:xmpmeta>"
    )

    def keywords(data: bytes) -> list[str]:
        return re.findall(r"<rdf:li>(.*?)</rdf:li>", data.decode().split("MachineTags")[0])

    new = xmp.with_tags(old, ["sea", "red & blue", "boat"], model="m", date="2026-01-01")
    assert keywords(new) == ["Holiday", "Sea", "red &amp; blue", "boat"]
    assert 'dc:description="mine"' in new.decode()
    assert xmp.with_tags(new, ["sea", "red & blue", "boat"], model="m", date="2027-01-01") == new
    assert not xmp.has_lost_tags(new, shown="x")
    # another run's take the place of ours, not of theirs; nor does a description disturb them
    again = xmp.with_tags(new, ["harbour", "boat"], model="n", date="2027-01-01")
    assert keywords(again) == ["Holiday", "Sea", "harbour", "boat"]
    assert keywords(xmp.with_description(again, "words", model="n", date="2027-01-01")) == keywords(again)
    # what a person took away is known to be gone
    assert xmp.has_lost_tags(again.replace(b"<rdf:li>boat</rdf:li>", b"", 1), shown="x")


def test_broken_facts_are_no_facts() -> None:
    assert exif.read(b"no picture") == {}
    assert exif.read(pictures.encoded(pictures.upright(), "PNG")) == {}
    broken = pictures.encoded(pictures.upright(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert exif.read(broken) == {}


# the key of what is cached


@dataclass(frozen=True)
class Later(Sampling):
    """A later version's."""

    grammar: str | None = None


def test_a_field_that_a_later_version_adds_leaves_what_is_cached() -> None:
    before = CaptionTask("What?", caption_styles.STYLES["short"], Sampling(), setup="here")
    later = CaptionTask("What?", caption_styles.STYLES["short"], Later(), setup="here")
    other = CaptionTask("What?", caption_styles.STYLES["short"], Later(grammar="yes | no"), setup="here")
    assert (later.key, later.base) == (before.key, before.base)
    assert other.key != before.key and other.base != before.base
    # As 321237a made it: all of the sampling's fields, in their order.
    fields = {"temperature": 0.2, "max_tokens": 1024, "seed": None, "top_p": 0.95, "top_k": 40, "min_p": 0.05}
    fields |= {"repeat_penalty": 1.0, "stop": [], "think": False, "loop_guard": True}
    words = json.dumps(["here", None, "What?", False, fields])
    assert before.key == hashlib.sha256(words.encode()).hexdigest()
