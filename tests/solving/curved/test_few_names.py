"""Where no more than so many providers or types of GPU may be used, curves choose which."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from milp_planner import Catalog, Status, solve
from milp_planner.milp.curves import few_names
from milp_planner.solving import parts as staged
from tests.solving.curved.test_curved_optimum import CURVES, by_both, cheapest_by_brute_force
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.one_class_problems import one_class_case

HOURS = 720

# USD/h. Fast: 10 requests/s. Slow: 3.
SOLD = catalog(
    [
        offering("alone", "fast", 4.0),
        offering("beside", "slow", 1.5),
        offering("complete", "fast", 5.2),
        offering("complete", "slow", 1.6),
    ],
    [raw("fast", 10.0), raw("slow", 3.0)],
)


@pytest.fixture
def large(monkeypatch):
    """Every problem is taken for a large one."""
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)


def asked(**limits):
    """13 and 3 requests/s."""
    return problem(
        workloads=[workload(13, "chat"), workload(3, "code")],
        limits=limits,
        target=1.0,
        policy={"share": "none"},
    )


def sellers(most):
    return {"providers": {"max_count": most}}


TYPES = {"gpus": {"max_count": 1}}


@pytest.mark.parametrize(
    ("limits", "usd_per_hour"),
    [
        (sellers(2), 4.0 + 1.5 + 1.5),  # as without a limit
        (sellers(1), 5.2 + 1.6 + 1.6),  # who sells nothing of the best fleet
        (TYPES, 5 * 1.5 + 1.5),  # slow ones alone
        ({**sellers(1), **TYPES}, 5 * 1.5 + 1.5),
        ({**sellers(1), "gpus": {"max_count": 2}}, 5.2 + 1.6 + 1.6),
        ({**sellers(1), "budget": {"usd_per_month": 6_050}}, 5.2 + 1.6 + 1.6),
    ],
)
def test_the_best_of_few_enough_names(limits, usd_per_hour, large):
    plan = solve(asked(**limits), SOLD)
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(usd_per_hour * HOURS)


def test_a_budget_that_few_names_do_not_keep_is_left_to_the_engines(large):
    plan = solve(asked(**sellers(1), budget={"usd_per_month": 6_040}), SOLD)
    assert plan.status is Status.INFEASIBLE
    assert plan.proof.certified_by == ("cbc", "highs")


def test_what_takes_too_many_branches_is_left_to_the_engines(large, monkeypatch):
    monkeypatch.setattr(few_names, "MOST_BRANCHES", 0)
    plan = solve(asked(**sellers(1)), SOLD)
    assert plan.proof.certified_by == ("cbc", "highs")
    assert plan.cash_usd_per_month == pytest.approx(8.4 * HOURS)


def test_without_a_fleet_of_so_few_names_the_engines_say_so(large):
    # One seller has what chat takes, another what code takes.
    two = [workload(13, "chat"), workload(3, "code", llm="other")]
    sold = catalog(
        [offering("a", "fast", 4.0), offering("b", "slow", 1.5)],
        [raw("fast", 10.0), raw("slow", 3.0, llm="other")],
    )
    question = problem(workloads=two, limits=sellers(1), policy={"share": "none"})
    plan = solve(question, sold, diagnose=False)
    assert plan.status is Status.INFEASIBLE
    assert plan.proof.certified_by == ("cbc", "highs")


def by_brute_force(question, rented, most):
    """The least of every set of so many sellers, by every number of units."""
    names = sorted({one.provider for one in rented.offerings})
    free = question.changed({"limits.providers": {}})
    return min(
        cheapest_by_brute_force(free, only(rented, some))
        for some in combinations(names, min(most, len(names)))
    )


def only(rented: Catalog, some) -> Catalog:
    kept = tuple(one for one in rented.offerings if one.provider in some)
    return replace(rented, offerings=kept)


@pytest.mark.parametrize("seed", range(12))
def test_few_sellers_are_those_of_all_sets_of_so_many(seed, large):
    most = 1 + seed % 2
    question, rented = one_class_case(seed, limits=sellers(most))
    plan = solve(question, rented)
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(by_brute_force(question, rented, most))
    assert len({p.candidate.offering.provider for p in plan.purchases}) <= most


@pytest.mark.parametrize("seed", range(100, 112))
def test_few_names_are_those_of_the_program(seed, monkeypatch):
    limits = {**sellers(1 + seed % 3), "gpus": {"max_count": 1 + seed // 3 % 2}}
    by_both(monkeypatch, *one_class_case(seed, workloads=3, blocks=4, limits=limits))
