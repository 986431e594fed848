"""Workloads that nothing links are solved by curves where they make a large program."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from milp_planner import Status, prepare, solve
from milp_planner.candidates.records import hours_held, is_elastic
from milp_planner.milp.curves.curve import Curve
from milp_planner.solving import parts as staged
from milp_planner.solving.assembly.verify import keeps_all
from tests.support.builders import big_and_small, problem, workload
from tests.support.one_class_problems import one_class_case
from tests.support.random_problems import planned
from tests.support.sample_plans import text

CURVES = ("capacity curves",)


@pytest.fixture
def large(monkeypatch):
    """Every problem is taken for a large one."""
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)


def by_both(monkeypatch, question, rented):
    """The plans that the program and the curves give, each proven and equally good."""
    _, whole = planned(question, rented, break_ties=False)
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    _, plan = planned(question, rented)
    assert whole.proof.certified_by == ("cbc", "highs")
    assert plan.proof.certified_by == CURVES
    assert plan.score_usd_per_month == pytest.approx(whole.score_usd_per_month, rel=1e-9)
    return whole, plan


def cheapest_by_brute_force(question, rented):
    """USD per month of the cheapest fleet: every number of held units, and of elastic ones."""
    asked = prepare(question, rented)
    total = 0.0
    limit = question.policy.utilization.highest
    for name, demand in asked.schedule.demands.items():
        mine = [k for k in asked.candidates.candidates if k.workload == name]
        held = [k for k in mine if not is_elastic(question, k)]
        elastic = [k for k in mine if is_elastic(question, k)]
        blocks = list(zip(asked.schedule.blocks, demand.peak, strict=True))

        def fleets(some, most):
            ranges = (range(int(most / (limit * k.mix_requests_per_second)) + 2) for k in some)
            return [
                (
                    sum(
                        n * limit * k.mix_requests_per_second for k, n in zip(some, on, strict=True)
                    ),
                    sum(n * k.usd_per_hour for k, n in zip(some, on, strict=True)),
                    on,
                )
                for on in product(*ranges)
            ]

        by_the_hour = fleets(elastic, demand.highest_peak)
        total += min(
            sum(hours_held(asked, k) * k.usd_per_hour * n for k, n in zip(held, on, strict=True))
            + sum(
                block.hours
                * min(
                    (usd for more, usd, _ in by_the_hour if carried + more >= peak * (1 - 1e-9)),
                    default=float("inf"),
                )
                for block, peak in blocks
                if peak
            )
            for carried, _, on in fleets(held, demand.highest_peak)
        )
    return total


@pytest.mark.parametrize("seed", range(12))
def test_the_curves_have_the_optimum_of_all_fleets(seed, large):
    question, rented = one_class_case(seed)
    plan = solve(question, rented)
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(cheapest_by_brute_force(question, rented))
    assert plan.bound == plan.score_usd_per_month


@pytest.mark.parametrize("seed", range(100, 125))
def test_the_curves_have_the_optimum_of_the_program(seed, monkeypatch):
    whole, plan = by_both(monkeypatch, *one_class_case(seed, workloads=3, blocks=4))
    assert plan.costs == pytest.approx(whole.costs)


def two_workloads(**fields):
    # 12 requests/s: one of each, $5.50 an hour. 3 requests/s: one small, $1.50. $5,040 a month.
    return problem(workloads=[workload(12, "chat"), workload(3, "code")], **fields)


def test_the_headline_says_who_proved_it(large):
    plan = solve(two_workloads(), big_and_small())
    assert plan.cash_usd_per_month == pytest.approx(5_040)
    assert "certified by capacity curves, gap 0 %" in text(plan)
    (said,) = plan.proof.engines
    assert (said.name, said.status, said.bound) == ("capacity curves", "optimal", 5_040)


def test_a_small_problem_is_left_to_both_engines():
    assert solve(two_workloads(), big_and_small()).proof.certified_by == ("cbc", "highs")


@pytest.mark.parametrize("solver", ["cbc", "highs"])
def test_an_engine_that_is_asked_for_by_name_solves_it(solver, large):
    assert solve(two_workloads(), big_and_small(), solver=solver).proof.certified_by == (solver,)


@pytest.mark.parametrize(
    "fields",
    [
        {"limits": {"max_gpus": {"total": 2}}},
        {"limits": {"providers": {"max_share": "60%"}}},
        {"policy": {"penalties": {"scaling": {"above_gpus": 1, "usd_per_gpu": 1_000}}}},
    ],
)
def test_what_the_curves_do_not_know_is_solved_by_the_engines(fields, large):
    plan = solve(two_workloads(**fields), big_and_small())
    assert "capacity curves" not in plan.proof.certified_by


@pytest.mark.parametrize(
    ("usd", "status", "by"),
    [
        (5_040, Status.OPTIMAL, CURVES),
        (5_039, Status.INFEASIBLE, ("cbc", "highs")),
    ],
)
def test_a_budget_that_pays_for_the_optimum_does_not_bind(usd, status, by, large):
    plan = solve(
        two_workloads(limits={"budget": {"usd_per_month": usd}}), big_and_small(), diagnose=False
    )
    assert (plan.status, plan.proof.certified_by) == (status, by)


def test_a_budget_beside_a_count_that_binds_is_one_of_curves_too(large):
    # One of each for 12 requests/s is of two providers: two big are $8 an hour, a small $1.50.
    limits = {"budget": {"usd_per_month": 9_000}, "providers": {"max_count": 1}}
    plan = solve(two_workloads(limits=limits), big_and_small())
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(720 * min(8 + 4, 6 + 1.5))


def test_a_budget_beside_a_share_that_binds_is_left_to_the_engines(large):
    limits = {"budget": {"usd_per_month": 9_000}, "providers": {"max_share": "60%"}}
    plan = solve(two_workloads(limits=limits), big_and_small())
    assert plan.status is Status.OPTIMAL
    assert "capacity curves" not in plan.proof.certified_by


def test_a_workload_alone_is_left_to_the_engines_where_the_others_have_curves(large):
    # Chat's replicas must be three: three small are $4.50, and carry 9; a fourth is $6.
    # Big and two small, $7, would do as well.
    three = {**workload(12, "chat"), "min_replicas": 3}
    plan = solve(problem(workloads=[three, workload(3, "code")]), big_and_small())
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(720 * (6 + 1.5))
    assert set(plan.proof.certified_by) == {"cbc", "highs", "capacity curves"}


@pytest.mark.parametrize("what", ["keeps_all", "broken"])
def test_a_plan_of_curves_that_fails_its_check_is_none(what, large, monkeypatch):
    if what == "broken":
        monkeypatch.setattr(Curve, "broken", ("a step is missing",))
    else:
        monkeypatch.setattr(staged, "keeps_all", lambda *given: False)
    plan = solve(two_workloads(), big_and_small())
    assert plan.proof.certified_by == ("cbc", "highs")
    assert plan.cash_usd_per_month == pytest.approx(5_040)


def test_a_plan_is_held_against_its_price_and_every_rule():
    asked, plan = planned(two_workloads(), big_and_small())
    assert keeps_all(asked, plan, 5_040)
    assert not keeps_all(asked, plan, 5_040.1)
    assert not keeps_all(asked, replace(plan, routes=()), 5_040)


def test_units_that_rest_are_off_where_their_workload_has_no_load(large):
    by_day = {
        "kind": "profile",
        "requests_per_day": 43_200 * 3,
        "weights": [0] * 12 + [1] * 12,
        "max_blocks": 2,
    }
    workloads = [{**workload(1, "chat"), "traffic": by_day}, workload(3, "code")]
    policy = {"switch_off_dedicated": True}
    # 3 requests/s for half of the month, and all of it: one small each.
    plan = solve(problem(workloads=workloads, policy=policy), big_and_small())
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(1.5 * (360 + 720))
    assert sorted(p.units_by_block for p in plan.purchases) == [(1, 0), (1, 1)]
