"""Names of files: as messages show them, and in the order in which people count."""

from __future__ import annotations

import re

_LONGEST = 160  # characters of a name in a message


def quoted(name: str) -> str:
    """Put a name in backticks, shortened in the middle if it is very long."""
    if len(name) > _LONGEST:
        half = _LONGEST // 2
        name = f"{name[:half]}…{name[-half:]}"
    return f"`{name}`"


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key that puts `scan 9` before `scan 10`, upper and lower case together."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if part[:1].isdecimal() else (1, 0, part) for part in parts if part], name
