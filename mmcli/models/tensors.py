"""Checks which tensors a projector's file holds against what llama.cpp needs, by projector type.

llama.cpp takes the tensors it knows by name. One that is called otherwise is left out without a word, and the model
answers fluently about a picture it saw through half an encoder; one that is missing crashes it when the first picture
comes. So the names are compared here before. Knows names and types; knows no shapes and no llama.cpp.

The data are those of llama.cpp's clip.cpp (load_tensors, and the graphs in tools/mtmd/models). A name stands without
its ending: `:W` has a weight, `:B` a bias, `:WB` both; a small letter may be missing. `!` is a name as it is, `?` one
that may be missing. `#` is any number, and `P` the encoder, `v` for pictures and `a` for sounds.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from mmcli.errors import ModelError
from mmcli.models.gguf import Header

READ_IN = "0.3.36"  # the llama-cpp-python whose llama.cpp was read: a later one may know more names

COMMON = (
    "v.class_embd? P.pre_ln:wb P.post_ln:wb v.patch_embd:wb v.patch_embd.weight.1? v.norm_embd:wb "
    "P.position_embd:w P.blk.#.attn_k:wb P.blk.#.attn_q:wb P.blk.#.attn_v:wb "
    "P.blk.#.attn_out:Wb P.blk.#.attn_qkv:wb P.blk.#.attn_k_norm:w P.blk.#.attn_q_norm:w "
    "P.blk.#.ln1:wb P.blk.#.ln2:wb P.blk.#.ls1:w P.blk.#.ls2:w P.blk.#.out_scale:w "
    "P.blk.#.attn_post_norm:w P.blk.#.ffn_post_norm:w P.blk.#.ffn_gate_inp:w "
    "P.blk.#.ffn_gate_exps:w P.blk.#.ffn_up_exps:w P.blk.#.ffn_down_exps:w P.blk.#.exp_probs_b:w "
    "P.blk.#.ffn_up:wb P.blk.#.ffn_gate:wb P.blk.#.ffn_down:wb P.blk.#.attn_sinks? "
    "v.deepstack.#.norm:wb v.deepstack.#.fc1:wb v.deepstack.#.fc2:wb"
)
TYPES = {
    "mlp": "mm.0:wb mm.1:wb mm.2:wb mm.3:wb mm.4:wb v.image_newline?",
    "ldp": (
        "mm.model.mlp.1:WB mm.model.mlp.3:WB mm.model.mb_block.1.block.0.0:W mm.model.mb_block.1.block.0.1:WB "
        "mm.model.mb_block.1.block.1.fc1:WB mm.model.mb_block.1.block.1.fc2:WB "
        "mm.model.mb_block.1.block.2.0:W mm.model.mb_block.1.block.2.1:WB mm.model.mb_block.2.block.0.0:W "
        "mm.model.mb_block.2.block.0.1:WB mm.model.mb_block.2.block.1.fc1:WB "
        "mm.model.mb_block.2.block.1.fc2:WB mm.model.mb_block.2.block.2.0:W mm.model.mb_block.2.block.2.1:WB"
    ),
    "ldpv2": "mm.model.mlp.0:WB mm.model.mlp.2:WB mm.model.peg.0:WB",
    "resampler": (
        "resampler.pos_embed_k! resampler.query! resampler.proj:W resampler.kv:W resampler.attn.q:WB "
        "resampler.attn.k:WB resampler.attn.v:WB resampler.attn.out:WB resampler.ln_q:WB resampler.ln_kv:WB "
        "resampler.ln_post:WB"
    ),
    "minicpmv4_6": (
        "v.vit_merger.ln1:wb v.vit_merger.attn_q:wb v.vit_merger.attn_k:wb v.vit_merger.attn_v:wb "
        "v.vit_merger.attn_out:wb v.vit_merger.ds_ln:wb v.vit_merger.ds_ffn_up:wb v.vit_merger.ds_ffn_down:wb "
        "mm.input_norm:Wb mm.up:Wb mm.down:Wb"
    ),
    "adapter": (
        "adapter.conv:WB adapter.linear.linear:W adapter.linear.norm1:WB adapter.linear.dense_h_to_4h:W "
        "adapter.linear.gate:W adapter.linear.dense_4h_to_h:W adapter.boi! adapter.eoi!"
    ),
    "qwen2vl_merger qwen2.5vl_merger exaone4_5 qwen3vl_merger phi4": "mm.0:WB mm.2:WB",
    "ling3vl": "mm.input_norm:WB mm.0:WB mm.2:WB",
    "mimovl": "mm.0:Wb mm.2:Wb",
    "minimax_m3": "mm.1:WB mm.2:WB mm.merger.fc1:WB mm.merger.fc2:WB",
    "muse-glimmer": "mm.0:W mm.1:W mm.2:W",
    "step3vl": "mm.0:Wb mm.1:Wb mm.model.fc:W",
    "youtuvl": "mm.input_norm:W mm.0:WB mm.2:WB",
    "yasa2": (
        "v.patch_ln:wb v.backbone_ln:wb v.vision_pos_embed? mm.0:Wb mm.2:Wb v.stage.#.down.ln:wb "
        "v.stage.#.down.conv:wb v.stage.#.blk.#.dw:wb v.stage.#.blk.#.ln:wb v.stage.#.blk.#.pw1:wb "
        "v.stage.#.blk.#.grn:wb v.stage.#.blk.#.pw2:wb"
    ),
    "glm4v glm5v": "mm.model.fc:W mm.up:Wb mm.gate:Wb mm.down:Wb mm.post_norm:Wb mm.patch_merger:WB",
    "gemma3": "mm.input_projection:W mm.soft_emb_norm:W",
    "gemma4v": "mm.input_projection:W v.std_bias? v.std_scale?",
    "gemma4uv": "mm.input_projection:W v.patch_norm.1:WB v.patch_norm.2:WB v.patch_norm.3:WB",
    "gemma3nv": (
        "v.conv_stem.conv:wb v.conv_stem.bn:w v.msfa.ffn.pw_exp.conv:w v.msfa.ffn.pw_exp.bn:w "
        "v.msfa.ffn.pw_proj.conv:w v.msfa.ffn.pw_proj.bn:w v.msfa.norm:w v.blk.#.#.conv_exp:w v.blk.#.#.bn1:w "
        "v.blk.#.#.conv_pwl:w v.blk.#.#.bn2:w v.blk.#.#.dw_start.conv:w v.blk.#.#.pw_exp.conv:w "
        "v.blk.#.#.dw_start.bn:w v.blk.#.#.pw_exp.bn:w v.blk.#.#.dw_mid.conv:w v.blk.#.#.dw_mid.bn:w "
        "v.blk.#.#.pw_proj.conv:w v.blk.#.#.pw_proj.bn:w v.blk.#.#.layer_scale.gamma? "
        "v.blk.#.#.attn.query.proj:w v.blk.#.#.attn.key.proj:w v.blk.#.#.attn.value.proj:w "
        "v.blk.#.#.attn.output.proj:w v.blk.#.#.attn.key.down_conv:w v.blk.#.#.attn.key.norm:w "
        "v.blk.#.#.attn.value.down_conv:w v.blk.#.#.attn.value.norm:w v.blk.#.#.norm:w mm.input_projection:W "
        "mm.soft_emb_norm:W"
    ),
    "idefics3": "mm.model.fc:W",
    "lfm2": "mm.input_norm:wb mm.1:WB mm.2:WB",
    "kimivl paddleocr kimik25": "mm.input_norm:WB mm.1:WB mm.2:WB",
    "deepseek4v": (
        "mm.1:WB mm.2:WB v.image_newline! v.token_embd.img_start! v.token_embd.img_end! v.token_embd.img_pad!"
    ),
    "pixtral": "mm.1:Wb mm.2:Wb v.token_embd.img_break! mm.input_norm:w mm.patch_merger:w",
    "lightonocr": "mm.1:Wb mm.2:Wb mm.input_norm:w mm.patch_merger:w",
    "dots_ocr dots3note_v": "mm.0:WB mm.2:WB mm.input_norm:WB mm.post_norm:W",
    "dots3note_a": (
        "a.conv2d.1:WB a.conv2d.2:WB a.conv2d.3:WB a.conv_out:W mm.a.norm_pre:WB mm.a.mlp.1:WB mm.a.mlp.3:WB"
    ),
    "ultravox": "a.conv1d.1:WB a.conv1d.2:WB mm.a.mlp.1:W mm.a.mlp.2:W mm.a.norm_pre:W mm.a.norm_mid:W",
    "meralion": (
        "a.conv1d.1:WB a.conv1d.2:WB mm.a.mlp.0:WB mm.a.mlp.1:WB mm.a.mlp.2:WB mm.a.mlp.3:WB mm.a.norm_pre:WB"
    ),
    "qwen2a": "a.conv1d.1:WB a.conv1d.2:WB mm.a.fc:WB",
    "qwen3a": "a.conv2d.1:WB a.conv2d.2:WB a.conv2d.3:WB a.conv_out:W mm.a.mlp.1:WB mm.a.mlp.2:WB",
    "mimo_audio": (
        "a.conv1d.1:WB a.conv1d.2:WB a.downsample.conv:W a.downsample.norm:WB a.rvq.codebook:w "
        "mm.a.code_embd:w mm.a.local_blk.#.attn_q:WB mm.a.local_blk.#.attn_k:WB mm.a.local_blk.#.attn_v:WB "
        "mm.a.local_blk.#.attn_out:W mm.a.local_blk.#.ffn_gate:W mm.a.local_blk.#.ffn_up:W "
        "mm.a.local_blk.#.ffn_down:W mm.a.local_blk.#.ln1:W mm.a.local_blk.#.ln2:W mm.a.local_norm:W "
        "mm.a.mlp.1:W mm.a.mlp.2:W"
    ),
    "voxtral": "a.conv1d.1:WB a.conv1d.2:WB mm.a.mlp.1:W mm.a.mlp.2:W",
    "musicflamingo": "a.conv1d.1:WB a.conv1d.2:WB mm.a.mlp.1:WB mm.a.mlp.2:WB",
    "internvl": "mm.model.mlp.0:WB mm.model.mlp.1:WB mm.model.mlp.3:WB",
    "nemotron_v2_vl": "mm.model.mlp.0:W mm.model.mlp.1:W mm.model.mlp.3:W",
    "glma": "a.conv1d.1:WB a.conv1d.2:WB mm.a.mlp.1:WB mm.a.mlp.2:WB mm.a.norm_pre:WB v.boi! v.eoi!",
    "llama4": "mm.model.fc:W mm.model.mlp.1:W mm.model.mlp.2:W",
    "cogvlm": "mm.model.fc:W mm.post_fc_norm:WB mm.up:W mm.gate:W mm.down:W v.boi! v.eoi!",
    "hunyuanvl": (
        "mm.0:WB mm.2:WB mm.model.fc:WB mm.pre_norm:W mm.post_norm:W mm.image_begin! mm.image_end! "
        "v.image_newline! v.view_seperator?"
    ),
    "janus_pro": "mm.0:WB mm.1:WB",
    "deepseekocr deepseekocr2": (
        "v.sam.pos_embd:W v.sam.patch_embd:WB v.sam.blk.#.attn.qkv:WB v.sam.blk.#.attn.out:WB "
        "v.sam.blk.#.pre_ln:WB v.sam.blk.#.post_ln:WB v.sam.blk.#.attn.pos_h:W v.sam.blk.#.attn.pos_w:W "
        "v.sam.blk.#.mlp.lin1:WB v.sam.blk.#.mlp.lin2:WB v.sam.neck.0:W v.sam.neck.1:WB v.sam.neck.2:W "
        "v.sam.neck.3:WB v.sam.net_2:W v.sam.net_3:W v.image_newline? v.view_seperator! mm.model.fc:WB "
        "v.resample_query_768:w v.resample_query_1024:w"
    ),
    "gemma4a": (
        "a.conv1d.#:Wb a.conv1d.#.norm:w a.input_projection:Wb a.pre_encode.out:wb mm.a.soft_emb_norm:w "
        "mm.a.input_projection:w a.blk.#.ffn_norm:W a.blk.#.attn_pre_norm:w a.blk.#.per_dim_scale:w "
        "a.blk.#.per_dim_k_scale:w a.blk.#.attn_k_rel:w a.blk.#.conv_norm:wb a.blk.#.conv_pw1:Wb "
        "a.blk.#.conv_dw:Wb a.blk.#.norm_conv:wb a.blk.#.conv_pw2:Wb a.blk.#.ffn_norm_1:W a.blk.#.ffn_up_1:Wb "
        "a.blk.#.ffn_down_1:Wb a.blk.#.ffn_post_norm_1:w"
    ),
    "gemma4ua": "mm.a.input_projection:W",
    "lfm2a": (
        "a.conv1d.#:WB a.pre_encode.out:WB mm.a.mlp.0:WB mm.a.mlp.1:WB mm.a.mlp.3:WB a.blk.#.ffn_norm:WB "
        "a.blk.#.ffn_norm_1:WB a.blk.#.ffn_up_1:WB a.blk.#.ffn_down_1:WB a.blk.#.pos_bias_u! "
        "a.blk.#.pos_bias_v! a.blk.#.norm_conv:WB a.blk.#.linear_pos:W a.blk.#.conv_norm:WB "
        "a.blk.#.conv_dw:WB a.blk.#.conv_pw1:WB a.blk.#.conv_pw2:WB"
    ),
    "parakeet": (
        "a.mel_filters? a.window? a.conv1d.#:WB a.pre_encode.out:WB mm.a.norm_pre:w mm.a.mlp.1:w mm.a.mlp.2:w "
        "a.blk.#.linear_pos:W a.blk.#.pos_bias_u! a.blk.#.pos_bias_v! a.blk.#.conv_pw1:Wb a.blk.#.conv_dw:Wb "
        "a.blk.#.conv_norm:WB a.blk.#.conv_norm_mean! a.blk.#.conv_norm_var! a.blk.#.conv_pw2:Wb "
        "a.blk.#.ffn_norm:WB a.blk.#.ffn_norm_1:WB a.blk.#.ffn_up_1:Wb a.blk.#.ffn_down_1:Wb "
        "a.blk.#.norm_conv:WB"
    ),
    "granite_speech": (
        "a.input_projection:WB a.enc_ctc_out:WB a.enc_ctc_out_mid:WB a.blk.#.attn_rel_pos_emb! "
        "a.blk.#.ffn_norm:WB a.blk.#.ffn_norm_1:WB a.blk.#.ffn_up_1:WB a.blk.#.ffn_down_1:WB "
        "a.blk.#.norm_conv:WB a.blk.#.conv_norm:WB a.blk.#.conv_dw:W a.blk.#.conv_pw1:WB a.blk.#.conv_pw2:WB "
        "a.proj_query! a.proj_norm:WB a.proj_linear:WB a.proj_blk.#.self_attn_q:WB "
        "a.proj_blk.#.self_attn_k:WB a.proj_blk.#.self_attn_v:WB a.proj_blk.#.self_attn_out:WB "
        "a.proj_blk.#.self_attn_norm:WB a.proj_blk.#.cross_attn_q:WB a.proj_blk.#.cross_attn_k:WB "
        "a.proj_blk.#.cross_attn_v:WB a.proj_blk.#.cross_attn_out:WB a.proj_blk.#.cross_attn_norm:WB "
        "a.proj_blk.#.ffn_up:WB a.proj_blk.#.ffn_down:WB a.proj_blk.#.ffn_norm:WB"
    ),
    "granite4_vision": (
        "v.image_newline! v.proj_blk.#.img_pos! v.proj_blk.#.query! v.proj_blk.#.linear:WB "
        "v.proj_blk.#.norm:WB v.proj_blk.#.post_norm:WB v.proj_blk.#.self_attn_q:WB "
        "v.proj_blk.#.self_attn_k:WB v.proj_blk.#.self_attn_v:WB v.proj_blk.#.self_attn_out:WB "
        "v.proj_blk.#.self_attn_norm:WB v.proj_blk.#.cross_attn_q:WB v.proj_blk.#.cross_attn_k:WB "
        "v.proj_blk.#.cross_attn_v:WB v.proj_blk.#.cross_attn_out:WB v.proj_blk.#.cross_attn_norm:WB "
        "v.proj_blk.#.ffn_up:WB v.proj_blk.#.ffn_down:WB v.proj_blk.#.ffn_norm:WB"
    ),
}
# What the graphs take without asking whether it is there.
NEEDS_NO_PATCH = frozenset(("deepseekocr", "deepseekocr2", "gemma3nv"))
NEEDS_TWO_PATCHES = frozenset(
    ("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "exaone4_5", "glm4v", "glm5v", "mimovl", "minimax_m3")
)
NEEDS_POSITIONS = frozenset(
    "mlp ldp ldpv2 adapter resampler gemma3 idefics3 lfm2 janus_pro phi4 internvl nemotron_v2_vl llama4 cogvlm kimivl"
    " kimik25 paddleocr ling3vl qwen3vl_merger step3vl muse-glimmer granite4_vision gemma4v gemma4uv deepseekocr"
    " ultravox voxtral qwen2a glma meralion musicflamingo qwen3a lfm2a".split()
)
NO_LAYERS = frozenset(("gemma3nv", "gemma4uv", "gemma4ua", "yasa2"))
BOTH = {"qwen2.5o": {"vision": "qwen2.5vl_merger", "audio": "qwen2a"}}  # one name for two encoders
# What converters write and llama.cpp has no use for.
UNUSED = (
    r"t\..*|.*(visual|text)_projection.*|.*logit_scale.*|.*position_ids|v\.head\..*|(model|mm)\.image_newline"
    r"|resampler\.pos_emb\w*|(mm|mm\.a)\.(embedding|hard_emb_norm)\.weight|[va]\.blk\.\d+\.(attn_out_norm|layer_pre_norm)\..*"
    r"|a\.(position_embd_norm|embd_to_logits)\..*|a\.blk\.\d+\.ffn_(scale|scale_1|gate_1)\..*"
    r"|.*\.(input|output)_(max|min)"  # of quantized layers (Gemma 4)
)
NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


LAYER = "attn_out attn_q attn_k attn_v attn_qkv ln1 ln2 ffn_up ffn_down ffn_gate".split()  # alike in all layers


class Names(NamedTuple):
    """Names of tensors, with `#` for a number."""

    needed: frozenset[str]
    known: frozenset[str]


def check(projector: Header) -> None:
    """ModelError where a projector lacks a tensor that its type needs, or has one whose name llama.cpp does not know.

    Of a type that is not in the table nothing is said.
    """
    kinds = _kinds(projector)
    if not kinds or not all(kind in _types() for kind in kinds.values()):
        return
    names = frozenset(projector.tensor_names)
    for sense, kind in kinds.items():
        if missing := _missing(names, "v" if sense == "vision" else "a", kind):
            raise ModelError(
                f"`{projector.path}` lacks the tensor `{missing}`, which a projector of the type `{kind}` needs",
                hint="llama.cpp would see or hear wrong without it: download the file again, or use another conversion",
            )
    own = frozenset().union(*(_names(each, encoder).known for each in ("", *kinds.values()) for encoder in ("v", "a")))
    # Those of other types are let pass: some converters write more than their own type needs.
    strange = [name for name in projector.tensor_names if not _is_in(name, own) and not _is_known(name)]
    if strange and _is_as_read():
        more = f", and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise ModelError(
            f"`{projector.path}` has a tensor that llama.cpp does not know: `{strange[0]}`{more}",
            hint="llama.cpp would see or hear wrong without it: download the file again, or use another conversion",
        )


def _kinds(projector: Header) -> dict[str, str]:
    """The projector's type for each of its senses, as clip.cpp finds it; none of a projector that speaks."""
    if projector.speaks:
        return {}
    kinds = {}
    for sense in ("vision", "audio"):
        if projector.metadata.get(f"clip.has_{sense}_encoder"):
            kind = projector.text(f"clip.{sense}.projector_type") or projector.text("clip.projector_type")
            kinds[sense] = BOTH.get(kind, {}).get(sense, kind)
    return kinds


