"""Subtitles that can be read: what a cue holds, where it is cut, how long it stays, and what other programs read."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pysubs2
import pytest
from wcwidth import wcswidth

from mmcli.speech.cues import Layout
from mmcli.speech.formats import FORMATS, Subtitles
from mmcli.speech.transcript import Segment, Transcript, Word

NAMES = [name for name, kind in FORMATS.items() if issubclass(kind, Subtitles)]
SPEECH = (
    "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
    " We shall go to the moon in this decade, not because it is easy, but because it is hard."
)
TEXTS = {
    "English": SPEECH,
    "German": "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle ist ein Wort, heißt es.",
    "Chinese": "今天天气很好，我们一起去公园散步吧。晚上回家以后，我想看一本关于中国历史的书，然后早点睡觉。",
    "Japanese": "「ちょっと待ってください。」と彼は言った。コンピューターのファイルを開いて、Python 3 で書きました。",
    "Thai": "สวัสดีครับ วันนี้อากาศดีมาก เราไปเดินเล่นที่สวนสาธารณะกันเถอะ แล้วกลับบ้านตอนเย็น",
    "Korean": "오늘은 날씨가 정말 좋네요. 우리 같이 공원에 산책하러 가요. 저녁에는 집에 돌아와서 책을 읽고 싶어요.",
    "Arabic": "مَرْحَبًا بكم جميعا في هذا البرنامج، وسوف نتحدث اليوم عن اللغة العربية وتاريخها الطويل في العالم كله.",
    "Hindi": "नमस्ते दोस्तों, आज हम भारत के इतिहास के बारे में बात करेंगे। यह बहुत ही रोचक विषय है और सबको पसंद आएगा।",
    "address": "https://example.com/a/very/long/address/that/no/line/of/a/subtitle/will/ever/hold/in/one/piece yes",
    "emoji": "👩‍👩‍👧‍👦" * 22 + " family",
    "mixed": "我们用 Python 写程序 and שלום עולם followed by 東京タワー, okay?",
}


def spoken(text: str, start: float = 0.0, rate: float = 14.0, *, pauses: Sequence[float] = ()) -> Segment:
    """A segment said at so many characters a second, with word times as faster-whisper gives them."""
    at, words = start, []
    pieces = re.findall(r"\s*\S+", text) if " " in text.strip() else list(text)
    for i, piece in enumerate(pieces):
        if i < len(pauses):
            at += pauses[i]
        words.append(Word(round(at, 2), round(at + len(piece) / rate, 2), f" {piece}" if i == 0 else piece, 0.9))
        at = words[-1].end
    return Segment(start, at, text.strip(), 0.9, tuple(words))


def written(name: str, *segments: Segment, layout: Layout | None = None, seconds: float | None = None) -> str:
    form = FORMATS[name](layout or Layout())
    transcript = Transcript("talk.mp3", "tiny", "cpu", "int8", seconds=seconds or segments[-1].end + 5)
    out = form.begin(transcript)
    for segment in segments:
        transcript.segments.append(segment)
        out += form.segment(transcript, segment)
    return out + form.end(transcript)


def cues(text: str) -> list[tuple[int, int, list[str]]]:
    """(start, end, lines) of a file, in milliseconds, as pysubs2 reads it."""
    return [(event.start, event.end, event.plaintext.split("\n")) for event in pysubs2.SSAFile.from_string(text)]


def bare(text: str) -> str:
    """What was said, without the spaces that line breaks take the place of, and without marks that are not seen."""
    return "".join(text.replace("\u200f", "").split())


def check(text: str, segments: Sequence[Segment], layout: Layout, seconds: float) -> None:
    """What holds for all subtitles: nothing lost, room on the screen, times in order and inside the sound."""
    found, before = cues(text), 0
    assert bare("".join("".join(lines) for _, _, lines in found)) == bare("".join(each.text for each in segments))
    for start, end, lines in found:
        assert before <= start < end <= round(1000 * seconds) + 1, (start, end)
        assert end - start <= 7001
        assert 1 <= len(lines) <= layout.lines
        for line in lines:
            assert 0 < wcswidth(line) <= layout.width, line
            if layout.words:
                assert len(line.split()) <= layout.words
        before = end


# room on the screen


@pytest.mark.parametrize("name", ["srt", "vtt", "ass"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
@pytest.mark.parametrize("layout", [Layout(), Layout(20, 1), Layout(37, 3, 4), Layout(4, 2)], ids=str)
@pytest.mark.parametrize("timed", [True, False], ids=["words", "no words"])
def test_a_cue_holds_no_more_than_was_asked_for(name: str, text: str, layout: Layout, timed: bool) -> None:
    segment = spoken(text, 1.5)
    if not timed:
        segment = Segment(segment.start, segment.end, segment.text, 0.9)
    check(written(name, segment, layout=layout), [segment], layout, segment.end + 5)


def test_a_cue_is_cut_between_sentences_and_at_commas_rather_than_in_phrases() -> None:
    found = [" ".join(lines) for _, _, lines in cues(written("srt", spoken(SPEECH)))]
    assert len(found) == 4 and " ".join(found) == SPEECH
    assert all(text[-1] in ".," and "." not in text[:-1] for text in found), found


def test_lines_are_of_about_equal_lengths() -> None:
    (_, _, lines), *_ = cues(written("srt", spoken("the quick brown fox jumps over the lazy dog again and again")))
    assert len(lines) == 2 and abs(len(lines[0]) - len(lines[1])) <= 12


def test_what_fits_one_line_stands_in_one() -> None:
    assert [lines for _, _, lines in cues(written("vtt", spoken("Good morning, everybody.")))] == [
        ["Good morning, everybody."]
    ]


def test_no_cue_spans_silence() -> None:
    segment = spoken("one two three four", 0, pauses=(0, 0, 2.0, 0))
    found = cues(written("srt", segment))
    assert [lines for _, _, lines in found] == [["one two"], ["three four"]]
    silence = (round(1000 * segment.words[1].end), round(1000 * segment.words[2].start))  # type: ignore[index]
    assert found[0][1] <= silence[0] + 700 and found[1][0] == silence[1]


def test_a_short_cue_stays_for_as_long_as_it_takes_to_read_if_silence_follows() -> None:
    short, soon, late = spoken("Yes.", 0), spoken("No.", 0.4), spoken("Well.", 9)
    found = cues(written("srt", short, soon, late, seconds=9.5))
    assert [start for start, _, _ in found] == [0, 400, 9000]
    assert found[0][1] == 400  # the next one follows
    assert found[1][1] - found[1][0] == 700
    assert found[2][1] == 9500  # where the sound ends


def test_a_word_that_whisper_stretches_over_silence_does_not_stay() -> None:
    segment = Segment(0, 30, "Thanks.", 0.9, (Word(0, 30, " Thanks.", 0.9),))
    ((start, end, _),) = cues(written("srt", segment))
    assert (start, end) == (0, 7000)


def test_a_long_segment_without_word_times_is_cut_by_estimate() -> None:
    found = cues(written("srt", Segment(10, 25, SPEECH, 0.9)))
    assert found[0][0] == 10_000 and found[-1][1] <= 25_000
    assert len(found) >= 4


def test_a_cue_begins_with_its_first_word_and_ends_after_its_last() -> None:
    segment = spoken(SPEECH, 3)
    timed = {word.text.strip(): word for word in segment.words or ()}
    for start, end, lines in cues(written("srt", segment)):
        words = " ".join(lines).split()
        assert start >= 3000
        last = [word for word in segment.words or () if word.text.strip() == words[-1]]
        assert any(0 <= end - 1000 * word.end <= 700 for word in last), (end, words[-1])
    assert cues(written("srt", segment))[0][0] == 1000 * timed["And"].start


@pytest.mark.parametrize("seed", range(40))
def test_whatever_whisper_says_cues_are_in_order_and_inside_the_sound(seed: int) -> None:
    """Words of no length, times that run backwards or out of the segment, segments that overlap."""
    chance = random.Random(seed)
    layout = Layout(chance.randint(2, 50), chance.randint(1, 3), chance.choice([None, 1, 5]))
    pool = [word for word in " ".join(TEXTS.values()).split() if not word.isdigit()]  # pysubs2 drops "3" at the end
    segments, at = [], chance.uniform(0, 5)
    for _ in range(chance.randint(1, 12)):
        start = at + chance.choice([0, 0, 1.3, -0.2 if at > 1 else 0])
        at = max(at, start) + chance.choice([0.5, 2.0, 12.0, 29.0])
        words = chance.sample(pool, chance.randint(1, 30))
        timed = []
        for word in words:
            begin = chance.uniform(start - 1, at + 1)
            timed.append(Word(begin, begin + chance.choice([-0.1, 0.0, 0.2, 9.0]), f" {word}", 0.5))
        segments.append(Segment(start, at, " ".join(words), 0.5, tuple(timed)))
    for name in ("srt", "vtt"):
        found, before = cues(written(name, *segments, layout=layout, seconds=at)), 0
        for start, end, lines in found:
            assert before <= start <= end <= round(1000 * at), (start, end)
            assert end - start <= 7001 and len(lines) <= layout.lines
            before = end
        said = bare("".join("".join(lines) for _, _, lines in found))
        assert said == bare("".join(segment.text for segment in segments))


# scripts


def test_chinese_and_japanese_lines_do_not_begin_with_a_full_stop_nor_end_with_an_opening_bracket() -> None:
    for name in ("Chinese", "Japanese"):
        for width in range(8, 44):
            for _, _, lines in cues(written("srt", spoken(TEXTS[name]), layout=Layout(width))):
                for line in lines:
                    assert line[0] not in "、。，）」ーょっ" and line[-1] not in "（「", (width, lines)


def test_korean_words_are_not_cut() -> None:
    words = set(TEXTS["Korean"].split())
    for _, _, lines in cues(written("srt", spoken(TEXTS["Korean"]), layout=Layout(20))):
        assert all(word in words for line in lines for word in line.split())


def test_thai_vowels_stay_with_their_consonants() -> None:
    for _, _, lines in cues(written("srt", spoken(TEXTS["Thai"]), layout=Layout(12))):
        assert all(line[0] not in "ะาำัิีึืุู็่้๊๋์" and line[-1] not in "เแโใไ" for line in lines), lines


def test_a_line_of_right_to_left_text_that_begins_with_another_word_keeps_its_direction() -> None:
    """Players take a line's direction from its first letter."""
    text = "שלום לכולם אנחנו מדברים היום על iPhone Apple Google ועל עוד הרבה דברים"
    for name in NAMES:
        shown = written(name, spoken(text), layout=Layout(24))
        for line in re.findall(r"[^\n\]N,]*(?:iPhone|Apple|Google)[^\n\\]*", shown):
            first = re.search(r"[\u200f\u0590-\u05ffA-Za-z]", line)
            assert first and not first[0].isascii(), (name, line)
    assert "\u200f" not in written("srt", spoken(SPEECH))
    assert "RightToLeft,," in written("ass", spoken(TEXTS["Arabic"]))


