"""An embedding model by its name → a `Space`: found, fetched after a question, opened. Never prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmcli.embed.recipe import Recipe
    from mmcli.embed.space import TowerSpace
    from mmcli.models import EmbeddingEntry, EmbeddingModel
    from mmcli.runtime.reporter import Reporter


def open_space(name: str | None, *, yes: bool, reporter: Reporter, threads: int | None = None) -> TowerSpace:
    """The space of that model; None: of one that is here, else of the starter, with a note.

    ModelError (4) where there is none of that name, or it was not to be fetched; NetworkError (5) where it cannot be.
    No tower is loaded yet.
    """
    from mmcli.runtime import model_fetch

    return of_model(model_fetch.embedding(name, yes=yes, reporter=reporter), threads=threads)


def of_model(model: EmbeddingModel, *, threads: int | None = None) -> TowerSpace:
    """The space of a model that is here."""
    from mmcli import config
    from mmcli.embed import space

    cache = config.cache_dir() / "embed"
    if model.entry is None:
        return space.from_folder(model.name, model.folder, threads=threads, cache=cache)
    entry, folder = model.entry, model.folder
    files = space.TowerFiles(folder / entry.pictures.file, folder / entry.texts.file, folder / entry.tokenizer.file)
    return space.open_space(model.name, files, _recipe(entry), dim=entry.dim, threads=threads, cache=cache)


def _recipe(entry: EmbeddingEntry) -> Recipe:
    from mmcli.embed.recipe import Preparation, Recipe, Wording

    seen = Preparation(entry.side, entry.resize, entry.interpolation, entry.mean, entry.std, entry.ground)
    wording = Wording(entry.context, entry.pad, entry.canonicalise, entry.fixed)
    return Recipe(seen, wording, entry.scale, entry.bias, entry.calibrated)
