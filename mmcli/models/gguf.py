"""Reads a GGUF file's metadata without loading the file. Knows the format; knows no models.

Source of the format: ggml's docs/gguf.md. Long arrays (vocabularies) are skipped, so that a header of megabytes is
read in milliseconds.
"""

from __future__ import annotations

import functools
import io
import math
import os
import stat
import struct
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from mmcli.errors import ModelError

MAGIC = b"GGUF"
# GGUF value types → struct codes; 8 is a string, 9 an array
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
KEPT_ITEMS = 256  # longer arrays are skipped; those with an item a layer are kept
MAX_STRING = 16 << 20  # bytes; a longer one means a damaged file
LONGEST_MARK = 64  # bytes of a token that tells a chat format
MAX_SKIP = 1 << 40  # bytes, of one value
MAX_TENSORS, MAX_DIMS = 1 << 17, 4
ALIGNMENT = 32  # bytes, where `general.alignment` does not say otherwise
# ggml_type → (numbers in a block, bytes of a block), as in gguf-py's GGML_QUANT_SIZES; others are not reckoned.
BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82)},
    **{23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2)},
    **{34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36)},
}

Value = str | int | float | bool | list["Value"] | None


@dataclass(frozen=True)
class Header:
    """What a GGUF says about itself. Its strings come from strangers: clean them before a terminal sees them."""

    path: Path
    n_tensors: int
    metadata: dict[str, Value] = field(default_factory=dict)
    tensor_names: tuple[str, ...] = ()  # in the order of the file

    def text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def of_architecture(self, key: str) -> Value:
        """The value under the architecture's own prefix: `block_count` is `llama.block_count` of a Llama."""
        return self.metadata.get(f"{self.architecture}.{key}")

    @property
    def architecture(self) -> str:
        return self.text("general.architecture")

    @property
    def is_projector(self) -> bool:
        return self.architecture == "clip" or self.text("general.type") == "mmproj"

    @property
    def sees(self) -> bool:
        """Whether a projector encodes pictures."""
        return bool(self.metadata.get("clip.has_vision_encoder"))

    @property
    def hears(self) -> bool:
        """Whether a projector encodes sound."""
        return bool(self.metadata.get("clip.has_audio_encoder"))

    @property
    def speaks(self) -> bool:
        """Whether a projector makes sound of what its weights say; then it hears reference voices only."""
        return bool(self.metadata.get("clip.has_gen_audio_encoder"))


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]  # fastest dimension first, as GGUF has them
    kind: int
    offset: int  # bytes, from where the tensors begin

    @property
    def n_bytes(self) -> int:
        """0 for types that are not known."""
        in_block, block = BLOCKS.get(self.kind, (1, 0))
        return math.prod(self.shape) // in_block * block


class Damaged(ModelError):
    """A file that is no GGUF, or no whole one."""


def read(path: Path) -> Header:
    """The header of the GGUF at `path`; ModelError where there is none, it is damaged, or tensors are cut off."""
    try:
        status = _regular(path)
        return _read(path, status.st_size, status.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"there is no file `{path}`", hint="check the path") from error
    except OSError as error:
        raise ModelError(f"cannot read `{path}`: {error.strerror or error}") from error
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise Damaged(f"`{path}` is damaged: its GGUF header cannot be read", hint="download the file again") from error


