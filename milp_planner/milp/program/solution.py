"""A fleet as bare numbers, before it becomes a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from milp_planner.candidates.records import Candidate


@dataclass(frozen=True)
class FleetSolution:
    """A fleet as bare numbers."""

    units: Mapping[Candidate, tuple[int, ...]] = field(default_factory=dict)
    """Units on per block."""

    shares: Mapping[tuple[Candidate, int, int], float] = field(default_factory=dict)
    """x_qkt; with one class only the per-token candidates need be given."""

    shortfalls: Mapping[tuple[str, int, int], float] = field(default_factory=dict)

    shared: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    """Units that replicas share, on per block, by (offering, billing); as few as hold the replicas
    where none are given."""

    running: Mapping[tuple[Candidate, int], float] = field(default_factory=dict)
    """Of elastic units of a batch: units on in a block, on average; all of its hours where none is
    given."""

    meanwhile: Mapping[tuple[Candidate, str, int, int], float] = field(default_factory=dict)
    """Batch work that units of other workloads do: f_qkt, by whose units and whose work."""
