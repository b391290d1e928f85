"""What a conversation tells beside its answers: a banner, lists, facts. All of it on stderr, for a person."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mmcli.terminal import streams
from mmcli.terminal.clean import one_line
from mmcli.terminal.waiting import out_of_the_way

NARROW = 60  # columns: below it a pair takes two lines


def aside(text: str, look: str = "") -> None:
    """One line; a terminal breaks it between words."""
    from rich.text import Text

    with out_of_the_way():
        streams.put(Text(one_line(text), look), sys.stderr)


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