# formats


@pytest.mark.parametrize("name", ["srt", "vtt", "ass"])
def test_pysubs2_reads_the_same_cues_from_every_format(name: str) -> None:
    segments = [spoken(SPEECH, 3.3), spoken(TEXTS["Chinese"], 20), spoken(TEXTS["Arabic"], 3700)]
    found, wanted = cues(written(name, *segments)), cues(written("srt", *segments))
    assert [lines for _, _, lines in found] == [lines for _, _, lines in wanted]
    for (start, end, _), (other_start, other_end, _) in zip(found, wanted, strict=True):
        assert abs(start - other_start) < 10 and abs(end - other_end) < 10
    again = pysubs2.SSAFile.from_string(written(name, *segments)).to_string(name)
    assert cues(again) == found


NASTY = r"a --> b {\an8}<i>&amp;</i> [00:10.00] C:\new\Net {x}"


@pytest.mark.parametrize("highlight", [False, True])
def test_no_text_passes_for_a_mark(highlight: bool) -> None:
    shown = {name: written(name, spoken(NASTY), layout=Layout(highlight=highlight)) for name in NAMES}
    for name in ("srt", "vtt"):
        assert all(re.fullmatch(r"\S+ --> \S+", line) for line in shown[name].splitlines() if "-->" in line)
    assert "<i>" not in shown["vtt"] and "&lt;i&gt;&amp;amp;" in shown["vtt"]
    (event,) = pysubs2.SSAFile.from_string(shown["ass"])
    assert re.sub(r"\s", "", event.plaintext) == re.sub(r"\s", "", NASTY.translate({123: "｛", 125: "｝", 92: "＼"}))
    assert len(re.findall(r"\[[\d:.]+\]", shown["lrc"])) == len(shown["lrc"].splitlines())
    assert not re.search(r"<i>", shown["lrc"])


