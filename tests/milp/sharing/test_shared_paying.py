"""What is paid already and what volume takes off, where several workloads pay for one unit.

A node has eight GPUs for $8/h, $5,760 a month; a replica of one GPU serves 10 requests/s. Chat has
35 requests/s on four GPUs, code 5 on one: they bear four and one of five parts.
"""

from __future__ import annotations

import pytest

from milp_planner import Plan, solve
from tests.support.builders import catalog, offering, problem, raw, workload

NODE = "acme/node/eu-1"


def planned(billing: str = "dedicated", loads=None, **fields) -> Plan:
    node = offering("acme", "big", 8.0, gpus_per_unit=8, name="node", billing=billing)
    loads = loads or [workload(35, "chat"), workload(5, "code")]
    asked = problem(workloads=loads, policy={"share": "units"}, **fields)
    return solve(asked, catalog([node], [raw("big", 10)]))


def borne(plan: Plan) -> list[float]:
    """USD/month of each purchase; they pay for all there is."""
    usd = [p.cash_usd_per_month for p in plan.purchases]
    assert sum(usd) == pytest.approx(plan.cash_usd_per_month)
    return usd


def test_a_unit_that_is_paid_already_costs_those_who_share_it_nothing():
    plan = planned(commitments=[{"offering": NODE, "units": 1}])
    assert borne(plan) == [0, 0]
    assert plan.costs == pytest.approx(plan.costs | {"rent": 5_760, "commitments": -5_760})
    (use,) = plan.commitments
    assert (use.used, use.paid) == pytest.approx((720, 720))


def test_an_amount_an_hour_covers_part_of_a_unit_for_all_who_stand_on_it():
    # $3.2 an hour at 20 % off pays for half a node of $8.
    half = {"offering": NODE, "usd_per_hour": 3.2, "discount": 0.2}
    assert borne(planned(commitments=[half])) == pytest.approx([2_880 * 0.8, 2_880 * 0.2])


def test_what_volume_takes_off_is_shared_by_the_gpus_held():
    # A quarter of what is beyond $1,760 of $5,760: $1,000.
    plan = planned(prices={"volume": {"acme/*": [{"above": 1_760, "discount": 0.25}]}})
    assert borne(plan) == pytest.approx([4_760 * 0.8, 4_760 * 0.2])


def test_hourly_units_are_covered_block_by_block():
    # By day twelve GPUs of chat and one of code, two nodes; by night one of each, on one node. One
    # node is paid already: one more is paid for half the month.
    day = {"kind": "profile", "weights": [12] * 12 + [1] * 12, "requests_per_day": 36_000 * 156}
    loads = [workload(name="chat", traffic=day), workload(5, "code")]
    plan = planned("autoscaling", loads, commitments=[{"offering": NODE, "units": 1}])
    assert sum(borne(plan)) == pytest.approx(2_880)
    # By day thirteen parts of two nodes, half of which are covered; by night nothing.
    assert borne(plan) == pytest.approx([2_880 * 12 / 13, 2_880 / 13])
