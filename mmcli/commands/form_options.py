"""Options for the form of an answer, which several commands take: a schema, a text form, its code alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmcli.commands.options import OUTPUT
from mmcli.commands.pages import RARE


class AnswerFormat(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"
    latex = "latex"
    html = "html"


ExtractOpt = Annotated[
    bool,
    typer.Option(
        "-x",
        "--extract-code",
        rich_help_panel=OUTPUT,
        help="Print only the first code block of the answer. The exit status is 8 where the answer holds none.",
    ),
]
AnswerFormatOpt = Annotated[
    AnswerFormat | None,
    typer.Option(
        "--format",
        metavar="FORM",
        rich_help_panel=OUTPUT,
        help="Answer as table, csv, json, latex or html. It is asked for and checked, and nothing else is printed. The "
        "exit status is 8 where the answer is none.",
    ),
]
BoxesOpt = Annotated[
    bool,
    typer.Option(
        "--boxes",
        rich_help_panel=OUTPUT,
        help="Answer with places: photo.jpg#xywh=… and a label. A line each, for models that can point (Qwen3-VL).",
    ),
]
MarkedOpt = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="With --boxes: write the marked picture, a PNG."
    ),
    RARE,
]
SchemaOpt = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="SCHEMA",
        rich_help_panel=OUTPUT,
        help="Answer with these fields, as JSON. In short (`vendor, total float?`), as JSON schema, or a file of one. "
        "The exit status is 8, and nothing is printed, where the answer is not whole.",
    ),
]
