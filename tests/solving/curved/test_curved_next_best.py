"""Next-best plans of workloads that nothing links are those of brute force, and take no solver."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import Status, prepare, solve
from milp_planner.deadline import OutOfTime
from milp_planner.milp.curves import next_best as curved
from milp_planner.milp.curves.fleets import curves_of
from milp_planner.milp.program.exclusion import Difference
from milp_planner.milp.program.model import build_model
from milp_planner.plans.sentences import alternatives_text
from milp_planner.questions.solve import provenance_of
from milp_planner.solving import parts, tie_break
from milp_planner.solving.assembly import next_fleets
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.results import Query
from milp_planner.solving.search import Search
from milp_planner.solving.tie_break import best_by_curves
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload
from tests.support.examples import tries
from tests.support.one_class_problems import one_class_case
from tests.support.oracles.cases import Case, Offer, Terms
from tests.support.oracles.next_best import all_fleets
from tests.support.oracles.next_best_cases import (
    DIFFERENCES,
    load_of,
    planned,
    units_of_fleet,
    units_of_plan,
)

CURVES = ("capacity curves",)


@pytest.fixture(autouse=True, scope="module")
def large():
    """Every problem is taken for a large one."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (parts, tie_break):
            patched.setattr(module, "MOST_COLUMNS", 0)
        patched.setattr(next_fleets, "QUICK_COLUMNS", 0)
        yield


PRICES = (0.8312, 1.0137, 1.3741, 2.0473, 2.1139, 3.0371, 4.2253)
"""No whole numbers of these cost the same."""


@st.composite
def cases(draw):
    """One or two workloads, one or two blocks, two or three offerings, whatever they share."""
    several = draw(st.booleans())
    blocks = draw(st.sampled_from([1, 2, 2]))
    peaks = st.tuples(*[st.sampled_from([1.0, 2.5, 4.0, 6.5])] * blocks)
    prices = draw(st.permutations(PRICES))
    offers = tuple(
        Offer(
            draw(st.sampled_from(["acme", "bolt", "coda"])),
            f"gpu{i}",
            prices[i],
            (draw(st.sampled_from([2.0, 3.0, 3.7, 5.5])),),
            billing=draw(st.sampled_from(["dedicated", "autoscaling"])),
        )
        for i in range(2 if several else 3)
    )
    names = ["chat", "code"][: 1 + several]
    loads = tuple(load_of(draw(peaks), name) for name in names)
    return Case(offers, loads, hours=(720.0,) if blocks == 1 else (239.7, 480.3))


@tries(1, suppress_health_check=list(HealthCheck), deadline=None)
@given(cases(), st.sampled_from(DIFFERENCES), st.booleans())
def test_each_plan_is_the_best_of_all_fleets_that_those_before_leave(case, differ_by, per_workload):
    judged(case, differ_by, per_workload, count=4)


@tries(0.2, suppress_health_check=list(HealthCheck), deadline=None)
@given(cases(), st.sampled_from(DIFFERENCES), st.booleans())
def test_so_is_each_of_a_long_list(case, differ_by, per_workload):
    judged(case, differ_by, per_workload, count=25)


@st.composite
def linked_cases(draw):
    """The same under a budget, quotas or a count of providers, some of which bind."""
    case = draw(cases())
    one = draw(st.sampled_from([offer.provider for offer in case.offers]))
    terms = Terms(
        budget=draw(st.sampled_from([None, 1_500.0, 2_500.0, 4_000.0])),
        max_gpus=draw(st.sampled_from([None, 2, 3, 4])),
        per_provider=draw(st.sampled_from([(), ((one, 1),), ((one, 2),)])),
        most_providers=draw(st.sampled_from([None, 1])),
    )
    return replace(case, terms=terms)


@tries(1, suppress_health_check=list(HealthCheck), deadline=None)
@given(linked_cases(), st.sampled_from(DIFFERENCES), st.booleans())
def test_so_is_each_where_a_budget_quotas_or_counts_link_workloads(case, differ_by, per_workload):
    judged(case, differ_by, per_workload, count=6)


