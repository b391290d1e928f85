"""Options that belong together, as dataclasses: what the commands that hold a conversation have in common.

A command takes a group as one parameter; Typer sees its fields as options of the command, in their order. `flattened`
and `collected` are the two ways between, and main.py's `_running` is the one place that goes them.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from mmcli.commands import film_options as film_opt
from mmcli.commands import options as opt
from mmcli.commands import speech_options as speech_opt
from mmcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from mmcli.media import PagesWanted
    from mmcli.media.wanted import FilmWanted, PageDetail
    from mmcli.runtime.model_loader import Choice, Machine
    from mmcli.runtime.speech_output import Wishes
    from mmcli.terminal import Style


AT_ONCE = 16  # pages that are rendered while the model loads, before anybody knows how many it can take
MAX_PASSWORDS = 100


class Group:
    """A dataclass of options: each field's annotation is an option's, its default the option's default."""


@dataclass(frozen=True)
class InputOptions(Group):
    """Which files it is about, beside those that are named first."""

    attach: opt.AttachOpt = None
    recursive: opt.RecursiveOpt = False
    damaged_ok: opt.DamagedOkOpt = False


@dataclass(frozen=True)
class FrameOptions(Group):
    """Which moments of films."""

    frames: film_opt.FramesOpt = None
    fps: film_opt.FpsOpt = None
    sample: film_opt.SampleOpt = film_opt.FilmSampling.uniform
    exact: film_opt.ExactOpt = False

    def wanted(self) -> FilmWanted:
        """The options as the film room takes them, without sound; UsageError where two contradict each other."""
        from mmcli.media.wanted import FilmWanted

        if self.frames is not None and self.fps is not None:
            raise UsageError("--frames and --fps are two ways to choose frames", hint="leave one of them out")
        return FilmWanted(self.frames, self.fps, self.sample.value, self.exact, "off")


@dataclass(frozen=True)
class FilmOptions(FrameOptions):
    """Which moments of films, and what of their sound."""

    sound: film_opt.FilmSoundOpt = film_opt.FilmSound.auto
    no_sound: film_opt.NoSoundOpt = False
    hear: film_opt.HearOpt = False

    def wanted(self) -> FilmWanted:
        """The options as the film room takes them; UsageError where two contradict each other."""
        asked = [name for name, is_on in (("--no-sound", self.no_sound), ("--hear", self.hear)) if is_on]
        asked += [f"--sound {self.sound.value}"] if self.sound is not film_opt.FilmSound.auto else []
        if len(asked) > 1:
            raise UsageError(f"{asked[0]} and {asked[1]} contradict each other", hint="leave one of them out")
        sound = film_opt.FilmSound.off if self.no_sound else film_opt.FilmSound.heard if self.hear else self.sound
        return dataclasses.replace(super().wanted(), sound=sound.value)


@dataclass(frozen=True)
class PictureOfPageOptions(Group):
    """Which pages of documents, for a command that takes them one by one as pictures."""

    pages: opt.PagesOpt = None
    password_file: opt.PasswordFileOpt = None

    def wanted(self, detail: str) -> PagesWanted:
        """As PageOptions has it; nobody is asked for a password."""
        from mmcli import media
        from mmcli.media import locator

        choice = None if self.pages is None else locator.pages(self.pages)
        passwords = () if self.password_file is None else _passwords(self.password_file)
        return media.PagesWanted(choice, "never", cast("PageDetail", detail), passwords)


@dataclass(frozen=True)
class PageOptions(Group):
    """Which pages of documents, and how they are opened."""

    pages: opt.PagesOpt = None
    text: opt.PageTextOpt = opt.PageTextMode.auto
    ocr: opt.OcrOpt = opt.OcrChoice.auto
    password_file: opt.PasswordFileOpt = None

    def wanted(self, detail: str, style: Style) -> PagesWanted:
        """The options as what is wanted of pages; UsageError for pages that are none, InputError for the file."""
        from mmcli import media, terminal
        from mmcli.media import locator

        choice = None if self.pages is None else locator.pages(self.pages)
        passwords = () if self.password_file is None else _passwords(self.password_file)
        ask = None if passwords or not terminal.can_ask(style) else terminal.ask_password
        return media.PagesWanted(choice, self.text.value, cast("PageDetail", detail), passwords, ask, at_once=AT_ONCE)


@dataclass(frozen=True)
class AskedPageOptions(PageOptions):
    """And how one question is asked of them."""

    every_page: opt.EveryPageOpt = False
    cite: opt.CiteOpt = False

    @property
    def needs_pages(self) -> str | None:
        """An option that was given and is about pages alone."""
        given = {"--pages": self.pages is not None, "--every-page": self.every_page, "--cite": self.cite}
        return next((name for name, is_given in given.items() if is_given), None)


