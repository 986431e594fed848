"""Which waits of a plan, and whole requests, take longer than wished."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from milp_planner.candidates.queues import pool_of, queue_wishes
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.inputs.problem.policies import has_one_router, may_fall_short
from milp_planner.plans.losses import NOTHING_SERVED, SURVIVAL_GROUPS
from milp_planner.plans.records import Plan, Route
from milp_planner.serving.queues.pools import Pool, QueueWish, keeps


class Left(NamedTuple):
    """What a workload has in a block: everything, or what a loss leaves."""

    load: float
    lost: str = ""
    group_of: Callable[[Candidate], str] = lambda k: ""

    def has(self, k: Candidate) -> bool:
        """True where it still has `k`."""
        return not self.lost or self.group_of(k) != self.lost

    @property
    def said(self) -> str:
        """Which loss, in words."""
        return f" without {self.lost}" * bool(self.lost)


def left_of(
    instance: PlanningInput, candidates: Iterable[Candidate], workload: str, t: int
) -> Iterator[Left]:
    """The whole fleet with the load of a block, and what is left of both after each loss."""
    load, survival = instance.schedule.demands[workload].peak[t], instance.problem.limits.survival
    yield Left(load)
    if survival is not None:
        group_of = SURVIVAL_GROUPS[survival.kind]
        for group in sorted({group_of(k) for k in candidates} - {""}):
            yield Left(survival.share * load, group, group_of)


class BrokenTime(NamedTuple):
    """A wish that a pool of a plan does not keep."""

    workload: str
    block: int
    pool: Pool
    load: float
    wish: TimeWish
    asked: QueueWish
    left: Left
    """Which loss it is after, if any."""


def broken_times(instance: PlanningInput, plan: Plan) -> Iterator[BrokenTime]:
    """Every wish, block and loss in which a time is too long for those that are served."""
    for w in instance.problem.workloads:
        if not has_one_router(instance.problem, w):
            continue
        mine = list(plan.purchases_of(w.name))
        wishes = queue_wishes(instance, w.name)
        shares = served_shares(instance, plan.routes, w.name) if wishes else []
        for (wish, asked), (t, share) in itertools.product(wishes, enumerate(shares)):
            whole = pool_of(((p.candidate, p.units_by_block[t]) for p in mine), asked)
            if share <= NOTHING_SERVED or whole is None:
                continue
            for left in left_of(instance, [p.candidate for p in mine], w.name, t):
                rest = [p for p in mine if left.has(p.candidate)]
                left_on = ((p.candidate, p.units_by_block[t]) for p in rest)
                pool = pool_of(left_on, asked) or NOTHING
                load = share * left.load
                if not keeps(pool, load, asked):
                    yield BrokenTime(w.name, t, pool, load, wish, asked, left)


def served_shares(instance: PlanningInput, routes: Iterable[Route], workload: str) -> list[float]:
    """The share of a workload's requests that is served, by block; 0 in a block without any."""
    peak = instance.schedule.demands[workload].peak
    if not may_fall_short(instance.problem):
        return [float(load > 0) for load in peak]
    served: dict[str, float] = {}
    for route in routes:
        if route.candidate.workload == workload:
            part = route.share * route.request_class.share
            served[route.block.name] = served.get(route.block.name, 0.0) + part
    return [min(1.0, served.get(block.name, 0.0)) for block in instance.schedule.blocks]


def unlike_shares(instance: PlanningInput, plan: Plan) -> Iterator[str]:
    """Blocks in which one router serves more of a class than of another."""
    for w in instance.problem.workloads if may_fall_short(instance.problem) else ():
        classes = instance.schedule.demands[w.name].classes
        for block in plan.blocks if has_one_router(instance.problem, w) else ():
            served = dict.fromkeys((q.name for q in classes), 0.0)
            for route in plan.routes_of(w.name, block.name):
                served[route.request_class.name] += route.share
            least, most = min(served.values()), max(served.values())
            if most - least > NOTHING_SERVED:
                yield (
                    f"workload {w.name!r} serves {least:.6g} of one class in block {block.name} "
                    f"and {most:.6g} of another, behind one router"
                )


NOTHING = Pool(0.0, 0.0, 1.0)
