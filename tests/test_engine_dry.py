"""What reading pages needs of the sampler and the token loop: DRY, and control tokens as text."""

from __future__ import annotations

from pathlib import Path

from mmcli import engine
from mmcli.engine import Message, Sampling
from mmcli.engine.local.loaded_model import Options
from tests import scripted

GREEDY = Sampling(temperature=0.0, max_tokens=60, loop_guard=False)


def said(weights: Path, sampling: Sampling) -> str:
    with engine.load(weights, None, Options(threads=1)) as running:
        alone = "".join(piece.text for piece in running.generate([Message("user", ("Go",))], sampling))
        many = "".join(piece.text for _, piece in running.generate_many([[Message("user", ("Go",))]], sampling))
    assert alone == many
    return alone


def test_dry_breaks_a_loop_that_greedy_decoding_stays_in(tmp_path: Path) -> None:
    weights = scripted.write(tmp_path, ("So ", "it ", "goes "), ends=False)
    assert "it goes " * 15 in said(weights, GREEDY)
    dry = Sampling(temperature=0.0, max_tokens=60, loop_guard=False, dry_multiplier=2.0)
    assert "it goes " * 8 not in said(weights, dry)


def test_control_tokens_are_text_only_where_that_is_wanted(tmp_path: Path) -> None:
    weights = scripted.write(tmp_path, ("Hello", "<row>", "world", "<end>"), control=("<row>", "<end>"))
    assert said(weights, GREEDY) == "Helloworld"
    special = Sampling(temperature=0.0, max_tokens=60, special=True)
    assert said(weights, special) == "Hello<row>world<end>"
