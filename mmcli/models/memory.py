"""Computes what a model takes in memory, part by part, and whether it fits. Arithmetic only.

How the figures were found. The KV cache is llama.cpp's own arithmetic, layer by layer (llama-kv-cache.cpp,
llama-memory-recurrent.cpp, llama-hparams.cpp). The compute buffers follow a rule that was measured: llama.cpp was asked
(`no_alloc`: it reckons as if it would run a model, and says so in its log) for headers in the shapes of real models, of
the architectures llama, qwen2vl, qwen3vl, gemma3, gemma4, lfm2, qwen35, qwen3moe and qwen3vlmoe, at several contexts.
For a prefill of n tokens they take n rows of `_graph_width` float32, and n half-precision numbers (n more with a
sliding window) for every token of context: exact for most of them, up to 15 % too much for hybrid models and for
mixtures of experts (of which only Qwen's were measured). The buffers of an encoder were measured in the same way with
libmtmd and encoders of random weights: `encode_bytes` is 9 to 30 % more than it took.
tests/test_models_fit.py compares again with every version of llama.cpp that is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mmcli.models.catalogue import Entry
from mmcli.models.gguf import Header

Verdict: TypeAlias = Literal["fits", "tight", "no"]

CONTEXT = 4096  # tokens: what questions are judged with where the catalogue advises nothing else
SHORT_CONTEXT = 2048  # tokens: with less, one picture may already be too much
CELLS = 256  # llama.cpp rounds contexts up to such a number of tokens
N_UBATCH = 512  # tokens in one forward pass of a prefill, as engine/local/kv_cache.py has it
F16, F32 = 2, 4  # bytes
MAX_LAYERS = 512  # llama.cpp's own limit
PROCESS = 128 << 20  # bytes: Python and its libraries (76 MB were measured), a decoded picture
SPARE = 256 << 20  # bytes that should be left for everything else on the machine

# Guesses where a header is out of reach, made to be rather too much. Of the catalogue's models whose figures are known,
# LLaVA on Phi 3 and SmolVLM2 2.2B alone take more KV cache for their size. To compute with, models were seen to take
# less than their files do, and the largest (Qwen3-VL's encoder with a picture of 4096 tokens) less than 1 GB.
SPEECH_COMPUTE = (
    200_000_000  # bytes that faster-whisper takes beside its weights: its libraries, half a minute of sound
)
KV_SHARE = 1 / 6000  # bytes of KV cache for a token of context, for each byte of weights
MOST_COMPUTE = 1_000_000_000  # bytes, the process included

# Pictures of any size, up to so many tokens (clip.cpp: set_limit_image_tokens); other encoders take one fixed size.
MOST_TOKENS = {
    **dict.fromkeys(("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "glm4v"), 4096),
    **dict.fromkeys(("pixtral", "kimivl"), 1024),
    **dict.fromkeys(("gemma4v", "gemma4uv"), 1120),
    "lfm2": 256,
}
WHOLE = ("gemma3", "gemma4v", "gemma4uv")  # a picture's tokens see each other both ways: one batch must hold them all
MERGED = {"gemma4v": 3, "gemma4uv": 3, "pixtral": 1}  # patches a side that become one token, where the header is silent
WHISPER_FRAMES = 1500  # what a Whisper encoder makes of its 30 seconds


@dataclass(frozen=True)
class Room:
    """Bytes that are free: in memory, and on the GPUs llama.cpp was built for and finds."""

    memory: int
    gpu: int = 0


@dataclass(frozen=True)
class Needs:
    """Bytes by part. What depends on the context is given for one token of it."""

    weights: int
    projector: int
    kv_per_token: int
    state: int  # of recurrent layers, whatever the context
    graph: int  # buffers of a forward pass
    graph_per_token: int
    encode: int  # buffers of the encoder, for the largest picture it takes
    n_ctx_train: int | None = None  # tokens; None: not known
    n_ctx_advised: int | None = None
    known: bool = True  # False: guessed from the files' sizes, for want of their headers
    n_layers: int | None = None

    @property
    def n_ctx(self) -> int:
        """The context it is judged with, in tokens: what is advised or usual, within what the model was trained on."""
        wanted = self.n_ctx_advised or CONTEXT
        return min(wanted, self.n_ctx_train) if self.n_ctx_train else wanted

    @property
    def fixed(self) -> int:
        """What is taken whatever the context."""
        return self.weights + self.projector + self.state + self.graph + self.encode + PROCESS

    @property
    def per_token(self) -> int:
        return self.kv_per_token + self.graph_per_token

    def total(self, n_ctx: int) -> int:
        return self.fixed + self.per_token * _whole(n_ctx)

    def kv(self, n_ctx: int) -> int:
        return self.state + self.kv_per_token * _whole(n_ctx)

    def compute(self, n_ctx: int) -> int:
        """Everything but files and KV cache: the buffers, and the process itself."""
        return self.graph + self.graph_per_token * _whole(n_ctx) + self.encode + PROCESS

    def on_gpu(self, free: int) -> tuple[int, int] | None:
        """What of it `free` bytes on GPUs take where they cannot take all: layers, and the context reckoned with.

        Projector and buffers go there first, then layer by layer with its cells. None: all of it, or nobody knows.
        """
        if self.n_layers is None or self.total(min(SHORT_CONTEXT, self.n_ctx)) <= free:
            return None
        first = self.total(self.n_ctx) - self.weights - self.kv(self.n_ctx) + SPARE
        layer = (self.weights + self.kv(self.n_ctx)) // self.n_layers + 1
        return min(max(0, free - first) // layer, self.n_layers), self.n_ctx

    def largest(self, free: int, *, mapped: bool = True) -> int:
        """The largest context for so many free bytes, in tokens, within what the model was trained on; the local engine
        gives as much. Where weights are mapped, up to a quarter may go to the context at their expense.
        """
        spare = max(free - self.fixed, free // 4 if mapped else 0)
        n_ctx = spare // max(1, self.per_token) // CELLS * CELLS
        return min(n_ctx, self.n_ctx_train) if self.n_ctx_train else n_ctx


@dataclass(frozen=True)
class Fit:
    """Whether a model runs here, and what was reckoned to say so."""

    needs: Needs
    verdict: Verdict
    place: Literal["memory", "GPU"]  # where it would run
    free: int  # bytes there
    largest: int  # tokens of context there is room for; 0 where it does not fit
    gpu_layers: int = 0  # that go to the GPU all the same, where its place is the memory

    @property
    def n_bytes(self) -> int:
        """What it takes at the context it is judged with."""
        return self.needs.total(self.needs.n_ctx)


def judge(needs: Needs, room: Room) -> Fit:
    """`fits`: with room to spare; `tight`: with none, or with a shorter context only; `no`: not even so.

    Weights are mapped, so that a model that does not fit may still run: read from the disk again and again.
    """
    gpu, memory = (_judge(needs, free) for free in (room.gpu, room.memory))
    if gpu != "no":
        return Fit(needs, gpu, "GPU", room.gpu, needs.largest(room.gpu, mapped=False))
    part = needs.on_gpu(room.gpu) if room.gpu else None
    layers, reckoned = part if part and part[0] else (0, None)
    largest = needs.largest(room.memory) if memory != "no" else 0
    return Fit(needs, memory, "memory", room.memory, min(largest, reckoned) if reckoned else largest, layers)


def _judge(needs: Needs, free: int) -> Verdict:
    if needs.total(needs.n_ctx) + SPARE <= free:
        return "fits"
    return "tight" if needs.total(min(SHORT_CONTEXT, needs.n_ctx)) <= free else "no"


def of_entry(entry: Entry, sizes: Sequence[int | None] | None = None) -> Needs | None:
    """What the catalogue's figures say, or other sizes of its files; None where one of them is not known."""
    known = [size for size in (sizes or [file.bytes for file in entry.files]) if size is not None]
    if len(known) < len(entry.files):
        return None
    projector = known.pop() if entry.projector else 0
    return of_sizes(sum(known), projector, kv_per_token=entry.kv_bytes, n_ctx_advised=entry.context)


