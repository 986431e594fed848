"""A budget that does not pay for everything: `when_short: fair` and `priority`."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, solve, warning_lines
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload
from tests.support.examples import tries
from tests.support.oracles.cases import as_input
from tests.support.oracles.month_cases import short_months
from tests.support.oracles.month_oracle import fairest_month

# Big: 10 requests/s, $2,880 a month. Small: 3 requests/s, $1,080.


def short(usd, when_short, *workloads, limits=None, **fields):
    budget = {"usd_per_month": usd, "when_short": when_short}
    asked_for = problem(
        workloads=list(workloads), limits={"budget": budget, **(limits or {})}, **fields
    )
    return solve(asked_for, big_and_small(), diagnose=False)


def served(plan):
    return {w.name: pytest.approx(1 - w.shortfall_share, abs=3e-6) for w in plan.workloads}


@pytest.mark.parametrize("when_short", ["fair", "priority"])
def test_a_budget_that_is_enough_serves_everything_at_the_least_cost(when_short):
    plan = short(3_960, when_short, workload(13))
    assert plan.cash_usd_per_month == pytest.approx(3_960)
    assert served(plan) == {"chat": 1.0}
    assert plan.warnings == ()


def test_a_fair_budget_serves_the_largest_equal_share_then_the_most_then_the_cheapest():
    # $4,000 buys one big and one small, or three small. Chat wants 13, code 6 requests/s. Big for
    # chat and small for code serves 10 / 13 and 1 / 2; two small and one, 6 / 13 and 1 / 2; big for
    # code, 3 / 13 and 1. The least is largest in the first, and then chat is served all of 10.
    plan = short(4_000, "fair", workload(13, "chat"), workload(6, "code"))
    assert plan.status is Status.OPTIMAL
    assert served(plan) == {"chat": 10 / 13, "code": 0.5}
    assert plan.cash_usd_per_month == pytest.approx(3_960)
    assert plan.proof.certified
    assert warning_lines(plan) == (
        "the budget of $4,000.00 is short: at the peak it serves 76.9 % of chat, 50.0 % of code; "
        "to serve everything costs $6,120.00",
    )


def test_a_fair_share_leaves_no_money_on_what_it_does_not_serve():
    # $3,000: one big serves 10 of 13; two small, $2,160, only 6.
    plan = short(3_000, "fair", workload(13))
    assert plan.cash_usd_per_month == pytest.approx(2_880)
    assert plan.workloads[0].shortfall_share == pytest.approx(3 / 13, rel=1e-12)
    assert plan.workloads[0].utilization == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("first", "expected"),
    [("chat", {"chat": 1.0, "code": 0.0}), ("code", {"chat": 3 / 13, "code": 1.0})],
)
def test_priority_serves_the_first_before_the_second(first, expected):
    # $4,000. Chat, 13 requests/s, takes one of each. Code, 6, takes big or two small; then a small
    # one is left for chat.
    ranks = {name: 1 if name == first else 2 for name in ("chat", "code")}
    plan = short(
        4_000,
        "priority",
        workload(13, "chat", priority=ranks["chat"]),
        workload(6, "code", priority=ranks["code"]),
    )
    assert served(plan) == expected
    assert plan.status is Status.OPTIMAL


@pytest.mark.slow
def test_equal_priorities_are_served_fairly():
    both = workload(13, "chat"), workload(6, "code")
    fair, ranked = short(4_000, "fair", *both), short(4_000, "priority", *both)
    assert served(fair) == served(ranked)
    assert fair.cash_usd_per_month == ranked.cash_usd_per_month


def test_money_alone_may_be_short_where_the_policy_says_so():
    # One GPU never serves 13 requests/s, whatever the money.
    limits = {"max_gpus": {"total": 1}}
    plan = short(9_000, "fair", workload(13), limits=limits, policy={"when_short": "fail"})
    assert plan.status is Status.INFEASIBLE
    assert served(short(9_000, "fair", workload(13), limits=limits)) == {"chat": 10 / 13}


def test_what_a_short_budget_serves_survives_a_loss():
    # $5,040: big and two small leave 6 requests/s, of which 6 are served; big and small alone 3.
    limits = {"survive_loss_of": "provider"}
    plan = short(5_040, "fair", workload(13), limits=limits)
    assert served(plan) == {"chat": 6 / 13}
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"big": 1, "small": 2}


def test_alternatives_of_a_short_budget_serve_as_much():
    # $4,400 and 14 requests/s: one of each serves 13. Four small serve 12, and are no alternative.
    every = {"count": 3, "differ_by": "counts"}
    plan = short(4_400, "fair", workload(14), alternatives=every)
    assert served(plan) == {"chat": 13 / 14}
    assert plan.alternatives == ()
    # For 12 requests/s they are one: the budget pays for all of it either way.
    plan = short(4_400, "fair", workload(12), alternatives=every)
    assert [other.cash_usd_per_month for other in plan.alternatives] == [pytest.approx(4_320)]


@tries(0.25)
@given(short_months())
def test_a_fair_budget_agrees_with_brute_force(case):
    most = 5 if len(case.offers) == 2 else 4
    unlimited = replace(case, terms=replace(case.terms, budget=None))
    best, without = fairest_month(case, most), fairest_month(unlimited, most)
    plan = solve(*as_input(case), solver="highs", diagnose=False)
    if plan.status is Status.INFEASIBLE:
        assert without is None or without[0] > 0  # it is not the budget that is short
        return
    assert plan.status is Status.OPTIMAL
    if any(p.units > most for p in plan.purchases):
        return
    assert plan.workloads[0].shortfall_share == pytest.approx(best[0], abs=1e-6)
    assert plan.cash_usd_per_month == pytest.approx(best[2], abs=0.01)


def test_a_plan_preferred_among_ties_says_that_the_budget_is_short():
    # Three sell the same 1 req/s for $1,080 a month: $3,000 pays for 2 of 13, all for 13 x 1,080.
    rows = [offering(seller, "small", 1.5) for seller in ("acme", "bolt", "cant")]
    limits = {"budget": {"usd_per_month": 3000, "when_short": "fair"}}
    plan = solve(problem(13, limits=limits), catalog(rows, [raw("small", 1)]), alternatives=0)
    assert plan.cash_usd_per_month == 2160
    assert warning_lines(plan) == (
        "the budget of $3,000.00 is short: at the peak it serves 15.4 % of chat; "
        "to serve everything costs $14,040.00",
    )


def test_nothing_bought_is_not_called_served_per_token():
    plan = short(100, "fair", workload(10, "chat"))
    assert "peak 10.0 req/s, nothing bought for it, tpot not known" in plan_text(plan)


def test_what_is_left_unserved_has_no_price_per_token():
    # 10 of 13 requests/s for $2,880: a price per token asked for would be a quarter too low.
    plan = short(3_000, "fair", workload(13))
    assert plan.usd_per_million_tokens is None
    assert plan.workloads[0].usd_per_million_tokens is None
    assert plan_text(plan).startswith("Optimal plan: $2,880 per month      certified")


def best_by_priority(loads, usd, fair):
    """Unserved shares and USD of the best fleet: every fleet that the budget pays for is tried."""
    big, small = 2_880, 1_080
    each = [
        [(b, s) for b in range(usd // big + 1) for s in range((usd - b * big) // small + 1)]
        for _ in loads
    ]
    found = []
    for fleet in itertools.product(*each):
        cost = sum(b * big + s * small for b, s in fleet)
        if cost > usd:
            continue
        lacking = [
            max(0.0, 1 - (10 * b + 3 * s) / load) for (b, s), load in zip(fleet, loads, strict=True)
        ]
        total = sum(x * load for x, load in zip(lacking, loads, strict=True)) / sum(loads)
        stages = (max(lacking), total) if fair else tuple(lacking)
        found.append((tuple(round(stage, 9) for stage in stages), cost))
    return min(found)


@tries(0.15)
@given(
    st.lists(st.sampled_from([2, 5, 7, 12, 19]), min_size=2, max_size=3),
    st.sampled_from([1_000, 2_500, 4_100, 6_300, 9_000]),
    st.booleans(),
)
def test_every_order_of_serving_agrees_with_brute_force(loads, usd, fair):
    asked_for = [workload(load, f"w{i}", priority=i + 1) for i, load in enumerate(loads)]
    plan = short(usd, "fair" if fair else "priority", *asked_for)
    stages, cost = best_by_priority(loads, usd, fair)
    lacking = [w.shortfall_share for w in plan.workloads]
    if fair:
        total = sum(x * load for x, load in zip(lacking, loads, strict=True)) / sum(loads)
        lacking = [max(lacking), total]
    assert lacking == pytest.approx(stages, abs=3e-6)
    assert plan.cash_usd_per_month == pytest.approx(cost)