def test_lrc_has_a_line_at_a_time_and_an_empty_one_where_silence_follows() -> None:
    told = written("lrc", spoken("one two", 61.234), spoken("three", 70), seconds=80)
    assert told.splitlines()[0] == "[01:01.23]one two"
    assert re.fullmatch(r"\[01:0[12]\.\d\d\]", told.splitlines()[1])
    assert told.splitlines()[2] == "[01:10.00]three"
    assert re.fullmatch(r"\[01:1[01]\.\d\d\]", told.splitlines()[3])
    assert all(wcswidth(line) <= 42 + len("[01:10.00]") for line in written("lrc", spoken(SPEECH)).splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_said_is_a_file_without_cues(name: str) -> None:
    form, transcript = FORMATS[name](), Transcript("talk.mp3", "tiny", "cpu", "int8", seconds=3)
    text = form.begin(transcript) + form.end(transcript)
    assert "-->" not in text and "Dialogue" not in text
    assert form.summary() == ""


# words that are being said


@pytest.mark.parametrize("name", ["srt", "vtt"])
@pytest.mark.parametrize("text", [SPEECH, TEXTS["Chinese"], TEXTS["Arabic"]], ids=["English", "Chinese", "Arabic"])
def test_each_word_is_underlined_while_it_is_said(name: str, text: str) -> None:
    segment = spoken(text, 2)
    shown = written(name, segment, layout=Layout(highlight=True))
    before, said = 0, ""
    for start, end, shown_text in re.findall(r"(\d\S+) --> (\S+)\n(.*?)\n\n", shown, re.S):
        first, behind = (pysubs2.time.timestamp_to_ms(re.split("[:.,]", each)) for each in (start, end))
        assert before <= first < behind
        before = behind
        assert len(re.findall("<u>", shown_text)) <= 1
        said += "".join(re.findall("<u>(.*?)</u>", shown_text))
    assert bare(said) == bare(text)
    plain = re.sub("</?u>", "", shown)
    assert {tuple(lines) for _, _, lines in cues(plain)} == {
        tuple(lines) for _, _, lines in cues(written(name, segment))
    }


def test_karaoke_in_ass_lasts_as_long_as_its_words() -> None:
    segment = spoken(SPEECH, 2)
    for event in pysubs2.SSAFile.from_string(written("ass", segment, layout=Layout(highlight=True))):
        hundredths = sum(map(int, re.findall(r"\\k(\d+)", event.text)))
        assert 0 < 10 * hundredths <= event.end - event.start + 10


def test_karaoke_in_lrc_has_a_time_before_each_word() -> None:
    told = written("lrc", spoken("one two three", 1), layout=Layout(highlight=True))
    assert re.match(r"\[00:01\.00\]<00:01\.00>one <00:01\.\d\d>two <00:01\.\d\d>three<00:0\d\.\d\d>\n", told)


# the reading speed


def test_the_longest_reading_speed_is_known() -> None:
    form = FORMATS["srt"]()
    transcript = Transcript("talk.mp3", "tiny", "cpu", "int8", seconds=100)
    for segment in (spoken(SPEECH, 0, rate=10), spoken("very quickly indeed", 65, rate=30), spoken("ok then", 66)):
        transcript.segments.append(segment)
        form.segment(transcript, segment)
    form.end(transcript)
    assert re.fullmatch(r"\d+ cues, at most \d+\.\d characters a second \(at 00:01:05\)", form.summary())
