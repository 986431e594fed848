"""The whole formulation on one screen: variables, cost terms, constraint families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import checked
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.costs.terms import cost_terms
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.language.folds import ElasticFold
from milp_planner.milp.program.language.rows import SENSES, Row
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.language.variables import (
    Fleet,
    Terms,
    add_variables,
    expression,
    merged,
)
from milp_planner.milp.program.levels import Splits, ramp_tangents, utilization_levels
from milp_planner.milp.program.mps_file import write_mps
from milp_planner.milp.program.routes.covered import without_routes
from milp_planner.milp.program.routes.rows import first_prices
from milp_planner.milp.program.spans import check_span


@dataclass
class FleetModel:
    """One program: PuLP's problem, its variables, its cost terms and its rows by number."""

    lp: pulp.LpProblem
    fleet: Fleet
    costs: Mapping[str, Terms]
    row_meaning: dict[str, str] = field(default_factory=dict)
    objective: Terms | None = None
    """What is minimised where it is not the score, the sum of the costs."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns that rows or costs use, as PuLP writes them."""
        return [variable.name for variable in self.lp.variables()]

    def add_row(self, family: str, row: Row, rule: Rule | None = None) -> str:
        """Add a row; the name it got in the program. rule: whose row it is, None for our own."""
        name = f"r{len(self.row_meaning):06d}"
        terms = {v: c for v, c in row.terms.items() if c != 0}
        if not terms:
            terms = {self._zero(): 1.0}
        check_span(self.fleet, rule, family, row)
        self.lp.addConstraint(
            pulp.LpConstraint(expression(terms), row.sense, name, row.right), name
        )
        self.row_meaning[name] = f"{family} {row.name}"
        return name

    def minimise(self, objective: Terms) -> None:
        """Minimise this instead of the score."""
        self.objective = objective
        self.lp.setObjective(expression(objective))

    def _zero(self) -> pulp.LpVariable:
        """A column fixed at 0: a row without terms is kept, and decided by its right side."""
        variable = self.lp.variablesDict().get("zero")
        return self.lp.add_variable("zero", 0, 0) if variable is None else variable

    def write_mps(self, path: Path) -> None:
        """Write the program for the solvers; raises OutOfTime when time is up before."""
        write_mps(self.lp, [*self.row_meaning], path)

    def describe(self) -> str:
        """The program as readable text, names instead of numbers; for people and tests."""
        lines = ["minimise", *_term_lines(self, merged(self.costs.values())), "subject to"]
        for name, meaning in self.row_meaning.items():
            row = self.lp.get_constraint_by_name(name)
            lines.append(f"  {meaning}:")
            lines += _term_lines(self, dict(row.items()))
            lines.append(f"      {SENSES[row.sense]} {0.0 - row.constant:.6g}")
        return "\n".join(lines) + "\n"


def build_model(
    instance: PlanningInput,
    candidates: tuple[Candidate, ...],
    splits: Splits | None = None,
    rules: Sequence[Rule] | None = None,
    room: Mapping[Candidate, int] | None = None,
    folds: Mapping[str, ElasticFold] | None = None,
) -> FleetModel:
    """The program of `instance` over `candidates`, under the given rules; default: all of them.

    `splits` says where the overload ramp and losses are counted exactly, `room` how many units of a
    candidate there may be at least, `folds` whose elastic units are steps of what is held. Raises
    OutOfTime when time is up before it is built.
    """
    splits = splits or Splits()
    lp = pulp.LpProblem("fleet", pulp.LpMinimize)
    rules = rules_of(instance.problem) if rules is None else rules
    levels = utilization_levels(instance)
    routes = splits.routed, splits.by_prices
    unrouted = without_routes(instance, candidates, rules, levels, *routes)
    fleet = add_variables(
        *(lp, instance, candidates, levels, room or {}, rules, folds or {}),
        dict.fromkeys(unrouted, ()),
    )
    fleet.prices = {
        name: tuple(dict.fromkeys((*first_prices(fleet, name), *splits.prices.get(name, ()))))
        for name in unrouted
    }
    fleet.tangents = ramp_tangents(instance, splits)
    fleet.splits = {
        name: tuple(sorted(found, key=lambda split: split.name))
        for name, found in splits.headrooms.items()
    }
    fleet.weights = {name: tuple(weights) for name, weights in splits.weights.items()}
    fleet.cuts = {name: tuple(cuts) for name, cuts in splits.cuts.items()}
    fleet.counts = {name: tuple(found) for name, found in splits.counts.items()}
    for rule in checked(rules_of(instance.problem)):
        rule.columns(fleet)
    costs = cost_terms(fleet)
    lp.setObjective(expression(merged(costs.values())))
    model = FleetModel(lp, fleet, costs)
    for rule in rules:
        for row in checked(rule.rows(fleet)):
            model.add_row(rule.name, row, rule)
    return model


def _term_lines(model: FleetModel, terms: Mapping[pulp.LpVariable, float]) -> list[str]:
    named = sorted((model.fleet.meaning.get(v.name, v.name), c) for v, c in terms.items() if c)
    return [f"      {c:+.6g} {name}" for name, c in named]
