"""Wishes of one class of requests that a large program is without until a plan misses them."""

from __future__ import annotations

import random

import pytest

from milp_planner import Status, WaitKept, solve
from milp_planner.solving import search
from milp_planner.solving.search import Search
from tests.solving.queues.test_waits import asked, market, random_kinds


def answers(seed, monkeypatch, *, large):
    """What a random problem's best and next-best plans cost, and how often wishes came back."""
    rng = random.Random(seed)
    kinds, load, wait_s = random_kinds(rng), rng.uniform(2, 20), rng.choice((0.1, 0.3, 1.0))
    came_back = []
    judge_within = Search._judge_within
    with monkeypatch.context() as patched:
        patched.setattr(search, "LARGE", 0 if large else 10**9)
        patched.setattr(
            Search,
            "_judge_within",
            lambda self, names: (came_back.append(names), judge_within(self, names)),
        )
        question = asked(load, {"wait": {"p99": wait_s}}, kinds, target=0.85)
        plan = solve(question, market(kinds), alternatives=4)
    plans = [plan, *plan.alternatives]
    assert plan.status is Status.OPTIMAL
    for one in plans:
        assert any(isinstance(said, WaitKept) for said in one.warnings)
    return [round(one.score_usd_per_month, 4) for one in plans], len(came_back)


@pytest.mark.parametrize(
    ("seed", "back"), [(1, False), (9, False), (10, True), (16, True), (22, True)]
)
def test_plans_and_next_best_ones_are_those_of_the_program_with_the_wishes(seed, back, monkeypatch):
    # 1 misses them at once, 9 keeps them in all plans, the others in the best one only
    without, came_back = answers(seed, monkeypatch, large=True)
    within, never = answers(seed, monkeypatch, large=False)
    assert without == within
    assert (came_back > 0, never) == (back, 0)
