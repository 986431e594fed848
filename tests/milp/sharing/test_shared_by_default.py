"""Units are shared where that costs less, unless the problem says who shares them.

Unless said otherwise a node has eight GPUs for $8/h, $5,760 a month, and a replica of one GPU
serves 10 requests/s.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from milp_planner import (
    Catalog,
    Fleet,
    InputError,
    Plan,
    PlanningInput,
    Row,
    Rule,
    Status,
    evaluate,
    explain,
    explain_limits,
    solve,
    warning_lines,
    what_if,
)
from milp_planner.exports.formats import export_plan
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.milp.presolve.worth_sharing import every_part
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.routes import covered
from milp_planner.milp.program.shared_scope import left_to_one, may_share
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving.prepare import prepare
from tests.milp.sharing.test_shared_units import NODE, nodes, stands, two
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.oracles.shared_cases import as_catalog, as_problem, question
from tests.support.oracles.shared_fleets import scores
from tests.support.random_problems import random_case


def test_two_small_workloads_share_a_node_where_that_costs_less():
    plan = solve(two(share=None), nodes())
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(NODE)
    assert stands(plan) == [[("chat", 1, 1), ("code", 1, 1)]]


def test_workloads_of_several_classes_share_a_node_however_many_routes_that_takes(monkeypatch):
    # Half a GPU of each class and workload; prices of classes say so as well as columns do.
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)
    sizes = ((1, 1), (10, 10))
    halves = [{"input_tokens": i, "output_tokens": o, "share": 0.5} for i, o in sizes]
    loads = [{**workload(5, name), "requests": halves} for name in ("chat", "code")]
    rented = nodes(*(raw("big", 10, size=size) for size in sizes))
    ready = prepare(problem(workloads=loads), rented)
    listed = ready.candidates.candidates
    assert build_model(ready, [*listed, *every_part(ready, listed)]).fleet.prices
    plan = solve(problem(workloads=loads), rented)
    assert plan.cash_usd_per_month == pytest.approx(NODE)
    assert stands(plan) == [[("chat", 1, 1), ("code", 1, 1)]]


def test_a_quota_of_one_node_is_enough():
    asked = two(share=None, limits={"max_gpus": {"total": 8}})
    assert solve(asked, nodes()).cash_usd_per_month == pytest.approx(NODE)


def singles(usd_per_hour: float) -> Catalog:
    """Nodes of eight, and single GPUs of the same type."""
    return catalog(
        [
            offering("acme", "big", 8.0, gpus_per_unit=8, name="node"),
            offering("acme", "big", usd_per_hour, name="single"),
        ],
        [raw("big", 10)],
    )


def same_but_for_its_file(plan: Plan) -> dict[str, object]:
    """All that is told of a plan but the hash of its problem, and how long it took."""
    told = plan.to_dict()
    return {name: told[name] for name in told.keys() - {"proof", "provenance"}}


@pytest.mark.slow
@pytest.mark.parametrize("usd_per_hour", [1.0, 4.0])
def test_where_no_node_is_shared_all_is_told_as_without_sharing(usd_per_hour):
    # Two single GPUs at $1 are an eighth of the node each. At $4 they cost as much as the node:
    # of plans that cost the same that is preferred in which nobody shares.
    asked = two(share=None, alternatives={"count": 2 if usd_per_hour < 4 else 0})
    plan = solve(asked, singles(usd_per_hour))
    apart = solve(asked.changed({"policy.share": "none"}), singles(usd_per_hour))
    assert same_but_for_its_file(plan) == same_but_for_its_file(apart)
    proven_alike = replace(plan, proof=apart.proof, provenance=apart.provenance)
    assert plan_text(proven_alike) == plan_text(apart)


def test_dearer_single_gpus_leave_the_node_to_both():
    plan = solve(two(share=None), singles(4.5))
    assert plan.cash_usd_per_month == pytest.approx(NODE)


def test_nobody_shares_to_save_gpus_that_cost_nothing():
    # Units of six GPUs at $4, of which a replica of four leaves none to others: two cost as much
    # as the node that both would share, and have twelve GPUs against eight.
    odd = offering("acme", "odd", 4.0, gpus_per_unit=6, name="odd")
    node = offering("acme", "big", 8.0, gpus_per_unit=8, name="node")
    rented = catalog([odd, node], [raw("big", 10), raw("odd", 10, tensor_parallel=4)])
    plan = solve(two(share=None), rented)
    assert (plan.gpus, plan.cash_usd_per_month) == (12, pytest.approx(NODE))
    assert not plan.shared_units


def test_a_full_node_belongs_to_one_and_what_is_left_stands_with_others():
    # 85 requests/s are a full node and one GPU of another, on which code stands too.
    plan = solve(two(85, 5, share=None), nodes())
    assert plan.cash_usd_per_month == pytest.approx(2 * NODE)
    whole, *parts = sorted(plan.purchases, key=lambda p: p.candidate.part_of_unit)
    assert (whole.candidate.workload, whole.units, whole.cash_usd_per_month) == ("chat", 1, NODE)
    assert stands(plan) == [[("chat", 1, 1), ("code", 1, 1)]]
    assert [p.cash_usd_per_month for p in parts] == pytest.approx([NODE / 2, NODE / 2])
    document = plan.to_dict()
    read = Plan.from_dict(document)
    assert read.to_dict() == document
    assert {route.candidate.part_of_unit for route in read.routes} == {False, True}


# ---- against every fleet there is


COVERED = ("stock", "quota", "count", "replicas", "on_demand", "target", "scaling", "strict")
COVERED += ("overload", "power", "survival", "share", "spot", "commitments", "volume")
TOGETHER = [("target", "replicas", "scaling"), ("quota", "stock"), ("survival", "share")]
TOGETHER += [("volume", "survival"), ("commitments", "quota")]
ALONE = [(), *((kind,) for kind in COVERED), *TOGETHER]


def judged(seed: int, kinds: tuple[str, ...]) -> None:
    """Units of one, two or four GPUs, which replicas of one and two fill: the best fleet of all."""
    asked = question(seed, kinds)
    if len(asked.loads) == 1:
        return
    few = tuple(replace(one, gpus=min(one.gpus, 2)) for one in asked.sold)
    asked = replace(asked, sold=few)
    best = min(scores(asked).values(), default=None)
    left_open = as_problem(asked).changed({"policy.share": None})
    assert not [*left_to_one(left_open)]
    found = solve(left_open, as_catalog(asked), pruning=seed % 3 > 0, diagnose=False)
    assert found.score_usd_per_month == (None if best is None else pytest.approx(best, abs=0.01))


@pytest.mark.parametrize("kinds", ALONE, ids="+".join)
def test_no_fleet_scores_less(kinds):
    for seed in (1, 2, 4):
        judged(seed, kinds)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ALONE, ids="+".join)
def test_no_fleet_of_many_scores_less(kinds):
    for seed in range(100, 160):
        judged(seed, kinds)


def by_halves(first: float, second: float) -> dict[str, object]:
    """So many requests/s in each half of the day."""
    weights = [first] * 12 + [second] * 12
    return {"kind": "profile", "weights": weights, "requests_per_day": 3600 * sum(weights)}


def cheapest_of_pairs(loads: dict[str, tuple[int, int]], usd_per_hour: float) -> float:
    """Every number of pairs of ones own, which rest when idle, and of shared ones, which do not.

    A pair has two GPUs, each of which serves 1 request/s.
    """
    most = {name: max(halves) for name, halves in loads.items()}
    hours = {name: 360 * sum(load > 0 for load in halves) for name, halves in loads.items()}
    costs = []
    for own in itertools.product(*(range(math.ceil(peak / 2) + 1) for peak in most.values())):
        on_shared = sum(
            max(0, peak - 2 * units) for peak, units in zip(most.values(), own, strict=True)
        )
        held = sum(units * hours[name] for name, units in zip(most, own, strict=True))
        costs.append(usd_per_hour * (held + 720 * math.ceil(on_shared / 2)))
    return min(costs)


@pytest.mark.parametrize("halves", [((3, 0), (1, 1)), ((3, 0), (3, 0)), ((1, 0), (0, 1))])
def test_units_that_rest_by_night_stand_beside_shared_ones(halves):
    # 3 and 1 requests/s of which the first rest by night: one pair of chat's own for half the
    # month and one shared for all of it, $2,160; two that are shared, $2,880; apart, $2,880.
    loads = dict(zip(("chat", "code"), halves, strict=True))
    asked = problem(
        workloads=[workload(name=name, traffic=by_halves(*one)) for name, one in loads.items()]
    )
    plan = solve(asked, nodes(raw("big", 1), gpus=2, usd_per_hour=2.0, billed_by="hour"))
    assert plan.cash_usd_per_month == pytest.approx(cheapest_of_pairs(loads, 2.0))


def judged_of_any(seed: int, *, ties_are_broken: bool = True) -> None:
    """A random problem of several workloads: with sharing, without, and with nothing pruned."""
    asked, rented = random_case(seed)
    left_open = asked.changed({"policy.share": None})
    if not may_share(left_open) or may_be_short(asked):
        return
    apart = solve(asked, rented, diagnose=False)
    plan = solve(left_open, rented, diagnose=False)
    whole = solve(left_open, rented, diagnose=False, pruning=False)
    assert plan.score_usd_per_month == pytest.approx(whole.score_usd_per_month, abs=0.011)
    if apart.score_usd_per_month is None:
        return
    assert plan.score_usd_per_month is not None
    assert plan.score_usd_per_month <= apart.score_usd_per_month + 0.011
    saves = plan.score_usd_per_month < apart.score_usd_per_month - 0.005
    if ties_are_broken and not asked.current_fleet and not saves:
        assert rented_of(plan) == rented_of(apart)


def rented_of(plan: Plan) -> list[tuple[str, tuple[int, ...]]]:
    return [(p.candidate.id, p.units_by_block) for p in plan.purchases]


@pytest.mark.parametrize("seed", [9, 47])
def test_random_plans_are_never_dearer_and_share_nothing_for_nothing(seed):
    judged_of_any(seed)


@pytest.mark.slow
def test_many_random_plans_are_never_dearer():
    for seed in range(200, 260):
        judged_of_any(seed)


def test_a_node_that_is_paid_already_is_shared_though_single_gpus_cost_no_more():
    # Apart one has the node for nothing, and the other a GPU at $2/h; together both are free.
    asked = two(1, 1, share=None, commitments=[{"offering": "acme/node/eu-1", "units": 1}])
    sold = [offering("acme", "big", 4.0, gpus_per_unit=2, name="node"), offering("acme", "big", 2)]
    plan = solve(asked, catalog(sold, [raw("big", 1)]))
    assert plan.cash_usd_per_month == 0
    assert stands(plan) == [[("chat", 1, 1), ("code", 1, 1)]]


# ---- what belongs to one workload all the same


def test_one_workload_alone_shares_with_nobody():
    rates = raw("big", 10), raw("big", 50, tensor_parallel=4)
    assert solve(problem(60), nodes(*rates, gpus=5)).gpus == 10


def test_replicas_that_do_not_divide_the_unit_leave_it_to_one():
    # Replicas of two on units of three: whether others fit beside them is not asked.
    plan = solve(two(15, 5, share=None), nodes(raw("big", 10, tensor_parallel=2), gpus=3))
    assert not plan.shared_units


# ---- questions about plans that share


def test_a_plan_is_priced_and_judged_as_it_was_found():
    for share in (None, "units"):
        asked = two(85, 5, share=share)
        plan = solve(asked, nodes())
        found = evaluate(asked, Plan.from_dict(plan.to_dict()), nodes())
        assert found.keeps_all_limits
        assert found.cash_usd_per_month == pytest.approx(2 * NODE)
        assert stands(found.plan) == stands(plan)
    dearer = nodes(usd_per_hour=10.0)
    assert evaluate(asked, plan, dearer).cash_usd_per_month == pytest.approx(2 * 7_200)
    # At 30 requests/s code has one replica for the load of three.
    grown = evaluate(two(85, 30, share=None), plan, nodes())
    assert [breach.family for breach in grown.breaches] == ["Capacity"]


def test_a_shared_plan_is_no_fleet_where_units_belong_to_one():
    plan = solve(two(share=None), nodes())
    with pytest.raises(InputError, match="may have no replica of raw tp 1 on a unit that others"):
        evaluate(two(share="none"), plan, nodes())


def test_what_is_without_a_shared_node_is_told():
    # Without the node of acme each needs a node of bolt at $9, which they share too.
    rented = catalog(
        [
            offering("acme", "big", 8.0, gpus_per_unit=8, name="node"),
            offering("bolt", "big", 9.0, gpus_per_unit=8, name="node"),
        ],
        [raw("big", 10)],
    )
    used = explain(two(share=None), rented, provider="acme")
    assert used.verdict.value == "used"
    assert used.extra_usd == pytest.approx(720)
    unused = explain(two(share=None), rented, provider="bolt")
    assert unused.verdict.value == "dearer"
    assert unused.extra_usd == pytest.approx(720)
    assert unused.entry_price is not None
    assert unused.entry_price.usd_per_hour == pytest.approx(8.0)
    assert unused.entry_price.is_verified


@pytest.mark.slow
def test_more_traffic_takes_another_node_once_the_first_is_full():
    # Eight times as much is 40 and 40 requests/s, four GPUs each; nine times is five each.
    grown = {
        f"x{times}": {f"workloads.{name}.traffic.growth": times for name in ("chat", "code")}
        for times in (1, 8, 9)
    }
    frame = what_if(two(share=None), grown, nodes()).to_frame()
    assert [*frame["cash_usd_per_month"]] == pytest.approx([NODE, NODE, 2 * NODE])


def test_what_keeps_units_with_one_workload_is_told_where_others_had_room():
    asked = two(share=None)
    said = (
        "units of several GPUs have room for other workloads, and belong to one each: beside "
        "rules.Loose they are not shared unless policy.share says so"
    )
    plan = solve(asked, nodes(), rules=[Loose])
    assert plan.cash_usd_per_month == pytest.approx(2 * NODE)
    assert said in warning_lines(plan)
    # Not where they are full, nor where the problem says that they belong to one.
    for other in (FULL, {"policy.share": "none"}):
        assert said not in warning_lines(solve(asked.changed(other), nodes(), rules=[Loose]))


FULL = {f"workloads.{name}.traffic.growth": 16 for name in ("chat", "code")}
"""80 requests/s each: eight GPUs."""


class Loose(Rule):
    """Nothing is asked."""

    def rows(self, fleet: Fleet) -> tuple[Row, ...]:
        return ()

    def violations(self, instance: PlanningInput, plan: Plan) -> tuple[str, ...]:
        return ()


def test_a_limit_beside_which_nobody_shares_does_not_cost_what_sharing_would_save():
    # It asks for nothing: without it each still has its node, unless they share one.
    costs = explain_limits(two(share=None), nodes(), rules=[Loose])
    assert costs.plan.cash_usd_per_month == pytest.approx(2 * NODE)
    (row,) = [row for row in costs.rows if row.path == "rules.Loose"]
    assert row.usd_per_month == 0


def test_what_needs_a_unit_to_belong_to_one_says_how_it_does(tmp_path):
    plan = solve(two(share=None), nodes())
    with pytest.raises(InputError) as caught:
        export_plan(plan, "skyserve", tmp_path / "out")
    assert "or write policy.share: none and solve again" in caught.value.faults[0].hint
