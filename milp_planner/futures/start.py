"""Commitments for where time ends early: the best of what plans for single futures are made of.

The plan of each future by itself is in hand before the program over all of them begins. Over the
candidates of those plans alone that program is small, and feasible nearly everywhere: what others
are committed to stands by, and each future may rent what its own plan rents.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import sparing
from milp_planner.futures.blocks import FuturesAnswer
from milp_planner.futures.optimum import FuturesOptimizer
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import KeptInFutures, Key, binds
from milp_planner.plans.records import Status
from milp_planner.solving.results import SearchResult, Session

JOINT_SHARE = 0.8
"""Of the time left, for the program over all futures; what it leaves is for the small one."""

SMALL_S = 0.5
"""What the small program has at least, of a processor to be built and then to be solved."""


def kept_of_plans(
    instances: Sequence[PlanningInput], alone: Sequence[SearchResult]
) -> KeptInFutures:
    """The candidates that plans of single futures buy, in every future, to rent and to bind."""
    plans = [one.plan for one in alone if one.plan is not None]
    bought = {_what(p.candidate) for plan in plans for p in plan.purchases}
    mine = [[k for k in i.candidates.candidates if _what(k) in bought] for i in instances]
    rentals = tuple(tuple(k for k in kept if not binds(k)) for kept in mine)
    offered: list[dict[Key, tuple[Candidate, ...]]] = []
    for kept in mine:
        bound = [k for k in kept if binds(k)]
        keys = {k.offering.key for k in bound}
        offered.append({key: tuple(k for k in bound if k.offering.key == key) for key in keys})
    everywhere = set(offered[0]).intersection(*offered[1:])
    shared = tuple({key: own for key, own in one.items() if key in everywhere} for one in offered)
    return KeptInFutures(rentals, shared)


def _what(k: Candidate) -> tuple[object, ...]:
    """What a candidate serves with, whatever the terms: what is bound for one future is rented in
    another."""
    offering = k.offering.key[0].replace(f"+quote{getattr(k.offering, 'quote', 0)}/", "/")
    replica = k.deployment, k.precision, k.tensor_parallel, k.pipeline_parallel, k.units_joined
    return k.workload, offering, *replica


def best_in_time(
    optimizer: FuturesOptimizer, measure: Measure, alone: Sequence[SearchResult]
) -> FuturesAnswer:
    """The best commitments, by the program over all futures; where time ends before its proof, the
    better of what it found and of what the small program finds, with a bound.
    """
    whole = optimizer.session
    ends_s = whole.ends_s - (1 - JOINT_SHARE) * whole.seconds_left
    found = optimizer.best(measure, session=Session(ends_s, whole.cancel))
    if found.status is Status.INFEASIBLE or found.is_proven(optimizer.settings.gap):
        return found
    small = replace(optimizer, kept=kept_of_plans(optimizer.instances, alone), _blocks={})
    return _better(found, start(small, measure, alone))


def start(
    small: FuturesOptimizer, measure: Measure, alone: Sequence[SearchResult]
) -> FuturesAnswer:
    """The best commitments over the candidates of `kept_of_plans`, as such: no proof."""
    whole = small.session
    ends_s = max(whole.ends_s, time.monotonic() + SMALL_S)
    with sparing(SMALL_S):
        found = small.best(measure, alone=True, session=Session(ends_s, whole.cancel))
    status = Status.FEASIBLE if found.plans else Status.NO_PLAN
    return replace(found, status=status, bound_usd=perfect_usd(measure, alone))


def perfect_usd(measure: Measure, alone: Sequence[SearchResult]) -> float | None:
    """What is minimised where every future is known beforehand: nothing comes to less.

    No measure falls where a future counts more, and none counts less than its own bound.
    """
    bounds = [one.bound for one in alone]
    known = [bound for bound in bounds if bound is not None]
    if len(known) < len(bounds):
        return None
    counted = [usd + c for usd, c in zip(known, measure.constants, strict=True)]
    return measure.minimised(counted)


def _better(found: FuturesAnswer, other: FuturesAnswer) -> FuturesAnswer:
    """The cheaper of the two, with the higher bound, and the proof that was looked for."""
    bounds = [one for one in (found.bound_usd, other.bound_usd) if one is not None]
    bound = max(bounds, default=None)
    mine, its = found.minimised_usd, other.minimised_usd
    is_better = its is not None and (mine is None or its < mine)
    return replace(other if is_better else found, bound_usd=bound, proof=found.proof)