def of_sizes(
    weights: int, projector: int, *, kv_per_token: int | None = None, n_ctx_advised: int | None = None
) -> Needs:
    """A cautious guess for files whose headers are out of reach."""
    return Needs(
        weights,
        projector,
        kv_per_token=kv_per_token or round(weights * KV_SHARE),
        state=0,
        graph=max(0, min(weights + projector, MOST_COMPUTE) - PROCESS),
        graph_per_token=N_UBATCH * F16,
        encode=0,
        n_ctx_advised=n_ctx_advised,
        known=False,
    )


def of_speech(n_bytes: int) -> Needs:
    """What a speech model takes whose files have so many bytes: a cautious guess.

    CTranslate2 reads the weights whole and converts them to what it computes with before it lets them go.
    """
    return Needs(
        n_bytes,
        projector=0,
        kv_per_token=0,
        state=0,
        graph=n_bytes // 2 + SPEECH_COMPUTE,
        graph_per_token=0,
        encode=0,
        known=False,
    )


def of_headers(
    weights: Header, n_weights: int, projector: Header | None, n_projector: int, *, n_ctx_advised: int | None = None
) -> Needs | None:
    """What the files say, given their headers and sizes in bytes; None where the layers are not described."""
    layers = _layers(weights)
    if layers is None:
        return None
    kv, state = layers
    batch = _batch(projector)
    masks = 0 if not kv else 2 if _number(weights, "attention.sliding_window") and not state else 1
    return Needs(
        n_weights,
        n_projector,
        kv_per_token=kv,
        state=state,
        graph=batch * F32 * _graph_width(weights),
        graph_per_token=masks * batch * F16,
        encode=encode_bytes(projector) if projector else 0,
        n_ctx_train=_number(weights, "context_length") or None,
        n_ctx_advised=n_ctx_advised,
        n_layers=_number(weights, "block_count"),
    )


