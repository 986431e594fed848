"""From a solver's columns back to a fleet, and what the program itself says it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput, UnitKey, unit_key
from milp_planner.inputs.problem.policies import utilization_limit
from milp_planner.milp.program.language.elastic_steps import step_on
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.milp.program.lexicographic import HELD_TOLERANCE
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.solution import FleetSolution

NOISE = 5 * HELD_TOLERANCE
"""Share by which a shortfall may differ from what is lacking and still be it."""


def clean_values(model: FleetModel, values: Mapping[str, float]) -> dict[pulp.LpVariable, float]:
    """Column values: integers rounded once, here; continuous ones inside their bounds."""
    cleaned = {}
    for variable in model.lp.variables():
        value = values.get(variable.name, 0.0)
        if variable.cat == pulp.LpInteger:
            cleaned[variable] = float(round(value))
        else:
            high = variable.upBound
            value = max(0.0, value)
            cleaned[variable] = value if high is None else min(value, high)
    return cleaned


def read_solution(model: FleetModel, values: Mapping[str, float]) -> FleetSolution:
    """The fleet that the columns say."""
    cleaned = clean_values(model, values)
    fleet = model.fleet
    blocks = len(fleet.blocks)
    units: dict[Candidate, list[int]] = {}
    for (k, _, t), variable in fleet.units.items():
        row = units.setdefault(k, [0] * blocks)
        row[t] += int(cleaned[variable])
    for name, fold in fleet.folds.items():
        for k, t, count in fold.units_at(step_on(fleet, name, values)):
            units.setdefault(k, [0] * blocks)[t] += count
    shared: dict[UnitKey, list[int]] = {}
    for (unit, t), variable in fleet.shared.items():
        shared.setdefault(unit_key(unit), [0] * blocks)[t] = int(cleaned[variable])
    return FleetSolution(
        units={k: tuple(row) for k, row in units.items() if any(row)},
        shared={key: tuple(row) for key, row in shared.items() if any(row)},
        shares={key: cleaned[variable] for key, variable in fleet.shares.items()},
        shortfalls=_shortfalls(fleet, cleaned),
        running={key: cleaned[variable] for key, variable in fleet.running.items()},
        meanwhile={key: cleaned[column] for key, column in fleet.meanwhile.items()},
    )


def _shortfalls(
    fleet: Fleet, cleaned: Mapping[pulp.LpVariable, float]
) -> dict[tuple[str, int, int], float]:
    """What is left unserved; of a batch, whose work is of no hour, the same share in all."""
    short = {key: cleaned[variable] for key, variable in fleet.shortfalls.items()}
    for w, q, _ in [key for key in short if fleet.demand(key[0]).can_wait]:
        busy = fleet.busy(w)
        mean = sum(short[w, q, t] / fleet.most_share(w, t) for t in busy)
        short.update({(w, q, t): mean for t in busy})
    return short


def modelled_costs(model: FleetModel, values: Mapping[str, float]) -> dict[str, float]:
    """The value of each cost term at the cleaned columns, USD/month."""
    cleaned = clean_values(model, values)
    return {
        name: sum(coefficient * cleaned[variable] for variable, coefficient in terms.items())
        for name, terms in model.costs.items()
    }


def objective_value(model: FleetModel, values: Mapping[str, float]) -> float:
    """The value of the objective at the cleaned columns: the score, unless it is another."""
    if model.objective is None:
        return sum(modelled_costs(model, values).values())
    cleaned = clean_values(model, values)
    return sum(coefficient * cleaned[column] for column, coefficient in model.objective.items())


def without_noise(instance: PlanningInput, solution: FleetSolution) -> FleetSolution:
    """The fleet with shortfalls of what the units cannot carry, to the last digit.

    A stage is held within a solver's tolerance, which shows in the shortfall of the plan. With one
    class what is left unserved can be said exactly; a priced shortfall is left as it was priced.
    """
    priced = instance.problem.policy.active_penalties.shortfall is not None
    exact = dict(solution.shortfalls)
    for (w, q, t), share in solution.shortfalls.items():
        if instance.schedule.demands[w].can_wait:
            continue
        if not priced and len(instance.schedule.demands[w].classes) == 1:
            lacking = max(0.0, 1 - _carried(instance, solution, w, t))
            if abs(share - lacking) <= NOISE:
                exact[w, q, t] = lacking
    return replace(solution, shortfalls=exact)


def _carried(instance: PlanningInput, solution: FleetSolution, workload: str, t: int) -> float:
    """The share of a one-class workload's peak that its fleet can serve at most."""
    limit = utilization_limit(instance.problem, instance.problem.workload(workload))
    peak = instance.schedule.demands[workload].peak[t]
    units = (
        limit * k.mix_requests_per_second * on[t] / peak
        for k, on in solution.units_by_workload.get(workload, ())
    )
    tokens = (x for k, _, x in solution.shares_by_block.get((workload, t), ()) if k.mode.per_token)
    return sum(units) + sum(tokens)
