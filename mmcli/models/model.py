"""A model whose files are on this machine. Knows GGUF headers; knows no names, no network and no engine."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from mmcli.errors import ModelError
from mmcli.models import gguf, memory, pairing, tensors
from mmcli.models.catalogue import NO_ADVICE, Advice
from mmcli.models.memory import Needs

# Projectors of the LLaVA family (github.com/haotian-liu/LLaVA: "<image>\n" before every question); names as in
# llama.cpp's clip-impl.h.
LLAVA_PROJECTORS = frozenset({"mlp", "mlp_norm", "ldp", "ldpv2"})

NEEDS_VOICE = frozenset({"pockettts_gen"})  # what makes hardly a sound without a reference voice
PROJECTION = ("mm.", "resampler.")  # so clip-impl.h begins the names of the tensors that follow the encoder
# Projectors whose type begins so were made for weights whose architecture does; others (mlp, pixtral …) go with many.
FAMILIES = ("gemma", "qwen", "lfm2")


@dataclass(frozen=True)
class Model:
    """A model whose files are on this machine, with what its projector says it can take."""

    name: str
    weights: Path
    projector: Path | None
    sees: bool
    hears: bool
    media_newline: bool  # it was trained with a newline after each picture
    advice: Advice = NO_ADVICE
    n_ctx_advised: int | None = None  # tokens that questions about pictures may need
    is_by_path: bool = False  # a user named the weights' file; otherwise a name did
    speaks: bool = False  # says texts, and answers nothing
    needs_voice: bool = False  # a reference voice, without which it is next to silent

    @property
    def parts(self) -> tuple[Path, ...]:
        """All files of the weights: one, or the parts they are split into; llama.cpp finds these by the first."""
        return _parts(self.weights)

    def needs(self) -> Needs | None:
        """What it takes in memory, by its files' headers; None where these do not describe it."""
        projector = gguf.read(self.projector) if self.projector else None
        sizes = sum(path.stat().st_size for path in self.parts), self.projector.stat().st_size if self.projector else 0
        return memory.of_headers(
            gguf.read(self.weights), sizes[0], projector, sizes[1], n_ctx_advised=self.n_ctx_advised
        )

    def require(self, *, sight: bool, hearing: bool) -> None:
        """ModelError unless the model can take what is asked of it."""
        if self.speaks:
            raise speaks_only(self.name)
        for wanted, able, verb, kind in ((sight, self.sees, "see", "vision"), (hearing, self.hears, "hear", "audio")):
            if not wanted or able:
                continue
            if self.projector is None:
                raise ModelError(
                    f"`{self.name}` has no projector, so it cannot {verb}",
                    hint=_projector_hint(self.weights),
                )
            raise ModelError(
                f"`{self.name}` cannot {verb}: its projector has no {kind} encoder",
                hint=f"choose a model with {kind}, or the right projector with --mmproj FILE",
            )


def open_files(
    name: str, weights: Path, projector: Path | None, advice: Advice = NO_ADVICE, n_ctx_advised: int | None = None
) -> Model:
    """The model in these files, after a look at their headers; ModelError where they are not what they should be.

    Of weights that are split any part may be given; all must be there.
    """
    weights = _first_part(weights)
    header = gguf.read(weights)
    for part in _parts(weights)[1:]:
        gguf.read(part)  # none is cut short
    if header.is_projector:
        raise ModelError(
            f"`{weights}` is a projector, not a language model's weights",
            hint=f"give it as --mmproj {weights.name} beside the weights: -m WEIGHTS.gguf",
        )
    if projector is None:
        return Model(name, weights, None, False, False, False, advice, n_ctx_advised)
    if str(projector) in ("", "."):
        raise ModelError("--mmproj names no file", hint=_projector_hint(weights))
    other = gguf.read(projector)
    if not other.is_projector:
        raise ModelError(
            f"`{projector}` is not a projector (its architecture is `{other.architecture}`)",
            hint="the projector is published with the weights, usually with mmproj in its name",
        )
    tensors.check(other)
    if other.speaks:
        voice = other.text("clip.gen.audio.projector_type") in NEEDS_VOICE
        return Model(name, weights, projector, False, False, False, advice, speaks=True, needs_voice=voice)
    is_llava = projector_type(other) in LLAVA_PROJECTORS
    return Model(name, weights, projector, other.sees, other.hears, is_llava, advice, n_ctx_advised)


