"""The row of `llms.csv` that a checkpoint's config, quantisation and sizes give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from milp_planner.inputs.catalog.tensor_groups import BILLION, GROUPS
from milp_planner.inputs.catalog.writing import slug
from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.feed_forward import Experts
from milp_planner.inputs.imports.hf.formats import (
    Formats,
    formats_of,
    group_formats,
    main_format,
    stored_as,
)
from milp_planner.inputs.imports.hf.layers import (
    CHUNKED,
    LINEAR,
    MAMBA,
    WINDOW,
    Shapes,
    dense_width,
    is_tied,
    mixer_kinds,
    shapes_of,
    window_tokens,
)
from milp_planner.inputs.imports.hf.modules import EXPERTS, VISION
from milp_planner.inputs.imports.hf.safetensors import Sizes
from milp_planner.lazily import dataclass

Row = dict[str, object]
Groups = Mapping[str, Mapping[str, int]]

DIGITS = 6
"""Of billions: thousands of parameters."""


@dataclass(frozen=True)
class Facts:
    """What was read of one LLM."""

    config: Config
    shapes: Shapes
    formats: Formats
    groups: Groups
    """Parameters by group and format."""

    notes: tuple[str, ...]


def facts_of(config: Config, quantisation: Mapping[str, Any] | None, sizes: Sizes | None) -> Facts:
    """Shapes and formats; real sizes stand before those of the config. Raises InputError."""
    shapes, formats = shapes_of(config), formats_of(config, quantisation)
    counted = group_formats(shapes.modules, formats)
    groups: Groups = sizes.groups if sizes else counted
    return Facts(config, shapes, formats, groups, tuple(_unknown(config, formats)))


def _unknown(config: Config, formats: Formats) -> list[str]:
    """What the files do not say, in a line each."""
    notes = list(formats.notes)
    kind = config.model_type
    if kind == "llama4" and not config.towers:
        notes.append("config.json holds no vision_config: the vision tower is not counted")
    if kind in ("step3p7", "step3p5"):
        notes.append("attention gates are not in config.json and not counted")
    if kind == "minimax_m3_vl":
        notes.append("the projector of images is approximate")
    if kind in ("deepseek_v4", "deepseek_ref"):
        notes.append("KV cache of compressed attention at 2 bytes an element, index keys in fp8")
    return notes


def llm_row(facts: Facts, *, id_: str, hf_id: str) -> Row:
    """The row, without source and day."""
    config, shapes = facts.config, facts.shapes
    native = main_format(facts.groups)
    totals = {name: sum(group.values()) for name, group in facts.groups.items()}
    return {
        "id": id_,
        "hf_id": hf_id,
        "parameters_b": _billions(sum(totals.values())),
        "active_parameters_b": _billions(_active(totals, shapes.experts)),
        **_attention(config, shapes),
        **_feed_forward(config, shapes),
        "vocabulary": config.count("vocab_size"),
        "tied_embeddings": "true" if is_tied(config) else "false",
        "context_tokens": config.get("max_position_embeddings", "model_max_length"),
        "native_precision": native,
        **{f"{name}_b": _billions(totals.get(name, 0)) for name in GROUPS},
        "stored_as": stored_as(facts.groups, native),
        "quantisation_block": facts.formats.block or None,
        **_cache(shapes),
    }


def _active(totals: Mapping[str, int], experts: Experts | None) -> float:
    """Parameters that work on a token of text: chosen experts, no tower."""
    share = experts.per_token / experts.number if experts else 0.0
    routed = totals.get(EXPERTS, 0)
    return sum(totals.values()) - totals.get(VISION, 0) - routed * (1 - share)


def _billions(parameters: float) -> float:
    return round(parameters / BILLION, DIGITS)


def _attention(config: Config, shapes: Shapes) -> Row:
    kinds = mixer_kinds(config)
    queries = config.count("num_attention_heads")
    row: Row = {
        "layers": len(kinds),
        "hidden_size": config.count("hidden_size"),
        "attention_heads": queries,
        "attention": _kind(config, kinds),
        "full_attention_layers": kinds.count("full") or None,
        "windowed_layers": (kinds.count(WINDOW) + kinds.count(CHUNKED)) or None,
        "linear_layers": (kinds.count(LINEAR) + kinds.count(MAMBA)) or None,
        "window_tokens": window_tokens(config, kinds) or None,
    }
    if config.get("kv_lora_rank"):
        ranks = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
        return row | {name: config.count(name) for name in ranks}
    width = config.get("head_dim", "attention_head_dim") or config.count("hidden_size") // queries
    return row | {"kv_heads": _kv_heads(config, queries), "head_dim": width}


def _kv_heads(config: Config, queries: int) -> int:
    if blocks := config.get("block_configs"):
        groups = [block["attention"].get("n_heads_in_group") for block in blocks]
        return queries // min(int(group) for group in groups if group)
    return config.count("num_key_value_heads", default=queries)


def _kind(config: Config, kinds: list[str]) -> str:
    if config.get("compress_ratios"):
        return "compressed (CSA/HCA)"
    if config.get("kv_lora_rank"):
        return "MLA+DSA" if config.get("index_head_dim") else "MLA"
    queries = config.count("num_attention_heads")
    parts = ["MHA" if _kv_heads(config, queries) == queries else "GQA"]
    named = ((WINDOW, "sliding"), (CHUNKED, "chunked"), (LINEAR, "linear"), (MAMBA, "mamba"))
    return "+".join([*parts, *(word for kind, word in named if kind in kinds)])


def _feed_forward(config: Config, shapes: Shapes) -> Row:
    experts = shapes.experts
    row: Row = {"ffn_size": dense_width(config, shapes.layers) or None}
    if experts is None:
        return row
    return row | {
        "moe_layers": sum(layer.has_experts for layer in shapes.layers),
        "experts": experts.number,
        "experts_per_token": experts.per_token,
        "moe_ffn_size": experts.width,
        "shared_expert_ffn": experts.shared_width or None,
    }


def _cache(shapes: Shapes) -> Row:
    caches = [layer.cache for layer in shapes.layers]
    return {
        "kv_bytes_per_token_bf16": _whole(sum(c.bytes_per_token for c in caches)),
        "kv_bytes_windowed_per_token_bf16": _whole(sum(c.window_bytes_per_token for c in caches)),
        "linear_state_bytes": _whole(sum(c.state_bytes for c in caches)),
    }


def _whole(number: float) -> float | None:
    return round(number) or None


def id_of(hf_id: str) -> str:
    """`Qwen/Qwen3-32B-FP8` -> `qwen3-32b-fp8`."""
    return slug(hf_id.rsplit("/", 1)[-1])
