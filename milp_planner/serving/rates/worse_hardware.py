"""Which hardware is no better than another in anything, so that it cannot serve more."""

from __future__ import annotations

from milp_planner.inputs.catalog.records import Gpu
from milp_planner.serving.links import link_of

FIGURES = ("memory_gib", "memory_bandwidth_gb_per_s", "bf16_tflops")
UNITS = ("fp8_tflops", "int8_tops", "fp4_tflops")
"""Peaks of units that a GPU may lack."""


def is_worse(one: Gpu, other: Gpu) -> bool:
    """Whether `one` is no better than `other` in any figure, and worse in one.

    GPUs of two vendors, or with unknown figures, are not compared: engines differ on them.
    """
    if one.vendor != other.vendor or one.interconnect != other.interconnect:
        return False
    pairs = [(getattr(one, name), getattr(other, name)) for name in FIGURES]
    if any(a is None or b is None for a, b in pairs):
        return False
    pairs.append((link_of(one).bytes_per_second, link_of(other).bytes_per_second))
    pairs += [(getattr(one, name) or 0.0, getattr(other, name) or 0.0) for name in UNITS]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
