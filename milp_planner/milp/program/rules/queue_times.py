"""How long a share of the requests may queue, and be on their way in all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.queues import pool_of, queue_wishes, slowness_s, words_of
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import SHARES, TimeWish
from milp_planner.inputs.problem.policies import has_one_router
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.queue_cuts import (
    Trait,
    counts,
    counts_at,
    cut_for_all,
    cut_for_some,
    is_for,
    misses,
    others_count,
    traits_of,
)
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import (
    Fleet,
    QueueCut,
    Terms,
    add,
    ceil_snapped,
)
from milp_planner.milp.program.rules.latency_wishes import of_wish, time_shown
from milp_planner.plans.losses import SURVIVAL_GROUPS
from milp_planner.plans.records import Plan
from milp_planner.serving.queues.pools import (
    PHI_STEP,
    Pool,
    QueueWish,
    keeps,
    reached_s,
    times_enough,
)

FIRST_CUTS = 1
"""Kinds of replicas, cheapest first, at whose pools a fresh program has a cut."""

METRICS = ("wait", "request")
PHI_STEPS = round(1 / PHI_STEP)


class QueueTimes(Rule):
    """Waits, and whole requests, take no longer than wished, behind one router.

    All replicas of a workload are one pool (C, K) that least-in-flight routing fills evenly. What
    it must be is convex at the load of a block, and said by tangents (`serving/queues/pools.py`),
    by which every pool has enough replicas, each counted as in the best pool that may have it
    (`language/queue_cuts.py`):

        Σ_k min(1, max_j (g_Cj μ_k + g_Kj S_k)) n_kt ≥ 1                             ∀ w, t, cuts

    A pool of unlike replicas must have more: a tangent of those that are no faster when emptier,
    φ above that of others, or slower when full, s above that of others, holds where one is on:

        Σ_k min(1, g_C μ_k + g_K S_k) n_kt ≥ 1 − (1 − ρ) ((1 − y_φt) + (1 − y_st))
        n_klt ≤ N_k y_φt for the k of φ or more,   n_klt ≤ N_k y_st for the k of s or more

    with ρ what pools without them have there. So it is for what is left after a loss that must be
    survived, at the share to be served. The program begins with cuts at pools of the cheapest
    replicas, and is refined by those that its relaxation, and then its plans, break: see
    `refinement.py`.
    """

    keys = frozenset(
        f"workloads.latency.{metric}{of}"
        for metric in METRICS
        for of in ("", *(f".{percentile}" for percentile in SHARES))
    )
    nearness = 4
    solved_apart = True

    def columns(self, fleet: Fleet) -> None:
        for w in fleet.problem.workloads:
            judged = fleet.cuts.get(w.name) and has_one_router(fleet.problem, w)
            for t in fleet.busy(w.name) if judged else ():
                for trait, value in _told_apart(fleet, w, t):
                    said = f"on[{w.name} {fleet.blocks[t].name} {trait.name} {value:g} or more]"
                    used = fleet.column(said, 1)
                    fleet.used[self.name, trait.used(w.name, t, value)] = used

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if not has_one_router(fleet.problem, w):
                continue
            candidates = fleet.gpu_candidates(w.name)
            traits = traits_of(w, candidates)
            known = dict.fromkeys((*_first_cuts(fleet, w), *fleet.cuts.get(w.name, ())))
            cuts = [_Counted.of(one, candidates) for one in known if is_for(one, candidates)]
            for t in fleet.busy(w.name):
                for left in _left(fleet.instance, candidates, w.name, t):
                    mine = [one for one in cuts if one.cut.load == left.load]
                    for number, one in enumerate(mine):
                        yield from self._cut(fleet, w.name, t, one, traits, left, number)
                yield from self._used_rows(fleet, w, t)

    def _cut(
        self,
        fleet: Fleet,
        workload: str,
        t: int,
        one: _Counted,
        traits: tuple[Trait, Trait],
        left: Left,
        number: int,
    ) -> Iterator[Row]:
        terms: Terms = {}
        for k, gives in one.gives:
            for _, units in fleet.units_on(k, t) if left.has(k) else ():
                add(terms, units, gives)
        right, only = 1.0, one.cut.only
        for trait, value in zip(traits, (only.alone, only.slowest_s), strict=True) if only else ():
            higher = trait.from_on(value)
            if not higher:
                return  # for replicas that are not there
            if higher[0] != trait.values[0]:
                terms[fleet.used[self.name, trait.used(workload, t, higher[0])]] = one.others - 1.0
                right += one.others - 1.0
        yield Row(f"{workload} {t} {number}{left.said}", terms, GE, right)

    def _used_rows(self, fleet: Fleet, w: Workload, t: int) -> Iterator[Row]:
        for trait, value in _told_apart(fleet, w, t):
            used = fleet.used[self.name, trait.used(w.name, t, value)]
            for k in fleet.gpu_candidates(w.name):
                for _, units in fleet.units_on(k, t) if trait.of(k) >= value else ():
                    terms = {units: 1.0, used: -fleet.most_units(k)}
                    yield Row(f"{w.name} {t} {trait.name} {value:g} {units.name}", terms, LE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        for broken in broken_times(instance, plan):
            reached = reached_s(broken.pool, broken.load, broken.asked)
            found = "endless" if math.isinf(reached) else time_shown(1000 * reached)
            what = words_of(broken.wish, broken.asked)
            yield (
                f"workload {broken.workload!r}: the {what} is {found} in block "
                f"{plan.blocks[broken.block].name}{broken.left.said}, longer than "
                f"{time_shown(1000 * broken.wish.wished_s)}"
            )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in holds as many requests, as fast, and gains no less when it is emptier."""
        if k.held is None:
            return FREE
        asks = instance.problem.workload(k.workload).latency.request_s is not None
        # 1 for every step that φ keeps: no number of units makes up for one that it does not
        steps = (float(k.held.alone <= step * PHI_STEP + 1e-9) for step in range(1, PHI_STEPS + 1))
        return Standing(
            same=(slowness_s(k) if asks else None,),
            gives=(float(k.places_per_unit), k.queued_requests_per_second, *steps),
        )

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that keep all wishes at the highest peak."""
        if k.held is None:
            return 0
        load, most = fleet.demand(k.workload).highest_peak, 0
        for _, asked in queue_wishes(fleet.instance, k.workload):
            pool = pool_of([(k, 1)], asked)
            assert pool is not None, "it has a replica"
            enough = times_enough(pool, load, asked)
            most = max(most, 0 if math.isinf(enough) else ceil_snapped(enough))
        return most

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for w in instance.problem.workloads:
            for wish, asked in queue_wishes(instance, w.name):
                if has_one_router(instance.problem, w):
                    yield _longer(instance, w, wish, asked)


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


def _left(
    instance: PlanningInput, candidates: Iterable[Candidate], workload: str, t: int
) -> Iterator[Left]:
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
    """Every wish, block and loss in which a time is too long."""
    for w in instance.problem.workloads:
        if not has_one_router(instance.problem, w):
            continue
        mine = list(plan.purchases_of(w.name))
        for wish, asked in queue_wishes(instance, w.name):
            for t, load in enumerate(instance.schedule.demands[w.name].peak):
                whole = pool_of(((p.candidate, p.units_by_block[t]) for p in mine), asked)
                if load <= 0 or whole is None:
                    continue
                for left in _left(instance, [p.candidate for p in mine], w.name, t):
                    rest = [p for p in mine if left.has(p.candidate)]
                    pool = pool_of(((p.candidate, p.units_by_block[t]) for p in rest), asked)
                    # it is taken to be no faster than with what is lost
                    slow = {"alone": whole.alone, "slowest_s": whole.slowest_s}
                    pool = NOTHING if pool is None else pool._replace(**slow)
                    if not keeps(pool, left.load, asked):
                        yield BrokenTime(w.name, t, pool, left.load, wish, asked, left)


NOTHING = Pool(0.0, 0.0, 1.0)


def cuts_broken(fleet: Fleet, plan: Plan) -> Iterator[tuple[str, QueueCut]]:
    """(workload, cut) that the plan's pools break."""
    for one in broken_times(fleet.instance, plan):
        if one.pool.full_rate > 0:
            units = [
                (p.candidate, float(p.units_by_block[one.block]))
                for p in plan.purchases_of(one.workload)
                if one.left.has(p.candidate)
            ]
            candidates = {*fleet.gpu_candidates(one.workload), *(k for k, _ in units)}
            traits = traits_of(fleet.problem.workload(one.workload), candidates)
            cut = cut_for_all(one.pool, one.load, one.asked, traits)
            if not misses(cut, units):
                cut = cut_for_some(one.pool, one.load, one.asked, traits)
            yield one.workload, cut


