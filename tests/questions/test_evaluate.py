"""A fleet that the user fixes: priced, routed and judged; what changes; what a loss leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import InputError, Plan, Problem, evaluate, load_catalog, solve
from milp_planner.questions.evaluate import parse_fleet
from milp_planner.reporting.text.plans.evaluation import evaluation_text
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)

BIG = "acme/big/eu-1"
SMALL = "bolt/small/eu-1"
TOKENS = "tokn/tiny/global"


def with_tokens():
    return replace(big_and_small(), token_prices=(token_price("tokn", 10),))


def test_load_goes_to_units_in_proportion_to_capacity():
    # One big and two small, 16 requests/s, carry 12: three quarters of each.
    found = evaluate(problem(12), {BIG: 1, SMALL: 2}, big_and_small())
    assert found.keeps_all_limits
    assert found.cash_usd_per_month == pytest.approx(2_880 + 2_160)
    assert found.workload("chat").utilization == pytest.approx(0.75)
    routed = {r.candidate.gpu: r.requests_per_second for r in found.plan.routes}
    assert routed == pytest.approx({"big": 7.5, "small": 4.5})


def test_a_plan_is_judged_in_the_replicas_that_it_has():
    # A unit of two GPUs is one replica of both, 5 requests/s, or two of one, 2 each: where two are
    # asked for the plan has the slower ones, and a fleet that is only named the faster.
    pairs = catalog(
        [offering("acme", "big", 2.0, gpus_per_unit=2)],
        [raw("big", 5, tensor_parallel=2), raw("big", 2)],
    )
    asked = problem(3, chat={"min_replicas": 2})
    plan = solve(asked, pairs)
    assert [(p.units, p.candidate.tensor_parallel) for p in plan.purchases] == [(1, 1)]
    found = evaluate(asked, Plan.from_dict(plan.to_dict()), pairs)
    assert found.keeps_all_limits
    assert found.workload("chat").utilization == pytest.approx(3 / 4)
    named = evaluate(asked, {BIG: 1}, pairs)
    assert [breach.family for breach in named.breaches] == ["Replicas"]


def test_several_classes_are_routed_so_that_the_hottest_is_as_cool_as_can_be():
    # a: 10 short or 1 long; b: 4 of either; 8 short, 3 long: 2.75 / 3.5, as `test_penalties` says.
    boxes = catalog(
        [offering("acme", "a", 1.0), offering("bolt", "b", 1.0)],
        [
            *(raw("a", 10), raw("a", 1, size=(10, 10))),
            *(raw("b", 4), raw("b", 4, size=(10, 10))),
        ],
    )
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 8 / 11},
        {"input_tokens": 10, "output_tokens": 10, "share": 3 / 11},
    ]
    question = problem(11, chat={"requests": sizes})
    found = evaluate(question, {"acme/a/eu-1": 1, "bolt/b/eu-1": 1}, boxes)
    assert found.workload("chat").utilization == pytest.approx(2.75 / 3.5)
    alone = evaluate(question, {"acme/a/eu-1": 1}, boxes)
    assert alone.workload("chat").utilization == pytest.approx(3.8)
    assert [breach.family for breach in alone.breaches] == ["Capacity"]


def test_a_fleet_that_is_overrun_says_by_how_much():
    found = evaluate(problem(12, target=0.75), {BIG: 1}, big_and_small())
    assert found.workload("chat").utilization == pytest.approx(1.2)
    assert found.workload("chat").band == "high"
    assert not found.keeps_all_limits
    assert [breach.message for breach in found.breaches] == [
        "chat on acme/big/eu-1 dedicated raw tp1 has the work of 1.2 units on 1 unit in block "
        "active, above 75 % utilization"
    ]


def test_tokens_take_the_share_that_is_given_and_units_the_rest():
    # A fifth of 10 requests/s at $51.84 a month for one request/s.
    limits = {"billing": {"allow": ["dedicated", "per_token"]}}
    found = evaluate(problem(10, limits=limits), {BIG: 1, TOKENS: 0.2}, with_tokens())
    assert found.cash_usd_per_month == pytest.approx(2_880 + 2 * 51.84)
    assert found.workload("chat").utilization == pytest.approx(0.8)
    assert found.breaches == ()


def test_a_fleet_without_units_leaves_the_rest_unserved():
    limits = {"billing": {"allow": ["per_token"]}}
    found = evaluate(problem(10, limits=limits), {TOKENS: 0.2}, with_tokens())
    assert found.workload("chat").utilization is None
    assert found.workload("chat").shortfall_share == pytest.approx(0.8)
    assert [breach.message for breach in found.breaches] == [
        "workload 'chat' serves 2 of 10 requests/s of class 1/1 in block active"
    ]


def test_elastic_units_are_on_while_there_is_load_or_as_said():
    # 40 % of the month is 288 hours.
    elastic = catalog([offering("acme", "big", 4.0, billing="autoscaling")], [raw("big", 10)])
    part = {
        "kind": "tokens_per_day",
        "tokens_per_day": 2 * 86_400,
        "pattern": {"active_ratio": 0.4, "burst_factor": 2},
    }
    question = problem(workloads=[workload(traffic=part)])
    for units in (1, [1, 0]):
        found = evaluate(question, {BIG: units}, elastic)
        assert found.cash_usd_per_month == pytest.approx(288 * 4)
    assert evaluate(question, {BIG: [1, 1]}, elastic).cash_usd_per_month == pytest.approx(2_880)
    with pytest.raises(InputError, match=r"3 numbers of units for 2 blocks \(active, idle\)"):
        evaluate(question, {BIG: [1, 1, 1]}, elastic)


def test_the_reference_scenario_is_priced_as_published():
    # 5M tokens a day, bursty: 288 active hours; SEED_MODEL 5, "README scenario, recomputed".
    traffic = {"kind": "tokens_per_day", "tokens_per_day": 5e6, "pattern": "bursty"}
    question = Problem(
        catalog="inference-atlas",
        workloads=[{"name": "chat", "llm": "llama_70b", "traffic": traffic}],
        limits={"billing": {"allow": ["dedicated", "autoscaling", "per_token"]}},
    )
    expected = {
        "together/llama_70b/global": (1.0, 132.00, None),
        "fireworks/a100-80gb/global": (1, 835.20, 0.05741),
        "fireworks/h100-80gb/global": (1, 1_152.00, 0.03062),
        "vast_ai/a100-80gb/global": (1, 1_260.00, 0.05741),
        "replicate/a100-80gb/global": (1, 7_257.60, 0.05741),
    }
    atlas = load_catalog("inference-atlas")
    for name, (units, usd, utilization) in expected.items():
        found = evaluate(question, {name: units}, atlas)
        assert found.cash_usd_per_month == pytest.approx(usd)
        assert found.workload("chat").utilization == pytest.approx(utilization, abs=5e-6)
        assert found.keeps_all_limits
    with pytest.raises(InputError, match="modal/a100-40gb/global cannot serve 'chat'"):
        evaluate(question, {"modal/a100-40gb/global": 1}, atlas)


def test_a_solved_plan_evaluates_to_itself():
    question = problem(13, policy={"preset": "inference-atlas"}, target=0.75)
    plan = solve(question, big_and_small())
    fleet = {p.candidate.offering.id: p.units for p in plan.purchases}
    found = evaluate(question, fleet, big_and_small())
    assert found.breaches == ()
    assert found.plan.costs == pytest.approx(plan.costs)
    assert found.workload("chat").utilization == pytest.approx(plan.workloads[0].utilization)


def test_what_the_limits_rule_out_is_priced_and_named():
    limits = {"gpus": {"deny": ["big"]}, "providers": {"deny": ["bolt"]}}
    found = evaluate(problem(12, limits=limits), {BIG: 1, SMALL: 1}, big_and_small())
    assert found.cash_usd_per_month == pytest.approx(3_960)
    assert [(b.family, b.message) for b in found.breaches] == [
        ("Filters", "acme/big/eu-1: big is denied by limits.gpus.deny (big)"),
        ("Filters", "bolt/small/eu-1: bolt is denied by limits.providers.deny (bolt)"),
    ]


def test_stock_that_is_gone_is_named():
    gone = catalog([offering("acme", "big", 4.0, max_units=0)], [raw("big", 10)])
    found = evaluate(problem(8), {BIG: 1}, gone)
    assert [b.message for b in found.breaches] == [f"{BIG}: 0 units can be had (max_units)"]


def test_every_breach_is_named_at_once():
    limits = {"budget": {"usd_per_month": 1_000}, "max_gpus": {"total": 1}}
    found = evaluate(problem(20, limits=limits), {BIG: 1, SMALL: 1}, big_and_small())
    families = [breach.family for breach in found.breaches]
    assert families == ["Capacity", "Capacity", "Quotas", "BudgetLimit"]
    document = found.to_dict()
    assert document["keeps_all_limits"] is False
    assert len(document["breaches"]) == 4
    assert document["cash_usd_per_month"] == pytest.approx(3_960)
    assert "status" not in document


def test_units_are_named_by_workload_offering_and_billing():
    rented = catalog(
        [offering("acme", "big", 4.0), offering("acme", "big", 1.0, billing="spot")],
        [raw("big", 10)],
    )
    two = problem(
        workloads=[workload(8, "chat"), workload(8, "code")],
        limits={"billing": {"allow": ["dedicated", "spot"]}},
    )
    fleet = {f"chat:{BIG}": 1, f"code:{BIG}@spot": 1}
    found = evaluate(two, fleet, rented)
    assert found.breaches == ()
    paid = {w.name: w.cash_usd_per_month for w in found.plan.workloads}
    assert paid == pytest.approx({"chat": 2_880, "code": 720})


def test_everything_wrong_with_a_fleet_is_said_at_once():
    fleet = {
        "acme/bigg/eu-1": 1,
        f"{SMALL}@spot": 1,
        f"mail:{BIG}": 1,
        BIG: 1.5,
        f"chat:{BIG}": 1,
        f"{BIG}@dedicated": 2,
        TOKENS: 3,
    }
    with pytest.raises(InputError) as caught:
        evaluate(problem(8), fleet, with_tokens())
    assert str(caught.value).splitlines() == [
        "fleet: no offering 'acme/bigg/eu-1'; closest: acme/big/eu-1",
        "fleet: 'bolt/small/eu-1' is sold as bolt/small/eu-1@dedicated",
        "fleet: 'mail:acme/big/eu-1': no workload 'mail' among chat",
        "fleet: acme/big/eu-1: units are whole numbers from 0 to 1,000,000 (is 1.5)",
        "fleet: 'acme/big/eu-1@dedicated' and 'chat:acme/big/eu-1' are the same units",
        "fleet: tokn/tiny/global: a per-token offering takes a share of the requests, from 0 to 1 "
        "(is 3)",
    ]


def test_shares_per_token_beyond_all_requests_are_refused():
    two = replace(big_and_small(), token_prices=(token_price("tokn", 10), token_price("tolk", 10)))
    with pytest.raises(InputError, match=r"the shares per token of 'chat' sum to 1\.4"):
        evaluate(problem(8), {TOKENS: 0.7, "tolk/tiny/global": 0.7}, two)


def test_several_workloads_want_to_be_named():
    two = problem(workloads=[workload(8, "chat"), workload(8, "code")])
    with pytest.raises(InputError, match="say for which workload, as in 'chat:acme/big/eu-1'"):
        evaluate(two, {BIG: 1}, big_and_small())


@pytest.mark.parametrize(
    ("text", "fleet"),
    [
        ("acme/big/eu-1=3", {BIG: 3}),
        (" chat:a/b/c@spot = 1 ,t/o/k=20%", {"chat:a/b/c@spot": 1, "t/o/k": 0.2}),
    ],
)
def test_a_fleet_is_read_from_a_line(text, fleet):
    assert parse_fleet(text) == fleet


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acme/big/eu-1", "fleet: 'acme/big/eu-1' is not OFFERING=UNITS"),
        ("a=1,a=2", "fleet: 'a' is given twice"),
        ("a=many", "fleet: a: 'many' is neither a whole number of units nor a share such as 20%"),
    ],
)
def test_a_line_that_is_no_fleet_is_refused(text, message):
    with pytest.raises(InputError) as caught:
        parse_fleet(text)
    assert str(caught.value) == message


# --- today's fleet ------------------------------------------------------------------------------

TODAY = [
    {"offering": SMALL, "units": 4, "workload": "chat"},
    {"offering": BIG, "units": 1, "workload": "code"},
]


def two_workloads(**fields):
    return problem(
        workloads=[workload(13, "chat"), workload(9, "code")], current_fleet=TODAY, **fields
    )


def test_todays_fleet_is_judged_where_none_is_given():
    found = evaluate(two_workloads(), catalog=big_and_small())
    assert found.cash_usd_per_month == pytest.approx(4 * 1_080 + 2_880)
    assert found.workload("chat").utilization == pytest.approx(13 / 12)
    assert [breach.family for breach in found.breaches] == ["Capacity"]
    with pytest.raises(InputError, match="current_fleet: required where no fleet is given"):
        evaluate(problem(8), catalog=big_and_small())


def test_changes_say_what_to_keep_add_and_remove():
    # Chat: one of each instead of four small. Code keeps its big.
    question = two_workloads()
    plan = solve(question, big_and_small())
    assert [(row.today, row.planned) for row in plan.changes] == [(0, 1), (4, 1), (1, 1)]
    lines = plan_text(plan).splitlines()
    start = lines.index("From today's fleet: keep 2 units, add 1 unit, remove 3 units")
    assert lines[start + 1 : start + 5] == [
        "  add 1 x acme/big/eu-1 dedicated for chat",
        "  keep 1, remove 3 x bolt/small/eu-1 dedicated for chat",
        "  keep 1 x acme/big/eu-1 dedicated for code",
        "",
    ]
    said = plan.to_dict()["changes_from_today"][1]
    assert said == {
        "workload": "chat",
        "offering": "bolt/small/eu-1",
        "billing": "dedicated",
        "today": 4,
        "planned": 1,
        "keep": 1,
        "add": 0,
        "remove": 3,
    }


def test_nothing_is_said_of_today_where_nothing_runs():
    plan = solve(problem(12), big_and_small())
    assert plan.changes == ()
    assert "today" not in plan_text(plan)


def test_today_is_compared_where_the_fleet_is_fixed_too():
    found = evaluate(two_workloads(), {f"chat:{BIG}": 2, f"code:{BIG}": 1}, big_and_small())
    assert "  remove 4 x bolt/small/eu-1 dedicated for chat" in evaluation_text(found).splitlines()


# --- as text ------------------------------------------------------------------------------------


def test_the_report_begins_with_cost_penalties_and_what_is_broken():
    question = problem(12, target=0.75, policy={"preset": "inference-atlas"})
    lines = evaluation_text(evaluate(question, {BIG: 1}, big_and_small())).splitlines()
    assert lines[:3] == [
        "This fleet: $2,880 per month, and $60,000 of penalties. It breaks limits:",
        "  chat on acme/big/eu-1 dedicated raw tp1 has the work of 1.2 units on 1 unit in block "
        "active, above 75 % utilization",
        "",
    ]
    assert any("overload penalty" in line and line.endswith("60,000") for line in lines)
    kept = evaluation_text(evaluate(problem(8), {BIG: 1}, big_and_small()))
    assert kept.startswith("This fleet: $2,880 per month. It keeps all limits.\n\n")
