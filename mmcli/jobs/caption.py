"""The caption task: what is asked about a picture, under which key its answer is cached, and the caption made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmcli import media
from mmcli.engine import Answer, Message, Sampling
from mmcli.errors import OutputError
from mmcli.jobs import caption_styles, examples, keys, pictures
from mmcli.jobs.examples import Example
from mmcli.jobs.result_cache import is_cut
from mmcli.jobs.task import Asked, Kept, Picture, parts_of


@dataclass(frozen=True)
class Caption:
    """What a model said of a picture, tidied; and the answer it was made of."""

    text: str
    answer: Answer
    facts: Mapping[str, str] = field(default_factory=dict)  # of the file's own, in the prompt

    @property
    def cut(self) -> bool:
        """Whether it ends where --max-tokens ended it."""
        return is_cut(self.answer)


@dataclass(frozen=True)
class CaptionTask:
    """What to do with each picture; fields in the order people ask for them."""

    question: str  # in the language wanted
    style: caption_styles.CaptionStyle
    sampling: Sampling
    system: str | None = None
    facts: bool = False  # put what the file says about itself into the prompt
    max_megapixels: float = 100.0
    pages: media.PagesWanted = media.PagesWanted()  # how a page of a PDF is opened
    film: media.FilmWanted = media.FilmWanted(sound="off")  # which moments of a film make its caption
    setup: str = ""  # all else that could change a caption: weights, projector, detail …
    parallel: int | None = None  # answers at once; None: what the engine finds best
    retry_cut: bool = False  # compute again what --max-tokens cut off
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> str:
        """Everything but picture and facts that could change a caption, in one word."""
        return keys.whole(self._words, self.sampling)

    @property
    def base(self) -> str:
        """The same without the limit, which changes only those captions that it cuts."""
        return keys.base(self._words, self.sampling)

    @property
    def _words(self) -> list[object]:
        words: list[object] = [self.setup, self.system, self.question, self.facts]
        return [*words, examples.words(self.examples)] if self.examples else words

    def ask(self, data: bytes) -> tuple[str, Mapping[str, str]]:
        facts = _facts(data) if self.facts else {}
        return caption_styles.with_facts(self.question, facts), facts

    def load(self, source: media.Source, data: bytes) -> Picture | Kept:
        """A picture, a film, or a page as a picture; Kept where the page is blank."""
        return pictures.load(source, data, max_megapixels=self.max_megapixels, pages=self.pages, film=self.film)

    def messages(self, picture: Picture, text: str) -> Sequence[Message]:
        before = examples.turns(self.examples, self.question)
        messages = [*before, Message("user", (*parts_of(picture), text))]
        return [Message("system", (self.system,)), *messages] if self.system else messages

    def result(self, asked: Asked, answer: Answer) -> Caption | Kept:
        """The caption; Kept where no tag of the answer is among the keywords that are allowed."""
        shown = asked.named.source.shown
        if answer.finish_reason == "loop":
            raise OutputError(
                f"{shown}: the model kept repeating itself", hint="try another model, or another --prompt"
            )
        if not answer.text.strip():
            raise OutputError(f"{shown}: the model said nothing", hint="try another --prompt, or more --max-tokens")
        text = caption_styles.tidy(self.style, answer.text)
        if not text:
            said = caption_styles.tidy(caption_styles.ANY, answer.text)
            return Kept(f"no keyword of the list is in the answer: {said}")
        return Caption(text, answer, asked.facts)


def _facts(data: bytes) -> dict[str, str]:
    from mmcli.media import exif

    return exif.read(data)
