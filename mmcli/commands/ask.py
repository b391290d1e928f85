"""`mmcli ask`: one question about pictures, sounds and texts; one answer."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import form_options as form_opt
from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.asking_library import LibraryOptions
from mmcli.commands.example_options import ExampleOptions, loaded, warn
from mmcli.commands.example_options import values as checks
from mmcli.commands.option_groups import (
    AnswerOptions,
    AskedPageOptions,
    FilmOptions,
    InputOptions,
    MachineOptions,
    ModelOptions,
    OutputOptions,
    SpeakOptions,
    TalkOptions,
)
from mmcli.commands.optional_value import is_id, with_optional_id
from mmcli.commands.prompt_variables import with_variables
from mmcli.errors import ModelError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmcli.media import Medium, Source
    from mmcli.models import Model, WantedModel
    from mmcli.prompts import SavedPrompt
    from mmcli.terminal import Style


@with_variables
@with_optional_id(n_words=1)
def ask(
    ctx: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...]",
            help="Picture, sound, PDF or text files; - reads stdin. Also folders and URLs, in the order in which the "
            'model is to see them. Patterns in quotation marks ("photos/*.jpg") are expanded; what is piped in needs '
            "no -. A part of one: photo.jpg#xywh=10,10,200,80, talk.mp3#t=80,100 or report.pdf#page=3-5.",
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION",
            help="What you want to know, in quotation marks. Without it, a text that is piped in is the question.",
            show_default=False,
        ),
    ] = "",
    *,
    input_options: InputOptions,
    library_options: LibraryOptions,
    page_options: AskedPageOptions,
    film_options: FilmOptions,
    example_options: ExampleOptions,
    show: Annotated[bool, typer.Option("--show", help="Draw the pictures in the terminal first.")] = False,
    model_options: ModelOptions,
    speech_model: speech_opt.WriterOpt = None,
    yes: opt.YesOpt = False,
    answer_options: AnswerOptions,
    use: opt.UseOpt = None,
    param: opt.ParamOpt = None,
    save: opt.SaveOpt = None,
    talk_options: TalkOptions,
    speak_options: SpeakOptions,
    machine_options: MachineOptions,
    extract: form_opt.ExtractOpt = False,
    schema: form_opt.SchemaOpt = None,
    form: form_opt.AnswerFormatOpt = None,
    boxes: form_opt.BoxesOpt = False,
    output: form_opt.MarkedOpt = None,
    json: opt.JsonOpt = False,
    output_options: OutputOptions,
) -> int | None:
    """Ask a question about pictures, sounds, PDFs or text files.

    mmcli ask docs/pictures/shapes.png "What is in this picture?" -m starter
    mmcli ask -c "What color is the star?"
    cat docs/pictures/phone.jpg | mmcli ask "How many shapes?" -m starter
    """
    from mmcli import documents, engine, models, signals, terminal
    from mmcli import media as media_
    from mmcli.chat import parts, resume
    from mmcli.commands import answer_form, prompt_variables, saved_prompts
    from mmcli.commands.asking_boxes import BoxesAsked
    from mmcli.commands.asking_pages import PagesAsked
    from mmcli.jobs import examples
    from mmcli.media import Image, Wanted
    from mmcli.runtime import films, model_fetch, model_loader, page_words, speech_output, transcription

    style, attached = output_options.style(json=json), input_options.attach or []
    # find the talk and the model, load the media: what is cheap and can fail comes first
    given = prompt_variables.values(param or ())
    prompt = saved_prompts.chosen(use, given, save)
    words = [*(media or ()), question]
    others = {"extract-code": extract, "save": save is not None}
    others |= {"cite": page_options.cite, "every-page": page_options.every_page}
    others |= {"from": library_options.from_ is not None}
    library_options.check(talk_options.continue_)
    pointing = BoxesAsked(style, output) if boxes else None
    others |= {"examples": boxes and example_options.are_given}
    shape = answer_form.find(schema, form.value if form is not None else None, others, pointing)
    if output is not None and not boxes:
        raise UsageError("-o belongs to --boxes", hint="mmcli ask photo.jpg WHAT --boxes -o marked.png")
    if example_options.are_given and page_options.every_page:
        raise UsageError("examples and --every-page cannot be combined", hint="leave out --every-page")
    named = example_options.named(checks(shape))
    if save is not None:
        files, question = _sorted(ctx, words)
        saved_prompts.save(ctx, save, [*files, *attached], question, given, style)
        return None
    is_new, wordless = talk_options.continue_ is None, models.is_wordless(model_options.model)
    files, question, data = _asked(ctx, words, attached, style, prompt, is_new=is_new, wordless=wordless)
    _check(question, talk_options.continue_)
    if prompt is not None:
        question, prompt_system = prompt.filled(question, given)
        answer_options = saved_prompts.answer(ctx, prompt, answer_options)
        extract = extract or prompt.extract
    wish = speak_options.wishes(ctx, json=json)
    talk = resume.talk(talk_options.continue_)
    setup = resume.setup(origins.typed(ctx), talk, model_options.model, model_options.mmproj, answer_options.system)
    if prompt is not None:
        setup = saved_prompts.setup(ctx, prompt, prompt_system, setup)
    machine, max_megapixels = machine_options.machine(model_options.template), machine_options.max_megapixels
    wanted = Wanted(pages=page_options.wanted(machine.detail, style), film=film_options.wanted())
    screen = terminal.Screen(style)
    sources = _sources([*files, *attached], input_options.recursive, data, style)
    shown_first = loaded(named, max_megapixels)
    library = library_options.sources(question, style, machine_options.threads, has_media=bool(sources))
    if library is not None and not setup.system:
        setup = replace(setup, system=library.system)
    found = model_fetch.find(setup.model, setup.mmproj, yes=yes, reporter=screen)
    if pointing is not None:
        pointing.check(found)
    wanted = page_words.fitted(wanted, page_options.ocr.value, found, screen)
    warn(named, found, screen)
    recorder = resume.recorder(talk_options.history, talk_options.keep_media, screen)
    with (
        recorder,
        model_loader.ahead(found, machine, screen, has_media=library is not None or _has_picture(sources)) as begun,
        speech_output.opened(wish, machine, yes=yes, reporter=screen) as aloud,
    ):
        n_films, max_tokens = library.n_films if library else _n_films(sources), answer_options.max_tokens
        if sources or talk is not None or library is not None:
            wanted = films.fitted(wanted, found, machine, n_films=n_films, max_tokens=max_tokens)
        load = partial(
            media_.load,
            max_megapixels=max_megapixels,
            damaged_ok=input_options.damaged_ok,
            on_data=recorder.collect,
        )
        inputs = library.media(load, wanted, screen) if library else _inputs(sources, partial(load, wanted=wanted))
        documents.check_pages(inputs, option=page_options.needs_pages)
        if pointing is not None:
            pointing.of(inputs)
        inputs = films.with_sounds(inputs, found, speech_model, wanted.film.sound, screen, yes=yes)
        past = resume.past(talk, max_megapixels, screen, wanted)

        def asked(media: Sequence[Medium], words: str) -> list[engine.Message]:
            """The conversation with these media and words as its new ones."""
            # A model that is asked nothing was trained with an empty one.
            system = [engine.Message("system", (setup.system or "",))] if setup.system or wordless else []
            before = examples.turns(shown_first, words)
            return [*system, *before, *past.messages, engine.Message("user", parts([*past.unanswered, *media], words))]

        asked_for = shape.words(question) if shape is not None else question
        messages = asked(documents.opened(inputs), asked_for)
        for medium in documents.opened(inputs):
            if isinstance(medium, Image):
                examples.refuse(shown_first, medium.id, medium.receipt.source)
        kinds = resume.kinds(messages) | documents.kinds(inputs)
        _check_sight(found, inputs)
        found.require(sight="image" in kinds, hearing=False)
        is_deaf = "audio" in kinds and not found.hears
        writer = transcription.writer(found, speech_model, yes=yes, reporter=screen) if is_deaf else None
        if show and not boxes:
            _show(documents.opened(inputs), style)
        # fetch what is not on this machine
        chosen = model_fetch.here(found, yes=yes, reporter=screen)
        chosen.require(sight="image" in kinds, hearing="audio" in kinds and writer is None)
        # a model that hears gets the sound itself, any other what is said in it
        heard = transcription.as_heard(messages, writer, chosen.name, screen)
        if begun is not None:
            # what asks many at once does not wait for what is encoded ahead
            begun.asks(heard if not page_options.every_page else asked([], question), think=answer_options.think)
            recorder.open()
        # run and show
        sampling = answer_form.held(model_loader.sampling(chosen, answer_options.choice()), shape, confidence=json)
        with (
            signals.clean_end(),
            terminal.unechoed(),  # stray keys would stand in the answer; the shell gets them
            terminal.progress(style) as progress,
            model_loader.load(chosen, machine, screen, progress, begun, also_stop=aloud.stop) as ready,
        ):
            resume.begin(recorder, "ask", talk, chosen, setup)
            if library is not None:
                inputs = library.fitted(inputs, ready, lambda media: asked(media, asked_for), max_tokens)
                sampling = library.held(sampling)
            pages = PagesAsked(
                inputs,
                question,
                asked_for,
                ready,
                lambda media, words: documents.swapped(asked(media, words), messages, heard),
                sampling,
                screen,
                progress,
                cites=page_options.cite,
                each_page=page_options.every_page,
            )
            recorder.question(question, pages.choose(), sampling)
            pieces = aloud.told(recorder.keep(pages.pieces()))
            answer = terminal.answer(
                pieces,
                style,
                progress,
                talk=recorder.talk,
                extract=extract,
                read=shape.read if shape is not None else None,
                is_json=not answer_form.is_text(shape),
                more=lambda answer: {
                    **pages.facts(answer),
                    **(library.facts(answer) if library else {}),
                    **answer_form.fields(answer),
                },
            )
            answer_form.tell(shape, screen)
            if pointing is not None and answer.finish_reason != "interrupted":
                pointing.finish(show=show)
            pages.tell_citations(answer)
            if library is not None:
                library.tell(answer, screen)
            terminal.receipts(answer, style)
            speech_output.finish(aloud, screen)
    status = model_loader.status(answer)
    if extract and not status and terminal.first_block(answer.text) is None:
        raise OutputError("the answer holds no code block", hint="without -x the whole answer is printed")
    return status


def _show(inputs: Sequence[Medium], style: Style) -> None:
    from mmcli import media, terminal

    for medium in inputs:
        for part in medium.content if isinstance(medium, media.Document) else (medium,):
            if isinstance(part, media.Image):
                terminal.picture(part.pixels, style)


def _asked(
    ctx: typer.Context,
    words: Sequence[str],
    attached: Sequence[str],
    style: Style,
    prompt: SavedPrompt | None,
    *,
    is_new: bool,
    wordless: bool = False,
) -> tuple[list[str], str, bytes | None]:
    """The files, the question, and what is piped in besides; UsageError where there is no question.

    `wordless`: the model was trained to be shown a picture and asked nothing.
    """
    from mmcli import media, terminal
    from mmcli.commands import question_words, saved_prompts, typed_line

    typed = typed_line.of(ctx)
    files, question = _sorted(ctx, words, is_optional=prompt is not None or wordless)
    is_enough = bool(question.strip()) or wordless or (prompt is not None and not prompt.wants_input)

    def missing(files: Sequence[str], *, has_data: bool = False) -> UsageError:
        if prompt is not None:
            return saved_prompts.needs_input(prompt, typed, files)
        return question_words.missing(files, typed, is_example=is_new and not attached and not has_data)

    if not is_enough and (sys.stdin is None or sys.stdin.isatty()) and "-" not in files:
        raise missing(files)
    data = media.read_stdin(
        sys.stdin.buffer if sys.stdin is not None else None,
        wanted="-" in files or "-" in attached,
        has_media=bool(files or attached),
        on_wait=lambda text: terminal.notice(text, style),
    )
    if is_enough:
        return files, question, data
    if data is None or not data.strip() or media.sniff(data) != "text":
        files = [name for name in files if name != "-" or data]
        raise missing(files, has_data=bool(data))
    text = media.load(media.Source("-", data=data))
    assert isinstance(text, media.Text)
    return [name for name in files if name != "-"], text.text.strip(), None


def _sorted(ctx: typer.Context, words: Sequence[str], *, is_optional: bool = False) -> tuple[list[str], str]:
    from mmcli.commands import question_words, typed_line

    return question_words.sort(words, typed_line.of(ctx), is_optional=is_optional)


def _check(question: str, talk: str | None) -> None:
    """UsageError where the question is a talk's ID."""
    if talk is not None and is_id(question):
        raise UsageError(
            f"`{question}` looks like the ID of a conversation, but the last argument is the question",
            hint=f'mmcli ask -c {question} "And what else?"',
        )


