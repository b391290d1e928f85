"""Faults that the fuzz finds and that are open in an issue: each leaves this list with its fix."""

from __future__ import annotations

import re

# (pattern of `TARGET: KIND: PLACE`, issue)
OPEN: tuple[tuple[str, str], ...] = (
    (r"pictures: silent: .* that ends in zeros", "issue 14, 1"),
    (r"pictures: silent: .* with a wrong checksum", "issue 14, 1"),
    (r"pictures: stream: .*(Decode|JPEGLib|JPEG|\.tif|TIFF|LZW|Fax|ZIP)", "issue 14, 7"),
    (r"pictures: traceback: ValueError mmcli/media/colour.py", "issue 14, low: no-data values"),
    (r"templates: (traceback|memory|time|status|hang)", "issue 14, 9"),
    (r"templates: silent: special", "issue 14, 6"),
    (r"databases: silent: prefix", "issue 14, low: the KV file's header"),
    (r"databases: (traceback|status|wrong)", "issue 14, 11"),
)


def why(key: str) -> str | None:
    """The issue of a fault that is known; `key` as in `Report.found`."""
    return next((issue for pattern, issue in OPEN if re.match(pattern, key)), None)
