"""Output preferences from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Style:
    """What the flags --json, -q, -v, --debug and --markdown ask for; the streams say the rest themselves."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    markdown: Literal["auto", "always", "never"] = "auto"