def speaks_only(name: str) -> ModelError:
    """Somebody asks a question of a model that can only say what others wrote."""
    return ModelError(
        f"`{name}` reads text aloud; it can neither see nor answer",
        hint=f"`--speak --voice-model {name}` lets it read another model's answer",
    )


def _parts(weights: Path) -> tuple[Path, ...]:
    return tuple(weights.with_name(name) for name in pairing.parts(weights.name))


def _first_part(weights: Path) -> Path:
    """The first part of weights that are split; the file itself where they are not. ModelError where one is missing."""
    parts = _parts(weights)
    missing = [path.name for path in parts if not path.exists()]
    if not missing or len(missing) == len(parts):  # none there at all: a name that is wrong, not a part that is missing
        return parts[0] if not missing else weights
    raise ModelError(
        f"`{missing[0]}` is missing: the weights `{weights.name}` belong to are split into {len(parts)} files",
        hint=f"put it into `{weights.parent}` beside the others",
    )


def beside(weights: Path) -> Path | None:
    """The projector in the same folder that can only be meant for these weights: by its name and its width.

    The width alone says too little: projectors of other models of the same size have it too, and with one of them a
    model answers fluently about what it never saw.
    """
    header = gguf.read(_first_part(weights))  # the others hold nothing but tensors
    if header.is_projector:
        return None
    names = [path.name for path in weights.parent.glob("*.gguf")]
    found = [weights.parent / name for name in pairing.related(weights.name, names)]
    fitting = [path for path in found if _fits(header, path)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(weights: gguf.Header, projector: Path) -> bool:
    try:
        return fits(weights, gguf.read(projector))
    except ModelError:
        return False


def fits(weights: gguf.Header, projector: gguf.Header) -> bool:
    """Whether a projector can be that of these weights, by architecture and embedding size; ModelError as gguf's.

    `projection_dim` is the embedding size in files of today. In those of LLaVA 1.5 and 1.6 it is that of CLIP's own
    projection, which is not used, and others have 0 there: for them the projection's tensors tell.
    """
    if not projector.is_projector or weights.is_projector:
        return False
    kind = projector_type(projector)
    if any(kind.startswith(family) and not weights.architecture.startswith(family) for family in FAMILIES):
        return False
    width = weights.metadata.get(f"{weights.architecture}.embedding_length")
    senses = [sense for sense in ("vision", "audio") if projector.metadata.get(f"clip.has_{sense}_encoder")]
    if not isinstance(width, int) or not senses:
        return False
    if width in [projector.metadata.get(f"clip.{sense}.projection_dim") for sense in senses]:
        return True
    shapes = gguf.read_shapes(projector.path)
    made = [shape[-1] for name, shape in shapes.items() if name.startswith(PROJECTION) and _is_layer(name, shape)]
    return width in made


def _is_layer(name: str, shape: tuple[int, ...]) -> bool:
    """Whether the last of a tensor's dimensions is what a layer puts out: (in, out) of weights, (out,) of a bias."""
    return len(shape) == 2 if name.endswith(".weight") else name.endswith(".bias")


def projector_type(projector: gguf.Header) -> str:
    kinds = (projector.text(f"clip.{sense}projector_type") for sense in ("", "vision.", "gen.audio."))
    return next(filter(None, kinds), "")


def _projector_hint(weights: Path) -> str:
    """Name the projector that lies beside the weights, if one does."""
    found = sorted(path for path in weights.parent.glob("*.gguf") if pairing.is_projector(path.name))
    if not found:
        return "give the projector published with the weights: --mmproj FILE"
    close = difflib.get_close_matches(weights.name, [path.name for path in found], n=1, cutoff=0.0)
    return f"perhaps --mmproj {weights.parent / close[0]}"
