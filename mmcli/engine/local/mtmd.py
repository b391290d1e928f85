"""llama.cpp and libmtmd as a few Python objects; knows no messages and no caches.

Names follow `llama.h` and `mtmd.h`. Every object frees its native handle in `close()`; the owner keeps them on one
ExitStack, so that a context goes before its weights.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli.engine import hardware
from mmcli.engine.local.bindings import log, native
from mmcli.engine.local.cpu_affinity import placement
from mmcli.engine.local.template import Segment
from mmcli.errors import ModelError, ResourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.media.types import Clip, Image, Projected

GGML_TYPE_F16 = 1
RELEASE_STEP = 4  # percent of the weights, after which the file's part of them is released
PLACEHOLDER = 56  # pixels a side of a bitmap without pixels, which stands for any other
ALL_LAYERS = 999  # more than any model has: everything that can go to the GPU does


class Weights:
    """The language model's GGUF, loaded."""

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int,
        on_progress: Callable[[int, int], bool],
        header_only: bool = False,
        repack: bool = True,
        release: Sequence[Path] = (),
    ) -> None:
        """`on_progress(percent, 100)` may return False to give up; ModelError then, and where the file is no good.

        `repack`: keep most weights in memory once more, in the order that this CPU computes fastest with; otherwise
        all stay in the file, which the system reads when they are needed. `release`: files of which nothing stays
        mapped that was read for that, which halves the peak and costs a tenth of the loading time.
        """
        llama, _ = native()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_extra_bufts = repack
        if header_only:
            params.no_alloc, params.load_mode = True, llama.LLAMA_LOAD_MODE_NONE
        released = 0

        def report(fraction: float, user_data: Any) -> bool:
            nonlocal released
            percent = round(fraction * 100)
            if release and percent >= min(100, released + RELEASE_STEP):
                released = percent
                hardware.release_mapped(release)
            return on_progress(percent, 100)

        callback = llama.llama_progress_callback(report)
        params.progress_callback = callback
        with log.captured() as lines:
            self.handle = llama.llama_model_load_from_file(os.fsencode(path), params)
        if not self.handle:
            raise ModelError(
                f"cannot load the weights `{path}`: {log.last_error() or 'llama.cpp gave no reason'}",
                hint="download the file again if it is cut short; or update llama-cpp-python if the model is newer",
            )
        self.device = _device(lines, gpu_layers)
        self.repacked = _repacked(lines)
        self.vocab = llama.llama_model_get_vocab(self.handle)
        self.n_ctx_train: int = llama.llama_model_n_ctx_train(self.handle)
        self.add_bos: bool = llama.llama_vocab_get_add_bos(self.vocab)
        # What stands before every prompt. The tokenizer's own way of adding it may also put an end behind (add_eos).
        bos = llama.llama_vocab_bos(self.vocab)
        self.begin: tuple[int, ...] = (bos,) if self.add_bos and bos >= 0 else ()

    @classmethod
    def header(cls, path: Path) -> Weights:
        """Vocabulary, metadata and sizes alone: all there is to tokenize with, and nothing to compute with."""
        return cls(path, gpu_layers=0, on_progress=lambda done, total: True, header_only=True)

    def close(self) -> None:
        native()[0].llama_model_free(self.handle)

    @property
    def can_forget(self) -> bool:
        """Whether the end of a sequence can be taken out of its cache again; recurrent states and windows cannot."""
        llama, _ = native()
        keeps_all = llama.llama_model_n_swa(self.handle) == 0
        return keeps_all and not (
            llama.llama_model_is_recurrent(self.handle) or llama.llama_model_is_hybrid(self.handle)
        )

    def meta(self, key: str) -> str | None:
        """One string of the GGUF's metadata; None where it is missing."""
        llama, _ = native()
        size = llama.llama_model_meta_val_str(self.handle, key.encode(), None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        llama.llama_model_meta_val_str(self.handle, key.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    def chat_template(self) -> str | None:
        """The template the GGUF carries, or None."""
        template = native()[0].llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else None

    def special(self, which: str) -> str:
        """The text of a special token, "bos" or "eos"; empty where the vocabulary has none."""
        llama, _ = native()
        token = llama.llama_vocab_bos(self.vocab) if which == "bos" else llama.llama_vocab_eos(self.vocab)
        return "" if token < 0 else self.piece(token, special=True).decode("utf-8", "replace")

    def tokenize_runs(self, segment: Segment) -> list[int]:
        """Token ids of a segment, run by run, as libmtmd does it."""
        tokens: list[int] = []
        for text, special in segment:
            tokens += self.tokenize(text, special=special)
        return tokens

    def is_token(self, text: str) -> bool:
        """Whether the vocabulary has `text` as one token."""
        return len(self.tokenize(text)) == 1

    def has_control(self, text: str) -> bool:
        """Whether a control token, such as the end of a turn, would be found in `text`."""
        llama, _ = native()
        tokens = set(self.tokenize(text))
        return any(llama.llama_vocab_is_control(self.vocab, token) for token in tokens)

    def tokenize(self, text: str, *, add_special: bool = False, special: bool = True) -> list[int]:
        """Token ids of `text`; with `special`, special tokens in it are recognised; `add_special`: behind `begin`."""
        llama, _ = native()
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        buffer = (llama.llama_token * room)()
        count = llama.llama_tokenize(self.vocab, data, len(data), buffer, room, False, special)
        assert count >= 0, f"{len(data)} bytes made more than {room} tokens"
        return [*(self.begin if add_special else ()), *buffer[:count]]

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token, perhaps half a character; control tokens are empty unless `special`."""
        llama, _ = native()
        buffer = ctypes.create_string_buffer(256)
        size = llama.llama_token_to_piece(self.vocab, token, buffer, 256, 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = llama.llama_token_to_piece(self.vocab, token, buffer, -size, 0, special)
        return buffer.raw[:size]

    def pieces(self, mark: bytes) -> list[bytes]:
        """The bytes of every token, those of control tokens behind `mark`."""
        llama, _ = native()
        buffer = ctypes.create_string_buffer(1 << 14)
        found = []
        for token in range(llama.llama_vocab_n_tokens(self.vocab)):
            size = llama.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, True)
            data = ctypes.string_at(buffer, max(size, 0))
            attributes = llama.llama_vocab_get_attr(self.vocab, token)
            is_control = bool(attributes & llama.LLAMA_TOKEN_ATTR_CONTROL)
            is_like_one = attributes & llama.LLAMA_TOKEN_ATTR_USER_DEFINED and data[:1] + data[-1:] == b"<>"
            found.append(mark + data if is_control or is_like_one else data)
        return found

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(native()[0].llama_vocab_eos(self.vocab))

    @property
    def tokenize_address(self) -> int:
        """Where `llama_tokenize` lies in this process."""
        return ctypes.cast(native()[0]._lib.llama_tokenize, ctypes.c_void_p).value or 0

    def is_end(self, token: int) -> bool:
        """Whether `token` ends a generation (EOS, EOT and their like)."""
        return bool(native()[0].llama_vocab_is_eog(self.vocab, token))

    def suppressed(self) -> list[int]:
        """Tokens that the model's makers never want sampled."""
        count = ctypes.c_int32()
        tokens = native()[0].llama_vocab_get_suppress_tokens(self.vocab, ctypes.byref(count))
        return list(tokens[: count.value]) if tokens else []

    def kv_bytes_per_token(self) -> int:
        """Bytes one KV cell takes at f16, an upper bound for hybrid and sliding-window models."""
        llama, _ = native()
        heads = max(1, llama.llama_model_n_head(self.handle))
        architecture = self.meta("general.architecture") or ""
        head = int(self.meta(f"{architecture}.attention.key_length") or llama.llama_model_n_embd(self.handle) // heads)
        kv_heads = llama.llama_model_n_head_kv(self.handle)
        return int(2 * llama.llama_model_n_layer(self.handle) * kv_heads * head * 2)


def _device(lines: Sequence[str], gpu_layers: int) -> str:
    """What the load log says it runs on: "CPU", or the GPU's own name."""
    if gpu_layers > 0:
        for line in lines:
            if "using device" in line:
                return line.split("using device", 1)[1].split(" - ")[0].strip()
    return "CPU"


def _repacked(lines: Sequence[str]) -> int:
    """Bytes of weights that are in memory once more, in this CPU's order, as the load log says."""
    sizes = [re.search(r"CPU_REPACK model buffer size = +([\d.]+) MiB", line) for line in lines]
    return max((round(float(size[1]) * 2**20) for size in sizes if size), default=0)


class Projector:
    """The mmproj GGUF, loaded: encodes media into embeddings for one set of weights."""

    def __init__(
        self, path: Path, weights: Weights, *, threads: int, use_gpu: bool, min_tokens: int, max_tokens: int
    ) -> None:
        _, mtmd = native()
        params = mtmd.mtmd_context_params_default()
        params.use_gpu = use_gpu
        params.n_threads = threads
        params.print_timings = False
        params.warmup = False  # some versions encode an empty picture first: as long as the real one
        params.image_min_tokens = min_tokens
        params.image_max_tokens = max_tokens
        self._n_embd: int = native()[0].llama_model_n_embd_inp(weights.handle)
        self.handle = mtmd.mtmd_init_from_file(os.fsencode(path), weights.handle, params)
        if not self.handle:
            raise ModelError(
                f"cannot load the projector `{path}`: {log.last_error() or 'llama.cpp gave no reason'}",
                hint="a projector (mmproj) belongs to its own weights: use the one published with them",
            )
        self.sees: bool = mtmd.mtmd_support_vision(self.handle)
        self.hears: bool = mtmd.mtmd_support_audio(self.handle)
        self.sample_rate: int = mtmd.mtmd_get_audio_sample_rate(self.handle)  # Hz; -1 where it does not hear
        self.threads, self.n_encodes = threads, 0

    def close(self) -> None:
        native()[1].mtmd_free(self.handle)

    def tokenize(self, segments: Sequence[Segment], media: Sequence[Projected]) -> Chunks:
        """Turn a prompt, split at its markers, into chunks; `len(segments) == len(media) + 1`. No BOS is added.

        The text is never searched for markers, so nothing a user writes can pass for a medium.
        """
        _, mtmd = native()
        assert len(segments) == len(media) + 1
        with bitmaps_of(media) as bitmaps:
            keep: list[Any] = []
            parts = []
            for i, segment in enumerate(segments):
                for words, special in segment:
                    data = words.encode("utf-8", "replace")
                    text = mtmd.mtmd_input_text(text=data, text_len=len(data), add_special=False, parse_special=special)
                    keep += [data, text]
                    parts.append(mtmd.mtmd_input_part(text=ctypes.pointer(text), bitmap=None))
                for bitmap in bitmaps[i] if i < len(bitmaps) else ():
                    parts.append(mtmd.mtmd_input_part(text=None, bitmap=bitmap))
            pointers = (ctypes.POINTER(mtmd.mtmd_input_part) * len(parts))(*map(ctypes.pointer, parts))
            found = mtmd.mtmd_input_chunks_init()
            status = mtmd.mtmd_tokenize_from_parts(self.handle, found, pointers, len(parts), False)
        if status != 0:
            mtmd.mtmd_input_chunks_free(found)
            reason = log.last_error()
            if "bad_alloc" in reason:  # C++ for no memory; a smaller picture may fare better
                raise ResourceError(
                    "not enough memory to prepare the input for the model",
                    hint="close other programs, or shrink it first",
                )
            raise ModelError(
                f"the projector rejected this input: {reason or f'libmtmd status {status}'}",
                hint="try the picture in another size, or as PNG",
            )
        return Chunks(found, self.handle)

    def merges_frames(self) -> bool:
        """Whether two frames side by side become one chunk (Qwen-VL): asked of libmtmd with two empty bitmaps."""
        _, mtmd = native()
        bitmaps = [mtmd.mtmd_bitmap_init(PLACEHOLDER, PLACEHOLDER, None) for _ in range(2)]
        found = mtmd.mtmd_input_chunks_init()
        try:
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_set_mergeable(bitmap, True)
            parts = [mtmd.mtmd_input_part(text=None, bitmap=bitmap) for bitmap in bitmaps]
            pointers = (ctypes.POINTER(mtmd.mtmd_input_part) * 2)(*map(ctypes.pointer, parts))
            if mtmd.mtmd_tokenize_from_parts(self.handle, found, pointers, 2, False) != 0:
                return False
            chunks = (mtmd.mtmd_input_chunks_get(found, i) for i in range(mtmd.mtmd_input_chunks_size(found)))
            n_media: int = sum(mtmd.mtmd_input_chunk_get_type(chunk) != 0 for chunk in chunks)
            return n_media == 1
        finally:
            mtmd.mtmd_input_chunks_free(found)
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_free(bitmap)

    def encode(self, chunk: Chunk) -> Any:
        """Media → embeddings: a pointer to (n_tokens, n_embd) float32, valid until the next call."""
        _, mtmd = native()
        self.n_encodes += 1
        placement.look(self.threads)
        if mtmd.mtmd_encode_chunk(self.handle, chunk.handle) != 0:
            raise self._cannot_encode(chunk)
        return mtmd.mtmd_get_output_embd(self.handle)

    def size(self, chunk: Chunk) -> int:
        """Bytes of the chunk's embeddings."""
        return 4 * chunk.n_tokens * self._n_embd

    def encode_apart(self, chunk: Chunk) -> Any:
        """The same as `encode`, in memory of its own: valid for as long as it is kept."""
        return self._copy(self.encode(chunk), chunk)

    def encode_together(self, chunks: Sequence[Chunk]) -> list[Any]:
        """`encode_apart` of the first chunk, and of as many of those after it as the model takes in the same pass.

        Most take one. Others (InternVL, Gemma 4) take pictures of one size, up to libmtmd's 1024 tokens in all.
        """
        _, mtmd = native()
        batch = mtmd.mtmd_batch_init(self.handle)
        try:
            taken: list[Chunk] = []
            for chunk in chunks:
                if mtmd.mtmd_batch_add_chunk(batch, chunk.handle) != 0:
                    break
                taken.append(chunk)
            if len(taken) < 2:
                return [self.encode_apart(chunks[0])]
            self.n_encodes += len(taken)
            placement.look(self.threads)
            if mtmd.mtmd_batch_encode(batch) != 0:
                raise self._cannot_encode(taken[0])
            return [self._copy(mtmd.mtmd_batch_get_output_embd(batch, chunk.handle), chunk) for chunk in taken]
        finally:
            mtmd.mtmd_batch_free(batch)

    def _copy(self, embeddings: Any, chunk: Chunk) -> Any:
        kept = (ctypes.c_float * (chunk.n_tokens * self._n_embd))()  # (n_tokens, n_embd) float32
        ctypes.memmove(kept, embeddings, ctypes.sizeof(kept))
        return ctypes.cast(kept, ctypes.POINTER(ctypes.c_float))

    def _cannot_encode(self, chunk: Chunk) -> ResourceError:
        return ResourceError(
            f"cannot encode the {chunk.kind}: {log.last_error() or 'libmtmd gave no reason'}",
            hint="it may be too large for this machine's memory: try --detail low",
        )


@contextmanager
def bitmaps_of(media: Sequence[Projected]) -> Iterator[list[list[Any]]]:
    """Native copies of decoded media, one or (of a clip) two each; their ID is their place and the media ID.

    Two frames that stand side by side under one ID may be merged, where the projector does that.
    """
    from mmcli.media.types import Audio, Clip

    _, mtmd = native()
    every: list[Any] = []
    try:
        found = []
        for i, medium in enumerate(media):
            if isinstance(medium, Audio):
                samples = medium.samples.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
                bitmaps = [mtmd.mtmd_bitmap_init_from_audio(len(medium.samples), samples)]
                every += bitmaps
            else:
                bitmaps = []
                for pixels in _pictures(medium):
                    height, width, _channels = pixels.shape
                    data = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
                    bitmaps.append(mtmd.mtmd_bitmap_init(width, height, data))
                    every.append(bitmaps[-1])
                    mtmd.mtmd_bitmap_set_mergeable(bitmaps[-1], isinstance(medium, Clip) and len(medium.frames) == 2)
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_set_id(bitmap, f"{i}:{medium.id}".encode())
            found.append(bitmaps)
        yield found
    finally:
        for bitmap in every:
            mtmd.mtmd_bitmap_free(bitmap)


def _pictures(medium: Image | Clip) -> list[NDArray[np.uint8]]:
    """Each (height, width, 3), RGB, C order."""
    return list(medium.frames) if hasattr(medium, "frames") else [medium.pixels]


class Chunk:
    """One `mtmd_input_chunk`: text with its tokens, or (a slice of) a medium with its place among the media."""

    def __init__(self, handle: Any, projector: Any) -> None:
        """`handle` and `projector` are the native ones."""
        _, mtmd = native()
        self.handle = handle
        self.kind = ("text", "image", "audio")[mtmd.mtmd_input_chunk_get_type(handle)]
        self.n_tokens: int = mtmd.mtmd_input_chunk_get_n_tokens(handle)
        self.n_pos: int = mtmd.mtmd_input_chunk_get_n_pos(handle)
        self.tokens: list[int] = []
        self.index, self.media_id = -1, ""
        self.slice = ("", 0)  # of a medium: its ID, and which of its slices this is
        self.needs_whole = False  # its tokens see each other both ways: one micro-batch must hold them all
        if self.kind == "text":
            count = ctypes.c_size_t()
            self.tokens = list(mtmd.mtmd_input_chunk_get_tokens_text(handle, ctypes.byref(count))[: count.value])
        else:
            index, _, self.media_id = mtmd.mtmd_input_chunk_get_id(handle).decode().partition(":")
            self.index = int(index)
            self.needs_whole = bool(mtmd.mtmd_decode_use_non_causal(projector, handle))


class Chunks:
    """A tokenized prompt: `all` its chunks in order. Owns them."""

    def __init__(self, handle: Any, projector: Any) -> None:
        """`handle` and `projector` are the native ones."""
        _, mtmd = native()
        self._handle = handle
        n_chunks = mtmd.mtmd_input_chunks_size(handle)
        self.all = tuple(Chunk(mtmd.mtmd_input_chunks_get(handle, i), projector) for i in range(n_chunks))
        n_slices: dict[int, int] = {}
        for chunk in self.all:
            chunk.slice = chunk.media_id, n_slices.get(chunk.index, 0)
            n_slices[chunk.index] = chunk.slice[1] + 1

    def close(self) -> None:
        native()[1].mtmd_input_chunks_free(self._handle)
