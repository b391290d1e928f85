"""The Hugging Face cache on this machine, as huggingface_hub lays it out. Makes no connection, and imports no library.

models--ORG--NAME/refs/main                     a commit
models--ORG--NAME/snapshots/COMMIT/FILE      →  ../../blobs/ETAG
"""

from __future__ import annotations

import os
import re
from pathlib import Path


def root() -> Path:
    """The Hub's cache, by the same variables as huggingface_hub's constants.py."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = os.environ.get("HF_HOME") or os.path.join(home, "huggingface")
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(named)))


def folder(repo: str) -> Path:
    """Where the cache keeps a repository."""
    return root() / ("models--" + repo.replace("/", "--"))


def snapshot(repo: str, revision: str) -> Path | None:
    """The folder with the files of that revision that were fetched so far."""
    commit = revision
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        try:
            commit = (folder(repo) / "refs" / revision).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
    place = folder(repo) / "snapshots" / commit
    return place if commit and place.is_dir() else None


def find(repo: str, revision: str, file: str, n_bytes: int | None = None) -> Path | None:
    """The file in the cache, if it is there, and of the size it must have."""
    place = snapshot(repo, revision)
    path = place / file if place else None
    try:
        size = path.stat().st_size if path else 0
    except OSError:
        return None
    return path if size and n_bytes in (None, size) else None
