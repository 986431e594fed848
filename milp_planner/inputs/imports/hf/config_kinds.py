"""What kind of value each key of a published config holds; what is of another kind is refused.

Publishers' files hold hundreds of keys. These are the ones that are read by other ways than
`Config.count`, which checks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from milp_planner.errors import Fault, readable_path
from milp_planner.units import found

MOST_COUNT = 10**9
"""No figure of a config is larger; ten million tokens of context are the most that is published."""

MOST_LAYERS = 1_000

Check = Callable[[Any], bool]


def is_count(value: Any) -> bool:
    """A whole number from 0 to a billion."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNT


def _is_positive(value: Any) -> bool:
    return is_count(value) and value > 0


def _is_count_or_none(value: Any) -> bool:
    """Some publishers write -1 or false for what there is none of."""
    return is_count(value) or value in (-1, False)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _listing(each: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(each, value))


def _is_block(value: Any) -> bool:
    """A layer of a network that was searched for: its attention and its feed-forward part."""
    attention, ffn = (value.get(key) if _is_object(value) else None for key in ("attention", "ffn"))
    if not isinstance(attention, dict) or not isinstance(ffn, dict):
        return False
    groups, width = attention.get("n_heads_in_group"), ffn.get("ffn_mult")
    is_known = groups is None or _is_positive(groups)
    return is_known and (width is None or (isinstance(width, int | float) and 0 < width < 1_000))


def _is_group(value: Any) -> bool:
    """A group of `config_groups`: what it is of, and its weights."""
    if not _is_object(value) or not _is_object(value.get("weights") or {}):
        return False
    weights, targets = value.get("weights") or {}, value.get("targets")
    figures = (weights.get("num_bits"), weights.get("group_size"))
    structure = weights.get("block_structure")
    return (
        all(figure is None or _is_count_or_none(figure) for figure in figures)
        and (structure is None or _listing(is_count)(structure))
        and (targets is None or isinstance(targets, list))
    )


KINDS: Mapping[str, tuple[str, Check]] = {
    **dict.fromkeys(
        ("text_config", "llm_config", "language_config", "vision_config", "audio_config"),
        ("an object", _is_object),
    ),
    **dict.fromkeys(
        ("vision_tower_config", "quantization_config", "sparse_attention_config", "quantization"),
        ("an object", _is_object),
    ),
    **dict.fromkeys(
        ("layer_types", "mlp_layer_types", "indexer_types"), ("a list of words", _listing(_is_text))
    ),
    **dict.fromkeys(
        ("layers_block_type", "hybrid_override_pattern"),
        ("a list of words", lambda value: _is_text(value) or _listing(_is_text)(value)),
    ),
    **dict.fromkeys(
        ("compress_ratios", "hybrid_layer_pattern", "mlp_only_layers", "deepstack_visual_indexes"),
        ("a list of whole numbers", _listing(is_count)),
    ),
    **dict.fromkeys(
        ("moe_layer_freq", "merge_kernel_size", "weight_block_size"),
        ("whole numbers", lambda value: _is_positive(value) or _listing(is_count)(value)),
    ),
    **dict.fromkeys(
        (
            *("full_attention_interval", "sliding_window_pattern", "interleave_moe_layer_step"),
            *("decoder_sparse_step", "num_attention_heads", "hidden_size", "spatial_merge_size"),
            *("patch_size", "o_groups"),
        ),
        ("a whole number above 0", _is_positive),
    ),
    **dict.fromkeys(
        (
            *("sliding_window", "head_dim", "attention_head_dim", "v_head_dim", "group_size"),
            *("n_shared_experts", "num_position_embeddings", "position_embedding_size"),
            *("max_position_embeddings", "n_routed_experts", "num_experts", "num_local_experts"),
            *("sparse_num_index_heads", "sparse_index_dim", "q_group_size", "bits", "w_bit"),
        ),
        ("a whole number", _is_count_or_none),
    ),
    "num_hidden_layers": (
        f"a whole number from 1 to {MOST_LAYERS:,}",
        lambda value: _is_positive(value) and value <= MOST_LAYERS,
    ),
    "block_configs": ("a list of layers with attention and ffn", _listing(_is_block)),
    "config_groups": (
        "an object of groups with weights",
        lambda value: _is_object(value) and all(map(_is_group, value.values())),
    ),
    "quantized_layers": (
        "an object of modules",
        lambda value: _is_object(value) and all(v is None or _is_object(v) for v in value.values()),
    ),
    "metadata": ("an object", _is_object),
    "weight_map": ("an object", _is_object),
}
"""Key to what its value is, in words and as a check; null counts as not stated."""


def kind_faults(data: Any, file: str, at: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    """Every key of a document, or of an object within it, whose value is of another kind."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        what, check = KINDS.get(key, ("", None))
        if check is not None and value is not None and not check(value):
            path = readable_path((*at, key))
            yield Fault(file, 0, 0, path, f"is {found(value)}, not {what}")
        elif isinstance(value, list) and len(value) > MOST_LAYERS and check is not None:
            path = readable_path((*at, key))
            yield Fault(file, 0, 0, path, f"has more than {MOST_LAYERS:,} entries")
        else:
            yield from kind_faults(value, file, (*at, key))
