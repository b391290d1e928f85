"""Writes a tiny GGUF that says exactly the pieces it is given, whatever is asked of it (at temperature 0).

Its one layer computes nothing, so each token's successor depends on that token alone: the row of the output matrix for
a piece is the embedding of the piece before. What a test sees is then what mmcli made of tokens and templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

from tests import random_llava

UNKNOWN, NORMAL, CONTROL, USER_DEFINED, BYTE = (
    2,
    1,
    3,
    4,
    6,
)  # token types of a GGUF; UNKNOWN and NORMAL are llama.cpp's
WIDTH = 128
# The simplest template: every prompt ends with a colon, which is what the first piece follows.
PLAIN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}A:"


def write(
    folder: Path,
    pieces: Sequence[str],
    *,
    name: str = "scripted",
    template: str | None = PLAIN,
    after: str = ":",
    control: Sequence[str] = (),
    ends: bool = True,
    add_eos: bool = False,
    projector: bool = False,
) -> Path:
    """Write NAME.gguf (and NAME-mmproj.gguf) into `folder`; return the path of the weights.

    `after` is the last token of every prompt. A piece may come once; `<0xE2>` is a raw byte. `control`: tokens that
    are control tokens; a piece may be one. It `ends` with the end token after the last piece; otherwise it says the
    second piece again, and so on without end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, int] = {"<unk>": UNKNOWN, "<s>": CONTROL, "</s>": CONTROL}
    kinds |= {f"<0x{byte:02X}>": BYTE for byte in range(256)}
    kinds |= {chr(code): NORMAL for code in range(33, 127)} | {"▁": NORMAL}
    kinds |= dict.fromkeys(control, CONTROL)
    said = [piece if piece in kinds else piece.replace(" ", "▁") for piece in pieces]
    kinds |= {piece: NORMAL for piece in said if piece not in kinds}
    tokens = {token: number for number, token in enumerate(kinds)}
    chain = [tokens[after], *(tokens[piece] for piece in said)]
    assert len(set(chain)) == len(chain), "a piece may come only once"
    chain.append(tokens["</s>"] if ends else chain[2])

    path = folder / f"{name}.gguf"
    out = gguf.GGUFWriter(path, "llama")
    out.add_name(name)
    out.add_context_length(4096)
    out.add_embedding_length(WIDTH)
    out.add_block_count(1)
    out.add_feed_forward_length(WIDTH)
    out.add_head_count(4)
    out.add_head_count_kv(4)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // 4)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list(list(tokens))
    # The lower a score, the later its token is put together: a piece never, where letters will do.
    out.add_token_scores([-1e6 if kind == NORMAL and len(token) > 1 else -1.0 for token, kind in kinds.items()])
    out.add_token_types(list(kinds.values()))
    out.add_bos_token_id(tokens["<s>"])
    out.add_eos_token_id(tokens["</s>"])
    out.add_unk_token_id(tokens["<unk>"])
    out.add_add_bos_token(True)
    out.add_add_eos_token(add_eos)
    if template is not None:
        out.add_chat_template(template)
    embeddings = np.random.default_rng(0).standard_normal((len(tokens), WIDTH)).astype(np.float32)
    output = np.zeros((len(tokens), WIDTH), np.float32)  # (token, width): what a hidden state is compared with
    for before, token in zip(chain, chain[1:], strict=False):
        output[token] += embeddings[before]
    square, ones = np.zeros((WIDTH, WIDTH), np.float32), np.ones(WIDTH, np.float32)
    out.add_tensor("token_embd.weight", embeddings)
    out.add_tensor("output.weight", output)
    for norm in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        out.add_tensor(f"{norm}.weight", ones)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        out.add_tensor(f"blk.0.{part}.weight", square)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    if projector:
        shape = random_llava.Shape(width=WIDTH)
        random_llava._write_projector(folder / f"{name}-mmproj.gguf", name, shape, 1)
    return path
