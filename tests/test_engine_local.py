"""The engine on the real llama.cpp, with the starter model and with random weights of LLaVA's shape."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from mmcli import engine
from mmcli.engine import Answer, Message, Sampling
from mmcli.engine.local import bindings
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import ModelError, ResourceError
from mmcli.media.types import Audio, Image, Receipt, Text
from tests import random_llava
from tests.engines import STARTER, answer, picture, user


def outlook(running: LocalEngine, *messages: Message) -> np.ndarray:
    """The logits of the answer's first token, (n_vocab,): what the model thinks after all it has read."""
    answer(running, *messages, sampling=Sampling(temperature=0, max_tokens=1))
    llama, _ = bindings.native()
    n_vocab = llama.llama_vocab_n_tokens(running._weights.vocab)
    return np.ctypeslib.as_array(llama.llama_get_logits_ith(running._cache.context.handle, -1), (n_vocab,)).copy()


def unlike(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference between two sets of logits, in standard deviations.

    The same cells computed in batches of another size differ by some hundredths; another picture by far more.
    """
    return float(np.abs(a - b).max() / a.std())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("models"), "tiny")


@pytest.fixture
def running(tiny: tuple[Path, Path]) -> Iterator[LocalEngine]:
    with engine.load(*tiny, Options(media_newline=True)) as loaded:
        yield loaded


@pytest.fixture
def starter() -> Iterator[LocalEngine]:
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf", Options(media_newline=True)) as loaded:
        yield loaded


# ── what was asked ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_starter_sees_what_is_there(starter: LocalEngine) -> None:
    said = answer(starter, user(picture("red", "blue"), "What do you see?"), sampling=Sampling(temperature=0))
    assert said.text.index("red circle") < said.text.index("blue circle")
    assert said.finish_reason == "stop"


def test_an_answer_carries_its_proof(starter: LocalEngine) -> None:
    red = picture("red")
    said = answer(starter, user(red, "What do you see?"), sampling=Sampling(temperature=0, seed=7))
    (seen,) = said.seen
    assert (seen.receipt, seen.media_id, seen.n_tokens, seen.origin) == (red.receipt, red.id, 64, "encoded")
    assert said.usage.n_encodes == 1
    assert said.usage.prompt_tokens > 64 and said.usage.completion_tokens > 0
    assert said.n_past == said.usage.prompt_tokens + said.usage.completion_tokens
    assert said.seed == 7 and said.weights and said.projector and said.device == "CPU"


def test_text_alone_needs_no_projector(tiny: tuple[Path, Path]) -> None:
    with engine.load(tiny[0]) as loaded:
        assert answer(loaded, user("Hello")).usage.completion_tokens == 24


def test_a_picture_without_a_projector_is_refused(tiny: tuple[Path, Path]) -> None:
    with engine.load(tiny[0]) as loaded, pytest.raises(ModelError, match="neither see nor hear"):
        answer(loaded, user(picture("red"), "What?"))


def test_a_sound_for_a_model_that_only_sees_is_refused(running: LocalEngine) -> None:
    sound = Audio(np.zeros(16_000, np.float32), 16_000, "id", Receipt("a.wav", "audio", "", 1, "wav"))
    with pytest.raises(ModelError, match="cannot hear"):
        answer(running, user(sound, "What?"))


def test_what_a_person_writes_never_becomes_a_control_token(starter: LocalEngine) -> None:
    assert starter._weights.has_control("so</s> it") and not starter._weights.has_control("<b>so</b> it")
    said = answer(starter, user(picture("red"), "What do you see?</s>"), sampling=Sampling(temperature=0, max_tokens=8))
    end = starter._weights.tokenize("</s>", add_special=False)
    assert len(end) == 1 and end[0] not in starter._cache.cells[: said.usage.prompt_tokens]


def test_a_text_has_its_receipt_among_the_others(running: LocalEngine) -> None:
    note = Text("words " * 9, "a.txt", "a.txt: " + "words " * 9, Receipt("a.txt", "text", "ab" * 32, 54, "text/plain"))
    said = answer(running, user(picture("red"), note, "What?"))
    assert [seen.origin for seen in said.seen] == ["encoded", "text"]
    assert said.seen[1].n_tokens > 9 and said.seen[1].receipt.source == "a.txt"


def test_the_projector_of_another_model_is_refused(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    _, other = random_llava.write(tmp_path, "other", random_llava.Shape(width=128))
    with engine.load(tiny[0], other) as loaded, pytest.raises(ModelError, match="cannot load the projector"):
        answer(loaded, user(picture("red"), "What?"))


def test_damaged_weights_are_refused(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(tiny[0].read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cannot load the weights"):
        engine.load(damaged)


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_max_tokens_ends_with_length(running: LocalEngine) -> None:
    said = answer(running, user("Hi"), sampling=Sampling(temperature=0, max_tokens=3))
    assert (said.finish_reason, said.usage.completion_tokens) == ("length", 3)


def test_a_full_context_ends_with_length(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny, Options(n_ctx=256)) as loaded:
        said = answer(loaded, user("Hi"), sampling=Sampling(temperature=0, max_tokens=1000, loop_guard=False))
    assert said.finish_reason == "length"
    assert said.n_past == said.n_ctx == 256


def test_a_prompt_that_cannot_fit_is_told_with_the_numbers(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny, Options(n_ctx=256)) as loaded, pytest.raises(ResourceError, match=r"\d{3,} tokens.*256"):
        answer(loaded, user("word " * 500))


def test_degenerate_output_is_stopped_as_a_loop(running: LocalEngine) -> None:
    said = answer(running, user("Hi"), sampling=Sampling(temperature=0, max_tokens=2000))
    assert said.finish_reason == "loop"
    assert said.usage.completion_tokens < 1500


def test_a_stop_string_ends_the_answer(running: LocalEngine) -> None:
    whole = answer(running, user("Hi"))
    word = whole.text.split()[2]
    cut = answer(running, user("Hi"), sampling=Sampling(temperature=0, repeat_penalty=1.3, max_tokens=24, stop=(word,)))
    assert cut.text == whole.text[: whole.text.index(word)]
    assert cut.finish_reason == "stop"


def test_stop_keeps_what_was_said(running: LocalEngine) -> None:
    texts = []
    for piece in running.generate([user("Hi")], Sampling(temperature=0, max_tokens=500, loop_guard=False)):
        texts.append(piece.text)
        if len(texts) == 5:
            running.stop()
    assert piece.answer is not None and piece.answer.finish_reason == "interrupted"
    assert piece.answer.text == "".join(texts)
    assert answer(running, user("Hi")).finish_reason == "length"  # the next answer is not interrupted


def test_the_same_seed_gives_the_same_answer(running: LocalEngine) -> None:
    def said(seed: int) -> str:
        return answer(running, user("Hi"), sampling=Sampling(temperature=1.5, top_k=0, max_tokens=20, seed=seed)).text

    assert said(1) == said(1) != said(2)


# ── the KV cache in memory ────────────────────────────────────────────────────────────────────────────────────────


def test_second_question_does_not_encode_the_image_again(running: LocalEngine) -> None:
    red = picture("red")
    first = answer(running, user(red, "What?"))
    second = answer(running, user(red, "What?"), Message("assistant", (first.text,)), user("Where?"))
    assert second.usage.n_encodes == 0 and running.n_encodes == 1
    assert second.seen[0].origin == "memory"
    other_question = answer(running, user(red, "How many?"))
    assert other_question.usage.n_encodes == 0


def test_another_picture_in_the_same_place_is_encoded(running: LocalEngine) -> None:
    red, blue = picture("red"), picture("blue")
    first = answer(running, user(red, "What?"))
    second = answer(running, user(blue, "What?"))
    assert second.usage.n_encodes == 1 and second.seen[0].origin == "encoded"
    assert first.text != second.text


def test_only_the_picture_that_changed_is_encoded(running: LocalEngine) -> None:
    red, blue, green = picture("red"), picture("blue"), picture("green")
    answer(running, user(red, blue, "What?"))
    said = answer(running, user(red, green, "What?"))
    assert [seen.origin for seen in said.seen] == ["memory", "encoded"]


@pytest.mark.parametrize("question", ["What?", "How many circles do you see in this picture?"])
def test_reuse_changes_no_thought(tiny: tuple[Path, Path], running: LocalEngine, question: str) -> None:
    answer(running, user(picture("red"), "Something else entirely"))
    reused = outlook(running, user(picture("red"), question))
    with engine.load(*tiny, Options(media_newline=True)) as fresh:
        assert unlike(outlook(fresh, user(picture("red"), question)), reused) < 0.1
        assert unlike(outlook(fresh, user(picture("blue"), question)), reused) > 0.3


def test_a_growing_talk_moves_to_a_larger_context_without_encoding_again(running: LocalEngine) -> None:
    red = picture("red")
    first = answer(running, user(red, "What?"))
    longer = [user(red, "What?"), Message("assistant", (first.text,)), user("word " * 400)]
    second = answer(running, *longer)
    assert second.n_ctx > first.n_ctx
    assert second.usage.n_encodes == 0


# ── the KV cache on disk ──────────────────────────────────────────────────────────────────────────────────────────


def stored(tiny: tuple[Path, Path], folder: Path, *parts: str | Image, **options: object) -> Answer:
    """One question in an engine of its own that stores every prefix in `folder`."""
    settings = Options(media_newline=True, cache=folder, worth_saving=0.0, **options)  # type: ignore[arg-type]
    with engine.load(*tiny, settings) as loaded:
        return answer(loaded, user(*parts))


def test_the_next_process_neither_encodes_nor_loads_the_projector(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    red = picture("red")
    first = stored(tiny, tmp_path, red, "What?")
    again = stored(tiny, tmp_path, red, "What?")
    other = stored(tiny, tmp_path, red, "How many?")
    assert [said.seen[0].origin for said in (first, again, other)] == ["encoded", "disk", "disk"]
    assert [said.usage.n_encodes for said in (first, again, other)] == [1, 0, 0]
    assert first.text == again.text
    assert first.usage.prompt_tokens == again.usage.prompt_tokens
    assert "tokenize" not in again.usage.seconds  # libmtmd was not asked at all


def test_the_disk_cache_changes_no_word(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    parts = (picture("red"), picture("blue", "green"), "What is different between the two?")
    with engine.load(*tiny, Options(media_newline=True)) as loaded:
        without = answer(loaded, user(*parts))
    stored(tiny, tmp_path, *parts[:2], "Something else")
    with_cache = stored(tiny, tmp_path, *parts)
    assert [seen.origin for seen in with_cache.seen] == ["disk", "disk"]
    assert with_cache.text == without.text


@pytest.mark.parametrize("what", ["picture", "system", "detail", "weights"])
def test_whatever_changes_the_cells_is_computed_anew(tiny: tuple[Path, Path], tmp_path: Path, what: str) -> None:
    stored(tiny, tmp_path / "kv", picture("red"), "What?")
    files, settings = tiny, Options(media_newline=True, cache=tmp_path / "kv", worth_saving=0.0)
    messages = [user(picture("red"), "What?")]
    if what == "picture":
        messages = [user(picture("blue"), "What?")]
    elif what == "system":
        messages.insert(0, Message("system", ("Be brief.",)))
    elif what == "detail":
        settings = Options(media_newline=True, cache=tmp_path / "kv", worth_saving=0.0, detail="high")
    else:
        files = random_llava.write(tmp_path, "tiny", seed=5)
    with engine.load(*files, settings) as loaded:
        assert answer(loaded, *messages).usage.n_encodes == 1


def test_a_damaged_file_costs_time_but_no_answer(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    first = stored(tiny, tmp_path, picture("red"), "What?")
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    again = stored(tiny, tmp_path, picture("red"), "What?")
    assert again.seen[0].origin == "encoded" and again.text == first.text


def test_a_state_that_llama_cpp_refuses_is_removed_and_computed_again(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    """As after a change inside llama.cpp that our key does not know of."""
    from mmcli.engine.local import kv_cells

    first = stored(tiny, tmp_path, picture("red"), "What?")
    (path,) = tmp_path.iterdir()
    store, key = kv_cells.PrefixStore(tmp_path, 1 << 30), path.stem
    record = store.load(key)
    assert record is not None
    store.save(key, kv_cells.PrefixRecord(record.cells, record.suffix, bytearray(os.urandom(64))))
    again = stored(tiny, tmp_path, picture("red"), "What?")
    assert again.seen[0].origin == "encoded" and again.text == first.text


def test_a_record_that_fails_is_removed_and_computed_again(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    """Whole, and written under the right name, but its cells are not those that its state holds."""
    from dataclasses import replace

    from mmcli.engine.local import kv_cells

    first = stored(tiny, tmp_path, picture("red"), "What?")
    (path,) = tmp_path.iterdir()
    store, key = kv_cells.PrefixStore(tmp_path, 1 << 30), path.stem
    record = store.load(key)
    assert record is not None
    *text, medium = record.cells
    assert isinstance(medium, kv_cells.MediaCells)
    wrong = (*text, replace(medium, n_pos=medium.n_pos - 3))
    store.save(key, kv_cells.PrefixRecord(wrong, record.suffix, record.state))
    damaged = path.read_bytes()
    again = stored(tiny, tmp_path, picture("red"), "What?")
    assert again.seen[0].origin == "encoded" and again.text == first.text
    assert again.usage.prompt_tokens == first.usage.prompt_tokens
    assert path.read_bytes() != damaged


def test_a_disk_that_refuses_is_a_notice_and_no_failure(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "kv").write_text("in the way")
    notices: list[str] = []
    stored_in = Options(media_newline=True, cache=tmp_path / "kv", worth_saving=0.0, on_notice=notices.append)
    with engine.load(*tiny, stored_in) as loaded:
        assert answer(loaded, user(picture("red"), "What?")).text
    assert len(notices) == 1 and "cannot keep" in notices[0]


def test_what_was_quick_to_compute_is_not_stored(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    with engine.load(*tiny, Options(cache=tmp_path / "kv", worth_saving=60.0)) as loaded:
        answer(loaded, user(picture("red"), "What?"))
    assert not (tmp_path / "kv").exists()


# ── other kinds of model ──────────────────────────────────────────────────────────────────────────────────────────


def sound(frequency: float) -> Audio:
    samples = np.sin(np.arange(3 * 16_000) * frequency).astype(np.float32)
    media_id = hashlib.sha256(samples.tobytes()).hexdigest()
    return Audio(samples, 16_000, media_id, Receipt("tone.wav", "audio", media_id, samples.nbytes, "wav", seconds=3.0))


def test_under_mrope_a_picture_takes_more_cells_than_positions_and_the_disk_keeps_both(tmp_path: Path) -> None:
    files = random_llava.write_mrope(tmp_path)
    wide = picture("red", "blue", "green")
    with engine.load(*files, Options(media_newline=True)) as loaded:
        plain = answer(loaded, user(wide, "What?"))
        # Not its own words: those are reused as the tokens they were, which a new process cannot know.
        talk = [user(wide, "What?"), Message("assistant", ("In the middle.",)), user("Where?")]
        reused = outlook(loaded, *talk)
        assert loaded.n_encodes == 1
    assert plain.seen[0].n_tokens > plain.seen[0].n_pos > 0
    first, again = (stored(files, tmp_path / "kv", wide, "What?") for _ in range(2))
    assert (first.text, again.text) == (plain.text, plain.text)
    assert again.seen[0].origin == "disk" and again.seen[0].n_pos == plain.seen[0].n_pos
    with engine.load(*files, Options(media_newline=True)) as fresh:
        assert unlike(outlook(fresh, *talk), reused) < 0.1


def test_a_model_that_hears_hears(tmp_path: Path) -> None:
    files = random_llava.write_hearing(tmp_path)
    with engine.load(*files, Options(media_newline=True)) as loaded:
        low, high = (answer(loaded, user(sound(f), "What do you hear?")) for f in (0.05, 0.5))
    assert low.seen[0].n_tokens == high.seen[0].n_tokens > 0
    assert high.usage.n_encodes >= 1 and high.seen[0].origin == "encoded"
    stored(files, tmp_path / "kv", sound(0.05), "What do you hear?")
    assert stored(files, tmp_path / "kv", sound(0.05), "What do you hear?").text == low.text


def test_a_picture_for_a_model_that_only_hears_is_refused(tmp_path: Path) -> None:
    files = random_llava.write_hearing(tmp_path)
    with engine.load(*files, Options(media_newline=True)) as loaded, pytest.raises(ModelError, match="cannot see"):
        answer(loaded, user(picture("red"), "What?"))


def test_a_recurrent_model_that_cannot_roll_back_starts_over_and_says_the_same(tmp_path: Path) -> None:
    files = random_llava.write_recurrent(tmp_path)
    red = picture("red")
    with engine.load(*files, Options(media_newline=True)) as loaded:
        first = answer(loaded, user(red, "What?"))
        other = answer(loaded, user(red, "How many?"))
        one_word = answer(loaded, user(red, "Which?"), sampling=Sampling(temperature=0, max_tokens=1))
        follow_up = answer(loaded, user(red, "Which?"), Message("assistant", (one_word.text,)), user("Where?"))
    assert other.usage.reused_tokens == 0  # it refused: all was computed again
    assert follow_up.usage.reused_tokens == one_word.n_past  # going on needs no rolling back
    with engine.load(*files, Options(media_newline=True)) as fresh:
        assert answer(fresh, user(red, "How many?")).text == other.text
    kept = [stored(files, tmp_path / "kv", red, question) for question in ("What?", "How many?")]
    assert [said.text for said in kept] == [first.text, other.text]
    assert kept[1].seen[0].origin == "disk"


# ── the same words as llama.cpp's own program ─────────────────────────────────────────────────────────────────────


def reference(files: tuple[Path, Path], shown: Image, prompt: str) -> list[int]:
    """24 greedy tokens by libmtmd's own one-call helpers, with one thread and the marker in the prompt."""
    llama, mt = bindings.native()
    with ExitStack() as close:
        params = llama.llama_model_default_params()
        model = llama.llama_model_load_from_file(str(files[0]).encode(), params)
        close.callback(llama.llama_model_free, model)
        settings = llama.llama_context_default_params()
        settings.n_ctx, settings.n_threads, settings.n_threads_batch = 2048, 1, 1
        context = llama.llama_init_from_model(model, settings)
        close.callback(llama.llama_free, context)
        projector = mt.mtmd_init_from_file(str(files[1]).encode(), model, mt.mtmd_context_params_default())
        close.callback(mt.mtmd_free, projector)
        pixels = shown.pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        bitmap = mt.mtmd_bitmap_init(shown.pixels.shape[1], shown.pixels.shape[0], pixels)
        close.callback(mt.mtmd_bitmap_free, bitmap)
        chunks = mt.mtmd_input_chunks_init()
        close.callback(mt.mtmd_input_chunks_free, chunks)
        text = mt.mtmd_input_text(text=prompt.encode(), text_len=len(prompt), add_special=True, parse_special=True)
        assert mt.mtmd_tokenize(projector, chunks, ctypes.byref(text), (ctypes.c_void_p * 1)(bitmap), 1) == 0
        n_past = llama.llama_pos(0)
        assert mt.mtmd_helper_eval_chunks(projector, context, chunks, 0, 0, 512, True, ctypes.byref(n_past)) == 0
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        close.callback(llama.llama_sampler_free, chain)
        vocab = llama.llama_model_get_vocab(model)
        penalties = llama.llama_sampler_init_penalties(llama.llama_vocab_n_tokens(vocab), 64, 1.3, 0.0, 0.0)
        llama.llama_sampler_chain_add(chain, penalties)
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_greedy())
        tokens = []
        batch = llama.llama_batch_init(1, 0, 1)
        close.callback(llama.llama_batch_free, batch)
        while len(tokens) < 24:
            tokens.append(llama.llama_sampler_sample(chain, context, -1))
            batch.n_tokens, batch.token[0], batch.pos[0], batch.logits[0] = 1, tokens[-1], n_past.value, True
            batch.n_seq_id[0], batch.seq_id[0][0] = 1, 0
            assert llama.llama_decode(context, batch) == 0
            n_past.value += 1
        return tokens


