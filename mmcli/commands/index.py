"""`mmcli index`: make pictures, pages and films findable, and keep it up to date."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli import errors
from mmcli.commands import libraries
from mmcli.commands import options as opt
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.option_groups import Group
from mmcli.commands.pages import RARE
from mmcli.errors import BatchError, InputError, MmcliError, UsageError

if TYPE_CHECKING:
    from mmcli.embed.protocol import Space
    from mmcli.library.records import IndexCounts, Root
    from mmcli.library.remembered import StoredSpace
    from mmcli.library.store import Library
    from mmcli.terminal import Screen, Style

TAKEN, CARE = "What is taken", "The library itself"
WATCH_SECONDS = 60.0
NICE = 5
COUNTS = ("files", "new", "moved", "gone", "failed", "embedded", "offline")


@dataclass(frozen=True)
class TakenOptions(Group):
    """What is looked for in files."""

    no_recursive: Annotated[
        bool, typer.Option("--no-recursive", rich_help_panel=TAKEN, help="Leave sub-folders out.")
    ] = False
    no_pages: Annotated[bool, typer.Option("--no-pages", rich_help_panel=TAKEN, help="Leave PDF files out."), RARE] = (
        False
    )
    no_frames: Annotated[bool, typer.Option("--no-frames", rich_help_panel=TAKEN, help="Leave films out."), RARE] = (
        False
    )
    ocr: Annotated[
        bool,
        typer.Option("--ocr", rich_help_panel=TAKEN, help="Also read the words in pictures. Takes seconds a picture."),
    ] = False
    speech_model: Annotated[speech_opt.WriterOpt, RARE] = None
    speech: Annotated[
        bool,
        typer.Option("--speech", rich_help_panel=TAKEN, help="Also put into words what is said in sounds and films."),
    ] = False
    retry: Annotated[
        bool, typer.Option("--retry", rich_help_panel=TAKEN, help="Try files again that failed and have not changed.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", rich_help_panel=TAKEN, help="Show what would be done.")] = False
    max_megapixels: opt.MegapixelsOpt = 100.0


@dataclass(frozen=True)
class CareOptions(Group):
    """What else is done with a library."""

    list: Annotated[bool, typer.Option("--list", rich_help_panel=CARE, help="List the folders that are indexed.")] = (
        False
    )
    forget: Annotated[
        Path | None,
        typer.Option("--forget", metavar="PATH", rich_help_panel=CARE, help="Forget a folder or a file."),
    ] = None
    check: Annotated[bool, typer.Option("--check", rich_help_panel=CARE, help="Check that nothing is damaged.")] = False
    repair: Annotated[
        bool, typer.Option("--repair", rich_help_panel=CARE, help="With --check: compute again what is damaged.")
    ] = False
    merge: Annotated[
        Path | None,
        typer.Option("--merge", metavar="PATH", rich_help_panel=CARE, help="Take over another library's content."),
        RARE,
    ] = None
    watch: Annotated[
        bool, typer.Option("--watch", rich_help_panel=CARE, help="Look again every minute, until Ctrl-C.")
    ] = False
    no_wait: Annotated[
        bool, typer.Option("--no-wait", rich_help_panel=CARE, help="Fail where another mmcli is indexing."), RARE
    ] = False


def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATHS...]",
            help="Folders and files. Without them, all that were indexed.",
            show_default=False,
        ),
    ] = None,
    *,
    index: libraries.LibraryOpt = libraries.DEFAULT,
    taken_options: TakenOptions,
    care_options: CareOptions,
    embed_model: libraries.EmbedModelOpt = None,
    yes: opt.YesOpt = False,
    threads: opt.ThreadsOpt = None,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """Make pictures, pages and films findable.

    `mmcli find` finds them. Run it again for what is new: files that did not change are not opened, and moved ones are
    known by their content.

    mmcli index docs/pictures
    mmcli index --list
    mmcli index --check
    """
    from mmcli import terminal
    from mmcli.library.store import Library

    style = terminal.Style(json, quiet, debug=debug)
    care = care_options
    _refuse_contradictions(paths or [], care)
    where = libraries.folder(index)
    if care.list:
        with Library(where) as lib:
            _list(lib, style)
        return None
    if care.forget is not None:
        with Library(where) as lib, _writing(lib, care, style):
            _forget(lib, care.forget, style)
        return None
    if care.check:
        with Library(where) as lib:
            return _check(lib, care, style)
    run = _Run(where, taken_options, care, embed_model, yes, threads, style)
    return run.merge(care.merge) if care.merge is not None else run.all(paths or [])


def _refuse_contradictions(paths: list[Path], care: CareOptions) -> None:
    acts = {
        "--list": care.list,
        "--forget": care.forget is not None,
        "--check": care.check,
        "--merge": care.merge is not None,
        "--watch": care.watch,
    }
    given = [name for name, is_given in acts.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} cannot be combined", hint="one after the other")
    if paths and given and given[0] != "--watch":
        raise UsageError(f"{given[0]} takes no further paths", hint=f"leave `{paths[0]}` out")
    if care.repair and not care.check:
        raise UsageError("--repair belongs to --check", hint="mmcli index --check --repair")


def _writing(lib: Library, care: CareOptions, style: Style) -> Any:
    from mmcli import terminal

    def told(who: str) -> None:
        terminal.warning(f"another mmcli ({who}) indexes this library: waiting for it", style)

    return lib.writing(wait=not care.no_wait, on_wait=told)


def _list(lib: Library, style: Style) -> None:
    from mmcli import terminal

    rows = [
        (os.fsdecode(root.path), root.n_files, time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(root.scanned)))
        + (_state(root),)
        for root in lib.roots()
    ]
    columns = ("path", "files", "scanned", "state")
    if style.json:
        terminal.data([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        for row in rows:
            terminal.row("\t".join([terminal.escaped(row[0]), *map(str, row[1:])]) + "\n")


def _state(root: Root) -> str:
    return "online" if os.path.exists(root.path) and root.state == "online" else "offline"


def _forget(lib: Library, path: Path, style: Style) -> None:
    from mmcli import terminal

    n = lib.forget(os.fsencode(os.path.abspath(os.path.expanduser(path))))
    if not n:
        raise InputError(f"the library has nothing of `{path}`", hint="`mmcli index --list` lists its folders")
    if style.json:
        terminal.data({"forgotten": n})
    else:
        terminal.line(f"{n} files forgotten")


def _check(lib: Library, care: CareOptions, style: Style) -> int | None:
    from mmcli import terminal
    from mmcli.library import checking

    faults = checking.check(lib)
    if care.repair and faults:
        with _writing(lib, care, style):
            n = checking.repair(lib)
        terminal.notice(f"{n} files are opened again by the next `mmcli index`", style)
    if style.json:
        terminal.data({"clean": not faults, "faults": faults})
    for fault in [] if style.json else faults or ["clean"]:
        terminal.line(fault)
    if faults and not care.repair:
        raise InputError(
            f"the library has {len(faults)} faults",
            hint="`mmcli index --check --repair` computes it again",
        )
    return None


@dataclass
class _Run:
    """One `mmcli index` that takes something in."""

    where: Path
    taken: TakenOptions
    care: CareOptions
    model: str | None
    yes: bool
    threads: int | None
    style: Style

    def __post_init__(self) -> None:
        from mmcli import terminal

        self.screen: Screen = terminal.Screen(self.style)
        self.stop = threading.Event()
        self.errors: list[MmcliError] = []
        self._space: Space | None = None
        self._captions: dict[str, str] = {}

    def all(self, paths: list[Path]) -> int | None:
        """Take in the paths, or all roots again; the exit status."""
        from mmcli import signals
        from mmcli.library.store import Library

        wanted = [_absolute(path) for path in paths]
        with ExitStack() as stack:
            lib = stack.enter_context(Library(self.where, make=bool(paths) and not self.taken.dry_run))
            stack.callback(self.close)
            stack.enter_context(signals.two_steps(self.stop.set))
            _be_nice()
            while True:
                status = self._once(lib, wanted)
                if not self.care.watch or self.stop.wait(WATCH_SECONDS):
                    break
        if self.stop.is_set() and not self.care.watch:
            return errors.INTERRUPTED
        return status

    def close(self) -> None:
        if self._space is not None:
            self._space.close()

    def _once(self, lib: Library, wanted: list[bytes]) -> int | None:
        from mmcli import terminal
        from mmcli.commands import index_extras

        self.errors.clear()
        began = time.monotonic()
        space = self._opened(lib)
        with _writing(lib, self.care, self.style):
            for path in [] if self.taken.dry_run else wanted:
                lib.add_root(path, os.stat(path).st_dev, recursive=not self.taken.no_recursive)
            roots = [root for root in lib.roots() if not wanted or root.path in wanted]
            if self.taken.dry_run:
                roots = _as_roots(lib, wanted, recursive=not self.taken.no_recursive) or roots
            if not roots:
                raise InputError("nothing is indexed yet", hint="name a folder: `mmcli index FOLDER`")
            self._captions = index_extras.captions()
            counts = self._indexed(lib, roots, space)
            if self._captions and not self.taken.dry_run:
                lib.caption(self._captions)
            stored = next((each for each in lib.spaces() if each.identity == space.identity), None)
            if stored is not None and not self.taken.dry_run and not lib.lacking(stored):
                lib.serve(stored)
        self._tell(lib, counts, space, time.monotonic() - began)
        if self.stop.is_set():
            terminal.notice("stopped; the same command goes on from there", self.style)
            return None
        if counts.failed and not self.care.watch:
            raise BatchError(f"{counts.failed} of {counts.files} files failed", hint="--retry tries them again")
        return None

    def _opened(self, lib: Library) -> Space:
        """The model; its towers are not loaded yet."""
        if self._space is None:
            serving = lib.serving()
            name = self.model or (serving.name if serving is not None else None)
            self._space = libraries.space(name, yes=self.yes, threads=self.threads, reporter=self.screen)
        return self._space

    def _indexed(self, lib: Library, roots: list[Root], space: Space) -> IndexCounts:
        from mmcli import terminal
        from mmcli.library.indexing import Indexing

        stored = next((each for each in lib.spaces() if each.identity == space.identity), None)
        if stored is None and lib.n_contents() and not self.taken.dry_run:
            stored = self._stored(lib, space)
        with terminal.progress(replace(self.style, json=False)) as progress:
            view = terminal.BatchView("index", self.style, progress)
            began = time.monotonic()

            def told(done: int, total: int, embedded: int) -> None:
                view.done = done
                view.report(total, ((time.monotonic() - began) / done, done))

            job = Indexing(
                lib,
                self._maker(space),
                lambda: space,
                lambda: self._stored(lib, space),
                stored,
                retry=self.taken.retry,
                on_error=self._failed,
                on_note=lambda text: terminal.notice(text, self.style),
                on_progress=told,
                stop=self.stop,
            )
            return job.plan(roots) if self.taken.dry_run else job.run(roots)

    def _stored(self, lib: Library, space: Space) -> StoredSpace:
        return lib.space(space, libraries.whole(self.model) if self.model and os.sep in self.model else None)

    def _maker(self, space: Space) -> Any:
        from mmcli.commands import index_extras
        from mmcli.library.pieces import PieceMaker

        return PieceMaker(
            space.side,
            not self.taken.no_pages,
            not self.taken.no_frames,
            self.taken.max_megapixels,
            index_extras.reader() if self.taken.ocr else None,
            index_extras.transcriber(self.taken.speech_model, self.yes, self.screen, self.stop)
            if self.taken.speech
            else None,
            self._captions.get,
        )

    def _failed(self, error: MmcliError) -> None:
        from mmcli import terminal

        self.errors.append(error)
        if not self.style.json:
            terminal.failure(error.message, None)

    def _tell(self, lib: Library, counts: IndexCounts, space: Space, seconds: float) -> None:
        """The summary on stdout, and on stderr what it was done with."""
        from mmcli import terminal

        c = counts
        if self.style.json:
            told = {
                name: getattr(c, name) for name in ("files", "new", "moved", "gone", "failed", "embedded", "offline")
            }
            failed = [{"message": error.message} for error in self.errors]
            terminal.data(told | {"model": space.name, "seconds": round(seconds, 3), "errors": failed})
            return
        terminal.line(f"{c.files} files, {c.new} new, {c.moved} moved, {c.gone} gone, {c.failed} failed")
        if c.embedded:
            pace = f"{c.embedded} embedded in {seconds:.1f} s ({c.embedded / max(seconds, 1e-3):.1f} a second)"
            terminal.notice(
                f"{space.name} on {space.runs_on}: {pace}; library {libraries.shown(self.where)}: "
                f"{lib.n_contents()} contents, {lib.n_bytes() / 1e6:.1f} MB",
                self.style,
            )

    def merge(self, other: Path) -> int | None:
        """Take over what another library has."""
        from mmcli import terminal
        from mmcli.library import merging
        from mmcli.library.store import Library

        path = Path(os.path.abspath(os.path.expanduser(other)))
        with Library(path) as source, Library(self.where, make=True) as lib, _writing(lib, self.care, self.style):
            counts = merging.merge(lib, source)
            if self.style.json:
                terminal.data(counts)
            else:
                terminal.line(", ".join(f"{n} {what}" for what, n in counts.items()))
        return None


def _absolute(path: Path) -> bytes:
    found = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(found):
        raise InputError(f"no file or folder named `{path}`")
    from mmcli import media

    if os.path.isfile(found) and not media.has_media_suffix(Path(found)):
        raise InputError(f"`{path}` is no picture, PDF file, film or sound", hint="mmcli index FOLDER")
    return os.fsencode(found)


def _as_roots(lib: Library, wanted: list[bytes], *, recursive: bool) -> list[Root]:
    """Roots for a dry run, where the library may not have them yet."""
    from mmcli.library.records import Root

    known = {root.path: root for root in lib.roots()}
    return [
        known.get(path) or Root(-1 - place, path, os.stat(path).st_dev, recursive, "online", 0.0)
        for place, path in enumerate(wanted)
    ]


def _be_nice() -> None:
    """Let other programs go first: this may take hours."""
    if hasattr(os, "nice") and os.nice(0) < NICE:
        os.nice(NICE - os.nice(0))