def _missing(names: frozenset[str], encoder: str, kind: str) -> str:
    """The first tensor that a projector of this type needs and does not have, or an empty string."""
    table = _names(kind, encoder)
    needed = sorted(table.needed)
    if encoder == "v" and kind not in NEEDS_NO_PATCH:
        needed.append("v.patch_embd.weight")
    if kind in NEEDS_TWO_PATCHES:
        needed.append("v.patch_embd.weight.1")
    if kind in NEEDS_POSITIONS:
        needed.append(f"{encoder}.position_embd.weight")
    for name in needed:
        for each in _numbered(name, names):
            if each not in names:
                return each
    if kind not in NO_LAYERS and (missing := _missing_in_layers(names, encoder)):
        return missing
    known = table.known | _names("", encoder).known
    for name in sorted(names):
        weight = f"{name.removesuffix('.bias')}.weight"
        if name.endswith(".bias") and weight not in names and (weight in known or NUMBER.sub("#", weight) in known):
            return weight
    return ""


def _missing_in_layers(names: frozenset[str], encoder: str) -> str:
    """The first tensor that a transformer's layer needs, or that its other layers have, and that it has not."""
    begin = f"{encoder}.blk."
    layers = sorted({int(name.split(".")[2]) for name in names if re.match(rf"{begin}\d+\.", name)})
    has_experts = any(".ffn_up_exps." in name for name in names)
    for layer in layers:
        has_qkv = f"{begin}{layer}.attn_qkv.weight" in names
        parts = ["attn_out", *([] if has_qkv else ["attn_q", "attn_k", "attn_v"])]
        for part in (*parts, *([] if has_experts else ["ffn_up", "ffn_down"])):
            if f"{begin}{layer}.{part}.weight" not in names:
                return f"{begin}{layer}.{part}.weight"
    for part in LAYER:
        for ending in ("weight", "bias"):
            lacking = [layer for layer in layers if f"{begin}{layer}.{part}.{ending}" not in names]
            if 0 < len(lacking) < len(layers) and not (has_experts and part.startswith("ffn")):
                return f"{begin}{lacking[0]}.{part}.{ending}"
    return ""


