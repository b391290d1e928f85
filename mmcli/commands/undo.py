"""`mmcli undo`: take back new names, what was written into pictures, and what was sorted into folders."""

from __future__ import annotations

from typing import Annotated

import typer

from mmcli.commands import options as opt
from mmcli.errors import BatchError, InputError


def undo(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")] = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """Undo the last renaming, embedding or sorting.

    Of `mmcli caption --rename` and `--embed`, and of `mmcli classify --move` and `--copy`.
    Run it again to undo the run before.

    mmcli undo --dry-run
    mmcli undo
    """
    from mmcli import config, terminal
    from mmcli.commands import caption_run
    from mmcli.jobs.result_cache import Results
    from mmcli.outputs import renames
    from mmcli.outputs.embedding import Change
    from mmcli.outputs.renames import Copied, MadeFolder

    style = terminal.Style(quiet=quiet, debug=debug)
    journal = renames.last(caption_run.journals())
    if journal is None:
        raise InputError(
            "there is nothing to undo", hint="caption --rename, caption --embed, classify --move record changes"
        )
    n_failed = 0
    results = Results(config.cache_dir() / caption_run.RESULTS, on_warning=lambda text: terminal.warning(text, style))
    for move, reason in renames.undo(journal, dry_run=dry_run):
        if isinstance(move, MadeFolder):
            continue
        if isinstance(move, Copied):
            if reason is not None:
                n_failed += 1
                terminal.failure(f"the copy {terminal.escaped(str(move.new))} is not removed: {reason}", None)
            elif not quiet:
                terminal.pair(str(move.new), "removed")
            continue
        if isinstance(move, Change):
            if reason is not None:
                n_failed += 1
                terminal.failure(f"{terminal.escaped(str(move.path))} keeps its caption: {reason}", None)
            elif not quiet:
                terminal.pair(str(move.path), "without the caption")
            continue
        if reason is not None:
            n_failed += 1
            terminal.failure(f"{terminal.escaped(str(move.old))} cannot be renamed back: {reason}", None)
            continue
        if not dry_run:
            results.moved(move.old, move.new)
        if not quiet:
            terminal.pair(str(move.old), str(move.new))
    results.close()
    if n_failed:
        raise BatchError(f"{n_failed} files could not be restored", hint="`mmcli undo` retries them")
    return None
