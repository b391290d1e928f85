"""Shows the findings of `mmcli doctor`, line by line: a level, a sentence, and what to do. Knows no causes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mmcli.sanitize import one_line
from mmcli.terminal import streams
from mmcli.terminal.progress_line import out_of_the_way

if TYPE_CHECKING:
    from mmcli.health import Finding

LOOKS = {"ok": "green", "warning": "yellow", "problem": "bold red"}
MARGIN = max(map(len, LOOKS)) + 2  # cells before the sentence


def finding(found: Finding) -> None:
    """Show one finding on stdout, at once."""
    from rich.text import Text

    check = f"{one_line(found.check)}: "
    with out_of_the_way():
        sentence = Text.assemble((f"{found.level:<{MARGIN}}", LOOKS[found.level]), check, one_line(found.message))
        streams.put(sentence, sys.stdout, MARGIN)
        if found.remedy:
            remedy = Text.assemble(" " * MARGIN, ("→ ", "cyan"), one_line(found.remedy))
            streams.put(remedy, sys.stdout, MARGIN + 2)
    sys.stdout.flush()


def finding_json(found: Finding) -> dict[str, Any]:
    """The same for programs."""
    return {
        "check": found.check,
        "level": found.level,
        "message": found.message,
        "remedy": found.remedy,
        "facts": found.facts,
    }
