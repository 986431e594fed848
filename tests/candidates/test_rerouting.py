"""What a fleet serves of several classes when all of it is routed anew: by hand and by a solver."""

from __future__ import annotations

import highspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner.candidates import rerouting
from milp_planner.candidates.rerouting import most_served, spread_anew
from tests.support.examples import tries

RATES = st.sampled_from([0.0, 0.3, 1.0, 2.5, 7.0, 40.0])


def test_two_specialists_serve_what_each_is_best_at():
    # One unit does 10 of the first class and 1 of the second, the other the reverse: 10 of each.
    served = most_served((10, 10), [(1, (10, 1)), (1, (1, 10))], (0, 0))
    assert served.times == pytest.approx(1)
    # By the weights, too: a unit is worth what it does of the class that gives it most, and both of
    # them together 1. Many weights say so, from (1/11, 10/11) to the reverse.
    short, long = served.weights
    assert max(short, long / 10) + max(short / 10, long) == pytest.approx(1)
    assert short + long == pytest.approx(1)


def test_two_of_the_same_kind_share_their_time():
    # ρ × (10 ÷ 10 + 10 ÷ 1) = 2 units
    assert most_served((10, 10), [(2, (10, 1))], (0, 0)).times == pytest.approx(2 / 11)


def test_a_class_that_nothing_serves_is_all_that_counts():
    served = most_served((10, 10), [(5, (10, 0))], (0, 0))
    assert served.times == pytest.approx(0)
    assert served.weights == pytest.approx((0, 1))


def test_tokens_take_a_class_from_the_units():
    # 5 of the second class need no unit; a unit of 10 and 10 has the rest: 10 ρ + (10 ρ - 5) = 10.
    assert most_served((10, 10), [(1, (10, 10))], (0, 5)).times == pytest.approx(0.75)


def test_a_class_that_is_not_wanted_weighs_nothing():
    served = most_served((10, 0), [(2, (10, 1))], (0, 0))
    assert served == (2, (1, 0))


def test_offerings_that_serve_alike_are_one_pool(monkeypatch):
    # A program of a pool each for 150 offerings takes seconds, and a loss of each of 40 providers
    # in each of 24 blocks asks for one.
    seen = []
    largest = rerouting._largest_multiple
    monkeypatch.setattr(
        rerouting,
        "_largest_multiple",
        lambda pools, free: seen.append(pools) or largest(pools, free),
    )
    many = [(2, (10, 1)), (1, (1, 10)), (0, (3, 3))] * 50
    # x of the 100 that are best at the first do the second: 1000 - 10 x = 500 + x
    assert most_served((500, 500), many, (0, 0)).times == pytest.approx(12 / 11)
    assert seen == [((0.1, 1.0), (2.0, 0.2))]


@st.composite
def fleets(draw: st.DrawFn):
    classes = draw(st.integers(2, 4))
    rates = st.tuples(*[RATES] * classes)
    wanted = draw(st.tuples(*[st.sampled_from([0.5, 1.0, 3.0, 20.0])] * classes))
    units = draw(st.lists(st.tuples(st.integers(0, 4), rates), max_size=6))
    tokens = draw(st.tuples(*[st.sampled_from([0.0, 0.0, 0.5, 2.0])] * classes))
    return wanted, units, tokens


@tries(1.5)
@given(fleets())
def test_a_solver_finds_the_same(fleet):
    wanted, units, tokens = fleet
    found = most_served(wanted, units, tokens)
    assert found.times == pytest.approx(by_solver(wanted, units, tokens), abs=1e-7, rel=1e-6)


@tries(1.5)
@given(fleets())
def test_the_weights_prove_that_no_more_can_be_served(fleet):
    # However it is routed, what is served of the classes is worth at most what its units can make.
    wanted, units, tokens = fleet
    times, weights = most_served(wanted, units, tokens)
    worth = [weight / rate for weight, rate in zip(weights, wanted, strict=True)]
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    most = sum(price * rate for price, rate in zip(worth, tokens, strict=True))
    for n, rates in units:
        most += n * max(price * rate for price, rate in zip(worth, rates, strict=True))
    assert times == pytest.approx(most, abs=1e-7, rel=1e-6)


def by_solver(wanted, units, tokens) -> float:
    """Who serves how much of which class, as a linear program of the first form."""
    lp = highspy.Highs()
    lp.silent()
    times = lp.addVariable(obj=-1.0)
    made = [[] for _ in wanted]
    for n, rates in units:
        parts = [lp.addVariable() for _ in rates]
        lp.addConstr(sum(parts) <= n)
        for q, rate in enumerate(rates):
            made[q].append(rate * parts[q])
    for q, rate in enumerate(wanted):
        free = lp.addVariable(ub=tokens[q])
        lp.addConstr(sum(made[q], start=1.0 * free) - rate * times >= 0)
    lp.run()
    return -float(lp.getInfo().objective_function_value)


def test_all_are_as_full_as_the_fullest_where_what_is_wanted_is_routed_anew():
    # 2 units do 6 of the first class or 8 of the second, the third 8 or 1. With all of the second
    # class, half of their time, the two do x of the first: x/6 + 4/8 = (10 - x)/8, x = 18/7.
    sent = spread_anew((10, 4), [(2, (3, 4)), (1, (8, 1))])
    assert sent == [pytest.approx((18 / 7, 4)), pytest.approx((52 / 7, 0))]
    assert spread_anew((10, 4), [(2, (3, 0)), (0, (8, 1))]) is None
    assert spread_anew((10, 0), [(2, (3, 0)), (1, (4, 1))]) == [
        pytest.approx((6, 0)),
        pytest.approx((4, 0)),
    ]


@tries(1.5)
@given(fleets())
def test_what_is_routed_anew_is_all_that_is_wanted_and_nothing_is_fuller_than_it_must(fleet):
    wanted, units, _ = fleet
    times = most_served(wanted, units, (0.0,) * len(wanted)).times
    sent = spread_anew(wanted, units)
    if times < 1e-9:
        assert sent is None
        return
    assert [sum(of) for of in zip(*sent, strict=True)] == pytest.approx(wanted)
    for (n, rates), mine in zip(units, sent, strict=True):
        used = sum(part / rate for part, rate in zip(mine, rates, strict=True) if part > 0)
        assert used <= n / times * (1 + 1e-6)