@pytest.mark.parametrize("kind", ["tiny", "mrope"])
def test_greedy_tokens_equal_those_of_libmtmds_own_helpers(kind: str, tmp_path: Path) -> None:
    files = random_llava.write_mrope(tmp_path) if kind == "mrope" else random_llava.write(tmp_path, "tiny")
    shown = picture("red", "blue")
    with engine.load(*files, Options(media_newline=True, threads=1)) as loaded:
        ours = answer(loaded, user(shown, "What do you see?"))
        theirs = reference(files, shown, "USER: <__media__>\nWhat do you see? ASSISTANT:")
        pieces = b"".join(loaded._weights.piece(token) for token in theirs).decode("utf-8", "replace")
    assert ours.text.strip() == pieces.strip()
    assert len(set(theirs)) > 12


PEERS = os.environ.get("MMCLI_PEERS", "")
CLI = shutil.which("llama-mtmd-cli", path=PEERS or None)


def cli_answer(weights: Path, projector: Path, image: Path, question: str, *options: str) -> str:
    """What llama-mtmd-cli says; the longest of several runs, since it now and then loses the end of its answer."""
    assert CLI is not None
    command = [CLI, "-m", weights, "--mmproj", projector, "--image", image, "-p", f"<__media__>\n{question}"]
    command += ["--temp", "0", "-n", "24", "-t", "2", "--jinja", *options]
    runs = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(5)]
    return max(runs, key=len).decode("utf-8", "replace").strip()


@pytest.mark.skipif(CLI is None, reason="needs llama-mtmd-cli in MMCLI_PEERS: see tests/peers/README.md")
@pytest.mark.parametrize("preset", ["tiny", "slow", "mrope", "starter"])
def test_greedy_words_equal_those_of_llama_mtmd_cli(preset: str, tmp_path: Path) -> None:
    shown = picture("red", "blue")
    Pillow.fromarray(shown.pixels).save(tmp_path / "shown.png")
    if preset == "starter":
        files, penalty = (STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf"), 1.0
    elif preset == "mrope":
        files, penalty = random_llava.write_mrope(tmp_path), 1.3
    else:
        files, penalty = random_llava.write(tmp_path, preset), 1.3
    sampling = Sampling(temperature=0, repeat_penalty=penalty, max_tokens=24)
    with engine.load(*files, Options(media_newline=True)) as loaded:
        ours = answer(loaded, user(shown, "What do you see?"), sampling=sampling).text
    theirs = cli_answer(*files, tmp_path / "shown.png", "What do you see?", "--repeat-penalty", str(penalty))
    assert ours.strip() == theirs.replace("<s>", "")  # it prints control tokens, we do not
    assert len(set(ours.split())) > 3
