"""Holds the row of an LLM against itself: a field left out or mistyped is never an answer.

To add a check, write a generator of (column, message, hint) and list it in `CHECKS`. Rows without
an architecture, such as those of LLMs behind an API, state nothing that could contradict itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from milp_planner.errors import did_you_mean
from milp_planner.inputs.catalog.records import Llm, Sourced
from milp_planner.inputs.catalog.tensor_groups import (
    BILLION,
    GROUPS,
    STORED_BYTES,
    expert_parameters,
    is_moe,
    stored_formats,
)

Said = tuple[str, str, str]
"""Column, message and hint."""

MOST_BELOW_SHAPES = 0.10
"""Names round parameters down: 3.2 B are called 3."""

MOST_ABOVE_SHAPES = 0.25
"""Towers of small multi-modal LLMs have a fifth of the parameters; more is a mistake."""

WIDEST_FFN = 16
"""Feed-forward width ÷ hidden size; the widest published is 8 (Gemma 2 27B)."""

MOST_OFF_IN_GROUPS = 0.01


def llm_faults(llm: Llm) -> Iterator[Said]:
    """Everything in the row that contradicts the rest of it."""
    for check in CHECKS:
        yield from check(llm)


def why_no_shape(llm: Llm, llms: Mapping[str, Llm]) -> str:
    """Why an LLM cannot take its shape from the one that it names, or nothing."""
    shape = llm.same_shape_as or ""
    if shape not in llms:
        return f"{shape!r} is not in the catalog{did_you_mean(shape, {*llms} - {llm.id})}"
    if (further := llms[shape].same_shape_as) is not None:
        return f"{shape!r} takes its own shape from {further!r}; name that"
    return ""


def shaped_as(llm: Llm, other: Llm) -> Llm:
    """An LLM with the fields it takes from the one of its shape."""
    own = {*llm.model_fields_set, *Sourced.model_fields, "hf_id"}
    if "native_precision" in own:  # another format's checkpoint stores its groups its own way
        own |= {"stored_as", "quantisation_block"}
    taken = {name: getattr(other, name) for name in Llm.model_fields if name not in own}
    return llm.model_copy(update=taken)


def _formats(llm: Llm) -> Iterator[Said]:
    if llm.native_precision not in STORED_BYTES:
        known = ", ".join(STORED_BYTES)
        yield "native_precision", f"{llm.native_precision!r} is not one of {known}", ""
    try:
        stored_formats(llm.stored_as)
    except KeyError as unknown:
        known = ", ".join(STORED_BYTES)
        yield "stored_as", f"{unknown.args[0]!r} is not one of {known}", ""
    except ValueError as error:
        yield "stored_as", str(error), ""


def _counts(llm: Llm) -> Iterator[Said]:
    """Parts are not more than the whole."""
    total, active = llm.parameters_b, llm.active_parameters_b
    if total is not None and active is not None and active > total:
        text = f"{active:g} active parameters are more than all {total:g}"
        yield "active_parameters_b", text, "both are in billions"
    if llm.experts_per_token > llm.experts:
        yield "experts_per_token", f"{llm.experts_per_token} of {llm.experts} experts", ""
    if llm.layers is None:
        return
    parts = llm.full_attention_layers + llm.windowed_layers + llm.linear_layers
    if parts > llm.layers:
        text = f"{parts} full, windowed and linear layers are more than all {llm.layers}"
        yield "layers", text, ""
    if llm.moe_layers > llm.layers:
        text = f"{llm.moe_layers} layers with experts are more than all {llm.layers}"
        yield "moe_layers", text, ""


def _experts(llm: Llm) -> Iterator[Said]:
    """An LLM with experts states all that tells what they weigh and how many work."""
    if not (llm.experts or llm.moe_layers or llm.experts_per_token or llm.moe_ffn_size):
        return
    needed = ["moe_layers", "experts", "experts_per_token", "moe_ffn_size"]
    if llm.parameters_b is not None:
        needed.append("active_parameters_b")
    for column in needed:
        if not getattr(llm, column):
            yield column, "required for a mixture of experts", ""
    total = (llm.parameters_b or 0.0) * BILLION
    routed = expert_parameters(llm)
    if is_moe(llm) and total and routed > total:
        text = f"the experts have {routed / BILLION:,.1f} B parameters of {total / BILLION:,.1f} B"
        hint = (
            "counted as moe_layers · experts · 3 · hidden_size · moe_ffn_size; where experts have "
            "no gate or a latent width, state experts_b"
        )
        yield "parameters_b", text, hint


def _cache(llm: Llm) -> Iterator[Said]:
    """What the KV cache is made of is stated: heads, ranks or the bytes themselves."""
    is_latent = llm.attention.upper().startswith("MLA")
    if llm.kv_lora_rank and not is_latent:
        text = "a kv_lora_rank is of attention MLA; write that"
        yield "attention", text, ""
        return
    if is_latent:
        for column in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
            if not getattr(llm, column):
                yield column, "required for attention MLA", ""
        return
    if llm.layers is None or llm.attention_heads is None:
        return
    if llm.kv_heads is None and not llm.kv_bytes_per_token_bf16:
        text = "required: without it the KV cache is not known"
        yield "kv_heads", text, f"with one KV head a query head (MHA), write {llm.attention_heads}"
    elif llm.kv_heads and llm.attention_heads % llm.kv_heads:
        text = f"{llm.attention_heads} attention heads do not share {llm.kv_heads} KV heads evenly"
        yield "kv_heads", text, ""


def _windows(llm: Llm) -> Iterator[Said]:
    """Windows and states have their layers, and windowed layers their window."""
    words = llm.attention.lower().split("+")
    stated = llm.windowed_layers or llm.kv_bytes_windowed_per_token_bf16
    if (llm.window_tokens or {"sliding", "chunked"} & {*words}) and not stated:
        yield "windowed_layers", "required where attention has a window", ""
    if stated and not llm.window_tokens:
        yield "window_tokens", "required for windowed layers", ""
    if {"linear", "mamba"} & {*words} and not llm.linear_layers:
        yield "linear_layers", f"required for attention {llm.attention}", ""


def _groups(llm: Llm) -> Iterator[Said]:
    """Stated groups add up to the parameters, or to no more where some are not stated."""
    stated = [getattr(llm, f"{name}_b") for name in GROUPS]
    known = sum(count for count in stated if count is not None)
    if llm.parameters_b is None or not known:
        return
    off = known / llm.parameters_b - 1
    if off > MOST_OFF_IN_GROUPS or (None not in stated and off < -MOST_OFF_IN_GROUPS):
        text = f"the groups add up to {known:,.6g}, parameters_b is {llm.parameters_b:,.6g}"
        yield "parameters_b", text, "columns embedding_b to vision_b"


def _shapes(llm: Llm) -> Iterator[Said]:
    """Parameters are what layers, widths and tables multiply to.

    An LLM whose groups are stated is held against those; one with linear layers or a compressed
    cache has projections that no column gives.
    """
    is_plain = not (llm.linear_layers or llm.kv_lora_rank) and llm.attention_b is None
    needed = (llm.parameters_b, llm.layers, llm.hidden_size, llm.attention_heads, llm.kv_heads)
    has_experts = bool(llm.experts or llm.moe_layers)
    if not is_plain or None in needed or (has_experts and expert_parameters(llm) == 0):
        return
    total = (llm.parameters_b or 0.0) * BILLION - (llm.vision_b or 0.0) * BILLION
    hidden, layers = llm.hidden_size or 0, llm.layers or 0
    known = _tables(llm) + _projections(llm) + expert_parameters(llm)
    dense_layers = layers - llm.moe_layers
    if dense_layers and not llm.ffn_size:
        yield from _implied_width(total - known, dense_layers, hidden)
        return
    known += 3.0 * hidden * (dense_layers * llm.ffn_size + llm.moe_layers * llm.shared_expert_ffn)
    off = total / known - 1
    if off < -MOST_BELOW_SHAPES or (llm.vocabulary and off > MOST_ABOVE_SHAPES):
        more = "more" if off < 0 else "less"
        text = f"the shapes give {known / BILLION:,.4g} B parameters, {abs(1 / (1 + off) - 1):.0%} "
        hint = "look at parameters_b, layers, hidden_size, ffn_size, vocabulary, tied_embeddings"
        yield "parameters_b", f"{text}{more} than {total / BILLION:,.4g} B", hint


def _implied_width(left: float, layers: int, hidden: int) -> Iterator[Said]:
    width = left / (layers * 3.0 * hidden)
    if not 0 <= width <= WIDEST_FFN * hidden:
        text = (
            f"leave {left / BILLION:,.4g} B parameters for the feed-forward part of {layers} "
            f"layers: a width of {width:,.0f} at a hidden size of {hidden:,}"
        )
        hint = "parameters_b, layers and hidden_size contradict each other; state ffn_size"
        yield "parameters_b", text, hint


def _tables(llm: Llm) -> float:
    table = float(llm.vocabulary * (llm.hidden_size or 0))
    return table if llm.tied_embeddings else 2 * table


def _projections(llm: Llm) -> float:
    """Queries, keys, values and outputs: 2 · L · hidden · (heads + KV heads) · head_dim."""
    heads, kv = llm.attention_heads or 1, llm.kv_heads or 0
    hidden = llm.hidden_size or 0
    width = llm.head_dim or hidden // heads
    return 2.0 * (llm.layers or 0) * hidden * (heads + kv) * width


CHECKS: tuple[Callable[[Llm], Iterator[Said]], ...] = (
    _formats,
    _counts,
    _experts,
    _cache,
    _windows,
    _groups,
    _shapes,
)
