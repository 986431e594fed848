"""A fleet as bare numbers, before it becomes a plan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from milp_planner.candidates.records import Candidate
from milp_planner.candidates.sharing.standing import UnitKey
from milp_planner.lazily import dataclass, field


@dataclass(frozen=True)
class FleetSolution:
    """A fleet as bare numbers."""

    units: Mapping[Candidate, tuple[int, ...]] = field(default_factory=dict)
    """Units on per block."""

    shares: Mapping[tuple[Candidate, int, int], float] = field(default_factory=dict)
    """x_qkt; with one class only the per-token candidates need be given."""

    shortfalls: Mapping[tuple[str, int, int], float] = field(default_factory=dict)

    shared: Mapping[UnitKey, tuple[int, ...]] = field(default_factory=dict)
    """Units that replicas share, on per block; as few as hold the replicas where none are given."""

    running: Mapping[tuple[Candidate, int], float] = field(default_factory=dict)
    """Of elastic units of a batch: units on in a block, on average; all of its hours where none is
    given."""

    meanwhile: Mapping[tuple[Candidate, str, int, int], float] = field(default_factory=dict)
    """Batch work that units of other workloads do: f_qkt, by whose units and whose work."""

    @cached_property
    def shares_by_block(self) -> dict[tuple[str, int], list[tuple[Candidate, int, float]]]:
        """(candidate, class, share), by workload and block."""
        found: dict[tuple[str, int], list[tuple[Candidate, int, float]]] = {}
        for (k, q, t), share in self.shares.items():
            found.setdefault((k.workload, t), []).append((k, q, share))
        return found

    @cached_property
    def shortfalls_by_workload(self) -> dict[str, list[tuple[int, int, float]]]:
        """(class, block, share left unserved), by workload."""
        found: dict[str, list[tuple[int, int, float]]] = {}
        for (w, q, t), share in self.shortfalls.items():
            found.setdefault(w, []).append((q, t, share))
        return found

    @cached_property
    def units_by_workload(self) -> dict[str, list[tuple[Candidate, tuple[int, ...]]]]:
        """Candidates with their units on per block, by the workload that they serve."""
        found: dict[str, list[tuple[Candidate, tuple[int, ...]]]] = {}
        for k, on in self.units.items():
            found.setdefault(k.workload, []).append((k, on))
        return found
