"""Wishes for the wait on shared units: every mix of replicas, on as few nodes as hold it."""

from __future__ import annotations

import itertools
import random
from functools import cache

import pytest

from milp_planner import Plan, Status, solve
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.oracles.queue_oracle import Kind, Wished, keeps

MOST = 7
"""Replicas of a size that are tried, of each workload."""

NODE_USD = 3.0 * 720


@cache
def fits(free: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    """Whether replicas of these sizes stand on nodes with so many free GPUs, by trying them all."""
    if not sizes:
        return True
    first, rest = sizes[0], sizes[1:]
    return any(
        fits(tuple(sorted((*free[:i], left - first, *free[i + 1 :]))), rest)
        for i, left in enumerate(free)
        if left >= first and left not in free[:i]
    )


def nodes_for(ones: int, twos: int, gpus: int) -> int:
    sizes = (2,) * twos + (1,) * ones
    return next(n for n in itertools.count() if fits((gpus,) * n, sizes))


def mixes(load: float, single: Kind, double: Kind, wished: Wished) -> list[tuple[int, int]]:
    """Replicas of each size that keep the wish, none of them more than is needed."""
    found: list[tuple[int, int]] = []
    for ones, twos in itertools.product(range(MOST + 1), repeat=2):
        is_more = any(ones >= a and twos >= b for a, b in found)
        if not is_more and keeps(load, [(single, ones), (double, twos)], wished):
            found.append((ones, twos))
    return found


def least_nodes(loads, kinds, wished, gpus: int) -> int:
    ways = [mixes(load, *kinds[name], wished) for name, load in loads.items()]
    return min(
        nodes_for(sum(a for a, _ in way), sum(b for _, b in way), gpus)
        for way in itertools.product(*ways)
    )


def planned(loads, kinds, wait, gpus: int, share: str | None) -> Plan:
    workloads = [
        workload(
            load,
            name,
            rates=[
                {
                    "gpu": "big",
                    "gpus_per_replica": size,
                    "requests_per_second": kind.rate,
                    "in_flight": kind.places,
                }
                for size, kind in enumerate(kinds[name], start=1)
            ],
            latency={"wait": wait},
        )
        for name, load in loads.items()
    ]
    asked = problem(workloads=workloads, policy={"share": share, "utilization": {"target": 1.0}})
    node = offering("acme", "big", 3.0, gpus_per_unit=gpus, name="node")
    return solve(asked, catalog([node], [raw("big", 1)]), diagnose=False)


def judged(seed: int, share: str | None) -> bool:
    """Whether the wait takes more nodes than the load alone does."""
    r = random.Random(seed)
    loads = {name: r.uniform(1, 6) for name in ("chat", "code")}
    kinds = {}
    for name in loads:
        places, slowness = r.choice((8, 16, 42)), r.uniform(3, 12)
        factor = r.choice((2, 3, 4))
        double = Kind(places * factor / slowness, places * factor, 0.0)
        kinds[name] = Kind(places / slowness, places, 0.0), double
    gpus, wait_s = r.choice((2, 3, 4)), r.choice((0.5, 2.0))
    wished = Wished(((wait_s, 0.95),))
    plan = planned(loads, kinds, {"p95": f"{wait_s}s"}, gpus, share)
    within = {name: load * (1 - 1e-3) for name, load in loads.items()}
    least, most = (least_nodes(at, kinds, wished, gpus) for at in (within, loads))
    assert plan.status is Status.OPTIMAL
    assert least - 1e-9 <= plan.cash_usd_per_month / NODE_USD <= most + 1e-9
    return least > least_nodes(loads, kinds, Wished(), gpus)


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_no_mix_of_replicas_that_keeps_the_wait_stands_on_fewer_nodes(share):
    assert any([judged(seed, share) for seed in range(3)])  # the wish matters at least once


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_no_mix_of_many_replicas_that_keeps_the_wait_stands_on_fewer_nodes(share):
    for seed in range(100, 140):
        judged(seed, share)
