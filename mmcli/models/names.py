"""The names of models that options take and that are known here. Knows catalogue and cache; makes no connection."""

from __future__ import annotations

from collections.abc import Iterator

from mmcli.models import cache, catalogue, embedding, pairing, speech


def all_names() -> list[tuple[str, str]]:
    """Every name with what it is: the catalogue's, then what else of the Hub is in its cache."""
    entries = catalogue.load()
    repos = {entry.repo for entry in entries.values()}
    found = [(name, entry.about) for name, entry in entries.items()]
    return found + [(name, "on this machine") for repo, name in _cached() if repo not in repos]


def speech_names() -> list[tuple[str, str]]:
    """The same of models that write down speech."""
    entries = speech.load()
    repos = {entry.repo for entry in entries.values()}
    found = [("starter", "built in: a few hundred English words")] if speech.has_starter() else []
    found += [(name, entry.about) for name, entry in entries.items()]
    return found + [(repo, "on this machine") for repo in _cached_speech() if repo not in repos]


def embedding_names() -> list[tuple[str, str]]:
    """The same of models that compare pictures with words."""
    return [(name, entry.about) for name, entry in embedding.load().items()]


def speaker_names() -> list[tuple[str, str]]:
    """The same of models that say texts aloud."""
    return [(name, entry.about) for name, entry in catalogue.load().items() if entry.speaks]


def _cached_speech() -> Iterator[str]:
    """`ORG/REPO` of all speech models in the Hub's cache."""
    for place in sorted(cache.root().glob("models--*--*")):
        for snapshot in place.glob("snapshots/*"):
            if speech.is_one(path.name for path in snapshot.iterdir()):
                yield place.name.removeprefix("models--").replace("--", "/", 1)
                break


def _cached() -> Iterator[tuple[str, str]]:
    """`ORG/REPO` and `ORG/REPO:QUANT` of all weights in the Hub's cache."""
    for place in sorted(cache.root().glob("models--*--*")):
        repo = place.name.removeprefix("models--").replace("--", "/", 1)
        files = {path.name for path in place.glob("snapshots/*/**/*.gguf")}
        for name in sorted(files):
            if not pairing.is_projector(name):
                quant = pairing.quant(name)
                yield repo, f"{repo}:{quant}" if quant else repo
