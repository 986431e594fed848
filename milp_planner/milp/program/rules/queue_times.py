"""How long a share of the requests may queue, and be on their way in all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from milp_planner.candidates.queues import (
    pool_of,
    queue_wishes,
    slowness_s,
    words_of,
)
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import SHARES, TimeWish
from milp_planner.inputs.problem.policies import has_one_router
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.queue_cuts import (
    QueueCut,
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
from milp_planner.milp.program.language.rows import EQ, GE, LE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import (
    Fleet,
    Terms,
    add,
    ceil_snapped,
)
from milp_planner.milp.program.language.waits import (
    BrokenTime,
    Left,
    broken_times,
    left_of,
    served_shares,
    unlike_shares,
)
from milp_planner.milp.program.rules.latency_wishes import of_wish, time_shown, unbound_wishes
from milp_planner.plans.losses import NOTHING_SERVED
from milp_planner.plans.records import Plan
from milp_planner.serving.queues.pools import (
    PHI_STEP,
    Pool,
    QueueWish,
    keeps,
    most_load,
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
    survived, at the share to be served. Where requests may be left unserved, all classes alike, the
    1 on the right is 1 − s_t: a pool that carries a part of the load carries all of it, and more,
    when it is as many times larger. Larger pools carry more than in proportion, so that a pool may
    be short of that still; then what it carries, ℓ, is told apart, x the share and r = ℓ ÷ λ_t:

        x = 1 − s_t,   x ≤ r + (1 − r) b_ℓt,   Σ g^ℓ n ≥ b_ℓt,   Σ g^ℓ n ≥ x ÷ r − (1 ÷ r − 1) b_ℓt

    The program begins with cuts at pools of the cheapest replicas, and is refined by those that its
    relaxation, and then its plans, break: see `refinement.py`.
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
                for trait, value, left in _told_apart(fleet, w, t):
                    kind = f"{trait.name} {value:g} or more{left.said}"
                    used = fleet.column(f"on[{w.name} {fleet.blocks[t].name} {kind}]", 1)
                    fleet.used[self.name, trait.used(w.name, t, value, left)] = used
                for number, cut in enumerate(_of_parts(fleet, w.name, t)):
                    assert cut.at is not None
                    said = f"more[{w.name} {fleet.blocks[t].name} {cut.load:.9g}{cut.at[1]}]"
                    fleet.used[self.name, _more(w.name, t, number)] = fleet.column(said, 1)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if not has_one_router(fleet.problem, w):
                continue
            candidates = fleet.gpu_candidates(w.name)
            traits = traits_of(w, candidates)
            known = dict.fromkeys((*_first_cuts(fleet, w), *fleet.cuts.get(w.name, ())))
            cuts = [_Counted.of(one, candidates) for one in known if is_for(one, candidates)]
            for t in fleet.busy(w.name):
                for left in left_of(fleet.instance, candidates, w.name, t):
                    mine = [one for one in cuts if _is_at(one.cut, t, left)]
                    for number, one in enumerate(mine):
                        name = f"{w.name} {t} {number}{left.said}"
                        units = _Side.of(fleet, w.name, t, one, traits, left)
                        if units is not None:
                            yield from self._cut(fleet, w.name, t, one, units, left, name)
                yield from self._used_rows(fleet, w, t)
                yield from self._served_alike(fleet, w.name, t)

    def _cut(
        self,
        fleet: Fleet,
        workload: str,
        t: int,
        one: _Counted,
        side: _Side,
        left: Left,
        name: str,
    ) -> Iterator[Row]:
        short = fleet.shortfalls.get((workload, 0, t))
        if one.cut.at is None or short is None:
            unserved = {} if short is None else {short: 1.0}
            yield Row(name, {**side.terms, **unserved}, GE, 1.0 - side.less)
            return
        part = one.cut.load / left.load
        number = list(_of_parts(fleet, workload, t)).index(one.cut)
        more = fleet.used[self.name, _more(workload, t, number)]
        yield Row(f"{name} up to", {short: 1.0, more: 1.0 - part}, GE, 1.0 - part)
        yield Row(f"{name} more", {**side.terms, more: -1.0}, GE, -side.less)
        terms = {**side.terms, short: 1.0 / part, more: 1.0 / part - 1.0}
        yield Row(f"{name} in part", terms, GE, 1.0 / part - side.less)

    def _served_alike(self, fleet: Fleet, workload: str, t: int) -> Iterator[Row]:
        """Of every class as much is left unserved: the router does not tell them apart."""
        first = fleet.shortfalls.get((workload, 0, t))
        for q in fleet.classes(workload) if first is not None else ():
            if q:
                short = fleet.shortfalls[workload, q, t]
                yield Row(f"{workload} {t} class {q}", {short: 1.0, first: -1.0}, EQ, 0.0)

    def _used_rows(self, fleet: Fleet, w: Workload, t: int) -> Iterator[Row]:
        for trait, value, left in _told_apart(fleet, w, t):
            used = fleet.used[self.name, trait.used(w.name, t, value, left)]
            said = f"{trait.name} {value:g}{left.said}"
            for k in filter(left.has, fleet.gpu_candidates(w.name)):
                for _, units in fleet.units_on(k, t) if trait.of(k) >= value else ():
                    terms = {units: 1.0, used: -fleet.most_units(k)}
                    yield Row(f"{w.name} {t} {said} {units.name}", terms, LE, 0.0)

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

        yield from unlike_shares(instance, plan)

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in holds as many requests, as fast, and gains no less when it is emptier."""
        if k.held is None:
            return FREE
        asks = instance.problem.workload(k.workload).latency.request_s is not None
        return Standing(
            same=(slowness_s(k), k.held.alone) if asks else (),
            gives=(
                float(k.places_per_unit),
                k.queued_requests_per_second,
                *(() if asks else _steps_kept(k.held.alone)),
            ),
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
            yield from unbound_wishes(instance, w)


@cache
def _steps_kept(alone: float) -> tuple[float, ...]:
    """1 for every step that φ keeps: no number of units makes up for one that it does not."""
    return tuple(float(alone <= step * PHI_STEP + 1e-9) for step in range(1, PHI_STEPS + 1))


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
            yield one.workload, _broken_by(one, units, traits)


def _broken_by(
    one: BrokenTime, units: Sequence[tuple[Candidate, float]], traits: tuple[Trait, Trait]
) -> QueueCut:
    """The cut that says most of other pools, too, of those that this one breaks."""
    whole = one.left.load
    for make in (cut_for_all, cut_for_some):
        cut = make(one.pool, whole, one.asked, traits)
        if misses(cut, units, one.load / whole):
            return cut
    at = one.block, one.left.said
    for load in (most_load(one.pool, one.asked) * (1 - BELOW), one.load):
        for make in (cut_for_all, cut_for_some) if load > LEAST_PART * whole else ():
            cut = make(one.pool, load, one.asked, traits)._replace(at=at)
            if misses(cut, units):
                return cut
    raise AssertionError(f"no tangent has {one.pool} at {one.load} requests/s on its wrong side")


BELOW = 5e-6
"""Relative: a pool is let serve so much less than it may, so that solvers' noise is no breach."""


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
            short = fleet.shortfalls.get((w.name, 0, t))
            share = 1.0 if short is None else 1.0 - values.get(short.name, 0.0)
            on = [
                (k, values.get(units.name, 0.0))
                for k in candidates
                for _, units in fleet.units_on(k, t)
            ]
            on = [(k, count) for k, count in on if count > LEAST_PART]
            for left in (
                left_of(fleet.instance, candidates, w.name, t) if share > LEAST_PART else ()
            ):
                rest = [(k, count) for k, count in on if left.has(k)]
                pool = pool_of(rest, wish[1])
                if pool is not None and not keeps(pool, share * left.load, wish[1]):
                    cut = cut_for_all(pool, left.load, wish[1], traits)
                    if misses(cut, [(k, count * (1 + NEARLY)) for k, count in rest], share):
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


class _Side(NamedTuple):
    """The left side of a row by one cut, and how much less than 1 it must come to."""

    terms: Terms
    less: float

    @classmethod
    def of(
        cls,
        fleet: Fleet,
        workload: str,
        t: int,
        one: _Counted,
        traits: tuple[Trait, Trait],
        left: Left,
    ) -> _Side | None:
        """None of a cut for replicas that are not there."""
        terms: Terms = {}
        for k, gives in one.gives:
            for _, units in fleet.units_on(k, t) if left.has(k) else ():
                add(terms, units, gives)
        less, only = 0.0, one.cut.only
        for trait, value in zip(traits, (only.alone, only.slowest_s), strict=True) if only else ():
            higher = trait.from_on(value)
            if not higher:
                return None
            if higher[0] != trait.values[0]:
                used = fleet.used[QueueTimes.__name__, trait.used(workload, t, higher[0], left)]
                terms[used] = one.others - 1.0
                less += 1.0 - one.others
        return cls(terms, less)


def _is_at(cut: QueueCut, t: int, left: Left) -> bool:
    return cut.load == left.load if cut.at is None else cut.at == (t, left.said)


def _of_parts(fleet: Fleet, workload: str, t: int) -> Iterator[QueueCut]:
    """Cuts that tell a part of the load in a block from more."""
    for cut in fleet.cuts.get(workload, ()):
        if cut.at is not None and cut.at[0] == t:
            yield cut


def _more(workload: str, t: int, number: int) -> str:
    """The column that says that more is served."""
    return f"{workload} {t} more {number}"


def _told_apart(fleet: Fleet, w: Workload, t: int) -> list[tuple[Trait, float, Left]]:
    """(φ or s, value, what is left) for which the cuts of a block ask whether such a replica is on,
    of what is left."""
    candidates = fleet.gpu_candidates(w.name)
    lefts = list(left_of(fleet.instance, candidates, w.name, t))
    found: dict[tuple[str, float, str], tuple[Trait, float, Left]] = {}
    for cut in fleet.cuts.get(w.name, ()):
        if cut.only is None or not is_for(cut, candidates):
            continue
        asked = cut.only.alone, cut.only.slowest_s
        for left in (one for one in lefts if _is_at(cut, t, one)):
            for trait, value in zip(traits_of(w, candidates), asked, strict=True):
                higher = trait.from_on(value)
                if higher and higher[0] != trait.values[0]:
                    found[trait.name, higher[0], left.said] = trait, higher[0], left
    return [found[key] for key in sorted(found)]


def _first_cuts(fleet: Fleet, w: Workload) -> Iterator[QueueCut]:
    candidates = list(fleet.gpu_candidates(w.name))
    loads = sorted(
        {
            left.load
            for t in fleet.busy(w.name)
            for left in left_of(fleet.instance, candidates, w.name, t)
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
        peak = instance.schedule.demands[w.name].peak
        for t, share in enumerate(served_shares(instance, plan.routes, w.name)):
            mine = [p for p in plan.purchases_of(w.name) if p.candidate.id in held]
            pool = pool_of(((held[p.candidate.id], p.units_by_block[t]) for p in mine), asked)
            if share > NOTHING_SERVED and pool is not None:
                longest = max(longest, reached_s(pool, share * peak[t], asked))
        return longest

    return of_wish(instance.problem, w, wish, needed_s)
