"""`mmcli models` and `mmcli show`: which models there are, and all that is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import model_names

if TYPE_CHECKING:
    from mmcli.models import Entry, Model, Wanted

GB = 1_000_000_000
COLUMNS = ("name", "here", "size_gb", "abilities", "licence", "about")


def models(json: opt.JsonListOpt = False) -> int | None:
    """List the models of the catalogue: which are on this machine, how large they are, what they can do."""
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.models import catalogue

    rows = [
        (name, known.installed(name), _gb(entry), ", ".join(entry.abilities), entry.licence, entry.about)
        for name, entry in catalogue.load().items()
    ]
    terminal.table(COLUMNS, rows, terminal.Style(json=json))
    return None


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=model_names,
            help="A model's name, ORG/REPO[:QUANT], or the path of a .gguf file.",
        ),
    ],
    json: opt.JsonListOpt = False,
) -> int | None:
    """Tell all that is known of one model; of one that is here, also what its files say about themselves."""
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.models import catalogue

    found = known.find(name)
    match = catalogue.match(name)
    facts = _facts(found, match[1] if match else None)
    if json:
        terminal.data(facts)
        return None
    template = facts.pop("template", None)
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
