"""Pieces of a library as numbered sources of a question: which ones tell something, how they are named and cited."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcli import search_words
from mmcli.library import query as queries
from mmcli.library.records import FIELDS

if TYPE_CHECKING:
    from mmcli.library.query import FoundPiece, Query
    from mmcli.library.store import Library

MOST_TEXT = 300  # characters of a source's text that stand beside its picture
MOST_SPOKEN = 1500  # of what is said, which has no picture
SYSTEM = (
    "Answer only from the numbered sources. Put the number of the source behind each statement, such as [1]."
    " Where the sources do not tell, say so."
)
_LOOKED_AT = 50  # of the best pieces, for those that have the words
_CITED = re.compile(r"\[(\d{1,3})\]")
# Words of questions, which say nothing of what is looked for: in the languages of the embedding models' users.
_ASKING = frozenset(
    """
    a about all am an and any are as at be been but by can could did do does for from had has have how i if in
    is it its look me mine my of on one or our picture pictures photo photos image images please show shows
    shown she he tell that the their them there these they this those to us was we were what when where which
    who whom whose why will with would you your see seen take taken der die das den dem des ein eine einen einem
    einer und oder ist sind war waren wer was wann wo wie warum welche welcher welches welchem ich du er sie es
    wir ihr mein meine mit von zu im in auf bild bilder foto fotos zeige habe hat le la les un une des du de et
    ou est sont qui que quoi quand comment mon ma mes sur dans avec image el los las una y o es son quien cuando
    donde como mi mis en con foto imagen il lo gli uno e chi che quando dove come mio mia nel con
    """.split()
)


@dataclass(frozen=True)
class NumberedSource:
    """One source of a question, as it was fed."""

    number: int  # from 1
    found: FoundPiece
    text: str  # what is known of it in words; "" where nothing is

    @property
    def label(self) -> str:
        """`[1] IMG_2041.jpg, 2023-04-11 15:02, Linz; text: “…”`"""
        name = os.path.basename(os.fsdecode(self.found.path))
        name = f"{name}#{self.found.fragment}" if self.found.fragment else name
        taken = (self.found.taken or "").replace("T", " ")[:16]
        told = ", ".join(filter(None, (name, taken, self.found.place)))
        return f"[{self.number}] {_flat(told)}" + (f"; text: “{_flat(self.text)}”" if self.text else "")


def wanted(question: str) -> str:
    """What a question is about: its words without those of every question; all of them where no other is left."""
    words = re.findall(r"[\w'’-]+", question)
    told = [word for word in words if word.casefold() not in _ASKING]
    return " ".join(told or words)


def relevant(library: Library, query: Query, n: int, *, anyway: bool = False) -> list[FoundPiece]:
    """The best `n` pieces for a query; where none of them stands out, those alone that have half of its words.

    In a library so small that nothing can stand out, the best there is. `anyway`: in any library.
    """
    findings = queries.search(library, query, max(n, _LOOKED_AT))
    if anyway or not findings.found or findings.stands_out is not False:
        return list(findings.found[:n])
    telling = _with_half(library, query.words)
    return [found for found in findings.found if found.piece in telling][:n]


def _with_half(library: Library, words: str) -> set[int]:
    """Pieces whose texts or names have at least half of these words, longer ones than two letters."""
    wanted = list(dict.fromkeys(word for word in words.split() if len(word) > 2))
    counts: dict[int, int] = {}
    for word in wanted:
        if (match := search_words.query(word)) is not None:
            for (piece,) in library.db.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (match,)):
                counts[piece] = counts.get(piece, 0) + 1
    return {piece for piece, count in counts.items() if 2 * count >= len(wanted)}


def numbered(library: Library, found: Sequence[FoundPiece], first: int = 1) -> list[NumberedSource]:
    """These pieces as sources, with what is known of them in words."""
    return [NumberedSource(number, piece, text_of(library, piece)) for number, piece in enumerate(found, first)]


def text_of(library: Library, found: FoundPiece) -> str:
    """The words that the library has of a piece: what is said, read, painted or told of it; not its name."""
    fields = [name for name in FIELDS if name != "names"]
    row = library.db.execute(f"SELECT {', '.join(fields)} FROM texts WHERE rowid = ?", (found.piece,)).fetchone()
    told = [" ".join(search_words.unspaced(text).split()) for text in row or () if text]
    text = "; ".join(dict.fromkeys(told))
    most = MOST_SPOKEN if found.kind == "speech" else MOST_TEXT
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " …"


def grammar(n_sources: int) -> str:
    """Any words, with brackets around nothing but the numbers of sources, in llguidance's form of Lark."""
    numbers = " | ".join(f'"{number}"' for number in range(1, n_sources + 1))
    return f'start: TEXT? (cite TEXT?)*\nTEXT: /[^\\[]+/\ncite: "[" NUMBER "]"\nNUMBER: {numbers}\n'


def cited(answer: str, n_sources: int) -> list[int]:
    """The numbers of the sources that an answer names, each once, in its order."""
    numbers = (int(match[1]) for match in _CITED.finditer(answer))
    return list(dict.fromkeys(number for number in numbers if 1 <= number <= n_sources))


def _flat(text: str) -> str:
    return " ".join(text.split())
