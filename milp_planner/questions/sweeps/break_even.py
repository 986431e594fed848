"""Renting against paying per token: what each alone would cost, and where they cost the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from milp_planner.deadline import OutOfTime
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
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


Known = tuple[float, FleetOrPerToken]
"""A factor, and what is known of it."""


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
    return Ways(resolver, problem).at(1.0, plan)


@dataclass(frozen=True)
class Ways:
    """Both ways to serve one problem, at any multiple of its traffic."""

    resolver: Resolver
    problem: Problem

    def at(self, factor: float, plan: Plan | None = None) -> FleetOrPerToken:
        """What each alone costs; `plan` is the best one at this multiple, where known."""
        problem = self.problem if factor == 1 else scaled_traffic(self.problem, factor)
        fleet = fleet_only(problem)
        if fleet is problem and plan is not None and plan.cash_usd_per_month is not None:
            rented: _Cash = _Cash(plan.cash_usd_per_month)
        else:
            rented = _Cash(None) if fleet is None else _cash(self.resolver, fleet)
        tokens = self._tokens(problem, factor)
        return FleetOrPerToken(rented.usd, tokens.usd, rented.is_late or tokens.is_late)

    def _tokens(self, problem: Problem, factor: float) -> _Cash:
        if factor == 1 or not self.tokens_in_proportion:
            return _cash(self.resolver, per_token_only(problem))
        once = _cash(self.resolver, per_token_only(self.problem))
        return once if once.usd is None else _Cash(once.usd * factor)

    @cached_property
    def tokens_in_proportion(self) -> bool:
        """Whether the same shares are the best at every multiple, and cost so many times as much.

        What a program of per-token offerings says is in shares of the traffic, all but what an
        account may ask per minute, a budget, volume discounts, what leaving today's fleet costs,
        and own rules.
        """
        asked = self.problem
        if asked.limits.budget is not None or asked.prices.volume:
            return False
        if asked.current_fleet or asked.rules:
            return False
        try:
            with self.resolver.in_force():
                offered = self.resolver.given_for(per_token_only(asked)).candidates.candidates
        except OutOfTime:
            return False
        return all(k.rate_limit is None for k in offered)


class _Cash(NamedTuple):
    """The least cash of a problem; None where it has no plan, or none was found in time."""

    usd: float | None
    is_late: bool = False


def _cash(resolver: Resolver, problem: Problem) -> _Cash:
    answer = resolver.answer(problem)
    usd = None if answer.plan is None else cash_of(answer.plan)
    return _Cash(usd, answer.status is Status.NO_PLAN)


def break_even(
    resolver: Resolver,
    problem: Problem,
    known: Sequence[tuple[float, FleetOrPerToken]],
    most_strides: int = MOST_STRIDES,
) -> BreakEven | None:
    """The first change from cheap per token to cheap fleet, to a thousandth, both sides solved.

    `known` are factors already solved, in order. Looks beyond them, so many strides of at least a
    factor of four, where the change is not among them. None when one way is impossible, or is
    cheaper throughout.
    """

    at = Ways(resolver, problem).at
    bracket = _bracket([pair for pair in known if pair[1].difference is not None], at, most_strides)
    if bracket is None:
        return None
    low, high = bracket
    for middle in _middles(resolver):
        if high[0] / low[0] <= 1 + PRECISION:
            break
        there = middle(low, high)
        found = at(there)
        if found.difference is None:
            break
        if found.difference > 0:
            low = there, found
        else:
            high = there, found
    assert high[1].per_token_usd is not None
    return BreakEven(low[0], high[0], high[1].per_token_usd)


def _middles(resolver: Resolver) -> Iterator[Callable[[Known, Known], float]]:
    """Where in a bracket to look next, in turn, as long as there is time."""
    while resolver.seconds_left > 0:
        yield _where_tokens_cost_as_much
        yield _just_below
        yield _half_way


def _where_tokens_cost_as_much(low: Known, high: Known) -> float:
    """Where per token costs what the fleet at the lower side does: as a rule a fleet costs no less
    with more traffic, and tokens cost in proportion, so nothing below it breaks even. A little
    above it, so that what is equal there is seen to be."""
    there = low[0] * _ratio(low) * (1 + PRECISION / 2)
    return there if low[0] < there < high[0] else _half_way(low, high)


def _just_below(low: Known, high: Known) -> float:
    """A thousandth below the upper side: where the fleet is dearer, nothing is left to look for."""
    there = high[0] / (1 + PRECISION)
    return there if low[0] < there else _half_way(low, high)


def _half_way(low: Known, high: Known) -> float:
    return math.sqrt(low[0] * high[0])


def _bracket(
    known: Sequence[Known], at: Callable[[float], FleetOrPerToken], most_strides: int
) -> tuple[Known, Known] | None:
    """A factor at which the fleet is dearer, and one above it at which it is not."""
    within = _change_among(known)
    if within is not None or not known:
        return within
    upwards = difference(known[-1]) > 0
    edge = known[-1] if upwards else known[0]
    for _ in range(most_strides):
        factor = edge[0] * _stride(edge, upwards=upwards)
        further = factor, at(factor)
        if further[1].difference is None:
            return None
        if (difference(further) > 0) is not upwards:
            return (edge, further) if upwards else (further, edge)
        edge = further
    return None


def _change_among(known: Sequence[Known]) -> tuple[Known, Known] | None:
    for low, high in pairwise(known):
        if difference(low) > 0 >= difference(high):
            return low, high
    return None


def beyond(known: Sequence[Known]) -> float | None:
    """The factor to look at next, where no two of those known have a break-even between them."""
    both = [pair for pair in known if pair[1].difference is not None]
    if not both or _change_among(both) is not None:
        return None
    upwards = difference(both[-1]) > 0
    edge = both[-1] if upwards else both[0]
    return edge[0] * _stride(edge, upwards=upwards)


def _stride(edge: Known, *, upwards: bool) -> float:
    """To where tokens cost what the fleet does here, and at least a factor of four."""
    return max(STRIDE, _ratio(edge)) if upwards else min(1 / STRIDE, _ratio(edge))


def _ratio(pair: Known) -> float:
    """How many times per token the fleet costs; 1 where that is not a number."""
    fleet, tokens = pair[1].fleet_usd, pair[1].per_token_usd
    return fleet / tokens if fleet and tokens else 1.0


def difference(pair: Known) -> float:
    """How much dearer the fleet is at a factor where both are possible."""
    assert pair[1].difference is not None
    return pair[1].difference
