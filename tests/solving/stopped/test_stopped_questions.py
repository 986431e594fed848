"""Every question keeps its time limit while candidates are listed, and says what is left open."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from milp_planner import (
    Status,
    Verdict,
    budget_frontier,
    evaluate,
    explain,
    explain_limits,
    scenario_grid,
    what_if,
)
from milp_planner.deadline import OutOfTime, counted_from
from milp_planner.questions.reasons import explain as explaining
from milp_planner.questions.reasons.explain import NotReached
from milp_planner.questions.sweeps import what_if as sweeping
from milp_planner.questions.sweeps.frontier import FrontierEnd
from milp_planner.reporting.text.questions.explain import limit_costs_text, why_not_text
from milp_planner.reporting.text.questions.what_if import findings
from milp_planner.solving import prepare as preparing
from tests.support.builders import big_and_small, problem, with_tokens

GONE_S = 600.0
"""Seconds ago that a question began whose limit is ten."""


@pytest.fixture
def nothing_is_listed(monkeypatch):
    """Listing everything takes longer than anybody has."""

    def late(*given):
        raise OutOfTime

    monkeypatch.setattr(preparing, "list_candidates", late)


# 13 requests/s by one kind alone, which is the first plan: five small, $5,400.


def test_why_not_is_left_open_beside_a_first_plan(nothing_is_listed):
    with counted_from(time.monotonic() - GONE_S):
        why = explain(problem(13), big_and_small(), gpu="big", time_limit_s=10)
    assert why.verdict is Verdict.NOT_REACHED
    assert why.not_reached == (NotReached.THE_PLAN, NotReached.FORCED_IN)
    assert [(p.candidate.gpu, p.units) for p in why.plan.purchases] == [("small", 5)]
    text = why_not_text(why)
    assert text.startswith("gpu big is not in the best plan found so far.\n")
    assert "Left open by the time limit or the solvers: the best plan; forcing it in." in text


def test_what_a_first_plan_uses_is_not_said_to_be_in_the_best(nothing_is_listed):
    with counted_from(time.monotonic() - GONE_S):
        why = explain(problem(13), big_and_small(), gpu="small", time_limit_s=10)
    assert why.verdict is Verdict.USED
    assert why.not_reached == (NotReached.THE_PLAN, NotReached.WITHOUT_IT)
    text = why_not_text(why)
    assert text.startswith("gpu small is in the best plan found so far: 5 x small bolt.\n")
    assert "no plan" not in text


def test_a_comparison_with_a_plan_that_is_not_proven_says_so(monkeypatch):
    solved = explaining.Resolver.answer

    def unproven(self, asked, **how):
        answer = solved(self, asked, **how)
        plan = replace(answer.plan, status=Status.FEASIBLE)
        return replace(answer, status=Status.FEASIBLE, plan=plan)

    monkeypatch.setattr(explaining.Resolver, "answer", unproven)
    why = explain(problem(10), big_and_small(), gpu="small")
    assert NotReached.THE_PLAN in why.not_reached
    assert "Left open by the time limit or the solvers: the best plan" in why_not_text(why)


def test_what_limits_cost_is_left_open_one_by_one(nothing_is_listed):
    asked = problem(13, limits={"max_gpus": {"total": 16}})
    with counted_from(time.monotonic() - GONE_S):
        costs = explain_limits(asked, big_and_small(), time_limit_s=10)
    assert costs.plan.status is Status.FEASIBLE
    assert costs.rows == ()
    assert {"limits.max_gpus.total", "10 % more traffic"} <= {*costs.not_reached}
    assert "10 % more traffic" in limit_costs_text(costs)


def test_a_frontier_ends_at_its_largest_budget(nothing_is_listed):
    found = budget_frontier(problem(13), 1000, 9000, big_and_small(), time_limit_s=10)
    assert (found.steps, found.smallest_budget_usd) == ((), None)
    assert found.unfinished is not None
    assert (found.unfinished.reason, found.unfinished.budget_usd) == (FrontierEnd.TIME_LIMIT, 9000)


def test_each_scenario_has_a_row_and_a_time_limit_of_its_own(nothing_is_listed):
    grid = {"fewer": {"limits.max_gpus.total": 8}, "more": {"limits.max_gpus.total": 9}}
    with counted_from(time.monotonic() - GONE_S):
        rows = what_if(problem(13), grid, big_and_small(), time_limit_s=10).rows
    assert [(row.scenario, row.status.value, row.error) for row in rows] == [
        ("fewer", "no_plan", "no plan in time"),
        ("more", "no_plan", "no plan in time"),
    ]


def test_a_break_even_that_time_left_none_for_is_not_said_to_be_impossible(nothing_is_listed):
    scenarios = scenario_grid(traffic=[1, 2])
    found = what_if(problem(13), scenarios, with_tokens(), time_limit_s=10)
    assert (found.break_evens, found.left_open) == ({"": None}, ("",))
    assert found.to_dict()["break_evens_left_open"] == [""]
    said = [*findings(found, problem(13), scenarios)]
    assert said[0] == "Left open by the time limit: whether a fleet and per token break even."
    assert not any("cannot serve" in line for line in said)


def test_what_is_known_not_to_break_even_is_not_left_open():
    # Nobody sells tokens here.
    found = what_if(problem(13), scenario_grid(traffic=[1]), big_and_small())
    assert (found.break_evens, found.left_open) == ({"": None}, ())


def test_a_scenario_is_not_cut_short_by_the_time_that_the_ones_before_it_took():
    # A question that began ten minutes ago, of many scenarios of ten seconds each.
    with counted_from(time.monotonic() - GONE_S):
        [row] = what_if(problem(13), {"as it is": {}}, big_and_small(), time_limit_s=60).rows
    assert (row.status.value, row.cash_usd) == ("optimal", pytest.approx(3960))


def test_a_scenario_that_somebody_stops_while_it_is_listed_ends(monkeypatch):
    cancel = threading.Event()
    listing = preparing.list_candidates

    def stopped(*given):
        cancel.set()
        return listing(*given)

    monkeypatch.setattr(preparing, "list_candidates", stopped)
    [scenario] = sweeping.listed({"as it is": {}})
    how = sweeping.How(cancel=cancel)
    shared = sweeping.Shared(problem(13), big_and_small(), how, None)
    row = sweeping.run_scenario(shared, (scenario, None))
    assert (row.status.value, row.error) == ("no_plan", "no plan in time")


def test_a_fleet_is_evaluated_without_listing_what_else_there_is(nothing_is_listed):
    found = evaluate(problem(13), {"acme/big/eu-1": 2}, big_and_small())
    assert found.cash_usd_per_month == pytest.approx(2 * 4.0 * 720)
    assert found.keeps_all_limits
