"""What queueing allows on the fleet of a plan, and which routing its promise needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from milp_planner.candidates.queues import (
    idle_from_s,
    pool_of,
    queue_wishes,
    wishes_asked,
    words_of,
)
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.grouping import by_workload
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.inputs.problem.policies import has_one_router
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.waits import served_shares
from milp_planner.plans.losses import NOTHING_SERVED
from milp_planner.plans.reasons import WaitIdle, WaitKept
from milp_planner.plans.records import Plan, Purchase, Route
from milp_planner.serving.queues.carried import carried_load
from milp_planner.serving.queues.pools import Pool, QueueWish, keeps, log_missed, reached_s
from milp_planner.serving.queues.wait import LEAST_JUDGED, LEAST_PLACES


class Queue(NamedTuple):
    """A pool in a block, and what it is sent."""

    t: int
    pool: Pool
    mine: Sequence[Purchase]
    load: float
    """Requests/s."""

    offering: str = ""
    alike: int = 1
    """Replicas, each of which is reckoned as a queue by itself: `load` and `pool` are of one."""


def waits_kept(
    instance: PlanningInput, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> Iterator[WaitKept]:
    """A remark for every wish that queues decide, about the block in which most would miss it, and
    where offerings have queues of their own about the one before which they would."""
    bought, routed = by_workload(purchases), by_workload(routes)
    for w in instance.problem.workloads:
        mine, ways = bought.get(w.name, []), routed.get(w.name, [])
        how = _behind_one if has_one_router(instance.problem, w) else _of_each
        for wish, asked in queue_wishes(instance, w.name):
            queues = list(how(instance, w.name, mine, ways, asked))
            if queues:
                worst = max(queues, key=lambda one: log_missed(one.pool, one.load, asked))
                sent = _sent(instance, w.name, ways, worst.t) if worst.offering else ()
                yield _said(instance, w.name, worst, sent, wish, asked)


def queue_before_all(
    t: int, mixes: Sequence[tuple[Purchase, Candidate | None]], load: float, asked: QueueWish
) -> Queue | None:
    """What is before all units, each sent all classes alike; None where one is not judged."""
    mine = [replace(p, candidate=k) for p, k in mixes if k is not None and k.held is not None]
    held = [p.candidate.held for p in mine]
    if len(mine) < len(mixes) or any(one is None or one.places < LEAST_PLACES for one in held):
        return None
    pool = pool_of([(p.candidate, p.units_by_block[t]) for p in mine], asked)
    return None if pool is None else Queue(t, pool, mine, load)


def queue_of_its_own(
    t: int, p: Purchase, k: Candidate, load: float, asked: QueueWish
) -> Queue | None:
    """What is before an offering's units, as a candidate `k` of its own mix, in a block.

    Replicas that hold few requests are reckoned as a queue each, sent its part whoever else is
    free: a router that looks makes nobody wait longer.
    """
    assert k.held is not None, "only what is judged has a queue"
    units = p.units_by_block[t]
    alike = units * k.replicas_per_unit if k.held.places < LEAST_PLACES else 1
    pool = pool_of([(k, units / max(1, alike))], asked)
    mine = [replace(p, candidate=k)]
    return None if pool is None else Queue(t, pool, mine, load / alike, k.offering.id, alike)


def apart_kept(
    instance: PlanningInput,
    plan: Plan,
    w: Workload,
    queues: Iterable[tuple[Queue | None, TimeWish, QueueWish]],
) -> Iterator[WaitKept]:
    """A remark for each wish that a plan keeps by routing classes apart, about the queue in which
    most would miss it, with who is sent which classes there."""
    ways = [route for route in plan.routes if route.candidate.workload == w.name]
    worst: dict[tuple[TimeWish, str], tuple[float, Queue, QueueWish]] = {}
    for queue, wish, asked in queues:
        if queue is not None:
            late = log_missed(queue.pool, queue.load, asked)
            known = worst.get((wish, asked.metric))
            if known is None or late > known[0]:
                worst[wish, asked.metric] = late, queue, asked
    for (wish, _), (_, queue, asked) in worst.items():
        sent = _sent(instance, w.name, ways, queue.t) if queue.offering else ()
        said = _said(instance, w.name, queue, sent, wish, asked)
        by_class = _sent_by_class(instance, ways, queue.t) if queue.offering else ()
        yield replace(said, sent_by_class=by_class)


def _sent_by_class(
    instance: PlanningInput, routes: Sequence[Route], t: int
) -> tuple[tuple[str, str, float], ...]:
    """(class, offering, share of the class) in a block."""
    block = instance.schedule.blocks[t].name
    sent: dict[tuple[str, str], float] = {}
    for route in routes:
        if route.block.name == block:
            key = route.request_class.name, route.candidate.offering.id
            sent[key] = sent.get(key, 0.0) + route.share
    return tuple((*key, share) for key, share in sorted(sent.items()))


def is_well_filled(queue: Queue, asked: QueueWish) -> bool:
    """False where bursts leave so little of a pool that the formulas are not known to hold."""
    return asked.gaps_scv <= 1 or _allowed(queue, asked) >= LEAST_JUDGED


def surely_keeps(queue: Queue, asked: QueueWish) -> bool:
    """True where a pool keeps a wish, and the formulas are known to hold of it."""
    return keeps(queue.pool, queue.load, asked) and is_well_filled(queue, asked)


def _allowed(queue: Queue, asked: QueueWish) -> float:
    """Utilization at which the pool still keeps a wish."""
    rates = ((p.candidate.mix_requests_per_second, p.units_by_block[queue.t]) for p in queue.mine)
    carried = queue.alike * carried_load(queue.pool, asked)
    return carried / sum(rate * units for rate, units in rates)


def waits_idle(instance: PlanningInput, purchases: Sequence[Purchase]) -> Iterator[WaitIdle]:
    """A remark for every wish that nothing which may be planned could miss."""
    bought = by_workload(p for p in purchases if p.candidate.mode.per_token)
    for w in instance.problem.workloads:
        latency = w.latency
        if not latency.asks_queues or latency.judges_queues or latency.is_judged_after:
            continue
        demand, listed = instance.schedule.demands[w.name], instance.candidates.candidates
        unknown = dict.fromkeys(p.candidate.offering.id for p in bought.get(w.name, ()))
        for wish, asked in wishes_asked(w, demand):
            least_s = idle_from_s(instance.problem, w, demand, listed, asked)
            if least_s is not None:
                what = words_of(wish, asked)
                yield WaitIdle(w.name, what, wish.wished_s, least_s, tuple(unknown))


def _behind_one(
    instance: PlanningInput,
    workload: str,
    mine: Sequence[Purchase],
    routes: Sequence[Route],
    asked: QueueWish,
) -> Iterator[Queue]:
    peak = instance.schedule.demands[workload].peak
    for t, share in enumerate(served_shares(instance, routes, workload)):
        pool = pool_of(((p.candidate, p.units_by_block[t]) for p in mine), asked)
        if share > NOTHING_SERVED and pool is not None:
            yield Queue(t, pool, mine, share * peak[t])


def _of_each(
    instance: PlanningInput,
    workload: str,
    mine: Sequence[Purchase],
    routes: Sequence[Route],
    asked: QueueWish,
) -> Iterator[Queue]:
    blocks = instance.schedule.blocks
    for p in mine:
        sent = dict.fromkeys((block.name for block in blocks), 0.0)
        for route in routes:
            if route.candidate is p.candidate:
                sent[route.block.name] += route.requests_per_second
        for t, block in enumerate(blocks):
            load = sent[block.name]
            pool = pool_of([(p.candidate, p.units_by_block[t])], asked)
            if load > 0 and pool is not None:
                yield Queue(t, pool, [p], load, p.candidate.offering.id)


def _sent(
    instance: PlanningInput, workload: str, routes: Sequence[Route], t: int
) -> tuple[tuple[str, float], ...]:
    """Each offering's share of the requests in a block."""
    load, block = instance.schedule.demands[workload].peak[t], instance.schedule.blocks[t].name
    sent: dict[str, float] = {}
    for route in routes:
        if route.block.name == block:
            name = route.candidate.offering.id
            sent[name] = sent.get(name, 0.0) + route.requests_per_second / load
    return tuple(sent.items())


def _said(
    instance: PlanningInput,
    workload: str,
    queue: Queue,
    sent: tuple[tuple[str, float], ...],
    wish: TimeWish,
    asked: QueueWish,
) -> WaitKept:
    t, pool, mine = queue.t, queue.pool, queue.mine
    replicas = {p: p.units_by_block[t] * p.candidate.replicas_per_unit for p in mine}
    main = max(mine, key=lambda p: (replicas[p], p.candidate.id))
    alone = pool_of([(main.candidate, 1 / main.candidate.replicas_per_unit)], asked)
    assert alone is not None, "the pool has its replicas"
    assert main.candidate.held is not None, "only what is judged is a candidate"
    reached = main.candidate.held.reached
    allowed = _allowed(queue, asked)
    return WaitKept(
        workload=workload,
        what=words_of(wish, asked),
        wished_s=wish.wished_s,
        reached_s=reached_s(pool, queue.load, asked),
        block=instance.schedule.blocks[t].name,
        replicas=sum(replicas.values()),
        allowed=allowed,
        allowed_alone=carried_load(alone, asked) / alone.full_rate * reached,
        burstiness=asked.gaps_scv**0.5,
        judged=is_well_filled(queue, asked),
        offering=queue.offering,
        sent=sent,
    )
