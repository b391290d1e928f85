"""`mmcli transcribe`: turn sound files, videos or the microphone into text."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli import errors
from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.pages import RARE
from mmcli.errors import BatchError, UsageError

if TYPE_CHECKING:
    from mmcli.commands.transcripts import Destination, Stdout, TranscriptFile
    from mmcli.jobs.transcribe import Transcribed, TranscribeTask
    from mmcli.media import Source
    from mmcli.runtime.reporter import OnProgress
    from mmcli.speech.cues import Layout
    from mmcli.speech.transcriber import Transcriber
    from mmcli.terminal import Style


class FormatName(StrEnum):
    txt = "txt"
    srt = "srt"
    vtt = "vtt"
    ass = "ass"
    lrc = "lrc"
    json = "json"
    jsonl = "jsonl"
    tsv = "tsv"
    md = "md"


WORDS, SUBTITLES = "Words", "Subtitles"
LAYOUT = ("max_line_width", "max_line_count", "max_words_per_line", "highlight_words")  # parameters


def transcribe(
    ctx: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...]",
            help="Sound or video files; - reads stdin. Also folders and URLs. A part of one: talk.mp3#t=80,100.",
            show_default=False,
        ),
    ] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Listen to the microphone, until Ctrl-C.")] = False,
    recursive: opt.RecursiveOpt = False,
    damaged_ok: opt.DamagedOkOpt = False,
    transcript_format: Annotated[
        FormatName | None,
        typer.Option(
            "-f",
            "--format",
            envvar="MMCLI_TRANSCRIPT_FORMAT",
            metavar="FORMAT",
            help="Subtitles (srt, vtt, ass) or text. Also lrc, and data. The ending of -o says it too.",
            show_default="txt",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="A file, or a folder with a file for each sound. End the name of a new folder with /.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace transcripts that are there already.")] = False,
    speech_model: speech_opt.SpeechModelOpt = None,
    yes: opt.YesOpt = False,
    spoken_language: speech_opt.SpokenLanguageOpt = None,
    multilingual: Annotated[
        bool,
        typer.Option(
            "--multilingual",
            envvar="MMCLI_MULTILINGUAL",
            rich_help_panel=WORDS,
            help="Several languages in one sound. Each part is transcribed in its own.",
        ),
    ] = False,
    translate: Annotated[
        bool,
        typer.Option("--translate", envvar="MMCLI_TRANSLATE", rich_help_panel=WORDS, help="Translate into English."),
    ] = False,
    word_timestamps: Annotated[
        bool,
        typer.Option(
            "--word-timestamps",
            envvar="MMCLI_WORD_TIMESTAMPS",
            rich_help_panel=WORDS,
            help="Time every word. On a terminal, words it is unsure of are dim.",
        ),
    ] = False,
    hotwords: Annotated[
        str | None,
        typer.Option(
            "--hotwords", envvar="MMCLI_HOTWORDS", rich_help_panel=WORDS, help="Names and terms that may be said."
        ),
    ] = None,
    speech_prompt: Annotated[
        str | None,
        typer.Option(
            "--speech-prompt",
            envvar="MMCLI_SPEECH_PROMPT",
            rich_help_panel=WORDS,
            help="Text that could come before, for its style.",
        ),
        RARE,
    ] = None,
    vad: Annotated[
        bool,
        typer.Option(
            "--vad/--no-vad",
            envvar="MMCLI_VAD",
            rich_help_panel=WORDS,
            help="Skip what is not speech. In silence, Whisper invents words.",
        ),
        RARE,
    ] = True,
    max_line_width: Annotated[
        int,
        typer.Option(
            "--max-line-width",
            metavar="N",
            min=2,
            max=1000,
            envvar="MMCLI_MAX_LINE_WIDTH",
            rich_help_panel=SUBTITLES,
            help="Columns per line. East Asian characters take two.",
        ),
    ] = 42,
    max_line_count: Annotated[
        int,
        typer.Option(
            "--max-line-count",
            metavar="N",
            min=1,
            max=100,
            envvar="MMCLI_MAX_LINE_COUNT",
            rich_help_panel=SUBTITLES,
            help="Lines on the screen at once. lrc has one always.",
        ),
    ] = 2,
    max_words_per_line: Annotated[
        int | None,
        typer.Option(
            "--max-words-per-line",
            metavar="N",
            min=1,
            max=1000,
            envvar="MMCLI_MAX_WORDS_PER_LINE",
            rich_help_panel=SUBTITLES,
            help="Words per line. In scripts without spaces, a character is a word.",
        ),
    ] = None,
    highlight_words: Annotated[
        bool,
        typer.Option(
            "--highlight-words",
            envvar="MMCLI_HIGHLIGHT_WORDS",
            rich_help_panel=SUBTITLES,
            help="Mark each word while it is said. Underlined in srt and vtt, karaoke in ass and lrc.",
        ),
    ] = False,
    until_silence: Annotated[
        float | None,
        typer.Option(
            "--until-silence",
            metavar="SECONDS",
            min=0.5,
            max=3600,
            help="With --mic, stop after so much silence.",
            show_default=False,
        ),
    ] = None,
    input_device: speech_opt.InputDeviceOpt = None,
    speech_batch: Annotated[
        int,
        typer.Option(
            "--batch",
            min=1,
            max=256,
            envvar="MMCLI_SPEECH_BATCH",
            rich_help_panel=opt.MACHINE,
            help="Windows of 30 s worked on at once. Faster on a GPU, and takes memory.",
        ),
        RARE,
    ] = 1,
    speech_device: speech_opt.SpeechDeviceOpt = speech_opt.SpeechDevice.auto,
    compute_type: speech_opt.ComputeTypeOpt = speech_opt.ComputeType.auto,
    threads: opt.ThreadsOpt = None,
    json: Annotated[
        bool, typer.Option("--json", envvar="MMCLI_JSON", rich_help_panel=opt.OUTPUT, help="The same as -f json.")
    ] = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """Turn speech into text or subtitles: sound, video, microphone.

    mmcli transcribe docs/sounds/question.ogg -m starter
    mmcli transcribe docs/sounds -f srt -o subtitles/ -m starter
    mmcli transcribe --mic -m starter
    """
    from mmcli import terminal
    from mmcli.commands import transcripts
    from mmcli.jobs.transcribe import TranscribeTask
    from mmcli.runtime import model_fetch, transcription
    from mmcli.speech.cues import Layout
    from mmcli.speech.formats import FORMATS
    from mmcli.speech.transcriber import Listening

    style = terminal.Style(json=json, quiet=quiet, verbose=verbose, debug=debug)
    name = transcripts.format_of(transcript_format and transcript_format.value, output) or ("json" if json else "txt")
    _require_subtitles(ctx, name)
    layout = Layout(max_line_width, max_line_count, max_words_per_line, highlight_words)
    listening = Listening(
        language=transcription.code(spoken_language),
        translate=translate,
        word_timestamps=word_timestamps or FORMATS[name].timed_words,
        hotwords=hotwords,
        prompt=speech_prompt,
        vad=vad,
        batch=speech_batch,
        multilingual=multilingual,
    )
    machine = transcription.SpeechMachine(speech_device.value, compute_type.value, threads)
    if until_silence is not None and not mic:
        raise UsageError("--until-silence needs --mic", hint="mmcli transcribe --mic --until-silence 3")
    if mic:
        if media:
            raise UsageError("--mic listens to the microphone, so it takes no files", hint="leave one of them out")
        from mmcli.commands import recording

        wishes = recording.RecordingWishes(
            input_device, until_silence, name, output, overwrite, transcript_format is not None, layout
        )
        return recording.dictate(wishes, speech_model, machine, listening, yes=yes, style=style)
    is_chosen = transcript_format is not None
    work = _destinations(list(media or ()), recursive, output, name, overwrite, style, is_chosen=is_chosen)
    missing = [one for one in work if overwrite or one.target is None or not one.target.exists()]
    model = model_fetch.speech(speech_model, yes=yes, reporter=terminal.Screen(style)) if missing else None

    def open_transcriber(progress: OnProgress) -> Transcriber:
        assert model is not None, "there is something to do"
        return transcription.load(model, machine, terminal.Screen(style), progress)

    task = TranscribeTask(listening, damaged_ok)
    return _run(work, missing, task, open_transcriber, _Showing(name, layout, style))


def _require_subtitles(ctx: typer.Context, name: str) -> None:
    """UsageError where an option of subtitles was typed, and the format `name` is another one."""
    from mmcli.speech.formats import FORMATS, Subtitles

    if issubclass(FORMATS[name], Subtitles):
        return
    for parameter in LAYOUT:
        if origins.is_typed(ctx, parameter):
            option = f"--{parameter.replace('_', '-')}"
            raise UsageError(f"{option} is for subtitles, and the format is {name}", hint="add -f srt, vtt, ass or lrc")


def _destinations(
    arguments: list[str],
    recursive: bool,
    output: str | None,
    name: str,
    overwrite: bool,
    style: Style,
    *,
    is_chosen: bool,
) -> list[Destination]:
    """What there is to transcribe, and where it goes."""
    from mmcli import media, terminal
    from mmcli.commands import transcripts

    data = None
    if not arguments or "-" in arguments:
        data = media.read_stdin(
            sys.stdin.buffer if sys.stdin is not None else None,
            wanted="-" in arguments,
            has_media=False,
            on_wait=lambda text: terminal.notice(text, style),
        )
    if not arguments and not data:
        raise UsageError("there is nothing to transcribe", hint="mmcli transcribe talk.mp3, or --mic")
    found: list[tuple[str, Source]] = []
    for argument in arguments or ["-"]:
        sources = media.find(
            [argument],
            recursive=recursive,
            stdin=data,
            kinds=frozenset({"audio", "video"}),
            on_skipped=lambda text: terminal.notice(text, style),
        )
        found += [(argument, source) for source in sources]
    return transcripts.destinations(found, output, name, overwrite=overwrite, is_chosen=is_chosen)


@dataclass(frozen=True)
class _Showing:
    """How transcripts are shown or written."""

    name: str  # of the format
    layout: Layout
    style: Style


def _run(
    work: list[Destination],
    missing: list[Destination],
    task: TranscribeTask,
    open_transcriber: Callable[[OnProgress], Transcriber],
    showing: _Showing,
) -> int:
    """Transcribe those of the sounds that are `missing`: one or many; what fails does not stop the rest."""
    from mmcli import signals, terminal
    from mmcli.commands.transcripts import Stdout, TranscriptFile
    from mmcli.jobs.inputs import ListedInputs
    from mmcli.jobs.runner import Runner
    from mmcli.jobs.transcribe import TranscribeWorker
    from mmcli.runtime import transcription

    name, layout, style = showing.name, showing.layout, showing.style
    several, screen, interrupted = len(work) > 1, terminal.Screen(style), threading.Event()
    stdout = Stdout(name, several=several, layout=layout)
    sinks = [stdout if one.target is None else TranscriptFile(one.target, name, layout) for one in missing]
    n_failed, finished = 0, []  # finished journals are kept until the command is done, for another run of it
    with screen.progress() as progress:
        worker = TranscribeWorker(
            task,
            lambda: open_transcriber(progress),
            lambda transcriber, sound: transcription.journal(transcriber, sound, task.listening, screen),
            sinks.__getitem__,
            on_progress=progress,
            on_notice=screen.notice,
        )
        runner = Runner(ListedInputs([one.source for one in missing]), worker)

        def end() -> None:
            interrupted.set()
            runner.stop()
            progress("stop", 0, 0)  # one window may take a while: tell that Ctrl-C was heard

        with signals.two_steps(end), runner:
            for outcome in runner:
                if outcome.result is not None:
                    _tell(outcome.result, sinks[outcome.index], style)
                    if outcome.result.transcript.ending == "stop":
                        finished.append(outcome.result.journal)
                elif outcome.error is not None and not interrupted.is_set():  # else Ctrl-C ended a download
                    if not several:
                        raise outcome.error
                    n_failed += 1
                    terminal.error(outcome.error, style)
                if interrupted.is_set():
                    break
        if work[0].target is None:
            stdout.finish()
    if not interrupted.is_set():
        for journal in finished:
            journal.forget()
    return _conclude(len(work), len(missing), n_failed, showing, interrupted=interrupted.is_set())


def _tell(transcribed: Transcribed, sink: Stdout | TranscriptFile, style: Style) -> None:
    from mmcli import terminal

    transcript = transcribed.transcript
    terminal.heard(transcript, transcribed.format, transcribed.seconds, style, sink.summary())
    if transcript.ending == "interrupted":
        where = f"; what was heard so far is in {sink.kept}" if sink.kept else ""
        terminal.notice(f"{transcript.source}: interrupted{where}; the same command continues", style)


def _conclude(n: int, n_missing: int, n_failed: int, showing: _Showing, *, interrupted: bool) -> int:
    """The last words, and the exit status."""
    from mmcli import terminal

    if n > n_missing:
        text = f"{n - n_missing} of {n} already exist as {showing.name}; --overwrite replaces them"
        terminal.notice(text, showing.style)
    if interrupted:
        return errors.INTERRUPTED
    if n_failed:
        raise BatchError(f"{n_failed} of {n_missing} sounds could not be transcribed")
    return 0
