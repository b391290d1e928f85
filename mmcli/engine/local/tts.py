"""Text -> speech, with a model that libmtmd generates sound with (Qwen3-TTS, Pocket TTS). Knows no loudspeakers.

The backbone is an ordinary language model whose tokens, or hidden states, are frames of sound, 12.5 a second; the
projector turns them into samples. libmtmd's helper (`mtmd_helper_gen_audio_*`) drives both; here is its loop, as
llama.cpp's own program in tools/tts has it, with the samples taken out while they are made.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmcli.engine import hardware
from mmcli.engine.local.bindings import can_offload, log, native
from mmcli.engine.local.context import Context, Sampler
from mmcli.engine.local.cpu_affinity import placement
from mmcli.engine.local.mtmd import ALL_LAYERS, Projector, Weights, bitmaps_of
from mmcli.errors import ModelError, ResourceError

if TYPE_CHECKING:
    from mmcli.media.types import Audio

N_CTX = 1536  # tokens: a reference voice of 30 s is 375, a long sentence 200, its sound 750
N_BATCH = 256
FRAME_RATE = 12.5  # frames a second, of both kinds
MOST_SECONDS = 60.0  # no sentence takes longer, but a model that finds no end would
QWEN, POCKET = 1, 2  # mtmd_gen_audio_type
# Frames after which libmtmd has turned all there is into samples by itself; asked in between, Qwen's decoder, which
# always takes 72 at once, would fill up with silence.
WINDOW = {QWEN: 72, POCKET: 8}
NO_TOKEN = -1
VOICE_RATE = 24_000  # Hz, what both kinds want the reference voice in
# Codes -> Qwen's own; Pocket TTS speaks one language, that of its weights.
LANGUAGES = {code: code for code in "zh en de it pt es ja ko fr ru".split()} | {"cmn": "zh", "yue": "zh"}
SAMPLING: dict[str, Any] = {
    "temperature": 0.9,
    "top_k": 50,
    "top_p": 1.0,
    "min_p": 0.0,
    "repeat_penalty": 1.05,
}  # Qwen's


class Talker:
    """A model that speaks, loaded: one sentence at a time, and from one thread."""

    def __init__(
        self,
        weights: Path,
        projector: Path | None,
        *,
        name: str | None = None,
        voice: Audio | None = None,
        language_of: Callable[[str], str] | None = None,
        seed: int | None = None,
        threads: int | None = None,
        gpu_layers: int | None = None,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        """`voice` is somebody speaking, at `VOICE_RATE` Hz, whose voice it takes; `language_of` tells a sentence's
        language: one of LANGUAGES, else English is spoken.

        ModelError where the model cannot speak. With the same seed the same sentences, in the same order, sound alike.
        """
        self.name = name or weights.name
        if projector is None:
            raise ModelError(f"`{self.name}` has no projector, so it cannot speak", hint="--mmproj FILE")
        llama, mtmd = native()
        self._llama, self._mtmd = llama, mtmd
        offload = can_offload() and gpu_layers != 0
        self._threads = threads = threads or hardware.cores()
        with contextlib.ExitStack() as stack:
            self._weights = Weights(weights, gpu_layers=ALL_LAYERS if offload else 0, on_progress=lambda done, n: True)
            stack.callback(self._weights.close)
            encoder = Projector(
                projector, self._weights, threads=threads, use_gpu=offload, min_tokens=-1, max_tokens=-1
            )
            stack.callback(encoder.close)
            info = mtmd.mtmd_gen_audio_get_info(encoder.handle)
            if info.type not in WINDOW:
                raise ModelError(f"`{self.name}` cannot speak", hint="`mmcli models` shows which models can")
            self._kind: int = info.type
            self.sample_rate: int = info.sample_rate
            self._context = Context(
                self._weights, n_ctx=N_CTX, n_ubatch=N_BATCH, threads=threads, offload=offload, embeddings=True
            )
            stack.callback(self._context.close)
            self._handle = mtmd.mtmd_helper_gen_audio_init(self._context.handle, encoder.handle)
            stack.callback(mtmd.mtmd_helper_gen_audio_free, self._handle)
            bitmaps = stack.enter_context(bitmaps_of([voice] if voice is not None else []))
            self._voice = [bitmap for one in bitmaps for bitmap in one]
            self._language_of = language_of or (lambda text: "en")
            self._seed = random.randrange(2**31) if seed is None else seed
            self._most_frames = round(most_seconds * FRAME_RATE)
            self._n_said = 0
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Free all of it."""
        self._stack.close()

    def say(self, text: str, stop: threading.Event) -> Iterator[NDArray[np.float32]]:
        """(n_samples,) blocks, -1 … 1, as they are made; after `stop` is set at most one more frame is computed."""
        seed = (self._seed + self._n_said) % (2**32 - 1)  # libmtmd begins anew only where the seed is another
        self._n_said += 1
        with contextlib.ExitStack() as stack:
            stack.enter_context(placement.computing())
            sampler = None
            if self._kind == QWEN:
                sampler = Sampler(self._weights, **SAMPLING, seed=seed, banned=self._weights.suppressed())
                stack.callback(sampler.close)
            if not self._begin(text, seed, stop):
                return
            yield from self._frames(sampler, stop)

    def _begin(self, text: str, seed: int, stop: threading.Event) -> bool:
        """Run the sentence, after the reference voice, through the model; False where it was stopped."""
        mtmd, data = self._mtmd, text.encode("utf-8", "replace")
        asked = mtmd.mtmd_helper_gen_audio_inp()
        asked.prompt, asked.prompt_len = data, len(data)
        asked.speaker_ref = self._voice[0] if self._voice else None
        language = self._language_of(text).split("-")[0]
        asked.lang = LANGUAGES.get(language, "en").encode()
        asked.seed, asked.out_type = seed, mtmd.MTMD_HELPER_GEN_AUDIO_OUTTYPE_PCM
        self._context.clear()
        mtmd.mtmd_helper_gen_audio_reset(self._handle)
        if mtmd.mtmd_helper_gen_audio_set_input(self._handle, ctypes.byref(asked)) != 0:
            raise ModelError(
                f"`{self.name}` cannot say `{text[:40]}`: {self._reason()}",
                hint="is the language one of the model's, and the projector its own?",
            )
        with self._context.abort_when(stop.is_set):
            left = 1
            while left > 0 and not stop.is_set():
                left = mtmd.mtmd_helper_gen_audio_step_prompt(self._handle, N_BATCH)
        if left < 0 and not stop.is_set():
            raise self._failed()
        return left == 0

    def _frames(self, sampler: Sampler | None, stop: threading.Event) -> Iterator[NDArray[np.float32]]:
        """Frame by frame: sample, step, and hand on what has become samples."""
        n_given, is_over = 0, ctypes.c_bool(False)
        state = self._llama.llama_get_embeddings_ith(self._context.handle, -1)
        for n_frames in range(1, self._most_frames + 1):
            if stop.is_set():
                return
            placement.look(self._threads)
            token = sampler.sample(self._context) if sampler else NO_TOKEN
            following = ctypes.POINTER(ctypes.c_float)()
            if self._mtmd.mtmd_helper_gen_audio_step_gen(
                self._handle, token, state, ctypes.byref(following), ctypes.byref(is_over)
            ):
                raise self._failed()
            if is_over.value or not following:
                break
            state = following
            if n_frames % WINDOW[self._kind] == 0:
                block = self._made(n_given)
                n_given += len(block)
                yield block
        if len(block := self._made(n_given)):
            yield block

    def _made(self, start: int) -> NDArray[np.float32]:
        """The samples made so far, from number `start` on: (n_samples,), in memory of their own."""
        rate, n_bytes, n_samples = ctypes.c_int32(), ctypes.c_size_t(), ctypes.c_int64()
        data = ctypes.POINTER(ctypes.c_char)()
        if self._mtmd.mtmd_helper_gen_audio_get_output(
            self._handle, ctypes.byref(rate), ctypes.byref(data), ctypes.byref(n_bytes), ctypes.byref(n_samples)
        ):
            raise self._failed()
        if n_samples.value <= start:
            return np.zeros(0, np.float32)
        address = ctypes.cast(data, ctypes.c_void_p).value
        assert address is not None
        return np.frombuffer(ctypes.string_at(address + 4 * start, 4 * (n_samples.value - start)), np.float32)

    def _reason(self) -> str:
        lines = [line for line in log.lines if "gen_audio" in line]
        return (lines[-1].partition(":")[2] if lines else log.last_error()).strip() or "libmtmd gave no reason"

    def _failed(self) -> ResourceError:
        return ResourceError(f"`{self.name}` could not go on speaking: {self._reason()}")
