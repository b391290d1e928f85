"""`mmcli models` and `mmcli show`: which models there are, and all that is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import any_names
from mmcli.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmcli.engine.forms import Chosen
    from mmcli.models import Entry, Fit, Model, Record, Room, SpeechEntry, SpeechModel, Wanted, WantedSpeech
    from mmcli.terminal import Style

COLUMNS = ("name", "here", "size_gb", "needs_gb", "fits", "abilities", "licence", "about")
SPARE = ("licence", "needs_gb", "abilities", "about", "size_gb")  # what a narrow terminal goes without, in this order


def models(
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Find models that other programs downloaded. "
            "LM Studio, Ollama, llama.cpp and others; they are used where they are.",
        ),
    ] = False,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
) -> int | None:
    """List models: what is here, what fits this machine.

    mmcli models
    mmcli models --json
    mmcli models --adopt
    """
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.commands import fitting
    from mmcli.models import catalogue

    if adopt:
        return _adopt(terminal.Style(json=json, quiet=quiet))
    room = fitting.room()
    rows = [
        _row(
            name,
            known.installed(name),
            _size(name, entry),
            _fit(name, room),
            entry.abilities,
            entry.licence,
            entry.about,
        )
        for name, entry in catalogue.load().items()
    ]
    sections = {"": rows, "of other tools": _adopted_rows(room), "speech models": _speech_rows()}
    if json:
        terminal.data([row for rows in sections.values() for row in rows])
    else:
        shown = {head: [[row[column] for column in COLUMNS] for row in rows] for head, rows in sections.items()}
        if missing := terminal.tables(COLUMNS, shown, terminal.Style(), spare=SPARE):
            named = ", ".join(column.replace("_", " ") for column in missing)
            terminal.notice(
                f"this terminal is too narrow for {named}; see `mmcli show NAME`", terminal.Style(quiet=quiet)
            )
    return None


def _row(
    name: str, here: bool, size_gb: float | None, fit: Fit | None, abilities: Iterable[str], licence: Any, about: str
) -> dict[str, Any]:
    from mmcli.models.sizes import rounded_gb

    return {
        "name": name,
        "here": here,
        "size_gb": size_gb,
        "needs_gb": rounded_gb(fit.n_bytes) if fit else None,
        "needs_bytes": fit.n_bytes if fit else None,
        "fits": fit.verdict if fit else None,
        "largest_context": fit.largest if fit else None,
        "abilities": ", ".join(abilities),
        "licence": licence,
        "about": about,
    }


def _fit(name: str, room: Room) -> Fit | None:
    """Whether a model fits, by its name; None where nothing is known, or where its files are damaged or gone."""
    from mmcli import models as known

    try:
        return known.fits(known.find(name), room)
    except ModelError:
        return None


def _size(name: str, entry: Entry) -> float | None:
    """GB on the disk: the catalogue's figure, or of a model that is here what its files take."""
    from mmcli import models as known
    from mmcli.models.sizes import rounded_gb

    if n_bytes := _total(entry):
        return rounded_gb(n_bytes)
    try:
        found = known.find(name)
    except ModelError:
        return None
    if not isinstance(found, known.Model):
        return None
    files = (*found.parts, *((found.projector,) if found.projector else ()))
    return rounded_gb(sum(file.stat().st_size for file in files))


def _total(entry: Entry | SpeechEntry) -> int | None:
    """All files together, where their sizes are known or were recorded."""
    from mmcli import models as known

    sizes = known.file_sizes(entry)
    return None if None in sizes else sum(size for size in sizes if size)


