"""InfraScale's published formulas: the golden figures, their limits, and its rounding beaten."""

from __future__ import annotations

from itertools import product
from math import ceil, log10
from typing import Any

import pytest

from milp_planner import Problem, solve, warning_lines
from milp_planner.serving.infrascale import (
    Hardware,
    Network,
    Node,
    Wish,
    best_node,
    smallest_fleet,
)
from tests.support.serving import known_llms
from tests.support.serving.toys import box, catalog, rent

LLAMA_8B = Network(parameters_b=8.0, layers=32, hidden_size=4096)
LLAMA_70B = Network(parameters_b=70, layers=80, hidden_size=8192)
H100 = Hardware(memory_gb=80, flops=1979e12, bytes_per_second=3.35e12)
A100_40 = Hardware(memory_gb=40, flops=312e12, bytes_per_second=1.935e12)


def node(exponent: int, gpus: int = 1, network: Network = LLAMA_8B, **fields: Any) -> Node:
    given = {"hardware": H100, "tokens": 2048, "prompt_tokens": 1024, **fields}
    return Node(network=network, gpus=gpus, exponent=exponent, **given)


# ---- the golden figures


@pytest.mark.parametrize(
    ("network", "exponent", "memory_gb", "gpus"),
    [
        # (8·2 + 0.5 + 32)·1.2 and (8·2 + 1 + 64)·1.2 against 80 GB each
        (LLAMA_8B, 5, 58.2, 1),
        (LLAMA_8B, 6, 97.2, 2),
        (LLAMA_70B, 0, 174.0375, 3),
    ],
)
def test_memory_decides_how_many_gpus_a_node_needs(
    network: Network, exponent: int, memory_gb: float, gpus: int
) -> None:
    assert node(exponent, network=network).memory_gb == pytest.approx(memory_gb)
    fits = [s for s in range(1, 9) if node(exponent, s, network).fits]
    assert min(fits) == gpus


def test_prefill_and_speed_of_one_h100_are_the_published_ones() -> None:
    one = node(5)
    assert one.prefill_s == pytest.approx(0.0727317, abs=1e-7)
    assert one.tokens_per_second(1) == pytest.approx(84.946, abs=1e-3)


def test_two_gpus_do_where_the_tool_says_four() -> None:
    fleet = smallest_fleet(LLAMA_8B, H100, 100, 2048, 1024, Wish(10, 5))
    assert fleet is not None
    assert (fleet.gpus, fleet.node.gpus, fleet.nodes, fleet.node.exponent) == (2, 1, 2, 5)
    assert fleet.queue == pytest.approx(1.5625)  # 100 users in 2 · 32 places


# ---- the largest queue ratio


def test_a_queue_slows_everyone_and_makes_them_wait() -> None:
    one = node(5)
    assert one.tokens_per_second(2) == pytest.approx(one.tokens_per_second(1) / 2)
    assert one.wait_s(1) == one.wait_s(0.5) == one.prefill_s
    assert one.wait_s(3) == pytest.approx(one.prefill_s + 2 * one.service_s)


@pytest.mark.parametrize("wish", [Wish(10, 5), Wish(10, 60), Wish(84, 5), Wish(100), Wish(102)])
def test_the_largest_queue_keeps_both_wishes_and_no_more(wish: Wish) -> None:
    one = node(5)
    queue = one.largest_queue(wish)
    more = queue * (1 + 1e-6)
    assert queue > 0
    assert one.tokens_per_second(queue) >= wish.tokens_per_second * (1 - 1e-9)
    assert one.wait_s(queue) <= (wish.longest_wait_s or 1e9) * (1 + 1e-9)
    assert one.tokens_per_second(more) < wish.tokens_per_second or one.wait_s(more) > (
        wish.longest_wait_s or 1e9
    )


def test_below_one_batch_the_crowd_shrinks() -> None:
    # 84.9 tokens/s at Q = 1; 100 tokens/s want log10(Q·32 + 30) = 1 / (100 · t_one)
    one = node(5)
    queue = one.largest_queue(Wish(100))
    assert queue < 1
    assert log10(queue * 32 + 30) == pytest.approx(1 / (100 * one.token_s))


