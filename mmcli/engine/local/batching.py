"""Many requests at once: places in one context, and in each forward pass the next token of every answer.

Knows cells, places and answers; what a request means (templates, receipts) is its caller's. A finished answer's place
is taken by the next request at once. What is computed for one request never depends on its neighbours: its batches are
cut in the same way, and its sums run over the same cells in the same order, whether it is alone or one of many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mmcli.engine.grammar import MakeMatcher
from mmcli.engine.local import kv_cells, mtmd
from mmcli.engine.local.context import Context, Interrupted, Row
from mmcli.engine.local.decode import TokenStream
from mmcli.engine.local.kv_cache import N_UBATCH, ContextRoom
from mmcli.engine.local.lookahead import Lookahead
from mmcli.engine.local.prompt_plan import Plan
from mmcli.engine.local.template import Prompt
from mmcli.engine.messages import Answer, Message, OnProgress, Piece, Sampling, Usage
from mmcli.errors import MmcliError

MOST = 256  # sequences llama.cpp can hold in one context (LLAMA_MAX_SEQ)
WORTH_COPYING = 8  # tokens: a shorter beginning is computed again rather than copied from another place
ALONE = 256  # cells: past them, llama.cpp cuts the attention of a lone token into one piece for each thread
PATIENCE = 5.0  # seconds: where all places take longer to fill, the first answer is given before the others begin
TOGETHER = 64  # tokens: from here on llama.cpp's attention works in tiles; shorter texts may share a forward pass


def max_parallel(n_ctx: int, affordable: int, cores: int, *, gpu: bool) -> int:
    """How many sequences of `n_ctx` tokens to run at once: what memory (`affordable` tokens in all) and cores bear.

    On a CPU sixteen rows bring nearly all that sharing the weights can; more cores want more rows to share, and so
    does a GPU. The cells take half of the memory at most: the rest is for the pictures and for others.
    """
    useful = 32 if gpu else max(16, min(32, 2 * cores))
    return max(1, min(useful, affordable // 2 // n_ctx, MOST))


@dataclass
class BatchRequest:
    """One conversation, ready to be answered; or the reason why it cannot be."""

    index: int
    messages: Sequence[Message]
    usage: Usage = field(default_factory=Usage)
    close: ExitStack = field(default_factory=ExitStack)  # frees the chunks
    prompt: Prompt | None = None
    plan: Plan = field(default_factory=Plan)
    reused: kv_cells.Reuse = field(default_factory=kv_cells.Reuse)
    embeddings: dict[int, Any] = field(default_factory=dict)  # place in the plan's cells → what was encoded ahead
    seed: int = 0
    error: MmcliError | None = None


@dataclass
class Place:
    """One sequence of the context: what its cells hold, and whose answer is being written there."""

    seq: int
    cells: list[kv_cells.Cell] = field(default_factory=list)
    request: BatchRequest | None = None
    voice: TokenStream | None = None
    position: int = 0  # of the next token
    filled: int = 0  # cells taken


Conclude: TypeAlias = Callable[[BatchRequest, TokenStream, int, int], Answer]


class BatchScheduler:
    """The places, and the loop that keeps them busy."""

    def __init__(
        self,
        weights: mtmd.Weights,
        projector: Callable[[], mtmd.Projector | None],
        room: ContextRoom,
        sampling: Sampling,
        *,
        threads: int,
        parallel: int | None,
        expected: int | None,
        interrupted: Callable[[], bool],
        on_notice: Callable[[str], None],
        report: OnProgress,
        make_matcher: MakeMatcher | None = None,
    ) -> None:
        """`make_matcher` is there where the answers have a shape."""
        self._weights, self._projector, self._room, self._sampling = weights, projector, room, sampling
        self._threads, self._interrupted = threads, interrupted
        self._parallel, self._expected = parallel, MOST if expected is None else expected
        self._on_notice, self._report, self._make_matcher = on_notice, report, make_matcher
        self._context: Context | None = None
        self._places: list[Place] = []
        self._open: int | None = None  # places to fill for now; None: all
        self._begun = False
        self._next: BatchRequest | None = None  # ready, but not in a place yet
        self._waiting: Callable[[], list[BatchRequest]] = list  # those that are ready after it

    @property
    def _running(self) -> list[Place]:
        return [place for place in self._places if place.request is not None]

    def run(
        self,
        requests: Iterable[Sequence[Message]],
        prepare: Callable[[int, Sequence[Message]], BatchRequest],
        conclude: Conclude,
    ) -> Iterator[tuple[int, Piece]]:
        """Answer all requests; `conclude(request, voice, n_ctx, n_past)` makes the Answer at the end of each."""
        ahead = Lookahead(requests, prepare)
        self._waiting = ahead.waiting
        ahead.allow(2)  # one place until the first request shows how large they must be, and one ahead
        try:
            yield from self._answer(ahead, conclude)
            for place in self._running:  # interrupted
                yield from self._conclude(place, conclude)
        finally:
            unasked = [*ahead.close(), *([self._next] if self._next is not None else [])]
            for request in unasked:
                request.close.close()
            self._close()

    def _answer(self, ahead: Lookahead[Any, BatchRequest], conclude: Conclude) -> Iterator[tuple[int, Piece]]:
        try:
            while not self._interrupted():
                # 1 give the free places to those who wait
                newcomers: list[Place] = []
                while not self._places or len(self._running) < (self._open or len(self._places)):
                    self._next = self._next or ahead.get(wait=not self._running, given_up=self._interrupted)
                    if self._next is None:
                        break
                    try:
                        if self._next.error is not None:
                            raise self._next.error
                        if not self._fit(self._next, ahead):
                            break  # it needs larger places: when the others have finished
                        newcomers.append(self._start(self._next))
                        if not self._begun:
                            self._begun, self._open = True, self._open_first(self._next.usage)
                    except MmcliError as error:
                        yield self._next.index, Piece("", error=error)
                        ahead.allow(1)
                    self._next.close.close()
                    self._next = None
                # 2 what is left of their prompts, together; then their first words
                for rows, speakers in self._tails(newcomers):
                    self._decode(rows, speakers)
                    yield from self._speak(speakers, conclude, ahead)
                # 3 the next token of everyone
                if running := self._close_gaps():
                    yield from self._step(running, conclude, ahead)
                elif self._next is None and ahead.exhausted:
                    break
        except Interrupted:
            pass

    # ── places ──

    def _open_first(self, usage: Usage) -> int | None:
        """How many places to fill at first: one where the others would hold up its answer for long."""
        seconds = usage.seconds.get("encode", 0.0) + usage.seconds.get("prefill", 0.0)
        return 1 if seconds * (len(self._places) - 1) > PATIENCE else None

    def _fit(self, request: BatchRequest, ahead: Lookahead[Any, Any]) -> bool:
        """Whether the places are large enough for a request; they are made, or made larger, when all are free."""
        wanted = self._room.wanted(request.plan.n_tokens, self._sampling.max_tokens)
        n_ubatch = max(N_UBATCH, request.plan.whole)
        old = self._context
        if old is not None:
            if old.n_ctx >= wanted and old.n_batch >= n_ubatch:
                return True
            if self._running:
                return False
            wanted, n_ubatch = max(wanted, old.n_ctx), max(n_ubatch, old.n_batch)
            self._context = None
            old.close()
        device = self._weights.device
        most = max_parallel(wanted, self._room.affordable, self._threads, gpu=device != "CPU")
        if self._parallel is not None:
            affordable = max(1, self._room.affordable // wanted)
            if min(self._parallel, self._expected) > affordable:
                self._on_notice(f"memory has room for {affordable} answers at once, not for {self._parallel}")
            most = min(self._parallel, affordable, MOST)
        most = max(1, min(most, self._expected))
        self._context = Context(
            self._weights,
            n_ctx=wanted,
            n_ubatch=n_ubatch,
            threads=self._threads,
            offload=device != "CPU",
            n_seq=most,
        )
        ahead.allow(most - max(1, len(self._places)))
        self._places = [Place(seq) for seq in range(most)]
        return True

    def _start(self, request: BatchRequest) -> Place:
        """Give a request the first free place, and compute its prompt up to the end of its last medium."""
        context, plan = self._context, request.plan
        assert context is not None and request.prompt is not None
        place = next(place for place in self._places if place.request is None)
        place.request = request
        try:
            request.reused = kv_cells.Reuse(in_memory=self._reuse(place, plan))
            request.usage.prompt_tokens, request.usage.reused_tokens = plan.n_tokens, kv_cells.n_tokens(place.cells)
            with context.abort_when(self._interrupted):
                while len(place.cells) < plan.after_media:
                    self._prefill(context, place, request)
            place.position, place.filled = kv_cells.n_pos(plan.cells), plan.n_tokens
            place.voice = self._voice(request)
        except BaseException as error:
            context.forget(place.seq)
            place.cells = []
            if not isinstance(error, Interrupted):
                place.request = None
            raise
        return place

    def _voice(self, request: BatchRequest) -> TokenStream:
        assert request.prompt is not None
        sampling, usage = self._sampling, request.usage
        return TokenStream(self._weights, request.prompt, sampling, request.seed, usage, self._make_matcher)

    def _reuse(self, place: Place, plan: Plan) -> int:
        """Keep what the place holds of the plan's beginning, or copy it from another place; return its cells.

        Only whole runs of text count, so that what is left is cut into the same batches whatever was there before.
        """
        assert self._context is not None

        def same(other: Place) -> int:
            common = kv_cells.common_prefix(other.cells, plan.cells)
            return kv_cells.boundary(plan.cells, min(common, plan.after_media))

        kept = same(place)
        donor = max(self._places, key=same)
        if kv_cells.n_tokens(plan.cells[: same(donor)]) >= kv_cells.n_tokens(plan.cells[:kept]) + WORTH_COPYING:
            self._context.copy(donor.seq, place.seq)
            place.cells, kept = list(donor.cells), same(donor)
        if kept < len(place.cells):
            if kept and self._context.forget_from(kv_cells.n_pos(plan.cells[:kept]), place.seq):
                del place.cells[kept:]
            else:  # hybrid and recurrent models refuse partial removal
                self._context.forget(place.seq)
                place.cells = []
        return len(place.cells)

    def _prefill(self, context: Context, place: Place, request: BatchRequest) -> None:
        """The next medium, or the next batch of text before one."""
        plan, usage, start = request.plan, request.usage, len(place.cells)
        position, done = kv_cells.n_pos(place.cells), kv_cells.n_tokens(place.cells)
        if start not in plan.chunks:
            tokens = kv_cells.text_run(plan.cells, start, context.n_batch)
            self._report("prefill", done, plan.n_tokens)
            context.use_threads(self._threads)
            with usage.timed("prefill"):
                context.decode_rows([Row(token, position + i, place.seq) for i, token in enumerate(tokens)])
            place.cells += tokens
            return
        projector = self._projector()
        assert projector is not None
        if start not in request.embeddings:
            self._report("encode", done, plan.n_tokens)
            self._encode(projector, request, start)
        self._report("prefill", done, plan.n_tokens)
        context.use_threads(self._threads)
        with usage.timed("prefill"):
            context.decode_media(projector, plan.chunks[start], request.embeddings[start], position, place.seq)
        del request.embeddings[start]
        place.cells.append(plan.cells[start])

    def _encode(self, projector: mtmd.Projector, request: BatchRequest, start: int) -> None:
        """The medium at this cell; with it those that come next, of those who wait too, if the model takes several."""
        wanted = [(request, cell) for cell in sorted(request.plan.chunks) if cell >= start]
        known = {cell for place in self._places for cell in place.cells} | {
            request.plan.cells[cell] for _, cell in wanted
        }
        for other in self._waiting():
            theirs = sorted(other.plan.chunks)
            wanted += [(other, cell) for cell in theirs if other.plan.cells[cell] not in known]
            known |= {other.plan.cells[cell] for cell in theirs}
        wanted = [(owner, cell) for owner, cell in wanted if cell not in owner.embeddings]
        started = time.perf_counter()
        made = projector.encode_together([owner.plan.chunks[cell] for owner, cell in wanted])
        share = (time.perf_counter() - started) / len(made)
        for (owner, cell), embeddings in zip(wanted, made, strict=False):
            owner.embeddings[cell] = embeddings
            owner.usage.add("encode", share)
            owner.usage.n_encodes += 1

    # ── steps ──

    def _tails(self, newcomers: list[Place]) -> Iterator[tuple[list[Row], list[tuple[int, Place]]]]:
        """The text after the last media as forward passes, each with the rows after which someone speaks.

        Texts of one length go together: llama.cpp takes them as they are then, and cuts none into pieces.
        """
        tails: dict[int, list[Place]] = {}
        for place in newcomers:
            assert place.request is not None
            tails.setdefault(len(place.request.plan.cells) - len(place.cells), []).append(place)
        for n, places in tails.items():
            assert self._context is not None
            together = max(1, self._context.n_batch // n) if 1 < n < TOGETHER else 1
            places.sort(key=lambda place: place.seq)
            for i in range(0, len(places), together):
                rows: list[Row] = []
                speakers = []
                for place in places[i : i + together]:
                    rows += self._tail(place)
                    speakers.append((len(rows) - 1, place))
                yield rows, speakers

    def _tail(self, place: Place) -> list[Row]:
        """The rest of one prompt, its last `n_batch` tokens at most: what comes before them is computed here."""
        context, request = self._context, place.request
        assert context is not None and request is not None
        plan = request.plan
        with context.abort_when(self._interrupted):
            while len(plan.cells) - len(place.cells) > context.n_batch:
                self._prefill(context, place, request)
        start, position = len(place.cells), kv_cells.n_pos(place.cells)
        tokens = kv_cells.text_run(plan.cells, start, context.n_batch)
        place.cells += tokens
        last = len(tokens) - 1
        return [Row(token, position + i, place.seq, i == last) for i, token in enumerate(tokens)]

    def _step(
        self, running: Sequence[Place], conclude: Conclude, ahead: Lookahead[Any, Any]
    ) -> Iterator[tuple[int, Piece]]:
        """The next token of everyone in one forward pass; several that a schema forces, in a pass of their own.

        So such a run is computed in the same way whether an answer is alone or one of many.
        """
        single = [place for place in running if place.voice is not None and len(place.voice.run) == 1]
        if single:
            speakers = list(enumerate(single))
            self._decode([self._next_rows(place)[0] for place in single], speakers)
            yield from self._speak(speakers, conclude, ahead)
        for place in running:
            if place not in single and place.voice is not None:
                yield from self._run(place, conclude, ahead)

    def _run(self, place: Place, conclude: Conclude, ahead: Lookahead[Any, Any]) -> Iterator[tuple[int, Piece]]:
        """Several tokens of one answer, and what follows them."""
        assert self._context is not None
        rows, n_batch = self._next_rows(place), self._context.n_batch
        for start in range(0, len(rows), n_batch):
            part = rows[start : start + n_batch]
            self._decode(part, [(len(part) - 1, place)], is_run=True)
        yield from self._speak([(len(part) - 1, place)], conclude, ahead)

    def _next_rows(self, place: Place) -> list[Row]:
        assert place.voice is not None
        tokens, position = place.voice.run, place.position
        place.cells += tokens
        place.position, place.filled = position + len(tokens), place.filled + len(tokens)
        last = len(tokens) - 1
        return [Row(token, position + i, place.seq, i == last) for i, token in enumerate(tokens)]

    def _close_gaps(self) -> list[Place]:
        """The running places, moved together: llama.cpp computes sequences at once whose numbers follow each other."""
        running = self._running
        for gap in self._places[: len(running)]:
            if gap.request is None:
                last = running[-1]
                assert self._context is not None
                self._context.copy(last.seq, gap.seq)
                gap.request, gap.voice, last.request, last.voice = last.request, last.voice, None, None
                gap.cells, gap.position, gap.filled = list(last.cells), last.position, last.filled
                running = self._running
        return running

    def _decode(self, rows: Sequence[Row], speakers: Sequence[tuple[int, Place]], *, is_run: bool = False) -> None:
        """One forward pass; its time is shared out among those who speak after it. `is_run`: of an answer's tokens."""
        context = self._context
        assert context is not None
        # Cut into pieces, its sums would be others than in company. With one thread there is one piece.
        alone = len(rows) == 1 and speakers[0][1].filled > ALONE and self._weights.device == "CPU"
        started = time.perf_counter()
        context.use_threads(1 if alone else self._threads)
        context.decode_rows(rows)
        share = (time.perf_counter() - started) / len(speakers)
        for _, place in speakers:
            assert place.request is not None
            place.request.usage.add("decode" if is_run or len(rows) == len(speakers) else "prefill", share)

    def _speak(
        self,
        speakers: Sequence[tuple[int, Place]],
        conclude: Conclude,
        ahead: Lookahead[Any, Any],
    ) -> Iterator[tuple[int, Piece]]:
        """Everyone's next token, from the rows of the last forward pass; an answer that has ended leaves its place."""
        context = self._context
        assert context is not None
        for row, place in speakers:
            request, voice = place.request, place.voice
            assert request is not None and voice is not None
            for piece in voice.speak(context, row, context.n_ctx - place.filled):
                yield request.index, piece
        for _, place in speakers:
            if place.voice is not None and place.voice.ended:
                yield from self._conclude(place, conclude)
                ahead.allow(1)

    def _conclude(self, place: Place, conclude: Conclude) -> Iterator[tuple[int, Piece]]:
        request, voice = place.request, place.voice
        assert request is not None and self._context is not None and request.prompt is not None
        if voice is None:  # interrupted before the first word
            voice = self._voice(request)
        place.request = place.voice = None
        self._open = None
        try:
            for piece in voice.finish():
                yield request.index, piece
            yield request.index, Piece("", answer=conclude(request, voice, self._context.n_ctx, place.filled))
        finally:
            voice.close()

    def _close(self) -> None:
        for place in self._places:
            if place.voice is not None:
                place.voice.close()
        if self._context is not None:
            self._context.close()
        self._context, self._places = None, []
