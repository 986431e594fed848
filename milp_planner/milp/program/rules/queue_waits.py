"""How long a share of the requests may queue before a replica admits them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from milp_planner.candidates.queues import pool_of, wait_wishes
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import SHARES, TimeWish
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.loosening import SteppedLimit, Values
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import (
    Fleet,
    QueueCut,
    Terms,
    add,
    ceil_snapped,
)
from milp_planner.milp.program.rules.latency_wishes import later, time_shown, time_step_ms
from milp_planner.plans.losses import SURVIVAL_GROUPS
from milp_planner.plans.records import Plan
from milp_planner.serving.queues.pools import (
    Pool,
    WaitWish,
    cut_of,
    keeps,
    quantile_s,
    times_needed,
)

FIRST_CUTS = 3
"""Kinds of replicas, cheapest first, at whose pools a fresh program has a tangent."""


class QueueWaits(Rule):
    """A share of the requests waits no longer than wished, behind one router.

    All replicas of a workload are one pool (C, K) that least-in-flight routing fills evenly. What
    it must be is convex at the load of a block, and said by tangents (`serving/queues/pools.py`):

        Σ_k min(1, g_C μ_k + g_K S_k) n_kt ≥ 1                                     ∀ w, t, tangents

    A tangent for replicas that are no faster when emptier, φ above that of others, holds where one
    of them is on:

        Σ_k min(1, …) n_kt ≥ y_φt,   n_klt ≤ N_k y_φt for the k of φ or more

    So it is for what is left after a loss that must be survived, at the share to be served.

    The program begins with tangents at pools of the cheapest replicas, and is refined by those that
    a plan breaks, until none does: see `refinement.py`.
    """

    keys = frozenset(f"workloads.latency.wait.{percentile}" for percentile in SHARES)
    nearness = 4
    solved_apart = True

    def columns(self, fleet: Fleet) -> None:
        for w in fleet.problem.workloads:
            phis = _phis(fleet.gpu_candidates(w.name))
            for t in fleet.busy(w.name) if w.latency.judges_queues else ():
                for phi in phis[1:]:
                    said = f"on[{w.name} {fleet.blocks[t].name} phi {phi:g} or more]"
                    fleet.used[self.name, _used(w.name, t, phi)] = fleet.column(said, 1)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if not w.latency.judges_queues:
                continue
            phis = _phis(fleet.gpu_candidates(w.name))
            known = dict.fromkeys((*_first_cuts(fleet, w.name), *fleet.cuts.get(w.name, ())))
            for t in fleet.busy(w.name):
                for left in _left(fleet.instance, fleet.gpu_candidates(w.name), w.name, t):
                    mine = [one for one in known if one.load == left.load]
                    for number, one in enumerate(mine):
                        yield from self._cut(fleet, w.name, t, one, phis, left, number)
                yield from self._used_rows(fleet, w.name, t, phis)

    def _cut(
        self,
        fleet: Fleet,
        workload: str,
        t: int,
        one: QueueCut,
        phis: list[float],
        left: _Left,
        number: int,
    ) -> Iterator[Row]:
        higher = [phi for phi in phis if phi >= one.alone]
        if not higher:
            return  # for replicas that are not there
        terms: Terms = {}
        for k in fleet.gpu_candidates(workload):
            gives = one.per_rate * k.mix_requests_per_second + one.per_place * k.places_per_unit
            for _, units in fleet.units_on(k, t) if left.has(k) else ():
                add(terms, units, min(1.0, gives))
        right = 1.0
        if higher[0] != phis[0]:
            terms[fleet.used[self.name, _used(workload, t, higher[0])]] = -1.0
            right = 0.0
        yield Row(f"{workload} {t} {number}{left.said}", terms, GE, right)

    def _used_rows(self, fleet: Fleet, workload: str, t: int, phis: list[float]) -> Iterator[Row]:
        for phi in phis[1:]:
            used = fleet.used[self.name, _used(workload, t, phi)]
            for k in fleet.gpu_candidates(workload):
                if k.held is not None and k.held.alone >= phi:
                    for _, units in fleet.units_on(k, t):
                        terms = {units: 1.0, used: -fleet.most_units(k)}
                        yield Row(f"{workload} {t} phi {phi:g} {units.name}", terms, LE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        for broken in broken_waits(instance, plan):
            reached = quantile_s(broken.pool, broken.load, broken.asked)
            found = "endless" if math.isinf(reached) else time_shown(1000 * reached)
            yield (
                f"workload {broken.workload!r}: {broken.wish.percentile} of the wait is {found} in "
                f"block {plan.blocks[broken.block].name}{broken.said}, longer than "
                f"{time_shown(1000 * broken.wish.wished_s)}"
            )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in holds as many requests, and is as fast when it is emptier."""
        if k.held is None:
            return FREE
        return Standing(same=(k.held.alone,), gives=(float(k.places_per_unit),))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that keep all waits at the highest peak."""
        if k.held is None:
            return 0
        load = fleet.demand(k.workload).highest_peak
        pool = pool_of([(k, 1)])
        assert pool is not None
        wishes = wait_wishes(fleet.instance, k.workload)
        needed = (times_needed(pool, load, asked) for _, asked in wishes)
        return ceil_snapped(max(needed, default=0.0))

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for w in instance.problem.workloads:
            for wish, asked in wait_wishes(instance, w.name):
                yield _longer(instance, w, wish, asked)


class _Left(NamedTuple):
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


def _left(
    instance: PlanningInput, candidates: Iterable[Candidate], workload: str, t: int
) -> Iterator[_Left]:
    load, survival = instance.schedule.demands[workload].peak[t], instance.problem.limits.survival
    yield _Left(load)
    if survival is not None:
        group_of = SURVIVAL_GROUPS[survival.kind]
        for group in sorted({group_of(k) for k in candidates} - {""}):
            yield _Left(survival.share * load, group, group_of)


class BrokenWait(NamedTuple):
    """A wish that a pool of a plan does not keep."""

    workload: str
    block: int
    pool: Pool
    load: float
    wish: TimeWish
    asked: WaitWish
    said: str
    """Which loss it is after, in words; '' where nothing is lost."""


def broken_waits(instance: PlanningInput, plan: Plan) -> Iterator[BrokenWait]:
    """Every wish, block and loss in which a wait is too long."""
    for w in instance.problem.workloads:
        mine = list(plan.purchases_of(w.name))
        for wish, asked in wait_wishes(instance, w.name):
            for t, load in enumerate(instance.schedule.demands[w.name].peak):
                whole = pool_of((p.candidate, p.units_by_block[t]) for p in mine)
                if load <= 0 or whole is None:
                    continue
                for left in _left(instance, [p.candidate for p in mine], w.name, t):
                    rest = [p for p in mine if left.has(p.candidate)]
                    pool = pool_of((p.candidate, p.units_by_block[t]) for p in rest)
                    # it is taken to be no faster when emptier than with what is lost
                    pool = NOTHING if pool is None else pool._replace(alone=whole.alone)
                    if not keeps(pool, left.load, asked):
                        yield BrokenWait(w.name, t, pool, left.load, wish, asked, left.said)


NOTHING = Pool(0.0, 0.0, 1.0)


def cuts_broken(instance: PlanningInput, plan: Plan) -> Iterator[tuple[str, QueueCut]]:
    """(workload, tangent) that the plan's pools break."""
    for one in broken_waits(instance, plan):
        if one.pool.full_rate > 0:
            cut = cut_of(one.pool, one.load, one.asked)
            yield one.workload, QueueCut(one.load, one.pool.alone, *cut)