def cuts_broken_in_part(
    fleet: Fleet, values: Mapping[str, float]
) -> Iterator[tuple[str, QueueCut]]:
    """(workload, cut) that fractions of units break, whatever their φ and s."""
    for w in fleet.problem.workloads:
        if not has_one_router(fleet.problem, w):
            continue
        candidates = list(fleet.gpu_candidates(w.name))
        traits = traits_of(w, candidates)
        for wish, t in itertools.product(queue_wishes(fleet.instance, w.name), fleet.busy(w.name)):
            on = [
                (k, values.get(units.name, 0.0))
                for k in candidates
                for _, units in fleet.units_on(k, t)
            ]
            on = [(k, count) for k, count in on if count > LEAST_PART]
            for left in _left(fleet.instance, candidates, w.name, t):
                rest = [(k, count) for k, count in on if left.has(k)]
                pool = pool_of(rest, wish[1])
                if pool is not None and not keeps(pool, left.load, wish[1]):
                    cut = cut_for_all(pool, left.load, wish[1], traits)
                    if misses(cut, [(k, count * (1 + NEARLY)) for k, count in rest]):
                        yield w.name, cut


LEAST_PART = 1e-6
NEARLY = 1e-4
"""Relative: a cut that would only move fractions of units by this is left for whole ones."""


