"""Rules that a caller adds to a problem, beside its limits."""

from __future__ import annotations

from collections.abc import Iterable

from milp_planner.errors import argument_error
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_kind
from milp_planner.milp.program.language.rule import Rule
from milp_planner.units import shown


def held_to(problem: Problem, rules: Iterable[Rule | type[Rule]]) -> Problem:
    """The problem, held to rules of the user's own as well; ArgumentError for anything else."""
    rules = tuple(rules)
    if not rules:
        return problem
    check_kind(problem, Problem, "load_problem()")
    for rule in rules:
        is_rule = issubclass(rule, Rule) if isinstance(rule, type) else isinstance(rule, Rule)
        if not is_rule:
            message = f"expected a milp_planner.Rule, not {shown(getattr(rule, '__name__', rule))}"
            raise argument_error(message, path="rules")
    names = [one.name for one in problem.with_rules(rules).rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = f"two rules are named {twice!r}; give one of them another name"
        raise argument_error(message, path="rules")
    return problem.with_rules(rules)