def _adopt(style: Style) -> int:
    """Look for models of other tools, remember them, and say what was found and what was left."""
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.models.sizes import rounded_gb

    with terminal.progress(style) as progress:
        found = known.adopt(progress)
    rows = [
        (model.name, model.place, rounded_gb(model.n_bytes), str(model.weights), str(model.projector))
        for model in found.models
    ]
    terminal.table(("name", "place", "size_gb", "weights", "projector"), rows, style)
    looked = ", ".join(f"{place} ({root})" for place, root in found.looked)
    terminal.notice(f"looked in {looked}" if looked else "no other tool keeps models here", style)
    for model in found.gone:
        terminal.notice(f"{model.name} is gone from {model.place}, and forgotten", style)
    if found.alone:
        terminal.notice(f"left out: {len(found.alone)} without their projector, such as {found.alone[0]}", style)
    if found.damaged:
        terminal.notice(f"passed over: {len(found.damaged)} that cannot be read, such as {found.damaged[0]}", style)
    if rows:
        terminal.notice(f'use them by name: mmcli ask photo.jpg "What is this?" -m {rows[0][0]}', style)
    return 0


def _adopted_rows(room: Room) -> list[dict[str, Any]]:
    """The rows of models that other tools have, and the catalogue has not."""
    from mmcli.models import adopted, catalogue
    from mmcli.models.sizes import rounded_gb

    rows = []
    for model in adopted.load().values():
        if model.name not in catalogue.load():
            size = None if model.gone else rounded_gb(model.n_bytes)
            senses = [word for word, able in (("image", model.sees), ("audio", model.hears)) if able]
            about = f"{'gone from' if model.gone else 'from'} {model.place}: {model.weights}"
            rows.append(_row(model.name, not model.gone, size, _fit(model.name, room), senses, None, about))
    return rows


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=any_names,
            help="A name from `mmcli models`, ORG/REPO[:QUANT], or a path. Of a .gguf file or a speech model.",
        ),
    ],
    template: opt.TemplateOpt = None,
    json: opt.JsonListOpt = False,
) -> int | None:
    """Show everything known about one model. If it is here, also what its files say about themselves.

    mmcli show starter
    mmcli show qwen3-vl-4b
    mmcli show starter --json
    """
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.commands import fitting, running
    from mmcli.models import catalogue

    chosen = running.template(template)
    found = known.find_any(name)
    fit = None
    if isinstance(found, known.SpeechModel | known.WantedSpeech):
        facts = _of_speech(found)
    else:
        facts = _facts(found, catalogue.load().get(found.name), chosen)
        fit = known.fits(found, fitting.room())
    source = facts.pop("template", None)
    facts["recorded"] = [_recorded(*told) for told in known.records(found, name)]
    if json:
        fitted = fitting.facts(fit) if fit else {"needs": None, "fits": None}
        terminal.data(facts | fitted | {"template": source})
        return None
    if fit:
        facts |= {"needs": fitting.needs(fit), "fits_here": fitting.verdict(fit)}
    kept = facts.pop("recorded")
    for key, value in facts.items():
        if value not in (None, "", [], {}):
            terminal.fact(key.replace("_", " "), _words(value))
    for record in kept:
        terminal.fact("recorded", _record_words(record))
    if source:
        terminal.line("template")
        for line in str(source).splitlines():
            terminal.line(f"    {line}")
    return None


def _recorded(record: Record, is_same: bool | None) -> dict[str, Any]:
    """One file as it was when it came, for programs."""
    facts = ("file", "bytes", "sha256", "commit", "revision", "fetched")
    return {fact: getattr(record, fact) for fact in facts} | {"unchanged": is_same}


def _record_words(record: dict[str, Any]) -> str:
    """`a.gguf: 1.20 GB, SHA-256 …, commit 01234567, fetched 2026-11-22`"""
    now = "; what is here now is another file" if record["unchanged"] is False else ""
    return (
        f"{record['file']}: {record['bytes']} bytes, SHA-256 {record['sha256']}, "
        f"commit {record['commit'][:8]}, fetched {record['fetched']}{now}"
    )


