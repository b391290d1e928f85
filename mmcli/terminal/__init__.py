"""What a person sees: the only rooms that print. Knows streams and words; loads Rich only when something is shown."""

from mmcli.terminal.aside import aside, pairs
from mmcli.terminal.asking import can_ask, confirm
from mmcli.terminal.captioning import Captions, caption_record, pair
from mmcli.terminal.clean import Cleaner, clean, escaped, one_line
from mmcli.terminal.copying import copy
from mmcli.terminal.findings import finding, finding_json
from mmcli.terminal.hearing import heard, meter, no_chatter, said, said_json, said_segment
from mmcli.terminal.keyboard import Hooks, Keyboard, open_keyboard
from mmcli.terminal.output import (
    answer,
    bug,
    data,
    debug,
    debug_table,
    error,
    fact,
    failure,
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
from mmcli.terminal.talks import hit_json, shortened, summary_json, talk, talk_json, talk_markdown, when
from mmcli.terminal.typeahead import restore, unechoed
from mmcli.terminal.waiting import Progress, abandon, progress

__all__ = [
    "Captions",
    "Cleaner",
    "Hooks",
    "Keyboard",
    "Progress",
    "Style",
    "abandon",
    "answer",
    "answer_json",
    "aside",
    "bug",
    "can_ask",
    "caption_record",
    "clean",
    "confirm",
    "copy",
    "data",
    "debug",
    "debug_table",
    "error",
    "escaped",
    "fact",
    "failure",
    "finding",
    "finding_json",
    "heard",
    "hit_json",
    "line",
    "meter",
    "no_chatter",
    "notice",
    "one_line",
    "open_keyboard",
    "pair",
    "pairs",
    "picture",
    "progress",
    "receipts",
    "restore",
    "said",
    "said_json",
    "said_segment",
    "shortened",
    "summary_json",
    "table",
    "tables",
    "talk",
    "talk_json",
    "talk_markdown",
    "unechoed",
    "warning",
    "when",
]
