"""Checks quotes, and the prices of futures, against a catalog: none may be without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from milp_planner.candidates.filters import is_meant
from milp_planner.candidates.own_terms import matches
from milp_planner.candidates.quotes import ON_DEMAND, rows_quoted
from milp_planner.errors import Fault, readable_path
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.strict_yaml import Steps

Unmatched = Callable[[str, set[str]], tuple[str, str]]
"""(message, hint) of a name or pattern that none of the ids has."""


def quote_faults(problem: Problem, catalog: Catalog, unmatched: Unmatched) -> Iterator[Fault]:
    """Quotes about nothing, or that the allowed ways to pay leave out."""
    allowed = problem.limits.billing.allow
    if problem.quotes and allowed and "committed" not in allowed:
        message = "quotes are billed committed, which is not in limits.billing.allow"
        hint = "write committed there, or leave the list out: what you quote is meant"
        yield _fault(problem, ("quotes",), message, hint)
    ids = {known for row in catalog.offerings for known in row.ids}
    for i, quote in enumerate(problem.quotes):
        if rows_quoted(quote, catalog):
            continue
        named = {o.billing for o in catalog.offerings if is_meant("offerings", quote.offering, o)}
        message, hint = unmatched(quote.offering, ids)
        if named:
            message = f"{quote.offering} is sold as {', '.join(sorted(named))} alone"
            hint = f"a quote is about what is rented on demand: {' or '.join(ON_DEMAND)}"
        yield _fault(problem, ("quotes", i, "offering"), message, hint)


def price_faults(problem: Problem, catalog: Catalog, unmatched: Unmatched) -> Iterator[Fault]:
    """Prices of futures that no row of the catalog has, or only rows that bind."""
    rows: list[Offering | TokenPrice] = [*catalog.offerings, *catalog.token_prices]
    for i, future in enumerate(problem.futures):
        for pattern in future.prices:
            named = [row for row in rows if matches(pattern, row)]
            if any(not BILLING_MODES[row.billing].binds for row in named):
                continue
            message, hint = unmatched(pattern, {row.id for row in rows})
            if named:
                message = f"{pattern!r} is about commitments alone, whose price is that of today"
                hint = "what a future changes is the price of what can be given back"
            steps = ("futures", i, "prices", pattern)
            yield _fault(problem, steps, message, hint, at_key=True)


def uncertain_faults(problem: Problem) -> Iterator[Fault]:
    """What is asked of one month that is known is not asked of several, nor of futures."""
    yield from horizon_faults(problem)
    if problem.futures:
        message = "this is asked of a month that is known, not of several futures"
        hint = "leave futures out, or write one of them as traffic: {growth: 2}"
        yield _fault(problem, ("futures",), message, hint)


def horizon_faults(problem: Problem) -> Iterator[Fault]:
    """What is asked of one month is not asked of several."""
    if problem.horizon is not None:
        message = "this is asked of one month, not of several"
        hint = "leave horizon out; milp-planner solve and plan_months plan all of its months"
        yield _fault(problem, ("horizon",), message, hint)


def _fault(
    problem: Problem, steps: Steps, message: str, hint: str, *, at_key: bool = False
) -> Fault:
    fault = Fault("", 0, 0, readable_path(steps), message, hint)
    return located(problem, fault, steps, at_key=at_key)
