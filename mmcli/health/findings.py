"""A finding: what was checked, how it went, and what to do. Knows nothing of how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from mmcli.errors import ModelError

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of `mmcli doctor`; a warning or a problem says what to do."""

    check: str  # what was looked at, one or two words
    level: Level
    message: str
    remedy: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # the same for programs
    status: int = ModelError.status  # the exit status, should this be a problem


def status(findings: Iterable[Finding]) -> int:
    """The exit status of all: that of the first problem, 0 if there is none."""
    return next((finding.status for finding in findings if finding.level == "problem"), 0)
