"""`mmcli models` and `mmcli show`: which models there are, and all that is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import options as opt
from mmcli.errors import ModelError

if TYPE_CHECKING:
    from mmcli.models import Entry, Fit, Model, Room, Wanted

GB = 1_000_000_000
COLUMNS = ("name", "here", "size_gb", "needs_gb", "fits", "abilities", "licence", "about")


def models(json: opt.JsonListOpt = False) -> int | None:
    """List the models of the catalogue: which are here, how large they are, which fit, what they can do."""
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.commands import fitting
    from mmcli.models import catalogue

    rows, room = [], fitting.room()
    for name, entry in catalogue.load().items():
        fit = _fit(name, room)
        rows.append(
            {
                "name": name,
                "here": known.installed(name),
                "size_gb": _gb(entry),
                "needs_gb": round(fit.n_bytes / GB, 3) if fit else None,
                "needs_bytes": fit.n_bytes if fit else None,
                "fits": fit.verdict if fit else None,
                "largest_context": fit.largest if fit else None,
                "abilities": ", ".join(entry.abilities),
                "licence": entry.licence,
                "about": entry.about,
            }
        )
    if json:
        terminal.data(rows)
    else:
        terminal.table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows], terminal.Style())
    return None


def _fit(name: str, room: Room) -> Fit | None:
    """Whether a model of the catalogue fits; None where nothing is known, or where its files are damaged."""
    from mmcli import models as known

    try:
        return known.fits(known.find(name), room)
    except ModelError:
        return None


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A model's name, ORG/REPO[:QUANT], or the path of a .gguf file.")
    ],
    json: opt.JsonListOpt = False,
) -> int | None:
    """Tell all that is known of one model; of one that is here, also what its files say about themselves."""
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.commands import fitting
    from mmcli.models import catalogue

    found = known.find(name)
    match = catalogue.match(name)
    facts = _facts(found, match[1] if match else None)
    template = facts.pop("template", None)
    fit = known.fits(found, fitting.room())
    if json:
        fitted = fitting.facts(fit) if fit else {"needs": None, "fits": None}
        terminal.data(facts | fitted | {"template": template})
        return None
    if fit:
        facts |= {"needs": fitting.needs(fit), "fits_here": fitting.verdict(fit)}
    for key, value in facts.items():
        if value not in (None, "", [], {}):
            terminal.line(f"{key.replace('_', ' '):<20}{_words(value)}")
    if template:
        terminal.line("template")
        for line in str(template).splitlines():
            terminal.line(f"    {line}")
    return None


def _facts(found: Model | Wanted, entry: Entry | None) -> dict[str, Any]:
    """In the order people ask for them; what is not known is None."""
    from mmcli import models as known

    facts: dict[str, Any] = {"name": found.name, "here": isinstance(found, known.Model)}
    if entry is not None:
        facts |= {
            "about": entry.about,
            "abilities": list(entry.abilities),
            "licence": entry.licence,
            "size_gb": _gb(entry),
            "parameters_million": entry.parameters,
            "context_advice": entry.context,
            "memory_gb": entry.memory,
            "prompts": list(entry.prompts),
            "sampling": dict(entry.sampling),
            "template_kwargs": dict(entry.template_kwargs),
            "repo": entry.repo,
            "revision": entry.revision,
            "sha256": {file.file: file.sha256 for file in entry.files if file.sha256},
        }
    if isinstance(found, known.Model):
        facts |= _of_files(found)
    else:
        facts |= {"repo": found.repo, "revision": found.revision}
    return facts


def _of_files(model: Model) -> dict[str, Any]:
    """What the GGUF files say about themselves."""
    from mmcli.models import gguf

    header = gguf.read(model.weights)
    architecture = header.architecture
    facts: dict[str, Any] = {
        "abilities": [word for word, able in (("image", model.sees), ("audio", model.hears)) if able],
        "weights": str(model.weights),
        "parts": [str(path) for path in model.parts] if len(model.parts) > 1 else None,
        "projector": str(model.projector) if model.projector else None,
        "calls_itself": header.text("general.name"),
        "architecture": architecture,
        "layers": header.metadata.get(f"{architecture}.block_count"),
        "embedding_length": header.metadata.get(f"{architecture}.embedding_length"),
        "trained_context": header.metadata.get(f"{architecture}.context_length"),
    }
    if model.projector:
        other = gguf.read(model.projector)
        facts["projector_type"] = other.text("clip.projector_type") or other.text("clip.vision.projector_type")
    return facts | {"template": header.text("tokenizer.chat_template")}


def _gb(entry: Entry) -> float | None:
    return round(entry.n_bytes / GB, 3) if entry.n_bytes else None


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
