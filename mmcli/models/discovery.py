"""Finds pairs of weights and projector that other tools have on this machine. Reads headers only.

Where each tool keeps its models, and under which names:

Hugging Face   models--ORG--NAME/snapshots/COMMIT/FILE      in the Hub's cache; llama.cpp of 2026 fetches there too
llama.cpp      ORG_NAME_FILE, all in one folder             LLAMA_CACHE, or llama.cpp in the user's cache folder
LM Studio      PUBLISHER/MODEL/FILE                         ~/.lmstudio/models and its relatives
Ollama         manifests/HOST/USER/MODEL/TAG → blobs/sha256-DIGEST         OLLAMA_MODELS, ~/.ollama/models

Each as the tool's own source has it:

- llama.cpp since 2026, common/hf-cache.cpp: LLAMA_CACHE, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
  XDG_CACHE_HOME or ~/.cache with huggingface/hub, whichever is set first; links to blobs, or the files themselves where
  links fail.
- llama.cpp before, common/arg.cpp (common_params_handle_model) and common.cpp (fs_get_cache_directory): the repository
  and the file, each `/` a `_`; what came by --model-url or from Docker has its file's name only.
- LM Studio, lmstudio.ai/docs/basics/import-model; its home is what ~/.lmstudio-home-pointer names (the `lms` command
  reads it), and `downloadsFolder` of its settings.json the folder of models. Its source is not public: the last two are
  as other programs read them.
- Ollama, envconfig/config.go (Models), manifest/paths.go (BlobsPath: `:` or `-` after sha256, letters of either case),
  manifest/manifest.go (Manifests: four folders deep; WriteManifest), server/images.go (GetModel: the last model layer
  is the weights; projectors are a list, of which the first is used).

Nothing in these folders is trusted: what is no GGUF, is damaged or belongs to nothing is counted and passed over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmcli.errors import ModelError
from mmcli.models import cache, catalogue, gguf, pairing, speech
from mmcli.models.adopted import Adopted
from mmcli.models.model import fits

OnProgress = Callable[[str, int, int], None]

HUB, LLAMA_CPP, LM_STUDIO, OLLAMA = "Hugging Face", "llama.cpp", "LM Studio", "Ollama"
MAX_FILES = 20_000  # looked at in one place
MAX_DEPTH = 6  # folders below the place
MAX_JSON = 1 << 20  # bytes of a manifest or of settings
MANIFEST_DEPTH = 4  # HOST/USER/MODEL/TAG
OLLAMA_LAYERS = {f"application/vnd.ollama.image.{kind}": kind for kind in ("model", "projector")}


@dataclass(frozen=True)
class FileGroup:
    """Files among which a pair may be: one repository's, or the two that a manifest names."""

    place: str
    files: tuple[Path, ...]
    name: str  # what the tool calls it
    is_pair: bool = False  # weights and projector, by the tool's own word


@dataclass
class Found:
    """What a search brought, and what it left."""

    models: list[Adopted] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)  # no GGUF, cut short, or unreadable
    alone: list[Path] = field(default_factory=list)  # weights whose projector, or one of whose parts, is not there
    gone: list[Adopted] = field(default_factory=list)  # remembered, but no longer there
    looked: list[tuple[str, Path]] = field(default_factory=list)  # places that there are


def places() -> list[tuple[str, Path]]:
    """Every folder where one of the tools may keep models on this machine; not all of them need be there."""
    home, environment = Path.home(), os.environ
    caches = [Path(environment.get("XDG_CACHE_HOME") or home / ".cache"), home / ".cache", home / "Library" / "Caches"]
    if local := environment.get("LOCALAPPDATA"):
        caches.append(Path(local))
    studio = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    if pointed := _read(home / ".lmstudio-home-pointer").strip():
        studio.insert(0, Path(pointed.splitlines()[0]))
    found = [(HUB, cache.root())]
    if named := environment.get("LLAMA_CACHE"):
        found += [(LLAMA_CPP, Path(named)), (HUB, Path(named))]  # it holds either of the two forms
    found += [(LLAMA_CPP, folder / "llama.cpp") for folder in caches]
    for folder in studio:
        found.append((LM_STUDIO, folder / "models"))
        chosen = _object(folder / "settings.json").get("downloadsFolder")
        if isinstance(chosen, str) and chosen:
            found.append((LM_STUDIO, Path(chosen)))
    if named := environment.get("OLLAMA_MODELS", "").strip().strip("\"'"):  # as envconfig's Var takes it
        found.append((OLLAMA, Path(named)))
    found += [(OLLAMA, home / ".ollama" / "models"), (OLLAMA, Path("/usr/share/ollama/.ollama/models"))]
    unique: dict[tuple[str, str], tuple[str, Path]] = {}
    for place, root in found:
        root = Path(os.path.abspath(os.path.expanduser(root)))  # what is remembered must not depend on where one is
        unique.setdefault((place, os.path.realpath(root)), (place, root))
    return list(unique.values())


