"""A conversation as a person has it: turns, staged media, undo, going on. Knows no terminal, no keys, no microphone.

`mmcli chat` and `mmcli voice` are two ways to hold the same `Conversation`. Importing this room is cheap.
"""

from mmcli.talk.completing import Candidate, Wants, Words, candidates
from mmcli.talk.conversation import Conversation, Turn, parts
from mmcli.talk.lines import (
    Attach,
    Command,
    Empty,
    Line,
    Question,
    dropped,
    files_in,
    is_open,
    is_quoted,
    looks_like_medium,
    read,
    split,
)
from mmcli.talk.looking import Look, look, may_look
from mmcli.talk.saved import dump, markdown, restore

__all__ = [
    "Attach",
    "Candidate",
    "Command",
    "Conversation",
    "Empty",
    "Line",
    "Look",
    "Question",
    "Turn",
    "Wants",
    "Words",
    "candidates",
    "dropped",
    "dump",
    "files_in",
    "is_open",
    "is_quoted",
    "look",
    "looks_like_medium",
    "markdown",
    "may_look",
    "parts",
    "read",
    "restore",
    "split",
]
