"""Which weights a name means, and what they can do. Knows files and the catalogue; knows no engine and no terminals."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from mmcli.errors import ModelError
from mmcli.models import catalogue, gguf

__all__ = ["Model", "find"]

# Projectors of the LLaVA family (github.com/haotian-liu/LLaVA: "<image>\n" before every question); names as in
# llama.cpp's clip-impl.h.
LLAVA_PROJECTORS = frozenset({"mlp", "mlp_norm", "ldp", "ldpv2"})


@dataclass(frozen=True)
class Model:
    """A model whose files are on this machine, with what its projector says it can take."""

    name: str
    weights: Path
    projector: Path | None
    sees: bool
    hears: bool
    media_newline: bool  # it was trained with a newline after each picture

    def require(self, *, sight: bool, hearing: bool) -> None:
        """ModelError unless the model can take what is asked of it."""
        for wanted, able, verb, kind in ((sight, self.sees, "see", "vision"), (hearing, self.hears, "hear", "audio")):
            if not wanted or able:
                continue
            if self.projector is None:
                raise ModelError(
                    f"`{self.name}` was given no projector, so it cannot {verb}",
                    hint=_projector_hint(self.weights),
                )
            raise ModelError(
                f"`{self.name}` cannot {verb}: its projector has no {kind} encoder",
                hint=f"choose a model with {kind}, or the right projector with --mmproj FILE",
            )


def find(name: str | None, mmproj: Path | None = None) -> Model:
    """The model called `name`: a name in the catalogue or a path to a GGUF; ModelError where there is none."""
    if not name:
        raise ModelError(
            "no model was chosen",
            hint="-m starter is built in; -m WEIGHTS.gguf --mmproj PROJECTOR.gguf takes any other (or set MMCLI_MODEL)",
        )
    entries = catalogue.load()
    if name in entries and entries[name].builtin:
        folder = Path(__file__).parent / "starter"
        entry = entries[name]
        return _open(name, folder / entry.weights, mmproj or (folder / entry.projector if entry.projector else None))
    path = Path(os.path.expanduser(name))  # Path.expanduser fails for a user who does not exist
    if path.suffix.lower() == ".gguf" or path.exists():
        return _open(path.name, path, mmproj)
    close = difflib.get_close_matches(name.lower(), entries, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "use `starter`, or the path of a .gguf file"
    raise ModelError(f"there is no model named `{name}`", hint=hint)


def _open(name: str, weights: Path, projector: Path | None) -> Model:
    header = gguf.read(weights)
    if header.is_projector:
        raise ModelError(
            f"`{weights}` is a projector, not a language model's weights",
            hint=f"give it as --mmproj {weights.name} beside the weights: -m WEIGHTS.gguf",
        )
    if projector is None:
        return Model(name, weights, None, sees=False, hears=False, media_newline=False)
    if str(projector) in ("", "."):
        raise ModelError("--mmproj names no file", hint=_projector_hint(weights))
    other = gguf.read(projector)
    if not other.is_projector:
        raise ModelError(
            f"`{projector}` is not a projector (its architecture is `{other.architecture}`)",
            hint="the projector's file is published beside the weights, usually with mmproj in its name",
        )
    kind = other.text("clip.projector_type") or other.text("clip.vision.projector_type")
    return Model(name, weights, projector, other.sees, other.hears, media_newline=kind in LLAVA_PROJECTORS)


def _projector_hint(weights: Path) -> str:
    """Name the projector that lies beside the weights, if one does."""
    beside = sorted(path for path in weights.parent.glob("*.gguf") if "mmproj" in path.name.lower())
    if not beside:
        return "give the projector published beside the weights with --mmproj FILE"
    close = difflib.get_close_matches(weights.name, [path.name for path in beside], n=1, cutoff=0.0)
    return f"perhaps --mmproj {weights.parent / close[0]}"
