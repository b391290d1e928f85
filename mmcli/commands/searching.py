"""Searches the help: commands, options and topics, by any of their words. Prints nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mmcli.commands.pages import Option, Page
from mmcli.commands.topics import TOPICS, Topic
from mmcli.suggestions import nearest

# Words that mean the same to somebody who searches; each also finds what is said of the others.
SAME = (
    ("temperature", "randomness", "creativity"),
    ("continue", "resume"),
    ("picture", "image", "photo"),
    ("sound", "audio"),
    ("microphone", "mic"),
    ("loudspeaker", "speaker", "headphones"),
    ("conversation", "session", "talk"),
    ("transcribe", "transcription", "transcript", "dictation"),
    ("subtitle", "srt", "vtt", "ass", "cue"),
    ("lyrics", "lrc", "karaoke"),
    ("download", "fetch"),
    ("delete", "remove", "uninstall"),
    ("stdin", "pipe"),
    ("gpu", "cuda", "metal", "vulkan"),
    ("thread", "cpu", "core"),
    ("privacy", "private"),
    ("aloud", "tts"),
    ("reason", "think", "reasoning", "thinking"),
    ("length", "longest", "tokens"),
)
STOP_WORDS = frozenset("a an and do does for how i in is it my of on or the to what which with where".split())
NAME, ABOUT, MORE = 8, 4, 1  # what a word weighs that is found in a name, in the short line, in the rest
ENOUGH = 0.5  # of the best hit's weight: what matches less is not shown


@dataclass(frozen=True)
class HelpMatch:
    """One thing the words are said of."""

    weight: float
    item: Option | Topic | Page
    where: tuple[str, ...] = ()  # of an option: the commands that have it


class HelpTexts:
    """All that can be searched."""

    def __init__(self, pages: Sequence[Page], in_chats: Sequence[Topic] = ()) -> None:
        self._entries: list[tuple[HelpMatch, dict[str, int]]] = []
        for topics, weight in ((TOPICS, ABOUT), (in_chats, NAME)):
            for topic in topics:
                texts = (topic.words, weight), (topic.about, ABOUT), (topic.command, MORE)
                self._entries.append((HelpMatch(0, topic), _weighed(*texts)))
        for page in pages:
            texts = (page.path.removeprefix("mmcli"), NAME), (page.about, ABOUT), (page.more, MORE)
            self._entries.append((HelpMatch(0, page), _weighed(*texts)))
        for option, where in _merged(pages):
            texts = (" ".join([*option.names, *option.off]), NAME), (option.about, ABOUT), (option.value, ABOUT)
            rest = " ".join([option.more, option.variable, option.variable.replace("_", " "), option.default])
            self._entries.append((HelpMatch(0, option, where), _weighed(*texts, (rest, MORE))))

    def find(self, query: str) -> list[HelpMatch]:
        """What all words of the query are said of, or else some of them; the likeliest first, of each kind the best."""
        wanted = [word for word in _words(query) if word not in STOP_WORDS] or _words(query)
        for at_least in dict.fromkeys((len(wanted), max(1, len(wanted) - 1), 1)):
            found = []
            for entry, said in self._entries:
                weights = [weight for word in wanted if (weight := _weight(word, said))]
                if len(weights) >= at_least:
                    found.append(replace(entry, weight=float(sum(weights))))
            if found:
                best = max(hit.weight for hit in found)
                found = [hit for hit in found if hit.weight >= ENOUGH * best]
                return sorted(found, key=lambda hit: -hit.weight)
        return []

    def closest(self, query: str) -> str | None:
        """The query with each unknown word replaced by a near one that is said of something; None if there is none."""
        vocabulary = dict.fromkeys(word for _, said in self._entries for word in said)
        near = [nearest(word, vocabulary)[:1] for word in _words(query) if word not in STOP_WORDS]
        return " ".join(found[0] for found in near if found) or None


def _merged(pages: Iterable[Page]) -> list[tuple[Option, tuple[str, ...]]]:
    """Options that mean the same in several commands as one, with the commands that have it."""
    found: dict[tuple[str, ...], tuple[Option, list[str]]] = {}
    for page in pages:
        for option in page.options:
            if option.name.startswith("--help"):
                continue
            _, where = found.setdefault((option.name, option.value, option.about), (option, []))
            where.append(page.path)
    return [(option, tuple(where)) for option, where in found.values()]


def _weighed(*texts: tuple[str, int]) -> dict[str, int]:
    """Each word of the texts with the most that it weighs in one of them."""
    found: dict[str, int] = {}
    for text, weight in texts:
        for word in _words(text):
            found[word] = max(found.get(word, 0), weight)
    return found


def _weight(word: str, said: Mapping[str, int]) -> float:
    """What a word of the query weighs against the words that are said; nothing where it is not among them."""
    if word in said:
        return said[word]
    same = next((group for group in SAME if word in group), ())
    others = [said[other] for other in same if other in said]
    others += [said[other] for other in said if len(word) >= 3 and other.startswith(word)]
    others += [said[other] for other in said if len(other) >= 5 and word.startswith(other)]
    return 0.75 * max(others, default=0)


def _words(text: str) -> list[str]:
    """Words in their plain form: small letters, no plural."""
    found = re.findall(r"[a-z0-9]+(?:[.'+][a-z0-9]+)*", text.lower().replace("_", " "))
    return [word[:-1] if re.fullmatch(r"\w{3,}[^sui]s", word) else word for word in found]