def _first_cuts(fleet: Fleet, workload: str) -> Iterator[QueueCut]:
    cheapest: dict[Pool, float] = {}
    for k in fleet.gpu_candidates(workload):
        pool = pool_of([(k, 1 / k.mix_requests_per_second)])
        if pool is not None:
            usd = k.usd_per_hour / k.mix_requests_per_second
            cheapest[pool] = min(usd, cheapest.get(pool, math.inf))
    first = sorted(cheapest, key=lambda pool: (cheapest[pool], pool))[:FIRST_CUTS]
    loads = {
        left.load
        for t in fleet.busy(workload)
        for left in _left(fleet.instance, fleet.gpu_candidates(workload), workload, t)
    }
    for _, asked in wait_wishes(fleet.instance, workload):
        for load in sorted(loads):
            for pool in first:
                yield QueueCut(load, pool.alone, *cut_of(pool, load, asked))


def _phis(candidates: Iterable[Candidate]) -> list[float]:
    return sorted({k.held.alone for k in candidates if k.held is not None})


def _used(workload: str, t: int, phi: float) -> str:
    return f"{workload} {t} {phi:g}"


def _longer(instance: PlanningInput, w: Workload, wish: TimeWish, asked: WaitWish) -> SteppedLimit:
    path = f"workloads.{w.name}.latency.wait.{wish.percentile}"
    held = {k.id: k for k in instance.candidates.candidates}

    def needed_s(plan: Plan) -> float:
        longest = 0.0
        for t, load in enumerate(instance.schedule.demands[w.name].peak):
            mine = [p for p in plan.purchases_of(w.name) if p.candidate.id in held]
            pool = pool_of((held[p.candidate.id], p.units_by_block[t]) for p in mine)
            if load > 0 and pool is not None:
                longest = max(longest, quantile_s(pool, load, asked))
        return longest

    stated = w.latency.wait.wishes if w.latency.wait is not None else ()
    found = later(w, path, f"{wish.percentile} wait", wish.wished_s, needed_s)
    shorter = [one.wished_s for one in stated if one.share < wish.share]
    longer = [one.wished_s for one in stated if one.share > wish.share]
    step_s = time_step_ms(wish.wished_s) / 1000

    def between(steps: Iterable[int]) -> Values:
        """Those that do not make another percentile say nothing."""
        low, high = max(shorter, default=0.0), min(longer, default=math.inf)
        return [n for n in steps if low < n * step_s * (1 - 1e-9) and n * step_s < high]

    return replace(
        found,
        free=found.free if len(stated) > 1 else {f"workloads.{w.name}.latency.wait": None},
        looser=lambda plan: between(found.looser(plan)),
        tighter=between(found.tighter),
    )
