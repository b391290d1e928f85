"""A conversation: turns, staged media, undo, slash commands, voice, and continuing it later.

`mmcli chat` and `mmcli voice` are two ways to hold the same `Conversation`. Importing this room is cheap.
"""

from mmcli.chat.completing import Candidate, Wants, Words, candidates
from mmcli.chat.conversation import Conversation, Turn, parts
from mmcli.chat.export import dump, markdown, restore
from mmcli.chat.input import (
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
from mmcli.chat.voice_commands import Look, look, may_look

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
