"""Messages → pieces on this machine: the story of one answer. llama.cpp itself is in mtmd.py."""

from __future__ import annotations

import importlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from mmcli.engine import devices, kv, machine, mtmd, plan
from mmcli.engine.ahead import Cores
from mmcli.engine.beside import Beside
from mmcli.engine.cache import WORTH_SAVING, Cache, Room
from mmcli.engine.decode import Voice, decode
from mmcli.engine.known import Beginning, Book
from mmcli.engine.many import Many, Request, bearable
from mmcli.engine.messages import Answer, First, Message, OnProgress, Origin, Piece, Sampling, Usage
from mmcli.engine.template import Prompt, Template
from mmcli.errors import MmcliError, ModelError
from mmcli.media.types import Audio, Image

SPARE_MEMORY = 512 << 20  # bytes for compute buffers and the rest of the process, where nobody reckoned them
# --detail as libmtmd's (least, most) tokens a picture; -1: what the model's own metadata says
DETAIL = {"low": (-1, 256), "auto": (-1, -1), "high": (1024, 4096)}


ROOM_FOR_WORDS = 256  # tokens of the question that a context has room for when it is prepared without them


def _silent(text: str) -> None:
    """Nobody listens."""


def _unreported(phase: str, done: int, total: int) -> None:
    """Nobody watches."""


def _seed(sampling: Sampling) -> int:
    return secrets.randbits(32) if sampling.seed is None else sampling.seed


@dataclass(frozen=True)
class Options:
    """How to run a model; fields in the order people ask for them. None means: find the best."""

    n_ctx: int | None = None  # tokens; None: what the prompt needs, up to what model and memory allow
    threads: int | None = None
    encoder_threads: int = 0  # of those, so many encode beside the answers of generate_many; 0: in turns with them
    gpu_layers: int | None = None  # None: all of them where the build can
    detail: Literal["low", "auto", "high"] = "auto"
    cache: Path | None = None  # folder of saved prefixes; None: none are kept
    cache_bytes: int = 2 << 30
    fixed_bytes: int | None = None  # what all but the KV cache takes; None: an upper bound by the files' sizes
    token_bytes: int | None = None  # what one token of context takes; None: an upper bound by llama.cpp's figures
    other_parts: tuple[Path, ...] = ()  # of weights that are split: llama.cpp finds them by the first
    worth_saving: float = WORTH_SAVING  # seconds: what was computed faster is not stored
    media_newline: bool = False  # the LLaVA family was trained with a newline after each picture
    template_kwargs: dict[str, object] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)  # set from anywhere: end what is running
    on_notice: Callable[[str], None] = _silent
    on_debug: Callable[[str], None] | None = None


