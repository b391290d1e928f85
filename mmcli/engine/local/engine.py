"""Messages → pieces on this machine: the story of one answer. llama.cpp itself is in mtmd.py."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial, reduce
from pathlib import Path

from mmcli.engine.grammar import GrammarVocabulary, MakeMatcher
from mmcli.engine.local import kv_cells, mtmd, prompt_plan, scoring
from mmcli.engine.local.batching import BatchRequest, BatchScheduler
from mmcli.engine.local.cpu_affinity import placement
from mmcli.engine.local.decode import TokenStream, decode
from mmcli.engine.local.kv_cache import Cache
from mmcli.engine.local.loaded_model import Loaded, Options
from mmcli.engine.local.prompt_memo import Beginning, PromptMemo
from mmcli.engine.local.template import Prompt
from mmcli.engine.messages import Answer, First, Message, OnProgress, Origin, Piece, Sampling, Scores, Usage
from mmcli.errors import MmcliError, ResourceError
from mmcli.media.types import Projected

ROOM_FOR_WORDS = 256  # tokens of the question that a context has room for when it is prepared without them


def _unreported(phase: str, done: int, total: int) -> None:
    """Nobody watches."""


def _seed(sampling: Sampling) -> int:
    return secrets.randbits(32) if sampling.seed is None else sampling.seed


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
        """`first`, where it is given, will say what is asked first: its media's projector loads beside the weights."""
        self._options = options or Options()
        self.name = name or weights.stem
        self._stop = self._options.stop
        self._model = Loaded(weights, projector, self._options, name=self.name, on_progress=on_progress, first=first)
        self._weights, self._room, self._threads = self._model.weights, self._model.room, self._model.threads
        self._cache = Cache(
            self._weights,
            self._room,
            threads=self._threads,
            store=self._model.store,
            worth_saving=self._options.worth_saving,
            head_key=self._model.head_key,
            encoded=self._model.encoded,
            on_notice=self._options.on_notice,
        )
        self._book = PromptMemo(self._opens_apart)
        self._prepared: dict[str, Origin] = {}  # media ID → where what `prepare` left for the next answer came from
        self._vocabulary = GrammarVocabulary(self._weights)
        self._load_seconds = self._model.seconds

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._vocabulary.join()
        self._cache.close()
        self._model.close()

    def stop(self) -> None:
        """End the running answer after its current step; what was said is kept. Safe in a signal handler."""
        self._stop.set()

    @property
    def n_encodes(self) -> int:
        """How many media chunks were encoded since the engine was loaded."""
        return self._model.n_encodes

    @property
    def repacked(self) -> int:
        """Bytes of weights that are in memory once more, in the order this CPU computes fastest with."""
        return self._model.weights.repacked

    @property
    def _projector(self) -> mtmd.Projector | None:
        return self._model.projector

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
        self._load_seconds = 0.0  # reported once
        encoded = self.n_encodes
        media = [medium for message in messages for medium in message.media]
        with ExitStack() as close:
            close.enter_context(placement.computing())
            # 1 render the template: text, with a medium between each two segments
            prompt = self._model.prompts.render(messages, think=sampling.think)
            voice = TokenStream(self._weights, prompt, sampling, _seed(sampling), usage, self._matchers(sampling))
            close.callback(voice.close)
            # 2 tokenize, 3 make room, 4 reuse what is there, 5 prefill the rest
            current, ready = self._computed(prompt, media, usage, close, sampling.max_tokens, least, on_progress)
            usage.n_encodes = self.n_encodes - encoded
            # 6 decode
            if ready:
                yield from decode(self._cache, voice, usage, self._stop.is_set)
                self._cache.forget_behind(len(current.cells) + len(voice.tokens))  # half a character
                ids = [medium.id for medium in media]
                self._book.add(prompt, ids, [*current.cells, *voice.tokens], answer=self._text(voice.tokens))
            self._stop.clear()
        n_ctx, n_past = self._cache.context.n_ctx, self._cache.n_tokens
        told = self._answer(messages, current, self._cache.reused, voice, usage, n_ctx, n_past)
        self._prepared.clear()
        yield Piece("", answer=told)

    def score(
        self, messages: Sequence[Message], choices: Sequence[str], on_progress: OnProgress | None = None
    ) -> Scores:
        """How likely the answer to the last message is to begin with each of `choices`; the prompt is computed once.

        KeyboardInterrupt after `stop`; ContextFull where prompt and choices have no room.
        """
        usage = Usage(seconds={"load": self._load_seconds})
        self._load_seconds = 0.0  # reported once
        encoded = self.n_encodes
        media = [medium for message in messages for medium in message.media]
        with ExitStack() as close:
            close.enter_context(placement.computing())
            prompt = self._model.prompts.render(messages, think=False)
            spoken = [self._spoken(choice) for choice in choices]
            flat = [tokens for forms in spoken for tokens in forms]
            room, longest = scoring.room(flat), max(map(len, flat), default=0)
            branches = scoring.BRANCHES if self._weights.can_forget else 0
            current, ready = self._computed(prompt, media, usage, close, room, longest, on_progress, branches)
            usage.n_encodes = self.n_encodes - encoded
            scored = scoring.scores(self._cache, flat, usage, self._stop.is_set) if ready else None
            self._stop.clear()
        reused = self._cache.reused
        seen = tuple(prompt_plan.seen(current, reused, messages, self._weights, self._prepared))
        self._prepared.clear()
        if scored is None:
            raise KeyboardInterrupt
        of_forms = iter(scored)
        log_probs = tuple(reduce(scoring.log_sum, [next(of_forms) for _ in forms]) for forms in spoken)
        return Scores(log_probs, tuple(min(map(len, forms)) for forms in spoken), seen, usage)

    def _spoken(self, choice: str) -> list[list[int]]:
        """A choice as tokens, in each way that is the same answer: the space before its first word is not shown.

        Some tokenizers put one there themselves.
        """
        tokens = self._weights.tokenize(choice)
        has_space = bool(tokens) and self._weights.piece(tokens[0]).startswith(b" ")
        return [tokens] if has_space else [tokens, self._weights.tokenize(f" {choice.lstrip()}")]

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
            close.enter_context(placement.computing())
            prompt = self._model.prompts.render(messages, think=sampling.think, ahead=True)
            current = self._begun(prompt, media, usage, close, sampling.max_tokens + ROOM_FOR_WORDS, 1)
            fresh = range(self._cache.reused.in_memory, current.after_media)
            end = current.after_media
            self._cache.prefill(current, self._projector, usage, _unreported, dropped, end=end, paused=paused)
            for place, cell in enumerate(self._cache.cells[:end]):
                if isinstance(cell, kv_cells.MediaCells) and place in fresh:
                    self._prepared[cell.media_id] = self._cache.reused.origin(place)

    def warm(self) -> None:
        """Load the projector now, not with the first medium. In any thread, while nobody else uses this engine."""
        self._model.ready_projector((), Usage())

    def _computed(
        self,
        prompt: Prompt,
        media: Sequence[Projected],
        usage: Usage,
        close: ExitStack,
        max_tokens: int,
        least: int,
        on_progress: OnProgress | None,
        branches: int = 0,
    ) -> tuple[prompt_plan.Plan, bool]:
        """The prompt as cells that the cache holds; False beside them where that was interrupted."""
        while True:
            current = self._begun(prompt, media, usage, close, max_tokens, least, branches)
            self._book.add(prompt, [medium.id for medium in media], current.cells, answer=None)
            usage.prompt_tokens, usage.reused_tokens = current.n_tokens, self._cache.n_tokens
            self._explain(prompt, current, self._cache.reused)
            report = on_progress or _unreported
            try:
                return current, self._cache.prefill(current, self._projector, usage, report, self._stop.is_set)
            except ResourceError:
                if not self._cache.reused.from_disk:
                    raise
                # What was on disk does not fit, and is gone from there now: compute it.
                self._book = PromptMemo(self._opens_apart)

    def _begun(
        self,
        prompt: Prompt,
        media: Sequence[Projected],
        usage: Usage,
        close: ExitStack,
        max_tokens: int,
        least: int,
        branches: int = 0,
    ) -> prompt_plan.Plan:
        """The prompt as cells, in a context with room for it that holds the first of them already."""
        # 2 tokenize; or recall what was computed in this talk, or from disk what was in another
        key, ids = self._model.key(prompt, media, self._weights.device), [medium.id for medium in media]
        beginning = self._book.look_up(prompt, ids, self._cache.cells)
        with usage.timed("restore"):
            record = self._cache.load(key) if media else None
        if record is not None:
            current = prompt_plan.from_record(record, prompt, self._weights, key)
        else:
            current = self._tokenize(prompt, media, key, usage, close, beginning=beginning)
        # 3 make room
        self._cache.fit(current, max_tokens, least, branches)
        # 4 reuse the longest common prefix
        with usage.timed("restore"):
            accepted = self._cache.reuse(current, record)
        if not accepted or current.needs_more_than(len(self._cache.cells)):
            current = self._tokenize(prompt, media, key, usage, close)
            self._cache.fit(current, max_tokens, least, branches)
            self._cache.reuse(current, None)
        if media and (beginning is None or beginning.n_media < len(media)):
            self._book.add_media(prompt, ids, [*current.cells[: current.after_media], *current.suffix])
        return current

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of context that these messages take; nothing is encoded or computed."""
        media = [medium for message in messages for medium in message.media]
        with ExitStack() as close:
            prompt = self._model.prompts.render(messages, think=False)
            return self._tokenize(prompt, media, None, Usage(), close).n_tokens

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
        other. `parallel` answers are written at once, by default as many as `max_parallel` says; all their places are
        made at the start, but no more than requests are `expected`: how many will come at most, where that is known.
        After `stop` the answers that were begun end as `interrupted`, and requests that were not begun get no Piece.
        """
        sampling = sampling or Sampling()
        self._model.settle()  # what is encoded ahead is not used here, but encoded by the same projector
        many = BatchScheduler(
            self._weights,
            lambda: self._projector,
            self._room,
            sampling,
            threads=self._threads,
            parallel=parallel,
            expected=expected,
            interrupted=self._stop.is_set,
            on_notice=self._options.on_notice,
            report=on_progress or _unreported,
            make_matcher=self._matchers(sampling),
        )

        def conclude(request: BatchRequest, voice: TokenStream, n_ctx: int, n_past: int) -> Answer:
            return self._answer(request.messages, request.plan, request.reused, voice, request.usage, n_ctx, n_past)

        with placement.computing():
            yield from many.run(requests, partial(self._prepare, sampling), conclude)
        self._stop.clear()

    def _prepare(self, sampling: Sampling, index: int, messages: Sequence[Message]) -> BatchRequest:
        """A request as chunks and cells; what is wrong with it is kept in it."""
        request = BatchRequest(index, messages, seed=_seed(sampling))
        media = [medium for message in messages for medium in message.media]
        try:
            request.prompt = self._model.prompts.render(messages, think=sampling.think)
            request.plan = self._tokenize(request.prompt, media, None, request.usage, request.close)
        except MmcliError as error:
            request.error = error.released()
        else:
            self._explain(request.prompt, request.plan, request.reused)
        return request

    def _answer(
        self,
        messages: Sequence[Message],
        current: prompt_plan.Plan,
        reused: kv_cells.Reuse,
        voice: TokenStream,
        usage: Usage,
        n_ctx: int,
        n_past: int,
    ) -> Answer:
        return Answer(
            text="".join(voice.answer),
            reasoning="".join(voice.reasoning),
            finish_reason=voice.finish_reason,
            seen=prompt_plan.seen(current, reused, messages, self._weights, self._prepared),
            usage=usage,
            model=self.name,
            weights=self._model.identity[0],
            projector=self._model.identity[1],
            device=self._weights.device,
            n_ctx=n_ctx,
            n_past=n_past,
            seed=voice.seed,
            stopped_by=voice.stopped_by,
            chances=tuple(voice.chances),
        )

    def _tokenize(
        self,
        prompt: Prompt,
        media: Sequence[Projected],
        key: str | None,
        usage: Usage,
        close: ExitStack,
        beginning: Beginning | None = None,
    ) -> prompt_plan.Plan:
        """The prompt as cells; of what `beginning` knows, nothing is tokenized and no picture looked at again."""
        first = beginning.n_media if beginning else 0
        if beginning:
            prompt, media = Prompt(beginning.rest), media[first:]
        if not media:
            with usage.timed("tokenize"):
                rest = prompt_plan.from_text(prompt, self._weights, is_start=not beginning)
        else:
            projector = self._model.ready_projector(media, usage)
            with usage.timed("tokenize"):
                chunks = projector.tokenize(prompt.segments, media)
                close.callback(chunks.close)
                rest = prompt_plan.from_chunks(chunks, prompt, media, self._weights, key, first, is_start=not beginning)
        return rest.after(beginning.cells) if beginning else rest

    def _matchers(self, sampling: Sampling) -> MakeMatcher | None:
        """What holds answers to the schema or the grammar; None without. The vocabulary is prepared from now on."""
        if sampling.schema is None and sampling.grammar is None:
            return None
        self._vocabulary.start()
        return partial(self._vocabulary.matcher, sampling.schema, sampling.grammar)

    def _opens_apart(self, text: str) -> bool:
        """Whether a control token stands at the beginning of this text."""
        tokens = self._weights.tokenize(text)
        return bool(tokens) and not self._weights.piece(tokens[0])

    def _text(self, tokens: Sequence[int]) -> str:
        """The tokens of an answer as text, as a template would have to repeat it."""
        return b"".join(map(self._weights.piece, tokens)).decode("utf-8", "replace")

    def _explain(self, prompt: Prompt, current: prompt_plan.Plan, reused: kv_cells.Reuse) -> None:
        """What --debug shows of this prompt: the rendered text and the chunk table."""
        if self._options.on_debug is not None:
            self._options.on_debug(f"prompt: {prompt.text!r}")
            for line in prompt_plan.table(current, reused):
                self._options.on_debug(f"chunk: {line}")
