"""With `objective: gpus`, fewer GPUs count before money."""

from __future__ import annotations

from collections.abc import Iterable

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import is_gpus_first
from milp_planner.milp.program.language.loosening import LimitInForce
from milp_planner.milp.program.language.rule import FREE, Preselection, Standing


class FewestGpus(Preselection):
    """With `objective: gpus`, fewer GPUs count before money.

    It has no rows: a stage before the score makes them few, see `milp/program/lexicographic.py`.
    Nothing stands in for a candidate that has fewer GPUs than itself.
    """

    keys = frozenset(("objective",))

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        if not is_gpus_first(instance.problem):
            return FREE
        return Standing(uses=(float(k.gpus_per_unit),))

    def loosened(self, instance: PlanningInput) -> Iterable[LimitInForce]:
        return ()  # it rules nothing out
