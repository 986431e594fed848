"""Diagnose against brute force: the changes of budget and quota that give a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import diagnose
from tests.support.examples import slow_tries, tries
from tests.support.oracles.cases import Case, Load, Offer, Terms, as_input
from tests.support.oracles.oracle import cheapest

# ---- brute force


@st.composite
def tight(draw):
    return (
        draw(st.sampled_from([(2.0, 7.0), (3.0, 5.5)])),
        draw(st.sampled_from([(1.0, 3.1), (1.7, 2.3)])),
        draw(st.sampled_from([6.5, 12.0])),
        draw(st.sampled_from([1500.0, 3000.0])),
        draw(st.sampled_from([1, 2])),
    )


@tries(0.05)
@given(tight())
def test_changes_of_budget_and_quota_agree_with_brute_force(case):
    check_changes_of_budget_and_quota_agree_with_brute_force(case)


@pytest.mark.slow
@slow_tries(1)
@given(tight())
def test_changes_of_budget_and_quota_agree_with_brute_force_in_many_cases(case):
    check_changes_of_budget_and_quota_agree_with_brute_force(case)


def check_changes_of_budget_and_quota_agree_with_brute_force(case):
    rates, prices, rate, budget, gpus = case
    offers = (Offer("acme", n, usd, (r,)) for n, usd, r in zip("ab", prices, rates, strict=True))
    case = Case(tuple(offers), (Load(((rate,),)),), Terms(budget=budget, max_gpus=gpus))

    def least(budget, gpus):
        return cheapest(replace(case, terms=Terms(budget=budget, max_gpus=gpus)), 8)

    found = diagnose(*as_input(case))
    if least(budget, gpus) is not None:
        assert found is None
        return
    expected = {}
    if (usd := least(None, gpus)) is not None:
        expected["limits.budget.usd_per_month"] = pytest.approx(usd)
    more = next((n for n in range(gpus + 1, 9) if least(budget, n) is not None), None)
    if more is not None:
        expected["limits.max_gpus.total"] = more
    assert {key: v for c in found.changes for key, v in c.patch.items()} == expected
    if not expected:
        assert found.combination_usd_per_month == pytest.approx(least(None, None))
