"""What lies below a root, and whether the root is there at all. Opens no file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mmcli.library.records import FileRow, Root, Stat


@dataclass
class RootListing:
    """The files of a root, by their path below it; empty: the root is a file itself."""

    files: dict[bytes, Stat] = field(default_factory=dict)
    closed: list[bytes] = field(default_factory=list)  # folders that cannot be listed: what is known of them stays
    device: int = 0
    is_there: bool = True


def scan(root: Root, suffixes: frozenset[str], on_error: Callable[[str], None] = lambda text: None) -> RootListing:
    """Go through a root: visible files with one of the extensions, in order of their names."""
    listing = RootListing()
    wanted = tuple(os.fsencode(suffix) for suffix in suffixes)
    try:
        status = os.stat(root.path)
    except OSError:
        listing.is_there = False
        return listing
    listing.device = status.st_dev
    if not os.path.isdir(root.path):
        listing.files[b""] = Stat(status.st_size, status.st_mtime_ns, status.st_ino)
        return listing
    for below, entry in _entries(root, listing, on_error):
        if entry.name.lower().endswith(wanted):
            try:
                if entry.is_file():
                    status = entry.stat()
                    listing.files[below] = Stat(status.st_size, status.st_mtime_ns, status.st_ino)
            except OSError:  # gone meanwhile
                continue
    return listing


def _entries(
    root: Root, listing: RootListing, on_error: Callable[[str], None]
) -> Iterator[tuple[bytes, os.DirEntry[bytes]]]:
    folders = [b""]
    while folders:
        below = folders.pop()
        path = os.path.join(root.path, below) if below else root.path
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            listing.closed.append(below)
            on_error(f"the folder `{os.fsdecode(path)}` cannot be listed: {error.strerror}")
            continue
        inner = []
        for entry in found:
            if entry.name.startswith(b"."):
                continue
            name = os.path.join(below, entry.name)
            if entry.is_dir(follow_symlinks=False):
                inner.append(name)
            else:
                yield name, entry
        if root.recursive:
            folders += reversed(inner)


def is_offline(root: Root, listing: RootListing, known: Mapping[bytes, FileRow]) -> bool:
    """Whether a root seems not to be mounted: it is missing, empty, or on another disk without any file it had.

    What is known of it then stays. A root that was never gone through cannot be offline.
    """
    had = [path for path, row in known.items() if row.state != "gone"]
    if not had:
        return False
    if not listing.is_there or (not listing.files and not listing.closed):
        return True
    return listing.device != root.device and not any(path in listing.files for path in had)


def lost(listing: RootListing, known: Mapping[bytes, FileRow]) -> list[tuple[bytes, FileRow]]:
    """Files that were here and are not any more; those in folders that cannot be listed are not among them."""
    closed = tuple(folder + b"/" for folder in listing.closed if folder)
    if b"" in listing.closed:
        return []
    return [
        (path, row)
        for path, row in known.items()
        if row.state != "gone" and path not in listing.files and not path.startswith(closed)
    ]
