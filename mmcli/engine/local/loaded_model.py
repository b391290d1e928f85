"""One model in memory: its weights, its template, how much context it may have, and its projector once it is needed.

Knows files and llama.cpp's objects; knows no conversations.
"""

from __future__ import annotations

import hashlib
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from mmcli.engine import forms, hardware
from mmcli.engine.local import bindings, devices, kv_cells, mtmd, prompt_plan
from mmcli.engine.local.cpu_affinity import placement
from mmcli.engine.local.kv_cache import WORTH_SAVING, ContextRoom
from mmcli.engine.local.projector_loader import Encoded, ProjectorLoader
from mmcli.engine.local.prompts import Prompts
from mmcli.engine.local.template import Prompt, Template
from mmcli.engine.messages import First, Message, OnProgress, Usage
from mmcli.errors import ModelError
from mmcli.media.types import Audio, Clip, Image, Projected

SPARE_MEMORY = 512 << 20  # bytes for compute buffers and the rest of the process, where nobody reckoned them
LARGE = 4  # weights of more than this part of the free memory are loaded with care
# --detail as libmtmd's (least, most) tokens a picture; -1: what the model's own metadata says
DETAIL = {"low": (-1, 256), "auto": (-1, -1), "high": (1024, 4096)}


def _silent(text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Options:
    """How to run a model; fields in the order people ask for them. None means: find the best."""

    n_ctx: int | None = None  # tokens; None: what the prompt needs, up to what model and memory allow
    threads: int | None = None
    gpu_layers: int | None = None  # None: all of them where the build can
    detail: Literal["low", "auto", "high"] = "auto"
    lasting: bool = False  # for hours, perhaps: the machine will be idle now and busy then
    cache: Path | None = None  # folder of saved prefixes; None: none are kept
    cache_bytes: int = 2 << 30
    fixed_bytes: int | None = None  # what all but the KV cache takes; None: an upper bound by the files' sizes
    token_bytes: int | None = None  # what one token of context takes; None: an upper bound by llama.cpp's figures
    other_parts: tuple[Path, ...] = ()  # of weights that are split: llama.cpp finds them by the first
    worth_saving: float = WORTH_SAVING  # seconds: what was computed faster is not stored
    media_newline: bool = False  # the LLaVA family was trained with a newline after each picture
    # Free bytes on the GPUs → how many layers go there, and the context reckoned with; None: all of them.
    part_for_gpu: Callable[[int], tuple[int, int] | None] | None = None
    template: forms.ChosenTemplate | None = None  # what it is asked with; None: its own, or by its vocabulary
    template_kwargs: dict[str, object] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)  # set from anywhere: end what is running
    on_notice: Callable[[str], None] = _silent
    on_debug: Callable[[str], None] | None = None


