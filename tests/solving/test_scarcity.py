"""What is served where there is not enough of it, whatever is short, and how much is lacking."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import ServedInPart, ShortBudget, Status, TooFewUnits, solve, warning_lines
from milp_planner.plans.sentences import first_reason
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload
from tests.support.examples import tries

GPUS = {"a100": 2, "mi300": 4, "g2": 1}
"""Requests/s of a unit; the dearer the faster."""


def few(a100=4, mi300=4, g2=4):
    """$40, $60 and $20 an hour, so many of each."""
    stock = {"a100": a100, "mi300": mi300, "g2": g2}
    usd = {"a100": 40.0, "mi300": 60.0, "g2": 20.0}
    rows = [offering("own", gpu, usd[gpu], max_units=stock[gpu]) for gpu in GPUS]
    return catalog(rows, [raw(gpu, rate) for gpu, rate in GPUS.items()])


def asked(when_short, premium=30, free=10, **fields):
    both = [workload(premium, "premium", priority=1), workload(free, "free", priority=2)]
    return problem(workloads=both, policy={"when_short": when_short}, **fields)


def served(plan):
    return {w.name: pytest.approx(1 - w.shortfall_share, abs=3e-6) for w in plan.workloads}


def test_too_few_units_say_which_and_how_many_more():
    # All units carry 8 + 16 + 4 of 40 requests/s; three more of 4 each would do, no two.
    plan = solve(asked("fail"), few())
    assert plan.status is Status.INFEASIBLE
    assert plan.diagnosis.headline.too_few == (TooFewUnits("own/mi300/eu-1", "dedicated", 4, 7),)
    assert first_reason(plan) == (
        "the catalog has too few units (max_units): with 3 more of own/mi300/eu-1 dedicated (7 in "
        "all) there is a plan"
    )


def test_premium_comes_before_free_where_units_are_few_with_amounts():
    plan = solve(asked("priority"), few())
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert served(plan) == {"premium": 28 / 30, "free": 0}
    (note,) = plan.warnings
    assert isinstance(note, ServedInPart)
    assert warning_lines(plan) == (
        "not everything can be served: at the peak 93.3 % of premium (28 of 30), 0.0 % of free (0 "
        "of 10); used up: units of own/a100/eu-1 dedicated (4 of 4), units of own/g2/eu-1 "
        "dedicated (4 of 4), units of own/mi300/eu-1 dedicated (4 of 4)",
    )


def test_a_fair_share_is_the_same_for_both():
    plan = solve(asked("fair"), few())
    assert served(plan) == {"premium": 0.7, "free": 0.7}


def test_a_quota_that_is_short_is_named():
    # Two GPUs: big and big are 20 of 25 requests/s.
    asked_for = problem(25, policy={"when_short": "fair"}, limits={"max_gpus": {"total": 2}})
    plan = solve(asked_for, big_and_small())
    assert served(plan) == {"chat": 0.8}
    assert warning_lines(plan) == (
        "not everything can be served: at the peak 80.0 % of chat (20 of 25); used up: "
        "max_gpus.total (2 of 2)",
    )


@pytest.mark.parametrize("key", ["policy", "budget"])
def test_a_short_budget_is_told_as_ever_wherever_the_word_stands(key):
    budget = {"usd_per_month": 3_000, **({"when_short": "fair"} if key == "budget" else {})}
    policy = {"when_short": "fair"} if key == "policy" else {}
    plan = solve(problem(13, policy=policy, limits={"budget": budget}), big_and_small())
    assert served(plan) == {"chat": 10 / 13}
    (note,) = plan.warnings
    assert note == ShortBudget(3_000, (("chat", pytest.approx(10 / 13)),), pytest.approx(3_960))


@pytest.mark.parametrize("said", ["fair", None, "fail"])
def test_the_word_of_the_budget_holds_for_a_quota_unless_the_policy_says_fail(said):
    limits = {"budget": {"usd_per_month": 9_000, "when_short": "fair"}, "max_gpus": {"total": 1}}
    plan = solve(problem(13, limits=limits, policy={"when_short": said}), big_and_small())
    if said == "fail":
        assert plan.status is Status.INFEASIBLE
        return
    assert served(plan) == {"chat": 10 / 13}
    assert isinstance(plan.warnings[0], ServedInPart)


def test_units_that_are_few_are_told_beside_a_budget_that_is_not_short():
    budget = {"usd_per_month": 100_000_000, "when_short": "priority"}
    plan = solve(asked(None, limits={"budget": budget}), few())
    assert served(plan) == {"premium": 28 / 30, "free": 0}
    assert warning_lines(plan)[0].startswith("not everything can be served: at the peak 93.3 % of ")


def test_of_fleets_that_cost_as_much_the_one_that_is_taken_says_what_is_few_too():
    # All there is carries 8 of 42 requests/s; who has the mi300, and who the rest, is a tie.
    budget = {"usd_per_month": 100_000_000, "when_short": "fair"}
    plan = solve(asked(None, 22, 20, limits={"budget": budget}), few(1, 1, 2))
    assert [type(one) for one in plan.warnings] == [ServedInPart]


@pytest.mark.parametrize("when_short", ["fair", "priority"])
def test_what_is_enough_serves_everything_at_the_least_cost(when_short):
    plan = solve(problem(13, policy={"when_short": when_short}), big_and_small())
    assert plan.cash_usd_per_month == pytest.approx(3_960)
    assert plan.warnings == ()


def test_what_nothing_can_serve_is_no_scarcity():
    # Requests of 5/5 have no rate on any GPU.
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
        {"input_tokens": 5, "output_tokens": 5, "share": 0.5},
    ]
    asked_for = problem(10, chat={"requests": sizes}, policy={"when_short": "fair"})
    assert solve(asked_for, big_and_small()).status is Status.INFEASIBLE


# --- against brute force -------------------------------------------------------------------------


def best_by_trying(when_short, loads, stock):
    """(shares served, USD an hour) of the best fleet of two loads, by trying every one."""
    rates = [*GPUS.values()]
    usd = [40, 60, 20]
    ways = [range(n + 1) for n in stock]
    found = []
    for first in itertools.product(*ways):
        for second in itertools.product(*ways):
            if any(a + b > n for a, b, n in zip(first, second, stock, strict=True)):
                continue
            shares = [
                min(1.0, sum(n * rate for n, rate in zip(fleet, rates, strict=True)) / load)
                for fleet, load in zip((first, second), loads, strict=True)
            ]
            paid = sum((a + b) * each for a, b, each in zip(first, second, usd, strict=True))
            if when_short == "priority":
                order = (-shares[0], -shares[1], paid)
            else:
                total = sum(s * load for s, load in zip(shares, loads, strict=True))
                order = (-min(shares), -total, paid)
            found.append((tuple(round(x, 9) for x in order), shares, paid))
    _, shares, paid = min(found)
    return shares, paid


@tries(0.06, deadline=None)
@given(
    st.sampled_from(["fair", "priority"]),
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 3)),
)
def test_what_is_scarce_is_shared_as_trying_every_fleet_has_it(when_short, loads, stock):
    plan = solve(asked(when_short, *loads), few(*stock))
    shares, usd = best_by_trying(when_short, loads, stock)
    assert plan.status is Status.OPTIMAL
    if when_short == "priority":
        assert served(plan) == dict(zip(("premium", "free"), shares, strict=True))
    least = min(1 - w.shortfall_share for w in plan.workloads)
    assert least == pytest.approx(min(shares), abs=3e-6)
    assert plan.cash_usd_per_month == pytest.approx(usd * 720)
