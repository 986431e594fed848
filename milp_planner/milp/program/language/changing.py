"""What may stand in for what where changes of the running fleet are counted."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput, change_key, is_elastic
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import tracks_changes


def change_standing(instance: PlanningInput, k: Candidate) -> Standing:
    """A unit is a change, whatever it does; today's units are never stood in for.

    Configurations of an offering whose units differ from block to block may take turns, as one
    change: what stood in for one of them elsewhere would be another.
    """
    if k.part_of_unit or not tracks_changes(instance.problem):
        return FREE  # of replicas that share units these are what is changed
    turns = (change_key(k),) if is_elastic(instance.problem, k) else ()
    return Standing(same=turns, uses=(float(k.units_joined),))
