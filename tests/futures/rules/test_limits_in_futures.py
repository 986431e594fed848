"""Limits, prices and what is paid already, future by future; what cannot be planned says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from milp_planner import (
    InputError,
    Plan,
    Status,
    explain_limits,
    prepare,
    reason_lines,
    solve,
    warning_lines,
)
from milp_planner.futures.compare import Comparison
from milp_planner.solving.results import Interrupted
from tests.futures.test_commit_or_rent import (
    BASE,
    FLOP,
    HIT,
    ON_DEMAND,
    RESERVED,
    commit_or_rent,
    l40s,
    units,
)


def solved(**fields: Any) -> Plan:
    futures = fields.pop("futures", ())
    return solve(commit_or_rent(*futures, **fields), l40s(), diagnose=False)


def budget(usd: float, futures: str = "every") -> dict[str, Any]:
    return {"limits": {"budget": {"usd_per_month": usd, "futures": futures}}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "right"),
    [
        # the hit costs $75,036 less $495.77 a unit: 31 units bring it to $59,667
        (budget(60_000), 31),
        (budget(60_000, "hit"), 31),
        # 5 units are $4,221; a sixth would be above it in the flop
        (budget(5_000, "flop"), 5),
        (budget(25_400, "expected"), 5),
    ],
)
def test_a_budget_holds_where_it_says(limit, right):
    plan = solved(**limit)
    assert plan.status is Status.OPTIMAL
    assert units(plan) == right


def test_a_budget_on_average_bounds_what_risk_would_spend():
    # The worst alone takes 56 units. From 19 on the average is $15,007 and $576.17 a unit: 26 are
    # $29,987.
    plan = solved(risk={"measure": "worst", "of": "cost"}, **budget(30_000, "expected"))
    assert units(plan) == 26
    assert plan.futures is not None
    assert plan.futures.cash_usd_per_month == pytest.approx(29_987, abs=1)
    assert any("insures against growth and commits more" in one for one in warning_lines(plan))


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (budget(4_000, "flop"), "future 'flop' has no plan even by itself"),
        ({"limits": {"max_gpus": {"total": 50}}}, "future 'hit' has no plan even by itself"),
        (
            budget(25_300, "expected"),
            "each future can be planned by itself, and no one set of commitments serves them all",
        ),
    ],
)
def test_a_future_that_cannot_be_served_is_named(limit, said):
    plan = solved(**limit)
    assert plan.status is Status.INFEASIBLE
    assert [one for one in reason_lines(plan) if said in one]


def test_what_a_price_lets_go_unserved_is_told_future_by_future():
    # $500 per million: a unit's 10.8 requests/s are 28 M a month, worth $13,997: served wherever
    # there are GPUs. With 50 the hit goes without 6 of 56 units' work, 60 of 600 requests/s.
    plan = solved(
        limits={"max_gpus": {"total": 50}},
        policy={"penalties": {"shortfall": {"usd_per_million_requests": 500}}},
    )
    assert plan.futures is not None
    short = {one.name: one.shortfall_share for one in plan.futures.outcomes}
    assert short == pytest.approx({"flop": 0, "base": 0, "hit": 0.1}, abs=1e-6)


def test_prices_of_a_future_are_those_of_what_binds_nobody():
    plan = solved(futures=(FLOP, BASE, {**HIT, "prices": {"aws/*": "50%"}}))
    assert units(plan) == 5
    assert plan.futures is not None
    hit = plan.futures.outcomes[2]
    assert hit.usd_per_month == pytest.approx(720 * (5 * RESERVED + 51 * ON_DEMAND / 2))


def test_a_cap_on_prices_is_asked_at_the_prices_of_each_future():
    # On demand is $1.861: within $2 today, and not at 120 % in the hit, which then takes 56
    # reserved ones, as all other futures have to have.
    dear = {**HIT, "prices": {"*": 1.2}}
    plan = solved(futures=(FLOP, BASE, dear), limits={"max_usd_per_gpu_hour": 2})
    assert units(plan) == 56


def test_units_that_are_paid_already_are_nothing_to_be_committed_to():
    # They do for the flop; 14 more would be idle in 40 of 100 cases, as before.
    plan = solved(commitments=[{"offering": "aws/*", "units": 5}])
    assert units(plan) == 0
    assert plan.futures is not None
    rented = 720 * ON_DEMAND * (0.4 * 14 + 0.2 * 51)
    assert plan.futures.expected_usd_per_month == pytest.approx(rented)
    with pytest.raises(InputError, match="would be committed to anew, as reserved_1y"):
        commit_or_rent(commitments=[{"offering": "aws/*", "units": 5, "billing": "reserved_1y"}])


def test_what_is_asked_of_a_known_month_refuses_futures():
    for question in (lambda: prepare(commit_or_rent(), l40s()), explained):
        with pytest.raises(InputError) as refused:
            question()
        assert "futures: this is asked of a month that is known" in str(refused.value)
        assert "leave futures out" in str(refused.value)


def explained() -> None:
    explain_limits(commit_or_rent(), l40s())


def test_without_time_there_is_no_plan_and_no_claim():
    plan = solve(commit_or_rent(), l40s(), time_limit_s=1e-4)
    assert plan.status is Status.NO_PLAN
    assert plan.futures is None


def test_a_ctrl_c_beside_the_plan_leaves_the_plan(monkeypatch):
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Comparison, "told", interrupted)
    with pytest.raises(Interrupted) as stop:
        solve(commit_or_rent(), l40s())
    assert units(stop.value.plan) == 5


def test_what_is_not_proven_tells_the_gap_of_all_futures_together():
    plan = solved()
    assert plan.futures is not None
    least = plan.futures.minimised_usd_per_month
    stopped = replace(plan.futures, bound_usd_per_month=0.9 * least)
    unproven = replace(plan, status=Status.FEASIBLE, futures=stopped)
    assert (plan.gap, unproven.gap) == (0.0, pytest.approx(0.1))
