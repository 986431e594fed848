"""What queueing allows on the fleet of a plan, and which routing its promise needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.queues import pool_of, queue_wishes
from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.milp.program.language.waits import served_shares
from milp_planner.plans.reasons import WaitKept
from milp_planner.plans.records import Purchase, Route
from milp_planner.serving.queues.pools import Pool, QueueWish, log_missed, most_load, reached_s
from milp_planner.serving.queues.wait import LEAST_JUDGED


def waits_kept(
    instance: PlanningInput, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> Iterator[WaitKept]:
    """A remark for every wish that queues decide, about the block in which most would miss it."""
    for w in instance.problem.workloads:
        mine = [p for p in purchases if p.candidate.workload == w.name]
        wishes = queue_wishes(instance, w.name)
        peak = instance.schedule.demands[w.name].peak
        shares = served_shares(instance, routes, w.name) if wishes else []
        loads = [share * load for share, load in zip(shares, peak, strict=False)]
        for wish, asked in wishes:
            pools = [
                (t, pool)
                for t, load in enumerate(loads)
                if load > 0
                and (pool := pool_of(((p.candidate, p.units_by_block[t]) for p in mine), asked))
            ]
            if pools:
                t, pool = max(pools, key=lambda one: log_missed(one[1], loads[one[0]], asked))
                yield _in_block(instance, mine, w.name, t, loads[t], pool, wish, asked)


def _in_block(
    instance: PlanningInput,
    mine: Sequence[Purchase],
    workload: str,
    t: int,
    load: float,
    pool: Pool,
    wish: TimeWish,
    asked: QueueWish,
) -> WaitKept:
    replicas = {p: p.units_by_block[t] * p.candidate.replicas_per_unit for p in mine}
    main = max(mine, key=lambda p: (replicas[p], p.candidate.id))
    alone = pool_of([(main.candidate, 1 / main.candidate.replicas_per_unit)], asked)
    assert alone is not None, "the pool has its replicas"
    assert main.candidate.held is not None, "only what is judged is a candidate"
    reached = main.candidate.held.reached
    planned = sum(p.candidate.mix_requests_per_second * p.units_by_block[t] for p in mine)
    allowed = most_load(pool, asked) / planned
    return WaitKept(
        workload=workload,
        what=wish.words,
        wished_s=wish.wished_s,
        reached_s=reached_s(pool, load, asked),
        block=instance.schedule.blocks[t].name,
        replicas=sum(replicas.values()),
        allowed=allowed,
        allowed_alone=most_load(alone, asked) / alone.full_rate * reached,
        burstiness=asked.gaps_scv**0.5,
        judged=asked.gaps_scv <= 1 or allowed >= LEAST_JUDGED,
    )
