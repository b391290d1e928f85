"""What a person points at -> decoded media with receipts. Knows nothing of prompts, models or terminals.

Importing this room is cheap: Pillow, PyAV, numpy and the HTTP client are imported by the first medium that needs them.
"""

from mmcli.media.document import load, open
from mmcli.media.locator import Locator
from mmcli.media.names import quoted
from mmcli.media.opening import KINDS, is_office, read
from mmcli.media.sniffing import sniff
from mmcli.media.sources import (
    Source,
    each,
    find,
    has_media_suffix,
    looks_like_medium,
    named,
    nearest_here,
    part_of,
    without_part,
)
from mmcli.media.stdin import Piped, read_stdin
from mmcli.media.types import Audio, Clip, Document, DocumentPart, Image, Medium, Projected, Receipt, Text
from mmcli.media.wanted import FilmWanted, PagesWanted, Wanted

__all__ = [
    "KINDS",
    "Audio",
    "Clip",
    "Document",
    "DocumentPart",
    "FilmWanted",
    "Image",
    "Locator",
    "Medium",
    "PagesWanted",
    "Piped",
    "Projected",
    "Receipt",
    "Source",
    "Text",
    "Wanted",
    "each",
    "find",
    "has_media_suffix",
    "is_office",
    "load",
    "looks_like_medium",
    "named",
    "nearest_here",
    "open",
    "part_of",
    "quoted",
    "read",
    "read_stdin",
    "sniff",
    "without_part",
]
