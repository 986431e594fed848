"""Prices on quotas give a plan and a bound before the engines begin, which have the last word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Status, prepare, solve
from milp_planner.milp.curves.linked import blocks
from milp_planner.milp.presolve.worth_sharing import every_part
from milp_planner.questions.solve import solve_prepared
from milp_planner.solving import parts as staged
from milp_planner.solving.priced import Priced, priced
from milp_planner.solving.results import NOT_SOLVED, SearchResult, Settings
from tests.support.builders import catalog, offering, problem, raw, workload

DAY_AND_NIGHT = {
    "kind": "profile",
    "requests_per_day": 86_400 * 6,
    "weights": [1] * 12 + [2] * 12,
    "max_blocks": 2,
}
"""4 requests/s for half of the day, 8 for the other."""


def two_under_one_quota(*more, **fields):
    # Acme: 3 requests/s for $1/h, four at most. Bolt: 4 for $2.10/h. Cargo, held: 12 for $8/h.
    # By night two of acme's each, $4/h; by day three of acme's and two of bolt's, $7.20/h.
    boxes = catalog(
        [
            offering("acme", "a", 1.0, billing="autoscaling"),
            offering("bolt", "b", 2.1, billing="autoscaling"),
            offering("cargo", "c", 8.0),
            *more,
        ],
        [raw("a", 3), raw("b", 4), raw("c", 12)],
    )
    workloads = [{**workload(1, name), "traffic": DAY_AND_NIGHT} for name in ("chat", "code")]
    limits = {"max_gpus": {"per_provider": {"acme": 4}}}
    return problem(workloads=workloads, limits=limits, **fields), boxes


ONE_MINUTE = Settings(time_limit_s=60, gap=0.0, seed=0)
BEST, BOUND = 360 * (4 + 7.2), 360 * (4 + 6.8)


@pytest.fixture
def given():
    return prepare(*two_under_one_quota())


@pytest.fixture
def known(given, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_CELLS", 0)  # what is near to the cheapest is not listed
    return priced(given, solve_prepared(given, ONE_MINUTE).provenance, 60.0)


def found(known, score, status=Status.FEASIBLE, bound=None):
    """What the engines say: a plan of this score."""
    plan = replace(known.result.known, score_usd_per_month=score)
    return SearchResult(status, plan, plan.proof, bound)


def test_the_plan_is_feasible_and_its_bound_what_prices_prove(known):
    assert known.result.status is Status.FEASIBLE
    assert known.result.score_usd_per_month == pytest.approx(BEST)
    assert known.result.bound == pytest.approx(BOUND, rel=1e-4)
    assert known.result.known.bound == known.result.bound


def test_where_all_that_is_cheaper_is_listed_the_plan_is_proven(given):
    result = priced(given, solve_prepared(given, ONE_MINUTE).provenance, 60.0).result
    assert result.status is Status.OPTIMAL
    assert result.score_usd_per_month == pytest.approx(BEST)
    assert result.proof.certified_by == ("capacity curves",)


def test_what_no_plan_as_cheap_uses_does_not_go_to_the_engines(given, known):
    assert {k.provider for k in given.candidates.candidates} == {"acme", "bolt", "cargo"}
    assert {k.provider for k in known.narrowed(given).candidates.candidates} == {"acme", "bolt"}
    everything = replace(known, used=None)
    assert everything.narrowed(given) is given


def test_a_proof_of_the_engines_stands(known):
    proven = found(known, BEST, Status.OPTIMAL, BEST)
    assert known.beside(proven) is proven


def test_of_two_plans_the_cheaper_is_taken_with_the_higher_bound(known):
    dearer = known.beside(found(known, BEST + 9, bound=BOUND - 9))
    assert dearer.score_usd_per_month == pytest.approx(BEST)
    assert dearer.bound == pytest.approx(BOUND, rel=1e-4)
    cheaper = known.beside(found(known, BEST - 9, bound=BOUND + 9))
    assert cheaper.score_usd_per_month == pytest.approx(BEST - 9)
    assert cheaper.bound == pytest.approx(BOUND + 9)


def test_where_the_engines_have_no_plan_it_is_this_one(known):
    assert known.beside(NOT_SOLVED) is known.result


def test_a_bound_above_a_plan_that_is_there_is_none(known):
    assert known.beside(found(known, BEST + 90, bound=BEST + 80)) is known.result
    assert known.beside(found(known, BEST + 90, Status.OPTIMAL, BEST + 90)) is known.result


def test_without_a_plan_there_is_the_bound(known):
    alone = Priced(BOUND, None, None)
    assert alone.beside(NOT_SOLVED) is NOT_SOLVED
    better = alone.beside(found(known, BEST, bound=BOUND - 9))
    assert (better.bound, better.known.bound) == (BOUND, BOUND)


@pytest.mark.parametrize("share", [None, "none", "units"])
def test_large_problems_have_the_same_optimum(monkeypatch, share):
    # One of dyno's, held for $2.50/h, for one of both or shared: then acme's two by night and four
    # by day are enough, $4.50/h and $6.50/h.
    fields = {} if share is None else {"policy": {"share": share}}
    question, boxes = two_under_one_quota(offering("dyno", "a", 2.5, gpus_per_unit=2), **fields)
    small = solve(question, boxes, alternatives=0)
    monkeypatch.setattr(staged, "LARGE", 0)
    monkeypatch.setattr(staged, "LARGE_GROUP", 0)
    asked = []
    monkeypatch.setattr(staged, "priced", lambda *given: asked.append(given) or priced(*given))
    large = solve(question, boxes, alternatives=0)
    assert asked
    assert (large.status, small.status) == (Status.OPTIMAL, Status.OPTIMAL)
    assert large.cash_usd_per_month == pytest.approx(small.cash_usd_per_month)
    assert small.cash_usd_per_month == pytest.approx(360 * (4.5 + 6.5))


def test_without_time_there_is_nothing():
    given = prepare(*two_under_one_quota())
    assert priced(given, None, 0.0) is None


@pytest.mark.parametrize("share", ["open", "units"])
def test_parts_of_units_stand_on_as_few_as_hold_them(share):
    # Each wants 3 requests/s: a GPU of dyno's, two for $2.50/h, or bolt's for $2.10/h. Together
    # they fill one of dyno's, and no part of a unit is cheaper than $1.25/h.
    boxes = catalog(
        [offering("dyno", "a", 2.5, gpus_per_unit=2), offering("bolt", "b", 2.1)],
        [raw("a", 3), raw("b", 4)],
    )
    policy = {} if share == "open" else {"policy": {"share": share}}
    limits = {"max_gpus": {"total": 5}}
    both = [workload(3, "chat"), workload(3, "code")]
    given = prepare(problem(workloads=both, limits=limits, **policy), boxes)
    listed = (*given.candidates.candidates, *every_part(given, given.candidates.candidates))
    with_parts = replace(given, candidates=replace(given.candidates, candidates=listed))
    found = priced(with_parts, solve_prepared(given, ONE_MINUTE).provenance, 60.0)
    assert found.result.score_usd_per_month == pytest.approx(720 * 2.5)
    assert found.result.status is Status.OPTIMAL
    assert [s.units_by_block for s in found.result.known.shared_units] == [(1,)]
