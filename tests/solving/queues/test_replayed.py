"""A plan asked for a p99 of the wait keeps it when its requests come one by one."""

from __future__ import annotations

import random

import pytest

from milp_planner import Problem, Status, evaluate, replay, solve
from tests.solving.queues.test_apart import sold
from tests.solving.queues.test_waits import asked, market, random_kinds

SIZES = {"input_tokens": 100, "output_tokens": 300}


def kept(seed, requests, routing="shared"):
    """Whether a random problem's plan keeps its p99, by the misses in `requests` requests."""
    rng = random.Random(seed)
    kinds, load, wait_s = random_kinds(rng), rng.uniform(2, 20), rng.choice((0.5, 2.0, 5.0))
    burstiness = rng.choice((1, 1, 2))
    traffic = {
        "kind": "requests_per_second",
        "requests_per_second": load,
        "burstiness": burstiness,
    }
    chat, more = {"traffic": traffic, "requests": SIZES}, {}
    policy = {"routing": routing}
    if routing != "shared":  # with several endpoints at least
        more["limits"] = {"providers": {"max_share": 0.6}}
    question = asked(load, {"wait": {"p99": wait_s}}, kinds, chat=chat, policy=policy, **more)
    catalog = market(kinds)
    plan = solve(question, catalog, alternatives=0)
    assert plan.status is Status.OPTIMAL
    found = replay(
        plan,
        question,
        catalog,
        requests=requests,
        seeds=1,
        seed=seed + 1,
    )
    (wish,) = found.wishes
    assert (wish.wish.metric, wish.wish.share, wish.wish.wished_s) == ("wait", 0.99, wait_s)
    return found.keeps_all_wishes


@pytest.mark.parametrize("seed", range(3))
def test_the_replay_of_a_plan_keeps_its_p99(seed):
    assert kept(seed, 20_000)


def test_the_replay_of_a_plan_with_an_endpoint_each_keeps_its_p99():
    assert kept(7, 20_000, "per_offering")


@pytest.mark.soak
@pytest.mark.parametrize("routing", ["shared", "per_offering"])
def test_replays_of_60_random_plans_keep_their_p99(routing):
    found = [kept(seed, 300_000, routing) for seed in range(100, 160)]
    print(f"{sum(found)} of {len(found)} kept")
    assert sum(found) >= 57


def kept_whole(seed, requests):
    """The same of a wish for whole requests, on replicas that serve fewer faster; None where none
    keeps it."""
    rng = random.Random(seed)
    prompts, answers = rng.choice((100, 200, 1000)), rng.choice((50, 300, 600))
    latency = {"request": {rng.choice(("p90", "p95", "p99")): rng.choice((10, 20, 40, 80))}}
    if rng.random() < 0.3:
        latency["wait"] = {"p99": rng.choice((0.5, 2.0))}
    if rng.random() < 0.3:
        latency["tpot"] = rng.choice((0.02, 0.05))
    traffic = {
        "kind": "requests_per_second",
        "requests_per_second": rng.uniform(2, 12),
        "burstiness": rng.choice((1, 1, 2)),
    }
    chat = {"name": "chat", "llm": "toy", "traffic": traffic, "latency": latency}
    chat["requests"] = {"input_tokens": prompts, "output_tokens": answers}
    policy = {"utilization": {"target": rng.choice((0.75, 0.9))}}
    question = Problem.model_validate(
        {"schema_version": 1, "name": "n", "catalog": "x", "workloads": [chat], "policy": policy}
    )
    plan = solve(question, sold(), alternatives=0, diagnose=False)
    if plan.status is Status.INFEASIBLE:
        return None
    assert plan.status is Status.OPTIMAL
    found = replay(plan, question, sold(), requests=requests, seeds=1, seed=seed + 1)
    return found.keeps_all_wishes


def test_the_replay_of_a_plan_keeps_its_wish_for_whole_requests():
    assert kept_whole(1, 20_000)


@pytest.mark.soak
def test_replays_of_60_random_plans_keep_their_wish_for_whole_requests():
    found = [kept for seed in range(100, 180) if (kept := kept_whole(seed, 100_000)) is not None]
    print(f"{sum(found)} of {len(found)} kept")
    assert sum(found) >= 0.95 * len(found)


@pytest.mark.parametrize("load", [4, 10])
def test_whole_requests_need_no_more_without_a_time_per_token_and_keep_their_wish(load):
    """`bytes` may hold 1,024 requests, each 90 times as slow as alone: nearly empty it is quick."""

    def question(latency):
        chat = {"name": "chat", "llm": "toy", "latency": latency}
        chat["traffic"] = {"kind": "requests_per_second", "requests_per_second": load}
        chat["requests"] = {"input_tokens": 200, "output_tokens": 300}
        return Problem.model_validate(
            {"schema_version": 1, "name": "n", "catalog": "x", "workloads": [chat]}
        )

    wish = {"request": {"p95": "40s"}}
    plans = [
        solve(question(wish | more), sold(), alternatives=0)
        for more in ({}, {"tpot": "20ms"}, {"tpot": "50ms"}, {"tpot": "100ms"})
    ]
    assert len({plan.cash_usd_per_month for plan in plans}) == 1
    (bought,) = plans[0].purchases
    found = replay(plans[0], question(wish), sold(), requests=20_000, seeds=1)
    assert found.keeps_all_wishes
    offering = bought.candidate.offering.id
    fewer = evaluate(question(wish), {offering: bought.units - 1}, sold())
    assert not fewer.keeps_all_limits


def test_a_fleet_that_is_nearly_empty_keeps_what_a_fuller_one_misses():
    chat = {"name": "chat", "llm": "toy", "latency": {"tpot": "20ms", "request": {"p95": "10s"}}}
    chat["traffic"] = {"kind": "requests_per_second", "requests_per_second": 4}
    chat["requests"] = {"input_tokens": 200, "output_tokens": 300}
    question = Problem.model_validate(
        {"schema_version": 1, "name": "n", "catalog": "x", "workloads": [chat]}
    )
    plan = solve(question, sold(), alternatives=0)
    assert plan.status is Status.OPTIMAL
    assert replay(plan, question, sold(), requests=20_000, seeds=1).keeps_all_wishes
