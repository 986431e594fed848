"""Few providers or types of GPU for workloads of several classes, whose fleets are listed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from milp_planner import Status, solve
from milp_planner.milp.curves import few_names
from milp_planner.milp.curves.listed import blocks as lists
from milp_planner.milp.program.routes import covered
from milp_planner.solving import optimum
from milp_planner.solving import parts as staged
from tests.milp.curves.test_listed import LONG, SHORT, day, market
from tests.solving.curved.test_curved_optimum import CURVES
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS = 720
ENGINES = ("cbc", "highs")

# USD/h. A short unit serves 10 short requests/s or 1 long one, a long unit 1 short or 5 long.
SOLD = catalog(
    [
        offering("one", "short", 2.0),
        offering("other", "long", 3.0),
        offering("complete", "short", 2.5),
        offering("complete", "long", 3.2),
    ],
    [
        raw("short", 10.0),
        raw("short", 1.0, size=LONG),
        raw("long", 1.0),
        raw("long", 5.0, size=LONG),
    ],
)

HALVES = [
    {"input_tokens": size[0], "output_tokens": size[1], "share": 0.5} for size in (SHORT, LONG)
]


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Every problem is taken for a large one, and no program has columns for routes."""
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    monkeypatch.setattr(optimum, "FEW_COLUMNS", 0)
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)


def asked(**fields):
    """4 short and 4 long requests/s for chat; 2 of each for code."""
    two = [workload(8, "chat", requests=HALVES), workload(4, "code", requests=HALVES)]
    return problem(workloads=two, **{"policy": {"share": "none"}, **fields})


def sellers(most):
    return {"providers": {"max_count": most}}


TYPES = {"gpus": {"max_count": 1}}


@pytest.mark.parametrize(
    ("limits", "usd_per_hour"),
    [
        (sellers(2), 2 * (2.0 + 3.0)),  # a short and a long unit for each, as without a limit
        (sellers(1), 2 * (2.5 + 3.2)),  # who sells nothing of the best fleet
        (TYPES, (5 + 3) * 2.0),  # short ones alone: 0.4 + 4 units' work for chat, 0.2 + 2 for code
        ({**sellers(1), **TYPES}, (5 + 3) * 2.0),
        ({"budget": {"usd_per_month": 7_210}}, 2 * (2.0 + 3.0)),  # more than is spent anyway
        ({**sellers(1), "budget": {"usd_per_month": 8_210}}, 2 * (2.5 + 3.2)),
    ],
)
def test_the_best_of_few_enough_names(limits, usd_per_hour):
    plan = solve(asked(limits=limits), SOLD)
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(usd_per_hour * HOURS)


def test_where_no_unit_would_be_shared_it_is_open_who_shares():
    plan = solve(asked(limits=sellers(1), policy={}), SOLD)
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(2 * (2.5 + 3.2) * HOURS)


def test_a_workload_of_one_class_beside():
    # 6 short requests/s: one more short unit.
    three = [*asked().model_dump()["workloads"], workload(6, "mail")]
    question = problem(workloads=three, limits=sellers(1), policy={"share": "none"})
    plan = solve(question, SOLD)
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx((2 * (2.5 + 3.2) + 2.5) * HOURS)


def test_a_budget_that_few_names_do_not_keep_is_left_to_the_engines():
    limits = {**sellers(1), "budget": {"usd_per_month": 8_200}}
    plan = solve(asked(limits=limits), SOLD, diagnose=False)
    assert plan.status is Status.INFEASIBLE
    assert plan.proof.certified_by == ENGINES


@pytest.mark.parametrize(("where", "name"), [(few_names, "MOST_BRANCHES"), (lists, "MOST_LISTED")])
def test_what_takes_too_many_is_left_to_the_engines(where, name, monkeypatch):
    monkeypatch.setattr(where, name, 0)
    plan = solve(asked(limits=sellers(1)), SOLD)
    assert plan.proof.certified_by == ENGINES
    assert plan.cash_usd_per_month == pytest.approx(2 * (2.5 + 3.2) * HOURS)


def only(rented, some):
    kept = tuple(one for one in rented.offerings if one.provider in some)
    return replace(rented, offerings=kept)


def drawn(seed, **limits):
    """Two or three workloads of two classes in blocks of a day, at three sellers."""
    shapes = [day(100 * seed + i) for i in range(2 + seed % 2)]
    several = [
        {**shape.model_dump(mode="json")["workloads"][0], "name": f"w{i}"}
        for i, shape in enumerate(shapes)
    ]
    return problem(workloads=several, limits=limits, policy={"share": "none"}), market(seed)


@pytest.mark.slow
@pytest.mark.parametrize("beside", [{}, {"max_share": 0.6}])
@pytest.mark.parametrize("seed", range(6))
def test_few_sellers_are_those_of_all_sets_of_so_many(seed, beside):
    most = 2 if beside else 1 + seed % 2
    question, rented = drawn(seed, providers={"max_count": most, **beside})
    plan = solve(question, rented, alternatives=0, diagnose=False)
    free = question.changed({"limits.providers": beside})
    by_set = [
        solve(free, only(rented, some), alternatives=0, diagnose=False, solver="highs")
        for some in combinations(("p0", "p1", "p2"), most)
    ]
    scores = [one.score_usd_per_month for one in by_set if one.status is Status.OPTIMAL]
    if not scores:
        assert plan.status is Status.INFEASIBLE
        return
    assert plan.proof.certified_by == CURVES
    assert plan.score_usd_per_month == pytest.approx(min(scores))
    assert len({p.candidate.offering.provider for p in plan.purchases}) <= most
