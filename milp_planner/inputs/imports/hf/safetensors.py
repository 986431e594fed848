"""Sizes of a checkpoint's real tensors, from safetensors headers; no weight is ever read.

A safetensors file starts with 8 bytes, the little-endian length of a JSON header, which gives each
tensor's dtype and shape (huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from milp_planner.errors import Fault, InputError, input_error, readable_path
from milp_planner.inputs.imports.hf.config_kinds import is_count
from milp_planner.inputs.imports.hf.modules import (
    ATTENTION,
    DENSE_MLP,
    EMBEDDING,
    EXPERTS,
    NORMS,
    ROUTER,
    SHARED_EXPERTS,
    UNEMBEDDING,
    VISION,
)
from milp_planner.inputs.reading.files import refuse_named_pipe
from milp_planner.inputs.reading.strict_json import parse_json
from milp_planner.lazily import dataclass, field

MOST_HEADER_BYTES = 100_000_000
"""The limit of the format's own reader."""

MOST_ELEMENTS = 10**13
"""Of one tensor; the largest published have 10**11."""

DTYPE_BYTES = {
    **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1},
    **{
        "F8_E4M3": 1,
        "F8_E5M2": 1,
        "F8_E8M0": 1,
        "BOOL": 1,
        "F4": 0.5,
        "U32": 4,
        "U16": 2,
        "U64": 8,
    },
}
FORMATS = {
    **{"F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8", "F8_E5M2": "fp8"},
    **{"I8": "int8"},
}

DRAFT = "draft"
"""Multi-token heads: engines load them for speculative decoding only."""

SCALES = re.compile(
    r"(scale|scales|scale_inv|scale_2|_scales|zeros|qzeros|g_idx|weight_shape|zero_point|amax)$"
)
PLACES = (
    (DRAFT, r"(^|\.)(mtp|nextn|eh_proj|enorm|hnorm|shared_head)(\.|$)"),
    (
        VISION,
        r"(^|\.)(visual|vision\w*|mm_projector|multi_modal_projector|audio\w*|embed_vision)\.",
    ),
    (UNEMBEDDING, r"(^|\.)(lm_head|head|output)\.(weight|bias|qweight)"),
    (EMBEDDING, r"(^|\.)(embed_tokens|embeddings|tok_embeddings|embed|wte)\.(weight|qweight)"),
    (ROUTER, r"\.(gate|router|shared_expert_gate|e_score_correction_bias)(\.|$)"),
    (SHARED_EXPERTS, r"\.(shared_experts?|fc[12]_latent_proj)(\.|$)"),
    (EXPERTS, r"\.experts(\.|$)"),
    (NORMS, r"norm\d?(\.|$)"),
    (ATTENTION, r"\.(self_attn|attention|attn|linear_attn)(\.|$)"),
    (DENSE_MLP, r"\.(mlp|feed_forward|ffn)\.|\.mixer\.(up|down|gate)_proj\."),
    (ATTENTION, r"\.(mixer|hyper_connections|hc_\w+)(\.|$)"),
)
"""Groups by a tensor's name, the first that matches."""

_PLACES = [(group, re.compile(pattern)) for group, pattern in PLACES]
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


@dataclass
class Sizes:
    """What the files say of the tensors."""

    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    """Parameters by group and format."""

    bytes: float = 0
    unknown: list[str] = field(default_factory=list)
    """Tensors of no known group."""


def read_header(path: Path) -> Mapping[str, Any]:
    """The header of a safetensors file: tensor name to dtype and shape; raises InputError."""
    try:
        refuse_named_pipe(path, "give the file itself")
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MOST_HEADER_BYTES:
                raise input_error("is not a safetensors file", file=str(path))
            content = file.read(length)
    except OSError as error:
        raise input_error(f"cannot be read: {error.strerror}", file=str(path)) from None
    if len(content) < length:
        raise input_error("ends within its header", file=str(path))
    try:
        header = parse_json(content.decode("utf-8"), str(path))
    except UnicodeDecodeError:
        raise input_error("is not a safetensors file", file=str(path)) from None
    if not isinstance(header, dict):
        raise input_error("is not a safetensors file", file=str(path))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    faults = [
        Fault(str(path), 0, 0, readable_path((name,)), "a tensor has a dtype and a shape of counts")
        for name, entry in tensors.items()
        if not _is_tensor(entry)
    ]
    if faults:
        raise InputError(faults)
    return tensors


def _is_tensor(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    shape = entry.get("shape")
    return isinstance(shape, list) and all(map(is_count, shape)) and prod(shape) <= MOST_ELEMENTS


def group_of(name: str, layers: int) -> str:
    """The group of a tensor; '' where its name says none. Layers beyond the last are drafts."""
    found = _LAYER.search(name)
    if found and int(found[1]) >= layers:
        return DRAFT
    return next((group for group, place in _PLACES if place.search(name)), "")


def sizes_of(headers: Iterable[Mapping[str, Any]], layers: int) -> Sizes:
    """Parameters and bytes of all tensors but the drafts."""
    tensors = {name: entry for header in headers for name, entry in header.items()}
    sizes = Sizes()
    for name, entry in tensors.items():
        group = group_of(name, layers)
        if group == DRAFT:
            continue
        dtype, elements = str(entry["dtype"]), prod(entry["shape"])
        sizes.bytes += elements * DTYPE_BYTES.get(dtype, 1)
        if SCALES.search(name) or not elements:
            continue
        if not group:
            sizes.unknown.append(name)
        written, packed = _format(name, dtype, tensors)
        formats = sizes.groups.setdefault(group or ATTENTION, {})
        formats[written] = formats.get(written, 0) + elements * packed
    return sizes


def _format(name: str, dtype: str, tensors: Mapping[str, Any]) -> tuple[str, int]:
    """(format, parameters in one element): integers hold two or eight 4-bit values."""
    if dtype in ("I32", "U32"):
        return "int4", 8
    if dtype == "F4":
        return "mxfp4", 1
    stem = name.removesuffix("_blocks").removesuffix("_packed")
    scale = tensors.get(f"{stem}_scale") or tensors.get(f"{stem}_scales") or {}
    is_packed = dtype == "U8" or (dtype == "I8" and scale.get("dtype") == "F8_E8M0")
    if is_packed:
        return ("nvfp4" if scale.get("dtype") == "F8_E4M3" else "mxfp4"), 2
    return FORMATS.get(dtype, "bf16"), 1
