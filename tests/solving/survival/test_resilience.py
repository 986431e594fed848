"""What survives a loss, what that costs, and how it is said."""

from __future__ import annotations

import pytest

from milp_planner import ResilienceCost, Status, evaluate, prepare, solve
from milp_planner.plans.losses import worst_losses
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.reporting.text.plans.evaluation import evaluation_text
from milp_planner.reporting.text.plans.fleet_facts import resilience_lines
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.search import Search
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload

BIG = "acme/big/eu-1"
SMALL = "bolt/small/eu-1"
SURVIVE = {"survive_loss_of": "provider"}


def test_the_worst_loss_says_what_is_left():
    # 12 requests/s on one big and three small. Without acme three small are left, 9 requests/s.
    asked = problem(12)
    plan = evaluate(asked, {BIG: 1, SMALL: 3}, big_and_small()).plan
    (loss,) = worst_losses(prepare(asked, big_and_small()), plan, "provider")
    assert (loss.lost, loss.left, loss.served) == ("acme", 9, 12)
    assert loss.share == pytest.approx(0.75)


def test_resilience_costs_the_difference_of_two_optima():
    # Two big and four small, $10,080, instead of one of each, $3,960. Four small are 12 requests/s.
    plan = solve(problem(12, limits=SURVIVE), big_and_small())
    assert list(resilience_lines(plan)) == [
        "Resilience costs $6,120 (+155 %): without survive_loss_of the best plan costs $3,960",
        "Worst case, acme lost: 12.0 req/s left for 12.0 req/s of peak (100 %)",
    ]
    said = plan.to_dict()["resilience"]
    assert said["costs_usd_per_month"] == pytest.approx(6_120)
    assert said["costs_share"] == pytest.approx(6_120 / 3_960)
    assert said["score_without_usd_per_month"] == pytest.approx(3_960)
    assert said["proven"] is True
    assert said["worst_losses"] == [
        {
            "workload": "chat",
            "kind": "provider",
            "lost": "acme",
            "block": "active",
            "left": 12.0,
            "served": 12.0,
            "unit": "requests/s",
            "stands_by": [],
            "share": 1.0,
            "utilization": 1.0,
        }
    ]


def test_safety_that_comes_by_itself_costs_nothing():
    # Two providers of the same box, one unit of each: 12 requests/s want two units anyway.
    boxes = catalog(
        [offering("acme", "a", 4.0, max_units=1), offering("bolt", "b", 4.0, max_units=1)],
        [raw("a", 10), raw("b", 10)],
    )
    limits = {"survive_loss_of": {"kind": "provider", "share": 0.5}}
    plan = solve(problem(12, limits=limits), boxes)
    assert list(resilience_lines(plan)) == [
        "Resilience costs nothing: without survive_loss_of the best plan costs as much",
        "Worst case, acme lost: 10.0 req/s left for 12.0 req/s of peak, 83 % of it",
    ]


def test_every_workload_has_its_worst_case():
    # Chat: two big and four small. Code, 3 requests/s: one big and one small.
    limits = SURVIVE
    workloads = [workload(12, "chat"), workload(3, "code")]
    plan = solve(problem(workloads=workloads, limits=limits), big_and_small())
    assert list(resilience_lines(plan))[1:] == [
        "Worst case for chat, acme lost: 12.0 req/s left for 12.0 req/s of peak (100 %)",
        "Worst case for code, acme lost: 3.00 req/s left for 3.00 req/s of peak (100 %)",
    ]


def test_a_fixed_fleet_says_what_is_left_of_it():
    found = evaluate(problem(12, limits=SURVIVE), {BIG: 2}, big_and_small())
    assert evaluation_text(found).splitlines()[:4] == [
        "This fleet: $5,760 per month. It breaks limits:",
        "  workload 'chat' without provider acme keeps 0 of 12 requests/s in block active",
        "Worst case, acme lost: 0 req/s left for 12.0 req/s of peak, 0 % of it",
        "",
    ]


@pytest.mark.slow
def test_without_the_limit_nothing_is_said():
    plan = solve(problem(12), big_and_small())
    assert (plan.resilience, plan.worst_losses) == (None, ())
    assert list(resilience_lines(plan)) == []
    assert plan.to_dict()["resilience"] is None


def test_a_cost_that_was_not_reached_is_said_to_be_so():
    # The search is stopped as soon as it has its plan.
    question = problem(12, limits=SURVIVE)
    given = prepare(question, big_and_small())
    settings = settings_of(question)

    class OutOfTime(Search):
        @property
        def is_stopped(self):
            return bool(self.found)

    search = OutOfTime(given, settings, provenance_of(given, settings), question.alternatives)
    plan = plan_of(search, beside=True)
    assert plan.status is Status.OPTIMAL
    assert plan.resilience == ResilienceCost(plan.score_usd_per_month, None, proven=False)
    assert next(resilience_lines(plan)) == (
        "Resilience: what it costs was not reached within the time limit"
    )
    assert plan.to_dict()["resilience"]["costs_usd_per_month"] is None


def test_a_short_budget_says_what_resilience_leaves_unserved():
    # $4,000 pays one big and one small, $3,960: 13 requests/s, of which the small, 3, survive a
    # loss of acme, so that 3 of 12 requests/s is all that may be served; without the limit, 12.
    budget = {"usd_per_month": 4_000, "when_short": "fair"}
    plan = solve(problem(12, limits={**SURVIVE, "budget": budget}), big_and_small())
    assert next(resilience_lines(plan)) == (
        "Resilience costs $0 (+0 %) and leaves 75 % of a peak unserved: without survive_loss_of "
        "the best plan costs $3,960 and leaves 0 % unserved"
    )
