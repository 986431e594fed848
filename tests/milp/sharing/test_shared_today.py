"""Today's fleet where replicas share units: units are kept, added and given back by offering."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Plan, prepare, solve
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving.checks.sharing import size_faults
from tests.support.builders import catalog, offering, problem, raw, workload

NODE = "acme/node/eu-1"


def market(*, billing: str = "dedicated", cheaper: float | None = None):
    """Nodes of two GPUs for $2/h, and of another provider for less."""
    sold = [offering("acme", "big", 2.0, gpus_per_unit=2, name="node", billing=billing)]
    if cheaper is not None:
        sold.append(offering("bolt", "big", cheaper, gpus_per_unit=2, name="node"))
    return catalog(sold, [raw("big", 1)])


def running(units: dict[str, int], chat=1.0, code=1.0, **fields):
    """Two workloads, a GPU of which serves 1 request/s, and nodes that run for each."""
    today = [{"offering": NODE, "workload": name, "units": n} for name, n in units.items()]
    loads = [workload(chat, "chat"), workload(code, "code")]
    policy = {"share": "units", **fields.pop("policy", {})}
    return problem(workloads=loads, policy=policy, current_fleet=today, **fields)


def moved(plan: Plan) -> list[tuple[str, int, int, int]]:
    return [(c.workload, c.keep, c.add, c.remove) for c in plan.changes]


def test_a_node_that_ran_for_one_workload_is_kept_for_both():
    plan = solve(running({"chat": 1}), market())
    assert moved(plan) == [("", 1, 0, 0)]
    assert "keep 1 x acme/node/eu-1 dedicated to share" in plan_text(plan)
    assert Plan.from_dict(plan.to_dict()).changes == plan.changes


def test_nodes_of_several_workloads_are_one_count_and_one_is_given_back():
    plan = solve(running({"chat": 1, "code": 1}), market())
    assert moved(plan) == [("", 1, 0, 1)]


def test_a_node_stays_idle_where_it_costs_more_to_give_back():
    # A node is $1,440 a month: given back for $1,400 one goes, for $1,500 it stays.
    for usd, planned in ((1_400, 1), (1_500, 2)):
        dear = running({"chat": 2}, switching={"usd_per_unit_removed": usd})
        assert sum(one.units for one in solve(dear, market()).shared_units) == planned


def test_a_cheaper_node_is_worth_two_changes_only_where_they_cost_less_than_it_saves():
    # $0.5/h less is $360 a month; one node added and one given back at $179 each is $358.
    for usd, provider in ((179, "bolt"), (181, "acme")):
        prices = {"usd_per_unit_added": usd, "usd_per_unit_removed": usd}
        plan = solve(running({"chat": 1}, switching=prices), market(cheaper=1.5))
        assert [one.candidate.provider for one in plan.shared_units] == [provider]
    kept = running({"chat": 1}, switching={"max_units_changed": 1})
    assert moved(solve(kept, market(cheaper=1.5))) == [("", 1, 0, 0)]


def test_hourly_nodes_are_added_by_the_most_that_are_on():
    # Three GPUs by day and two by night: two nodes and one. One runs: one more is added, for $100.
    day = {"kind": "profile", "weights": [2] * 12 + [1] * 12, "requests_per_day": 3600 * 36}
    loads = [workload(name="chat", traffic=day), workload(1, "code")]
    asked = running({"chat": 1}, switching={"usd_per_unit_added": 100})
    asked = asked.changed({"workloads": loads})
    plan = solve(asked, market(billing="autoscaling"))
    assert moved(plan) == [("", 1, 1, 0)]
    assert plan.costs["switching"] == pytest.approx(100)
    assert plan.costs["rent"] == pytest.approx(2 * 360 * (2 + 1))


def test_units_that_replicas_join_and_units_that_they_share_are_not_told_apart():
    asked = running({"chat": 2})
    listed = prepare(asked, market()).candidates
    first, *others = listed.candidates
    joined = replace(first, units_joined=2, part_of_unit=False)
    (fault,) = size_faults(asked, replace(listed, candidates=(joined, *others)))
    assert fault.message == (
        "units of acme/node/eu-1 run today, and whether a replica joins several of them or others "
        "share each is not told"
    )
    assert not list(size_faults(asked, listed))
