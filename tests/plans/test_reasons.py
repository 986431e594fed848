"""Why there is no plan, and what its figures do not show: records with numbers, and their words."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from milp_planner import (
    AboveBudget,
    AlternativesEnded,
    CatalogTooSmall,
    ClassUnserved,
    EndReason,
    FrontierEnd,
    LimitInTheWay,
    NoFleet,
    NothingServes,
    OverloadCannotOccur,
    Refusals,
    Said,
    SameAs,
    ShortBudget,
    Status,
    TooFewUnits,
    UnservedAtAPrice,
    budget_frontier,
    reason_lines,
    solve,
)
from milp_planner.candidates.builder import nearest
from milp_planner.plans.reasons import AlternativesNote, Reason, Remark
from milp_planner.plans.sentences import SENTENCES, first_reason, sentence
from milp_planner.reporting.text.questions.what_if import frontier_text
from milp_planner.serving.operating_point import Rejection
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload


def test_every_record_has_its_words():
    records = {*get_args(Reason), *get_args(Remark), *get_args(AlternativesNote)}
    assert set(SENTENCES) == records


# ---- no plan


def test_a_budget_too_small_is_told_with_both_amounts():
    # 13 requests/s: one big and one small for $5.50/h are $3,960 a month.
    plan = solve(problem(13, limits={"budget": {"usd_per_month": 2000}}), big_and_small())
    assert plan.reasons == (AboveBudget(pytest.approx(3960), 2000, proven=True),)
    assert plan.diagnosis.headline == plan.reasons[0]


def test_a_cheapest_plan_that_is_not_proven_is_called_found():
    said = sentence(AboveBudget(3960.5, 2000, proven=False))
    assert said == (
        "the cheapest plan found costs $3,960.50 per month, $1,960.50 above the budget of $2,000.00"
    )


def test_what_turned_offerings_down_is_counted_the_commonest_first():
    boxes = catalog(
        [
            offering("acme", "big", 4.0),
            offering("bolt", "big", 5.0),
            offering("bolt", "small", 1.5),
        ],
        [raw("big", 10), raw("small", 3)],
    )
    denied = {"gpus": {"deny": ["big", "small"]}}
    plan = solve(problem(10, limits=denied), boxes, diagnose=False)
    refusals = (
        Refusals("big is denied by limits.gpus.deny (big)", 2),
        Refusals("small is denied by limits.gpus.deny (small)", 1),
    )
    assert plan.reasons == (NothingServes("chat", refusals),)
    assert reason_lines(plan) == (
        "workload 'chat' cannot be served by any allowed offering",
        "  big is denied by limits.gpus.deny (big) (2 offerings)",
        "  small is denied by limits.gpus.deny (small) (1 offering)",
    )


def test_a_request_class_that_nothing_serves_is_named_with_what_is_in_its_way():
    # A rate is known for requests of 1 and 1 tokens, none for those of 5 and 5.
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
        {"input_tokens": 5, "output_tokens": 5, "share": 0.5},
    ]
    small_only = catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    asked = problem(workloads=[workload(10, "chat", requests=sizes)])
    plan = solve(asked, small_only, diagnose=False)
    why = "big: no raw throughput for tiny, requests of 5/5 tokens"
    assert plan.reasons == (ClassUnserved("chat", "5/5", (why,)),)
    assert reason_lines(plan) == (
        "workload 'chat': no allowed offering can serve requests of 5/5 tokens",
        f"  {why}",
    )


def test_one_limit_in_the_way_is_the_headline_and_the_reason_known_before_it_stays():
    plan = solve(problem(10, limits={"max_gpus": {"total": 0}}), big_and_small())
    assert plan.reasons == (NoFleet(),)
    assert plan.diagnosis.headline == LimitInTheWay("limits.max_gpus.total", "0 GPUs")
    assert first_reason(plan) == "no fleet keeps limits.max_gpus.total: 0 GPUs"


def test_too_few_units_in_the_catalog_are_the_headline():
    few = catalog([offering("acme", "big", 4.0, max_units=1)], [raw("big", 10)])
    plan = solve(problem(13), few)
    lacking = TooFewUnits("acme/big/eu-1", "dedicated", units=1, enough=2)
    assert plan.diagnosis.headline == CatalogTooSmall((lacking,))
    assert first_reason(plan) == (
        "the catalog has too few units (max_units): with 1 more of acme/big/eu-1 dedicated (2 in "
        "all) there is a plan"
    )


def test_reasons_that_are_only_known_as_sentences_are_told_as_they_are():
    plan = solve(problem(10, limits={"max_gpus": {"total": 0}}), big_and_small())
    lines = reason_lines(plan)
    assert len(lines) > 1
    assert reason_lines(replace(plan, reasons=tuple(map(Said, lines)))) == lines


def test_the_document_holds_the_sentences():
    plan = solve(problem(10, limits={"max_gpus": {"total": 0}}), big_and_small())
    document = plan.to_dict()
    assert document["reasons"] == list(reason_lines(plan))
    assert document["diagnosis"]["headline"] == document["reasons"][0]


# ---- what the figures do not show


def test_a_short_budget_tells_what_it_serves_and_what_everything_costs():
    # $3,000 rents one big, 10 of 13 requests/s; all of them cost $3,960.
    budget = {"usd_per_month": 3000, "when_short": "fair"}
    plan = solve(problem(13, limits={"budget": budget}), big_and_small())
    served = (("chat", pytest.approx(10 / 13)),)
    assert plan.warnings == (ShortBudget(3000, served, pytest.approx(3960)),)


def test_requests_left_unserved_at_a_price_are_told_with_their_share_and_price():
    # 11 requests/s. One big leaves 1 of them: 2.592 million requests a month, at $150 a million.
    penalties = {"shortfall": {"usd_per_million_requests": 150}}
    policy = {"utilization": {"target": 1.0}, "penalties": penalties}
    plan = solve(problem(11, policy=policy), big_and_small())
    assert plan.warnings == (UnservedAtAPrice("chat", pytest.approx(1 / 11), pytest.approx(388.8)),)


def test_an_overload_penalty_out_of_reach_is_told_with_both_utilizations():
    said = sentence(OverloadCannotOccur(above=0.8, highest=0.75))
    assert said == (
        "the overload penalty cannot occur: it starts above 80 % utilization, and no workload may "
        "run above 75 %"
    )


# ---- next-best plans, budgets, replicas


def test_the_end_of_next_best_plans_and_offerings_that_are_alike_are_records():
    alike = catalog(
        [offering("acme", "a", 4.0), offering("acme", "a", 4.0, region="eu-2")], [raw("a", 10)]
    )
    asked = problem(10, alternatives={"count": 3, "differ_by": "providers"})
    plan = solve(asked, alike)
    assert plan.alternatives_notes == (
        AlternativesEnded(EndReason.NONE_LEFT, "providers"),
        SameAs("acme/a/eu-1", regions=("eu-2",)),
    )


def test_a_frontier_says_as_data_where_it_ended_and_why():
    # Two small run today, $2,160 a month, and none may be given back: less pays for no plan.
    today = [{"offering": "bolt/small/eu-1", "units": 2, "workload": "chat"}]
    kept = problem(6, current_fleet=today, switching={"max_units_changed": 0})
    found = budget_frontier(kept, 100, 9000, big_and_small())
    assert [step.budget_usd for step in found.steps] == [pytest.approx(2160)]
    assert found.unfinished.reason is FrontierEnd.OTHER_LIMITS
    assert found.unfinished.budget_usd == pytest.approx(2159.99)
    assert "Not complete: no plan keeps the other limits with $2,159.99.\n" in frontier_text(found)
    late = budget_frontier(problem(13), 100, 9000, big_and_small(), time_limit_s=1e-9)
    assert (late.steps, late.unfinished.reason) == ((), FrontierEnd.TIME_LIMIT)
    assert "Not complete: the time limit ended the search at $9,000.00, before smaller budgets" in (
        frontier_text(late)
    )


def test_too_slow_is_nearer_than_too_big_whatever_the_words():
    slow = Rejection("not quick enough", fastest_tpot_s=0.06, times_missed=1.2)
    big = Rejection("weights do not fit, not even per token")
    assert nearest([slow, big]) is slow
    assert nearest([big, Rejection("larger, and still too big")]).reason.startswith("larger")


def test_a_plan_has_no_reasons():
    plan = solve(problem(10), big_and_small())
    assert (plan.status, plan.reasons, reason_lines(plan)) == (Status.OPTIMAL, (), ())
    assert first_reason(plan) == ""
