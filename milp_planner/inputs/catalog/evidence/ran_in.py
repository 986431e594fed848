"""The deployment that a measurement ran in, as columns of its row; None or '' where not stated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import MOST

MOST_UNITS = 8
"""Units of one replica; as many as a problem may join."""

Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]


class RanIn(Frozen):
    """How the replica of a measurement was set up, besides LLM, GPU, weight format and engine."""

    engine_version: str = ""
    tuning: Literal["", "default", "tuned"] = ""
    """`tuned` for a vendor's recipe, `default` for default settings, empty where not known."""

    kv_precision: Literal["", "bf16", "fp8"] = ""
    """Format of the KV cache where the source states it."""

    memory_share: Annotated[float, Field(ge=0.1, le=1)] | None = None
    """Share of each GPU's memory that the engine might take."""

    max_sequences: Annotated[int, Field(ge=1, le=MOST)] | None = None
    """The engine's limit of requests in flight; more than these waited."""

    prefix_cache_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the input tokens that were found in the prefix cache."""

    expert_parallel: bool = False
    """Whether the experts were spread whole over the GPUs."""

    lora_adapters: Annotated[int, Field(ge=0, le=MOST)] = 0
    draft_tokens: Annotated[int, Field(ge=0, le=MOST)] = 0
    """Draft tokens of each step, where speculative decoding was on."""

    units_per_replica: Units | None = None
    """Units that the replica was spread over; not stated: one."""

    pipeline_parallel: Units | None = None
    """Stages of a joined replica, each of `tensor_parallel` GPUs; not stated: one."""

    gb_per_s_between_units: Annotated[float, Field(gt=0, le=MOST)] | None = None
    """Network of each GPU to the other units, in GB/s in one direction."""

    @property
    def joined(self) -> tuple[int, int]:
        """Units of the replica, and pipeline stages."""
        return self.units_per_replica or 1, self.pipeline_parallel or 1


def joined_faults(
    units: int, stages: int, tensor_parallel: int, gb_per_s: float | None
) -> Iterator[tuple[str, str]]:
    """(column, what is wrong) of a replica that cannot be spread over so many units."""
    if stages not in (1, units):
        yield "pipeline_parallel", f"a stage is a whole unit: 1, or the {units} units (is {stages})"
    elif tensor_parallel % (units // stages):
        said = f"{tensor_parallel} GPUs are not spread evenly over {units} units"
        yield "units_per_replica", said
    if gb_per_s is not None and units == 1:
        yield "gb_per_s_between_units", "nothing is sent between units where there is one"
