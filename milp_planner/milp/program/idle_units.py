"""Shared units on which nobody need stand, taken out of what a solver says."""

from __future__ import annotations

from collections.abc import Mapping

from milp_planner.candidates.sharing.shared_units import placed
from milp_planner.milp.program.costs.start_up_ahead import ahead_anew
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.milp.program.rules.commitments import covered_anew
from milp_planner.milp.program.rules.packing import replicas_by_unit


def without_idle_units(fleet: Fleet, values: Mapping[str, float]) -> Mapping[str, float]:
    """The columns with as few shared units as hold the replicas; solvers may leave some idle."""
    least: dict[str, float] = {}
    for unit, replicas in replicas_by_unit(fleet).items():
        for t in range(len(fleet.blocks)):
            if (unit, t) not in fleet.shared or fleet.instance.runs_today(unit):
                continue  # today's units may cost less than to give them back
            on = fleet.shared[unit, t].name
            standing = (
                (k, sum(round(values.get(n.name, 0.0)) for _, n in fleet.units_on(k, t)))
                for k in replicas
            )
            needed = len(placed(unit.gpus_per_unit, standing))
            least[on] = max(least.get(on, 0.0), float(needed))
    idle = {name: most for name, most in least.items() if round(values.get(name, 0.0)) > most}
    return covered_anew(fleet, ahead_anew(fleet, {**values, **idle})) if idle else values
