"""What the measurement that most of a plan stands on is worth: the same, solved without it."""

from __future__ import annotations

from milp_planner.deadline import OutOfTime
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.comparisons import ChoicesAsked
from milp_planner.plans.records import Plan, Status
from milp_planner.plans.sheet.other_parts import RowLeftOut
from milp_planner.questions.choices.usual import Asking
from milp_planner.questions.row_worth import row_worths
from milp_planner.questions.solve import solve_prepared
from milp_planner.solving.prepare import prepare
from milp_planner.solving.re_solve import Resolver

MOST_S = 4.0
"""Seconds that it may take, where the clock decides."""


def row_left_out(asking: Asking) -> RowLeftOut | None:
    """The row with the most spend at stake, and the plan without it; None where the plan stands on
    none, or where time or work ended before it was known."""
    resolver = asking.resolver
    if asking.most_columns is None:
        resolver = resolver.for_at_most(MOST_S)
    if resolver.is_stopped or not asking.has_work_left(resolver.instance):
        return None
    try:
        with resolver.in_force():
            given = asking.plan, asking.catalog, lambda rows: _without(resolver, rows)
            worths = [*row_worths(*given, most=1)]  # solved here, where the limits are in force
    except (OutOfTime, InputError):
        return None
    for worth in worths:
        if worth.plan.status is not Status.NO_PLAN:
            return RowLeftOut(
                name=worth.name,
                what=worth.what,
                at_stake_usd_per_month=worth.at_stake_usd_per_month,
                status=worth.plan.status.value,
                cash_usd_per_month=worth.plan.cash_usd_per_month,
                extra_usd_per_month=worth.dearer_usd_per_month,
            )
    return None


def _without(resolver: Resolver, rows: Catalog) -> Plan:
    plain = resolver.problem.model_copy(update={"choices": ChoicesAsked()})
    return solve_prepared(prepare(plain, rows), resolver.settings)
