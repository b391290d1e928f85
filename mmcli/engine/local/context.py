"""The forward pass: llama.cpp's context with its KV cache, and the sampler.

Positions, and what the cells of a sequence mean, are the caller's business.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mmcli.engine.local.bindings import log, native
from mmcli.engine.local.cpu_affinity import placement
from mmcli.engine.local.mtmd import Chunk, Projector, Weights
from mmcli.errors import ResourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


BRANCH_ROWS = (
    63  # tokens in a forward pass over branches; from 64 on llama.cpp computes attention in tiles, less exactly
)


class Interrupted(Exception):
    """A forward pass was given up because `Context.abort_when` said so. Not an error: never leaves engine/."""


class Row(NamedTuple):
    """One token of a forward pass: where it goes, and whether its logits are wanted."""

    token: int
    pos: int
    seq: int = 0
    logits: bool = False


class BranchRow(NamedTuple):
    """One token of a forward pass that several sequences go on with; its logits are wanted."""

    token: int
    pos: int
    seqs: tuple[int, ...]


class Context:
    """A KV cache of `n_seq` sequences, and the forward pass over it.

    Each sequence has cells of its own (a stream, as llama.cpp calls it), so what one holds changes no bit of what
    another computes: with cells shared by all, sums would run over them in another order. With `branches`, there is one
    sequence instead, that can go on in so many ways at once: they share its cells, and have numbers from 1 on.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        n_ctx: int,
        n_ubatch: int,
        threads: int,
        offload: bool,
        n_seq: int = 1,
        branches: int = 0,
        embeddings: bool = False,
    ) -> None:
        """`n_ctx` tokens for each sequence, `n_ubatch` tokens in one forward pass; `embeddings`: keep hidden states."""
        assert n_seq == 1 or not branches
        llama, _ = native()
        self._llama = llama
        params = llama.llama_context_default_params()
        params.n_ctx = n_ctx * n_seq
        params.n_seq_max = n_seq + branches
        params.kv_unified = branches > 0
        params.n_batch = params.n_ubatch = n_ubatch
        # Logits of one token a sequence at a time: by default there is room for n_batch rows of the vocabulary.
        params.n_outputs_max = n_ubatch if embeddings else max(BRANCH_ROWS, 1 + branches) if branches else n_seq
        params.embeddings = embeddings
        params.n_threads = params.n_threads_batch = self._threads = threads
        params.offload_kqv = params.op_offload = offload
        params.no_perf = True
        self.handle = llama.llama_init_from_model(weights.handle, params)
        if not self.handle:
            raise ResourceError(
                f"not enough memory for a context of {n_ctx * n_seq} tokens:"
                f" {log.last_error() or 'llama.cpp gave no reason'}",
                hint="a smaller --ctx-size needs less",
            )
        self.n_ctx: int = llama.llama_n_ctx_seq(self.handle)
        self.n_seq, self.branches, self.n_batch = n_seq, branches, n_ubatch
        self.n_vocab: int = llama.llama_vocab_n_tokens(weights.vocab)
        self._memory = llama.llama_get_memory(self.handle)
        self._batch = llama.llama_batch_init(n_ubatch, 0, 1)
        for i in range(n_ubatch):
            self._batch.n_seq_id[i] = 1
        self._branch_batch = llama.llama_batch_init(BRANCH_ROWS, 0, branches) if branches else None

    def close(self) -> None:
        self._llama.llama_batch_free(self._batch)
        if self._branch_batch is not None:
            self._llama.llama_batch_free(self._branch_batch)
        self._llama.llama_free(self.handle)

    def use_threads(self, threads: int) -> None:
        """How many threads the next forward passes take."""
        self._llama.llama_set_n_threads(self.handle, threads, threads)

    def decode(self, tokens: Sequence[int], pos: int, *, logits: bool = True) -> None:
        """One forward pass over at most `n_batch` tokens at positions pos, pos + 1, …; logits of the last if wanted."""
        last = len(tokens) - 1
        self.decode_rows([Row(token, pos + i, 0, logits and i == last) for i, token in enumerate(tokens)])

    def decode_rows(self, rows: Sequence[Row]) -> None:
        """One forward pass over at most `n_batch` tokens of any sequences, those of one in order.

        llama.cpp takes sequences together as long as each has tokens left and their numbers follow one another.
        """
        batch = self._batch
        for i, (token, pos, seq, logits) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.seq_id[i][0], batch.logits[i] = token, pos, seq, logits
        batch.n_tokens = len(rows)
        placement.look(self._threads)
        self._check(self._llama.llama_decode(self.handle, batch))

    def branch(self, n: int) -> None:
        """Let the sequences 1 to n hold what sequence 0 does; nothing is copied."""
        for seq in range(1, n + 1):
            self._llama.llama_memory_seq_cp(self._memory, 0, seq, -1, -1)

    def decode_branches(self, rows: Sequence[BranchRow]) -> None:
        """One forward pass over at most BRANCH_ROWS tokens of branches, those of one in order."""
        batch = self._branch_batch
        assert batch is not None
        for i, (token, pos, seqs) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, pos, len(seqs), True
            for k, seq in enumerate(seqs):
                batch.seq_id[i][k] = seq
        batch.n_tokens = len(rows)
        placement.look(self._threads)
        self._check(self._llama.llama_decode(self.handle, batch))

    def decode_media(self, projector: Projector, chunk: Chunk, embeddings: Any, pos: int, seq: int = 0) -> None:
        """The forward pass over one medium's embeddings, starting at position `pos` of a sequence."""
        _, mtmd = native()
        after = self._llama.llama_pos(pos)
        no_callback = mtmd.mtmd_helper_post_decode_callback()
        placement.look(self._threads)
        status = mtmd.mtmd_helper_decode_image_chunk(
            projector.handle,
            self.handle,
            chunk.handle,
            embeddings,
            pos,
            seq,
            self.n_batch,
            ctypes.byref(after),
            no_callback,
            None,
        )
        self._check(status)

    def log_probs(self, row: int = -1) -> NDArray[np.float32]:
        """Logarithms of the probabilities of the token after a row of the last forward pass: (n_vocab,)."""
        import numpy as np

        logits = np.ctypeslib.as_array(self._llama.llama_get_logits_ith(self.handle, row), (self.n_vocab,))
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum(dtype=np.float64)).astype(np.float32))

    def synchronize(self) -> None:
        """Wait until what was decoded is computed: a GPU may still be at it when `decode` returns."""
        self._llama.llama_synchronize(self.handle)

    @contextmanager
    def abort_when(self, wanted: Callable[[], bool]) -> Iterator[None]:
        """While inside, a forward pass on the CPU asks `wanted` at each node, and raises Interrupted when asked to.

        For prefills, which take seconds; a step of decoding is short, and too short to be asked that often.
        """
        llama = self._llama
        callback = llama.ggml_abort_callback(lambda data: wanted())
        llama.llama_set_abort_callback(self.handle, callback, None)
        try:
            yield
        finally:
            llama.llama_set_abort_callback(self.handle, llama.ggml_abort_callback(), None)

    def _check(self, status: int) -> None:
        if status == 0:
            return
        if status == 2:  # llama.h: aborted
            raise Interrupted
        raise ResourceError(
            f"llama.cpp could not run the model (status {status}): {log.last_error() or 'no reason given'}",
            hint="a smaller --ctx-size, or fewer or smaller inputs, need less memory",
        )

    def forget_from(self, pos: int, seq: int = 0) -> bool:
        """Drop a sequence's positions ≥ pos; False where the model refuses (hybrid, recurrent, sliding window)."""
        llama = self._llama
        # A sliding window has already dropped what a rolled-back position would need to see.
        if 0 < pos and llama.llama_memory_seq_pos_min(self._memory, seq) > 0:
            return False
        return bool(llama.llama_memory_seq_rm(self._memory, seq, pos, -1))

    def forget(self, seq: int) -> None:
        """Drop everything a sequence holds; no model refuses that."""
        self._llama.llama_memory_seq_rm(self._memory, seq, -1, -1)

    def copy(self, source: int, target: int) -> None:
        """Make one sequence hold what another does: its cells are copied with the next forward pass."""
        self.forget(target)
        self._llama.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def clear(self) -> None:
        self._llama.llama_memory_clear(self._memory, True)

    def state(self) -> bytearray:
        """The sequence's KV cells as llama.cpp serialises them."""
        size = self._llama.llama_state_seq_get_size(self.handle, 0)
        buffer = bytearray(size)
        view = (ctypes.c_uint8 * size).from_buffer(buffer)
        written = self._llama.llama_state_seq_get_data(self.handle, view, size, 0)
        del view
        assert written == size, f"{written} of {size} bytes of state written"
        return buffer

    def restore(self, state: bytearray | memoryview) -> bool:
        """Put a `state()` back into an empty cache; False where llama.cpp refuses it."""
        view = (ctypes.c_uint8 * len(state)).from_buffer(state)
        read = self._llama.llama_state_seq_set_data(self.handle, view, len(state), 0)
        del view
        return bool(read)


