"""What an LLM's tensors are: groups of one purpose, their parameters, and the formats they take.

To add a format that tensors can be stored in, add a row to `STORED_BYTES`. How a served format
treats the groups is in `serving/weights.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from milp_planner.inputs.catalog.layer_parts import feed_forward_layers
from milp_planner.inputs.catalog.records import Llm

BILLION = 1e9
SCALE_BYTES = 2.0  # one 16-bit scale for each block of int4 weights

STORED_BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "int8": 1.0,
    "fp8": 1.0,
    "mxfp8": 1.03125,  # 8 bits and one 8-bit scale per 32 values
    "nvfp4": 0.5625,  # 4 bits and one 8-bit scale per 16 values
    "mxfp4": 0.53125,  # 4 bits and one 8-bit scale per 32 values
    "int4": 0.53,  # 4 bits and one 16-bit scale per 128 values, zero points; see `format_bytes`
}
"""Bytes per parameter by format."""

EMBEDDING, UNEMBEDDING, ATTENTION = "embedding", "unembedding", "attention"
DENSE_MLP, EXPERTS, SHARED_EXPERTS = "dense_mlp", "experts", "shared_experts"
ROUTER, NORMS, VISION = "router", "norms", "vision"
GROUPS = {
    EMBEDDING: "input embedding; the output layer too where both are one",
    UNEMBEDDING: "output layer",
    ATTENTION: "attention, linear attention and state-space mixers, with their projections",
    DENSE_MLP: "feed-forward parts of the layers without experts",
    EXPERTS: "routed experts",
    SHARED_EXPERTS: "experts that work on every token",
    ROUTER: "what chooses the experts",
    NORMS: "norms",
    VISION: "towers of other modalities and their projectors",
}
"""Tensor groups, in the order of the columns `embedding_b`, `unembedding_b`, … of `llms.csv`."""

WIDE_GROUPS = frozenset({EMBEDDING, UNEMBEDDING, ROUTER, NORMS, VISION})
"""Kept in 16 bits unless the row says otherwise: small, read row by row, or hurt by rounding."""

_PART = re.compile(r"(?:(\d+(?:\.\d+)?)%)?([a-z][a-z0-9]*)")


def expert_parameters(llm: Llm) -> float:
    """Parameters of all routed experts; by the catalog, else L_moe · E · 3 · hidden · moe_ffn."""
    if not is_moe(llm):
        return 0.0
    if llm.experts_b is not None:
        return llm.experts_b * BILLION
    return float(llm.moe_layers * llm.experts * 3 * (llm.hidden_size or 0) * llm.moe_ffn_size)


def group_parameters(llm: Llm) -> Mapping[str, float]:
    """Parameters by group; where a column is empty, from the shapes, attention as what is left.

        tables  vocabulary · hidden, once when tied    router  L_moe · E · hidden
        experts L_moe · E · 3 · hidden · moe_ffn       shared  L_moe · 3 · hidden · shared_ffn
        dense   (L_ff − L_moe) · 3 · hidden · ffn      norms   none: they are below a thousandth

    They always add up to `parameters_b`. Raises ValueError where that is not known.
    """
    if llm.parameters_b is None:
        raise ValueError(f"{llm.id}: parameters_b is not known")
    left = llm.parameters_b * BILLION
    found: dict[str, float] = {}
    # What is surest first: shapes that do not add up take from the later ones.
    for name in (EXPERTS, EMBEDDING, UNEMBEDDING, VISION, SHARED_EXPERTS, DENSE_MLP, ROUTER, NORMS):
        stated = getattr(llm, f"{name}_b")
        count = _from_shapes(llm, name) if stated is None else stated * BILLION
        found[name] = min(count, left)
        left -= found[name]
    found[ATTENTION] = left
    return {name: found[name] for name in GROUPS}


def stored_formats(text: str) -> dict[str, str]:
    """`attention=bf16 router=fp32` by group; raises ValueError, which says what is wrong."""
    formats = {}
    for part in text.split():
        name, equals, written = part.partition("=")
        if not equals or name not in GROUPS:
            raise ValueError(f"{part!r} is not GROUP=FORMAT with one of {', '.join(GROUPS)}")
        if name in formats:
            raise ValueError(f"{name} is given twice")
        format_bytes(written)
        formats[name] = written
    return formats


def format_bytes(written: str, block: int = 0) -> float:
    """Bytes per parameter of a format, or of a mixture such as `60%fp8+40%bf16`.

    int4 bears one 16-bit scale a block: 0.5 + 2 / block. Raises KeyError for an unknown format and
    ValueError for shares that do not add up.
    """
    if written in STORED_BYTES:
        return _bytes_of(written, block)
    shares = [_PART.fullmatch(part) for part in written.split("+")]
    if not all(share and share[1] and share[2] in STORED_BYTES for share in shares):
        raise KeyError(written)
    mixed = [(float(share[1]) / 100, share[2]) for share in shares if share]
    if abs(sum(share for share, _ in mixed) - 1) > 0.001:
        raise ValueError(f"the shares of {written!r} do not add up to 100%")
    return sum(share * _bytes_of(name, block) for share, name in mixed)


def is_moe(llm: Llm) -> bool:
    """Whether only some experts work on each token."""
    return llm.moe_layers > 0 and llm.experts > 0


def _bytes_of(name: str, block: int) -> float:
    if name == "int4" and block:
        return 0.5 + SCALE_BYTES / block
    return STORED_BYTES[name]


def _from_shapes(llm: Llm, group: str) -> float:
    hidden = llm.hidden_size or 0
    moe_layers = llm.moe_layers if is_moe(llm) else 0
    dense_layers = feed_forward_layers(llm) - moe_layers
    table = llm.vocabulary * hidden
    counts: Iterable[tuple[str, float]] = (
        (EMBEDDING, table),
        (UNEMBEDDING, 0 if llm.tied_embeddings else table),
        (EXPERTS, expert_parameters(llm)),
        (DENSE_MLP, dense_layers * 3 * hidden * llm.ffn_size),
        (SHARED_EXPERTS, moe_layers * 3 * hidden * llm.shared_expert_ffn),
        (ROUTER, moe_layers * llm.experts * hidden),
    )
    return dict(counts).get(group, 0.0)
