"""The fewest GPUs of a perfect autoscaler: by hand, against all mixes, and never above a plan."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from milp_planner import PlannerError, Problem, floor, solve
from milp_planner.cli.parts import exit_codes
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    with_tokens,
    workload,
)

pytest_plugins = ["tests.support.toy_cli"]

WEIGHTS = [*[1.0] * 12, *[2.0] * 6, *[0.0] * 6]


def day(requests_per_second: float, **fields: Any) -> Problem:
    """So many requests/s from midnight, twice as many from noon, none from six in the evening."""
    mean = requests_per_second * sum(WEIGHTS) / 24
    traffic = {
        "kind": "profile",
        "requests_per_day": mean * 86_400,
        "weights": WEIGHTS,
        "max_blocks": fields.pop("max_blocks", 8),
    }
    return problem(chat={"traffic": traffic, **fields.pop("chat", {})}, **fields)


def test_by_hand_the_floor_follows_the_hours_and_a_rented_month_does_not() -> None:
    # big: 10 requests/s at 75 %: 7.5. 14 need 2, 28 need 4; dedicated, 4 are there all day
    rented = catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    asked = day(14, target=0.75)
    (found,) = floor(solve(asked, rented, alternatives=0), asked)
    assert [hour.gpus for hour in found.hours] == [*[2] * 12, *[4] * 6, *[0] * 6]
    assert [hour.plan_gpus for hour in found.hours] == [4] * 24
    assert (found.peak_gpus, found.mean_gpus) == (4, 2)
    # 30 days of 12 · 2 + 6 · 4 hours; the plan pays for 4 · 720
    assert found.gpu_hours == pytest.approx(30 * 48)
    assert found.plan_gpu_hours == pytest.approx(4 * 720)
    assert found.above == pytest.approx(1.0)


def test_a_plan_that_is_elastic_by_the_hour_is_its_own_floor() -> None:
    rented = catalog([offering("acme", "big", 4.0, billing="autoscaling")], [raw("big", 10)])
    asked = day(14, target=0.75)
    (found,) = floor(solve(asked, rented, alternatives=0), asked)
    assert found.above == pytest.approx(0)


def test_hours_that_share_a_block_are_told_apart() -> None:
    # one block for all hours: 4 units throughout, though 2 would do until noon
    rented = catalog([offering("acme", "big", 4.0, billing="autoscaling")], [raw("big", 10)])
    asked = day(14, target=0.75, max_blocks=1)
    (found,) = floor(solve(asked, rented, alternatives=0), asked)
    assert found.hours[0].gpus == 2
    assert found.hours[0].plan_gpus == 4


def test_least_replicas_hold_under_a_perfect_autoscaler_too() -> None:
    rented = catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    asked = day(1, chat={"min_replicas": 3})
    (found,) = floor(solve(asked, rented, alternatives=0), asked)
    assert {hour.gpus for hour in found.hours} == {3, 0}


def test_two_kinds_are_mixed_as_no_mix_beats() -> None:
    # brute force over all mixes of the two kinds that the plan rents
    chance = random.Random(5)
    for _ in range(6):
        load = chance.uniform(11, 45)
        asked = problem(load)
        rented = big_and_small()
        plan = solve(asked, rented, alternatives=0)
        rates = [p.candidate.mix_requests_per_second for p in plan.purchases]
        mixes = itertools.product(*(range(int(load / rate) + 2) for rate in rates))
        fewest = min(
            sum(mix)
            for mix in mixes
            if sum(n * rate for n, rate in zip(mix, rates, strict=True)) >= load - 1e-9
        )
        assert floor(plan, asked)[0].peak_gpus == fewest


def test_classes_routed_apart_still_need_no_fewer() -> None:
    # fast serves 10 of the short and 1 of the long a second, even 4 of both; half of each come.
    # However they are routed, the floor is below the plan
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
        {"input_tokens": 5, "output_tokens": 5, "share": 0.5},
    ]
    long = {"size": (5, 5)}
    rented = catalog(
        [offering("acme", "fast", 1.0), offering("bolt", "even", 1.0)],
        [raw("fast", 10), raw("fast", 1, **long), raw("even", 4), raw("even", 4, **long)],
    )
    asked = problem(workloads=[workload(40, requests=sizes)])
    plan = solve(asked, rented, alternatives=0)
    assert plan.gpus == 7  # 20 ÷ 10 + 20 ÷ 4
    assert floor(plan, asked)[0].peak_gpus <= 7


def test_what_apis_serve_needs_no_gpus() -> None:
    asked = problem(7, limits={"billing": {"allow": ["per_token"]}})
    assert floor(solve(asked, with_tokens(), alternatives=0), asked) == ()


def test_another_problem_s_plan_is_refused() -> None:
    plan = solve(problem(7), big_and_small(), alternatives=0)
    with pytest.raises(PlannerError, match="its time blocks are not the problem's"):
        floor(plan, day(1))


def test_the_command_prints_the_floor_below_the_traffic(run: Any) -> None:
    code, out, _ = run("traffic", "toy.yaml", "--floor")
    assert code == exit_codes.FOUND
    assert "chat: a perfect autoscaler would need" in out
    assert "of the kinds of GPU that the plan rents: others may need fewer." in out
    assert "The plan pays for" in out
    (found,) = json.loads(run("traffic", "toy.yaml", "--floor", "--json")[1])["floor"]
    assert found["gpu_hours"] <= found["plan_gpu_hours"]
    assert "floor" not in json.loads(run("traffic", "toy.yaml", "--json")[1])