@dataclass(frozen=True)
class ModelOptions(Group):
    """Which model answers."""

    model: opt.ModelOpt = None
    mmproj: opt.MmprojOpt = None
    template: opt.TemplateOpt = None


@dataclass(frozen=True)
class AnswerOptions(Group):
    """How it answers."""

    system: opt.SystemOpt = None
    temperature: opt.TemperatureOpt = None
    max_tokens: opt.MaxTokensOpt = 1024
    seed: opt.SeedOpt = None
    stop: opt.StopOpt = None
    think: opt.ThinkOpt = False
    loop_guard: opt.LoopGuardOpt = True

    def choice(self) -> Choice:
        """What was chosen of the sampling; the model's own advice counts for the rest."""
        from mmcli.runtime.model_loader import Choice

        stop = tuple(self.stop or ())
        return Choice(self.temperature, self.max_tokens, self.seed, stop, self.think, self.loop_guard)


@dataclass(frozen=True)
class TalkOptions(Group):
    """Which conversation goes on, and what is kept of it."""

    continue_: opt.ContinueOpt = None
    history: opt.HistoryOpt = True
    keep_media: opt.KeepMediaOpt = False


@dataclass(frozen=True)
class SpeakOptions(Group):
    """How answers are read aloud."""

    speak: speech_opt.SpeakOpt = False
    voice_model: speech_opt.VoiceModelOpt = None
    voice: speech_opt.VoiceOpt = None
    output_device: speech_opt.OutputDeviceOpt = None

    def wishes(self, ctx: typer.Context, *, json: bool = False) -> Wishes:
        """The options as wishes; see speech_options.wishes."""
        return speech_opt.wishes(ctx, self.speak, self.voice_model, self.voice, self.output_device, json=json)


@dataclass(frozen=True)
class MachineOptions(Group):
    """How this machine is used."""

    detail: opt.DetailOpt = opt.Detail.auto
    ctx_size: opt.CtxSizeOpt = None
    threads: opt.ThreadsOpt = None
    gpu_layers: opt.GpuLayersOpt = None
    cache: opt.CacheOpt = True
    cache_size: opt.CacheSizeOpt = 2.0
    max_megapixels: opt.MegapixelsOpt = 100.0

    def machine(self, template: str | None) -> Machine:
        """The options as the engine's; `template` as --template takes it, with its errors."""
        from mmcli.runtime import model_loader

        form = model_loader.template(template)
        return model_loader.Machine(
            self.ctx_size, self.threads, self.gpu_layers, self.detail.value, self.cache, self.cache_size, form
        )


@dataclass(frozen=True)
class OutputOptions(Group):
    """How things are shown."""

    quiet: opt.QuietOpt = False
    verbose: opt.VerboseOpt = False
    debug: opt.DebugOpt = False
    markdown: opt.MarkdownOpt = opt.MarkdownMode.auto

    def style(self, *, json: bool = False) -> Style:
        """The options as a style."""
        from mmcli.terminal import Style

        return Style(json, self.quiet, self.verbose, self.debug, self.markdown.value)


def _passwords(path: Path) -> tuple[str, ...]:
    """The lines of a password file; InputError where it cannot be read or has none."""
    shown = f"the password file `{path}`"
    try:
        text = path.expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{shown} cannot be read: {reason}") from error
    passwords = tuple(line for line in text.splitlines() if line)
    if not passwords or len(passwords) > MAX_PASSWORDS:
        raise InputError(f"{shown} has {len(passwords)} passwords; one is enough, {MAX_PASSWORDS} are the limit")
    return passwords


def flattened(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """A command's parameters with the fields of its groups in place of the groups."""
    return [parameter for _, parameter in _parameters(function)]


def collected(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command of the values of its flattened parameters."""
    arguments: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    kinds: dict[str, type[Group]] = {}
    for owner, parameter in _parameters(function):
        if owner is None:
            arguments[parameter.name] = values[parameter.name]
        else:
            name, kinds[name] = owner
            groups.setdefault(name, {})[parameter.name] = values[parameter.name]
    return arguments | {name: kinds[name](**fields) for name, fields in groups.items()}


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[tuple[str, type[Group]] | None, inspect.Parameter]]:
    """Each flattened parameter, with the group that it belongs to, by its name and its class."""
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind = parameter.annotation
        if not (isinstance(kind, type) and issubclass(kind, Group)):
            yield None, parameter
            continue
        for name, default, annotation in _fields(cast(Hashable, kind)):
            yield (
                (parameter.name, kind),
                inspect.Parameter(name, parameter.kind, default=default, annotation=annotation),
            )


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, Any, Any], ...]:
    """Name, default and annotation of each field: several commands have the same group."""
    hints = get_type_hints(kind, include_extras=True)
    fields = dataclasses.fields(kind)
    return tuple((field.name, field.default, hints[field.name]) for field in fields)
