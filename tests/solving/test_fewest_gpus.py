"""`objective: gpus`: the fewest GPUs, then the cheapest; by hand, and against every small fleet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import (
    InputError,
    Plan,
    PlannerError,
    Problem,
    Status,
    decision_sheet,
    diagnose,
    explain,
    explain_limits,
    solve,
    warning_lines,
    what_if,
)
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.reporting.sheets.words import headline
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving.results import Settings
from milp_planner.solving.search import Search
from tests.serving import test_infrascale
from tests.solving.test_alternatives_brute_force import TIED_CASES, cases
from tests.support.builders import catalog, offering, problem, raw, with_tokens
from tests.support.examples import slow_tries, tries
from tests.support.oracles.cases import Case
from tests.support.oracles.next_best import SAME_USD, Fleet, all_fleets
from tests.support.oracles.next_best_cases import (
    DIFFERENCES,
    prepared,
    units_of_fleet,
    units_of_plan,
)
from tests.support.serving import known_llms
from tests.support.serving.toys import catalog as toys

# box: two GPUs and 12 requests/s for $2/h; big: 10 for $4; small: 3 for $0.50
RENTED = catalog(
    [
        offering("acme", "box", 2.0, gpus_per_unit=2),
        offering("acme", "big", 4.0),
        offering("bolt", "big", 5.0),
        offering("bolt", "small", 0.5),
    ],
    [raw("box", 6), raw("big", 10), raw("small", 3)],
)


def bought(plan: Plan) -> dict[str, int]:
    return {p.candidate.offering.id: p.units for p in plan.purchases}


def gpus_first(load: float, **fields: object) -> Problem:
    return problem(load, objective="gpus", **fields)


def test_the_fewest_gpus_come_before_money_and_then_money() -> None:
    # 9 requests/s: three small for $1.50/h by cost; one big of acme's by GPUs, not bolt's
    assert bought(solve(problem(9), RENTED)) == {"bolt/small/eu-1": 3}
    plan = solve(gpus_first(9), RENTED)
    assert bought(plan) == {"acme/big/eu-1": 1}
    assert (plan.status, plan.cash_usd_per_month) == (Status.OPTIMAL, 4 * 720)
    assert plan.proof.certified
    # 13: two GPUs, big and small for $4.50 or two big or a box of 12, which is too little
    assert bought(solve(gpus_first(13), RENTED)) == {"acme/big/eu-1": 1, "bolt/small/eu-1": 1}
    # 12: a box of two, for $2/h
    assert bought(solve(gpus_first(12), RENTED)) == {"acme/box/eu-1": 1}


def test_the_plan_says_in_which_order_it_is_the_best() -> None:
    said = "objective gpus: no fleet has fewer than 1 GPU, and none with 1 GPU is cheaper"
    plan = solve(gpus_first(9), RENTED)
    assert said in warning_lines(plan)
    assert said in Plan.from_dict(plan.to_dict()).to_dict()["warnings"]
    assert plan_text(plan).startswith("Optimal plan for the fewest GPUs: $2,880 per month")
    sheet = decision_sheet(gpus_first(9), RENTED)
    assert said in sheet.risks.notes
    assert headline(sheet).startswith("Optimal plan for the fewest GPUs: $2,880 per month")
    assert sheet.choices is None  # they are compared by what they cost


def test_next_best_plans_come_in_the_same_order() -> None:
    # 9: a big of acme's, one of bolt's, then two GPUs: a box, then any big beside something else
    # is one with a unit to spare; then three small
    plan = solve(gpus_first(9, alternatives={"count": 5}), RENTED)
    assert [(p.gpus, p.cash_usd_per_month) for p in (plan, *plan.alternatives)] == [
        (1, 4 * 720),
        (1, 5 * 720),
        (2, 2 * 720),
        (3, 1.5 * 720),
    ]


def test_elastic_units_count_at_their_most_in_any_block() -> None:
    # 10 requests/s half of the day, 4 the other half. One small of elastic's at $0.10 serves 4 a
    # third of the way; GPUs count once however long they are on
    day = {
        "kind": "profile",
        "requests_per_day": 24 * 3600 * 7,
        "weights": [10] * 12 + [4] * 12,
        "max_blocks": 2,
    }
    rented = catalog(
        [
            offering("acme", "big", 4.0, billing="autoscaling"),
            offering("bolt", "small", 0.1, billing="autoscaling"),
        ],
        [raw("big", 10), raw("small", 3)],
    )
    asked = problem(chat={"traffic": day})
    by_cost = solve(asked, rented)
    assert by_cost.gpus == 4
    plan = solve(asked.changed({"objective": "gpus"}), rented)
    assert bought(plan) == {"acme/big/eu-1": 1}
    assert plan.cash_usd_per_month == pytest.approx(4 * 720)


def test_apis_need_no_gpus() -> None:
    asked = gpus_first(9, limits={"billing": {"allow": ["dedicated", "per_token"]}})
    assert solve(asked, with_tokens()).gpus == 0


def test_a_budget_binds_before_gpus_count_and_serves_first_where_it_is_short() -> None:
    # $2,000 a month does not pay for a big one at $2,880: a box of two for $1,440
    asked = gpus_first(9, limits={"budget": {"usd_per_month": 2000}})
    assert bought(solve(asked, RENTED)) == {"acme/box/eu-1": 1}
    # $800 pays for two small: 6 of 9, though one alone has fewer GPUs
    short = {"budget": {"usd_per_month": 800, "when_short": "fair"}}
    plan = solve(gpus_first(9, limits=short), RENTED)
    assert bought(plan) == {"bolt/small/eu-1": 2}


def test_a_limit_in_the_way_is_told_with_the_cheapest_that_would_do() -> None:
    found = diagnose(gpus_first(9, limits={"budget": {"usd_per_month": 1000}}), RENTED)
    assert found is not None
    assert {c.path: c.cash_usd_per_month for c in found.changes} == {
        "limits.budget.usd_per_month": 1.5 * 720
    }


@pytest.mark.slow
def test_infrascale_s_fewest_gpus_are_counted_at_full_load_unless_a_target_is_stated() -> None:
    # 100 users at 55 a GPU: 2 at 100 %, 3 at 75 %
    sold = toys(
        llms=[known_llms.LLAMA_8B], gpus=[test_infrascale.GPU], offerings=test_infrascale.UNITS
    )
    (chat,) = test_infrascale.problem().workloads

    def asked(**policy: object) -> Problem:
        policy = {"serving_model": "infrascale", **policy}
        return Problem(workloads=[chat], objective="gpus", policy=policy)

    plan = solve(asked(), sold)
    assert plan.gpus == 2
    assert any("S 1, N 2, B 5 (batch 32), Q 1.56" in line for line in warning_lines(plan))
    assert solve(asked(utilization={"target": 0.75}), sold).gpus == 3


def test_what_contradicts_it_is_refused() -> None:
    with pytest.raises(ValueError, match="the fewest GPUs are none at all"):
        gpus_first(9, policy={"penalties": {"shortfall": {"usd_per_million_requests": 50}}})
    with pytest.raises(InputError, match="a band of cost says nothing of plans with the fewest"):
        gpus_first(9).changed({"alternatives.within": 0.1})
    for ask in (
        lambda: explain(gpus_first(9), RENTED, gpu="big"),
        lambda: explain_limits(gpus_first(9), RENTED),
    ):
        with pytest.raises(PlannerError, match="objective: gpus puts GPUs first"):
            ask()


def test_what_if_asks_in_the_same_order() -> None:
    more = {"now": {}, "more": {"workloads.chat.traffic.growth": 1.3}}
    rows = what_if(gpus_first(9), more, RENTED).rows
    assert [row.gpus for row in rows] == [1, 2]


# ---- against every fleet


def in_order(case: Case, differ_by: str, per_workload: bool, count: int) -> Iterator[Fleet]:
    """The best fleets by GPUs, then score, then as ties are broken; see `next_best`."""
    fleets = [*all_fleets(case)]
    vectors = np.array([fleet.vector for fleet in fleets])
    names = [fleet.names(differ_by, per_workload) for fleet in fleets]
    left = {*range(len(fleets))}
    for _ in range(count):
        if not left:
            return
        fewest = min(fleets[i].gpus for i in left)
        least = min(fleets[i].score for i in left if fleets[i].gpus == fewest)
        tied = [i for i in left if fleets[i].gpus == fewest and fleets[i].score <= least + SAME_USD]
        best = min(lean(vectors, tied), key=lambda i: fleets[i].preference)
        yield fleets[best]
        left = {
            i
            for i in left
            if not (vectors[i] >= vectors[best]).all()
            and (differ_by == "counts" or names[i] != names[best])
        }


def lean(vectors: np.ndarray, tied: list[int]) -> list[int]:
    """Those that are not another of them with something to spare."""
    return [i for i in tied if not any((vectors[i] >= vectors[j]).all() for j in tied if j != i)]


def check(case: Case, differ_by: str, per_workload: bool, pruning: bool) -> None:
    asked = prepared(case, differ_by, per_workload, 2)
    asked = replace(asked, problem=asked.problem.model_copy(update={"objective": "gpus"}))
    how = Settings(time_limit_s=60, gap=0.0, seed=1, pruning=pruning)
    plan = plan_of(Search(asked, how, provenance_of(asked, how), asked.problem.alternatives))
    expected = [*in_order(case, differ_by, per_workload, 3)]
    plans = [plan, *plan.alternatives] if plan.status.has_plan else []
    assert [p.gpus for p in plans] == [fleet.gpus for fleet in expected]
    # the overload ramp is charged to within a dollar at worst
    tolerance = 1.0 if case.terms.overload else 0.001
    scores = [p.score_usd_per_month for p in plans]
    assert scores == pytest.approx([f.score for f in expected], rel=1e-6, abs=tolerance)
    if not case.terms.overload:
        assert [units_of_plan(p) for p in plans] == [units_of_fleet(f) for f in expected]
    assert all(p.status is Status.OPTIMAL and p.proof.certified for p in plans)


ASKED = (cases() | TIED_CASES, st.sampled_from(DIFFERENCES), st.booleans(), st.booleans())


@tries(0.15, suppress_health_check=list(HealthCheck))
@given(*ASKED)
def test_agrees_with_brute_force(case, differ_by, per_workload, pruning):
    check(case, differ_by, per_workload, pruning)


@pytest.mark.slow
@slow_tries(5, suppress_health_check=list(HealthCheck))
@given(*ASKED)
def test_agrees_with_brute_force_in_many_cases(case, differ_by, per_workload, pruning):
    check(case, differ_by, per_workload, pruning)