def _layers(header: Header) -> tuple[int, int] | None:
    """Bytes of KV cache for one token, and of recurrent states, over all layers; None where they are not described.

    Layers with a sliding window are kept whole, as the engine asks for it: a conversation could not go back otherwise.
    """
    n_layers, width = _number(header, "block_count"), _number(header, "embedding_length")
    n_layers -= _number(header, "nextn_predict_layers")  # guess further tokens, which nobody asks them for
    if not 0 < n_layers <= MAX_LAYERS or width <= 0:
        return None
    heads = _per_layer(header, "attention.head_count", n_layers, [0] * n_layers)
    kv_heads = _per_layer(header, "attention.head_count_kv", n_layers, heads)
    windows = _per_layer(header, "attention.sliding_window_pattern", n_layers, [0] * n_layers)
    head = width // heads[0] if heads[0] else 0
    key, value = (_number(header, f"attention.{which}_length", head) for which in ("key", "value"))
    key_window, value_window = (
        _number(header, f"attention.{which}_length_swa", length) for which, length in (("key", key), ("value", value))
    )
    latent = _number(header, "attention.key_length_mla")  # DeepSeek's: values are made from the keys
    n_own = n_layers - _number(header, "attention.shared_kv_layers")  # the others use the cache of one of these
    recurrent = _recurrent(header, n_layers, kv_heads)
    per_token = 0
    for i in range(max(0, n_own)):
        if not recurrent[i]:
            lengths = (key_window, value_window) if windows[i] else (key, value)
            per_token += kv_heads[i] * (lengths[0] + (0 if latent else lengths[1])) * F16
    return per_token, sum(recurrent) * _state(header, width)


def _recurrent(header: Header, n_layers: int, kv_heads: Sequence[int]) -> list[bool]:
    """Which layers keep a state of fixed size instead of KV cells."""
    if any(listed := _per_layer(header, "attention.recurrent_layers", n_layers, [0] * n_layers)):
        return [bool(item) for item in listed]
    if interval := _number(header, "full_attention_interval", 4 if header.architecture.startswith("qwen35") else 0):
        return [(i + 1) % interval != 0 for i in range(n_layers)]
    return [count == 0 for count in kv_heads]


def _state(header: Header, width: int) -> int:
    """Bytes that one recurrent layer keeps: the end of its convolution, and its state."""
    if taps := _number(header, "shortconv.l_cache"):
        return (taps - 1) * width * F32
    inner, state = _number(header, "ssm.inner_size"), _number(header, "ssm.state_size")
    convolved = inner + 2 * _number(header, "ssm.group_count") * state
    return (max(0, _number(header, "ssm.conv_kernel") - 1) * convolved + inner * state) * F32


