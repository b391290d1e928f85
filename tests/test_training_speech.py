"""How the starter speech model is made: what it hears and writes; and the one that ships, through faster-whisper."""

from __future__ import annotations

import collections
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import STARTER
from training.speech import features, judge, noises, phones, sentences, synth, tokens, voices
from training.speech.voices import Voice

SPEECH = Path(STARTER) / "speech"
PLAIN = Voice("en-us", 150, 50, 50, 0)
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng, which speaks")


@pytest.fixture(scope="module")
def espeak() -> synth.Espeak:
    return synth.speaker()


@pytest.fixture(scope="module")
def model() -> judge.Judge:
    return judge.Judge(SPEECH, seed=0)


# What is said


@needs_espeak
def test_no_two_words_of_the_lexicon_sound_the_same_unless_grammar_decides(espeak: synth.Espeak) -> None:
    for accent in ("en-us", "en-gb"):
        alike = collections.defaultdict(set)
        for word in sentences.lexicon():
            utterance = espeak.say(f"{word}.", Voice(accent, 150, 50, 50, 0))
            alike[" ".join(phone.symbol for phone in utterance.phones if phone.symbol)].add(word)
        assert len(alike) > 500
        for sound, words in alike.items():
            assert len(words - sentences.BY_GRAMMAR) <= 1, (accent, sound, words)


def test_no_two_sentences_sound_the_same() -> None:
    twins = {"to": "two", "for": "four", "know": "no", "here": "hear", "seen": "scene"}
    rng = random.Random(1)
    known: dict[str, str] = {}
    for _ in range(20_000):
        text = sentences.say(rng)
        sound = " ".join(twins.get(word, word) for word in sentences.words_of(text))
        assert known.setdefault(sound, sentences.plain(text)) == sentences.plain(text)


def test_sentences_are_written_with_capitals_and_three_marks_only() -> None:
    rng = random.Random(2)
    for _ in range(2000):
        text = sentences.to_train_on(rng)
        assert re.fullmatch(r"([A-Z][a-z']*|[a-z']+)[,.?]?( ([A-Z][a-z']*|[a-z']+)[,.?]?)*", text), text
        assert text[0].isupper() and text[-1] in ".?", text
        assert set(sentences.words_of(text)) <= set(sentences.lexicon()), text


def test_held_out_sentences_are_never_trained_on_and_only_they_are_measured_with() -> None:
    rng = random.Random(3)
    trained = {sentences.plain(sentences.to_train_on(rng)) for _ in range(5000)}
    measured = {sentences.plain(sentences.to_measure_with(rng)) for _ in range(500)}
    assert not trained & measured
    assert not any(sentences.is_held_out(text) for text in trained)
    assert all(sentences.is_held_out(text) for text in measured)
    everyday = [*sentences.COMMANDS, *sentences.ANSWERS]
    assert not any(map(sentences.is_held_out, everyday)), "what everyone says must be trained on"
    of_three_words = [text for text in (sentences.say(rng) for _ in range(3000)) if len(sentences.words_of(text)) > 2]
    assert 0.05 < sum(map(sentences.is_held_out, of_three_words)) / len(of_three_words) < 0.2


def test_held_out_decides_by_words_alone() -> None:
    text = sentences.to_measure_with(random.Random(0))
    assert sentences.is_held_out(text.lower()) and sentences.is_held_out(text.upper().strip(".?"))


def test_voices_to_measure_with_are_no_voices_to_train_with() -> None:
    rng = random.Random(4)
    trained = {voices.seen(rng).name for _ in range(4000)} | {voices.invented(rng).name for _ in range(2000)}
    unseen = {voices.unseen(rng).name for _ in range(1000)}
    assert not trained & unseen
    variants = {name.partition("+")[2] for name in trained}
    for name in unseen:
        accent, _, variant = name.partition("+")
        assert variant not in variants or accent == voices.HELD_ACCENT, name


# How it is said


@needs_espeak
def test_every_word_has_its_time_even_where_espeak_says_two_as_one(espeak: synth.Espeak) -> None:
    utterance = espeak.say("The shape is in the middle, I think.", PLAIN)
    spans: dict[int, list[synth.Phone]] = collections.defaultdict(list)
    for phone in utterance.phones:
        if phone.word >= 0:
            spans[phone.word].append(phone)
    assert sorted(spans) == list(range(8))
    order = [(part[0].start, part[-1].end) for _, part in sorted(spans.items())]
    assert order == sorted(order) and all(start < end for start, end in order)
    assert order[-1][1] <= len(utterance.samples)


