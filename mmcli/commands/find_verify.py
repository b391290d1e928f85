"""`mmcli find --verify`: a model that sees is asked of each result whether it shows what was looked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mmcli.errors import InputError, MmcliError

if TYPE_CHECKING:
    from mmcli.engine import Engine
    from mmcli.library.query import Findings, FoundPiece
    from mmcli.library.store import Library
    from mmcli.media import Image
    from mmcli.models import Model
    from mmcli.runtime.model_loader import Loading
    from mmcli.terminal import Style

CHOICES = ("yes", "Yes", "no", "No")  # as models say it
SURE = 0.5  # probability of a yes, from which on a result is kept
HOPELESS, IN_A_ROW = 0.1, 5  # so many below that one after the other: the rest is not looked at
SIDE = 448  # pixels that no side of what is shown falls below
FORM = "Is there {}?"
ARTICLES = frozenset("a an the some any two three four five ein eine einen un une der die das".split())


@dataclass
class Verifying:
    """The best `n` of some findings, asked one after the other."""

    library: Library
    model: str | None
    n: int
    style: Style
    yes: bool = False

    def __call__(self, findings: Findings, what: str) -> Findings:
        """Those that the model confirms, the surest first; how many it does not is told."""
        from mmcli import terminal

        seen = [found for found in findings.found if found.kind != "speech"][: self.n]
        if not seen:
            return findings
        model, question = self._found(), FORM.format(_with_article(what))
        kept: list[FoundPiece] = []
        n_other = below = 0
        loading: Loading | None = None
        engine: Engine | None = None
        try:
            for found in seen:
                p = self.library.verdict(found.piece, question, model.name)
                if p is None:
                    if engine is None:
                        loading = self._loading(model)
                        engine = loading.engine()
                    p = self._asked(engine, found, question)
                    if p is None:
                        continue
                    self.library.keep_verdict(found.piece, question, model.name, p)
                below = below + 1 if p < HOPELESS else 0
                if p >= SURE:
                    kept.append(replace(found, verified=p))
                else:
                    n_other += 1
                if below == IN_A_ROW:
                    break
        finally:
            if loading is not None:
                loading.give_up()
        if n_other:
            terminal.notice(f"{n_other} more that {model.name} does not confirm", self.style)
        kept.sort(key=lambda found: -(found.verified or 0))
        return replace(findings, found=tuple(kept))

    def _found(self) -> Model:
        from mmcli import terminal
        from mmcli.runtime import model_fetch

        return model_fetch.seeing(self.model, None, yes=self.yes, reporter=terminal.Screen(self.style))

    def _loading(self, model: Model) -> Loading:
        from mmcli import terminal
        from mmcli.runtime import model_loader

        machine = model_loader.Machine(detail="low")
        return model_loader.Loading(model, machine, terminal.Screen(self.style), lasting=True)

    def _asked(self, engine: Engine, found: FoundPiece, question: str) -> float | None:
        """The probability of a yes against a no; None where the file cannot be read any more."""
        from mmcli import terminal
        from mmcli.engine import Message

        try:
            picture = _image(found)
        except MmcliError as error:
            terminal.warning(error.message, self.style)
            return None
        scores = engine.score([Message("user", (picture, question))], CHOICES)
        ps = [math.exp(value) for value in scores.log_probs]
        yes, total = sum(ps[:2]), sum(ps)
        return yes / total if total > 0 else 0.0


def _image(found: FoundPiece) -> Image:
    from mmcli.library import thumbnails
    from mmcli.media import Image, Receipt
    from mmcli.media.types import image_id

    pixels = thumbnails.of(found, SIDE)
    height, width = pixels.shape[:2]
    receipt = Receipt(found.source, "image", found.sha256.hex(), 0, "pixels", sent_size=(width, height))
    return Image(pixels, image_id(pixels), receipt)


def _with_article(what: str) -> str:
    """`red circle` as `a red circle`: a question that models know."""
    first = what.split()[0].lower() if what.split() else ""
    if not what.isascii() or first in ARTICLES or first.endswith("s"):
        return what
    return f"{'an' if first[:1] in 'aeiou' else 'a'} {what}"


def checked(words: str) -> str:
    """What the model is asked for; InputError where there are no words."""
    if not words.strip():
        raise InputError("--verify needs words that can be asked about", hint="mmcli find red circle --verify 20")
    return words
