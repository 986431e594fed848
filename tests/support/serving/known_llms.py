"""LLMs whose facts tests need: two Llamas, a DeepSeek, and a toy that is worked in the head."""

from __future__ import annotations

from datetime import date
from typing import Any

from milp_planner.inputs.catalog.records import Llm

SOURCE = {"source": "made for tests", "as_of": date(2026, 1, 1)}

LLAMA_70B = Llm(
    id="llama-70b",
    parameters_b=70.552,
    layers=80,
    hidden_size=8192,
    attention_heads=64,
    kv_heads=8,
    head_dim=128,
    attention="GQA",
    vocabulary=128_256,
    context_tokens=131_072,
    **SOURCE,
)
PLAIN_70B = LLAMA_70B.model_copy(update={"vocabulary": 0, "context_tokens": None})
"""Without a vocabulary, all of its weights take the bytes of their format."""

LLAMA_8B = Llm(
    id="llama-8b",
    parameters_b=8.0,
    layers=32,
    hidden_size=4096,
    attention_heads=32,
    kv_heads=8,
    head_dim=128,
    attention="GQA",
    vocabulary=128_000,
    **SOURCE,
)
DEEPSEEK = Llm(
    id="deepseek",
    parameters_b=671.025,
    active_parameters_b=37.551,
    layers=61,
    hidden_size=7168,
    attention_heads=128,
    attention="MLA",
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    moe_layers=58,
    experts=256,
    experts_per_token=8,
    moe_ffn_size=2048,
    vocabulary=129_280,
    native_precision="fp8",
    **SOURCE,
)


def toy(**fields: Any) -> Llm:
    """9 B parameters; a token of its KV cache takes 10,000 bytes in bf16."""
    given: dict[str, Any] = {
        "id": "toy",
        "parameters_b": 9.0,
        "layers": 10,
        "hidden_size": 1000,
        "attention_heads": 8,
        "kv_heads": 2,
        "head_dim": 125,
        "attention": "GQA",
    }
    return Llm(**{**given, **SOURCE, **fields})