class LocalEngine:
    """One model, loaded. `generate` may be called again and again: what is equal at the start is computed once."""

    def __init__(
        self,
        weights: Path,
        projector: Path | None = None,
        options: Options | None = None,
        *,
        name: str | None = None,
        on_progress: OnProgress | None = None,
        first: First | None = None,
    ) -> None:
        """`first`, where it is given, will tell what is asked first: its media's projector loads beside the weights."""
        self._options = options or Options()
        self.name = name or weights.stem
        self._threads = self._options.threads or machine.cores()
        self._stop = self._options.stop
        self._close = ExitStack()
        self._projector_path = projector
        self._projector: mtmd.Projector | None = None
        parts = (weights, *self._options.other_parts)
        self._identity = (kv.identity(*parts), kv.identity(projector) if projector else None)
        started = time.perf_counter()
        # Jinja is imported while llama.cpp loads: it would take 20 ms afterwards.
        threading.Thread(target=importlib.import_module, args=("jinja2.sandbox",), daemon=True).start()
        self._store = kv.Store(self._options.cache, self._options.cache_bytes) if self._options.cache else None
        self._beside: Beside | None = None
        files = sum(path.stat().st_size for path in (*parts, projector) if path is not None)
        free = machine.free_memory()
        free_gpu = devices.free_in(devices.told().get("devices", ())) if mtmd.can_offload() else 0
        # On a GPU the two would fight for its memory while llama.cpp reckons how much of it is free.
        if projector is not None and first is not None and not mtmd.can_offload():
            self._beside = Beside(weights, first, self._load_beside)
            self._close.callback(self._beside.close)
        try:
            self._weights = self._load_weights(weights, on_progress)
        except BaseException:
            self.close()
            raise
        self._template = self._load_template(self._weights)
        on_gpu = self._weights.device != "CPU" and self._options.gpu_layers is None
        affordable = self._affordable(free_gpu if on_gpu else free, files, mapped=not on_gpu)
        self._room = Room(self._options.n_ctx, self._weights.n_ctx_train, affordable)
        self._cache = Cache(
            self._weights,
            self._room,
            threads=self._threads,
            store=self._store,
            worth_saving=self._options.worth_saving,
            on_notice=self._options.on_notice,
        )
        self._close.callback(self._cache.close)
        self._close.callback(self._close_projector)
        self._book = Book(self._opens_apart)
        self._prepared: dict[str, Origin] = {}  # media ID → where what `prepare` left for the next answer came from
        self._load_seconds = time.perf_counter() - started

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._close.close()

    def stop(self) -> None:
        """End the running answer after its current step; what was said is kept. Safe in a signal handler."""
        self._stop.set()

    @property
    def n_encodes(self) -> int:
        """How many media chunks were encoded since the engine was loaded."""
        return self._projector.n_encodes if self._projector is not None else 0

    @property
    def n_ctx_limit(self) -> int:
        """Tokens the context can grow to."""
        return self._room.limit

    def generate(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        on_progress: OnProgress | None = None,
        *,
        least: int = 1,
    ) -> Iterator[Piece]:
        """Answer the last message; the final Piece carries the Answer with its receipts and usage.

        ContextFull where the context has no room for the messages and `least` tokens of an answer.
        """
        sampling = sampling or Sampling()
        usage = Usage(seconds={"load": self._load_seconds})
        self._load_seconds = 0.0  # told once
        encoded = self.n_encodes
        media = [medium for message in messages for medium in message.media]
        with ExitStack() as close:
            # 1 render the template: text, with a medium between each two segments
            prompt = self._template.render(messages, think=sampling.think)
            voice = Voice(self._weights, prompt, sampling, _seed(sampling), usage)
            close.callback(voice.close)
            # 2 tokenize, 3 make room, 4 reuse what is there
            current = self._begun(prompt, media, usage, close, sampling.max_tokens, least)
            ids = [medium.id for medium in media]
            self._book.add(prompt, ids, current.cells, answer=None)
            usage.prompt_tokens, usage.reused_tokens = current.n_tokens, self._cache.n_tokens
            self._explain(prompt, current)
            # 5 prefill the rest
            report = on_progress or _unreported
            ready = self._cache.prefill(current, self._projector, usage, report, self._stop.is_set)
            usage.n_encodes = self.n_encodes - encoded
            # 6 decode
            if ready:
                yield from decode(self._cache, voice, usage, self._stop.is_set)
                self._book.add(prompt, ids, [*current.cells, *voice.tokens], answer=self._text(voice.tokens))
            self._stop.clear()
        n_ctx, n_past = self._cache.context.n_ctx, self._cache.n_tokens
        told = self._answer(messages, current, voice, usage, n_ctx, n_past)
        self._prepared.clear()
        yield Piece("", answer=told)

    def prepare(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        *,
        paused: Callable[[], bool],
        dropped: Callable[[], bool],
    ) -> None:
        """Compute everything up to the last medium of these messages, ahead of the question that will end them.

        In any thread, while nobody else uses this engine. What comes after the last medium does not matter. Ends after
        the current step when it is `paused`; when it is `dropped`, at once but for an encode. `generate` finds what
        was computed if its messages begin in the same way. MmcliError as from `generate`.
        """
        sampling = sampling or Sampling()
        media = [medium for message in messages for medium in message.media]
        if not media or paused() or dropped():
            return
        usage = Usage()
        with ExitStack() as close:
            prompt = self._template.render(messages, think=sampling.think)
            current = self._begun(prompt, media, usage, close, sampling.max_tokens + ROOM_FOR_WORDS, 1)
            fresh = range(current.reused, current.after_media)
            end = current.after_media
            self._cache.prefill(current, self._projector, usage, _unreported, dropped, end=end, paused=paused)
            for place, cell in enumerate(self._cache.cells[:end]):
                if isinstance(cell, kv.MediaCells) and place in fresh:
                    self._prepared[cell.media_id] = current.origin(place)

    def _begun(
        self,
        prompt: Prompt,
        media: Sequence[Image | Audio],
        usage: Usage,
        close: ExitStack,
        max_tokens: int,
        least: int,
    ) -> plan.Plan:
        """The prompt as cells, in a context with room for it that holds the first of them already."""
        # 2 tokenize; or recall what was computed in this talk, or from disk what was in another
        key, ids = self._key(prompt, media, self._weights.device), [medium.id for medium in media]
        beginning = self._book.look_up(prompt, ids)
        with usage.timed("restore"):
            record = self._cache.load(key) if media else None
        if record is not None:
            current = plan.from_record(record, prompt, self._weights, key)
        else:
            current = self._tokenize(prompt, media, key, usage, close, beginning=beginning)
        # 3 make room
        self._cache.fit(current, self._projector, max_tokens, least)
        # 4 reuse the longest common prefix
        with usage.timed("restore"):
            accepted = self._cache.reuse(current, record)
        if not accepted or current.needs_more_than(len(self._cache.cells)):
            current = self._tokenize(prompt, media, key, usage, close)
            self._cache.fit(current, self._projector, max_tokens, least)
            self._cache.reuse(current, None)
        if media and (beginning is None or beginning.n_media < len(media)):
            self._book.add_media(prompt, ids, [*current.cells[: current.after_media], *current.suffix])
        return current

    def generate_many(
        self,
        requests: Iterable[Sequence[Message]],
        sampling: Sampling | None = None,
        *,
        parallel: int | None = None,
        expected: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[tuple[int, Piece]]:
        """Answer many conversations at once; yield (index of the request, Piece) as they come.

        `requests` is taken from in a thread of its own, never more of it than there are free places for and one ahead;
        it may block. The last Piece of each request carries its Answer, or the `error` why there is none: that ends no
        other. `parallel` answers are written at once, by default as many as `bearable` says; all their places are made
        at the start, but no more than requests are `expected`: how many will come at most, where that is known. After
        `stop` the answers that were begun end as `interrupted`, and requests that were not begun get no Piece.
        """
        sampling = sampling or Sampling()
        cores = Cores(self._threads, min(self._options.encoder_threads, self._threads))
        many = Many(
            self._weights,
            lambda: self._projector,
            self._room,
            sampling,
            cores=cores,
            parallel=parallel,
            expected=expected,
            interrupted=self._stop.is_set,
            on_notice=self._options.on_notice,
            report=on_progress or _unreported,
        )

        def conclude(request: Request, voice: Voice, n_ctx: int, n_past: int) -> Answer:
            return self._answer(request.messages, request.plan, voice, request.usage, n_ctx, n_past)

        yield from many.run(requests, partial(self._prepare, sampling, cores), conclude)
        self._stop.clear()

    def bearable(self, n_tokens: int) -> int:
        """How many conversations of `n_tokens` each, prompt and answer, this machine bears at once (see many.py)."""
        gpu = self._weights.device != "CPU"
        return bearable(self._room.wanted(n_tokens, 0), self._room.affordable, self._threads, gpu=gpu)

    def _prepare(self, sampling: Sampling, cores: Cores, index: int, messages: Sequence[Message]) -> Request:
        """A request as chunks and cells; what is wrong with it is kept in it."""
        request = Request(index, messages, seed=_seed(sampling))
        media = [medium for message in messages for medium in message.media]
        try:
            request.prompt = self._template.render(messages, think=sampling.think)
            request.plan = self._tokenize(request.prompt, media, None, request.usage, request.close, cores.encoder)
            if cores.encoder and self._projector is not None:
                for place, chunk in request.plan.chunks.items():
                    with cores.encoding(), request.usage.timed("encode"):
                        request.embeddings[place] = self._projector.encode_apart(chunk)
                    request.usage.n_encodes += 1
        except MmcliError as error:
            request.error = error
        else:
            self._explain(request.prompt, request.plan)
        return request

    def _answer(
        self, messages: Sequence[Message], current: plan.Plan, voice: Voice, usage: Usage, n_ctx: int, n_past: int
    ) -> Answer:
        return Answer(
            text="".join(voice.answer),
            reasoning="".join(voice.reasoning),
            finish_reason=voice.finish_reason,
            seen=plan.seen(current, messages, self._weights, self._prepared),
            usage=usage,
            model=self.name,
            weights=self._identity[0],
            projector=self._identity[1],
            device=self._weights.device,
            n_ctx=n_ctx,
            n_past=n_past,
            seed=voice.seed,
        )

    def _key(self, prompt: Prompt, media: Sequence[Image | Audio], device: str) -> str:
        """The name on disk of everything up to the last medium: whatever could change its KV cells is in it."""
        weights, projector = self._identity
        engine = (weights, str(projector), mtmd.version(), device, "f16", self._options.detail)
        return kv.Store.key(engine, prompt.segments[: len(media)], [medium.id for medium in media])

    def _tokenize(
        self,
        prompt: Prompt,
        media: Sequence[Image | Audio],
        key: str | None,
        usage: Usage,
        close: ExitStack,
        threads: int = 0,
        beginning: Beginning | None = None,
    ) -> plan.Plan:
        """The prompt as cells; of what `beginning` knows, nothing is tokenized and no picture looked at again."""
        first = beginning.n_media if beginning else 0
        if beginning:
            prompt, media = Prompt(beginning.rest), media[first:]
        if not media:
            with usage.timed("tokenize"):
                rest = plan.from_text(prompt, self._weights, is_start=not beginning)
        else:
            projector = self._ready_projector(media, usage, threads or self._threads)
            with usage.timed("tokenize"):
                chunks = projector.tokenize(prompt.segments, media, add_special=not beginning)
                close.callback(chunks.close)
                rest = plan.from_chunks(chunks, prompt, media, self._weights, key, first)
        return rest.after(beginning.cells) if beginning else rest

    def _opens_apart(self, text: str) -> bool:
        """Whether a control token stands at the beginning of this text."""
        tokens = self._weights.tokenize(text, add_special=False)
        return bool(tokens) and not self._weights.piece(tokens[0])

    def _text(self, tokens: Sequence[int]) -> str:
        """The tokens of an answer as text, as a template would have to repeat it."""
        return b"".join(map(self._weights.piece, tokens)).decode("utf-8", "replace")

    def _ready_projector(self, media: Sequence[Image | Audio], usage: Usage, threads: int) -> mtmd.Projector:
        """The projector, loaded when the first medium needs it, and able to take these media."""
        if self._projector_path is None:
            raise ModelError(
                f"`{self.name}` has no projector, so it can neither see nor hear",
                hint="give the projector published beside the weights with --mmproj FILE",
            )
        if self._projector is None and self._beside is not None:
            with usage.timed("load"):
                self._projector = self._beside.take()
        if self._projector is None or self._projector.threads != threads:
            encoded = self.n_encodes
            self._close_projector()
            with usage.timed("load"):
                self._projector = self._load_projector(self._weights, threads)
            self._projector.n_encodes = encoded
        projector = self._projector
        for medium in media:
            if isinstance(medium, Image) and not projector.sees:
                raise ModelError(f"`{self.name}` hears but cannot see", hint="choose a model with vision")
            if isinstance(medium, Audio) and not projector.hears:
                raise ModelError(f"`{self.name}` sees but cannot hear", hint="choose a model with audio")
            if isinstance(medium, Audio) and medium.sample_rate != projector.sample_rate:
                raise ModelError(f"`{self.name}` hears at {projector.sample_rate} Hz, not at {medium.sample_rate}")
        return projector

    def _load_projector(self, weights: mtmd.Weights, threads: int) -> mtmd.Projector:
        assert self._projector_path is not None
        low, high = DETAIL[self._options.detail]
        on_gpu = weights.device != "CPU"
        return mtmd.Projector(
            self._projector_path, weights, threads=threads, use_gpu=on_gpu, min_tokens=low, max_tokens=high
        )

    def _load_beside(self, header: mtmd.Weights, messages: Sequence[Message], think: bool) -> mtmd.Projector | None:
        """The projector, if what is asked first needs it: not if it has no media, or these are on disk, computed."""
        media = [medium for message in messages for medium in message.media]
        prompt = self._load_template(header).render(messages, think=think)
        if not media or (self._store is not None and self._store.has(self._key(prompt, media, header.device))):
            return None
        return self._load_projector(header, self._threads)

    def _affordable(self, free: int, files: int, *, mapped: bool) -> int:
        """Tokens of context that `free` bytes hold beside files of `files` bytes; models/fit.py tells people the same.

        Mapped weights can be read again: up to a quarter goes to the context even at their expense.
        """
        fixed, token = self._options.fixed_bytes, self._options.token_bytes
        taken = files + SPARE_MEMORY if fixed is None else fixed
        spare = max(free - taken, free // 4 if mapped else 0)
        return max(256, spare // max(1, token or self._weights.kv_bytes_per_token()) // 256 * 256)

    def _close_projector(self) -> None:
        if self._projector is not None:
            self._projector.close()
        self._projector = None

    def _load_weights(self, path: Path, on_progress: OnProgress | None) -> mtmd.Weights:
        def report(done: int, total: int) -> bool:
            if on_progress is not None:
                on_progress("load", done, total)
            return not self._stop.is_set()

        mtmd.native()
        mtmd.log.listener = self._options.on_debug
        layers = mtmd.ALL_LAYERS if self._options.gpu_layers is None else self._options.gpu_layers
        if not mtmd.can_offload():
            if self._options.gpu_layers:
                self._options.on_notice("this llama-cpp-python was built without a GPU backend: running on the CPU")
            layers = 0
        try:
            weights = mtmd.Weights(path, gpu_layers=layers, on_progress=report)
        except ModelError:
            if self._stop.is_set():
                raise KeyboardInterrupt from None
            if layers == 0:
                raise
            self._options.on_notice("the GPU could not take the model: running on the CPU")
            weights = mtmd.Weights(path, gpu_layers=0, on_progress=report)
        self._close.callback(weights.close)
        return weights

    def _load_template(self, weights: mtmd.Weights) -> Template:
        chatml = len(weights.tokenize("<|im_end|>", add_special=False)) == 1
        return Template(
            weights.chat_template(),
            bos=weights.special("bos"),
            eos=weights.special("eos"),
            adds_bos=weights.add_bos,
            is_special=weights.has_control,
            chatml=chatml,
            media_newline=self._options.media_newline,
            kwargs=self._options.template_kwargs,
        )

    def _explain(self, prompt: Prompt, current: plan.Plan) -> None:
        """What --debug shows of this prompt: the rendered text and the chunk table."""
        if self._options.on_debug is not None:
            self._options.on_debug(f"prompt: {prompt.text!r}")
            for line in plan.table(current):
                self._options.on_debug(f"chunk: {line}")