def _speech_rows() -> list[dict[str, Any]]:
    """The rows of the models that write down speech."""
    from mmcli import models as known
    from mmcli.models import speech
    from mmcli.models.sizes import rounded_gb

    rows = []
    if speech.has_starter():
        n_bytes = sum(path.stat().st_size for path in speech.STARTER.iterdir() if path.is_file())
        about = "a tiny built-in model for trying things out; it knows a few hundred words"
        rows.append(_row("starter", True, rounded_gb(n_bytes), None, ["speech"], "MIT", about))
    for name, entry in speech.load().items():
        here = isinstance(known.find_speech(name), known.SpeechModel)
        rows.append(_row(name, here, rounded_gb(_total(entry)), None, ["speech"], entry.licence, entry.about))
    return rows


def _of_speech(found: SpeechModel | WantedSpeech) -> dict[str, Any]:
    """What is known of a model that writes down speech."""
    from mmcli import models as known
    from mmcli.models.sizes import rounded_gb

    facts: dict[str, Any] = {"name": found.name, "here": isinstance(found, known.SpeechModel)}
    if found.entry is not None:
        facts |= {
            "about": found.entry.about,
            "abilities": ["speech"],
            "languages": found.entry.languages,
            "licence": found.entry.licence,
            "size_gb": rounded_gb(_total(found.entry)),
            "repo": found.entry.repo,
            "revision": found.entry.revision,
            "sha256": {file.file: file.sha256 for file in found.entry.files if file.sha256},
        }
    if isinstance(found, known.SpeechModel):
        if found.entry is None:
            size = rounded_gb(found.n_bytes)
            facts |= {"abilities": ["speech"], "languages": found.languages, "size_gb": size}
        return facts | {"folder": str(found.folder), "weights": str(found.weights)}
    return facts | {"repo": found.repo, "revision": found.revision}


def _facts(found: Model | Wanted, entry: Entry | None, chosen: Chosen | None) -> dict[str, Any]:
    """In the order people ask for them; what is not known is None."""
    from mmcli import models as known
    from mmcli.models import adopted, speech
    from mmcli.models.sizes import rounded_gb

    facts: dict[str, Any] = {"name": found.name, "here": isinstance(found, known.Model)}
    if entry is not None:
        facts |= {
            "about": entry.about,
            "abilities": list(entry.abilities),
            "licence": entry.licence,
            "size_gb": rounded_gb(_total(entry)),
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
        facts |= _of_files(found, chosen)
        if entry is not None and entry.builtin and speech.has_starter():
            facts["speech_model"] = str(speech.STARTER)
        owner = None if entry and entry.builtin else adopted.load().get(found.name)
        if owner and found.weights == owner.weights:
            facts["place"] = owner.place
    else:
        facts |= {"repo": found.repo, "revision": found.revision}
    return facts


def _of_files(model: Model, chosen: Chosen | None) -> dict[str, Any]:
    """What the GGUF files say about themselves."""
    from mmcli.models import gguf
    from mmcli.models.model import projector_type

    header = gguf.read(model.weights)
    architecture = header.architecture
    able = {"image": model.sees, "audio": model.hears, "speaks": model.speaks}
    facts: dict[str, Any] = {
        "abilities": [word for word, can in able.items() if can],
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
        facts["projector_type"] = projector_type(gguf.read(model.projector))
    if model.speaks:
        return facts
    return facts | _template(model, header.text("tokenizer.chat_template"), chosen)


def _template(model: Model, own: str, chosen: Chosen | None) -> dict[str, Any]:
    """What the model is asked with: its own template, or a form and why."""
    from mmcli.engine import forms
    from mmcli.models import gguf

    if chosen is None:
        has = set() if own.strip() else gguf.read_tokens(model.weights, forms.MARKS)
        chosen = forms.choose(own, has.__contains__)
        why = chosen.why and f"it carries none, and {chosen.why}"
    else:
        why = "--template"
    told = f"{chosen.name} ({why})" if why else chosen.name
    return {"template_form": told or "its own", "template": chosen.source}


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
