"""Markdown as it is written, piece by piece -> sentences to be said aloud, each as early as it is certain.

Knows words only. What cannot be said is left out: code blocks, rules, marks of emphasis; of an address, the host is
said. The first sentence may end at a comma, for that is when somebody waits.
"""

from __future__ import annotations

import html
import re
import unicodedata

FIRST_CLAUSE = 30  # characters from which a comma may end what is said first
LONGEST = 320  # characters after which a sentence is cut at its last comma, or at a blank
# Abbreviations after which a sentence goes on, and those after which it may also end.
_GO_ON = frozenset(
    "e.g i.e eg ie mr mrs ms dr prof st vs cf approx ca fig figs eq vol pp resp incl excl z.b d.h u.a o.ä bzw ggf evtl "
    "nr s sr sra mme mlle m p ex".split()
)
_MAY_END = frozenset("etc no inc ltd co corp jr sr u.s u.k a.m p.m ph.d usw al sec min max".split())
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_END = re.compile(
    r"(?P<mark>[.!?…]++)(?P<close>[\"'”’»)\]*_`~]*+)(?=\s)"  # what follows must be there: `3.` may become `3.5`
    r"|[。！？｡．]+[」』）】”’]*"
    r"|(?P<line>\n)"
)
_CLAUSE = re.compile(r"[,;:–—](?=\s)|[，、；：]")
# A line that is a sentence of its own: a heading, an item, a row of a table, a quotation.
_OWN_LINE = re.compile(r"\s*(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|\||>)")
_RULE = re.compile(r"\s*(?:(?:[-*_=]\s*){3,}|[|:\-+\s]*-{2,}[|:\-+\s]*)")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)\s]*(?:\s+\"[^\"]*\")?\)|\[[^\]]*\])")
_URL = re.compile(
    r"<?\bhttps?://(?:www\.)?([^\s/<>()\[\]\"'?#]+)[^\s<>()\[\]\"']*?(?=[.,;:!?]*(?:[\s<>()\[\]\"']|$))>?"
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->|<\|[^|<>]*\|>")  # and what tokenizers of models obey
_KEPT = frozenset("°©®™%+=<>±×÷€£¥$&§'’-–—/@#")


class Sentences:
    """Takes pieces of a text, gives back what may be said."""

    def __init__(self) -> None:
        self._text = ""  # what is not said yet, as it was written
        self._fence: str | None = None  # the marks that opened the code block that we are in
        self._line_begins = True  # whether `_text` begins where a line does
        self._began = False  # whether anything came out

    def feed(self, piece: str) -> list[str]:
        """The sentences that are complete with this piece; often none."""
        self._text += piece
        return self._cut(at_end=False)

    def flush(self) -> list[str]:
        """The rest, where the text has ended; then all may begin anew."""
        said = self._cut(at_end=True)
        self.__init__()  # type: ignore[misc]
        return said

    def _cut(self, at_end: bool) -> list[str]:
        said: list[str] = []
        while self._text:
            if self._fence is None and self._line_begins and self._text.startswith("\n"):
                self._text = self._text.lstrip("\n")
                continue
            if self._fence is not None or self._line_begins:
                passed = self._pass_code(at_end)
                if passed is None:
                    break
                if passed:
                    continue
            end = self._end(at_end)
            if end is None:
                break
            raw, self._text = self._text[:end], self._text[end:]
            self._line_begins = raw.endswith("\n") or (self._line_begins and not raw.strip())
            if sentence := speakable(raw):
                said.append(sentence)
                self._began = True
        return said

    def _pass_code(self, at_end: bool) -> bool | None:
        """Leave out a line of, or around, a code block. False: there is none here; None: not known yet."""
        line, newline, rest = self._text.partition("\n")
        if self._fence is None:
            found = _FENCE.match(line)
            if found is None:
                return None if not newline and not at_end and line.strip(" ") in ("", "`", "``", "~", "~~") else False
            if not newline and not at_end:
                return None
            self._fence = found[1]
        elif newline or at_end:
            closing = line.strip()
            if closing.startswith(self._fence) and not closing.strip(self._fence[0]):
                self._fence = None
        else:
            return None
        self._text, self._line_begins = rest, True
        return True

    def _end(self, at_end: bool) -> int | None:
        """Where the first sentence of the text ends; None: not known yet."""
        text = self._text
        own_line = self._line_begins and _OWN_LINE.match(text)
        after_number = re.match(r"\s*\d{1,3}[.)]\s", text) if self._line_begins else None
        for found in _END.finditer(text, after_number.end() if after_number else 0):
            if found.start() >= LONGEST:
                break
            if found["line"]:
                ends = bool(own_line) or not text[: found.start()].strip() or self._line_ends(found.end(), at_end)
                if ends is None:
                    return self._clause(found.start(), at_end)
                if ends:
                    return found.end()
            elif not found["mark"]:
                return found.end()
            else:
                ends = self._mark_ends(found, at_end)
                if ends is None:
                    return None
                if ends:
                    return found.end()
        if at_end and len(text) <= LONGEST:
            return len(text)
        return self._clause(len(text), at_end)

    def _line_ends(self, after: int, at_end: bool) -> bool | None:
        """Whether a line's end is a sentence's: before an empty line, and before a line of its own."""
        rest = self._text[after:]
        if not rest.strip(" \t"):
            return True if at_end else None
        if rest.lstrip(" \t").startswith("\n"):
            return True
        if re.fullmatch(r"\s*(?:#{1,6}|[-*+•]|\d{1,3}[.)]?|`{1,2}|~{1,2})", rest) and not at_end:
            return None
        return bool(_OWN_LINE.match(rest) or _FENCE.match(rest))

    def _mark_ends(self, found: re.Match[str], at_end: bool) -> bool | None:
        """Whether a full stop is one; exclamation and question marks always end a sentence."""
        if found["mark"] != ".":
            return True
        before = self._text[: found.start()]
        word = re.split(r"[\s(\[\"“„*_]", before)[-1].lower()
        if word in _GO_ON or (len(word) == 1 and word.isalpha() and word != "i"):
            return False
        follows = self._text[found.end() :].lstrip(" \t")
        if word in _MAY_END or word.isdecimal():
            if not follows and not at_end:
                return None
            return not (follows[:1].islower() or follows[:1].isdecimal())
        return True

    def _clause(self, limit: int, at_end: bool) -> int | None:
        """An end that is none of a sentence: early, where nothing is said yet, or late, where none comes."""
        text = self._text[:limit]
        if not self._began:
            for found in _CLAUSE.finditer(text):
                if FIRST_CLAUSE <= found.end() <= LONGEST and not _OWN_LINE.match(text):
                    return found.end()
        if len(text) <= LONGEST:
            return None
        clauses = [found.end() for found in _CLAUSE.finditer(text, 0, LONGEST) if found.end() >= FIRST_CLAUSE]
        return clauses[-1] if clauses else max(text.rfind(" ", 0, LONGEST) + 1, 0) or LONGEST


def speakable(markdown: str) -> str:
    """A sentence as it is said, without what only the eye needs; empty where nothing is left to say."""
    lines = [line for line in markdown.splitlines() if not _RULE.fullmatch(line)]
    text = " ".join(re.sub(r"^\s*(?:>\s*)*(?:#{1,6}\s+|[-*+•]\s+(?:\[[ xX]\]\s+)?)?", "", line) for line in lines)
    text = re.sub(r"\[\^[^\]]*\]", "", text)  # footnotes
    text = _LINK.sub(r"\1", text)
    text = _URL.sub(r"\1", text)
    text = html.unescape(_TAG.sub(" ", text))
    text = re.sub(r"(?<=\d) \* (?=\d)", " × ", text)
    text = re.sub(r"(?<=\w)_(?=\w)|\\", " ", text)
    text = re.sub(r"[*`_~]|\s#+\s*$", "", text)
    text = re.sub(r"^\s*\|\s*|\s*\|\s*$", "", text)
    text = re.sub(r"\s*\|\s*", ", ", text)
    text = re.sub(r"\s*(?:[→⇒]|[-=]>)\s*", ", ", text)
    text = "".join(character if _can_be_said(character) else "" for character in text)
    text = re.sub(r"\s+(?=[.,;:!?…](?:\s|$))", "", " ".join(text.split()))
    text = text.lstrip(")]}」』）】”’»,;:.!?…。！？ ")
    return text if any(character.isalnum() for character in text) else ""


def _can_be_said(character: str) -> bool:
    """Not pictographs, nor what controls a terminal or the direction of a text."""
    if character in _KEPT or character.isspace():
        return True
    return unicodedata.category(character) not in ("So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn") and not (
        "\ufe00" <= character <= "\ufe0f"  # variation selectors
    )