def _graph_width(header: Header) -> int:
    """Float32 numbers that a forward pass keeps for one token at its widest place (measured; see the module's head)."""
    n_layers, width = _number(header, "block_count"), _number(header, "embedding_length")
    ff = max(_per_layer(header, "feed_forward_length", n_layers, [0] * n_layers))
    n_used = min(_number(header, "expert_used_count"), _number(header, "expert_count"))
    if n_used:  # a mixture of experts: each token passes through so many of them, all at once
        experts = n_used * _number(header, "expert_feed_forward_length", ff)
        ff = max(ff, experts) if _number(header, "leading_dense_block_count") else experts
    heads = max(_per_layer(header, "attention.head_count", n_layers, [0] * n_layers))
    queries = heads * _number(header, "attention.key_length", width // heads if heads else 0)
    inputs = width * (1 + _number(header, "n_deepstack_layers")) if _number(header, "n_deepstack_layers") else 0
    inputs = max(inputs, n_layers * _number(header, "embedding_length_per_layer_input"))
    inner = 6 * _number(header, "ssm.inner_size") if not heads else 0
    widest = 3 * ff + 2 * width + max(width + queries, 2 * inputs, inner)
    if not n_used:
        return widest
    # What the experts put out has no room where two of what they keep inside were: it stands behind them.
    behind = (n_used - 2) * width + experts if n_used * width > 2 * experts else 0
    return max(widest + max(behind, 0), 3 * width + 2 * queries)


def _batch(projector: Header | None) -> int:
    """Tokens in one forward pass of a prefill: more than usual where a picture must not be cut (local/kv_cache.py)."""
    kind = kind_of(projector) if projector else ""
    return max(N_UBATCH, MOST_TOKENS.get(kind, 0)) if kind in WHOLE else N_UBATCH


def kind_of(projector: Header) -> str:
    """The type of a projector that sees, as llama.cpp's clip-impl.h names it."""
    return projector.text("clip.projector_type") or projector.text("clip.vision.projector_type")


def encode_bytes(projector: Header) -> int:
    """Buffers that encoding takes: the largest picture, or half a minute of sound."""
    most = 0
    for sense in ("vision", "audio"):
        width, ff = (_plain(projector.metadata.get(f"clip.{sense}.{key}")) for key in _ENCODER)
        patch = _plain(projector.metadata.get("clip.vision.patch_size")) if sense == "vision" else 0
        n_patches = _patches(projector, patch) if sense == "vision" else WHISPER_FRAMES
        if width and ff:
            most = max(most, n_patches * (2 * ff + width + 3 * patch * patch) * F32)
    return most


_ENCODER = ("embedding_length", "feed_forward_length")


def _patches(projector: Header, patch: int) -> int:
    """Patches of the largest picture that goes into the encoder at once."""
    kind = kind_of(projector)
    side = _plain(projector.metadata.get("clip.vision.image_size"))
    pixels = _plain(projector.metadata.get("clip.vision.image_max_pixels")) or side * side
    fixed = pixels // (patch * patch) + 1 if patch else 0
    if kind not in MOST_TOKENS:
        return fixed
    merge = _plain(projector.metadata.get("clip.vision.spatial_merge_size")) or _plain(
        projector.metadata.get("clip.vision.projector.scale_factor")
    )
    return MOST_TOKENS[kind] * (merge or MERGED.get(kind, 2)) ** 2


def picture_tokens(projector: Header) -> tuple[int, int]:
    """Tokens of one picture at most, and the pixels a side of one token where these follow the picture's size, else 0.

    Of encoders that cut pictures into tiles, the tokens of one tile. (0, 0) where the header does not say.
    """
    kind, patch = kind_of(projector), _plain(projector.metadata.get("clip.vision.patch_size"))
    side = _plain(projector.metadata.get("clip.vision.image_size"))
    merge = _plain(projector.metadata.get("clip.vision.spatial_merge_size")) or _plain(
        projector.metadata.get("clip.vision.projector.scale_factor")
    )
    if kind in MOST_TOKENS:
        return MOST_TOKENS[kind], patch * (merge or MERGED.get(kind, 2))
    return ((side // patch // (merge or 1)) ** 2, 0) if patch else (0, 0)


def _number(header: Header, key: str, otherwise: int = 0) -> int:
    """A number of the architecture's own, the largest of a list. Headers come from strangers: anything else is none."""
    value = header.of_architecture(key)
    if isinstance(value, list):
        return max((_plain(item) for item in value), default=otherwise)
    return _plain(value) or otherwise


def _plain(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0


def _per_layer(header: Header, key: str, n_layers: int, otherwise: Sequence[int]) -> list[int]:
    """One number for every layer: a list, or the same for all."""
    value = header.of_architecture(key)
    if isinstance(value, list):
        numbers = [_plain(item) for item in value[:n_layers]]
        return numbers + [numbers[-1] if numbers else 0] * (n_layers - len(numbers))
    if isinstance(value, int):
        return [_plain(value)] * n_layers
    return list(otherwise)


def _whole(n_ctx: int) -> int:
    return -(-n_ctx // CELLS) * CELLS
