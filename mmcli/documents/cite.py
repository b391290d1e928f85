"""Asks for citations, and checks them: was the page shown, and is the quote on it? Knows no models and no terminals.

Under `grammar` a model cannot name a page that it was not shown. An engine that keeps to none may: so what an answer
names is taken from its words, and compared with what was shown.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcli.media.pages import PagedDocument
from mmcli.media.types import Text

if TYPE_CHECKING:
    from mmcli.media.types import DocumentPart, Medium

_CITED = re.compile(r"\[\s*(?P<name>[^\[\]\n#]*)#page=(?P<pages>[0-9]+(?:\s*[,-]\s*[0-9]+)*)\s*\]")
_BARE = re.compile(r"[\[(]\s*(?:see\s+)?(?:pages?|pp?\.)\s*(?P<pages>[0-9]+(?:\s*[,-]\s*[0-9]+)*)\s*[\])]", re.I)
_QUOTED = re.compile(r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|「([^「」]+)」|\"([^\"\n]+)\"")
_LEAST = 3  # letters or digits of a quote: fewer are on every page
_MOST_PAGES = 100  # of one citation


@dataclass(frozen=True)
class ShownPage:
    """One page that the model got."""

    source: str  # "report.pdf#page=12"
    text: str  # that is seen on it; "" where the file has none


@dataclass(frozen=True)
class Citation:
    """A page that an answer names, a quote, or both."""

    source: str | None  # None: a quote without a page, which is on none
    quote: str | None
    verified: bool | None  # None: there is nothing to check, no quote or no text on the page
    reason: str  # a clause for the user


def asked_for(shown: Sequence[ShownPage]) -> str:
    """What asks a model for citations; it follows the question."""
    example = shown[0].source if shown else "report.pdf#page=12"
    return (
        f"Name the page of each statement in brackets, such as [{example}], and quote the words on it that show the"
        " statement, in quotation marks, before the brackets."
    )


def grammar(shown: Sequence[ShownPage]) -> str | None:
    """Any words, with brackets around nothing but shown pages, in llguidance's form of Lark; None without pages."""
    sources = [page.source for page in shown]
    names = list(dict.fromkeys([*sources, *(source.rpartition("/")[2] for source in sources)]))
    if not names:
        return None
    choices = " | ".join(json.dumps(name, ensure_ascii=False) for name in names)
    return f'start: TEXT? (cite TEXT?)*\nTEXT: /[^\\[]+/\ncite: "[" SOURCE "]"\nSOURCE: {choices}\n'


def pages(media: Iterable[Medium]) -> list[ShownPage]:
    """The pages of these media that a model gets."""
    documents = (medium for medium in media if isinstance(medium, PagedDocument))
    return [page(document.book.name, part) for document in documents for part in document.parts]


def page(name: str, part: DocumentPart) -> ShownPage:
    """One page of the document `name`."""
    text = part.medium.text if isinstance(part.medium, Text) else _unfenced(part.words)
    return ShownPage(f"{name}#{part.locator}", text)


def checked(answer: str, shown: Sequence[ShownPage]) -> list[Citation]:
    """The citations of an answer in its order, each page and quote compared with what was shown."""
    found: list[Citation] = []
    begin = 0
    named = list(_named(answer, shown))
    for start, end, sources in named:
        quotes = [next(filter(None, match.groups())) for match in _QUOTED.finditer(answer, begin, start)]
        begin = end
        for source in sources:
            found += [_checked(source, quote, shown) for quote in quotes or [None]]
    found += [_without_page(next(filter(None, match.groups())), shown) for match in _QUOTED.finditer(answer, begin)]
    return list(dict.fromkeys(found))


def _named(answer: str, shown: Sequence[ShownPage]) -> Iterator[tuple[int, int, list[str]]]:
    """Begin and end of each citation in an answer, and the sources that it names."""
    names = {page.source.rpartition("#")[0] for page in shown}
    only = next(iter(names)) if len(names) == 1 else None
    for match in sorted((*_CITED.finditer(answer), *_BARE.finditer(answer)), key=lambda match: match.start()):
        name = (match.groupdict().get("name") or "").strip() or only
        if name is not None:
            yield match.start(), match.end(), [f"{name}#page={number}" for number in _numbers(match["pages"])]


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        begin = int(first[:9])
        numbers += range(begin, min(int(last[:9]) if last.strip() else begin, begin + _MOST_PAGES) + 1)
    return numbers[:_MOST_PAGES]


def _checked(source: str, quote: str | None, shown: Sequence[ShownPage]) -> Citation:
    match = next((page for page in shown if _same(page.source, source)), None)
    if match is None:
        return Citation(source, quote, False, "this page was not shown to the model")
    if quote is None:
        return Citation(match.source, None, None, "the page was shown; the answer quotes nothing of it")
    if not match.text:
        return Citation(match.source, quote, None, "the page has no text to search for the quote")
    if _is_in(quote, match.text):
        return Citation(match.source, quote, True, "the quote is on the page")
    other = next((page for page in shown if _is_in(quote, page.text)), None)
    where = "" if other is None else f", but on {other.source}"
    return Citation(match.source, quote, False, f"the quote is not on the page{where}")


def _without_page(quote: str, shown: Sequence[ShownPage]) -> Citation:
    page = next((page for page in shown if _is_in(quote, page.text)), None)
    if page is not None:
        return Citation(page.source, quote, True, "the quote is on the page")
    return Citation(None, quote, False, "the quote is on no page that was shown")


def _same(shown: str, named: str) -> bool:
    """Whether a model means this page; it may leave out folders."""
    return shown == named or shown.rpartition("/")[2] == named.rpartition("/")[2]


def _is_in(quote: str, text: str) -> bool:
    """Whether a quote is in a text, whatever their spaces, hyphens, marks and case; `…` stands for what is left out."""
    rest = _letters(text)
    pieces = [_letters(piece) for piece in re.split(r"…|\.{3}|\[…\]", quote)]
    pieces = [piece for piece in pieces if piece]
    if sum(map(len, pieces)) < _LEAST:
        return False
    for piece in pieces:
        _, found, rest = rest.partition(piece)
        if not found:
            return False
    return True


def _letters(text: str) -> str:
    """A text's letters, digits and what else tells numbers apart: lines are broken and hyphenated anyhow."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # a sign or a decimal point in a number counts: 4.2 is not 42, and -5 is not 5
    folded = re.sub(r"(?<!\w)[-−](?=\d)", "\N{MINUS SIGN}", folded)
    return "".join(re.findall(r"\w|\N{MINUS SIGN}|(?<=\d)[.,](?=\d)|[%€$£]", folded))


def _unfenced(words: str) -> str:
    """A page's text without its heading and fence."""
    lines = words.split("\n")
    return "\n".join(lines[2:-1]) if len(lines) > 3 or (len(lines) == 3 and lines[1].startswith("```")) else ""
