"""Reads models.toml, the shipped one and the user's own. Knows its schema; no files of models, no network."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from mmcli import config, tomlfile
from mmcli.errors import ModelError, UsageError
from mmcli.models import pairing

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
FILE = re.compile(r"[\w.-]+(/[\w.-]+)*\.gguf")
FORM = "docs/models.md explains the form"
COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
SPEECH = "speech"  # the table of tables that speech.py reads
EMBED = "embed"  # the one that embedding.py reads
FILM = "film"  # the one that film_habits.py reads
T = TypeVar("T")
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")
DRY = ("dry_multiplier", "dry_base", "dry_allowed_length", "dry_last_n")
WHOLE = ("top_k", "dry_allowed_length", "dry_last_n")  # the numbers of `sampling` without a fraction
PROMPTS = ("text", "table", "formula", "chart", "system")
BOXES = ("thousandths",)
OUTPUTS = ("markdown", "html", "doctags", "layout-json")


@dataclass(frozen=True)
class File:
    """One file of a model: its name, and what it must be where that is known."""

    file: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Advice:
    """What a model's makers say about running it: sampling as engine.Sampling names it, and what its template needs."""

    sampling: Mapping[str, float] = field(default_factory=dict)
    template_kwargs: Mapping[str, object] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    output: str = "markdown"  # the form in which it writes pages
    side: int | None = None  # pixels of a page's long side
    examples: bool = True  # whether other pictures with their answers help it
    boxes: str | None = None  # the unit in which it gives the places of things; None: not known


NO_ADVICE = Advice()


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue; models.toml explains the fields."""

    about: str
    weights: File
    licence: str
    projector: File | None = None
    repo: str | None = None
    revision: str | None = None
    builtin: bool = False
    sees: bool = False
    hears: bool = False
    speaks: bool = False
    needs_voice: bool = False
    parameters: float | None = None  # millions
    context: int | None = None  # tokens
    memory: float | None = None  # GB
    kv_bytes: int | None = None  # of KV cache for a token of context
    default: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    output: str = "markdown"
    side: int | None = None  # pixels
    sampling: Mapping[str, float] = field(default_factory=dict)
    template_kwargs: Mapping[str, object] = field(default_factory=dict)
    examples: bool = True
    boxes: str | None = None
    film: str | None = None  # the table of film habits that counts before its projector's header is here

    @property
    def files(self) -> tuple[File, ...]:
        """Weights, all their parts where they are split, then the projector."""
        first, *others = pairing.parts(self.weights.file)
        weights = (self.weights, *(File(part) for part in others))
        assert first == self.weights.file, f"{first} is not the first part"
        return (*weights, self.projector) if self.projector else weights

    @property
    def n_bytes(self) -> int | None:
        """All files together, where all sizes are known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size)

    @property
    def advice(self) -> Advice:
        return Advice(
            self.sampling, self.template_kwargs, self.prompts, self.output, self.side, self.examples, self.boxes
        )

    @property
    def own_prompts(self) -> tuple[str, ...]:
        """The questions that it was trained on."""
        return tuple(text for what, text in self.prompts.items() if what != "system" and text)

    @property
    def abilities(self) -> tuple[str, ...]:
        able = {"image": self.sees, "audio": self.hears, "speaks": self.speaks}
        return tuple(word for word, can in able.items() if can)


@functools.cache
def load() -> dict[str, Entry]:
    """The catalogue by name, in the file's order; the user's own follow, and replace those of the same name."""
    return {**_read(shipped_file()), **_read(own_file())}


def own_file() -> Path:
    """Where a user puts models of their own."""
    return config.config_file().parent / "models.toml"


def match(name: str) -> tuple[str, Entry] | None:
    """The entry called `name`, in any case, or the only one that begins so; ModelError where several do."""
    return match_in(load(), name)


def match_in(entries: Mapping[str, T], name: str) -> tuple[str, T] | None:
    """The same among other entries."""
    wanted = name.lower()
    if wanted in entries:
        return wanted, entries[wanted]
    begin = [known for known in entries if wanted and known.startswith(wanted)]
    if len(begin) > 1:
        choices = ", ".join(f"`{known}`" for known in begin)
        raise ModelError(f"`{name}` may be one of {len(begin)} models", hint=f"which one: {choices}?")
    return (begin[0], entries[begin[0]]) if begin else None


def closest(name: str, *others: str) -> str | None:
    """The name in the catalogue, or among the others, that is most like `name`."""
    close = difflib.get_close_matches(name.lower(), [*load(), *others], n=1)
    return close[0] if close else None


def shipped_file() -> Path:
    """models.toml in the installed package; in a checkout (an editable install) one folder up."""
    package = Path(__file__).parents[1]
    inside = package / "models.toml"
    return inside if inside.exists() else package.parent / "models.toml"


def tables(path: Path) -> dict[str, Any]:
    """What a models.toml holds, before any table is looked at; nothing where there is no such file."""
    try:
        return tomlfile.parse(tomlfile.read(path), f"`{path}`")
    except FileNotFoundError:
        return {}


def parse_all(path: Path, found: Any, parse_one: Callable[[str, Any], T], prefix: str = "") -> dict[str, T]:
    """All tables of a models.toml as entries; UsageError names the file, the table and the key that is wrong."""
    if not isinstance(found, dict):
        raise UsageError(f"`{path}`: [{prefix.rstrip('.')}] is not a table", hint=FORM)
    out = {}
    for name, table in found.items():
        try:
            out[name] = parse_one(name, table)
        except ValueError as error:
            raise UsageError(f"`{path}`: [{prefix}{name}] {error}", hint=FORM) from error
    return out


