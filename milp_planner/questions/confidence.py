"""How far a plan rests on estimates: the same problem solved at other quantiles of their error."""

from __future__ import annotations

import time
from collections.abc import Set

from milp_planner.deadline import began_s
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.row_worth import RowWorth, is_answered, row_worths
from milp_planner.questions.solve import not_prepared, solve, solve_until
from milp_planner.serving.derate import planning_quantile
from milp_planner.solving.checks.arguments import (
    SolverChoice,
    catalog_for,
)
from milp_planner.solving.re_solve import settings_of

MEDIAN = 0.50
LOW = 0.05
"""Of measured ÷ estimated throughput: a result worse than 19 in 20."""

Bought = tuple[str, str, str, str, int]
"""Workload, offering, billing, precision and tensor parallel."""


@dataclass(frozen=True)
class ConfidenceCase:
    """The problem planned at one quantile of measured ÷ estimated throughput."""

    quantile: float
    plan: Plan

    @property
    def status(self) -> Status:
        """What is known about this plan."""
        return self.plan.status

    @property
    def cash_usd_per_month(self) -> float | None:
        """Money paid; None where there is no plan."""
        return self.plan.cash_usd_per_month

    @property
    def fleet(self) -> tuple[tuple[Bought, int], ...]:
        """Units of everything bought, in order; 0 units for per-token use."""
        units: dict[Bought, int] = {}
        for p in self.plan.purchases:
            k = p.candidate
            offering = k.offering.id, k.offering.billing
            key = (k.workload, *offering, k.precision, k.tensor_parallel)
            units[key] = units.get(key, 0) + p.units
        return tuple(sorted(units.items()))

    @property
    def name(self) -> str:
        """`p10 of measured ÷ estimated`."""
        return f"p{100 * self.quantile:g} of measured ÷ estimated"

    @property
    def mix(self) -> frozenset[Bought]:
        """What is bought, whatever the counts."""
        return frozenset(key for key, _ in self.fleet)


@dataclass(frozen=True)
class ConfidenceRange:
    """The plan between a median and a poor outcome of the estimates."""

    median: ConfidenceCase
    planned: ConfidenceCase
    """At the problem's own confidence."""

    low: ConfidenceCase

    rows: tuple[RowWorth, ...] = ()
    """The measurements with the most spend at stake, each left out and solved again; none where
    the plan stands on no measured or published row."""

    @property
    def cases(self) -> tuple[ConfidenceCase, ...]:
        """All three, by falling quantile."""
        return tuple(sorted((self.median, self.planned, self.low), key=lambda c: -c.quantile))

    @property
    def not_reached(self) -> tuple[str, ...]:
        """What the time limit, or solvers that do not agree, left open: cases and measurements."""
        cases = (case.name for case in self.cases if not is_answered(case.plan))
        return (*cases, *(f"without {worth.name}" for worth in self.rows if not worth.is_answered))

    @property
    def mix_changes(self) -> bool | None:
        """Whether other offerings or replica configurations are bought, not only other counts; None
        where one of the three plans is left open."""
        return self._differ({case.mix for case in self.cases})

    @property
    def most_influential(self) -> RowWorth | None:
        """The row without which the cost changes most; one without which there is no plan first."""
        known = (worth for worth in self.rows if worth.plan.status is not Status.NO_PLAN)
        return max(known, key=_influence, default=None)

    @property
    def counts_change(self) -> bool | None:
        """Whether any number of units differs; None where one of the three plans is left open."""
        return self._differ({case.fleet for case in self.cases})

    def _differ(self, seen: Set[object]) -> bool | None:
        return len(seen) > 1 if all(is_answered(case.plan) for case in self.cases) else None


def _influence(worth: RowWorth) -> tuple[bool, float]:
    dearer = worth.dearer_usd_per_month
    return dearer is None, abs(dearer or 0.0)


def confidence_range(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    plan: Plan | None = None,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
) -> ConfidenceRange:
    """`problem` planned again at the median and the 5th percentile of measured ÷ estimated speed.

    catalog: default: the one that the problem names. plan: the one at the problem's own confidence,
    where it is known already; else it is solved as well. time_limit_s: seconds for everything
    together; gap: relative to the score; solver: which engines. These stand for the problem's own
    settings where they are given. A confidence of p90 plans on the 10th percentile.
    The one to three measurements with the most spend at stake are left out as well, one at a time.

    Returns a ConfidenceRange of three plans, each with its costs in USD per month, and of what the
    plan costs without each of those measurements; what there was no time for has no plan, and is
    named in `not_reached`.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import confidence_range, load_problem
    >>> found = confidence_range(load_problem("problems/quickstart.yaml"))
    >>> [case.quantile for case in found.cases], found.low.status.value
    ([0.5, 0.1, 0.05], 'optimal')
    """
    began = began_s()
    known = catalog_for(problem, catalog)
    own = planning_quantile(problem.policy.confidence_share)
    settings = settings_of(problem, time_limit_s=time_limit_s, gap=gap, solver=solver, began=began)

    def planned(asked: Problem, rows: Catalog) -> Plan:
        if time.monotonic() >= settings.ends_s:
            return not_prepared(asked, rows, settings)
        return solve_until(asked, rows, settings, 0, None, diagnose=False)

    def case(quantile: float) -> ConfidenceCase:
        if quantile == own and plan is not None:
            return ConfidenceCase(quantile, plan)
        policy = problem.policy.model_copy(update={"confidence": round(1 - quantile, 12)})
        asked = problem.model_copy(update={"policy": policy})
        return ConfidenceCase(quantile, planned(asked, known))

    here, median, low = case(own), case(MEDIAN), case(LOW)
    rows = row_worths(here.plan, known, lambda fewer: planned(problem, fewer))
    return ConfidenceRange(median=median, planned=here, low=low, rows=tuple(rows))


def weightiest_row(
    problem: Problem,
    plan: Plan,
    catalog: Catalog | None = None,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
) -> RowWorth | None:
    """The measurement that most of a plan's spend stands on, and the plan without it: one solve.

    plan: of `problem`, over catalog, which is the one that the problem names by default.
    time_limit_s, gap, solver: of the one solve, which asks for no next-best plans; where they are
    not given, the problem's own.

    Returns a RowWorth, costs in USD per month; None without a solve where the plan stands on no
    measured or published row, or there is no plan.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import load_problem, solve, weightiest_row
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> worth = weightiest_row(problem, solve(problem))
    >>> worth is None
    True

    It is planned on estimates alone.
    """
    known = catalog_for(problem, catalog)

    def planned(rows: Catalog) -> Plan:
        return solve(
            problem, rows, time_limit_s=time_limit_s, gap=gap, alternatives=0, solver=solver
        )

    return next(row_worths(plan, known, planned, most=1), None)
