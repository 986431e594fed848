"""Hourly nodes that several workloads share and that take hours to be ready, hour by hour."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from milp_planner import Plan, Status, solve
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS, DAYS = 8, 30
"""Of each third of the day, and days of the month."""

Loads = dict[str, tuple[int, int, int]]


def thirds(loads: tuple[int, int, int]) -> dict[str, object]:
    """Requests/s in each third of the day."""
    weights = [load for load in loads for _ in range(HOURS)]
    return {"kind": "profile", "weights": weights, "requests_per_day": 3600 * sum(weights)}


def planned(
    loads: Loads,
    rates: dict[str, float],
    gpus: int,
    ready_h: int,
    share: str | None = "units",
    **fields,
) -> Plan:
    node = offering("acme", "big", 2.0, gpus_per_unit=gpus, name="node", billing="autoscaling")
    asked = problem(
        workloads=[workload(name=w, llm=w, traffic=thirds(loads[w])) for w in loads],
        policy={"share": share, "start_up": [{"ready_after": f"{ready_h}h"}]},
        **fields,
    )
    return solve(asked, catalog([node], [raw("big", rates[w], llm=w) for w in loads]))


def month_usd(on: tuple[int, ...], ready_h: int) -> float:
    """What nodes cost that are paid for from so many hours before they serve."""
    clock = [on[h // HOURS] for h in range(3 * HOURS)]
    paid = (max(clock[(h + i) % len(clock)] for i in range(ready_h + 1)) for h in range(len(clock)))
    return 2.0 * DAYS * sum(paid)


def least_usd(loads: Loads, rates: dict[str, float], gpus: int, ready_h: int) -> float:
    """The least of all counts of nodes that hold the GPUs of every third."""
    least = [
        math.ceil(sum(math.ceil(loads[w][i] / rates[w]) for w in loads) / gpus) for i in range(3)
    ]
    counts = itertools.product(*(range(n, max(least) + 1) for n in least))
    return min(month_usd(on, ready_h) for on in counts)


def judged(seed: int, share: str | None) -> None:
    r = random.Random(seed)
    loads: Loads = {
        name: (r.randint(0, 4), r.randint(0, 4), r.randint(1, 4)) for name in ("chat", "code")
    }
    rates = {name: r.choice([1.0, 2.0]) for name in loads}
    gpus, ready_h = r.choice([2, 3]), r.choice([1, 3, 8, 9])
    plan = planned(loads, rates, gpus, ready_h, share)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(least_usd(loads, rates, gpus, ready_h))
    borne = sum(p.cash_usd_per_month for p in plan.purchases)
    assert borne == pytest.approx(plan.cash_usd_per_month)


@pytest.mark.parametrize("share", [None, "units"])
def test_no_count_of_nodes_costs_less_hour_by_hour(share):
    for seed in range(4):
        judged(seed, share)


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_no_count_of_many_nodes_costs_less_hour_by_hour(share):
    for seed in range(100, 180):
        judged(seed, share)


def test_what_is_paid_before_a_node_serves_is_borne_as_its_rent():
    # Chat on three GPUs in the second third alone, code on one all day: 1, 2 and 1 nodes of two.
    # The second node is paid for two hours more a day: 2 h x $2 x 30 days.
    loads: Loads = {"chat": (0, 3, 0), "code": (1, 1, 1)}
    plan = planned(loads, {"chat": 1.0, "code": 1.0}, 2, 2)
    assert plan.costs["start_up"] == pytest.approx(120)
    assert plan.costs["rent"] == pytest.approx(4 * HOURS * 2 * DAYS)
    # Of the rent, $480 a node and third, chat bears three quarters of two, code the rest of four.
    chat, code = (p.cash_usd_per_month for p in plan.purchases)
    assert (chat, code) == pytest.approx((720 * (1 + 120 / 1_920), 1_200 * (1 + 120 / 1_920)))


def test_a_volume_discount_counts_what_is_paid_before_nodes_serve():
    # $1,920 of rent and $120: half of what is beyond $1,000 is taken off.
    loads: Loads = {"chat": (0, 3, 0), "code": (1, 1, 1)}
    tiers = {"volume": {"acme/*": [{"above": 1_000, "discount": 0.5}]}}
    plan = planned(loads, {"chat": 1.0, "code": 1.0}, 2, 2, prices=tiers)
    assert plan.cash_usd_per_month == pytest.approx(1_000 + 1_040 / 2)
