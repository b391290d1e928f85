"""What `mmcli find` prints: lines, names, JSON, small pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mmcli.commands import find_lines

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
        terminal.data([find_lines.record(rank, found) for rank, found in enumerate(findings.found, 1)])
    elif out.jsonl:
        for rank, found in enumerate(findings.found, 1):
            terminal.json_line(find_lines.record(rank, found))
    elif out.files or out.print0 or out.sources:
        for name in _names(findings, out):
            terminal.raw(name + b"\0") if out.print0 else terminal.row(terminal.escaped(os.fsdecode(name)) + "\n")
    else:
        for found in findings.found:
            terminal.row(find_lines.line(found) + "\n")
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

    def left_out(count: int) -> None:
        files = "1 file" if count == 1 else f"{count} files"
        terminal.notice(f"{files} left out: gone or changed since the last `mmcli index`", style)

    pairs = near.pairs(library, similar=similar, on_left_out=left_out)
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
