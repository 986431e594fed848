"""A plan with shared units is the fleet of the next month, in which nothing has to change."""

from __future__ import annotations

import random

import pytest

from milp_planner import CurrentUnits, Plan, Problem, current_fleet_of, solve
from tests.milp.sharing.test_shared_today import NODE, market, moved
from tests.milp.sharing.test_shared_units import nodes, two
from tests.support.builders import catalog, offering, problem, raw, workload


def went_on(asked: Problem, plan: Plan) -> Problem:
    """The same question once the plan runs, where each unit that changes costs $5,000."""
    prices = {"usd_per_unit_added": 5_000, "usd_per_unit_removed": 5_000}
    return asked.changed({"current_fleet": current_fleet_of(plan), "switching": prices})


def changed(plan: Plan) -> int:
    return sum(add + remove for _, _, add, remove in moved(plan))


@pytest.mark.parametrize("share", [None, "units"])
def test_a_node_that_two_share_runs_for_the_one_that_holds_most_of_it(share):
    asked = two(25, 5, share=share)
    plan = solve(asked, nodes())
    (row,) = current_fleet_of(Plan.from_dict(plan.to_dict()))
    assert row == CurrentUnits(offering=NODE, billing="dedicated", workload="chat", units=1)
    assert changed(solve(went_on(asked, plan), nodes())) == 0


def test_a_node_of_ones_own_and_one_that_is_shared_are_two():
    # 85 requests/s are a full node and one GPU of another, on which code stands too.
    asked = two(85, 5, share=None)
    plan = solve(asked, nodes())
    assert [(row.workload, row.units) for row in current_fleet_of(plan)] == [("chat", 2)]
    assert changed(solve(went_on(asked, plan), nodes())) == 0


def test_hourly_nodes_run_for_those_who_stand_there_in_the_block_of_the_most():
    # Three GPUs by day, two by night: two nodes and one.
    day = {"kind": "profile", "weights": [2] * 12 + [1] * 12, "requests_per_day": 3600 * 36}
    loads = [workload(name="chat", traffic=day), workload(1, "code")]
    asked = problem(workloads=loads, policy={"share": "units"})
    rented = market(billing="autoscaling")
    plan = solve(asked, rented)
    assert sum(row.units for row in current_fleet_of(plan)) == 2
    assert changed(solve(went_on(asked, plan), rented)) == 0


def goes_on(seed: int, share: str | None) -> bool:
    """Whether units are shared in a plan that runs on, unchanged, at what it costs."""
    r = random.Random(seed)
    names = ["chat", "code", "mail"][: r.choice([2, 3])]
    billing = r.choice(["dedicated", "autoscaling"])
    sold = [
        offering(
            r.choice(["acme", "bolt"]),
            "big",
            float(r.choice([2, 3, 5])),
            gpus_per_unit=gpus,
            name=f"x{gpus}",
            billing=billing,
        )
        for gpus in (2, 4)
    ]
    loads = []
    for name in names:
        weights = [r.choice([1, 2, 3, 5])] * 12 + [r.choice([1, 2, 3])] * 12
        day = {"kind": "profile", "weights": weights, "requests_per_day": 3600 * sum(weights)}
        loads.append(workload(name=name, traffic=day))
    asked = problem(workloads=loads, policy={"share": share})
    rented = catalog(sold, [raw("big", 1), raw("big", 3, tensor_parallel=2)])
    plan = solve(asked, rented)
    again = solve(went_on(asked, plan), rented)
    assert changed(again) == 0
    assert again.cash_usd_per_month == pytest.approx(plan.cash_usd_per_month)
    return bool(plan.shared_units)


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_many_plans_run_on_unchanged(share):
    assert any([goes_on(seed, share) for seed in range(30)])
