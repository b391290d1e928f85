"""Real pictures in a terminal: the protocols of kitty, iTerm2 and sixel. Knows escape codes; scales nothing itself.

Which one a terminal knows is read from its environment alone. Asking it would need an answer from its keyboard, and a
terminal that does not understand the question would show it.
"""

from __future__ import annotations

import base64
import io
import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Protocol = Literal["kitty", "iterm", "sixel", "blocks"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "iterm", "sixel", "blocks")
CHUNK = 4096  # characters of base64 in one of kitty's commands
CELL = (10, 20)  # pixels of a cell, where nothing says: what most terminals have at their default size
MAX_COLOURS = 256  # of a sixel picture


def protocol() -> Protocol:
    """What this terminal knows: `MMCLI_GRAPHICS`, or what its variables say; half-blocks where that is nothing."""
    chosen = os.environ.get("MMCLI_GRAPHICS", "").lower()
    if chosen in PROTOCOLS:
        return chosen
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    if os.environ.get("TMUX") or term.startswith(("screen", "tmux")):
        return "blocks"  # a multiplexer swallows the other protocols
    if term in ("xterm-kitty", "xterm-ghostty") or os.environ.get("KITTY_WINDOW_ID") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "mintty") or os.environ.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    if term.startswith(("foot", "mlterm", "contour", "yaft")) or "sixel" in term:
        return "sixel"
    return "blocks"


def kitty(pixels: NDArray[np.uint8], columns: int, rows: int) -> str:
    """(height, width, 3) RGB as a PNG in kitty's commands, drawn over so many cells."""
    data = base64.standard_b64encode(_png(pixels)).decode()
    parts = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)]
    out = []
    for i, part in enumerate(parts):
        keys = f"a=T,f=100,q=2,c={columns},r={rows}," if i == 0 else ""
        out.append(f"\x1b_G{keys}m={int(i + 1 < len(parts))};{part}\x1b\\")
    return "".join(out)


def iterm(pixels: NDArray[np.uint8], columns: int, rows: int) -> str:
    """(height, width, 3) RGB as a PNG in iTerm2's command."""
    png = _png(pixels)
    data = base64.standard_b64encode(png).decode()
    keys = f"inline=1;size={len(png)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={keys}:{data}\x07"


def sixel(pixels: NDArray[np.uint8]) -> str:
    """(height, width, 3) RGB as sixels: bands of six rows, each drawn once per colour, in runs."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(pixels).quantize(MAX_COLOURS)
    indices = np.asarray(image)  # (height, width) uint8, places in the palette
    height, width = indices.shape
    palette = np.asarray(image.getpalette() or [], np.uint16).reshape(-1, 3)
    used = np.unique(indices).tolist()
    colours = [f"#{i};2;" + ";".join(str(round(int(value) * 100 / 255)) for value in palette[i]) for i in used]
    out = [f'\x1bPq"1;1;{width};{height}', *colours]
    weights = np.array([1, 2, 4, 8, 16, 32], np.uint8)
    for top in range(0, height, 6):
        band = indices[top : top + 6]
        rows = []
        for colour in np.unique(band).tolist():
            bits = ((band == colour) * weights[: len(band), None]).sum(axis=0)  # (width,), one sixel each
            rows.append(f"#{colour}" + _runs(bits.tolist()))
        out.append("$".join(rows) + "-")
    return "".join(out) + "\x1b\\"


def _runs(sixels: list[int]) -> str:
    """Sixels as characters, a run of more than three as its length and the character."""
    out = []
    i = 0
    while i < len(sixels):
        n = 1
        while i + n < len(sixels) and sixels[i + n] == sixels[i]:
            n += 1
        char = chr(63 + sixels[i])
        out.append(f"!{n}{char}" if n > 3 else char * n)
        i += n
    return "".join(out)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
