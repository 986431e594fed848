"""Memory that LoRA adapters take beside the weights."""

from __future__ import annotations

from milp_planner.inputs.catalog.layer_parts import feed_forward_layers, mixing_layers
from milp_planner.inputs.catalog.records import Llm
from milp_planner.inputs.catalog.tensor_groups import is_moe
from milp_planner.inputs.problem.deployment import Lora
from milp_planner.serving.weights import BF16_BYTES


def lora_bytes(llm: Llm, lora: Lora | None) -> float:
    """Bytes of all adapters held at once, over all GPUs; 0 without any.

    Each adapted matrix of a × b holds two of rank · (a + b) elements in 16 bits (Hu et al., "LoRA",
    2021): those of attention, and of the feed-forward parts where there are no experts.
    """
    if lora is None:
        return 0.0
    hidden = llm.hidden_size or 0
    heads, kv_heads = llm.attention_heads or 0, llm.kv_heads or llm.attention_heads or 0
    width = llm.head_dim or (hidden // heads if heads else 0)
    query, keys = heads * width, kv_heads * width
    attention = 2 * (hidden + query) + 2 * (hidden + keys)
    dense_layers = feed_forward_layers(llm) - (llm.moe_layers if is_moe(llm) else 0)
    elements = mixing_layers(llm) * attention + dense_layers * 3 * (hidden + llm.ffn_size)
    return float(lora.adapters * lora.rank * elements) * BF16_BYTES
