"""Decides how much silence ends a turn, by the words said so far. Knows texts; hears nothing.

A fixed silence is wrong for everybody: it cuts off whoever thinks in the middle of a sentence, and makes all others
wait. The words say which it is.
"""

from __future__ import annotations

import re

COMPLETE = 0.5  # seconds of silence after a whole sentence
OPEN = 0.9  # after words that may be all, and may not
UNFINISHED = 1.8  # after words that cannot be all: "what is in the"
ASKED = 0.5  # more, where our own last words were a question: people think before they answer

# Words that lead on to another one: no sentence ends with them, whatever full stop a recogniser puts behind. By
# language, as Whisper's codes name them; what serves as a whole answer ("no", "so", "that") is not among them.
LEADING_ON = {
    "en": (
        "a an the my your his its our their and or but because if when while although than of to from with without "
        "between into onto at by for as is are was were am be been being have has had do does did can could will would "
        "shall should may might must very and/or whose every each some any i'm you're we're they're there's"
    ),
    "de": (
        "der die das den dem des ein eine einen einem einer mein meine dein und oder aber weil wenn dass ob als von zu "
        "mit ohne für bei nach aus über unter zwischen ist sind war waren hat haben wird werden kann können soll sehr"
    ),
    "fr": (
        "le la les un une des du de au aux mon ma mes ton ta tes son sa ses et ou mais parce que qui si avec sans pour "
        "par dans sur sous entre est sont était a ont peut très"
    ),
    "es": (
        "el la los las un una unos unas del de al mi mis tu tus su sus y o pero porque que si con sin para por en "
        "sobre entre es son era está están ha han puede muy"
    ),
}
# Said while somebody looks for words: more is coming.
HESITATING = frozenset("um uh uhm er erm hmm hm mm well like äh ähm hm also euh ben eh este pues".split())
# What Whisper was trained to write under silent films. Nobody says it to a picture, but "thank you" some people do: so
# it is dropped only where Whisper itself was in doubt.
INVENTED = frozenset(
    {
        *("thank you", "thanks", "thank you very much", "thanks for watching", "thank you for watching", "bye", "you"),
        *("please subscribe", "subtitles by the amara org community", "untertitel der amara org community"),
        *("sous titres réalisés par la communauté d'amara org", "vielen dank", "merci", "gracias"),
    }
)
DOUBT = 0.5  # confidence
_LEADING_ON = {language: frozenset(words.split()) for language, words in LEADING_ON.items()}


def patience(heard: str, *, after_question: bool = False, language: str | None = "en") -> float:
    """Seconds of silence after which `heard` is a whole turn. Longer after a question of ours, or an unfinished clause.

    `language`: Whisper's code; for one whose words are not known here, punctuation alone decides.
    """
    return _silence(heard.strip(), language or "en") + (ASKED if after_question else 0.0)


def _silence(heard: str, language: str) -> float:
    words = _words(heard)
    if not words:
        return COMPLETE  # noise: there is nothing to wait for
    if words[-1] in HESITATING or words[-1] in _LEADING_ON.get(language, frozenset()):
        return UNFINISHED
    if heard.endswith(("...", "…", ",", ";", ":", "-", "–", "、", "،")):
        return UNFINISHED
    if heard.endswith((".", "?", "!", "。", "？", "！", "؟", "।")):
        return COMPLETE
    return OPEN


def is_invented(heard: str, confidence: float) -> bool:
    """Whether these are the words that Whisper writes where nobody spoke (`confidence`: 0 … 1, of all of them)."""
    return confidence < DOUBT and " ".join(_words(heard)) in INVENTED


def asks(said: str) -> bool:
    """Whether an answer of ours ends with a question, so that somebody has to think."""
    return said.rstrip(" \n*_\"'”»)").endswith(("?", "？", "؟"))


def joined(parts: list[str]) -> str:
    """What was said in several breaths, as one text."""
    return " ".join(part.strip() for part in parts if part.strip())


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower().replace("’", "'"))
