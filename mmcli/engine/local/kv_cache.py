"""The KV cache of one conversation: makes room, reuses prefixes from memory and disk, computes the rest.

Knows cells and llama.cpp's context; knows no messages and no text. What it holds is an optimisation: the
conversation itself lives with its caller.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmcli.engine.local import kv_cells, mtmd
from mmcli.engine.local.context import Context, Interrupted
from mmcli.engine.local.projector_loader import Encoded
from mmcli.engine.local.prompt_plan import Plan
from mmcli.engine.messages import OnProgress, Usage
from mmcli.errors import ContextFull, InputError, ResourceError

N_UBATCH = 512  # tokens in one forward pass of a prefill; llama.cpp's own default
WORTH_SAVING = 0.3  # seconds: a prefix that took less is computed again rather than stored
HEADS = (4096, 512, 64)  # tokens at the beginning of a text by which it is found again on disk
LEAST_HEAD = 128  # tokens: less text is computed again rather than stored or restored
EMBEDDINGS_BYTES = 256 << 20  # of media that were encoded: a 7B model's picture of 576 tokens takes 9 MB


@dataclass
class ContextRoom:
    """How large a context may become."""

    n_ctx: int | None  # what the user asked for; None: as the prompt needs
    n_ctx_train: int
    affordable: int  # tokens whose KV cells fit into memory

    @property
    def limit(self) -> int:
        return self.n_ctx or min(self.n_ctx_train or self.affordable, self.affordable)

    def wanted(self, n_prompt: int, max_tokens: int, least: int = 1) -> int:
        """Tokens of the context that a prompt and its answer need; ContextFull with the numbers where none can do.

        `least` is what the answer must have room for.
        """
        if self.limit > self.affordable:
            raise ResourceError(
                f"not enough memory for a context of {self.limit} tokens: this machine has room for {self.affordable}",
                hint="leave --ctx-size out: the context is then as large as the prompt needs",
            )
        if n_prompt + least > self.limit:
            room = f" and an answer {least}" if least > 1 else ""
            raise ContextFull(
                f"the prompt takes {n_prompt} tokens{room}, but the context holds only {self.limit}"
                f" (the model was trained on {self.n_ctx_train}, memory allows {self.affordable})",
                hint="give fewer or smaller inputs (--detail low), or a larger --ctx-size",
            )
        return self.n_ctx or min(self.limit, -(-(n_prompt + max_tokens) // 256) * 256)


class Cache:
    """One sequence. `cells` says what llama.cpp's cache holds at any moment."""

    def __init__(
        self,
        weights: mtmd.Weights,
        room: ContextRoom,
        *,
        threads: int,
        store: kv_cells.PrefixStore | None,
        worth_saving: float,
        head_key: Callable[[Sequence[int]], str],
        encoded: Callable[[], list[Encoded]],
        on_notice: Callable[[str], None],
    ) -> None:
        """`encoded` tells once, and waits for, what was encoded before there was a cache.

        `head_key`: the name in the store of a text that begins with these tokens.
        """
        self._weights, self._room, self._threads = weights, room, threads
        self._store, self._worth_saving, self._on_notice = store, worth_saving, on_notice
        self._encoded, self._head_key = encoded, head_key
        self._context: Context | None = None
        self._embeddings: OrderedDict[tuple[str, int], tuple[int, Any]] = OrderedDict()  # bytes, of media used last
        self.cells: list[kv_cells.Cell] = []
        self.reused = kv_cells.Reuse()  # of the prompt that `reuse` was called for last
        self._restored_from: str | None = None  # the name in the store of what it was restored from

    def close(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context = None

    @property
    def context(self) -> Context:
        assert self._context is not None, "fit() comes first"
        return self._context

    @property
    def can_forget(self) -> bool:
        """Whether `forget_behind` works for this model."""
        return self._weights.can_forget

    @property
    def n_tokens(self) -> int:
        return kv_cells.n_tokens(self.cells)

    def load(self, key: str) -> kv_cells.PrefixRecord | None:
        """A stored prefix, if a store is kept, has it, and memory does not hold something better."""
        if self._store is None or self.cells:
            return None
        try:
            return self._store.load(key)
        except OSError as error:
            self._on_notice(f"cannot read the KV cache on disk: {error.strerror or error}")
            return None

    def fit(self, plan: Plan, max_tokens: int, least: int = 1, branches: int = 0) -> None:
        """A context large enough for prompt and answer; ContextFull with the numbers where `least` has no room.

        It can go on in `branches` ways at once; one that can do more stays as it is.
        """
        wanted, limit = self._room.wanted(plan.n_tokens, max_tokens, least), self._room.limit
        # Media whose tokens see each other both ways must go through in one piece.
        n_ubatch = max(N_UBATCH, plan.whole)
        old = self._context
        if old is not None and old.n_ctx >= wanted and old.n_batch >= n_ubatch and old.branches >= branches:
            return
        state = None
        if old is not None:
            branches = max(branches, old.branches)
            if old.n_ctx < wanted:
                wanted = min(limit, max(wanted, 2 * old.n_ctx))  # a growing talk doubles, so that it rarely moves
            wanted = max(wanted, old.n_ctx)
            state = old.state() if self.cells else None
            self.close()
        self._context = Context(
            self._weights,
            n_ctx=wanted,
            n_ubatch=n_ubatch,
            threads=self._threads,
            offload=self._weights.device != "CPU",
            branches=branches,
        )
        if state is not None and not self._context.restore(state):
            self._clear()

    def reuse(self, plan: Plan, record: kv_cells.PrefixRecord | None) -> bool:
        """Keep what the plan begins with, from memory or from `record`; False where llama.cpp refused the record."""
        # The last token is always computed: its logits are where the answer starts.
        same = min(kv_cells.common_prefix(self.cells, plan.cells), len(plan.cells) - 1)
        if same < len(self.cells):
            if same and self.context.forget_from(kv_cells.n_pos(self.cells[:same])):
                del self.cells[same:]
            else:  # hybrid and recurrent models refuse partial removal
                self._clear()
        self.reused = kv_cells.Reuse(in_memory=len(self.cells))
        if record is None:
            if not self.cells:
                self._recall_head(plan)
            return True
        self._clear()
        self.reused = kv_cells.Reuse()
        if not self.context.restore(record.state):
            self._clear()
            if self._store is not None and plan.key is not None:
                self._store.remove(plan.key)
            return False
        self._is_restored(record, plan.key)
        return True

    def _is_restored(self, record: kv_cells.PrefixRecord, key: str | None, n_cells: int | None = None) -> None:
        """The context holds the record now; of its cells, only the first `n_cells` are kept."""
        self.cells = list(record.cells)
        self.forget_behind(len(self.cells) if n_cells is None else n_cells)
        self.reused, self._restored_from = kv_cells.Reuse(from_disk=len(self.cells)), key

    def _recall_head(self, plan: Plan) -> None:
        """Restore from disk what the prompt begins with as text: a system prompt, a long text, a talk so far."""
        if self._store is None:
            return
        head = kv_cells.text_run(plan.cells, 0, len(plan.cells))
        for size in HEADS:
            if len(head) < max(size, LEAST_HEAD):
                continue
            key = self._head_key(head[:size])
            stored = self._store.cells(key)
            if stored is None or len(stored) > self.context.n_ctx:
                continue
            same = self._batch_end(plan, head, min(kv_cells.common_prefix(stored, plan.cells), len(plan.cells) - 1))
            # A large file for little of it is not worth reading; some models take all of it or nothing.
            if same < max(LEAST_HEAD, len(stored) // 4) or (same < len(stored) and not self.can_forget):
                continue
            try:
                record = self._store.load(key)
            except OSError:
                record = None
            if record is None or record.cells != stored:
                continue
            if not self.context.restore(record.state):
                self._clear()
                self._store.remove(key)
                continue
            self._is_restored(record, key, same)
            return

    def _batch_end(self, plan: Plan, head: Sequence[int], n_tokens: int) -> int:
        """The last place up to `n_tokens` where a batch ends that begins with the prompt: the sums go on as they would.

        Whoever goes on elsewhere gets slightly different numbers, and sometimes other words.
        """
        if plan.chunks and n_tokens >= len(head):  # a medium follows, and no batch goes across that
            return len(head)
        return n_tokens // self.context.n_batch * self.context.n_batch

    def _new_head(self, plan: Plan, end: int) -> list[int]:
        """The text at the prompt's beginning that is worth keeping once it is computed; empty where there is none."""
        if self._store is None:
            return []
        head = kv_cells.text_run(plan.cells, 0, len(plan.cells))
        head = head[: self._batch_end(plan, head, min(end, len(plan.cells) - 1))]
        return head if len(head) - len(self.cells) >= LEAST_HEAD else []

    def _save_head(self, head: Sequence[int]) -> None:
        """Keep the text at the prompt's beginning, which is all that the cache holds now."""
        size = next(size for size in HEADS if len(head) >= size)
        self._store_record(self._head_key(head[:size]), kv_cells.PrefixRecord(tuple(head), (), self.context.state()))

    def prefill(
        self,
        plan: Plan,
        projector: mtmd.Projector | None,
        usage: Usage,
        report: OnProgress,
        interrupted: Callable[[], bool],
        *,
        end: int | None = None,
        paused: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Run the rest of the plan (up to cell `end`) through the model; False when it was interrupted or paused.

        An interruption gives up a forward pass in the middle, a pause waits for the step to be done.
        """
        end = len(plan.cells) if end is None else end
        if any(place >= len(self.cells) for place in plan.chunks):
            report("encode", self.n_tokens, plan.n_tokens)
            with usage.timed("encode"):
                for key, n_bytes, embeddings in self._encoded():
                    self._keep(key, n_bytes, embeddings)
        started, unsaved = time.perf_counter(), len(self.cells) < plan.after_media
        head = self._new_head(plan, end)
        try:
            with self.context.abort_when(interrupted):
                while len(self.cells) < end:
                    if interrupted() or paused():
                        return False
                    self._step(plan, projector, usage, report)
                    if head and len(self.cells) == len(head):
                        if time.perf_counter() - started >= self._worth_saving:
                            with usage.timed("save"):
                                self._save_head(head)
                    if unsaved and len(self.cells) >= plan.after_media:
                        unsaved = False
                        if time.perf_counter() - started >= self._worth_saving:
                            with usage.timed("save"):
                                self._save(plan)
        except Interrupted:
            if not self.context.forget_from(kv_cells.n_pos(self.cells)):  # what the unfinished pass has written
                self._clear()
            return False
        except BaseException:
            self._clear()  # nobody knows which cells were written
            if self.reused.from_disk and self._store is not None and self._restored_from is not None:
                self._store.remove(self._restored_from)  # whole, but what it says does not fit what it holds
            raise
        return True

    def _step(self, plan: Plan, projector: mtmd.Projector | None, usage: Usage, report: OnProgress) -> None:
        """The next medium, or the next batch of text."""
        place, done, n_prompt = len(self.cells), self.n_tokens, plan.n_tokens
        chunk = plan.chunks.get(place)
        if chunk is not None:
            assert projector is not None
            embeddings = self._embedded(chunk)
            if embeddings is None:
                report("encode", done, n_prompt)
                with usage.timed("encode"):
                    embeddings = projector.encode_apart(chunk)
                self._keep(chunk.slice, projector.size(chunk), embeddings)
            report("prefill", done, n_prompt)
            with usage.timed("prefill"):
                self.context.decode_media(projector, chunk, embeddings, kv_cells.n_pos(self.cells))
            self.cells.append(plan.cells[place])
            return
        report("prefill", done, n_prompt)
        with usage.timed("prefill"):
            self._prefill_text(plan)

    def _embedded(self, chunk: mtmd.Chunk) -> Any | None:
        """What the encoder made of this medium before, if it is still here: a talk that moves encodes nothing twice."""
        key = chunk.slice
        if key not in self._embeddings:
            return None
        self._embeddings.move_to_end(key)
        return self._embeddings[key][1]

    def _keep(self, key: tuple[str, int], n_bytes: int, embeddings: Any) -> None:
        self._embeddings[key] = n_bytes, embeddings
        while sum(size for size, _ in self._embeddings.values()) > EMBEDDINGS_BYTES:
            self._embeddings.popitem(last=False)

    def _prefill_text(self, plan: Plan) -> None:
        """One batch of text; never across the last medium's end, where the state is saved."""
        place = len(self.cells)
        tokens = kv_cells.text_run(plan.cells, place, self.context.n_batch)
        last = place + len(tokens) == len(plan.cells)
        self.context.decode(tokens, kv_cells.n_pos(self.cells), logits=last)
        self.cells += tokens

    def _save(self, plan: Plan) -> None:
        if plan.key is not None:
            cells = tuple(plan.cells[: plan.after_media])
            self._store_record(plan.key, kv_cells.PrefixRecord(cells, plan.suffix, self.context.state()))

    def _store_record(self, key: str, record: kv_cells.PrefixRecord) -> None:
        if self._store is None:
            return
        try:
            self._store.save(key, record)
        except (OSError, InputError) as error:  # InputError: something else lies under that name
            reason = error.strerror if isinstance(error, OSError) else None
            self._on_notice(f"cannot keep the KV cache of this prompt on disk: {reason or error}")

    def advance(self, tokens: Sequence[int], position: int) -> None:
        """One step of decoding: these tokens, from `position` on."""
        try:
            for start in range(0, len(tokens), self.context.n_batch):
                self.context.decode(tokens[start : start + self.context.n_batch], position + start)
        except BaseException:
            self._clear()
            raise
        self.cells += tokens

    def forget_behind(self, n_cells: int) -> None:
        """Drop the cells behind so many, where the model lets them go."""
        if n_cells < len(self.cells) and self.context.forget_from(kv_cells.n_pos(self.cells[:n_cells])):
            del self.cells[n_cells:]

    def put_back(self, state: bytearray, n_cells: int) -> None:
        """Hold what the first `n_cells` cells held when `state` was taken of them: for models that refuse to forget."""
        cells = self.cells[:n_cells]
        self._clear()
        if not self.context.restore(state):
            raise ResourceError("llama.cpp refused the state that it gave", hint="please report this with the model")
        self.cells = cells

    def _clear(self) -> None:
        self.context.clear()
        self.cells = []
