"""How far a plan rests on estimates: the same problem solved at other quantiles of their error."""

from __future__ import annotations

from dataclasses import dataclass

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.row_worth import RowWorth, row_worths
from milp_planner.questions.solve import solve
from milp_planner.serving.derate import planning_quantile
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for

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
    def mix_changes(self) -> bool:
        """Whether other offerings or replica configurations are bought, not only other counts."""
        return len({case.mix for case in self.cases}) > 1

    @property
    def most_influential(self) -> RowWorth | None:
        """The row without which the cost changes most; one without which there is no plan first."""
        return max(self.rows, key=_influence, default=None)

    @property
    def counts_change(self) -> bool:
        """Whether any number of units differs."""
        return len({case.fleet for case in self.cases}) > 1


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
    where it is known already; else it is solved as well. time_limit_s: seconds for each solve; gap:
    relative to the score; solver: which engines. These stand for the problem's own settings where
    they are given. A confidence of p90 plans on the 10th percentile.
    The one to three measurements with the most spend at stake are left out as well, one at a time,
    as long as the time limit leaves time to begin.

    Returns a ConfidenceRange of three plans, each with its costs in USD per month, and of what the
    plan costs without each of those measurements.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import confidence_range, load_problem
    >>> found = confidence_range(load_problem("problems/quickstart.yaml"))
    >>> [case.quantile for case in found.cases], found.low.status.value
    ([0.5, 0.1, 0.05], 'optimal')
    """
    known = catalog_for(problem, catalog)
    own = planning_quantile(problem.policy.confidence_share)

    def planned(asked: Problem, rows: Catalog) -> Plan:
        return solve(asked, rows, time_limit_s=time_limit_s, gap=gap, alternatives=0, solver=solver)

    def case(quantile: float) -> ConfidenceCase:
        if quantile == own and plan is not None:
            return ConfidenceCase(quantile, plan)
        policy = problem.policy.model_copy(update={"confidence": round(1 - quantile, 12)})
        asked = problem.model_copy(update={"policy": policy})
        return ConfidenceCase(quantile, planned(asked, known))

    here = case(own)
    limit_s = problem.solver.time_limit_s if time_limit_s is None else time_limit_s
    rows = row_worths(here.plan, known, lambda fewer: planned(problem, fewer), limit_s)
    return ConfidenceRange(median=case(MEDIAN), planned=here, low=case(LOW), rows=rows)


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

    return next(iter(row_worths(plan, known, planned, None, most=1)), None)
