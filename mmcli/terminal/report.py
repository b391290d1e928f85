"""Formats an answer's receipts in words. Prints nothing: output.py does."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from mmcli.sanitize import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmcli.engine.messages import Answer, Seen
    from mmcli.media.types import Receipt

ORIGINS = {
    "encoded": "encoded",
    "ahead": "encoded ahead",
    "memory": "reused from memory",
    "disk": "reused from disk",
    "text": "in the prompt",
}
MOMENT = 0.2  # seconds
MOST_TIMES = 32  # of a film's frames that are named
PHASES = ("load", "tokenize", "restore", "encode", "prefill", "decode", "save")  # in the order they happen


def seen_lines(seen: Sequence[Seen]) -> list[str]:
    """A line for each medium; all moments of a film that stand side by side have one together."""
    lines: list[str] = []
    for film, group in itertools.groupby(seen, _film):
        together = list(group)
        lines += [seen_line(each) for each in together] if film is None else [_film_line(together)]
    return lines


def seen_line(seen: Seen) -> str:
    """`photo.jpg: JPEG 4032×3024 → upright 3024×4032 (rotated 90°), 576 tokens, encoded`"""
    receipt = seen.receipt
    heard = [f"heard as: {receipt.heard_as}, by {receipt.heard_by}"] if receipt.heard_as else []
    facts = [_shape(receipt), *heard, _tokens([seen]), ORIGINS[seen.origin], *receipt.notes]
    return f"{one_line(receipt.source)}: " + ", ".join(one_line(fact) for fact in facts)


def _film(seen: Seen) -> tuple[str, str] | None:
    """Which film a moment belongs to: one source in one part; None for anything else."""
    receipt = seen.receipt
    return (receipt.source, receipt.sha256) if receipt.kind == "video" else None


def _film_line(seen: Sequence[Seen]) -> str:
    """`clip.mp4: mp4 h264 1920×1080 → upright 1080×1920, 0:00-0:42 of 0:42, 16 frames in 8 pairs at 0.7 2.0 …, …`"""
    receipt = seen[0].receipt
    times = [time for each in seen for time in each.receipt.times]
    span = (
        [f"{clock(receipt.span[0])}-{clock(receipt.span[1])} of {clock(receipt.seconds or 0)}"] if receipt.span else []
    )
    shown = " ".join(f"{time:.1f}" for time in times[:MOST_TIMES]) + (" …" if len(times) > MOST_TIMES else "")
    pairs = f" in {len(seen)} pairs" if receipt.pairs is not None else ""
    frames = f"{len(times)} frame{'s' if len(times) != 1 else ''}{pairs} at {shown} s"
    sound = {"transcript": ["sound as transcript"], "subtitles": ["sound as subtitles"], "heard": ["sound heard"]}
    origins = dict.fromkeys(ORIGINS[each.origin] for each in seen)
    facts = [
        _shape(replace(receipt, seconds=None)),
        *span,
        frames,
        *sound.get(receipt.sound or "", ["sound off" if receipt.sound == "off" else "no sound"]),
        _tokens(seen),
        " and ".join(origins),
        *receipt.notes,
    ]
    return f"{one_line(receipt.source)}: " + ", ".join(one_line(fact) for fact in facts)


def _tokens(seen: Sequence[Seen]) -> str:
    n_tokens, n_pos = sum(each.n_tokens for each in seen), sum(each.n_pos for each in seen)
    return f"{n_tokens} tokens" + (f" ({n_pos} positions)" if n_pos != n_tokens else "")


def clock(seconds: float) -> str:
    """`0:42`, `1:02:03`"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _page_shape(receipt: Receipt) -> str:
    """`PDF page 12 of 212 (printed "10"), 595×842 pt → 1088×1536, with its text (3,214 characters)`"""
    facts = [f"{receipt.format} page {receipt.page} of {receipt.pages}"]
    if receipt.label:
        facts[0] += f' (printed "{receipt.label}")'
    if receipt.source_size:
        sent = f" → {_size(receipt.sent_size)}" if receipt.sent_size else ""
        facts.append(f"{_size(receipt.source_size)} pt{sent}")
    hidden = receipt.hidden_lines or 0
    left_out = f"{hidden} line{'s' * (hidden > 1)} of hidden text left out"
    if receipt.text in ("used", "read"):
        of_it = "its text" if receipt.text == "used" else "the text read off it"
        alone = f"{of_it} alone" if receipt.sent_size is None else f"with {of_it}"
        facts.append(f"{alone} ({receipt.characters or 0:,} characters{f'; {left_out}' if hidden else ''})")
    else:
        facts.append({"ignored": "without its text", "hidden": left_out}.get(receipt.text or "", "no text in the file"))
    return ", ".join(facts)


