"""What the host of a unit must have, for each of its GPUs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import PositiveNumber


class HostLimits(Frozen):
    """The least that the host of a rented or owned unit must have for each GPU.

    Where the source of an offering does not say what its host has, the offering is left out. What
    is sold per token has no host.
    """

    min_vcpus_per_gpu: Annotated[PositiveNumber, Field(le=10_000)] | None = None
    """vCPUs of the host for each GPU."""

    min_memory_gib_per_gpu: Annotated[PositiveNumber, Field(le=1_000_000)] | None = None
    """Memory of the host, not of the GPU, for each GPU, in GiB."""