def search(known: dict[str, Adopted], is_here: Callable[[str], bool], on_progress: OnProgress | None = None) -> Found:
    """Look into every place. `known` keep their names; what `is_here` of the catalogue already is not listed again."""
    found = Found()
    groups: list[FileGroup] = []
    for place, root in places():
        if root.is_dir():
            found.looked.append((place, root))
            groups += _GROUPS[place](root)
    headers = _Headers(found)
    seen: set[tuple[str, str]] = set()
    names = {_key(model.weights, model.projector): model.name for model in known.values()}
    for i, group in enumerate(groups):
        if on_progress is not None:
            on_progress("reading headers", i, len(groups))
        for weights, projector in _pairs_of(group, headers, found):
            key = _key(weights, projector)
            if key in seen:
                continue
            seen.add(key)
            entry = _entry_of(weights, projector)
            if entry and is_here(entry) and names.get(key) != entry:
                continue
            header = headers.of(projector)
            assert header is not None, f"{projector} was read before"
            taken = {model.name for model in found.models} | (set(names.values()) - {names.get(key)})
            entry = entry if entry not in taken else None
            name = names.get(key) or entry or _free_name(_name(group, weights), group.place, taken)
            found.models.append(
                Adopted(name, group.place, weights, projector, header.sees, header.hears and not header.speaks)
            )
    found.alone = [path for path in found.alone if os.path.realpath(path) not in {weights for weights, _ in seen}]
    return found


