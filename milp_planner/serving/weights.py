"""How many bytes an LLM's weights take, tensor group by tensor group: the one truth of them.

A checkpoint rarely holds all its tensors in one format: embeddings, norms and routers stay wide,
and 4-bit mixtures of experts quantise little more than the experts. Memory and speed both count
from `weight_groups`. To add a format that can be asked for, add it to `WEIGHT_BYTES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from milp_planner.inputs.catalog.records import Llm
from milp_planner.inputs.catalog.tensor_groups import (
    ATTENTION,
    DENSE_MLP,
    EMBEDDING,
    EXPERTS,
    GROUPS,
    SHARED_EXPERTS,
    STORED_BYTES,
    VISION,
    WIDE_GROUPS,
    format_bytes,
    group_parameters,
    is_moe,
    stored_formats,
)
from milp_planner.lazily import dataclass

BF16_BYTES = STORED_BYTES["bf16"]

WEIGHT_BYTES = {
    name: STORED_BYTES[name]
    for name in ("bf16", "fp16", "fp8", "int8", "nvfp4", "mxfp4", "int4", "fp32")
}
"""Bytes per parameter by weight format that an LLM can be served in."""

KEPT_WIDE_IN_MOE = {
    "nvfp4": frozenset({ATTENTION}),
    "mxfp4": frozenset({ATTENTION, DENSE_MLP, SHARED_EXPERTS}),
    "int4": frozenset({ATTENTION, DENSE_MLP, SHARED_EXPERTS}),
}
"""Groups that published 4-bit mixtures of experts leave in 16 bits: gpt-oss and Kimi-K2.5 quantise
the experts alone, the nvfp4 checkpoints of DeepSeek, Kimi and Qwen the experts and the MLPs."""

MXFP4_WIDTH = 256
"""The mxfp4 kernels of experts hold a width of 2,880 as 3,072. The loaded sizes of gpt-oss-20b and
gpt-oss-120b on an H100, 13.47 and 64.38 GiB, are those of experts padded so within 0.3 %."""


@dataclass(frozen=True)
class WeightGroup:
    """Tensors that serve one purpose, and how they are held in memory."""

    name: str
    parameters: float
    bytes_per_parameter: float
    format: str = "bf16"
    """As in `stored_as`: `fp8`, or a mixture such as `60%fp8+40%bf16`."""

    @property
    def bytes(self) -> float:
        """What the group takes, over all GPUs."""
        return self.parameters * self.bytes_per_parameter


@lru_cache(maxsize=4096)
def weight_groups(llm: Llm, precision: str) -> tuple[WeightGroup, ...]:
    """The tensors of `llm` served in `precision`, by group, as an engine loads them.

    Served in the format of the published weights, each group has the format that the catalog says
    it is stored in; in any other format, the one that published checkpoints of that format give it.
    Raises KeyError for an unknown precision and ValueError where the parameters are not known.
    """
    formats = group_formats(llm, precision)
    block = quantisation_block(llm, precision)
    return tuple(
        WeightGroup(
            name,
            count,
            format_bytes(formats[name], block) * _padding(name, formats[name], llm),
            formats[name],
        )
        for name, count in group_parameters(llm).items()
        if count
    )


def weights_bytes(llm: Llm, precision: str) -> float:
    """Bytes of all weights as loaded, over all GPUs; raises as `weight_groups` does."""
    return sum(group.bytes for group in weight_groups(llm, precision))


def step_bytes(llm: Llm, precision: str) -> float:
    """Bytes of the weights that every decode step reads, over all GPUs.

    All but the routed experts, the towers of other modalities and the input embedding, of which a
    step looks up a row per sequence; one that is the output layer too is read whole.
    """
    skipped = {EXPERTS, VISION} if llm.tied_embeddings else {EXPERTS, VISION, EMBEDDING}
    return sum(g.bytes for g in weight_groups(llm, precision) if g.name not in skipped)


def expert_bytes(llm: Llm, precision: str) -> float:
    """Bytes of all routed experts, over all GPUs; 0 for a dense LLM."""
    return sum(g.bytes for g in weight_groups(llm, precision) if g.name == EXPERTS)


def group_formats(llm: Llm, precision: str) -> Mapping[str, str]:
    """The format of each group of `llm` served in `precision`; raises KeyError for an unknown one.

    Groups that `stored_as` does not name have the native format; the usual one where it is empty.
    """
    usual = {name: _usual_format(llm, name, precision) for name in GROUPS}
    if not served_as_stored(llm, precision) or not llm.stored_as:
        return usual
    rest = {name: usual[name] if name in WIDE_GROUPS else precision for name in GROUPS}
    return rest | stored_formats(llm.stored_as)


def quantisation_block(llm: Llm, precision: str) -> int:
    """Width of the blocks of weights that share a scale; 0 where nothing says that there are any.

    The catalog gives it for the published checkpoint, and for the publisher's fp8 checkpoint of an
    LLM published in 16 bits.
    """
    wide = STORED_BYTES.get(llm.native_precision, 0.0) >= BF16_BYTES
    if served_as_stored(llm, precision) or (wide and precision == "fp8"):
        return llm.quantisation_block
    return 0


def served_as_stored(llm: Llm, precision: str) -> bool:
    """Whether `precision` is the format of the published weights; fp16 and bf16 are one."""
    sixteen = {"fp16", "bf16"}
    return precision == llm.native_precision or {precision, llm.native_precision} == sixteen


def checkpoint_bytes(llm: Llm) -> float:
    """Size of the published weights, without the padding of any engine; raises ValueError."""
    precision = llm.native_precision
    formats, block = group_formats(llm, precision), quantisation_block(llm, precision)
    counts = group_parameters(llm).items()
    return sum(count * format_bytes(formats[name], block) for name, count in counts)


def _usual_format(llm: Llm, group: str, precision: str) -> str:
    if precision not in WEIGHT_BYTES:
        raise KeyError(precision)
    if precision == "fp32":
        return "fp32"
    kept = KEPT_WIDE_IN_MOE.get(precision, frozenset()) if is_moe(llm) else frozenset()
    return "bf16" if group in WIDE_GROUPS or group in kept else precision


def _padding(group: str, written: str, llm: Llm) -> float:
    """What padding makes of the experts in mxfp4, as a factor."""
    width = llm.moe_ffn_size
    if group != EXPERTS or written != "mxfp4" or not width:
        return 1.0
    return -(-width // MXFP4_WIDTH) * MXFP4_WIDTH / width
