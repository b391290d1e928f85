"""A prompt as cells to compute: tokenized by libmtmd, or recalled from disk. Knows chunks and cells, computes none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mmcli.engine.local import kv_cells, mtmd
from mmcli.engine.local.template import Prompt
from mmcli.engine.messages import Message, Origin, Seen
from mmcli.errors import ModelError
from mmcli.media.types import Projected, Text


@dataclass(frozen=True)
class Plan:
    """The cells of a whole prompt, and what computes those that no cache holds. Says nothing about any cache."""

    cells: Sequence[kv_cells.Cell] = ()
    chunks: Mapping[int, mtmd.Chunk] = field(default_factory=dict)  # place in cells → the media chunk to encode
    after_media: int = 0  # cells up to and including the last medium
    suffix: tuple[int, ...] = ()  # tokens libmtmd puts after the last medium before the text goes on
    key: str | None = None  # the prefix's name in the store

    @cached_property
    def n_tokens(self) -> int:
        return kv_cells.n_tokens(self.cells)

    @cached_property
    def whole(self) -> int:
        """Tokens of the largest medium that must go through the model in one piece; 0 where none must."""
        return max((chunk.n_tokens for chunk in self.chunks.values() if chunk.needs_whole), default=0)

    def needs_more_than(self, n_cells: int) -> bool:
        """Whether a medium after the first `n_cells` cells has no chunk to compute it from."""
        rest = range(n_cells, len(self.cells))
        return any(not isinstance(self.cells[place], int) and place not in self.chunks for place in rest)

    def after(self, known: Sequence[kv_cells.Cell]) -> Plan:
        """This plan behind cells that are known already."""
        start = len(known)
        media = [place for place, cell in enumerate(known) if not isinstance(cell, int)]
        return Plan(
            cells=[*known, *self.cells],
            chunks={start + place: chunk for place, chunk in self.chunks.items()},
            after_media=start + self.after_media if self.after_media else max(media, default=-1) + 1,
            suffix=self.suffix,
            key=self.key if self.after_media else None,  # else what comes after the last medium is not distinguished
        )


def from_text(prompt: Prompt, weights: mtmd.Weights, *, is_start: bool = True) -> Plan:
    """A prompt without media, or (unless `is_start`) the end of one, needs no projector."""
    return Plan([*(weights.begin if is_start else ()), *weights.tokenize_runs(prompt.segments[0])])


def from_record(record: kv_cells.PrefixRecord, prompt: Prompt, weights: mtmd.Weights, key: str) -> Plan:
    """The stored prefix and the text after it: neither projector nor pixels are needed."""
    tail = weights.tokenize_runs(prompt.segments[-1])
    return Plan([*record.cells, *record.suffix, *tail], {}, len(record.cells), record.suffix, key)


def from_chunks(
    chunks: mtmd.Chunks,
    prompt: Prompt,
    media: Sequence[Projected],
    weights: mtmd.Weights,
    key: str | None,
    first: int = 0,
    *,
    is_start: bool = True,
) -> Plan:
    """What libmtmd made of the prompt; ModelError unless it holds every medium once and in order.

    `first` is the first medium's place in the conversation, where the prompt is only the end of one (`is_start` False).
    """
    cells: list[kv_cells.Cell] = list(weights.begin) if is_start else []
    of_media: dict[int, mtmd.Chunk] = {}
    for chunk in chunks.all:
        if chunk.kind == "text":
            cells += chunk.tokens
            continue
        of_media[len(cells)] = chunk
        cells.append(kv_cells.MediaCells(chunk.media_id, first + chunk.index, chunk.n_tokens, chunk.n_pos))
    # The promise of the whole program: as many media in the prompt as were given. A medium may be cut into slices.
    found = list(dict.fromkeys(chunk.index for chunk in of_media.values()))
    if found != list(range(len(media))):
        raise ModelError(
            f"the model would see only {len(found)} of {len(media)} files",
            hint="this projector cannot take them together: ask about one at a time",
        )
    after_media = max(of_media, default=-1) + 1
    tail = weights.tokenize_runs(prompt.segments[-1])
    rest = [cell for cell in cells[after_media:] if isinstance(cell, int)]
    assert rest[len(rest) - len(tail) :] == tail, "libmtmd tokenized the text after the last medium in another way"
    return Plan(cells, of_media, after_media, tuple(rest[: len(rest) - len(tail)]), key)


def seen(
    plan: Plan,
    reuse: kv_cells.Reuse,
    messages: Sequence[Message],
    weights: mtmd.Weights,
    prepared: Mapping[str, Origin] | None = None,
) -> tuple[Seen, ...]:
    """The engine's half of the receipts: what the prompt holds of each medium, slices added up.

    `reuse` is what a cache held of it. `prepared`: of media that were computed for this answer before it was asked
    for, where they came from.
    """
    out = []
    media = [part for message in messages for part in message.parts if not isinstance(part, str)]
    index = -1
    for medium in media:
        if isinstance(medium, Text):
            count = len(weights.tokenize(medium.rendered, special=not weights.has_control(medium.rendered)))
            out.append(Seen(medium.receipt, medium.receipt.sha256, count, count, "text"))
            continue
        index += 1
        places = [
            (place, cell)
            for place, cell in enumerate(plan.cells)
            if isinstance(cell, kv_cells.MediaCells) and cell.index == index
        ]
        assert places, f"medium {index} has no cells"
        origin = reuse.origin(places[0][0])
        if origin == "memory" and prepared and medium.id in prepared:
            origin = "ahead" if prepared[medium.id] == "encoded" else prepared[medium.id]
        out.append(
            Seen(
                receipt=medium.receipt,
                media_id=medium.id,
                n_tokens=sum(cell.n_tokens for _, cell in places),
                n_pos=sum(cell.n_pos for _, cell in places),
                origin=origin,
            )
        )
    return tuple(out)


def table(plan: Plan, reuse: kv_cells.Reuse) -> Iterator[str]:
    """The chunk table of --debug: kind, n_tokens, n_pos, media ID, where it comes from."""
    place = 0
    while place < len(plan.cells):
        cell = plan.cells[place]
        if isinstance(cell, kv_cells.MediaCells):
            yield f"media {cell.n_tokens:6} tokens {cell.n_pos:6} pos  {cell.media_id[:12]}  {reuse.origin(place)}"
            place += 1
            continue
        end = place
        while end < len(plan.cells) and isinstance(plan.cells[end], int):
            end += 1
        cached = max(0, min(end, reuse.n_cells) - place)
        yield f"text  {end - place:6} tokens {end - place:6} pos  {cached} of them cached"
        place = end
