"""What other budgets and other traffic would buy: a few points each, every one solved.

They come last, and are the first to go where time or work ends. What does not fit any more is left
out and said, never guessed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from milp_planner.inputs.reading.field_types import LEAST_USD
from milp_planner.plans.records import Plan, Status
from milp_planner.plans.sheet.other_parts import (
    BudgetStair,
    BudgetStaircase,
    TrafficCurve,
    TrafficPoint,
)
from milp_planner.questions.choices.usual import Asking
from milp_planner.questions.sweeps.break_even import (
    BreakEven,
    FleetOrPerToken,
    Known,
    Ways,
    beyond,
    break_even,
)
from milp_planner.questions.sweeps.frontier import (
    MOST_USD,
    BudgetStep,
    cheapest_plan,
    steps_at,
    with_budget,
)
from milp_planner.solving.re_solve import (
    Resolver,
    cash_of,
    fleet_line,
    scaled_traffic,
    served_share,
)

FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Multiples of the traffic that are planned."""

BUDGET_SHARES = (0.25, 0.5, 0.75)
"""Shares of the least budget that serves everything, of which it is told what they serve."""

MOST_S = 4.0
"""Seconds that all of it may take, where the clock decides."""

SOLVES_A_FACTOR = 3
"""Programs that one multiple of the traffic takes: the plan, a fleet alone, tokens alone."""

SOLVES_A_BUDGET = 3
"""Programs that one short budget takes: the worst share, all shares, the cost."""

SOLVES_A_BREAK_EVEN = 10
"""Programs that a break-even takes, as a rule."""


def curves_of(asking: Asking) -> tuple[TrafficCurve | None, BudgetStaircase | None]:
    """The costs of other traffic, then what smaller budgets serve; None of what was not reached.

    Traffic is not asked where a budget leaves requests unserved: there more of it costs the same.
    """
    resolver = asking.resolver
    if asking.most_columns is None:
        resolver = resolver.for_at_most(MOST_S)
    is_served = served_share(asking.plan) == 1
    traffic = _traffic(asking, resolver) if is_served else None
    return traffic, _budgets(asking, resolver)


def _traffic(asking: Asking, resolver: Resolver) -> TrafficCurve | None:
    """Every factor, and the break-even; None where there is no time or work for all factors."""
    points = sorted(_points(asking, resolver), key=lambda one: one.factor)
    if len(points) < len(FACTORS):
        return None
    even, looked = _break_even(asking, resolver, [(one.factor, one.parts) for one in points])
    tokens = asking.plan.tokens_per_month or None
    return TrafficCurve(
        points=tuple(_told(one, tokens) for one in points),
        break_even_factor=None if even is None else even.above,
        break_even_tokens_per_month=None if even is None or not tokens else tokens * even.above,
        break_even_usd_per_month=None if even is None else even.cash_usd,
        looked_from_factor=min(looked),
        looked_to_factor=max(looked),
    )


class _Point(NamedTuple):
    """One multiple of the traffic, solved."""

    factor: float
    plan: Plan | None
    parts: FleetOrPerToken


def _points(asking: Asking, resolver: Resolver) -> Iterator[_Point]:
    """The factors, as many as time and work allow; the plan's own costs nothing to know."""
    ways = Ways(resolver, asking.problem)
    for factor in sorted(FACTORS, key=lambda factor: factor != 1):
        problem = asking.problem if factor == 1 else scaled_traffic(asking.problem, factor)
        if resolver.is_stopped or not asking.has_work_left(resolver.instance, SOLVES_A_FACTOR):
            return
        answer = resolver.answer(problem) if factor != 1 else None
        plan = asking.plan if answer is None else answer.plan
        parts = ways.at(factor, plan)
        if parts.is_late or (answer is not None and answer.status is Status.NO_PLAN):
            return
        yield _Point(factor, plan, parts)


def _told(one: _Point, tokens: float | None) -> TrafficPoint:
    return TrafficPoint(
        factor=one.factor,
        tokens_per_month=tokens and tokens * one.factor,
        cash_usd_per_month=None if one.plan is None else cash_of(one.plan),
        fleet_usd_per_month=one.parts.fleet_usd,
        per_token_usd_per_month=one.parts.per_token_usd,
        fleet="" if one.plan is None else fleet_line(one.plan),
    )


def _break_even(
    asking: Asking, resolver: Resolver, known: Sequence[Known]
) -> tuple[BreakEven | None, tuple[float, ...]]:
    """The break-even among the factors, or up to one beyond them; and all factors looked at."""
    further = beyond(known)
    if further is not None and asking.has_work_left(resolver.instance, SOLVES_A_FACTOR):
        parts = Ways(resolver, asking.problem).at(further)
        if parts.difference is not None:
            known = sorted([*known, (further, parts)], key=lambda pair: pair[0])
    looked = tuple(factor for factor, _ in known)
    if not asking.has_work_left(resolver.instance, SOLVES_A_BREAK_EVEN):
        return None, looked
    return break_even(resolver, asking.problem, known, most_strides=0), looked


def _budgets(asking: Asking, resolver: Resolver) -> BudgetStaircase | None:
    """What shares of the least budget that serves everything would serve; None where that budget
    is not known, or none of them was reached.

    Shared out as the problem says for a short budget, else fairly over the workloads.
    """
    limit = asking.problem.limits.budget
    short = limit.when_short if limit else "fail"
    budgeted = with_budget(asking.problem, MOST_USD, "fair" if short == "fail" else short)
    resolver = replace(resolver, instance=replace(resolver.instance, problem=budgeted))
    if resolver.is_stopped or not asking.has_work_left(resolver.instance):
        return None
    cheapest = cheapest_plan(resolver)
    if cheapest is None or not cash_of(cheapest):
        return None
    found = [*_stairs(asking, resolver, cash_of(cheapest))]
    if not found:
        return None
    if served_share(asking.plan) < 1:
        found.append(_stair_of(asking.plan))
    found = sorted({round(one.usd_per_month, 2): one for one in found}.values(), key=_dollars)
    return BudgetStaircase(
        steps=(*found, _stair_of(cheapest)),
        smallest_usd_per_month=cash_of(cheapest),
        complete=False,
    )


def _stairs(asking: Asking, resolver: Resolver, smallest_usd: float) -> Iterator[BudgetStair]:
    """What the shares of a budget buy, the smallest first; those that buy nothing say nothing."""
    budgets = itertools.takewhile(
        lambda _: asking.has_work_left(resolver.instance, SOLVES_A_BUDGET),
        (usd for share in BUDGET_SHARES if (usd := share * smallest_usd) >= LEAST_USD),
    )
    for step in steps_at(resolver, budgets, smallest_usd):
        if isinstance(step, BudgetStep) and step.served_share > 0:
            yield _stair_of(step.plan)


def _stair_of(plan: Plan) -> BudgetStair:
    return BudgetStair(
        usd_per_month=cash_of(plan), served_share=served_share(plan), fleet=fleet_line(plan)
    )


def _dollars(stair: BudgetStair) -> float:
    return stair.usd_per_month
