"""`mmcli schema`: the JSON schema that a short form stands for."""

from __future__ import annotations

from typing import Annotated

import typer


def schema(
    shape: Annotated[
        str,
        typer.Argument(
            metavar="SCHEMA",
            help="The short form, in quotation marks. Also a JSON schema, or a file of one.",
            show_default=False,
        ),
    ],
    *,
    bounds: Annotated[
        bool, typer.Option("--bounds", help="Print it with the bounds that answers are held to.")
    ] = False,
) -> None:
    """Print the JSON schema of a short form. What answers cannot be held to is an error.

    mmcli schema 'vendor, date date, total float?, currency EUR|USD|GBP'
    mmcli schema 'items[]{name, qty int 1..99, price float}' > items.json
    """
    from mmcli import terminal
    from mmcli.extraction import answer_schema

    found = answer_schema.find(shape)
    terminal.data(found.bounded if bounds else dict(found.wanted))
