"""Show pixels as coloured characters. Knows cells and colours; knows no files.

Half-blocks work in every terminal with colours. A terminal's own protocol (kitty, iTerm2, sixel) would be one more
function beside `_half_blocks` and `_ramp`, chosen in `picture`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mmcli.terminal import streams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.text import Text

    from mmcli.terminal.style import Style

RAMP = " .:-=+*#%@"  # from dark to light
MAX_COLUMNS = 80


def picture(pixels: NDArray[np.uint8], style: Style, columns: int | None = None) -> None:
    """Show a picture, (height, width, 3) RGB, on stderr if that is a terminal, as wide as fits it or `columns`."""
    if style.quiet or style.json or not streams.is_terminal(sys.stderr):
        return
    console = streams.err()
    width = min(columns or MAX_COLUMNS, console.width)
    has_colours = console.color_system is not None and not console.no_color
    if has_colours and streams.can_show("▀", sys.stderr):
        text = _half_blocks(_fitted(pixels, width, 2 * (console.height - 1)))
    else:
        # A character is about twice as high as wide: half the rows keep the proportions.
        text = _ramp(_fitted(pixels, width, 2 * (console.height - 1))[::2])
    console.print(text, soft_wrap=True)


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
