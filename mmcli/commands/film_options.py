"""The options that choose moments of films, and what of their sound: for all commands that take films."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mmcli.commands.pages import RARE

FILMS = "Films"


class FilmSampling(StrEnum):
    uniform = "uniform"
    scene = "scene"
    keyframes = "keyframes"


class FilmSound(StrEnum):
    auto = "auto"
    transcript = "transcript"
    subtitles = "subtitles"
    heard = "heard"
    off = "off"


FramesOpt = Annotated[
    int | None,
    typer.Option(
        "--frames",
        metavar="N",
        min=1,
        max=768,
        rich_help_panel=FILMS,
        help="Frames of a film that the model gets. Without it, as many as suit the model and fit.",
        show_default=False,
    ),
    RARE,
]
FpsOpt = Annotated[
    float | None,
    typer.Option(
        "--fps",
        metavar="RATE",
        min=0.001,
        max=60.0,
        rich_help_panel=FILMS,
        help="Frames for each second of a film, instead of a number in all.",
        show_default=False,
    ),
    RARE,
]
SampleOpt = Annotated[
    FilmSampling,
    typer.Option(
        "--sample",
        metavar="HOW",
        rich_help_panel=FILMS,
        help="How a film's frames are chosen: uniform, scene or keyframes. uniform: one of each equal part; scene: "
        "one of each scene; keyframes: those that the film itself has.",
    ),
    RARE,
]
ExactOpt = Annotated[
    bool,
    typer.Option(
        "--exact",
        rich_help_panel=FILMS,
        help="Take the frame in the middle of each part of a film. Without it, the keyframe next to it, which is "
        "faster; the true time is told in any case.",
    ),
    RARE,
]
FilmSoundOpt = Annotated[
    FilmSound,
    typer.Option(
        "--sound",
        metavar="WHAT",
        rich_help_panel=FILMS,
        help="What of a film's sound the model gets: auto, transcript, subtitles, heard or off. auto: subtitles that "
        "are in it, or else a transcript; heard: the sound itself, for a model that hears.",
    ),
    RARE,
]
NoSoundOpt = Annotated[bool, typer.Option("--no-sound", rich_help_panel=FILMS, help="The same as --sound off."), RARE]
HearOpt = Annotated[bool, typer.Option("--hear", rich_help_panel=FILMS, help="The same as --sound heard."), RARE]
