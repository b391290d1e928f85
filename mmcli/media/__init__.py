"""What a person points at -> decoded media with receipts. Knows nothing of prompts, models or terminals.

Importing this room is cheap: Pillow, PyAV, numpy and the HTTP client are imported by the first medium that needs them.
"""

from mmcli.media.kinds import sniff
from mmcli.media.loading import KINDS, load
from mmcli.media.paths import Source, find, looks_like_medium, quoted
from mmcli.media.stdin import read_stdin
from mmcli.media.types import Audio, Image, Medium, Receipt, Text

__all__ = [
    "KINDS",
    "Audio",
    "Image",
    "Medium",
    "Receipt",
    "Source",
    "Text",
    "find",
    "load",
    "looks_like_medium",
    "quoted",
    "read_stdin",
    "sniff",
]
