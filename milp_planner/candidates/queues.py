"""Wishes for waits, and fleets, as the formulas of serving/queues take them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.inputs.problem.policies import utilization_limit
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.serving.queues.carried import carried_load
from milp_planner.serving.queues.pools import Pool, QueueWish, reached_s
from milp_planner.serving.queues.sizes import (
    USUAL_CV,
    Sizes,
    lognormal_sizes,
    lognormal_work,
    sizes_of,
)
from milp_planner.traffic.schedule import Demand, RequestClass


def queue_wishes(instance: PlanningInput, workload: str) -> tuple[tuple[TimeWish, QueueWish], ...]:
    """What a workload wishes that queues decide, as written and as the formulas take it."""
    w, demand = instance.problem.workload(workload), instance.schedule.demands[workload]
    return wishes_asked(w, demand) if w.latency.judges_queues else ()


def wishes_asked(w: Workload, demand: Demand) -> tuple[tuple[TimeWish, QueueWish], ...]:
    """The same of a workload and what it asks."""
    classes = tuple((q.share, q.output_tokens or 1.0) for q in demand.classes)
    how = gaps_scv(w, demand), _sizes(classes), lognormal_work(classes, USUAL_CV)
    found = [
        (wish, QueueWish(wish.metric, wish.wished_s, wish.share, *how))
        for wish in w.latency.queue_wishes
    ]
    # no first token comes before its request is admitted
    found += [
        (wish, QueueWish("wait", wish.wished_s, wish.share, *how))
        for wish in w.latency.waits_within
    ]
    return tuple(found)


REACHED_AT_LEAST = 0.85
"""Share of its planned rate that a full replica completes at least where requests come one by one:
replays of eleven kinds came to 0.87 to 1.01."""


def idle_from_s(
    problem: Problem, w: Workload, demand: Demand, candidates: Iterable[Candidate], asked: QueueWish
) -> float | None:
    """The time that every replica keeps which may be planned, however it is used   [s].

    Each is taken to be alone, at the highest utilization, with requests of its slowest class, of
    which it serves one after another: with more places at the same rate, before one router, and
    with all classes, no more of them wait as long; nor with batches that its units do meanwhile,
    whose requests count as a class, and between which a whole request may get all of its tokens.
    None where that tells nothing: where units run full, after a loss, or for a whole request whose
    time in service is unknown.
    """
    share = utilization_limit(problem, w) / REACHED_AT_LEAST
    if share >= 1 or problem.limits.survival is not None:
        return None
    slowest, longest_s, beside_s = math.inf, 0.0, 0.0
    most_tokens = max(q.output_tokens for q in demand.classes)
    for k in candidates:
        if k.workload != w.name or k.mode.per_token:
            continue
        for point, rate in zip(k.points, k.requests_per_second, strict=True):
            if rate > 0:
                slowest = min(slowest, rate / k.replicas_per_unit)
                in_flight = math.inf if point.concurrency is None else point.concurrency
                longest_s = max(longest_s, in_flight / rate * k.replicas_per_unit)
        for other in k.meanwhile:
            done = (rate for rate in other.requests_per_second if rate > 0)
            slowest = min((slowest, *(rate / k.replicas_per_unit for rate in done)))
            beside_s = max(beside_s, most_tokens * other.longest_token_s)
    longest_s += beside_s
    if math.isinf(slowest) or (asked.metric == "request" and math.isinf(longest_s)):
        return None
    rate = REACHED_AT_LEAST * slowest
    in_service_s = longest_s / REACHED_AT_LEAST if asked.metric == "request" else 0.0
    alone = Pool(full_rate=rate, places=1.0, alone=1.0, slowest_s=in_service_s)
    return reached_s(alone, share * rate, asked)


def words_of(wish: TimeWish, asked: QueueWish) -> str:
    """What is held: `p99 wait`, `p99 wait within the ttft`."""
    if wish.metric == asked.metric:
        return wish.words
    return f"{wish.words.replace(wish.metric, asked.metric)} within the {wish.metric}"


def gaps_scv(workload: Workload, demand: Demand) -> float:
    """c² of the gaps between requests: as stated, else as the trace shows, else Poisson's."""
    if workload.traffic.burstiness is not None:
        return workload.traffic.burstiness**2
    return 1.0 if demand.trace is None else demand.trace.gaps_scv


def pool_of(units: Iterable[tuple[Candidate, float]], asked: QueueWish) -> Pool | None:
    """The pool of a fleet's units, all behind one router, as a wish looks at it; None of none."""
    on = [(k, count) for k, count in units if count > 0 and k.held is not None]
    if not on:
        return None
    return Pool(
        full_rate=sum(k.queued_requests_per_second * count for k, count in on),
        places=sum(k.places_per_unit * count for k, count in on),
        alone=max(k.held.alone for k, _ in on if k.held is not None),
        slowest_s=max(slowness_s(k) for k, _ in on) if asked.metric == "request" else 0.0,
    )


def of_mix(
    k: Candidate, classes: Sequence[RequestClass], sent: Mapping[RequestClass, float]
) -> Candidate:
    """The candidate as one that is sent so many requests/s of each of the workload's classes, and
    no other ones."""
    load = sum(sent.values())
    parts = [round(sent.get(q, 0.0) / load, 6) for q in classes]
    mine = tuple(replace(q, share=part) for q, part in zip(classes, parts, strict=True) if part)
    return replace(
        k,
        classes=mine,
        points=tuple(point for point, part in zip(k.points, parts, strict=True) if part),
        shares=tuple(q.share for q in mine),
    )


def most_carried(k: Candidate, units: int, asked: QueueWish) -> float:
    """Requests/s that so many units carry behind a router of their own, with the wish kept."""
    pool = pool_of([(k, units)], asked)
    return 0.0 if pool is None else carried_load(pool, asked)


def slowness_s(k: Candidate) -> float:
    """Time of a mean request in a full replica of `k`   [s]."""
    return round(k.places_per_unit / k.queued_requests_per_second, 9)


@lru_cache(maxsize=64)
def _sizes(classes: tuple[tuple[float, float], ...]) -> Sizes:
    """How the work of requests spreads: lognormal around the output tokens of their class."""
    if len({output for _, output in classes}) == 1:
        return lognormal_sizes(USUAL_CV)
    work = lognormal_work(classes, USUAL_CV)
    return sizes_of(work.sizes, work.weights)