def _sources(arguments: list[str], recursive: bool, data: bytes | None, style: Style) -> list[tuple[Source, bool]]:
    """What the question is about, each with whether it was piped in unasked; nothing is decoded yet."""
    from mmcli import media, terminal

    found = media.find(arguments, recursive=recursive, stdin=data, on_skipped=lambda t: terminal.notice(t, style))
    sources = [(source, False) for source in found]
    if data and "-" not in arguments:
        sources.append((media.find(["-"], stdin=data)[0], True))
    return sources


def _has_picture(sources: Sequence[tuple[Source, bool]]) -> bool:
    """Whether one is a picture by its name; what the others are, their bytes will say."""
    from mmcli.media.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES

    return any(source.suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES for source, _ in sources)


def _n_films(sources: Sequence[tuple[Source, bool]]) -> int:
    """How many share the room for frames; what is no film by its name counts where nothing else does."""
    from mmcli.media.sources import VIDEO_SUFFIXES

    return max(1, sum(source.suffix in VIDEO_SUFFIXES | {".gif", ".apng", ".webp"} for source, _ in sources))


def _check_sight(found: Model | WantedModel, inputs: Sequence[Medium]) -> None:
    """ModelError where the pages of a document would be pictures for a model that cannot see."""
    from mmcli import documents

    if "image" not in documents.kinds(inputs):
        return
    try:
        found.require(sight=True, hearing=False)
    except ModelError as error:
        way_out = "--text only gives it the text of the PDF's pages"
        raise ModelError(error.message, hint=f"{way_out}; {error.hint}" if error.hint else way_out) from None


def _inputs(sources: Sequence[tuple[Source, bool]], load: Callable[[Source], Medium]) -> list[Medium]:
    """The media, decoded; what is piped in comes first, or last if it is a text."""
    from mmcli import media

    inputs: list[Medium] = []
    for source, piped in sources:
        medium = load(source)
        inputs.insert(0 if piped and not isinstance(medium, media.Text) else len(inputs), medium)
    return inputs
