"""`mmcli demo`: see it work in ten seconds, with nothing downloaded."""

from __future__ import annotations

from pathlib import Path

from mmcli.commands import options as opt

QUESTIONS = ("What is in this picture?", "How many shapes are there?", "What color is the star?")


def demo(debug: opt.DebugOpt = False) -> int | None:
    """Try it: a sample picture and the built-in model.

    mmcli demo
    """
    from mmcli import engine, media, models, terminal
    from mmcli.runtime import model_loader

    style = terminal.Style(debug=debug)
    picture = media.load(media.find([str(Path(models.__file__).parent / "starter" / "demo.png")])[0])
    assert isinstance(picture, media.Image)
    terminal.picture(picture.pixels, style, columns=48)
    messages: list[engine.Message] = []
    starter = models.find("starter")
    assert isinstance(starter, models.Model)
    with model_loader.load(starter, model_loader.Machine(cache=False), terminal.Screen(style)) as ready:
        for question in QUESTIONS:
            terminal.line(f"> {question}")
            messages.append(engine.Message("user", (question,) if messages else (picture, question)))
            answer = terminal.answer(ready.generate(messages, engine.Sampling(temperature=0)), style)
            if answer.finish_reason == "interrupted":
                return model_loader.status(answer)
            messages.append(engine.Message("assistant", (answer.text,)))
    terminal.notice(
        'now your own:  mmcli pull qwen3-vl-2b  and then  mmcli ask photo.jpg "What is this?" -m qwen3-vl-2b', style
    )
    terminal.notice("the starter model knows only simple coloured shapes; `mmcli models` lists the real ones", style)
    return 0
