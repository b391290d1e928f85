"""Faults that the fuzz finds and that are open in an issue: each leaves this list with its fix."""

from __future__ import annotations

import re

# (pattern of `TARGET: KIND: PLACE`, issue)
OPEN: tuple[tuple[str, str], ...] = (
    (r"sounds: silent: (ogg|opus|flac|mkv) ", "issue 14, 4"),
    (r"templates: (traceback|memory|time|status|hang)", "issue 14, 9"),
    (r"templates: silent: special", "issue 14, 6"),
    (r"databases: silent: prefix", "issue 14, low: the KV file's header"),
    (r"databases: (traceback|status|wrong)", "issue 14, 11"),
)


def why(key: str) -> str | None:
    """The issue of a fault that is known; `key` as in `Report.found`."""
    return next((issue for pattern, issue in OPEN if re.match(pattern, key)), None)
