"""When and where batch work is done by units that are there for another workload."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate
from milp_planner.lazily import dataclass
from milp_planner.traffic.schedule import RequestClass, TimeBlock


@dataclass(frozen=True)
class BatchRun:
    """Batch work that the units of another workload do in a block, at no cost of its own."""

    workload: str
    """Whose work it is."""

    candidate: Candidate
    """Whose units do it."""

    request_class: RequestClass
    block: TimeBlock
    requests_per_second: float
    """On average over the hours of the block."""