def judged(case, differ_by, per_workload, count):
    """Plan after plan against every fleet."""
    with pytest.MonkeyPatch.context() as patched:
        best = Optimizer.best

        def of_the_first(self, query):
            assert not query.found
            return best(self, query)

        patched.setattr(Optimizer, "best", of_the_first)
        plan = planned(case, differ_by, per_workload, count=count)
    left = list(all_fleets(case))
    if not plan.status.has_plan:
        assert not left
        return
    plans = [plan, *plan.alternatives]
    for at, found in enumerate(plans):
        least = min(fleet.score for fleet in left)
        assert found.score_usd_per_month == pytest.approx(least, abs=0.001), at
        assert found.status is Status.OPTIMAL
        (mine,) = (f for f in left if units_of_fleet(f) == units_of_plan(found))
        taken = mine.names(differ_by, per_workload)
        left = [
            fleet
            for fleet in left
            if not (fleet.vector >= mine.vector).all()
            and (differ_by == "counts" or fleet.names(differ_by, per_workload) != taken)
        ]
    ended = "" if len(plans) == count + 1 else f"no further plan differs by {differ_by}"
    assert alternatives_text(plan) == ended
    assert bool(left) != bool(ended) or len(plans) == count + 1


def test_fleets_beyond_a_budget_are_passed_over_without_a_solver(monkeypatch):
    # As below, where a month of two big and a big, $8,640, is more than is there.
    monkeypatch.setattr(Optimizer, "best", None)
    asked = two_workloads(5).changed({"limits.budget": {"usd_per_month": 6_000}})
    plan = solve(asked, big_and_small())
    others = [other.cash_usd_per_month for other in plan.alternatives]
    assert others == [pytest.approx(720 * 7.5)]
    assert plan.alternatives[0].proof.certified_by == CURVES
    assert alternatives_text(plan) == "no further plan differs by offerings"


def test_a_fleet_that_breaks_a_quota_rules_out_no_other_of_its_names(monkeypatch):
    # 12 requests/s on four GPUs at most: one c, $6.00 an hour. Six b, $5.40, and one a with four b,
    # $6.50, are too many; two a and one b, $6.70, are not, and three a cost $8.70.
    monkeypatch.setattr(Optimizer, "best", None)
    rented = catalog(
        [offering("acme", "a", 2.9), offering("acme", "b", 0.9), offering("acme", "c", 6.0)],
        [raw("a", 5), raw("b", 2), raw("c", 12)],
    )
    asked = problem(12, limits={"max_gpus": {"total": 4}}, alternatives={"count": 5})
    instance = prepare(asked, rented)
    settings = settings_of(asked)
    search = Search(instance, settings, provenance_of(instance, settings), asked.alternatives)
    query = Query(Difference("offerings"))
    found = []
    while (one := best_by_curves(search.optimizer, replace(query, found=tuple(found)))).plan:
        found.append(one.plan)
    assert [plan.cash_usd_per_month / 720 for plan in found] == pytest.approx([6, 6.7, 8.7])
    assert one.status is Status.INFEASIBLE


@pytest.mark.parametrize("most", [0, 1])
def test_where_many_break_a_limit_it_is_left_to_the_engines(most, monkeypatch):
    monkeypatch.setattr(tie_break, "MOST_BROKEN", most)
    asked = two_workloads(5).changed({"limits.budget": {"usd_per_month": 6_000}})
    plan = solve(asked, big_and_small())
    others = [other.cash_usd_per_month for other in plan.alternatives]
    assert others == [pytest.approx(720 * 7.5)]
    assert alternatives_text(plan) == "no further plan differs by offerings"


def two_workloads(count, rates=(12, 3), **fields):
    workloads = [workload(rate, name) for rate, name in zip(rates, ("chat", "code"), strict=True)]
    return problem(workloads=workloads, alternatives={"count": count, **fields})


def test_next_best_plans_take_no_solver(monkeypatch):
    # One big and one small for 12 requests/s, a small for 3: $5.50 and $1.50 an hour. All small,
    # four and one, is $7.50; all big, two and one, $12; nothing else differs by offerings.
    monkeypatch.setattr(Optimizer, "best", None)
    plan = solve(two_workloads(5), big_and_small())
    assert plan.cash_usd_per_month == pytest.approx(720 * 7)
    others = [other.cash_usd_per_month for other in plan.alternatives]
    assert others == [pytest.approx(720 * 7.5), pytest.approx(720 * 12)]
    assert {other.proof.certified_by for other in plan.alternatives} == {CURVES}
    assert all(other.bound == other.score_usd_per_month for other in plan.alternatives)
    assert alternatives_text(plan) == "no further plan differs by offerings"


