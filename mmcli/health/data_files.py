"""Checks the files in mmcli's data folder: history, adopted models, records of downloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmcli import history
from mmcli.errors import MmcliError
from mmcli.health.findings import Finding
from mmcli.models import adopted, pinned_hashes


def examine() -> Iterator[Finding]:
    """A finding for each of the files; what is not there is well."""
    yield talks()
    yield adopted_models()
    yield downloads()


def talks() -> Finding:
    """Whether the history opens, and whether SQLite finds its pages in order."""
    try:
        with history.Store(create=False) as store:
            facts = {"file": str(store.path), "exists": store.path.exists()}
            if not store.path.exists():
                return Finding("history", "ok", f"`{store.path}` is not there yet", facts=facts)
            n_talks = store.examine()
    except MmcliError as error:
        # Whoever asks a question is answered all the same, with a warning.
        return Finding("history", "warning", error.message, error.hint or "check the file's owner and permissions")
    message = f"`{facts['file']}` is intact: {n_talks} conversation{'' if n_talks == 1 else 's'}"
    return Finding("history", "ok", message, facts=facts | {"talks": n_talks})


def adopted_models() -> Finding:
    """Whether the list of other tools' models can be read, and whether their files are still there."""
    facts: dict[str, Any] = {"file": str(adopted.file())}
    try:
        models = adopted.load()
    except MmcliError as error:  # every name of a model is looked up there
        return Finding("adopted", "problem", error.message, error.hint, facts, status=error.status)
    gone = [model.name for model in models.values() if model.gone]
    facts |= {"models": len(models), "gone": gone}
    if gone:
        named = ", ".join(f"`{name}`" for name in gone[:3]) + (" …" if len(gone) > 3 else "")
        message = f"the files of {len(gone)} of {len(models)} models of other tools are gone: {named}"
        return Finding("adopted", "warning", message, "`mmcli models --adopt` looks again, and forgets them", facts)
    found = f"all {len(models)} models of other tools are where they were" if models else "no models of other tools"
    return Finding("adopted", "ok", found, facts=facts)


def downloads() -> Finding:
    """Whether what was recorded of downloads can be read."""
    facts = {"file": str(pinned_hashes.file())}
    if damage := pinned_hashes.damage():
        message = f"`{pinned_hashes.file()}` is damaged ({damage}): downloads are not compared with what they were"
        return Finding(
            "downloads", "warning", message, "the next `mmcli pull` sets it aside and starts a new one", facts
        )
    n_files = len(pinned_hashes.load())
    message = f"{n_files} file{'' if n_files == 1 else 's'} recorded when {'it' if n_files == 1 else 'they'} came"
    return Finding("downloads", "ok", message if n_files else "nothing recorded yet", facts=facts | {"files": n_files})
