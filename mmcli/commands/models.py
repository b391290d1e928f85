"""`mmcli models` and `mmcli show`: list models, and show the details of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import any_names
from mmcli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmcli.engine.forms import ChosenTemplate
    from mmcli.models import Entry, Fit, Model, PinnedFile, Room, SpeechEntry, SpeechModel, WantedModel, WantedSpeech
    from mmcli.terminal import Style

COLUMNS = ("name", "here", "size_gb", "needs_gb", "fits", "abilities", "licence", "about")  # of a pipe
SHOWN = ("name", "size", "needs", "fits", "abilities", "licence", "about")  # of a terminal
SPARE = ("licence", "needs", "abilities", "size", "about")  # what a narrow terminal goes without, in this order
ABOUT = 18  # cells of the last column, at least
MARK = "*"  # behind the name of the model that is taken where none is named


def models(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS...]", help="Only models with these words in name or description.", show_default=False
        ),
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Only models that are on this machine.")] = False,
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
    mmcli models qwen
    mmcli models --here
    """
    from mmcli import terminal
    from mmcli.commands import settings
    from mmcli.models import default
    from mmcli.runtime import memory_report

    style = terminal.Style(json=json, quiet=quiet)
    if adopt:
        if words or here:
            raise UsageError("--adopt looks for all models: it takes no words and no --here")
        return _adopt(style)
    room = memory_report.room()
    rows = [*_catalogue_rows(room), *_adopted_rows(room), *_speech_rows(room)]
    chosen = settings.value(ctx, "model"), settings.value(ctx, "speech_model")
    _mark(rows, chosen[0] or default(room), chosen[1])
    wanted = [word.casefold() for word in words or ()]
    some = [row for row in rows if (row["here"] or not here) and all(word in _searched(row) for word in wanted)]
    some.sort(key=lambda row: not row["here"])
    if json:
        terminal.data([_with_license(row) for row in some])
    elif not terminal.is_screen():
        terminal.table(COLUMNS, [[row[column] for column in COLUMNS] for row in some], style)
    elif some:
        _show_list(some, style)
    if not some:
        terminal.notice(
            "no model in this list has these words; -m ORG/REPO takes any GGUF model of the Hugging Face Hub", style
        )
    return None


def _show_list(rows: list[dict[str, Any]], style: Style) -> None:
    """The list on a terminal: what is here first, sizes with their units, notes on what is marked and missing."""
    from mmcli import terminal

    sections: dict[str, list[list[Any]]] = {heading: [] for heading in HEADINGS.values()}
    for row in rows:
        sections[HEADINGS[row["here"], row["abilities"] == "speech"]].append(_cells(row))
    missing = terminal.tables(SHOWN, sections, style, spare=SPARE, prose=ABOUT)
    chosen = [row for row in rows if row["chosen"]]
    if chosen:
        fetch = "".join(f"; `mmcli pull {row['name']}` downloads it" for row in chosen[:1] if not row["here"])
        terminal.notice(f"{MARK} is used when you name no model{fetch}", style)
    if missing:
        named = ", ".join(missing)
        terminal.notice(f"this terminal is too narrow for {named}; see `mmcli show NAME`", style)


HEADINGS = {
    (True, False): "on this machine",
    (True, True): "on this machine, for speech",
    (False, False): "not here yet",
    (False, True): "not here yet, for speech",
}


def _cells(row: dict[str, Any]) -> list[Any]:
    from mmcli.models import sizes

    told = {
        "name": f"{row['name']} {MARK}" if row["chosen"] else row["name"],
        "size": sizes.short(None if row["size_gb"] is None else round(row["size_gb"] * sizes.GB)),
        "needs": sizes.short(row["needs_bytes"]),
    }
    return [(row | told)[column] for column in SHOWN]


def _searched(row: dict[str, Any]) -> str:
    return " ".join(str(row[key]) for key in ("name", "abilities", "licence", "about")).casefold()


def _mark(rows: list[dict[str, Any]], model: str, speech_model: str | None) -> None:
    """Mark the models that are taken where nobody names one; those in the settings may be files, and are not listed."""
    from mmcli import models as known

    writer = speech_model or known.find_speech().name
    for row in rows:
        row["chosen"] = row["name"] == (writer if row["abilities"] == "speech" else model)