def test_a_prefill_longer_than_the_wait_holds_nobody() -> None:
    assert node(5).users(Wish(10, 0.07)) == 0
    assert node(5).users(Wish(1000)) == 0


def test_users_with_two_requests_each_are_half_as_many() -> None:
    assert node(5).users(Wish(10, 5, 2)) == pytest.approx(node(5).users(Wish(10, 5)) / 2)


def test_the_best_batch_and_the_smallest_fleet_agree_with_trying_all() -> None:
    for users, target, wait in product((1, 40, 333), (5, 20, 60), (1, 8)):
        wish = Wish(target, wait)
        tried = []
        for gpus, exponent in product(range(1, 9), range(11)):
            each = node(exponent, gpus, hardware=A100_40)
            if each.fits and each.users(wish) > 0:
                tried.append(gpus * ceil(users / each.users(wish) - 1e-9))
        fleet = smallest_fleet(LLAMA_8B, A100_40, users, 2048, 1024, wish)
        assert (fleet.gpus if fleet else None) == min(tried, default=None)
        best = best_node(LLAMA_8B, A100_40, 2, 2048, 1024, wish)
        mine = [node(e, 2, hardware=A100_40) for e in range(11)]
        most = max((n.users(wish) for n in mine if n.fits), default=0)
        assert (best.users(wish) if best else 0) == most


# ---- in a plan


def problem(users: float = 100, **fields: Any) -> Problem:
    chat = {
        "name": "chat",
        "llm": "llama-8b",
        "precision": ["bf16"],
        "traffic": {
            "kind": "concurrent_users",
            "users": users,
            "tokens_per_s": 10,
            "longest_wait_s": 5,
        },
        "requests": {"input_tokens": 1024, "output_tokens": 1024},
    }
    policy = {"serving_model": "infrascale", "utilization": {"target": 1.0}}
    return Problem(workloads=[{**chat, **fields}], policy=policy, alternatives={"count": 0})


GPU = box(memory_gib=80, memory_bandwidth_gb_per_s=3350, bf16_tflops=1979)
UNITS = [rent(2.0), rent(15.0, name="eight", gpus_per_unit=8)]


def test_the_plan_counts_replicas_that_hold_the_users() -> None:
    plan = solve(problem(), catalog(llms=[known_llms.LLAMA_8B], gpus=[GPU], offerings=UNITS))
    assert plan.cash_usd_per_month == pytest.approx(2 * 2.0 * 720)
    (bought,) = plan.purchases
    assert (bought.units, bought.candidate.tensor_parallel) == (2, 1)
    (chat,) = plan.workloads
    assert (chat.unit, chat.peak_requests_per_second) == ("users", 100)
    point = bought.candidate.points[0]
    # the largest queue: 1 + (5 - 0.0727) / (0.0727 + 1,024 tokens of 6.497 ms) batches of 32
    service = 0.0727317 + 1024 * 0.0064968466
    users = 32 * (1 + (5 - 0.0727317) / service)
    assert point.requests_per_second == pytest.approx(users, rel=1e-5)
    assert point.detail.startswith("InfraScale's formulas: batch 32, queue ratio 1.73")
    # 100 users in 2 · 32 places: Q 1.5625, 84.946 ÷ Q tokens/s, 0.0727 + 0.5625 · service s
    assert pytest.approx(54.4, abs=0.05) == 84.946 / 1.5625
    assert 0.0727317 + 0.5625 * service == pytest.approx(3.86, abs=0.005)
    (said,) = [line for line in warning_lines(plan) if line.startswith("InfraScale")]
    assert "S 1, N 2, B 5 (batch 32), Q 1.56; each request gets 54.4 tokens/s" in said
    assert "waits 3.86 s at most" in said


def test_infrascale_answers_users_only() -> None:
    traffic = {"kind": "requests_per_second", "requests_per_second": 1}
    with pytest.raises(ValueError, match="answers traffic of kind concurrent_users only"):
        problem(traffic=traffic)
