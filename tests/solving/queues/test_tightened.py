"""`solve --replay`: whatever is asked, the plan it ends with keeps every wish in its replay."""

from __future__ import annotations

import random

import pytest

from milp_planner import (
    RoutingWithoutEffect,
    Status,
    Tightened,
    replay,
    solve,
    tighten,
    warning_lines,
)
from tests.solving.queues.test_replayed import SIZES
from tests.solving.queues.test_waits import P99, asked, market, random_kinds


def tightened(seed: int, requests: int) -> Tightened:
    """A random problem, solved and replayed until its wish is kept; bursts as they may be."""
    rng = random.Random(seed)
    kinds, load, wait_s = random_kinds(rng), rng.uniform(2, 20), rng.choice((0.5, 2.0, 5.0))
    traffic = {
        "kind": "requests_per_second",
        "requests_per_second": load,
        "burstiness": rng.choice((1, 1, 2, 3)),
    }
    wish = {"wait": {rng.choice(("p95", "p99", "p99")): wait_s}}
    chat, sold = {"traffic": traffic, "requests": SIZES}, market(kinds)
    return tighten(
        asked(load, wish, kinds, chat=chat),
        lambda plan, problem: replay(
            plan, problem, sold, requests=requests, seeds=1, seed=seed + 1
        ),
        sold,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_what_is_solved_until_its_replay_keeps_the_wish_ends_with_a_plan_that_does(seed):
    found = tightened(seed, 20_000)
    assert found.plan.status is Status.OPTIMAL
    assert found.keeps_all_wishes


@pytest.mark.soak
def test_all_of_60_random_problems_end_with_a_plan_that_keeps_its_wish():
    found = [tightened(seed, 300_000) for seed in range(300, 360)]
    rounds = [len(one.rounds) for one in found]
    kept = [one.keeps_all_wishes for one in found]
    print(f"{sum(kept)} of {len(kept)} kept, {sum(n == 1 for n in rounds)} at once, {max(rounds)}")
    assert all(kept)


def test_endpoints_that_no_queue_is_judged_before_change_a_replay_only_and_the_plan_says_so():
    own = {"policy": {"routing": "per_offering", "utilization": {"target": 0.75}}}
    found = solve(asked(9, {}, **own), market())
    (said,) = (one for one in warning_lines(found) if "policy.routing" in one)
    assert said == (
        "policy.routing: per_offering changes a replay's router only: no wish for a wait or for "
        "whole requests has queues judged"
    )
    plain = solve(asked(9, {}, target=0.75), market())
    assert found.score_usd_per_month == plain.score_usd_per_month
    judged = solve(asked(9, P99, **own), market())
    for plan in (plain, judged):
        assert not any(isinstance(one, RoutingWithoutEffect) for one in plan.warnings)
