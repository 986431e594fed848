"""From a solver's columns back to a fleet, and what the program itself says it costs."""

from __future__ import annotations

from collections.abc import Mapping

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.solution import FleetChoice


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


def read_choice(model: FleetModel, values: Mapping[str, float]) -> FleetChoice:
    """The fleet that the columns say."""
    cleaned = clean_values(model, values)
    fleet = model.fleet
    blocks = len(fleet.blocks)
    units: dict[Candidate, list[int]] = {}
    for (k, _, t), variable in fleet.units.items():
        row = units.setdefault(k, [0] * blocks)
        row[t] += int(cleaned[variable])
    return FleetChoice(
        units={k: tuple(row) for k, row in units.items() if any(row)},
        shares={key: cleaned[variable] for key, variable in fleet.shares.items()},
        shortfalls={key: cleaned[variable] for key, variable in fleet.shortfalls.items()},
    )


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