class _Headers:
    """Headers by path, each read once; what cannot be read is reported to `found` once."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._known: dict[Path, gguf.Header | None] = {}

    def of(self, path: Path) -> gguf.Header | None:
        if path not in self._known:
            try:
                self._known[path] = gguf.read(path)
            except ModelError:
                self._known[path] = None
                self._found.damaged.append(path)
        return self._known[path]


def _pairs_of(group: FileGroup, headers: _Headers, found: Found) -> Iterator[tuple[Path, Path]]:
    """The weights of a group, each with its projector."""
    read = {path: header for path in group.files if (header := headers.of(path)) is not None}
    # Of a model in several parts only the first tells its architecture, and llama.cpp finds the others by itself.
    weights = [path for path, header in read.items() if not header.is_projector and header.architecture]
    projectors = {path.name: path for path, header in read.items() if header.is_projector}
    for path in weights:
        if group.is_pair:
            named = list(projectors.values())
        else:
            names = [*(other.name for other in weights), *projectors]
            named = [projectors[name] for name in pairing.candidates(path.name, names) if name in projectors]
        fitting = [projector for projector in named if group.is_pair or _fit(read[path], read[projector])]
        if fitting and pairing.is_whole(path.name, (other.name for other in group.files)):
            yield path, fitting[0]
        else:
            found.alone.append(path)


def _fit(weights: gguf.Header, projector: gguf.Header) -> bool:
    try:
        return fits(weights, projector)
    except ModelError:
        return False


# 1 · what each tool has


def _of_hub(root: Path) -> list[FileGroup]:
    """One group for each revision of each repository."""
    groups = []
    for repo in _folders(root):
        name = repo.name.removeprefix("models--").split("--")[-1]
        if repo.name.startswith("models--"):
            for snapshot in _folders(repo / "snapshots"):
                groups += _group(HUB, _walk(snapshot), name)
    return groups


def _of_llama_cpp(root: Path) -> list[FileGroup]:
    """One flat folder: names say what belongs together."""
    return _group(LLAMA_CPP, _walk(root, depth=0), "")


def _of_lm_studio(root: Path) -> list[FileGroup]:
    """One group for each folder that holds files."""
    by_folder: dict[Path, list[Path]] = {}
    for path in _walk(root):
        by_folder.setdefault(path.parent, []).append(path)
    return [group for folder, files in by_folder.items() for group in _group(LM_STUDIO, files, folder.name)]


def _of_ollama(root: Path) -> list[FileGroup]:
    """One group for each manifest: its layers are the files."""
    groups = []
    for manifest in _walk(root / "manifests", suffix=""):
        if len(manifest.relative_to(root / "manifests").parts) != MANIFEST_DEPTH:
            continue
        layers = _object(manifest).get("layers")
        files: dict[str, Path] = {}
        for layer in layers if isinstance(layers, list) else ():
            kind = OLLAMA_LAYERS.get(str(layer.get("mediaType"))) if isinstance(layer, dict) else None
            blob = _blob(root, layer.get("digest")) if kind else None
            if kind and blob and not (kind == "projector" and kind in files):
                files[kind] = blob
        if "model" in files:
            tag = "" if manifest.name == "latest" else f"-{manifest.name}"
            groups.append(FileGroup(OLLAMA, tuple(files.values()), f"{manifest.parent.name}{tag}", is_pair=True))
    return groups


def _blob(root: Path, digest: object) -> Path | None:
    """The file of a layer; older versions wrote a colon into its name."""
    if not isinstance(digest, str) or not re.fullmatch(r"sha256[:-][0-9a-fA-F]{64}", digest):
        return None
    paths = [root / "blobs" / f"sha256{mark}{digest[len('sha256:') :]}" for mark in "-:"]
    return next((path for path in paths if _is_file(path)), None)


_GROUPS: dict[str, Callable[[Path], list[FileGroup]]] = {
    HUB: _of_hub,
    LLAMA_CPP: _of_llama_cpp,
    LM_STUDIO: _of_lm_studio,
    OLLAMA: _of_ollama,
}


def _group(place: str, files: list[Path], name: str) -> list[FileGroup]:
    return [FileGroup(place, tuple(files), name)] if files else []


# 2 · files and folders of strangers


def _walk(root: Path, *, depth: int = MAX_DEPTH, suffix: str = ".gguf") -> list[Path]:
    """Files below `root` in order, not through links to folders."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        if len(Path(folder).relative_to(root).parts) >= depth:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(folder, name) for name in sorted(names) if name.lower().endswith(suffix) and name[0] != "."]
        found += [path for path in paths if _is_file(path)]
        if len(found) >= MAX_FILES:
            break
    return found[:MAX_FILES]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()  # a pipe or a device would make a reader wait
    except OSError:
        return False


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        if not _is_file(path) or path.stat().st_size > MAX_JSON:
            return ""
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _object(path: Path) -> dict[str, object]:
    try:
        value = json.loads(_read(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _key(weights: Path, projector: Path) -> tuple[str, str]:
    """The same for the same two files, whichever way leads to them."""
    return os.path.realpath(weights), os.path.realpath(projector)


# 3 · names


def _entry_of(weights: Path, projector: Path) -> str | None:
    """The catalogue's name for these very files: by the SHA-256 that is a blob's name, or by name and size."""

    def is_it(path: Path, file: catalogue.File) -> bool:
        blob = Path(os.path.realpath(path)).name
        if file.sha256 and file.sha256 in (blob, blob[len("sha256-") :]):
            return True
        return file.bytes is not None and (path.name, path.stat().st_size) == (Path(file.file).name, file.bytes)

    for name, entry in catalogue.load().items():
        if entry.projector and is_it(weights, entry.weights) and is_it(projector, entry.projector):
            return name
    return None


def _name(group: FileGroup, weights: Path) -> str:
    """What to call a model: the tool's own name for it, or its file's."""
    if group.is_pair:
        return group.name
    stem = pairing.plain_name(weights.name)
    return stem if pairing.says_which(stem) else f"{group.name}-{stem}"


def _free_name(wanted: str, place: str, taken: set[str]) -> str:
    """As the catalogue's names are written, and nobody else's."""
    name = re.sub(r"[^a-z0-9.]+", "-", wanted.lower()).strip("-.") or "model"
    taken = taken | set(catalogue.load()) | set(speech.load())
    if name in taken:
        name += "-" + re.sub(r"[^a-z0-9]+", "-", place.lower())
    base, count = name, 2
    while name in taken:
        name, count = f"{base}-{count}", count + 1
    return name
