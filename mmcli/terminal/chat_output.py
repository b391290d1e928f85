"""Shows what a conversation prints beside its answers: a banner, lists, facts. All of it on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mmcli.sanitize import clean, one_line
from mmcli.terminal import streams, wrapping
from mmcli.terminal.progress_line import out_of_the_way

NARROW = 60  # columns: below it a pair takes two lines


def aside(text: str, look: str = "") -> None:
    """One line; a terminal breaks it between words."""
    from rich.text import Text

    with out_of_the_way():
        streams.put(Text(one_line(text), look), sys.stderr)


def exchange(question: str, answer: str, media: Sequence[str] = (), *, look: str = "", most: int | None = None) -> bool:
    """A question and its answer as text; of the answer at most so many lines. Returns whether it was cut."""
    from rich.text import Text

    is_terminal = streams.is_terminal(sys.stderr)
    width = streams.err().width if is_terminal else 0

    def broken(text: str, hanging: int = 0) -> list[str]:
        whole = clean(text).expandtabs(4).splitlines()
        return [part for line in whole for part in (wrapping.lines(line, width, hanging) if width else [line])]

    lines = broken(answer.strip())
    is_cut = most is not None and len(lines) > most
    shown = [*lines[: most if is_cut else None], *(["…"] if is_cut else [])]
    asked = broken("> " + question.strip().replace("\n", "\n. "), 2)
    with out_of_the_way():
        console = streams.err()
        console.print()
        for line in asked:
            console.print(Text(line, look or "bold"), soft_wrap=True)
        for medium in media:
            streams.put(Text("  " + one_line(medium), "dim"), sys.stderr, 4)
        for line in shown:
            console.print(Text(line, look), soft_wrap=True)
    return is_cut


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Names and what they mean: in two columns, or one below the other where the terminal is narrow."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console = streams.err()
    cells = [(one_line(name), one_line(meaning)) for name, meaning in rows]
    if not streams.is_terminal(sys.stderr):
        for name, meaning in cells:
            streams.write(f"{name}\t{meaning}\n", sys.stderr)
        return
    with out_of_the_way():
        if console.width < NARROW:
            for name, meaning in cells:
                console.print(Text(name, "bold"))
                streams.put(Text("  " + meaning), sys.stderr, 2)
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, min_width=max((cell_len(name) for name, _ in cells), default=0))
        table.add_column()
        for name, meaning in cells:
            table.add_row(Text(name, "bold"), Text(meaning))
        console.print(table)
