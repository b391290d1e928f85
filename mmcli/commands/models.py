"""`mmcli models`: list models, those on this machine first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import options as opt
from mmcli.commands.model_facts import speech_fit, total, with_license
from mmcli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmcli.models import Entry, Fit, Room
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
    rows = [*_catalogue_rows(room), *_adopted_rows(room), *_speech_rows(room), *_embedding_rows(room)]
    chosen = settings.value(ctx, "model"), settings.value(ctx, "speech_model")
    _mark(rows, chosen[0] or default(room), chosen[1])
    wanted = [word.casefold() for word in words or ()]
    some = [row for row in rows if (row["here"] or not here) and all(word in _searched(row) for word in wanted)]
    some.sort(key=lambda row: not row["here"])
    if json:
        terminal.data([with_license(row) for row in some])
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
        sections[HEADINGS[row["here"], _kind(row)]].append(_cells(row))
    missing = terminal.tables(SHOWN, sections, style, spare=SPARE, prose=ABOUT)
    chosen = [row for row in rows if row["chosen"]]
    if chosen:
        fetch = "".join(f"; `mmcli pull {row['name']}` downloads it" for row in chosen[:1] if not row["here"])
        terminal.notice(f"{MARK} is used when you name no model{fetch}", style)
    if missing:
        named = ", ".join(missing)
        terminal.notice(f"this terminal is too narrow for {named}; see `mmcli show NAME`", style)


HEADINGS = {
    (True, ""): "on this machine",
    (True, "speech"): "on this machine, for speech",
    (True, "embedding"): "on this machine, to find pictures by words",
    (False, ""): "not here yet",
    (False, "speech"): "not here yet, for speech",
    (False, "embedding"): "not here yet, to find pictures by words",
}


def _kind(row: dict[str, Any]) -> str:
    """`speech` and `embedding` for models that do nothing else."""
    return str(row["abilities"]) if row["abilities"] in ("speech", "embedding") else ""


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

    chosen = {"speech": speech_model or known.find_speech().name, "embedding": known.find_embedding().name}
    for row in rows:
        row["chosen"] = row["name"] == chosen.get(_kind(row), model)


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

    if n_bytes := total(entry):
        return rounded_gb(n_bytes)
    try:
        found = known.find(name)
    except ModelError:
        return None
    if not isinstance(found, known.Model):
        return None
    files = (*found.parts, *((found.projector,) if found.projector else ()))
    return rounded_gb(sum(file.stat().st_size for file in files))


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


def _speech_rows(room: Room) -> list[dict[str, Any]]:
    """The rows of the models that write down speech."""
    from mmcli import models as known
    from mmcli.models import speech
    from mmcli.models.sizes import rounded_gb

    rows = []

    def add(name: str, here: bool, n_bytes: int | None, licence: str, about: str) -> None:
        row = _row(name, here, rounded_gb(n_bytes), speech_fit(n_bytes, room), ["speech"], licence, about)
        rows.append(row | {"largest_context": None})

    if speech.has_starter():
        n_bytes = sum(path.stat().st_size for path in speech.STARTER.iterdir() if path.is_file())
        add(
            "starter", True, n_bytes, "MIT", "a tiny built-in model for trying things out; it knows a few hundred words"
        )
    for name, entry in speech.load().items():
        here = isinstance(known.find_speech(name), known.SpeechModel)
        add(name, here, total(entry), entry.licence, entry.about)
    return rows


def _embedding_rows(room: Room) -> list[dict[str, Any]]:
    """The rows of the models that compare pictures with words."""
    from mmcli import models as known
    from mmcli.models import embedding
    from mmcli.models.sizes import rounded_gb

    rows = []
    for name, entry in embedding.load().items():
        found = known.find_embedding(name)
        here = isinstance(found, known.EmbeddingModel)
        n_bytes = found.n_bytes if isinstance(found, known.EmbeddingModel) else total(entry)
        fit = speech_fit(n_bytes, room)
        row = _row(name, here, rounded_gb(n_bytes), fit, ["embedding"], entry.licence, entry.about)
        rows.append(row | {"largest_context": None})
    return rows
