"""`mmcli chat`: a conversation about pictures, sounds and texts, in the terminal or line by line from a pipe."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from mmcli.commands import form_options as form_opt
from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.asking_library import TalkLibraryOptions
from mmcli.commands.option_groups import (
    AnswerOptions,
    FilmOptions,
    InputOptions,
    MachineOptions,
    ModelOptions,
    OutputOptions,
    PageOptions,
    SpeakOptions,
    TalkOptions,
)
from mmcli.commands.optional_value import with_optional_id


@with_optional_id(n_words=0)
def chat(
    ctx: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...] [QUESTION]",
            help="Files to talk about, and a first question in quotation marks. Picture, sound, PDF or text files, "
            "also folders, URLs and parts of files: report.pdf#page=3-5.",
            show_default=False,
        ),
    ] = None,
    *,
    input_options: InputOptions,
    library_options: TalkLibraryOptions,
    page_options: PageOptions,
    film_options: FilmOptions,
    model_options: ModelOptions,
    speech_model: speech_opt.WriterOpt = None,
    yes: opt.YesOpt = False,
    answer_options: AnswerOptions,
    schema: form_opt.SchemaOpt = None,
    talk_options: TalkOptions,
    speak_options: SpeakOptions,
    machine_options: MachineOptions,
    output_options: OutputOptions,
) -> int | None:
    """Have a conversation about pictures, sounds and text files. Type /help in it to see what it can do.

    mmcli chat docs/pictures/shapes.png -m starter
    mmcli chat docs/pictures/shapes.png "What is this?" -m starter
    mmcli chat -c
    """
    from mmcli import terminal
    from mmcli.chat import resume
    from mmcli.chat.front import ReadAloud, Typed
    from mmcli.chat.session import Session
    from mmcli.commands import question_words, typed_line
    from mmcli.extraction import answer_schema
    from mmcli.media import Wanted
    from mmcli.runtime import model_fetch, page_words, speech_output

    files, question = question_words.split(media or (), typed_line.of(ctx))
    style = output_options.style()
    shape = answer_schema.find(schema) if schema is not None else None
    library = library_options.talk(style, machine_options.threads)
    wish = speak_options.wishes(ctx)
    talk = resume.talk(talk_options.continue_)
    setup = resume.setup(origins.typed(ctx), talk, model_options.model, model_options.mmproj, answer_options.system)
    if library is not None and not setup.system:
        setup = replace(setup, system=library.system)
    machine = machine_options.machine(model_options.template)
    wanted = Wanted(pages=page_options.wanted(machine.detail, style), film=film_options.wanted())
    screen = terminal.Screen(style)
    found = model_fetch.find(setup.model, setup.mmproj, yes=yes, reporter=screen)
    wanted = page_words.fitted(wanted, page_options.ocr.value, found, screen)
    chosen = model_fetch.here(found, yes=yes, reporter=screen)
    recorder = resume.recorder(talk_options.history, talk_options.keep_media, screen)
    with recorder, speech_output.opened(wish, machine, yes=yes, reporter=screen) as aloud:
        with Session(
            chosen,
            machine,
            answer_options.choice(),
            style,
            recorder,
            ReadAloud(aloud, screen) if aloud.is_wanted else Typed(),
            max_megapixels=machine_options.max_megapixels,
            damaged_ok=input_options.damaged_ok,
            yes=yes,
            speech_model=speech_model,
            wanted=wanted,
            shape=shape,
            sources=library,
        ) as session:
            session.take_up(talk, setup)
            session.attach([*files, *(input_options.attach or ())], recursive=input_options.recursive)
            return session.run(typed=resume.typed_lines() if talk_options.history else None, first=question)
