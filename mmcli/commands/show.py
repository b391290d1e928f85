"""`mmcli show`: the details of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import any_names
from mmcli.commands.model_facts import speech_fit, total, with_license

if TYPE_CHECKING:
    from mmcli.engine.forms import ChosenTemplate
    from mmcli.models import (
        EmbeddingModel,
        Entry,
        Model,
        PinnedFile,
        SpeechModel,
        WantedEmbedding,
        WantedModel,
        WantedSpeech,
    )


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
    fit = of_speech = None
    if isinstance(found, known.SpeechModel | known.WantedSpeech):
        facts = _of_speech(found)
        size = facts.get("size_gb")
        of_speech = speech_fit(round(size * sizes.GB) if size else None, memory_report.room())
    elif isinstance(found, known.EmbeddingModel | known.WantedEmbedding):
        facts = _of_embedding(found)
        size = facts.get("size_gb")
        of_speech = speech_fit(round(size * sizes.GB) if size else None, memory_report.room())
    else:
        facts = _facts(found, catalogue.load().get(found.name), chosen)
        fit = known.fits(found, memory_report.room())
    source = facts.pop("template", None)
    facts["recorded"] = [_recorded(*told) for told in known.records(found, name)]
    if json:
        fitted = memory_report.facts(fit) if fit else {"needs": None, "fits": None}
        terminal.data(with_license(facts) | fitted | {"template": source})
        return None
    if fit:
        facts |= {"needs": memory_report.needs(fit), "fits_here": memory_report.verdict(fit)}
    elif of_speech:
        facts |= {"needs": f"about {sizes.short(of_speech.n_bytes)}", "fits_here": of_speech.verdict}
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
            "size_gb": rounded_gb(total(found.entry)),
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


def _of_embedding(found: EmbeddingModel | WantedEmbedding) -> dict[str, Any]:
    """What is known of a model that compares pictures with words."""
    from mmcli import models as known
    from mmcli.models.sizes import rounded_gb

    facts: dict[str, Any] = {"name": found.name, "here": isinstance(found, known.EmbeddingModel)}
    facts["abilities"] = ["embedding"]
    if found.entry is not None:
        facts |= {
            "about": found.entry.about,
            "languages": found.entry.languages,
            "licence": found.entry.licence,
            "size_gb": rounded_gb(total(found.entry)),
            "embedding_length": found.entry.dim,
            "side": found.entry.side,
            "repo": found.entry.repo,
            "revision": found.entry.revision,
            "sha256": {file.file: file.sha256 for file in found.entry.files if file.sha256},
        }
    if isinstance(found, known.EmbeddingModel):
        return facts | {
            "size_gb": rounded_gb(found.n_bytes),
            "folder": str(found.folder),
            "weights": str(found.weights),
        }
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
            "size_gb": rounded_gb(total(entry)),
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
