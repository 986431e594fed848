"""Wishes for waits, and fleets, as the formulas of serving/queues take them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import exp, log, sqrt
from statistics import NormalDist

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.inputs.problem.records import Workload
from milp_planner.serving.queues.pools import Pool, WaitWish
from milp_planner.serving.queues.sizes import USUAL_CV, Sizes, lognormal_sizes, sizes_of
from milp_planner.traffic.schedule import Demand

SAMPLED = 4_000
"""Requests by which the sizes of several classes are told."""


def wait_wishes(instance: PlanningInput, workload: str) -> tuple[tuple[TimeWish, WaitWish], ...]:
    """What a workload wishes for its wait, as written and as the formulas take it."""
    w, demand = instance.problem.workload(workload), instance.schedule.demands[workload]
    if w.latency.wait is None:
        return ()
    scv = gaps_scv(w, demand)
    sizes = _sizes(tuple((q.share, q.output_tokens) for q in demand.classes))
    return tuple(
        (wish, WaitWish(wish.wished_s, wish.share, scv, sizes)) for wish in w.latency.wait.wishes
    )


def gaps_scv(workload: Workload, demand: Demand) -> float:
    """c² of the gaps between requests: as stated, else as the trace shows, else Poisson's."""
    if workload.traffic.burstiness is not None:
        return workload.traffic.burstiness**2
    return 1.0 if demand.trace is None else demand.trace.gaps_scv


def pool_of(units: Iterable[tuple[Candidate, float]]) -> Pool | None:
    """The pool of a fleet's units, all behind one router; None of none."""
    on = [(k, count) for k, count in units if count > 0 and k.held is not None]
    if not on:
        return None
    return Pool(
        full_rate=sum(k.mix_requests_per_second * count for k, count in on),
        places=sum(k.places_per_unit * count for k, count in on),
        alone=max(k.held.alone for k, _ in on if k.held is not None),
    )


@lru_cache(maxsize=64)
def _sizes(classes: tuple[tuple[float, float], ...]) -> Sizes:
    """How the work of requests spreads: lognormal around the output tokens of their class."""
    if len({output for _, output in classes}) == 1:
        return lognormal_sizes(USUAL_CV)
    spread = sqrt(log(1 + USUAL_CV**2))
    normal = NormalDist(-spread * spread / 2, spread)
    work = []
    for share, output in classes:
        count = max(1, round(share * SAMPLED))
        work += [output * exp(normal.inv_cdf((i + 0.5) / count)) for i in range(count)]
    return sizes_of(work)
