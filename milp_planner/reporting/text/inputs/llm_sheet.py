"""What `catalog show` works out of an LLM: weights by group, cache, tensor parallels, origins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milp_planner.inputs.catalog.records import Catalog, Llm
from milp_planner.inputs.catalog.tensor_groups import BILLION, STORED_BYTES, is_moe
from milp_planner.serving.memory import (
    is_mla,
    kv_bytes_per_token,
    kv_bytes_windowed_per_token,
    linear_state_bytes,
)
from milp_planner.serving.weights import WEIGHT_BYTES, quantisation_block, weight_groups
from milp_planner.units import BYTES_PER_GIB

TENSOR_PARALLELS = (1, 2, 4, 8, 16)
KIB = 1024
MIB = 1024 * KIB


def llm_sheet(catalog: Catalog, llm: Llm) -> dict[str, Any]:
    """Sections for an LLM whose architecture is known; none of the weights for the others."""
    origins = {"where_facts_come_from": [*_origins(catalog, llm)]}
    if llm.parameters_b is None or llm.layers is None:
        return origins
    return {
        "weights_by_group": [*_weights(llm)],
        "cache_of_a_sequence": _cache(llm),
        "tensor_parallel": [*_tensor_parallels(llm)],
        **origins,
    }


def _weights(llm: Llm) -> Iterator[dict[str, Any]]:
    """One record per group as loaded in the published format, and their sum."""
    precision = llm.native_precision if llm.native_precision in WEIGHT_BYTES else "bf16"
    groups = weight_groups(llm, precision)
    for group in groups:
        yield {
            "group": group.name,
            "parameters_b": round(group.parameters / BILLION, 3),
            "format": group.format,
            "gib": round(group.bytes / BYTES_PER_GIB, 2),
        }
    yield {
        "group": "all",
        "parameters_b": round(sum(g.parameters for g in groups) / BILLION, 3),
        "format": precision,
        "gib": round(sum(g.bytes for g in groups) / BYTES_PER_GIB, 2),
    }


def _cache(llm: Llm) -> dict[str, Any]:
    return {
        "kv_kib_per_token_bf16": round(kv_bytes_per_token(llm) / KIB, 2),
        "windowed_kib_per_token_bf16": round(kv_bytes_windowed_per_token(llm) / KIB, 2) or None,
        "window_tokens": llm.window_tokens or None,
        "state_mib": round(linear_state_bytes(llm) / MIB, 1) or None,
    }


def _tensor_parallels(llm: Llm) -> Iterator[dict[str, Any]]:
    """Which numbers of GPUs the heads and the blocks of the weights can be split over."""
    for gpus in TENSOR_PARALLELS:
        yield {"gpus": gpus, "allowed": _why_not(llm, gpus) or "yes"}


def _why_not(llm: Llm, gpus: int) -> str:
    heads, kv = llm.attention_heads or 0, llm.kv_heads or 0
    if heads % gpus:
        return f"no: {heads} attention heads"
    if kv and not is_mla(llm) and kv % gpus and gpus % kv:
        return f"no: {kv} KV heads"
    formats = ("fp8", llm.native_precision)
    for precision in dict.fromkeys(name for name in formats if name in STORED_BYTES):
        block, width = quantisation_block(llm, precision), _narrowest(llm)
        if block and width and (width % gpus or (width // gpus) % block):
            part = f"{width:,} / {gpus} is no multiple of {block}"
            split = "; needs expert_parallel" if is_moe(llm) else ""
            return f"not in {precision}: {part}{split}"
    return ""


def _narrowest(llm: Llm) -> int:
    return llm.moe_ffn_size if is_moe(llm) else llm.ffn_size


def _origins(catalog: Catalog, llm: Llm) -> Iterator[dict[str, Any]]:
    """Each kind of fact with its source and day."""
    shape = catalog.llms.get(llm.same_shape_as or "")
    if shape:
        yield _origin(f"architecture, as {shape.id}", shape)
        yield _origin("name and context", llm)
    else:
        yield _origin("context" if llm.layers is None else "architecture", llm)
    repositories = {
        row.source.split("@")[0]: row for row in catalog.measurements_by_llm.get(llm.id, ())
    }
    for repository, row in sorted(repositories.items()):
        yield {"fact": "measurements", "source": repository, "as_of": row.as_of.isoformat()}


def _origin(fact: str, record: Llm) -> dict[str, Any]:
    return {"fact": fact, "source": record.source, "as_of": record.as_of.isoformat()}
