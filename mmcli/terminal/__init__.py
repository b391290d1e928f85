"""Shows everything on the terminal: the only room that prints. Loads Rich only when something is shown."""

from mmcli.sanitize import Cleaner, clean, escaped, one_line
from mmcli.terminal.batch_view import BatchView, json_line, raw, row
from mmcli.terminal.caption_view import Captions, pair
from mmcli.terminal.chat_output import aside, exchange, pairs
from mmcli.terminal.classify_view import classify_report
from mmcli.terminal.clipboard import copy
from mmcli.terminal.code import first_block
from mmcli.terminal.confirmation import ask_password, can_ask, confirm
from mmcli.terminal.doctor_view import finding, finding_json
from mmcli.terminal.help import HelpRow as HelpRow
from mmcli.terminal.help import help_found, help_page, help_pages
from mmcli.terminal.history_view import flat, hit_json, summary_json, talk, talk_json, talk_markdown, when
from mmcli.terminal.interruptible_prompt import Called, Summoned, TalkKey, open_summoned
from mmcli.terminal.key_release import tells_key_up
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
from mmcli.terminal.progress_line import Progress, abandon, progress
from mmcli.terminal.screen import Screen
from mmcli.terminal.streams import OutputLost, guard, is_screen
from mmcli.terminal.style import Style
from mmcli.terminal.transcript_view import heard, heard_words, no_chatter, said, said_json, said_segment
from mmcli.terminal.typeahead import restore, unechoed

__all__ = [
    "BatchView",
    "Called",
    "Captions",
    "Cleaner",
    "HelpRow",
    "Hooks",
    "Keyboard",
    "OutputLost",
    "Progress",
    "Screen",
    "Style",
    "Summoned",
    "TalkKey",
    "abandon",
    "answer",
    "aside",
    "ask_password",
    "bug",
    "can_ask",
    "classify_report",
    "clean",
    "confirm",
    "copy",
    "data",
    "debug",
    "debug_table",
    "error",
    "escaped",
    "exchange",
    "fact",
    "failure",
    "finding",
    "finding_json",
    "flat",
    "guard",
    "heard",
    "heard_words",
    "help_found",
    "help_page",
    "help_pages",
    "hit_json",
    "is_screen",
    "first_block",
    "json_line",
    "line",
    "no_chatter",
    "notice",
    "one_line",
    "open_keyboard",
    "open_summoned",
    "pair",
    "pairs",
    "picture",
    "progress",
    "raw",
    "receipts",
    "restore",
    "row",
    "said",
    "said_json",
    "said_segment",
    "summary_json",
    "table",
    "tables",
    "talk",
    "talk_json",
    "talk_markdown",
    "tells_key_up",
    "unechoed",
    "warning",
    "when",
]