def _catalogue_rows(room: Room) -> list[dict[str, Any]]:
    from mmcli import models as known
    from mmcli.models import catalogue

    return [
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
        terminal.notice(f"skipped: {len(found.damaged)} that cannot be read, such as {found.damaged[0]}", style)
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
    """Show the details of one model. If it is here, also what its files say about themselves.

    mmcli show starter
    mmcli show qwen3-vl-4b
    mmcli show starter --json
    """
    from mmcli import models as known
    from mmcli import terminal
    from mmcli.models import catalogue, sizes
    from mmcli.runtime import memory_report, model_loader

    chosen = model_loader.template(template)
    found = known.find_any(name)
    fit = speech_fit = None
    if isinstance(found, known.SpeechModel | known.WantedSpeech):
        facts = _of_speech(found)
        size = facts.get("size_gb")
        speech_fit = _speech_fit(round(size * sizes.GB) if size else None, memory_report.room())
    else:
        facts = _facts(found, catalogue.load().get(found.name), chosen)
        fit = known.fits(found, memory_report.room())
    source = facts.pop("template", None)
    facts["recorded"] = [_recorded(*told) for told in known.records(found, name)]
    if json:
        fitted = memory_report.facts(fit) if fit else {"needs": None, "fits": None}
        terminal.data(_with_license(facts) | fitted | {"template": source})
        return None
    if fit:
        facts |= {"needs": memory_report.needs(fit), "fits_here": memory_report.verdict(fit)}
    elif speech_fit:
        facts |= {"needs": f"about {sizes.short(speech_fit.n_bytes)}", "fits_here": speech_fit.verdict}
    if facts.get("needs"):
        facts["memory_gb"] = None  # the catalogue's estimate, where ours is from the files themselves
    kept = facts.pop("recorded")
    for key, value in facts.items():
        if value not in (None, "", [], {}):
            for label, text in _told(key, value):
                terminal.fact(label, text)
    for record in kept:
        terminal.fact("recorded", _record_words(record))
    if source:
        terminal.line("template")
        for line in str(source).splitlines():
            terminal.line(f"    {line}")
    return None


def _with_license(facts: dict[str, Any]) -> dict[str, Any]:
    """`license`, as the Hub spells it, beside `licence`, which scripts may read."""
    return facts | {"license": facts["licence"]} if "licence" in facts else facts


def _recorded(record: PinnedFile, is_same: bool | None) -> dict[str, Any]:
    """One file as it was when it came, for programs."""
    facts = ("file", "bytes", "sha256", "commit", "revision", "fetched")
    return {fact: getattr(record, fact) for fact in facts} | {"unchanged": is_same}


def _record_words(record: dict[str, Any]) -> str:
    """`a.gguf: 1.20 GB, SHA-256 …, commit 01234567, fetched 2026-11-22`"""
    now = "; the file here now is a different one" if record["unchanged"] is False else ""
    return (
        f"{record['file']}: {record['bytes']} bytes, SHA-256 {record['sha256']}, "
        f"commit {record['commit'][:8]}, downloaded {record['fetched']}{now}"
    )


def _speech_rows(room: Room) -> list[dict[str, Any]]:
    """The rows of the models that write down speech."""
    from mmcli import models as known
    from mmcli.models import speech
    from mmcli.models.sizes import rounded_gb

    rows = []

    def add(name: str, here: bool, n_bytes: int | None, licence: str, about: str) -> None:
        row = _row(name, here, rounded_gb(n_bytes), _speech_fit(n_bytes, room), ["speech"], licence, about)
        rows.append(row | {"largest_context": None})

    if speech.has_starter():
        n_bytes = sum(path.stat().st_size for path in speech.STARTER.iterdir() if path.is_file())
        add(
            "starter", True, n_bytes, "MIT", "a tiny built-in model for trying things out; it knows a few hundred words"
        )
    for name, entry in speech.load().items():
        here = isinstance(known.find_speech(name), known.SpeechModel)
        add(name, here, _total(entry), entry.licence, entry.about)
    return rows


def _speech_fit(n_bytes: int | None, room: Room) -> Fit | None:
    """Whether a speech model fits the memory: where it would run on a GPU is not known before it is loaded."""
    from mmcli.models import Room as Free
    from mmcli.models import memory

    return memory.judge(memory.of_speech(n_bytes), Free(room.memory)) if n_bytes else None


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


def _facts(found: Model | WantedModel, entry: Entry | None, chosen: ChosenTemplate | None) -> dict[str, Any]:
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
            "prompts": list(entry.own_prompts),
            "output": entry.output if entry.prompts else None,
            "side": entry.side,
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


def _of_files(model: Model, chosen: ChosenTemplate | None) -> dict[str, Any]:
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


def _template(model: Model, own: str, chosen: ChosenTemplate | None) -> dict[str, Any]:
    """What the model is asked with: its own template, or a form and why."""
    from mmcli.engine import forms
    from mmcli.models import gguf

    if chosen is None:
        has = set() if own.strip() else gguf.read_tokens(model.weights, forms.MARKS)
        chosen = forms.choose(own, has.__contains__)
        why = chosen.why and f"it has none, and {chosen.why}"
    else:
        why = "--template"
    told = f"{chosen.name} ({why})" if why else chosen.name
    return {"template_form": told or "its own", "template": chosen.source}


# What a fact of `mmcli show` is called, where that is not its key's own words.
LABELS = {
    "here": "on this machine",
    "size_gb": "size",
    "parameters_million": "parameters",
    "context_advice": "advised context",
    "memory_gb": "memory",
    "needs": "memory needed",
    "template_kwargs": "template settings",
    "repo": "on the Hub",
    "embedding_length": "embedding size",
    "trained_context": "longest context",
    "projector_type": "kind of projector",
    "template_form": "chat template",
}


def _told(key: str, value: object) -> list[tuple[str, str]]:
    """A fact in words, with its label; of several files a line each."""
    from mmcli.models import sizes

    label = LABELS.get(key, key.replace("_", " "))
    if key in ("size_gb", "memory_gb") and isinstance(value, int | float):
        return [(label, sizes.short(round(value * sizes.GB)))]
    if key == "parameters_million" and isinstance(value, int | float):
        return [(label, f"{value / 1000:g} billion" if value >= 1000 else f"{value:g} million")]
    if key in ("context_advice", "trained_context"):
        return [(label, f"{value} tokens")]
    if key == "sha256" and isinstance(value, dict):
        return [("SHA-256", f"{digest} of {file}") for file, digest in value.items()]
    if isinstance(value, bool):
        return [(label, "yes" if value else "no")]
    if isinstance(value, dict):
        return [(label, ", ".join(f"{name.replace('_', ' ')} {_plain(item)}" for name, item in value.items()))]
    return [(label, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]


def _plain(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)
