"""Finds out whether a picture already has a description inside: XMP, IPTC or EXIF. Knows no pixels.

What a camera or an editor puts there by itself is no description, nor is what mmcli wrote and somebody copied there.
"""

from __future__ import annotations

import re

from mmcli.errors import InputError
from mmcli.outputs import xmp

# What cameras write into ImageDescription of every picture they take, and programs that leave their name there.
_BY_MACHINES = re.compile(
    r"""
    (?:[a-z]+ \s+){0,2} digital (?: \s+ still)? \s+ camera          # OLYMPUS DIGITAL CAMERA, KODAK Digital Still Camera
    | (?:sony|samsung|benq|kodak|nikon|canon|fujifilm|casio|pentax|ricoh|panasonic|olympus) (?: \s+ dsc)?
    | <? \s* (?:kenox|samsung) \s .* / .* >?                         # <KENOX S860  / Samsung S860>
    | .* dcim [\\/] \w+ [\\/] .*                                    # DCIM\100MEDIA\DJI_0001.JPG
    | default | untitled | ascii | exif[_ ]jpeg[_ ]picture | my \s+ beautiful \s+ picture | screenshot
    | (?:[a-z]{3,5}_)* (?:cof|dav|edf|hdr|rhdr|sdr|mde|mhd|nor|oznor|oznorhdr|rptnb|rptnbty|btf|ptr|burst|fbt|ozedf|mtw)
    | lead \s+ technologies .* | processed \s+ with \s .* | created \s+ with \s .*
    """,
    re.IGNORECASE | re.VERBOSE,
)


def has_words(picture: bytes, beside: bytes | None = None) -> bool:
    """Whether the bytes of a picture hold a person's description; `beside`: the sidecar that mmcli may have written.

    A damaged block says nothing.
    """
    from mmcli.media import exif

    packet, texts = exif.descriptions(picture)
    ours = set()
    for document in (packet, beside):
        said, is_ours = _description(document)
        if said and is_ours:
            ours.add(_plain(said))
        elif said and document is packet:
            return True
    return any(_plain(text) not in ours and not _BY_MACHINES.fullmatch(_plain(text)) for text in texts)


def _description(document: bytes | None) -> tuple[str, bool]:
    if not document:
        return "", False
    try:
        return xmp.description(document)
    except InputError:
        return "", False


def _plain(text: str) -> str:
    return " ".join(text.split())