def _shape(receipt: Receipt) -> str:
    if receipt.page is not None:
        return _page_shape(receipt)
    words = [receipt.format]
    if receipt.source_size:
        words.append(_size(receipt.source_size))
    if receipt.sent_size and receipt.sent_size != receipt.source_size:
        upright = "upright " if receipt.rotation != "none" else ""
        words.append(f"→ {upright}{_size(receipt.sent_size)}")
    if receipt.rotation != "none":
        words.append(f"(rotated {receipt.rotation}°)" if receipt.rotation.isdigit() else f"({receipt.rotation})")
    if receipt.seconds is not None:
        words.append(f"{receipt.seconds:.1f} s")
    return " ".join(words)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def answer_line(answer: Answer) -> str:
    """`starter on cpu: context 812/4096, finished: stop, encode 1.20 s, prefill 0.51 s (1200 tokens/s), …`"""
    usage = answer.usage
    fresh = usage.prompt_tokens - usage.reused_tokens
    n_tokens = {"prefill": fresh, "decode": usage.completion_tokens}
    times = [_time(phase, usage.seconds[phase], n_tokens.get(phase, 0)) for phase in PHASES if phase in usage.seconds]
    reused = [f"{usage.reused_tokens} of {usage.prompt_tokens} prompt tokens reused"] if usage.reused_tokens else []
    facts = [
        f"context {answer.n_past}/{answer.n_ctx}",
        f"finished: {answer.finish_reason}",
        f"seed {answer.seed}",
        *reused,
        *times,
    ]
    return f"{one_line(answer.model)} on {one_line(answer.device)}: " + ", ".join(facts)


def _time(phase: str, seconds: float, n_tokens: int) -> str:
    rate = f" ({n_tokens / seconds:.0f} tokens/s)" if n_tokens > 0 and seconds > 0 else ""
    return f"{phase} {seconds:.2f} s{rate}"


def finish_notice(answer: Answer) -> str | None:
    """What a user must know about how the answer ended, if anything."""
    if not answer.text.strip() and answer.finish_reason in ("stop", "length"):
        return f"no answer: {_why_empty(answer)}"
    if answer.finish_reason == "length":
        if answer.n_past >= answer.n_ctx:
            return f"the answer is cut off: the context of {answer.n_ctx} tokens is full"
        n_tokens = answer.usage.completion_tokens
        return f"the answer is cut off after {n_tokens} tokens; a larger --max-tokens lets it continue"
    if answer.finish_reason == "loop":
        return "the answer was stopped because it kept repeating itself"
    if answer.finish_reason == "interrupted":
        return "interrupted; the answer is not complete"
    return None


def _why_empty(answer: Answer) -> str:
    """Why an answer holds no words."""
    n_tokens = answer.usage.completion_tokens
    is_full = answer.n_past >= answer.n_ctx
    if answer.reasoning.strip():
        if answer.finish_reason == "stop":
            return f"the model ended after {n_tokens} tokens that were all reasoning (-v shows them)"
        if is_full:
            return f"the context of {answer.n_ctx} tokens is full, and all of it was reasoning"
        return f"all {n_tokens} tokens were reasoning; a larger --max-tokens lets it continue to the answer"
    if answer.stopped_by:
        return f"the stop text `{one_line(answer.stopped_by)}` came first"
    if answer.finish_reason == "length":
        end = f"the context of {answer.n_ctx} tokens is full" if is_full else "a larger --max-tokens lets it continue"
        return f"in {n_tokens} tokens the model said nothing that can be shown; {end}"
    if n_tokens:
        return f"the model said nothing that can be shown, in {n_tokens} tokens, and ended"
    return "the model ended it before the first word"


def media_notices(answer: Answer) -> list[str]:
    """One sentence for each medium of which the model saw something else than the file holds."""
    found: dict[str, None] = {}
    for film, group in itertools.groupby(answer.seen, _film):
        seen = list(group)
        notes = [_moments(seen)] if film is not None and not _is_moment(seen[0].receipt) else []
        for each in seen if film is None else seen[:1]:
            told = "; ".join(one_line(note) for note in (*notes, *each.receipt.notes))
            if told:
                found[f"{one_line(each.receipt.source)}: {told}"] = None
    return list(found)


def _is_moment(receipt: Receipt) -> bool:
    """Whether a single moment of a film was asked for."""
    return receipt.span is not None and receipt.span[1] - receipt.span[0] < MOMENT


def _moments(seen: Sequence[Seen]) -> str:
    """How much of a film was seen, and how more of it is."""
    receipt = seen[0].receipt
    begin, end = receipt.span or (0.0, receipt.seconds or 0.0)
    which = f"{len(seen)} moments" if len(seen) != 1 else "1 moment"
    middle = round((begin + end) / 2)
    return f"{which} of {clock(end - begin)} seen (--frames N for more, `#t={middle},{middle}.1` for a single one)"