@needs_espeak
def test_an_invented_voice_is_another_and_always_the_same(espeak: synth.Espeak) -> None:
    plain = espeak.say("Count the stars.", PLAIN)
    invented = espeak.say("Count the stars.", Voice("en-us+starter7", 150, 50, 50, 0))
    difference = features.log_power(plain.samples)[:100] - features.log_power(invented.samples)[:100]
    assert np.abs(difference).mean() > 0.1
    assert voices.variant_file("starter7") == voices.variant_file("starter7") != voices.variant_file("starter8")


def test_features_equal_faster_whispers() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    samples = noises.noise(np.random.default_rng(0), 20_000) * 0.1
    theirs = FeatureExtractor()(samples)[:, :-1]  # (80, frames)
    ours = features.normalised(features.log_power(samples)).T
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).max() < 1e-4


@needs_espeak
def test_a_corpus_holds_no_held_out_sentence_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    from training.speech import corpus

    corpus.build(tmp_path, seed=5, shards=1, size=12)
    before = (tmp_path / "000.mel.npy").read_bytes()
    corpus.build(tmp_path, seed=5, shards=2, size=12)
    assert (tmp_path / "000.mel.npy").read_bytes() == before
    made = corpus.Corpus(tmp_path)
    assert len(made) == 24
    assert not any(sentences.is_held_out(text) for text in made.texts)
    names = {name for path in tmp_path.glob("*.json") for name in json.loads(path.read_text())["voices"]}
    assert not {name.partition("+")[2] for name in names} & set(voices.HELD_VARIANTS)
    for i in range(24):
        clip = made.clip(i)
        said = set(clip.labels[:, 1].tolist()) - {corpus.NO_WORD}
        assert said <= set(range(len(sentences.words_of(clip.text))))
        assert clip.labels[:, 0].max() < phones.COUNT and len(clip.power) == len(clip.labels)


# How it is written


def test_every_word_is_one_token_and_any_text_comes_back() -> None:
    known = tokens.tokens()
    for word in sentences.lexicon():
        assert len(known.encode(word)) == len(tokens.pieces(word)), word
    rng = random.Random(6)
    for text in [*(sentences.say(rng) for _ in range(1000)), "Zebra, quick – ünïcode 42 ♪", "-", "'"]:
        assert known.decode(known.encode(text)) == text


def test_ids_stand_in_whispers_order() -> None:
    known = tokens.tokens()
    order = [known.end, known.start, known.english, known.previous, known.nothing, known.no_timestamps]
    assert order == sorted(order) and known.first_timestamp == known.no_timestamps + 1
    texts = known.vocabulary()
    assert len(texts) == len(set(texts)) == known.count
    assert texts[known.first_timestamp] == "<|0.00|>" and texts[-1] == "<|10.00|>"
    assert texts[known.timestamp(2.5)] == "<|2.50|>"


def test_a_capital_word_is_its_small_one_and_a_capital() -> None:
    known = tokens.tokens()
    pairs = dict(known.capitals())
    assert pairs[known.encode("What")[0]] == known.encode("what")[0]
    assert len(pairs) > 0.9 * len(sentences.lexicon())


def test_punctuation_belongs_to_the_word_before() -> None:
    assert tokens.tokens().places("What's this, please?") == [0, 0, 1, 1, 2, 2]


# What is computed (with torch only: `uv sync --group training`)


def small_model() -> object:
    torch = pytest.importorskip("torch", reason="training needs torch: uv sync --group training")
    from training.speech import train
    from training.speech.config import Config

    torch.manual_seed(0)
    made = train.make_model(Config(width=64, heads=2, ff=128, encoder_layers=2, decoder_layers=2, phone_layer=1)).eval()
    for parameter in made.parameters():
        if parameter.dim() == 2 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)  # what starts at zero would hide a mistake
    return made


def test_the_short_training_graph_equals_the_3000_frame_graph() -> None:
    made = small_model()
    import torch

    from training.speech.config import FRAMES, POSITIONS, WINDOW

    mel = torch.zeros(1, FRAMES, 80)
    mel[:, :300] = torch.randn(1, 300, 80)
    with torch.no_grad():
        whole = made.encoder.whole(mel)  # type: ignore[attr-defined]
        short, _, bias = made.encoder(mel[:, :320], torch.arange(160, WINDOW))  # type: ignore[attr-defined]
        ids = torch.tensor([[5, 6, 7, 8]])
        said, _ = made.decoder(ids, short, bias)  # type: ignore[attr-defined]
        meant, _ = made.decoder(ids, whole, torch.zeros(POSITIONS))  # type: ignore[attr-defined]
    assert whole.abs().max() > 1
    assert (whole[:, :160] - short[:, :160]).abs().max() < 1e-4
    assert (said - meant).abs().max() < 1e-4


