"""The embedded reader: pixels → lines of text with boxes and confidences, by PP-OCR's networks. Knows no files.

rapidocr's wheel ships the networks; its own program takes two seconds to import, logs, and may download. So they are
run here directly, as PaddleOCR's papers describe them: one finds lines (differentiable binarization), one tells lines
that stand on their heads, one reads a line (CTC).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmcli import telemetry
from mmcli.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "ppocr"
_FINDER, _TURNER, _READER = "*det*.onnx", "*cls*.onnx", "*rec*.onnx"
_SHORTEST_SIDE, _LONGEST_SIDE = 736, 1600  # pixels that the finder looks at
_INK, _LINE = 0.3, 0.5  # probabilities: of a pixel to be text, on average of a line's
_GROWTH = 1.6  # the finder marks the core of a line; it is grown by area * _GROWTH / perimeter
_MOST_LINES = 3000
_HEIGHT = 48  # pixels of a line as it is read, and as it is looked at for its direction
_TURNER_WIDTH, _SURELY = 192, 0.9
_WIDEST = 48 * 80  # pixels of a line as it is read; the answer takes 75 KB for each eight of them
_LEGIBLE = 0.5  # lines read with less confidence are shadows and ornaments


@dataclass(frozen=True)
class ReadWord:
    """One word of a line: where it begins and ends, as parts of the line's length (0 … 1)."""

    text: str
    confidence: float  # 0 … 1
    start: float
    end: float


@dataclass(frozen=True)
class ReadLine:
    """One line of text on a picture."""

    text: str
    box: tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the upright picture
    confidence: float  # 0 … 1
    words: tuple[ReadWord, ...] = ()


@dataclass(frozen=True)
class ReadPage:
    """What was read of a picture, from top to bottom; `turned`: quarters clockwise by which it was made upright."""

    lines: tuple[ReadLine, ...]
    size: tuple[int, int]  # (width, height) of the upright picture
    turned: int = 0


def version() -> str:
    """Which networks these are, for a cache's key."""
    return "+".join(path.stem for path in _files())


def is_installed() -> bool:
    """Whether the networks are here."""
    try:
        return bool(_files())
    except ModelError:
        return False


def _files() -> tuple[Path, Path, Path]:
    spec = importlib.util.find_spec("rapidocr")
    folder = Path(spec.submodule_search_locations[0]) / "models" if spec and spec.submodule_search_locations else None
    found = [sorted(folder.glob(pattern)) if folder else [] for pattern in (_FINDER, _TURNER, _READER)]
    if not all(found) or importlib.util.find_spec("cv2") is None or importlib.util.find_spec("onnxruntime") is None:
        raise ModelError(
            "reading pages without a model needs `mmcli[ocr]`, which is not installed",
            hint="`pip install 'mmcli[ocr]'`, or choose a model that sees: -m glm-ocr",
        )
    finder, turner, reader = (paths[0] for paths in found)
    return finder, turner, reader