def test_a_set_of_bounds_is_split_once_for_a_whole_list(monkeypatch):
    split = Counter()

    def counted(self, value, boxes, broken):
        split[id(self), boxes] += 1
        searches.append(self)  # so that no other gets its id
        return sets(self, value, boxes, broken)

    searches, sets = [], curved.NextBest._sets
    monkeypatch.setattr(curved.NextBest, "_sets", counted)
    plan = solve(two_workloads(40, (90, 70), differ_by="counts"), big_and_small())
    assert len(plan.alternatives) > 20
    assert {one.proof.certified_by for one in plan.alternatives} == {CURVES}
    assert max(split.values()) == 1


def test_the_search_takes_back_what_is_no_longer_ruled_out():
    given = prepare(two_workloads(3, differ_by="counts"), big_and_small())
    curves = curves_of(build_model(given, given.candidates.candidates))
    search = curved.NextBest(curves, Difference("counts"), blocks=1)
    first, *others = (plan := solve(given.problem, given.catalog)), *plan.alternatives
    scores = [one.score_usd_per_month for one in (first, *others)]

    def least(earlier, pending=()):
        return pytest.approx(search.after(earlier, pending).usd_per_month)

    assert scores[0] == least([])
    assert scores[1] == least([], [first])
    assert scores[0] == least([])  # it was pending only
    assert scores[2] == least([first], others[:1])
    assert scores[1] == least([first])
    assert scores[3] == least([first, *others[:2]])
    assert scores[0] == least(others[:2])  # another list than before
    assert scores[1] == least([first], others[1:])


@pytest.mark.parametrize(
    "given", ["a solver", "too many", "a check that fails", "a plan ruled out"]
)
def test_the_engines_look_for_what_the_curves_do_not_find(given, monkeypatch):
    if given == "too many":
        monkeypatch.setattr(curved, "MOST_SETS", 0)
    elif given == "a check that fails":
        monkeypatch.setattr(tie_break, "keeps_all", lambda *given: False)
    elif given == "a plan ruled out":
        found = curved.NextBest.after
        monkeypatch.setattr(curved.NextBest, "after", lambda self, *given: found(self, []))
    solver = "highs" if given == "a solver" else None
    plan = solve(two_workloads(2), big_and_small(), solver=solver)
    others = [other.cash_usd_per_month for other in plan.alternatives]
    assert others == [pytest.approx(720 * 7.5), pytest.approx(720 * 12)]
    assert all("capacity curves" not in p.proof.certified_by for p in plan.alternatives)


def test_time_that_ends_leaves_the_plans_that_were_found(monkeypatch):
    def out_of_time(self, earlier, pending):
        if len(earlier) > 1:
            raise OutOfTime
        return found(self, earlier, pending)

    found = curved.NextBest.after
    monkeypatch.setattr(curved.NextBest, "after", out_of_time)
    plan = solve(two_workloads(2), big_and_small())
    assert [p.cash_usd_per_month for p in plan.alternatives] == [pytest.approx(720 * 7.5)]
    assert alternatives_text(plan) == "the time limit ended the search for further plans"


def test_a_small_problem_has_its_ties_broken_by_the_engines(monkeypatch):
    monkeypatch.setattr(next_fleets, "QUICK_COLUMNS", 100)
    plan = solve(two_workloads(1), big_and_small())
    assert [p.proof.certified_by for p in plan.alternatives] == [("cbc", "highs")]


def test_after_a_few_plans_a_small_problem_takes_no_solver_either(monkeypatch):
    # Each plan found brings rows to all programs after it: the engines took k² for k plans.
    curves = solve(two_workloads(30, (90, 70), differ_by="counts"), big_and_small())
    monkeypatch.setattr(next_fleets, "QUICK_COLUMNS", 100)
    plan = solve(two_workloads(30, (90, 70), differ_by="counts"), big_and_small())
    proven = [one.proof.certified_by for one in plan.alternatives]
    assert proven[0] == ("cbc", "highs")
    assert set(proven[next_fleets.FEW_PLANS :]) == {CURVES}
    scores = [[p.score_usd_per_month for p in one.alternatives] for one in (curves, plan)]
    assert scores[0] == pytest.approx(scores[1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_the_lists_are_those_of_the_programs(seed, monkeypatch):
    question, rented = one_class_case(seed, workloads=2, blocks=3)
    asked = question.changed({"alternatives.count": 3})
    curves = solve(asked, rented)
    monkeypatch.setattr(next_fleets, "QUICK_COLUMNS", 100)
    programs = solve(asked, rented)
    scores = [[p.score_usd_per_month for p in one.alternatives] for one in (curves, programs)]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert len(scores[0]) == 3