def test_an_export_loads_in_the_unmodified_faster_whisper_and_computes_the_same(tmp_path: Path) -> None:
    made = small_model()
    import ctranslate2
    import torch
    from faster_whisper import WhisperModel

    from training.speech import export
    from training.speech.config import FRAMES

    export.export(made, tmp_path / "float32", "float32")  # type: ignore[arg-type]
    mel = torch.zeros(1, FRAMES, 80)
    mel[:, :300] = torch.randn(1, 300, 80)
    loaded = ctranslate2.models.Whisper(str(tmp_path / "float32"), compute_type="float32")
    seen = np.array(loaded.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.mT.numpy()))))
    with torch.no_grad():
        assert np.abs(seen - made.encoder.whole(mel).numpy()).max() < 1e-3  # type: ignore[attr-defined]

    export.export(made, tmp_path / "int8", "int8_float16")  # type: ignore[arg-type]
    whisper = WhisperModel(str(tmp_path / "int8"), device="cpu", compute_type="int8", local_files_only=True)
    segments, info = whisper.transcribe(np.zeros(16_000, np.float32), temperature=0.0, max_new_tokens=4)
    assert info.language == "en" and isinstance([segment.text for segment in segments], list)


# How it is measured


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "", 3), ("a b c", "a x c", 1), ("a b", "a b c d", 2), ("a b c d", "b c d", 1)],
)
def test_word_errors_are_counted(said: str, heard: str, errors: int) -> None:
    assert judge.distance(said.split(), heard.split()) == errors


# The model that ships


def test_the_starter_folder_stays_small_and_whole() -> None:
    names = {path.name for path in SPEECH.iterdir()}
    assert names == {"model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json"}
    assert sum(path.stat().st_size for path in SPEECH.iterdir()) < 5_000_000
    assert sum(path.stat().st_size for path in Path(STARTER).rglob("*") if path.is_file()) < 16_000_000


def test_its_words_are_those_of_the_lexicon() -> None:
    known = json.loads((SPEECH / "vocabulary.json").read_text("utf-8"))
    assert known == tokens.tokens().vocabulary()


def test_what_is_never_heard_is_one_key_to_it() -> None:
    """The positions after its window are equal in every layer, which training relies on."""
    import ctranslate2

    whisper = ctranslate2.models.Whisper(str(SPEECH), compute_type="int8")
    mel = np.zeros((1, features.MELS, 3000), np.float32)
    mel[:, :, :300] = np.random.default_rng(0).standard_normal((features.MELS, 300))
    seen = np.array(whisper.encode(ctranslate2.StorageView.from_array(mel)))[0]  # (1500, width)
    assert np.abs(seen[501:] - seen[501]).max() < 1e-3 < np.abs(seen[:150] - seen[501]).max()


def test_silence_and_noise_give_nothing(model: judge.Judge) -> None:
    heard = [(name, model.hear(samples)) for name, samples in judge.silences(seed=1)]
    assert [pair for pair in heard if pair[1]] == []


@needs_espeak
@pytest.mark.parametrize("accent", ["en-us", "en-gb"])
def test_it_hears_commands_and_questions_in_a_plain_voice(
    model: judge.Judge, espeak: synth.Espeak, accent: str
) -> None:
    said = (
        "Stop.", "Yes.", "No.", "Thank you.", "Goodbye.", "Look at the screen.", "Describe it again.",
        "What is in the picture?", "How many circles are there?", "What color is the square?", "Is there a red star?",
        "Where is the blue triangle?", "Count the green stars.", "What shape is it?",
    )  # fmt: skip
    rng = random.Random(7)
    voice = Voice(accent, 150, 50, 50, 0)
    heard = [model.hear(judge.clip(rng, espeak, text, voice)) for text in said]
    assert heard == list(said)


@needs_espeak
def test_it_hears_new_sentences_in_voices_it_knows(model: judge.Judge, espeak: synth.Espeak) -> None:
    tally = model.measure(espeak, "test", 40, sentences.to_measure_with, voices.seen)
    assert tally.rate < 0.08, tally.wrong
