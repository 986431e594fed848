"""solve(): hand optima, brute force, properties."""

from __future__ import annotations

import pytest
from hypothesis import given

from milp_planner import Status, reason_lines, solve
from tests.support.builders import big_and_small, catalog, offering, problem, raw
from tests.support.examples import tries
from tests.support.oracles.cases import as_input
from tests.support.oracles.oracle import cheapest
from tests.support.oracles.small_cases import small_cases


def test_the_cheapest_mix_is_found_and_proven():
    # 13 requests/s: one big and one small cost $5.50/h; two big $8, five small $7.50.
    plan = solve(problem(13), big_and_small())
    assert plan.status is Status.OPTIMAL
    assert {p.candidate.offering.id: p.units for p in plan.purchases} == {
        "acme/big/eu-1": 1,
        "bolt/small/eu-1": 1,
    }
    assert plan.cash_usd_per_month == pytest.approx(5.5 * 720)
    assert plan.score_usd_per_month == plan.bound == plan.cash_usd_per_month
    assert plan.gap == 0.0
    assert plan.proof.certified


def test_the_target_leaves_headroom():
    # 75 % of one big is 7.5 requests/s: 7.6 needs another unit, small: 9.75 in all.
    plan = solve(problem(7.6, target=0.75), big_and_small())
    assert plan.cash_usd_per_month == pytest.approx(5.5 * 720)
    assert plan.workloads[0].utilization == pytest.approx(7.6 / 13)


def test_exactly_at_the_target_is_allowed():
    plan = solve(problem(7.5, target=0.75), big_and_small())
    assert [p.units for p in plan.purchases] == [1]
    assert plan.workloads[0].utilization == pytest.approx(0.75, abs=1e-9)
    assert plan.workloads[0].band == "medium"


def test_a_fraction_above_the_target_is_not():
    plan = solve(problem(7.5 * 1.00001, target=0.75), big_and_small())
    assert sum(p.units for p in plan.purchases) == 2


def test_classes_share_a_unit_in_time():
    # One box does 10/s of short or 1/s of long. 5/s + 0.5/s fill it: half the time each.
    # Counting capacity per class, as if both were free at once, would buy half a box.
    boxes = catalog(
        [offering("acme", "box", 2.0)],
        [raw("box", 10, size=(1, 1)), raw("box", 1, size=(10, 10))],
    )
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 10 / 11},
        {"input_tokens": 10, "output_tokens": 10, "share": 1 / 11},
    ]
    plan = solve(problem(5.5, chat={"requests": sizes}), boxes)
    assert [p.units for p in plan.purchases] == [1]
    assert plan.workloads[0].utilization == pytest.approx(1.0)
    plan = solve(problem(5.6, chat={"requests": sizes}), boxes)
    assert [p.units for p in plan.purchases] == [2]


def test_each_class_goes_where_it_is_relatively_fastest():
    # a: 10 short or 1 long; b: 4 short or 4 long, both $1/h. 8 short + 3 long: a for the short
    # (80 %), b for the long (75 %).
    rates = [
        raw("a", 10, size=(1, 1)),
        raw("a", 1, size=(10, 10)),
        raw("b", 4, size=(1, 1)),
        raw("b", 4, size=(10, 10)),
    ]
    boxes = catalog([offering("acme", "a", 1.0), offering("bolt", "b", 1.0)], rates)
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 8 / 11},
        {"input_tokens": 10, "output_tokens": 10, "share": 3 / 11},
    ]
    plan = solve(problem(11, chat={"requests": sizes}), boxes)
    assert sorted(p.units for p in plan.purchases) == [1, 1]
    assert plan.cash_usd_per_month == pytest.approx(2 * 720)


def test_nothing_left_to_serve_with_is_infeasible_with_the_reason():
    plan = solve(problem(10, limits={"gpus": {"deny": ["big", "small"]}}), big_and_small())
    assert plan.status is Status.INFEASIBLE
    assert "workload 'chat' cannot be served by any allowed offering" in reason_lines(plan)[0]
    assert any("denied by limits.gpus.deny" in reason for reason in reason_lines(plan))


def test_a_budget_below_the_cheapest_plan_says_by_how_much():
    # 10 requests/s: one big, $4/h = $2,880.
    plan = solve(problem(10, limits={"budget": {"usd_per_month": 2000}}), big_and_small())
    assert plan.status is Status.INFEASIBLE
    assert reason_lines(plan) == (
        "the cheapest plan costs $2,880.00 per month, $880.00 above the budget of $2,000.00",
    )


def test_a_budget_equal_to_the_cost_passes():
    plan = solve(problem(10, limits={"budget": {"usd_per_month": 2880}}), big_and_small())
    assert plan.cash_usd_per_month == pytest.approx(2880)


@tries(1.2)
@given(small_cases())
def test_agrees_with_brute_force(case):
    # One unit of the slowest option carries 2 requests/s at 100 %: 18 requests/s of two classes at
    # 50 % want 18 of them; the cheapest fleets of these prices never want more than 10 of one.
    most = 6 if len(case.loads) == 2 or len(case.offers) == 3 else 10
    best = cheapest(case, most)
    question, rented = as_input(case)
    plan = solve(question, rented, diagnose=False)
    if plan.status is Status.OPTIMAL and any(p.units > most for p in plan.purchases):
        assert best is None or plan.cash_usd_per_month < best + 0.01
        return
    if best is None:
        assert plan.status is Status.INFEASIBLE
    else:
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(best, rel=1e-6)
