"""Where a program is exact: tangents and splits of the overload ramp, levels, and weights.

    ramp(u) = max(0, (u - a) ÷ (1 - a)) × USD at full load,        u = load ÷ capacity

Every program starts from a few, and `refinement` adds those at which it charged a plan too little.
`OverloadRamp` has the rows. So it is with the weights of classes by which `LossSurvived` counts
what is left after a loss.
"""

from __future__ import annotations

from collections.abc import Iterable

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.policies import can_overload, is_strict, utilization_limit
from milp_planner.inputs.problem.records import Workload
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.costs.strict_latency import HIGH_BAND_FLOOR
from milp_planner.milp.program.language.class_prices import ClassPrices
from milp_planner.milp.program.language.queue_cuts import QueueCut
from milp_planner.milp.program.language.variables import (
    Level,
    RampSplit,
    Weights,
)

FIRST_TANGENTS = 6
"""Tangents of a fresh program: over a ramp from 90 % to 120 % they miss at most $200 of $60,000."""


@dataclass
class Splits:
    """What refinement has added to the programs of one problem, by workload."""

    tangents: dict[str, set[float]] = field(default_factory=dict)
    """Utilizations at which the ramp has a tangent."""

    headrooms: dict[str, set[RampSplit]] = field(default_factory=dict)
    """Where what the units could serve is split, so that the ramp is exact there."""

    weights: dict[str, dict[Weights, None]] = field(default_factory=dict)
    """Weights of the classes by which what is left after a loss is counted, in order."""

    cuts: dict[str, dict[QueueCut, None]] = field(default_factory=dict)
    """Half-planes that hold every pool which keeps its waits, in order."""

    counts: dict[str, dict[tuple[str, int], None]] = field(default_factory=dict)
    """(candidate, units) at which what its own queue carries is exact, in order."""

    prices: dict[str, dict[ClassPrices, None]] = field(default_factory=dict)
    """Prices of the classes by which there must be enough to route them, in order."""

    routed: set[str] = field(default_factory=set)
    """Workloads whose routes are columns whatever their form."""

    by_prices: bool = False
    """Whether routes are rows by prices however few columns they would be."""

    @property
    def count(self) -> int:
        """How many there are, but for the last."""
        kinds = (self.tangents, self.headrooms, self.weights, self.cuts, self.counts, self.prices)
        return sum(len(found) for kind in kinds for found in kind.values())


def utilization_levels(instance: PlanningInput) -> dict[str, tuple[Level, ...]]:
    """The levels of every workload: one, unless a penalty tells utilizations apart."""
    return {w.name: tuple(_levels(instance, w)) for w in instance.problem.workloads}


def _levels(instance: PlanningInput, workload: Workload) -> Iterable[Level]:
    highest = utilization_limit(instance.problem, workload)
    penalties = instance.problem.policy.active_penalties
    edges: set[float] = set()
    if penalties.strict_latency is not None and is_strict(penalties, workload):
        edges.add(HIGH_BAND_FLOOR)
    ceilings = [*sorted(edge for edge in edges if 0 < edge < highest), highest]
    return map(Level, [0.0, *ceilings], ceilings)


def ramp_tangents(instance: PlanningInput, splits: Splits) -> dict[str, tuple[float, ...]]:
    """Utilizations at which a workload's ramp has a tangent: evenly spread ones, and the splits."""
    tangents = {}
    ramp = instance.problem.policy.active_penalties.overload
    for w in instance.problem.workloads:
        if ramp is not None and can_overload(instance.problem, w):
            width = utilization_limit(instance.problem, w) - ramp.above
            steps = range(FIRST_TANGENTS)
            first = {ramp.above + width * step / (FIRST_TANGENTS - 1) for step in steps}
            # one at 0 would say nothing
            found = (first | splits.tangents.get(w.name, set())) - {0.0}
            tangents[w.name] = tuple(sorted(found))
    return tangents
