"""Formats an answer's receipts in words. Prints nothing: output.py does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmcli.sanitize import one_line

if TYPE_CHECKING:
    from mmcli.engine.messages import Answer, Seen
    from mmcli.media.types import Receipt

ORIGINS = {
    "encoded": "encoded",
    "ahead": "encoded ahead",
    "memory": "reused from memory",
    "disk": "reused from disk",
    "text": "in the prompt",
}
PHASES = ("load", "tokenize", "restore", "encode", "prefill", "decode", "save")  # in the order they happen


def seen_line(seen: Seen) -> str:
    """`photo.jpg: JPEG 4032×3024 → upright 3024×4032 (rotated 90°), 576 tokens, encoded`"""
    receipt = seen.receipt
    tokens = f"{seen.n_tokens} tokens" + (f" ({seen.n_pos} positions)" if seen.n_pos != seen.n_tokens else "")
    heard = [f"heard as: {receipt.heard_as}, by {receipt.heard_by}"] if receipt.heard_as else []
    facts = [_shape(receipt), *heard, tokens, ORIGINS[seen.origin], *receipt.notes]
    return f"{one_line(receipt.source)}: " + ", ".join(one_line(fact) for fact in facts)


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
    if receipt.text == "used":
        alone = "its text alone" if receipt.sent_size is None else "with its text"
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
    return [
        f"{one_line(seen.receipt.source)}: " + "; ".join(one_line(note) for note in seen.receipt.notes)
        for seen in answer.seen
        if seen.receipt.notes
    ]
