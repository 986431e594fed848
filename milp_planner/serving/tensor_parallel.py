"""Over how many GPUs the tensors of an LLM can be split, as the engines split them."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.inputs.catalog.layer_parts import feed_forward_layers
from milp_planner.inputs.catalog.records import Llm
from milp_planner.inputs.catalog.tensor_groups import is_moe
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.serving.weights import quantisation_block


def cannot_split(
    llm: Llm, precision: str, tensor_parallel: int, settings: DeploymentSettings
) -> str:
    """Why no engine starts `llm` split over so many GPUs; '' where one does.

    Query heads divide; KV heads divide, or each is repeated on the same number of GPUs; widths of
    block-quantised tensors keep whole blocks on each GPU. Experts spread whole are not split.
    """
    if settings.expert_parallel and not is_moe(llm):
        return f"expert_parallel: {llm.id} has no experts"
    if settings.stages > (llm.layers or settings.stages):
        return f"{llm.layers} layers do not fill {settings.stages} pipeline stages"
    if tensor_parallel % (settings.units_joined // settings.stages):
        return f"{tensor_parallel} GPUs are not spread evenly over {settings.units_joined} units"
    reasons = (*_heads(llm, tensor_parallel), *_blocks(llm, precision, tensor_parallel, settings))
    return next(iter(reasons), "")


def _heads(llm: Llm, tp: int) -> Iterator[str]:
    if llm.attention_heads and llm.attention_heads % tp:
        yield f"{llm.attention_heads} heads do not divide by {tp} GPUs"
    kv_heads = llm.kv_heads
    compressed = llm.attention.upper().startswith("MLA")
    if kv_heads and not compressed and kv_heads % tp and tp % kv_heads:
        yield f"{kv_heads} KV heads neither divide by {tp} GPUs nor repeat evenly on them"


def _blocks(llm: Llm, precision: str, tp: int, settings: DeploymentSettings) -> Iterator[str]:
    block = quantisation_block(llm, precision)
    if not block or precision in WIDE:
        return
    for name, width in _split_widths(llm, settings):
        if width % tp or (width // tp) % block:
            share = f"{width:,} / {tp} = {width / tp:,.4g}"
            hint = "; expert_parallel: true spreads them whole" if name == EXPERTS else ""
            yield (
                f"the width of {name} per GPU, {share}, is no multiple of "
                f"the quantisation block {block}{hint}"
            )


def _split_widths(llm: Llm, settings: DeploymentSettings) -> Iterator[tuple[str, int]]:
    if is_moe(llm):
        if not settings.expert_parallel:
            yield EXPERTS, llm.moe_ffn_size
        if llm.shared_expert_ffn:
            yield "shared experts", llm.shared_expert_ffn
    if llm.ffn_size and (not is_moe(llm) or feed_forward_layers(llm) > llm.moe_layers):
        yield "feed-forward parts", llm.ffn_size


EXPERTS = "experts"
WIDE = frozenset({"fp32", "bf16", "fp16"})
