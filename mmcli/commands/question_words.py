"""Separates the question from the files on the command line, in either order. Opens no file, prints nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mmcli import media
from mmcli.commands.typed_line import Line
from mmcli.errors import UsageError

EXAMPLE = "What is this?"
SURELY_A_SENTENCE = 4  # words that name nothing here: no typing errors in as many names
_ENDS = tuple("?!？！。؟")  # how a question ends that has no spaces


def sort(words: Sequence[str], line: Line, *, is_optional: bool = False) -> tuple[list[str], str]:
    """The files among the words, and the question ("" where there is none), which is the last word if that can be one.

    `is_optional`: it may be missing, so that a last word that names anything is a file. UsageError where it is not
    clear which is which; its hint is the whole command in the right order.
    """
    *before, last = words or [""]
    others = [word for word in before if not _is_file(word)]
    if not (_is_file(last) if is_optional else _is_last_file(last, others)):
        _check_marks(words, [*others, last], line)
        _check_single([word for word in others if _is_sentence(word)], last, words, line)
        return before, last
    if not others or any(_may_name_file(word) for word in others):
        return ([word for word in words if word] if not last else list(words)), ""
    _check_marks(words, others, line)
    _check_single(others[:-1], others[-1], words, line)
    (question,) = others
    files = _without(words, others)
    if not _is_sentence(question):
        raise UsageError(
            f"`{last}` is a file, but the last argument is the question",
            hint=f"to ask `{question}`: {line.with_words(*files, question)}",
        )
    return files, question


def split(words: Sequence[str], line: Line) -> tuple[list[str], str]:
    """The files, and the question that a conversation begins with: "" where no word is clearly one."""
    others = [word for word in words if not _is_file(word)]
    _check_marks(words, others, line)
    questions = [word for word in others if _is_sentence(word)]
    if not questions:
        return list(words), ""
    _check_single(questions[:-1], questions[-1], words, line)
    return _without(words, questions), questions[0]


def missing(files: Sequence[str], line: Line, *, is_example: bool) -> UsageError:
    """The error where nobody asked anything; `is_example`: the hint names a file where none was given."""
    shown = line.with_words(*(files or ["photo.jpg"] * is_example), EXAMPLE)
    about = f" about `{files[0]}`" if files and files[0] != "-" else ""
    return UsageError(f"no question was given{about}", hint=shown)


def _check_marks(words: Sequence[str], others: Sequence[str], line: Line) -> None:
    """UsageError where the words of one question stand apart: `mmcli ask a.png What is it?`."""
    if len(others) < 2 or any(_has_space(word) for word in others):
        return
    few = len(others) < SURELY_A_SENTENCE
    if any(_may_name_file(word) or few and _is_near_a_file(word) for word in others[:-1]):
        return  # a file that is not there is reported as such
    first = next(place for place, word in enumerate(words) if word in others)
    end = max(place for place, word in enumerate(words) if word in others) + 1
    end = end if words[end - 1].endswith(_ENDS) else len(words)  # `What is in a.png` goes on with the file
    inside = [word for word in words[first:end] if word not in others]
    question = " ".join(words[first:end])
    raise UsageError(
        f"the question needs quotation marks: `{others[0]}` is not a file",
        hint=line.with_words(*words[:first], *inside, *words[end:], question),
    )


def _check_single(others: Sequence[str], question: str, words: Sequence[str], line: Line) -> None:
    """UsageError where there is more than one question."""
    if others:
        rest = _without(words, [*others, question])
        raise UsageError(
            f"there are two questions: `{others[0]}` and `{question}`",
            hint=f"make one of them: {line.with_words(*rest, ' '.join([*others, question]))}",
        )


def _without(words: Sequence[str], taken: Sequence[str]) -> list[str]:
    return [word for word in words if word not in taken]


def _is_file(word: str) -> bool:
    """Whether a word before the last one means a file, a folder or an address, as far as can be known."""
    return not word or _is_last_file(word, ()) or _try(os.path.exists, word)


def _is_last_file(word: str, others: Sequence[str]) -> bool:
    """Whether the last word is one: a folder's bare name only where the question was asked before."""
    if word in ("", "-") or media.looks_like_medium(word) or _is_pattern(word):
        return True
    return any(map(_is_sentence, others)) and _try(os.path.isdir, word)


def _try(test: Callable[[str], bool], word: str) -> bool:
    try:
        return test(os.path.expanduser(word))
    except ValueError:  # a NUL character
        return False


def _is_pattern(word: str) -> bool:
    """`photos/*.jpg`, which a shell has left to us; a question mark alone makes no pattern."""
    import glob

    word = media.without_part(word)
    if not re.search(r"[*\[]", word) or _has_space(word):
        return False
    try:
        return next(glob.iglob(os.path.expanduser(word), recursive=True), None) is not None
    except (ValueError, re.error):
        return False


def _is_sentence(word: str) -> bool:
    """Whether a word is clearly a question or a request."""
    return word.endswith(_ENDS) or (_has_space(word) and not _may_name_file(word))


def _has_space(word: str) -> bool:
    return any(char.isspace() for char in word.strip())


def _may_name_file(word: str) -> bool:
    """Whether a word that names nothing here looks like a path: `notes.txt`, `photos/a`, `*.jpg`."""
    word = media.without_part(word)
    if word.endswith(_ENDS) and not re.search(r"[*\[]", word):
        return False
    if _has_space(word):
        return media.has_media_suffix(Path(word)) and _is_near_a_file(word)
    return bool(re.search(r"[/\\*\[]|\.\w{1,5}$", word))


def _is_near_a_file(word: str) -> bool:
    return media.nearest_here(word) is not None
