"""What a person sees: the only rooms that print. Knows streams and words; loads Rich only when something is shown."""

from mmcli.terminal.asking import can_ask, confirm
from mmcli.terminal.clean import Cleaner, clean, one_line
from mmcli.terminal.findings import finding, finding_json
from mmcli.terminal.hearing import heard, meter, no_chatter, said, said_json, said_segment
from mmcli.terminal.output import (
    answer,
    bug,
    data,
    debug,
    debug_table,
    error,
    line,
    notice,
    receipts,
    table,
    tables,
    warning,
)
from mmcli.terminal.pixels import picture
from mmcli.terminal.report import answer_json
from mmcli.terminal.style import Style
from mmcli.terminal.waiting import Progress, abandon, progress

__all__ = [
    "Cleaner",
    "Progress",
    "Style",
    "abandon",
    "answer",
    "answer_json",
    "bug",
    "can_ask",
    "clean",
    "confirm",
    "data",
    "debug",
    "debug_table",
    "error",
    "finding",
    "finding_json",
    "heard",
    "line",
    "meter",
    "no_chatter",
    "notice",
    "one_line",
    "picture",
    "progress",
    "receipts",
    "said",
    "said_json",
    "said_segment",
    "table",
    "tables",
    "warning",
]