class _Counted(NamedTuple):
    """A cut, and what a unit of each candidate counts for in it."""

    cut: QueueCut
    gives: list[tuple[Candidate, float]]
    others: float
    """ρ, where it is for some pools only."""

    @classmethod
    def of(cls, cut: QueueCut, candidates: Sequence[Candidate]) -> _Counted:
        if cut.only is None:
            return cls(cut, [(k, min(1.0, counts(cut, k))) for k in candidates], 1.0)
        gives = [(k, min(1.0, counts_at(cut.only, k))) for k in candidates]
        return cls(cut, gives, others_count(cut, candidates))


def _told_apart(fleet: Fleet, w: Workload, t: int) -> list[tuple[Trait, float]]:
    """(φ or s, value) for which the cuts of a block ask whether such a replica is on."""
    candidates = fleet.gpu_candidates(w.name)
    loads = {left.load for left in _left(fleet.instance, candidates, w.name, t)}
    found: dict[tuple[str, float], tuple[Trait, float]] = {}
    for cut in fleet.cuts.get(w.name, ()):
        if cut.only is None or cut.load not in loads or not is_for(cut, candidates):
            continue
        asked = cut.only.alone, cut.only.slowest_s
        for trait, value in zip(traits_of(w, candidates), asked, strict=True):
            higher = trait.from_on(value)
            if higher and higher[0] != trait.values[0]:
                found[trait.name, higher[0]] = trait, higher[0]
    return [found[key] for key in sorted(found)]


def _first_cuts(fleet: Fleet, w: Workload) -> Iterator[QueueCut]:
    candidates = list(fleet.gpu_candidates(w.name))
    loads = sorted(
        {
            left.load
            for t in fleet.busy(w.name)
            for left in _left(fleet.instance, candidates, w.name, t)
        }
    )
    for _, asked in queue_wishes(fleet.instance, w.name):
        cheapest: dict[Pool, float] = {}
        for k in candidates:
            pool = pool_of([(k, 1 / k.mix_requests_per_second)], asked)
            if pool is not None:
                usd = k.usd_per_hour / k.mix_requests_per_second
                cheapest[pool] = min(usd, cheapest.get(pool, math.inf))
        for pool in sorted(cheapest, key=lambda pool: (cheapest[pool], pool))[:FIRST_CUTS]:
            for load in loads:
                yield cut_for_all(pool, load, asked, traits_of(w, candidates))


def _longer(instance: PlanningInput, w: Workload, wish: TimeWish, asked: QueueWish) -> SteppedLimit:
    held = {k.id: k for k in instance.candidates.candidates}

    def needed_s(plan: Plan) -> float:
        longest = 0.0
        for t, load in enumerate(instance.schedule.demands[w.name].peak):
            mine = [p for p in plan.purchases_of(w.name) if p.candidate.id in held]
            pool = pool_of(((held[p.candidate.id], p.units_by_block[t]) for p in mine), asked)
            if load > 0 and pool is not None:
                longest = max(longest, reached_s(pool, load, asked))
        return longest

    return of_wish(w, wish, needed_s)