def _regular(path: Path) -> os.stat_result:
    """The status of a regular file; ModelError for a pipe, which waits, and for a device, which may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise ModelError(f"`{path}` is {kind}, not a file", hint="models come as .gguf files; see docs/asking.md")
    return status


@functools.lru_cache(maxsize=16)  # a large vocabulary takes 0.2 s to skip, and several ask for the same header
def _read(path: Path, size: int, changed: int) -> Header:
    with path.open("rb") as file:
        reader = _Reader(file)
        header = reader.header(path)
        if file.tell() > size:
            raise Incomplete
        tensors = reader.tensors(header.n_tensors)
        alignment = header.metadata.get("general.alignment")
        step = alignment if isinstance(alignment, int) and 0 < alignment <= 1 << 20 else ALIGNMENT
        begin = -(-file.tell() // step) * step
    end = max((begin + tensor.offset + tensor.n_bytes for tensor in tensors if tensor.n_bytes), default=0)
    if end > size:
        raise Damaged(
            f"`{path}` is cut short: it ends after {size} bytes, and its tensors after {end}",
            hint="download the file again",
        )
    return replace(header, tensor_names=tuple(tensor.name for tensor in tensors))


class Incomplete(ValueError):
    """The bytes end before the header does."""


def read_beginning(data: bytes, name: str) -> Header | None:
    """The header of a GGUF of which only the beginning is here: all that stands before the vocabulary, whose strings
    make up most of a header. None where more bytes are needed; ModelError where these can begin no GGUF.
    """
    try:
        return _Reader(io.BytesIO(data)).header(Path(name), stop_at_vocabulary=True)
    except Incomplete:
        return None
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise ModelError(f"`{name}` is damaged: its GGUF header cannot be read", hint="choose another file") from error


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def header(self, path: Path, *, stop_at_vocabulary: bool = False) -> Header:
        if self._file.read(4) != MAGIC:
            raise Damaged(f"`{path}` is not a GGUF file", hint="models come as .gguf files; see docs/asking.md")
        version, n_tensors, n_values = self._unpack("<IQQ")
        if version not in (2, 3) or n_values > 1 << 20:
            raise ModelError(f"`{path}` is GGUF version {version}, which is not supported", hint="update mmcli")
        metadata: dict[str, Value] = {}
        for _ in range(n_values):
            key = self._string()
            # Every writer puts what describes the layers before the vocabulary (gguf-py, and so convert and quantize).
            described = f"{metadata.get('general.architecture')}.block_count" in metadata
            if stop_at_vocabulary and described and key.startswith("tokenizer."):
                break
            metadata[key] = self._value(*self._unpack("<I"))
        return Header(path, n_tensors, metadata)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise Incomplete
        return data

    def _skip(self, size: int) -> None:
        if size > MAX_SKIP:  # seek refuses some of these, and an OSError would blame the disk
            raise ValueError(f"{size} bytes of one value")
        self._file.seek(size, 1)

    def _unpack(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _string(self) -> str:
        (size,) = self._unpack("<Q")
        if size > MAX_STRING:
            raise ValueError(f"a string of {size} bytes")
        return self._take(size).decode("utf-8", "replace")

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            item, count = self._unpack("<IQ")
            return self._array(item, count)
        if kind not in SCALARS:
            raise ValueError(f"a value of type {kind}")
        return self._unpack("<" + SCALARS[kind])[0]

    def _array(self, item: int, count: int) -> list[Value] | None:
        if item == ARRAY:  # llama.cpp refuses them too
            raise ValueError("an array of arrays")
        if count <= KEPT_ITEMS:
            return [self._value(item) for _ in range(count)]
        if item in SCALARS:
            self._skip(count * struct.calcsize("<" + SCALARS[item]))
        elif item == STRING:
            for _ in range(count):
                (size,) = self._unpack("<Q")
                self._skip(size)
        else:
            raise ValueError(f"a long array of type {item}")
        return None

    def tokens(self, wanted: Collection[bytes]) -> set[str]:
        """Those of `wanted` that are in the vocabulary; to be read from the beginning of a file."""
        if self._file.read(4) != MAGIC:
            raise ValueError("no GGUF")
        _version, _n_tensors, n_values = self._unpack("<IQQ")
        found: set[str] = set()
        for _ in range(n_values):
            key = self._string()
            (kind,) = self._unpack("<I")
            if key != "tokenizer.ggml.tokens" or kind != ARRAY:
                self._value(kind)
                continue
            item, count = self._unpack("<IQ")
            for _ in range(count if item == STRING else 0):
                (size,) = self._unpack("<Q")
                if size > LONGEST_MARK:
                    self._skip(size)
                elif (token := self._take(size)) in wanted:
                    found.add(token.decode())
            break
        return found

    def tensors(self, n_tensors: int) -> list[_Tensor]:
        """What stands in the table of tensors; to be read right after the header."""
        if n_tensors > MAX_TENSORS:
            raise ValueError(f"{n_tensors} tensors")
        found = []
        for _ in range(n_tensors):
            name = self._string()
            (n_dims,) = self._unpack("<I")
            if n_dims > MAX_DIMS:
                raise ValueError(f"a tensor of {n_dims} dimensions")
            shape = self._unpack(f"<{n_dims}Q")
            found.append(_Tensor(name, shape, *self._unpack("<IQ")))
        return found


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The dimensions of every tensor of the GGUF at `path`, fastest first; ModelError as `read`."""
    try:
        _regular(path)
        with path.open("rb") as file:
            reader = _Reader(file)
            return {tensor.name: tensor.shape for tensor in reader.tensors(reader.header(path).n_tensors)}
    except OSError as error:
        raise ModelError(f"cannot read `{path}`: {error.strerror or error}") from error
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise Damaged(f"`{path}` is damaged: its GGUF header cannot be read", hint="download the file again") from error


def read_tokens(path: Path, wanted: Collection[str]) -> set[str]:
    """Those of `wanted` that the vocabulary of the GGUF at `path` has as tokens; ModelError as `read`."""
    try:
        _regular(path)
        with path.open("rb") as file:
            return _Reader(file).tokens({text.encode() for text in wanted})
    except OSError as error:
        raise ModelError(f"cannot read `{path}`: {error.strerror or error}") from error
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise Damaged(f"`{path}` is damaged: its GGUF header cannot be read", hint="download the file again") from error
