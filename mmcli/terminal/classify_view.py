"""Shows how good a classification was."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mmcli.sanitize import escaped
from mmcli.terminal import output, streams

if TYPE_CHECKING:
    from mmcli.jobs.classify_report import ClassifyReport
    from mmcli.terminal.style import Style


def classify_report(report: ClassifyReport, style: Style) -> None:
    """The report on stdout: facts, a line a label, the confusions, the worst mistakes; one object for --json."""
    if style.json:
        output.data(report.as_json())
        return
    n = len(report.judged)
    output.fact("pictures", f"{n}, {len(report.answered)} of them with a label")
    output.fact("accuracy", "-" if not report.answered else f"{report.accuracy:.3f}")
    output.fact("calibration error", "-" if not report.answered else f"{report.calibration_error():.3f}")
    output.line("")
    each = [[label, _share(precision), _share(recall), count] for label, precision, recall, count in report.each()]
    _table(["label", "precision", "recall", "pictures"], each, style)
    output.line("")
    _table(["truth", *(f"said {label}" for label in report.labels)], report.confusion(), style)
    if worst := report.worst():
        output.line("")
        rows = [[escaped(one.source), one.truth, one.label, f"{one.p:.3f}"] for one in worst]
        _table(["worst mistakes", "is", "said", "p"], rows, style)


def _table(columns: list[str], rows: list[list[Any]], style: Style) -> None:
    """With its head in a pipe, too: a report has several tables."""
    if not streams.is_terminal(sys.stdout):
        output.line("\t".join(columns))
    output.table(columns, rows, style)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