class Loaded:
    """The weights are loaded at once, the projector for the first medium, or beside them where `first` names one."""

    def __init__(
        self,
        weights: Path,
        projector: Path | None,
        options: Options,
        *,
        name: str,
        on_progress: OnProgress | None,
        first: First | None,
    ) -> None:
        """ModelError where the files are damaged."""
        # First: threads of ours that come and go would be taken for others, or hide them.
        hardware.calm_threads(lasting=options.lasting)
        self._options, self._name, self._path = options, name, projector
        self.threads = options.threads or hardware.cores()
        parts = (weights, *options.other_parts)
        self.identity = (kv_cells.identity(*parts), kv_cells.identity(projector) if projector else None)
        self._pair = hashlib.sha256(repr(self.identity).encode()).hexdigest()[:12]
        self.store = kv_cells.PrefixStore(options.cache, options.cache_bytes) if options.cache else None
        self.projector: mtmd.Projector | None = None
        self._beside: ProjectorLoader | None = None
        self._close = ExitStack()
        started = time.perf_counter()
        # Jinja is imported while llama.cpp loads: it would take 20 ms afterwards.
        threading.Thread(target=importlib.import_module, args=("jinja2.sandbox",), daemon=True).start()
        files = sum(path.stat().st_size for path in (*parts, projector) if path is not None)
        free = hardware.free_memory()
        free_gpu = devices.free_in(devices.told().get("devices", ())) if bindings.can_offload() else 0
        choose = options.part_for_gpu if options.gpu_layers is None and free_gpu else None
        part = choose(free_gpu) if choose is not None else None
        # On a GPU the two would fight for its memory while llama.cpp reckons how much of it is free.
        if projector is not None and first is not None and not bindings.can_offload():
            is_sure = first.has_media and not (self.store is not None and self.store.has_any(self._pair))
            self._beside = ProjectorLoader(
                weights,
                first,
                is_sure=is_sure,
                needs=self._needs_projector,
                load=self._load_projector,
                encode=self._encode_beside,
            )
            self._close.callback(self._beside.close)
        try:
            layers = part[0] if part else options.gpu_layers
            self.weights = self._load_weights(parts, layers, on_progress, free)
        except BaseException:
            self.close()
            raise
        self._close.callback(self._close_projector)
        self.prompts = self._make_prompts(self.weights, options.on_notice)
        on_gpu = self.weights.device != "CPU" and options.gpu_layers is None and part is None
        affordable = self._affordable(free_gpu if on_gpu else free, files, mapped=not on_gpu)
        if part and part[0]:  # the cells of these layers must fit there too
            affordable = min(affordable, part[1])
        self.room = ContextRoom(options.n_ctx, self.weights.n_ctx_train, affordable)
        self.seconds = time.perf_counter() - started  # that loading took

    def close(self) -> None:
        self._close.close()

    @property
    def n_encodes(self) -> int:
        """How many media chunks were encoded since the model was loaded."""
        return self.projector.n_encodes if self.projector is not None else 0

    def key(self, prompt: Prompt, media: Sequence[Projected], device: str) -> str:
        """The name on disk of everything up to the last medium: whatever could change its KV cells is in it."""
        weights, projector = self.identity
        engine = (weights, str(projector), bindings.version(), device, "f16", self._options.detail)
        return f"{self._pair}-" + kv_cells.PrefixStore.key(
            engine, prompt.segments[: len(media)], [medium.id for medium in media]
        )

    def head_key(self, tokens: Sequence[int]) -> str:
        """The name on disk of a text that begins with these tokens."""
        weights, projector = self.identity
        engine = (weights, str(projector), bindings.version(), self.weights.device, "f16", "head")
        return f"head-{self._pair}-{kv_cells.PrefixStore.key((*engine, *map(str, tokens)), (), ())}"

    def ready_projector(self, media: Sequence[Projected], usage: Usage) -> mtmd.Projector:
        """The projector, loaded when the first medium needs it, and able to take these media."""
        if self._path is None:
            raise ModelError(
                f"`{self._name}` has no projector, so it can neither see nor hear",
                hint="give the projector published with the weights: --mmproj FILE",
            )
        if self.projector is None and self._beside is not None:
            with usage.timed("load"):
                self.projector = self._beside.take()
        if self.projector is None:
            with usage.timed("load"):
                self.projector = self._load_projector(self.weights)
        self._check(self.projector, media)
        return self.projector

    def _check(self, projector: mtmd.Projector, media: Sequence[Projected]) -> None:
        """ModelError for what this projector cannot take."""
        for medium in media:
            if isinstance(medium, Image | Clip) and not projector.sees:
                raise ModelError(f"`{self._name}` hears but cannot see", hint="choose a model with vision")
            if isinstance(medium, Audio) and not projector.hears:
                raise ModelError(f"`{self._name}` sees but cannot hear", hint="choose a model with audio")
            if isinstance(medium, Audio) and medium.sample_rate != projector.sample_rate:
                raise ModelError(f"`{self._name}` hears at {projector.sample_rate} Hz, not at {medium.sample_rate}")

    def _load_projector(self, weights: mtmd.Weights) -> mtmd.Projector:
        assert self._path is not None
        low, high = DETAIL[self._options.detail]
        on_gpu = weights.device != "CPU"
        return mtmd.Projector(
            self._path, weights, threads=self.threads, use_gpu=on_gpu, min_tokens=low, max_tokens=high
        )

    def settle(self) -> None:
        """Return when nothing is encoded beside the weights any more."""
        if self._beside is not None:
            self._beside.settle()

    def encoded(self) -> list[Encoded]:
        """What of the media asked about first was encoded while the weights were loading: waited for; returned once."""
        return self._beside.encoded() if self._beside is not None else []

    def _encode_beside(
        self, header: mtmd.Weights, projector: mtmd.Projector, messages: Sequence[Message], think: bool
    ) -> list[Encoded]:
        """The media of what is asked first, slice by slice, until all is stopped."""
        media = [medium for message in messages for medium in message.media]
        self._check(projector, media)
        prompt = self._make_prompts(header).render(messages, think=think)
        encoded = []
        with placement.computing(), closing(projector.tokenize(prompt.segments, media)) as chunks:
            current = prompt_plan.from_chunks(chunks, prompt, media, header, key=None)
            for chunk in current.chunks.values():
                if self._options.stop.is_set():
                    break
                embeddings = projector.encode_apart(chunk)
                encoded.append(Encoded(chunk.slice, projector.size(chunk), embeddings))
        return encoded

    def _needs_projector(self, header: mtmd.Weights, messages: Sequence[Message], think: bool) -> bool:
        """Not where there are no media, or where they are on disk, computed."""
        media = [medium for message in messages for medium in message.media]
        if not media or self.store is None:
            return bool(media)
        prompt = self._make_prompts(header).render(messages, think=think)
        return not self.store.has(self.key(prompt, media, header.device))

    def _affordable(self, free: int, files: int, *, mapped: bool) -> int:
        """Tokens of context that `free` bytes hold beside files of `files` bytes; models/memory.py tells the same.

        Mapped weights can be read again: up to a quarter goes to the context even at their expense.
        """
        fixed, token = self._options.fixed_bytes, self._options.token_bytes
        taken = files + SPARE_MEMORY if fixed is None else fixed
        spare = max(free - taken, free // 4 if mapped else 0)
        return max(256, spare // max(1, token or self.weights.kv_bytes_per_token()) // 256 * 256)

    def _close_projector(self) -> None:
        if self.projector is not None:
            self.encoded()  # it must be done before what it is done with is gone
            self.projector.close()
        self.projector = None

    def _load_weights(
        self, parts: Sequence[Path], gpu_layers: int | None, on_progress: OnProgress | None, free: int
    ) -> mtmd.Weights:
        """`free` bytes of memory decide how much of it loading takes."""

        def report(done: int, total: int) -> bool:
            if on_progress is not None:
                on_progress("load", done, total)
            return not self._options.stop.is_set()

        report(0, 100)
        if self._options.on_debug is not None:
            self._close.enter_context(bindings.log.listening(self._options.on_debug))
        layers = mtmd.ALL_LAYERS if gpu_layers is None else gpu_layers
        n_bytes = sum(path.stat().st_size for path in parts)
        is_large, fits = n_bytes > free // LARGE, n_bytes + SPARE_MEMORY <= free
        load = partial(mtmd.Weights, parts[0], on_progress=report, repack=fits, release=parts if is_large else ())
        if not bindings.can_offload():
            if self._options.gpu_layers:
                self._options.on_notice("this llama-cpp-python was built without a GPU backend: running on the CPU")
            layers = 0
        try:
            weights = load(gpu_layers=layers)
        except ModelError:
            if self._options.stop.is_set():
                raise KeyboardInterrupt from None
            if layers == 0:
                raise
            self._options.on_notice("the GPU could not take the model: running on the CPU")
            weights = load(gpu_layers=0)
        self._close.callback(weights.close)
        if not fits and weights.device == "CPU":
            self._options.on_notice(
                f"the weights ({n_bytes / 1e9:.1f} GB) do not fit into the free memory ({free / 1e9:.1f} GB): "
                "they stay in the file and are read again and again, which is slow"
            )
        return weights

    def _make_prompts(self, weights: mtmd.Weights, on_notice: Callable[[str], None] = _silent) -> Prompts:
        """What makes prompts for these weights; `on_notice` is called where the template is not their own."""
        chosen = self._options.template or forms.choose(weights.chat_template(), weights.is_token)
        if chosen.why:
            on_notice(
                f"`{self._name}` has no chat template: using the form `{chosen.name}`, because {chosen.why}"
                " (--template chooses another)"
            )
        template = Template(
            chosen.source,
            bos=weights.special("bos"),
            eos=weights.special("eos"),
            adds_bos=weights.add_bos,
            is_special=weights.has_control,
            media_newline=self._options.media_newline,
            kwargs=self._options.template_kwargs,
            stop=chosen.stop,
            name=chosen.name,
        )
        return Prompts(template, on_notice)