def _read(path: Path) -> dict[str, Entry]:
    others = (SPEECH, EMBED, FILM)
    return parse_all(path, {name: table for name, table in tables(path).items() if name not in others}, parse)


def parse(name: str, table: Any) -> Entry:
    """One table as an entry; ValueError, in words for a user, where it breaks the schema."""
    entry = Entry(**checked(name, table, Entry, check))
    if entry.builtin == bool(entry.repo):
        raise ValueError("needs a `repo`" if not entry.builtin else "is built in and has a `repo`")
    if (entry.sees or entry.hears or entry.speaks) and entry.projector is None:
        raise ValueError("sees, hears or speaks, but has no `projector`")
    return entry


def checked(name: str, table: Any, kind: type, of: Callable[[str, Any], Any]) -> dict[str, Any]:
    """A table's values, if it has the keys of the dataclass `kind` and `of` finds nothing wrong with any value."""
    if not NAME.fullmatch(name):
        raise ValueError("is not a valid name: small letters, digits, `.` and `-`")
    if not isinstance(table, dict):
        raise ValueError("is not a table")
    known = {item.name: item for item in fields(kind)}
    for key in table:
        if key not in known:
            meant = _dotted(f"{name}.{key}", table[key])
            quotes = f'; a name with a dot goes in quotes: ["{meant}"]' if meant else ""
            raise ValueError(f"has the unknown key `{key}`{quotes}")
    for key, item in known.items():
        if key not in table and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"has no `{key}`")
    return {key: of(key, item) for key, item in table.items()}


def _dotted(name: str, table: Any) -> str | None:
    """The name that somebody may have meant whose TOML has tables in tables, because it lacks its quotes."""
    while isinstance(table, dict):
        inner = [key for key, value in table.items() if isinstance(value, dict)]
        if len(table) != 1 or not inner:
            return name
        name, table = f"{name}.{inner[0]}", table[inner[0]]
    return None


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("about", "licence", "repo", "revision", "languages", "output", "film", "boxes"), (str,)),
    **dict.fromkeys(("builtin", "sees", "hears", "speaks", "needs_voice", "default", "examples"), (bool,)),
    **dict.fromkeys(("parameters", "memory"), (int, float)),
    **dict.fromkeys(("context", "kv_bytes", "side"), (int,)),
    "prompts": (list, dict),
    **dict.fromkeys(("weights", "projector", "sampling", "template_kwargs"), (dict,)),
}
_FORMS = {"repo": REPO, "revision": COMMIT}


def check(key: str, value: Any) -> Any:
    """A value of the kind and form that its key asks for; ValueError where it is not."""
    kinds = _KINDS[key]
    of_kind: bool = isinstance(value, kinds)
    if not of_kind or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"has a `{key}` of the wrong type")
    if isinstance(value, str) and (not value.strip() or (key in _FORMS and not _FORMS[key].fullmatch(value))):
        raise ValueError(f"has a `{key}` in the wrong format")
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value < 1e15:
        raise ValueError(f"has a `{key}` out of range")
    if key in ("weights", "projector"):
        return file_of(key, value, FILE)
    if key == "prompts":
        return prompts_of(value)
    if key == "output" and value not in OUTPUTS:
        raise ValueError(f"has an `output` that is none of {', '.join(OUTPUTS)}")
    if key == "boxes" and value not in BOXES:
        raise ValueError(f"has `boxes` that are none of {', '.join(BOXES)}")
    if key == "side" and not 32 <= value <= 8192:
        raise ValueError("has a `side` out of range")
    if key == "sampling":
        for word, number in value.items():
            kinds = (int,) if word in WHOLE else (int, float)
            least, most = (-1 if word == "dry_last_n" else 0), (1_000_000 if word in WHOLE else 1000)
            is_number = isinstance(number, kinds) and not isinstance(number, bool) and least <= number < most
            if word not in (*SAMPLING, *DRY) or not is_number:
                raise ValueError(f"has `sampling` with a bad `{word}`")
    return value


def prompts_of(value: list[Any] | dict[str, Any]) -> dict[str, str]:
    """Questions by what they ask for; a list of them, as older files have it, begins with that for text."""
    if isinstance(value, list):
        if not all(isinstance(prompt, str) and prompt for prompt in value):
            raise ValueError("has `prompts` that are not texts")
        names = ["text", *(f"prompt{number}" for number in range(2, len(value) + 1))]
        return dict(zip(names, value, strict=False))
    for what, prompt in value.items():
        if what not in PROMPTS or not isinstance(prompt, str):
            raise ValueError(f"has `prompts` with a bad `{what}`")
    return dict(value)


def file_of(key: str, table: Any, form: re.Pattern[str]) -> File:
    """A { file, bytes, sha256 } whose file has that form; ValueError where it is none."""
    if (
        not isinstance(table, dict)
        or not set(table) <= {"file", "bytes", "sha256"}
        or not isinstance(table.get("file"), str)
    ):
        raise ValueError(f"has `{key}` that is not {{ file, bytes, sha256 }}")
    size, sha256 = table.get("bytes"), table.get("sha256")
    if not form.fullmatch(table["file"]) or ".." in table["file"]:
        raise ValueError(f"has `{key}` whose file is {'not a .gguf' if form is FILE else 'not a file name'}")
    if pairing.parts(table["file"])[0] != table["file"]:
        raise ValueError(f"has `{key}` whose file is not the first of its parts")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size <= 0):
        raise ValueError(f"has `{key}` whose bytes are not a number")
    if sha256 is not None and (not isinstance(sha256, str) or not SHA256.fullmatch(sha256)):
        raise ValueError(f"has `{key}` whose sha256 is not 64 hex digits")
    return File(table["file"], size, sha256)