def _numbered(name: str, names: frozenset[str]) -> list[str]:
    """The names that `name` stands for: with `#`, one for each number that is there at this place."""
    if "#" not in name:
        return [name]
    begin, _, rest = name.partition("#")
    if "#" in rest:
        return []
    found = {match[1] for each in names if (match := re.match(rf"{re.escape(begin)}(\d+)(?=\.|$)", each))}
    return [f"{begin}{number}{rest}" for number in sorted(found)]


def _is_in(name: str, names: frozenset[str]) -> bool:
    return name in names or NUMBER.sub("#", name) in names


def _is_known(name: str) -> bool:
    return _is_in(name, _every()) or re.fullmatch(UNUSED, name) is not None


@functools.cache
def _types() -> dict[str, str]:
    """Each type's own tensors, as they stand above."""
    return {kind: names for kinds, names in TYPES.items() for kind in kinds.split()}


@functools.cache
def _names(kind: str, encoder: str) -> Names:
    """The tensors of a type; of none, those that every type may have."""
    needed, known = set(), set()
    for word in (_types()[kind] if kind else COMMON).split():
        word = f"{encoder}{word[1:]}" if word.startswith("P.") else word
        stem, colon, endings = word.partition(":")
        if not colon:
            stem, is_needed = word[:-1], word.endswith("!")
            known.add(stem)
            needed |= {stem} if is_needed else set()
        for letter in endings:
            name = f"{stem}.{'weight' if letter.lower() == 'w' else 'bias'}"
            known.add(name)
            needed |= {name} if letter.isupper() else set()
    return Names(frozenset(needed) if kind else frozenset(), frozenset(known))


@functools.cache
def _every() -> frozenset[str]:
    """All names that are known, of whatever type."""
    return frozenset().union(*(_names(kind, encoder).known for kind in ("", *_types()) for encoder in ("v", "a")))


def _is_as_read() -> bool:
    """Whether the llama.cpp that is installed is the one that was read here."""
    from importlib import metadata

    try:
        return metadata.version("llama-cpp-python") == READ_IN
    except metadata.PackageNotFoundError:
        return True
