"""Bursts: fleets are the cheapest of all mixes by the queue GI/M/c, and replays keep their wish."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest

from milp_planner import Plan, Problem, Status, replay, solve
from milp_planner.serving.queues.pools import LOAD_SLACK
from tests.solving.queues.test_waits import P99, asked, market, random_kinds, usd_of
from tests.support.oracles.queue_oracle import (
    Kind,
    Wished,
    cheapest_of_own_queues,
    cheapest_usd,
    late_share,
)

OFF = 0.015
"""Relative: by how much the phases of the planner's formulas let pass more load than GI/M/c."""


class Case(NamedTuple):
    """A random problem whose requests come in bursts."""

    problem: Problem
    kinds: dict[str, Kind]
    load: float
    wished: Wished
    how: dict[str, Any]


def case(seed: int, routing: str) -> Case:
    rng = random.Random(f"bursts {seed}")
    kinds, load, wait_s = random_kinds(rng), rng.uniform(3, 12), rng.choice((0.5, 2.0, 5.0))
    burstiness, target = rng.choice((1.5, 2.0, 3.0)), rng.choice((0.75, 1.0))
    left = rng.choice((0.0, 0.5))
    limits = {"survive_loss_of": {"kind": "provider", "share": left}} if left else {}
    traffic = {
        **{"kind": "requests_per_second", "requests_per_second": load},
        "burstiness": burstiness,
    }
    chat = {"traffic": traffic, "requests": {"input_tokens": 100, "output_tokens": 300}}
    policy = {"routing": routing, "utilization": {"target": target, "ceiling": target}}
    latency = {"wait": {"p99": wait_s}}
    question = asked(load, latency, kinds, chat=chat, limits=limits, policy=policy)
    wished = Wished([(wait_s, 0.99)], (), burstiness**2)
    return Case(question, kinds, load, wished, {"target": target, "left": left})


def is_the_cheapest(one: Case, routing: str) -> Plan:
    plan = solve(one.problem, market(one.kinds), alternatives=0)
    assert plan.status is Status.OPTIMAL

    def cheapest(load: float) -> float:
        if routing == "shared":
            return cheapest_usd(load, list(one.kinds.values()), one.wished, **one.how)
        return cheapest_of_own_queues(load, one.kinds, one.wished, most=16, **one.how)

    least = cheapest(one.load * (1 - OFF - LOAD_SLACK))
    assert least - 1e-9 <= usd_of(plan) <= cheapest(one.load) + 1e-9
    return plan


def test_poisson_arrivals_are_bursts_of_a_variation_of_one():
    for load, places in ((5.0, 8), (8.0, 42), (9.5, 128)):
        near = late_share(load, 10.0, places, 0.5, 1 + 1e-9)
        assert near == pytest.approx(late_share(load, 10.0, places, 0.5), rel=1e-5)


@pytest.mark.parametrize("routing", ["shared", "per_offering"])
@pytest.mark.parametrize("seed", range(2))
def test_the_fleet_for_bursts_is_the_cheapest_of_all_mixes(seed, routing):
    is_the_cheapest(case(seed, routing), routing)


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["shared", "per_offering"])
@pytest.mark.parametrize("seed", range(100, 120))
def test_the_fleet_for_bursts_is_the_cheapest_of_all_mixes_whatever_they_are(seed, routing):
    is_the_cheapest(case(seed, routing), routing)


@pytest.mark.parametrize("routing", ["shared", "per_offering"])
def test_a_fleet_for_bursts_keeps_its_wish_when_they_come(routing):
    # Bursts that nobody planned for make people wait: the fleet is larger for them.
    def bursty(times: float) -> Problem:
        traffic = {
            **{"kind": "requests_per_second", "requests_per_second": 18},
            "burstiness": times,
        }
        chat = {"traffic": traffic, "requests": {"input_tokens": 100, "output_tokens": 300}}
        return asked(18, P99, chat=chat, policy={"routing": routing})

    plan, calm = (solve(bursty(times), market(), alternatives=0) for times in (3, 1))
    assert usd_of(calm) < usd_of(plan)
    kept = replay(plan, bursty(3), market(), requests=40_000, seeds=1)
    assert kept.keeps_all_wishes
    late = replay(calm, bursty(3), market(), requests=40_000, seeds=1)
    assert not late.keeps_all_wishes
