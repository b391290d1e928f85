"""Faults that the fuzz finds and that are open in an issue: each leaves this list with its fix."""

from __future__ import annotations

import re

# (pattern of `TARGET: KIND: PLACE`, issue)
OPEN: tuple[tuple[str, str], ...] = ()


def why(key: str) -> str | None:
    """The issue of a fault that is known; `key` as in `Report.found`."""
    return next((issue for pattern, issue in OPEN if re.match(pattern, key)), None)
