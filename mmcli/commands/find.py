"""`mmcli find`: pictures, pages and moments of a library, by what they show, say, and what is known of them."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import libraries
from mmcli.commands import options as opt
from mmcli.commands.completion import model_names
from mmcli.commands.option_groups import Group
from mmcli.commands.pages import RARE
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.library.facts import PieceFacts
    from mmcli.library.query import Findings
    from mmcli.library.store import Library
    from mmcli.terminal import Style

QUERY, FACTS, SHOWN = "What is looked for", "Only what meets these", "Output"
NEGATIONS = frozenset("without no not except nicht ohne kein keine keinen sans pas sin".split())


@dataclass(frozen=True)
class QueryOptions(Group):
    """What is looked for, beside the words."""

    like: Annotated[
        list[str] | None,
        typer.Option("--like", metavar="PICTURE", rich_help_panel=QUERY, help="Like this picture. Can be repeated."),
    ] = None
    and_: Annotated[
        list[str] | None,
        typer.Option("--and", metavar="TEXT|PICTURE", rich_help_panel=QUERY, help="And this. 2:TEXT counts it twice."),
    ] = None
    not_: Annotated[
        list[str] | None,
        typer.Option("--not", metavar="TEXT|PICTURE", rich_help_panel=QUERY, help="And not this. Can be repeated."),
    ] = None
    verify: Annotated[
        int | None,
        typer.Option(
            "--verify",
            min=1,
            metavar="N",
            rich_help_panel=QUERY,
            help="Keep what a model confirms, of the best N. A model that sees is asked about each of them, yes or no.",
        ),
    ] = None
    verify_model: Annotated[
        str | None,
        typer.Option(
            "--verify-model",
            metavar="NAME",
            envvar="MMCLI_VERIFY_MODEL",
            autocompletion=model_names,
            rich_help_panel=QUERY,
            help="The model that sees.",
            show_default="as `mmcli ask`",
        ),
    ] = None
    words_only: Annotated[
        bool,
        typer.Option("--words-only", rich_help_panel=QUERY, help="Look in texts and names alone. Needs no model."),
    ] = False
    same: Annotated[
        bool,
        typer.Option("--same", rich_help_panel=QUERY, help="List files that are the same. In bytes, or to look at."),
    ] = False
    similar: Annotated[
        bool,
        typer.Option("--similar", rich_help_panel=QUERY, help="With --same: those that are alike, too."),
        RARE,
    ] = False


@dataclass(frozen=True)
class FactOptions(Group):
    """What is known of them."""

    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", rich_help_panel=FACTS, help="Taken in 2023, 2023-06 … or later."),
    ] = None
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", rich_help_panel=FACTS, help="Taken then or earlier.")
    ] = None
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", rich_help_panel=FACTS, help="Taken on that day, local time.")
    ] = None
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="TEXT", rich_help_panel=FACTS, help="The camera's name has this.")
    ] = None
    place: Annotated[
        str | None,
        typer.Option("--place", metavar="TEXT", rich_help_panel=FACTS, help="The place in its notes has this."),
    ] = None
    near: Annotated[
        str | None,
        typer.Option("--near", metavar="LAT,LON", rich_help_panel=FACTS, help="Taken near this position."),
    ] = None
    within: Annotated[
        str, typer.Option("--within", metavar="LENGTH", rich_help_panel=FACTS, help="How near: 5km, 300m."), RARE
    ] = "1km"
    in_: Annotated[
        list[Path] | None,
        typer.Option("--in", metavar="FOLDER", rich_help_panel=FACTS, help="In this folder. Can be repeated."),
    ] = None
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", rich_help_panel=FACTS, help="picture, page, moment or speech."),
    ] = None

    def facts(self) -> PieceFacts:
        """The options as conditions; UsageError for what is none, or can never be met."""
        from mmcli import sanitize
        from mmcli.library import facts

        if self.on is not None and (self.since is not None or self.until is not None):
            raise UsageError("--on cannot be combined with --since or --until", hint="leave --on out")
        since, until = (self.on, self.on) if self.on is not None else (self.since, self.until)
        names = ("--on", "--on") if self.on is not None else ("--since", "--until")
        begin = None if since is None else facts.begin_of(since, names[0])
        end = None if until is None else facts.end_of(until, names[1])
        if begin is not None and end is not None and begin >= end:
            raise UsageError(f"--since {since} is later than --until {until}", hint="swap them")
        return facts.PieceFacts(
            begin,
            end,
            None if self.camera is None else sanitize.without_surrogates(self.camera),
            None if self.near is None else facts.position(self.near),
            facts.length(self.within),
            None if self.place is None else sanitize.without_surrogates(self.place),
            tuple(os.fsencode(os.path.abspath(os.path.expanduser(path))) for path in self.in_ or ()),
            () if self.kind is None else facts.kinds(self.kind),
        )


@dataclass(frozen=True)
class FoundOptions(Group):
    """How it is shown."""

    limit: Annotated[
        int, typer.Option("-n", "--limit", min=0, rich_help_panel=SHOWN, help="Show the best N; 0 for all.")
    ] = 20
    least: Annotated[
        float | None,
        typer.Option("--min", metavar="Z", rich_help_panel=SHOWN, help="Leave out what stands out less."),
        RARE,
    ] = None
    everything: Annotated[
        bool, typer.Option("--all", rich_help_panel=SHOWN, help="Show copies and bursts one by one.")
    ] = False
    files: Annotated[
        bool, typer.Option("-l", "--files", rich_help_panel=SHOWN, help="Print only files, each once.")
    ] = False
    sources: Annotated[
        bool, typer.Option("--sources", rich_help_panel=SHOWN, help="Print only sources, as `mmcli ask` takes them.")
    ] = False
    print0: Annotated[
        bool, typer.Option("--print0", rich_help_panel=SHOWN, help="Like --files, with NUL behind each name."), RARE
    ] = False
    show: Annotated[
        bool, typer.Option("--show", rich_help_panel=SHOWN, help="Show small pictures in the terminal.")
    ] = False
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", rich_help_panel=SHOWN, help="Write a page with small pictures."),
    ] = None
    json: opt.JsonListOpt = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", rich_help_panel=SHOWN, help="Print one JSON object a line."), RARE
    ] = False
    quiet: opt.QuietOpt = False
    debug: opt.DebugOpt = False


def find(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS...]",
            help='What is to be seen or read. "…" inside: exactly these words.',
            show_default=False,
        ),
    ] = None,
    *,
    index: libraries.LibraryOpt = libraries.DEFAULT,
    query_options: QueryOptions,
    fact_options: FactOptions,
    found_options: FoundOptions,
    history: opt.HistoryOpt = True,
    threads: opt.ThreadsOpt = None,
) -> int | None:
    """Find pictures, pages and moments that were indexed.

    A line has the source, by how much it stands out among all others, and when, where and why.

    mmcli index docs/pictures -m starter && mmcli find red circle
    mmcli find circle --not red --files
    """
    from mmcli import sanitize, terminal
    from mmcli.commands import find_output, find_page, find_query
    from mmcli.library.store import Library

    out = found_options
    style = terminal.Style(out.json or out.jsonl, out.quiet, debug=out.debug)
    words = [sanitize.without_surrogates(word) for word in words or ()]
    _refuse(words, query_options, fact_options, out)
    find_page.check(out.html)
    facts = fact_options.facts()
    with Library(libraries.folder(index)) as lib:
        if query_options.same:
            find_output.same(lib, query_options.similar, out, style)
            return None
        asked = find_query.QueryMaker(lib, style, threads=threads, keep=history)
        try:
            query = asked.query(words or [], query_options, facts)
            findings = _searched(lib, query, out, query_options.verify)
        finally:
            asked.close()
        _tell(findings, words or [], style)
        if query_options.verify is not None:
            findings = _verified(lib, findings, query_options, " ".join(words or []), style)
        find_output.show(lib, findings, out, style)
    return None


def _searched(lib: Library, query: object, out: FoundOptions, verify: int | None) -> Findings:
    from mmcli.library import query as queries

    assert isinstance(query, queries.Query)
    n = max(out.limit or 1_000_000, verify or 0)
    return queries.search(lib, query, n, fold=not out.everything, least=out.least)


def _verified(lib: Library, findings: Findings, query: QueryOptions, words: str, style: Style) -> Findings:
    from mmcli.commands import find_verify
    from mmcli.library import query as queries

    assert query.verify is not None
    what = find_verify.checked(queries.parse_words(words)[0])
    return find_verify.Verifying(lib, query.verify_model, query.verify, style)(findings, what)


def _refuse(words: list[str], query: QueryOptions, facts: FactOptions, out: FoundOptions) -> None:
    """UsageError for what contradicts itself, or asks for nothing."""
    forms = {
        "--files": out.files,
        "--sources": out.sources,
        "--print0": out.print0,
        "--json": out.json,
        "--jsonl": out.jsonl,
    }
    given = [name for name, is_given in forms.items() if is_given]
    if len(given) > 1 and given != ["--sources", "--print0"]:
        raise UsageError(f"{given[0]} and {given[1]} cannot be combined", hint="use one of them")
    if query.similar and not query.same:
        raise UsageError("--similar belongs to --same", hint="mmcli find --same --similar")
    if query.words_only and (query.like or query.not_ or query.and_):
        raise UsageError("--words-only cannot be combined with --like, --and or --not", hint="leave --words-only out")
    asks = bool(" ".join(words).replace('"', "").strip() or query.like or query.and_)
    if query.same and (asks or query.not_):
        raise UsageError("--same takes no words", hint="mmcli find --same")
    if query.same and (facts != FactOptions() or _limits(query, out)):
        raise UsageError(
            "--same looks at the whole library, and takes neither conditions nor limits",
            hint="a library of its own for a folder: mmcli index FOLDER --index NAME",
        )
    if facts.near is None and facts.within != FactOptions.within:
        raise UsageError("--within belongs to --near", hint="--near 48.2,16.37 --within 5km")
    if out.least is not None and math.isnan(out.least):
        raise UsageError("--min is no number", hint="--min 4")
    if query.not_ and not asks:
        raise UsageError("--not needs something that is looked for", hint=f"mmcli find circle --not {query.not_[0]}")
    if not asks and not query.same and facts == FactOptions():
        raise UsageError("nothing to look for was named", hint="mmcli find red circle; or --like PICTURE, --on DATE")


def _limits(query: QueryOptions, out: FoundOptions) -> bool:
    """Whether something was given that limits or shows results one by one."""
    plain = FoundOptions()
    shown = (out.limit, out.least, out.everything, out.sources, out.show, out.html)
    usual = (plain.limit, plain.least, plain.everything, plain.sources, plain.show, plain.html)
    return query.verify is not None or shown != usual


def _tell(findings: Findings, words: list[str], style: Style) -> None:
    """Notes on what may surprise."""
    from mmcli import terminal

    if not findings.found:
        terminal.notice("nothing was found", style)
    elif findings.stands_out is False and findings.found[0].words_rank is None:
        terminal.notice("nothing stands out: the best of what there is", style)
    negations = NEGATIONS & set(" ".join(words).lower().split())
    if negations:
        word = sorted(negations)[0]
        terminal.notice(f"`{word}` is not understood as a negation: leave something out with --not", style)
