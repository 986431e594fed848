"""Renting against paying per token: what each alone would cost, and where they cost the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.sweeps.market import with_billings
from milp_planner.solving.re_solve import Resolver, cash_of, scaled_traffic

PRECISION = 1e-3
"""Relative width of the bracket around the break-even."""

STRIDE = 4.0
MOST_STRIDES = 5
"""How far beyond the factors asked for a break-even is looked for: a thousandfold."""

PER_TOKEN = tuple(mode.name for mode in BILLING_MODES.values() if mode.per_token)


@dataclass(frozen=True)
class FleetOrPerToken:
    """Cash per month of a fleet alone and of per-token offerings alone; None: impossible."""

    fleet_usd: float | None
    per_token_usd: float | None
    is_late: bool = False
    """True where time ended before one of them was known: it may be possible."""

    @property
    def difference(self) -> float | None:
        """How much dearer the fleet is."""
        if self.fleet_usd is None or self.per_token_usd is None:
            return None
        return self.fleet_usd - self.per_token_usd


@dataclass(frozen=True)
class BreakEven:
    """Where a fleet and per-token use cost the same, as a bracket of traffic factors."""

    below: float
    """At this factor per-token use is cheaper."""

    above: float
    """At this factor the fleet is no dearer."""

    cash_usd: float
    """What per-token use costs at `above`, USD/month."""


def fleet_only(problem: Problem) -> Problem | None:
    """The problem without per-token offerings; None where nothing else is allowed."""
    allowed = allowed_billings(problem)
    left = [billing for billing in allowed if billing not in PER_TOKEN]
    if len(left) == len(allowed):
        return problem
    return with_billings(problem, left) if left else None


def per_token_only(problem: Problem) -> Problem:
    """The problem with nothing but per-token offerings, allowed or not."""
    return with_billings(problem, PER_TOKEN)


def split(resolver: Resolver, problem: Problem, plan: Plan | None = None) -> FleetOrPerToken:
    """What a fleet alone and per-token use alone cost; `plan` is the best one, where known."""
    fleet = fleet_only(problem)
    if fleet is problem and plan is not None and plan.cash_usd_per_month is not None:
        rented: _Cash = _Cash(plan.cash_usd_per_month)
    else:
        rented = _Cash(None) if fleet is None else _cash(resolver, fleet)
    tokens = _cash(resolver, per_token_only(problem))
    return FleetOrPerToken(rented.usd, tokens.usd, rented.is_late or tokens.is_late)


class _Cash(NamedTuple):
    """The least cash of a problem; None where it has no plan, or none was found in time."""

    usd: float | None
    is_late: bool = False


def _cash(resolver: Resolver, problem: Problem) -> _Cash:
    answer = resolver.answer(problem)
    usd = None if answer.plan is None else cash_of(answer.plan)
    return _Cash(usd, answer.status is Status.NO_PLAN)


def break_even(
    resolver: Resolver, problem: Problem, known: Sequence[tuple[float, FleetOrPerToken]]
) -> BreakEven | None:
    """The first change from cheap per token to cheap fleet, by halving, to a thousandth.

    `known` are factors already solved, in order. Looks beyond them up to a thousandfold where the
    change is not among them. None when one way is impossible, or is cheaper throughout.
    """

    def at(factor: float) -> FleetOrPerToken:
        return split(resolver, scaled_traffic(problem, factor))

    bracket = _bracket([pair for pair in known if pair[1].difference is not None], at)
    if bracket is None:
        return None
    low, (high, found) = bracket
    while high / low > 1 + PRECISION and resolver.seconds_left > 0:
        middle = math.sqrt(low * high)
        there = at(middle)
        if there.difference is None:
            break
        if there.difference > 0:
            low = middle
        else:
            high, found = middle, there
    assert found.per_token_usd is not None
    return BreakEven(low, high, found.per_token_usd)


def _bracket(
    known: Sequence[tuple[float, FleetOrPerToken]], at: Callable[[float], FleetOrPerToken]
) -> tuple[float, tuple[float, FleetOrPerToken]] | None:
    """A factor at which the fleet is dearer, and one above it at which it is not."""
    dearer = [difference(pair) > 0 for pair in known]
    for i in range(len(known) - 1):
        if dearer[i] and not dearer[i + 1]:
            return known[i][0], known[i + 1]
    if not known:
        return None
    edge = known[-1] if dearer[-1] else known[0]
    step = STRIDE if dearer[-1] else 1 / STRIDE
    for _ in range(MOST_STRIDES):
        further = edge[0] * step, at(edge[0] * step)
        if further[1].difference is None:
            return None
        if (difference(further) > 0) != dearer[-1 if step > 1 else 0]:
            return (edge[0], further) if step > 1 else (further[0], edge)
        edge = further
    return None


def difference(pair: tuple[float, FleetOrPerToken]) -> float:
    """How much dearer the fleet is at a factor where both are possible."""
    assert pair[1].difference is not None
    return pair[1].difference
