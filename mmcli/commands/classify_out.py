"""What becomes of each picture's label: lines as they come, a report or a list at the end, files in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmcli.commands.classify import JudgeOptions
    from mmcli.jobs.classify import Classified, ClassifyTask
    from mmcli.jobs.classify_embedding import MatchTask
    from mmcli.jobs.classify_report import Judged
    from mmcli.jobs.task import Outcome
    from mmcli.media import Source
    from mmcli.outputs.sorting import Sorting
    from mmcli.terminal import Style

UNKNOWN = "?"  # as jobs/classify.py has it


class LabelsOut:
    """Where outcomes go: lines as they come, or a report at the end."""

    def __init__(
        self,
        task: ClassifyTask | MatchTask,
        abstain: float | None,
        judge: JudgeOptions,
        style: Style,
        sorting: Sorting | None,
        *,
        apply: bool,
    ) -> None:
        """`apply`: pictures are sorted, at the end; else it is only said where they would go."""
        self._sorting, self._apply = sorting, apply
        self.n_stuck = 0  # pictures that could not be sorted
        self._task, self._abstain, self._judge, self._style = task, abstain, judge, style
        self._judged: list[Judged] = []
        self._records: list[dict[str, object]] = []
        self._n_unmeant = 0  # pictures of which the model would have said something else

    def write(self, outcome: Outcome[Classified]) -> None:
        from mmcli import terminal
        from mmcli.jobs import classify as job
        from mmcli.jobs.classify_report import Judged

        found, source = outcome.result, outcome.source.name
        if found is not None:
            self._n_unmeant += found.mass < job.LEAST_MASS
        if self._judge.report:
            if found is not None:
                truth = Path(os.path.abspath(outcome.source.path or source)).parent.name
                self._judged.append(Judged(source, truth, found.label(self._abstain), found.ranked[0][1]))
        elif self._style.json:
            told: dict[str, object] = {"path": source}
            if outcome.error is not None:
                told["error"] = {"code": outcome.error.code, "message": outcome.error.message}
            elif found is not None:
                told |= job.record(found, self._abstain) | {"cached": outcome.cached}
                if (place := self._place(outcome.source, found)) is not None:
                    told["sorted"] = str(place)
            if self._judge.jsonl:
                terminal.json_line(told)
            else:
                self._records.append(told)
        elif found is not None:
            place = self._place(outcome.source, found)
            to = "" if place is None else f"\t{terminal.escaped(str(place))}"
            for label, p in self._told(found):
                terminal.row(f"{terminal.escaped(source)}\t{label}\t{p:.3f}{to}\n")

    def close(self, whole: bool) -> str | None:
        """The report or the list, where they are wanted; a sentence where labels were forced upon the model."""
        from mmcli import terminal
        from mmcli.jobs.classify_report import ClassifyReport

        if self._judge.report and self._judged:
            terminal.classify_report(ClassifyReport(self._judged), self._style)
        elif self._judge.json:
            terminal.data(self._records)
        if self._sorting is not None:
            self._sort(self._sorting, whole=whole)
        if self._n_unmeant and self._abstain is None:
            from mmcli.jobs.classify_embedding import MatchTask

            if isinstance(self._task, MatchTask):
                return f"to {self._n_unmeant} pictures none of the labels fits (--abstain P shows them as ?)"
            return (
                f"of {self._n_unmeant} pictures the model would have answered something else than a label"
                " (--form says how it answers; --abstain shows them as ?)"
            )
        return None

    def _place(self, source: Source, found: Classified) -> Path | None:
        """Where the picture goes; None where it stays."""
        label = found.label(self._abstain)
        return None if self._sorting is None or label == UNKNOWN else self._sorting.plan(source, label)

    def _sort(self, sorting: Sorting, *, whole: bool) -> None:
        """Move or copy, where that is wanted and all pictures have their label; say what was done."""
        from mmcli import config, terminal
        from mmcli.commands import caption_run
        from mmcli.jobs.result_cache import Results
        from mmcli.outputs import renames

        done = "copied" if sorting.copies else "moved"
        if sorting.n_no_files:
            terminal.notice(f"{sorting.n_no_files} that are no files of their own stay where they are", self._style)
        if not self._apply or not whole:
            if sorting.n_planned:
                how = "the same command with --yes does it" if whole else "not all have their label yet"
                terminal.notice(f"nothing was {done}: {how}", self._style)
            return
        results = Results(config.cache_dir() / caption_run.RESULTS, on_warning=lambda t: None)
        journal = renames.RenameJournal(caption_run.journals())
        try:
            for move, error in sorting.carry_out(journal):
                if error is not None:
                    self.n_stuck += 1
                    terminal.failure(terminal.escaped(error.message), None)
                elif not sorting.copies:
                    results.moved(move.old, move.new)
        finally:
            journal.close()
            results.close()

    def _told(self, found: Classified) -> list[tuple[str, float]]:
        """The label, or all that fit."""
        if not self._task.multi:
            return [(found.label(self._abstain), found.ranked[0][1])]
        least = 0.5 if self._abstain is None else self._abstain
        return [(label, p) for label, p in found.ranked if p >= least] or [("?", found.ranked[0][1])]
