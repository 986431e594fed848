"""What must hold of any plan, whatever the numbers: order, budgets, choice, scale."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import SolverError, Status, prepare, solve
from milp_planner.solving.assembly.verify import verify
from tests.support.builders import big_and_small, catalog, offering, problem
from tests.support.examples import tries
from tests.support.oracles.cases import as_input
from tests.support.oracles.small_cases import small_cases

FEW = tries(0.25)


def score(question, rented):
    """The optimal score; None when there is no plan."""
    plan = solve(question, rented, diagnose=False)
    assert plan.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return plan.score_usd_per_month


def no_dearer(after, before):
    """True when `after` is a plan wherever `before` is one, and costs no more."""
    return before is None or (after is not None and after <= before * (1 + 1e-6))


@pytest.mark.slow
@FEW
@given(small_cases(), st.randoms(use_true_random=False))
def test_the_order_of_inputs_changes_nothing(case, random):
    question, rented = as_input(case)
    rows = list(rented.offerings)
    random.shuffle(rows)
    shuffled = catalog(rows, list(reversed(rented.measurements)))
    turned = question.model_copy(update={"workloads": tuple(reversed(question.workloads))})
    one, other = solve(question, rented), solve(turned, shuffled)
    assert one.status is other.status
    assert one.score_usd_per_month == pytest.approx(other.score_usd_per_month)
    bought = [{(p.candidate.id, p.units) for p in plan.purchases} for plan in (one, other)]
    assert bought[0] == bought[1]


@FEW
@given(small_cases(), st.sampled_from([1.0, 1.3, 3.0]))
def test_a_larger_budget_never_costs_more(case, factor):
    budget = case.terms.budget or 4000.0
    poorer, richer = (
        replace(case, terms=replace(case.terms, budget=usd)) for usd in (budget, budget * factor)
    )
    assert no_dearer(score(*as_input(richer)), score(*as_input(poorer)))


@FEW
@given(small_cases())
def test_one_more_offering_never_costs_more(case):
    question, rented = as_input(case)
    if question.limits.max_gpus.per_provider or question.limits.max_units:
        return  # names of offerings left out would be unknown
    fewer = catalog(list(rented.offerings[:-1]), list(rented.measurements))
    if question.limits.max_gpus.per_gpu:
        return
    assert no_dearer(score(question, rented), score(question, fewer))


@FEW
@given(small_cases())
def test_scaling_all_prices_scales_the_score(case):
    case = replace(case, terms=replace(case.terms, budget=None))
    dearer = tuple(replace(o, usd_per_hour=3 * o.usd_per_hour) for o in case.offers)
    before = score(*as_input(case))
    after = score(*as_input(replace(case, offers=dearer)))
    assert (before is None) == (after is None)
    if before is not None:
        assert after == pytest.approx(3 * before)


@FEW
@given(st.floats(0.5, 40))
def test_twice_the_traffic_at_most_doubles_the_rent(rate):
    once = solve(problem(rate), big_and_small())
    twice = solve(problem(2 * rate), big_and_small())
    assert once.cash_usd_per_month <= twice.cash_usd_per_month * (1 + 1e-9)
    assert twice.cash_usd_per_month <= 2 * once.cash_usd_per_month * (1 + 1e-9)


def test_two_runs_give_the_same_document():
    question, rented = problem(13, alternatives={"count": 3}), big_and_small()
    documents = [solve(question, rented).to_dict() for _ in range(2)]
    for document in documents:
        strip_seconds(document)
    assert documents[0] == documents[1]


def strip_seconds(value):
    if isinstance(value, dict):
        value.pop("seconds", None)
        for inner in value.values():
            strip_seconds(inner)
    elif isinstance(value, list):
        for inner in value:
            strip_seconds(inner)


def test_a_plan_that_breaks_a_rule_is_an_internal_error():
    given_ = prepare(problem(13), big_and_small())
    plan = solve(given_.problem, big_and_small())
    smaller = replace(
        plan,
        purchases=tuple(replace(p, units_by_block=(0,)) for p in plan.purchases),
    )
    with pytest.raises(SolverError, match="units on 0 units"):
        verify(given_, smaller, dict(plan.costs))


def test_a_cost_term_that_the_breakdown_misses_is_an_internal_error():
    rented = big_and_small()
    given_ = prepare(problem(13), rented)
    plan = solve(given_.problem, rented)
    modelled = {**plan.costs, "forgotten": 5.0}
    with pytest.raises(SolverError, match="cost terms differ"):
        verify(given_, plan, modelled)


def test_a_dearer_twin_is_never_bought():
    twins = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "big", 4.01)],
        list(big_and_small().measurements),
    )
    plan = solve(problem(25), twins)
    assert plan.providers == ("acme",)
