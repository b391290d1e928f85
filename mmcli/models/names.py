"""The names that `-m` takes and that are known here. Knows the catalogue and the cache; makes no connection."""

from __future__ import annotations

from collections.abc import Iterator

from mmcli.models import cache, catalogue, pairs


def all_names() -> list[tuple[str, str]]:
    """Every name with what it is: the catalogue's, then what else of the Hub is in its cache."""
    entries = catalogue.load()
    repos = {entry.repo for entry in entries.values()}
    found = [(name, entry.about) for name, entry in entries.items()]
    return found + [(name, "on this machine") for repo, name in _cached() if repo not in repos]


def _cached() -> Iterator[tuple[str, str]]:
    """`ORG/REPO` and `ORG/REPO:QUANT` of all weights in the Hub's cache."""
    for place in sorted(cache.root().glob("models--*--*")):
        repo = place.name.removeprefix("models--").replace("--", "/", 1)
        files = {path.name for path in place.glob("snapshots/*/**/*.gguf")}
        for name in sorted(files):
            if not pairs.is_projector(name):
                quant = pairs.quant(name)
                yield repo, f"{repo}:{quant}" if quant else repo
