"""Budgets that may leave something unserved, where classes are several: nothing, if that can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Status, solve
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.milp.curves.listed import blocks as lists
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.solving import names_and_money, optimum, shortage
from milp_planner.solving import parts as staged
from milp_planner.solving.results import NOT_SOLVED
from tests.solving.curved.test_curved_optimum import CURVES
from tests.solving.curved.test_few_names_listed import (  # noqa: F401, a fixture
    ENGINES,
    HOURS,
    SOLD,
    asked,
    drawn,
    large,
)


def shared_as(word, usd):
    return {"budget": {"usd_per_month": usd, "when_short": word}}


def out_of_time(*_, **__):
    raise OutOfTime


def shortfalls(plan):
    return [w.shortfall_share for w in plan.workloads]


@pytest.mark.parametrize("word", ["fair", "priority"])
def test_what_can_be_served_is_served_at_the_least_cost(word):
    # A short and a long unit for each of the two: $10/h.
    plan = solve(asked(limits=shared_as(word, 7_300)), SOLD)
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(10 * HOURS)
    assert shortfalls(plan) == [0, 0]


def test_with_few_names_too():
    limits = {**shared_as("fair", 8_300), "providers": {"max_count": 1}}
    plan = solve(asked(limits=limits), SOLD)
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(2 * (2.5 + 3.2) * HOURS)


def test_the_largest_share_that_a_budget_leaves_out_is_listed_and_the_rest_solved():
    # $9.9/h. A short and a long unit serve all of chat for $5; then two short units for $4 are left
    # for code, of the 2 / 10 + 2 / 1 that it takes: 10 / 11 of each class. Nothing else for $9.9
    # serves as much of both.
    plan = solve(asked(limits=shared_as("fair", 9.9 * HOURS)), SOLD)
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by == ("capacity curves", *ENGINES)
    assert plan.proof.certified
    assert shortfalls(plan) == pytest.approx([0, 1 / 11], abs=1e-6)
    assert plan.cash_usd_per_month == pytest.approx(9 * HOURS)


@pytest.mark.parametrize("word", ["fair", "priority"])
@pytest.mark.parametrize("usd_per_hour", [4.9, 7.0, 9.9])
def test_an_engine_alone_leaves_out_the_same(word, usd_per_hour):
    question = asked(limits=shared_as(word, usd_per_hour * HOURS))
    ranked = question.model_dump()["workloads"]
    ranked[0]["priority"], ranked[1]["priority"] = 2, 1
    question = question.changed({"workloads": ranked})
    mine = solve(question, SOLD, alternatives=0)
    other = solve(question, SOLD, alternatives=0, solver="highs")
    assert CURVES[0] in mine.proof.certified_by
    assert shortfalls(mine) == pytest.approx(shortfalls(other), abs=1e-5)
    assert mine.cash_usd_per_month == pytest.approx(other.cash_usd_per_month)


def test_what_lists_find_before_time_ends_is_kept(monkeypatch):
    # They come to an end for no more than half of the load; no engine has a plan of what is left.
    listed = names_and_money.Optimizer.listed

    def of_half(optimizer, query):
        peaks = [d.highest_peak for d in optimizer.instance.schedule.demands.values()]
        return NOT_SOLVED if max(peaks) > 4.5 else listed(optimizer, query)

    monkeypatch.setattr(names_and_money.Optimizer, "listed", of_half)
    monkeypatch.setattr(shortage.Optimizer, "minimum", out_of_time)
    plan = solve(asked(limits=shared_as("fair", 9.9 * HOURS)), SOLD, alternatives=0)
    assert plan.status is Status.FEASIBLE
    assert plan.cash_usd_per_month <= 9.9 * HOURS
    assert max(shortfalls(plan)) < 0.6


def test_plans_after_it_serve_everything():
    question = asked(limits=shared_as("fair", 8_300))
    mine = solve(question, SOLD, alternatives=3)
    other = solve(question, SOLD, alternatives=3, solver="highs")
    assert all(not any(shortfalls(plan)) for plan in mine.alternatives)
    assert [plan.score_usd_per_month for plan in mine.alternatives] == pytest.approx(
        [plan.score_usd_per_month for plan in other.alternatives]
    )


def test_a_plan_that_is_not_proven_in_time_is_kept(monkeypatch):
    # Without lists the engines serve everything for $7,200, and come to no end; they have no time
    # for the program in which something may be left out. Each of the two costs $3,550 at least.
    certified, found = optimum.solve_certified, staged.Search.next

    def unfinished(*args, **fields):
        run = certified(*args, **fields)
        return replace(run, status=EngineStatus.FEASIBLE, bound=3_550.0, certified_by=())

    def none_of_short(search):
        return NOT_SOLVED if may_be_short(search.instance.problem) else found(search)

    monkeypatch.setattr(lists, "MOST_LISTED", 0)
    monkeypatch.setattr(optimum, "solve_certified", unfinished)
    monkeypatch.setattr(staged.Search, "next", none_of_short)
    plan = solve(asked(limits=shared_as("fair", 7_300)), SOLD, alternatives=0)
    assert plan.status is Status.FEASIBLE
    assert plan.cash_usd_per_month == pytest.approx(10 * HOURS)
    assert 7_100 <= plan.lower_bound_usd_per_month <= 7_200
    assert shortfalls(plan) == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.9, 1.02])
@pytest.mark.parametrize("seed", range(4))
def test_an_engine_serves_and_spends_the_same(seed, part):
    question, rented = drawn(seed)
    all_served = solve(question, rented, alternatives=0)
    budget = part * all_served.cash_usd_per_month
    short = question.changed({"limits": shared_as("fair", budget)})
    mine = solve(short, rented, alternatives=0)
    other = solve(short, rented, alternatives=0, solver="highs")
    assert other.proof.certified_by == ("highs",)
    assert mine.proof.certified_by == (CURVES if part > 1 else (*CURVES, *ENGINES))
    assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month, rel=1e-6)
    assert shortfalls(mine) == pytest.approx(shortfalls(other), abs=1e-5)
