"""Units that are quoted, and plans inside a band of cost, where workloads may share units.

A node has eight GPUs for $8/h, $5,760 a month; chat and code take one each.
"""

from __future__ import annotations

import pytest

from milp_planner import Plan, evaluate, solve
from milp_planner.milp.program.shared_scope import left_to_one
from tests.milp.sharing.test_shared_units import NODE, nodes, stands, two
from tests.support.builders import catalog, offering, raw

QUOTED = {"offering": "acme/node/eu-1", "term": "12 months", "discount": 0.25}


def test_two_workloads_share_a_node_at_the_price_that_is_quoted():
    plan = solve(two(share=None, quotes=[QUOTED]), nodes())
    assert plan.cash_usd_per_month == pytest.approx(0.75 * NODE)
    assert stands(plan) == [[("chat", 1, 1), ("code", 1, 1)]]
    document = plan.to_dict()
    # Of $8/h on the list and $6/h as quoted each has the eighth part.
    prices = {(p["list_usd_per_unit_hour"], p["usd_per_unit_hour"]) for p in document["purchases"]}
    assert prices == {(1.0, 0.75)}
    assert Plan.from_dict(document).to_dict() == document


def test_of_a_node_that_is_quoted_once_another_costs_what_is_listed():
    # 45 requests/s each are ten GPUs: the quoted node, and one more at its price on the list.
    asked = two(45, 45, share=None, quotes=[{**QUOTED, "units": 1}])
    assert solve(asked, nodes()).cash_usd_per_month == pytest.approx(1.75 * NODE)


@pytest.mark.parametrize("share", [None, "none"])
def test_a_plan_of_what_is_quoted_is_priced_and_judged_as_it_was_found(share):
    asked = two(45, 45, share=share, quotes=[{**QUOTED, "units": 1}])
    plan = solve(asked, nodes())
    found = evaluate(asked, Plan.from_dict(plan.to_dict()), nodes())
    assert found.keeps_all_limits
    assert found.cash_usd_per_month == pytest.approx(plan.cash_usd_per_month)


def providers(plan: Plan) -> list[list[str]]:
    found = (plan, *plan.alternatives)
    return [sorted({p.candidate.provider for p in one.purchases}) for one in found if one.purchases]


def market():
    """A node at $8, one of another provider at $9, and its single GPUs at $5 each."""
    sold = [
        offering("acme", "big", 8.0, gpus_per_unit=8, name="node"),
        offering("bolt", "big", 9.0, gpus_per_unit=8, name="node"),
        offering("core", "big", 5.0, name="single"),
    ]
    return catalog(sold, [raw("big", 10)])


@pytest.mark.parametrize("wish", [None, "fewest_providers", "fewest_offerings", "most_different"])
def test_plans_inside_a_band_share_nodes_as_the_best_one_does(wish):
    # Within 15 % of $8/h there is the node at $9; two single GPUs at $5 are a quarter more.
    band = {"count": 3, "within": "15%", **({} if wish is None else {"prefer": wish})}
    asked = two(share=None, alternatives=band)
    assert not [*left_to_one(asked)]
    plan = solve(asked, market())
    assert providers(plan) == [["acme"], ["bolt"]]
    assert all(one.shared_units for one in (plan, *plan.alternatives) if one.purchases)


def test_a_fleet_with_fewer_names_may_be_one_that_shares():
    # One provider: the single GPUs at $10/h, or a node at $9 that both share.
    band = {"count": 2, "within": "30%", "prefer": "fewest_offerings"}
    found = providers(solve(two(share=None, alternatives=band), market()))
    assert found == [["acme"], ["bolt"], ["core"]]


def test_a_simpler_fleet_that_shares_comes_before_a_cheaper_one_of_more_names():
    # Two single GPUs, of which there is one each, are $8.8/h; a node at $9 is one offering.
    singles = [offering(name, "big", 4.4, name="single", max_units=1) for name in ("core", "dune")]
    nodes_ = [
        offering(name, "big", usd, gpus_per_unit=8, name="node")
        for name, usd in (("acme", 8.0), ("bolt", 9.0))
    ]
    band = {"count": 2, "within": "15%", "prefer": "fewest_offerings"}
    rented = catalog([*singles, *nodes_], [raw("big", 10)])
    found = providers(solve(two(share=None, alternatives=band), rented))
    assert found == [["acme"], ["bolt"], ["core", "dune"]]


def test_what_a_band_gives_is_a_fleet_that_keeps_all():
    asked = two(share=None, alternatives={"count": 1, "within": "15%"})
    plan = solve(asked, market())
    assert evaluate(asked, plan, market()).keeps_all_limits
