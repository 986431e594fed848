"""Refuses rows whose numbers lie so far apart that no solver's answer is worth anything.

The fault names the user's field: of the rule that says the row, or, in a row of the planner's own,
of the rule that asks for so many units that no count of them can be told from the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.keys import set_keys
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rows import Row
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.language.variables import Fleet

WIDEST_SPAN = 1e9
"""Largest ratio of coefficients in a row before the answer of a solver is worth nothing."""

WORKLOADS = "workloads."


def check_span(fleet: Fleet, rule: Rule | None, family: str, row: Row) -> None:
    """Raise InputError where the row spans too much, with the field to blame, its file and line.

    rule: whose row it is; None for the planner's own.
    """
    sizes = [abs(c) for c in row.terms.values() if c != 0]
    if not sizes or max(sizes) <= WIDEST_SPAN * min(sizes):
        return
    problem = fleet.problem
    path = next(_paths_to_blame(fleet, rule), "")
    fault = Fault(
        file="",
        line=0,
        column=0,
        path=path,
        message=f"the numbers of this problem are too far apart: row {family} {row.name} spans "
        f"{min(sizes):g} to {max(sizes):g}, too wide for a solver to be trusted",
        hint="" if path else "look for a rate, price, share or penalty that is a typing error",
    )
    raise InputError([located(problem, fault) if path else fault])


def _paths_to_blame(fleet: Fleet, rule: Rule | None) -> Iterator[str]:
    """Paths of fields that the problem sets, the likeliest to blame first."""
    if rule is not None:
        yield from _set_paths(fleet.problem, rule.keys)
    by_units = sorted(fleet.rules, key=lambda rule: -_most_asked(fleet, rule))
    for asking in by_units:
        if isinstance(asking, Rule) and _most_asked(fleet, asking) > 0:
            yield from _set_paths(fleet.problem, asking.keys)


def _most_asked(fleet: Fleet, rule: object) -> int:
    """The most units of any candidate that a rule asks for."""
    if not isinstance(rule, Rule):
        return 0
    return max(
        (rule.asks_for(fleet, k) for k in fleet.candidates if not k.mode.per_token), default=0
    )


def _set_paths(problem: Problem, keys: Iterable[str]) -> Iterator[str]:
    """The keys that the problem sets, as a reader finds them: with the number of the workload."""
    for key in sorted(frozenset(keys) & set_keys(problem)):
        if not key.startswith(WORKLOADS):
            yield key
            continue
        field = key.removeprefix(WORKLOADS)
        top = field.partition(".")[0]
        for i, w in enumerate(problem.workloads):
            if top in w.model_fields_set:
                yield f"workloads[{i}].{field}"