@dataclass(frozen=True)
class Dry:
    """How DRY counts against repetitions; see messages.Sampling."""

    multiplier: float
    base: float
    allowed_length: int
    last_n: int


# A repetition ends with these: llama.cpp's own, as its programs have them.
DRY_BREAKERS = (b"\n", b":", b'"', b"*")


class Sampler:
    """Logits → token, by llama.cpp's own chain of filters."""

    def __init__(
        self,
        weights: Weights,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repeat_penalty: float,
        seed: int,
        dry: Dry | None = None,
        banned: Sequence[int] = (),
    ) -> None:
        llama, _ = native()
        self._llama = llama
        self._greedy = temperature <= 0 and repeat_penalty == 1.0 and dry is None
        self.handle = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        self.refused = False  # whether what was chosen freely last was not allowed
        n_vocab = llama.llama_vocab_n_tokens(weights.vocab)
        if banned:
            never = (llama.llama_logit_bias * len(banned))(*((token, -math.inf) for token in banned))
            self._add(llama.llama_sampler_init_logit_bias(n_vocab, len(banned), never))
        if repeat_penalty != 1.0:
            self._add(llama.llama_sampler_init_penalties(n_vocab, 64, repeat_penalty, 0.0, 0.0))
        if dry is not None:
            breakers = (ctypes.c_char_p * len(DRY_BREAKERS))(*DRY_BREAKERS)
            limits = (dry.multiplier, dry.base, dry.allowed_length, dry.last_n)
            self._add(llama.llama_sampler_init_dry(weights.vocab, *limits, breakers, len(DRY_BREAKERS)))
        if temperature <= 0:
            self._add(llama.llama_sampler_init_greedy())
            return
        if top_k > 0:
            self._add(llama.llama_sampler_init_top_k(top_k))
        if top_p < 1:
            self._add(llama.llama_sampler_init_top_p(top_p, 1))
        if min_p > 0:
            self._add(llama.llama_sampler_init_min_p(min_p, 1))
        self._add(llama.llama_sampler_init_temp(temperature))
        self._add(llama.llama_sampler_init_dist(seed))

    def _add(self, sampler: Any) -> None:
        self._llama.llama_sampler_chain_add(self.handle, sampler)

    def sample(self, context: Context, row: int = -1) -> int:
        """The next token after row `row` of the last forward pass (accepted: penalties see it)."""
        # The likeliest token needs no list of candidates: with 32,000 of them that is 0.1 ms for each answer and step.
        # numpy is here as soon as a picture is; text alone does not wait for its import.
        if self._greedy and (numpy := sys.modules.get("numpy")) is not None:
            logits = self._llama.llama_get_logits_ith(context.handle, row)
            return int(numpy.ctypeslib.as_array(logits, (context.n_vocab,)).argmax())
        return int(self._llama.llama_sampler_sample(self.handle, context.handle, row))

    def choose(
        self, context: Context, row: int, allows: Callable[[int], bool], mask: Callable[[int], NDArray[np.bool_]]
    ) -> int:
        """The next token after that row: the one that is chosen freely where `allows` says so, else one of the mask's.

        `mask(n_vocab)` is (n_vocab,) and has at least one True. Penalties see only the token that was taken.
        """
        import numpy as np

        logits = np.ctypeslib.as_array(self._llama.llama_get_logits_ith(context.handle, row), (context.n_vocab,))
        token = self._pick(logits)
        self.refused = not allows(token)
        if self.refused:
            token = self._pick(np.where(mask(context.n_vocab), logits, -np.inf).astype(np.float32))
        self._llama.llama_sampler_accept(self.handle, token)
        return token

    def _pick(self, logits: NDArray[np.float32]) -> int:
        import numpy as np

        if self._greedy:
            return int(logits.argmax())
        llama = self._llama
        table = np.zeros(len(logits), np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)]))
        table["id"], table["logit"] = np.arange(len(logits)), logits
        candidates = llama.llama_token_data_array(
            data=ctypes.cast(table.ctypes.data, llama.llama_token_data_p), size=len(table), selected=-1, sorted=False
        )
        llama.llama_sampler_apply(self.handle, ctypes.byref(candidates))
        return int(candidates.data[candidates.selected].id)

    def close(self) -> None:
        self._llama.llama_sampler_free(self.handle)
