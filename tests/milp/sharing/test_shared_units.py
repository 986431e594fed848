"""Replicas of several workloads on one unit: who stands where, what it costs, what is refused.

Unless said otherwise a node has eight GPUs for $8/h, $5,760 a month, and a replica of one GPU
serves 10 requests/s.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import InputError, Plan, Problem, Status, evaluate, prepare, solve
from milp_planner.candidates.sharing.documents import price_of_unit
from milp_planner.candidates.sharing.shared_units import gpus_on, placed
from milp_planner.candidates.sharing.standing import shared_unit
from milp_planner.milp.program.rules.packing import Packing
from milp_planner.plans.records import Purchase
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import catalog, offering, problem, raw, workload

NODE = 5_760.0


def nodes(*rates, gpus=8, usd_per_hour=8.0, **fields):
    rates = rates or (raw("big", 10),)
    node = offering("acme", "big", usd_per_hour, gpus_per_unit=gpus, name="node", **fields)
    return catalog([node], list(rates))


def two(first=5.0, second=5.0, share="units", **fields) -> Problem:
    policy = {"share": share, **fields.pop("policy", {})}
    loads = [workload(first, "chat"), workload(second, "code")]
    return problem(workloads=loads, policy=policy, **fields)


def stands(plan: Plan) -> list[list[tuple[str, int, int]]]:
    """(workload, GPUs, replicas) on each unit, in the first block."""
    return [
        [(k.workload, k.gpus_per_unit, count) for k, count in unit]
        for shared in plan.shared_units
        for unit in shared.contents_by_block[0]
    ]


def test_two_small_workloads_share_one_node_and_pay_half_of_it_each():
    apart, shared = solve(two(share="none"), nodes()), solve(two(), nodes())
    assert apart.cash_usd_per_month == pytest.approx(2 * NODE)
    assert shared.status is Status.OPTIMAL
    assert shared.cash_usd_per_month == pytest.approx(NODE)
    assert stands(shared) == [[("chat", 1, 1), ("code", 1, 1)]]
    assert [p.cash_usd_per_month for p in shared.purchases] == pytest.approx([NODE / 2, NODE / 2])
    assert shared.gpus == 8


def test_a_quota_counts_the_node_once():
    limits = {"max_gpus": {"total": 8}}
    assert solve(two(share="none", limits=limits), nodes()).status is Status.INFEASIBLE
    assert solve(two(limits=limits), nodes()).cash_usd_per_month == pytest.approx(NODE)
    none_left = {"max_gpus": {"total": 7}}
    assert solve(two(limits=none_left), nodes()).status is Status.INFEASIBLE


def test_units_belong_to_one_workload_where_the_problem_says_so():
    assert not solve(two(share="none"), nodes()).shared_units
    assert problem(10).policy.share is None


def test_those_who_hold_more_gpus_pay_more_of_the_rent():
    # 35 requests/s take four GPUs, 5 take one: 4 and 1 of 5 parts of the node.
    plan = solve(two(35, 5), nodes())
    assert [p.cash_usd_per_month for p in plan.purchases] == pytest.approx([NODE * 0.8, NODE * 0.2])
    assert [w.cash_usd_per_month for w in plan.workloads] == pytest.approx([4_608, 1_152])


def test_gpus_alone_do_not_say_what_fits():
    # Three replicas of two GPUs are no more than two units of three have, but each holds one.
    pairs = nodes(raw("big", 10, tensor_parallel=2), gpus=3)
    plan = solve(two(15, 5), pairs)
    assert [len(unit) for unit in stands(plan)] == [1, 1, 1]
    assert plan.gpus == 9


def test_one_workload_mixes_sizes_where_that_takes_fewer_nodes():
    # One of four GPUs does 50 requests/s, one of a single GPU 10: 60 are five GPUs. On units of its
    # own it would be all of one size: two of four, or six of one.
    rates = raw("big", 10), raw("big", 50, tensor_parallel=4)
    assert solve(problem(60, policy={"share": "units"}), nodes(*rates, gpus=5)).gpus == 5
    assert solve(problem(60), nodes(*rates, gpus=5)).gpus == 10


def test_next_best_plans_rent_other_units():
    near = catalog(
        [
            offering("acme", "big", 8.0, gpus_per_unit=8, name="node"),
            offering("bolt", "big", 9.0, gpus_per_unit=8, name="node"),
        ],
        [raw("big", 10)],
    )
    plan = solve(two(alternatives={"count": 3}), near)
    assert [p.candidate.provider for p in plan.alternatives[0].purchases] == ["bolt", "bolt"]
    assert plan.alternatives[0].cash_usd_per_month == pytest.approx(9 * 720)


def test_autoscaled_nodes_are_shared_block_by_block():
    # By day chat takes eight GPUs and code one; by night one each, on one node: 12 h of two nodes.
    day = {"kind": "profile", "weights": [8] * 12 + [1] * 12, "requests_per_day": 10 * 3600 * 108}
    loads = [workload(name="chat", traffic=day), workload(5, "code")]
    rented = nodes(billing="autoscaling")
    plan = solve(problem(workloads=loads, policy={"share": "units"}), rented)
    (shared,) = plan.shared_units
    assert sorted(set(shared.units_by_block)) == [1, 2]
    assert plan.cash_usd_per_month == pytest.approx(1.5 * NODE)


def test_shared_units_are_paid_in_hours_without_load():
    # Chat by day alone, on units of its own that are given back by night: half the month. Shared
    # ones are held for whoever stands on them.
    day = {"kind": "profile", "weights": [1] * 12 + [0] * 12, "requests_per_day": 10 * 3600 * 12}
    asked = problem(chat={"traffic": day}, policy={"share": "units"})
    rented = nodes(billed_by="hour")
    assert solve(asked, rented).cash_usd_per_month == pytest.approx(NODE)
    apart = solve(asked.changed({"policy.share": "none"}), rented)
    assert apart.cash_usd_per_month == pytest.approx(NODE / 2)


def test_the_document_tells_what_stands_where_and_is_read_back():
    plan = solve(two(35, 5), nodes(usd_per_hour=7.77))
    document = plan.to_dict()
    assert document["shared_units"][0]["blocks"] == [
        {
            "name": "active",
            "units": [
                [
                    {"workload": "chat", "precision": "raw", "tensor_parallel": 1, "replicas": 4},
                    {"workload": "code", "precision": "raw", "tensor_parallel": 1, "replicas": 1},
                ]
            ],
        }
    ]
    read = Plan.from_dict(document)
    assert read.to_dict() == document
    assert read.gpus == 8


def test_the_text_tells_what_stands_where():
    text = plan_text(solve(two(35, 5), nodes()))
    assert "1 x 8 x big, acme/node/eu-1  chat 4 x raw tp 1, code 1 x raw tp 1          3" in text


def refused(asked: Problem) -> list[str]:
    with pytest.raises(InputError) as caught:
        prepare(asked, nodes())
    return [f"{fault.path}: {fault.message}" for fault in caught.value.faults]


def test_what_is_not_planned_together_is_refused_with_the_other_key():
    alone = problem(5, policy={"share": "units", "switch_off_dedicated": True})
    assert refused(alone) == [
        "policy.share: is not planned together with policy.switch_off_dedicated yet: a shared unit "
        "rests only when all of its replicas do"
    ]


def test_an_own_rule_is_refused():
    with pytest.raises(InputError, match=r"not planned together with rules\.Packing"):
        solve(two(), nodes(), rules=[Packing])


def test_counts_of_gpus_that_do_not_divide_are_refused():
    odd = nodes(raw("big", 10, tensor_parallel=2), raw("big", 20, tensor_parallel=3))
    with pytest.raises(InputError, match="replicas of 2, 3 GPUs may stand on one unit"):
        solve(two(), odd)


def test_a_fleet_of_ones_own_is_refused_rather_than_taken_for_whole_units():
    with pytest.raises(InputError, match="is not answered for shared units yet"):
        evaluate(two(), {"chat:acme/node/eu-1": 1, "code:acme/node/eu-1": 1}, nodes())


# ---- the check, without any solver


def checked(plan: Plan, **changed) -> list[str]:
    given = prepare(two(35, 5), nodes())
    return list(Packing().violations(given, replace(plan, **changed)))


def test_a_plan_that_packs_too_much_is_caught():
    plan = solve(two(35, 5), nodes())
    (shared,) = plan.shared_units
    assert checked(plan) == []
    chat, code = plan.purchases
    small = shared_unit(shared.candidate.offering.model_copy(update={"gpus_per_unit": 4}))
    found = checked(plan, shared_units=(replace(shared, candidate=small),))
    assert "acme/node/eu-1: replicas of 5 GPUs stand on a unit of 4" in found
    fewer = replace(shared, contents_by_block=(((((chat.candidate, 3), (code.candidate, 1))),),))
    assert checked(plan, shared_units=(fewer,)) == [
        "chat on acme/node/eu-1 dedicated raw tp1 of a shared unit: not each of 4 replicas stands "
        "on a unit"
    ]
    unpaid: Purchase = replace(code, shared_rent_usd=0.0)
    assert checked(plan, purchases=(chat, unpaid)) == [
        "acme/node/eu-1: 4608 of 5760 USD per month of rent is paid"
    ]
    twice = replace(shared, units_by_block=(2,))
    assert "acme/node/eu-1: 2 units are on, and replicas stand on 1" in checked(
        plan, shared_units=(twice,)
    )


def test_the_largest_replicas_are_placed_first():
    given = prepare(two(), nodes(raw("big", 10), raw("big", 50, tensor_parallel=4)))
    one, four = (k for k in given.candidates.candidates if k.workload == "chat")
    # Units of five: two of four GPUs take two units, and leave room for two single ones.
    units = placed(5, [(one, 3), (four, 2)])
    assert [gpus_on(unit) for unit in units] == [5, 5, 1]
    assert [gpus_on(unit) for unit in placed(5, [(one, 3)], units=2)] == [3, 0]


def test_the_price_of_a_unit_comes_back_from_its_part():
    for usd in (55.04, 0.1, 7.77, 1.1 / 3):
        for gpus in (1, 2, 4, 8):
            assert price_of_unit(usd * gpus / 8, gpus, 8) * gpus / 8 == usd * gpus / 8