class PageReader:
    """The three networks, loaded once. One picture at a time; from any thread, but not from two at once."""

    def __init__(self, threads: int) -> None:
        finder, turner, reader = _files()
        telemetry.forbid_onnxruntime()
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)  # only what ends the process

        def session(path: Path) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = threads, 4
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others work here, too
            options.enable_cpu_mem_arena = False  # each picture has its own size: an arena keeps them all
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        self._finder, self._turner, self._reader = session(finder), session(turner), session(reader)
        letters = self._reader.get_modelmeta().custom_metadata_map["character"].split("\n")
        self._letters = ["", *letters, " "]  # CTC's blank first

    def read(self, pixels: NDArray[np.uint8], stopped: Callable[[], bool] = lambda: False) -> ReadPage:
        """The lines of an RGB picture (height, width, 3), whichever way up, from top to bottom."""
        boxes, turned = self._found(pixels), 0
        if _stand_upright(boxes):  # on its side: the direction of the lines says which
            pixels, turned = np.ascontiguousarray(np.rot90(pixels, -1)), 1
            boxes = self._found(pixels)
        crops = [_cut(pixels, box) for box in boxes]
        if self._stands_on_its_head(crops):
            pixels, turned = np.ascontiguousarray(pixels[::-1, ::-1]), turned + 2
            boxes = self._found(pixels)
            crops = [_cut(pixels, box) for box in boxes]
        height, width = pixels.shape[:2]
        lines = []
        for crop, corners in zip(crops, boxes, strict=True):
            if stopped():
                break
            words = self._text(crop)
            confidence = float(np.mean([word.confidence for word in words])) if words else 0.0
            if confidence >= _LEGIBLE:
                (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
                text = " ".join(word.text for word in words)
                lines.append(ReadLine(text, (left, top, right, bottom), confidence, words))
        lines.sort(key=lambda line: (line.box[1] + line.box[3], line.box[0]))
        return ReadPage(tuple(lines), (width, height), turned)

    # finding

    def _found(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The corners (4, 2) of each line, from the top left one clockwise, in pixels."""
        cv2 = _opencv()
        height, width = pixels.shape[:2]
        scale = min(max(1.0, _SHORTEST_SIDE / min(height, width)), _LONGEST_SIDE / max(height, width))
        seen_w, seen_h = (max(32, round(side * scale / 32) * 32) for side in (width, height))
        seen = cv2.resize(pixels, (seen_w, seen_h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        ink = self._finder.run(None, {"x": _input(seen)[None]})[0][0, 0]  # (height, width): how surely it is text
        mask = cv2.dilate((ink > _INK).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        found = []
        for outline in outlines[:_MOST_LINES]:
            (x, y), (w, h), angle = cv2.minAreaRect(outline)
            if min(w, h) < 3 or _mean_inside(ink, cv2.boxPoints(((x, y), (w, h), angle))) < _LINE:
                continue
            grown = w * h * _GROWTH / (w + h)  # both sides of it together
            corners = cv2.boxPoints(((x, y), (w + grown, h + grown), angle))
            corners = _from_top_left(corners) * (width / seen_w, height / seen_h)
            found.append(np.clip(corners, 0, (width - 1, height - 1)).astype(np.float32))
        return found

    # upright

    def _stands_on_its_head(self, crops: Sequence[NDArray[np.uint8]]) -> bool:
        """Whether most of the longest lines do: one line alone is easily taken for that."""
        longest = sorted(crops, key=lambda crop: -crop.shape[1])[:24]
        if not longest:
            return False
        batch = np.stack([_padded(_line(crop, _TURNER_WIDTH), _TURNER_WIDTH) for crop in longest])
        upside_down = self._turner.run(None, {"x": batch})[0][:, 1]  # (n,)
        return bool((upside_down > _SURELY).mean() > 0.5)

    # reading

    def _text(self, crop: NDArray[np.uint8]) -> tuple[ReadWord, ...]:
        """The words of one line. Several at once would take longer: short ones are padded to the longest."""
        odds = self._reader.run(None, {"x": _line(crop, _WIDEST)[None]})[0][0]  # (steps, letters)
        return tuple(self._words(odds.argmax(1), odds.max(1)))

    def _words(self, letters: NDArray[np.int64], sure: NDArray[np.float32]) -> Iterator[ReadWord]:
        """CTC: a letter counts where it differs from the step before, and is not the blank."""
        n = len(letters)
        new = np.flatnonzero((letters != 0) & (letters != np.concatenate(([0], letters[:-1]))))
        word: list[int] = []
        for step in (*new, n):
            if step < n and not self._letters[letters[step]].isspace():
                word.append(int(step))
            elif word:
                text = "".join(self._letters[letters[at]] for at in word)
                yield ReadWord(text, float(sure[word].mean()), word[0] / n, (word[-1] + 1) / n)
                word = []


def _opencv() -> Any:
    """OpenCV, as it comes: its own types know no shapes."""
    import cv2

    return cv2


def _stand_upright(boxes: Sequence[NDArray[np.float32]]) -> bool:
    """Whether the lines run from top to bottom: more than half of their area is higher than wide."""
    sizes = [(np.linalg.norm(box[1] - box[0]), np.linalg.norm(box[3] - box[0])) for box in boxes]
    area = sum(w * h for w, h in sizes)
    return bool(sum(w * h for w, h in sizes if h > 1.5 * w) > area / 2)


def _input(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(height, width, 3) RGB → (3, height, width) BGR, -1 … 1, as the networks were trained."""
    return (pixels[:, :, ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)


def _from_top_left(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Four corners from the top left one clockwise."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    (top_left, bottom_left), (top_right, bottom_right) = (
        side[np.argsort(side[:, 1], kind="stable")] for side in (by_x[:2], by_x[2:])
    )
    return np.stack([top_left, top_right, bottom_right, bottom_left])


def _mean_inside(ink: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    cv2 = _opencv()
    height, width = ink.shape
    low = np.clip(np.floor(corners.min(0)).astype(int), 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(0)).astype(int), 0, (width - 1, height - 1))
    mask = np.zeros((high[1] - low[1] + 1, high[0] - low[0] + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(ink[low[1] : high[1] + 1, low[0] : high[0] + 1], mask)[0])


def _cut(pixels: NDArray[np.uint8], corners: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A line's pixels (height, width, 3), its slope taken out; turned where it is higher than wide."""
    cv2 = _opencv()
    top_left, top_right, bottom_right, bottom_left = corners
    width = max(1, int(max(np.linalg.norm(top_right - top_left), np.linalg.norm(bottom_right - bottom_left))))
    height = max(1, int(max(np.linalg.norm(bottom_left - top_left), np.linalg.norm(bottom_right - top_right))))
    onto = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    to_line = cv2.getPerspectiveTransform(corners, onto)
    line = cv2.warpPerspective(pixels, to_line, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.rot90(line) if height >= 1.5 * width else line


def _line(crop: NDArray[np.uint8], widest: int) -> NDArray[np.float32]:
    """A line as the networks see it: (3, 48, width)."""
    cv2 = _opencv()
    height, width = crop.shape[:2]
    width = min(widest, max(1, math.ceil(_HEIGHT * width / height)))
    return _input(cv2.resize(np.ascontiguousarray(crop), (width, _HEIGHT)))


def _padded(line: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    return np.pad(line, ((0, 0), (0, 0), (0, width - line.shape[2])))
