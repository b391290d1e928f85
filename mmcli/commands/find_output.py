"""What `mmcli find` prints: lines, names, JSON, small pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmcli.commands.find import FoundOptions
    from mmcli.library.query import Findings, FoundPiece
    from mmcli.library.store import Library
    from mmcli.terminal import Style


def show(library: Library, findings: Findings, out: FoundOptions, style: Style) -> None:
    """All of it, in the form that was asked for."""
    from mmcli import terminal

    if out.html is not None:
        from mmcli.commands import find_page

        find_page.write(out.html, findings)
    if out.json:
        terminal.data([record(rank, found) for rank, found in enumerate(findings.found, 1)])
    elif out.jsonl:
        for rank, found in enumerate(findings.found, 1):
            terminal.json_line(record(rank, found))
    elif out.files or out.print0 or out.sources:
        for name in _names(findings, out):
            terminal.raw(name + b"\0") if out.print0 else terminal.row(terminal.escaped(os.fsdecode(name)) + "\n")
    else:
        for found in findings.found:
            terminal.row(line(found) + "\n")
            if out.show:
                _draw(found, style)


def _names(findings: Findings, out: FoundOptions) -> Iterator[bytes]:
    """Files or sources, each once."""
    seen = set()
    for found in findings.found:
        names = [os.fsencode(found.source)] if out.sources else [found.path, *(found.also if out.everything else ())]
        for name in names:
            if name not in seen:
                seen.add(name)
                yield name


def line(found: FoundPiece) -> str:
    """`SOURCE<TAB>STRENGTH<TAB>WHY`"""
    from mmcli import terminal

    return f"{terminal.escaped(found.source)}\t{strength(found)}\t{why(found)}"


def strength(found: FoundPiece) -> str:
    if found.verified is not None:
        return f"{found.verified:.2f}"
    return "-" if found.z is None else f"{found.z:.1f}"


def why(found: FoundPiece) -> str:
    """When, where, which stretch, which words, and how many others there are: one line."""
    from mmcli import terminal

    parts = [] if found.taken is None else [found.taken[:10]]
    if found.start_ms >= 0:
        parts.append(f"{clock(found.start_ms)}–{clock(found.end_ms)}")
    if found.place:
        parts.append(found.place)
    if found.excerpt:
        parts.append(f"“{found.excerpt}”")
    if found.also:
        parts.append(f"(+{len(found.also)})")
    return terminal.one_line(" ".join(parts))


def clock(ms: int) -> str:
    """`14:32`"""
    seconds = max(ms, 0) // 1000
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def record(rank: int, found: FoundPiece) -> dict[str, Any]:
    """One result as JSON."""
    return {
        "path": os.fsdecode(found.path),
        "source": found.source,
        "strength": found.verified if found.verified is not None else _rounded(found.z, 2),
        "rank": rank,
        "parts": {
            "cosine": _rounded(found.cosine, 5),
            "z": _rounded(found.z, 2),
            "vector_rank": found.vector_rank,
            "words_rank": found.words_rank,
            "verify": found.verified,
        },
        "kind": found.kind,
        "taken": found.taken,
        "place": found.place,
        "camera": found.camera,
        "start": None if found.start_ms < 0 else found.start_ms / 1000,
        "end": None if found.end_ms < 0 else found.end_ms / 1000,
        "page": None if found.page < 0 else found.page,
        "excerpt": found.excerpt or None,
        "also": [os.fsdecode(path) for path in found.also],
        "sha256": found.sha256.hex(),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _draw(found: FoundPiece, style: Style) -> None:
    from mmcli import terminal
    from mmcli.errors import MmcliError
    from mmcli.library import thumbnails

    try:
        pixels = thumbnails.of(found, 256)
    except MmcliError as error:
        terminal.warning(error.message, style)
    else:
        terminal.picture(pixels, style, 24)


def same(library: Library, similar: bool, out: FoundOptions, style: Style) -> None:
    """Groups of files that are the same: the first one, the other one, in which way."""
    from mmcli import terminal
    from mmcli.library import near

    pairs = near.pairs(library, similar=similar)
    if style.json:
        told = [{"path": os.fsdecode(a), "same": os.fsdecode(b), "how": how} for a, b, how in pairs]
        if out.jsonl:
            for each in told:
                terminal.json_line(each)
        else:
            terminal.data(told)
        return
    for one, other, how in pairs:
        if out.print0:
            terminal.raw(other + b"\0")
        elif out.files:
            terminal.row(terminal.escaped(os.fsdecode(other)) + "\n")
        else:
            names = (terminal.escaped(os.fsdecode(path)) for path in (one, other))
            terminal.row("\t".join((*names, how)) + "\n")
