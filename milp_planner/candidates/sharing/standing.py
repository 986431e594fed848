"""What stands on units that replicas share, and what tells such units apart."""

from __future__ import annotations

from dataclasses import replace

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.catalog.records import Offering
from milp_planner.serving.shared_gpu import GpuSet

UnitKey = tuple[str, str, GpuSet | None]


def shared_unit(offering: Offering, gpu_set: GpuSet | None = None) -> Candidate:
    """A unit of an offering that replicas share: what is rented, and serves nobody by itself."""
    return Candidate("", offering, "", 0, 0, (), (), gpu_set=gpu_set)


def unit_key(k: Candidate) -> UnitKey:
    """What tells units that are shared apart: offering, billing, and what their one GPU is for."""
    return *k.offering.key, None if k.gpu_set is None else k.gpu_set.place


def is_part_of(k: Candidate, unit: Candidate) -> bool:
    """True where replicas of `k` stand on such units, together with others."""
    return k.part_of_unit and unit_key(k) == unit_key(unit)


def part_on(offering: Offering, replica: Candidate) -> Candidate:
    """The same replica, on units of another offering."""
    return replace(replica, offering=offering)


def part_words(k: Candidate) -> str:
    """Of a GPU that LLMs share: ` (50 % of its time, 45 % of its memory)`."""
    if k.gpu_set is None:
        return ""
    mine = k.gpu_set.of(k.workload)
    return f" ({mine.time_percent} % of its time, {mine.memory_percent} % of its memory)"
