"""Draws pixels in a terminal: by its own protocol where it has one, else as characters. Knows cells; no files.

Half-blocks work in every terminal with colours, a ramp of characters in all others.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mmcli.terminal import graphics, streams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.text import Text

    from mmcli.terminal.style import Style

RAMP = " .:-=+*#%@"  # from dark to light
MAX_COLUMNS = 80


def picture(pixels: NDArray[np.uint8], style: Style, columns: int | None = None) -> bool:
    """Show a picture, (height, width, 3) RGB, on stderr, as wide as fits or `columns`; False where no terminal is."""
    if style.quiet or style.json or not streams.is_terminal(sys.stderr):
        return False
    console = streams.err()
    width = min(columns or MAX_COLUMNS, console.width)
    has_colours = console.color_system is not None and not console.no_color
    protocol = graphics.protocol() if has_colours else "blocks"
    if protocol != "blocks":
        streams.write(_by_protocol(pixels, protocol, width, console.height - 1) + "\n", sys.stderr)
        return True
    if has_colours and streams.can_show("▀", sys.stderr):
        text = _half_blocks(_fitted(pixels, width, 2 * (console.height - 1)))
    else:
        # A character is about twice as high as wide: half the rows keep the proportions.
        text = _ramp(_fitted(pixels, width, 2 * (console.height - 1))[::2])
    console.print(text, soft_wrap=True)
    return True


def _by_protocol(pixels: NDArray[np.uint8], protocol: graphics.Protocol, columns: int, rows: int) -> str:
    """The escape codes that draw the picture over at most so many cells, of which one is twice as high as wide."""
    height, width, _ = pixels.shape
    scale = min(columns / width, 2 * rows / height)
    columns, rows = max(round(width * scale), 1), max(round(height * scale / 2), 1)
    cell_width, cell_height = graphics.CELL
    fitted = _fitted(pixels, columns * cell_width, rows * cell_height)
    if protocol == "sixel":
        return graphics.sixel(fitted)
    return (graphics.kitty if protocol == "kitty" else graphics.iterm)(fitted, columns, rows)


def _fitted(pixels: NDArray[np.uint8], max_width: int, max_height: int) -> NDArray[np.uint8]:
    """Scale into the box, keeping the proportions, to an even height; small pictures are scaled up."""
    import numpy as np
    from PIL import Image

    height, width, _ = pixels.shape
    scale = min(max_width / width, max_height / height)
    new_width = max(round(width * scale), 1)
    new_height = max(round(height * scale / 2) * 2, 2)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((new_width, new_height), method)
    return np.asarray(image)  # (new_height, new_width, 3) uint8


def _half_blocks(pixels: NDArray[np.uint8]) -> Text:
    """Two rows of pixels in one row of cells: the upper one is the block's colour, the lower one its ground's."""
    from rich.color import Color
    from rich.style import Style as Look
    from rich.text import Text

    text = Text()
    for y in range(0, len(pixels), 2):
        if y:
            text.append("\n")
        for upper, lower in zip(pixels[y].tolist(), pixels[y + 1].tolist(), strict=True):
            text.append("▀", Look(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
    return text


def _ramp(pixels: NDArray[np.uint8]) -> Text:
    from rich.text import Text

    light = pixels @ (0.299, 0.587, 0.114)  # (height, width), how bright people see the three colours
    steps = (light / 256 * len(RAMP)).astype(int)
    return Text("\n".join("".join(RAMP[step] for step in row) for row in steps))
