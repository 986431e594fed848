"""What is rented beside what is bound, and the capacities that bounds are known at, one by one."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from milp_planner.milp.months import bound
from milp_planner.milp.months.bound import Grid
from milp_planner.milp.months.records import MonthsFuture, MonthsOutlook, Rental, Term
from milp_planner.milp.months.recourse import Market, MonthRecourse, Steps
from milp_planner.milp.months.rents import check_rents

MOST = 30.0


def carried_by(kinds, most):
    """(capacity, USD) of every number of units of each kind that may be of use."""
    counts = [range(int(most // carries) + 2) for carries, _ in kinds]
    for units in itertools.product(*counts):
        yield (
            sum(n * carries for n, (carries, _) in zip(units, kinds, strict=True)),
            sum(n * usd for n, (_, usd) in zip(units, kinds, strict=True)),
        )


def least_rent(held, elastic, hours, loads, carried):
    """All that may be held, with the cheapest elastic units that carry the rest of each block."""
    found = np.inf
    by_block = [
        (np.array([*carried_by(elastic, load)]), h) for load, h in zip(loads, hours, strict=True)
    ]
    for capacity, usd in carried_by(held, MOST):
        total = usd
        for (released, h), load in zip(by_block, loads, strict=True):
            lacking = load - carried - capacity
            if lacking > 1e-9:
                enough = released[released[:, 0] >= lacking - 1e-9]
                total += h * (enough[:, 1].min() if len(enough) else np.inf)
        found = min(found, total)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_rents_are_the_least_of_all_that_could_be_rented(seed):
    rng = random.Random(f"rents {seed}")
    held = [(rng.choice((1.0, 1.7, 2.9, 4.3)), rng.uniform(400, 2000)) for _ in range(2)]
    elastic = [(rng.choice((0.9, 2.3, 5.1)), rng.uniform(0.5, 6)) for _ in range(seed % 3)]
    hours = [200.0, 320.0, 200.0]
    loads = [rng.uniform(0, MOST) for _ in hours]
    market = Market(
        Steps.of([Rental("h", c, 1.0, 720.0) for c, _ in held], [usd for _, usd in held], MOST),
        Steps.of([Rental("e", c, 1.0, None) for c, _ in elastic], [u for _, u in elastic], MOST),
    )
    recourse = MonthRecourse(market, hours, loads, 1.5)
    assert len(recourse.firsts) > 2 or recourse.steps < 9  # several groups of steps
    carried = np.array([0.0, *sorted(rng.uniform(0, MOST) for _ in range(20)), 2 * MOST])
    expected = [1.5 * least_rent(held, elastic, hours, loads, float(x)) for x in carried]
    assert recourse.usd(carried) == pytest.approx(expected)


def outlook(*terms):
    return MonthsOutlook((720.0,), terms, (), (), None, "pro_rata")


@pytest.mark.parametrize("most_points", [5, 12, 2000])
@pytest.mark.parametrize("seed", range(6))
def test_between_its_points_the_grid_never_says_more_than_what_falls_comes_to(
    monkeypatch, most_points, seed
):
    rng = random.Random(f"grid {seed}")
    kinds = [(rng.choice((1.0, 1.3, 2.6, 3.7)), rng.choice((None, 4))) for _ in range(2)]
    terms = [Term(f"t{i}", c, 100.0, 12, most=n) for i, (c, n) in enumerate(kinds)]
    monkeypatch.setattr(bound, "MOST_POINTS", most_points)
    grid = Grid.of(outlook(*terms), MOST)
    counts = [range(int(MOST // c) + 2 if n is None else n + 1) for c, n in kinds]
    reached = sorted(
        {round(a * kinds[0][0] + b * kinds[1][0], 9) for a in counts[0] for b in counts[1]}
    )
    within = np.array([x for x in reached if x <= grid.points[-1]])
    assert (np.diff(grid.points) > 0).all()
    assert grid.points[0] == 0

    def falls(x):
        return 1000 / (1 + x)

    least = grid.least(falls(grid.points))[grid.at(within)]
    assert (least <= falls(within) * (1 + 1e-9)).all()
    near = within < (grid.points[grid.exact - 1] if grid.exact else 0.0)
    assert least[near] == pytest.approx(falls(within[near]))  # where all of them are points
    if most_points == 2000:
        assert grid.exact == len(grid.points)


def rented_outlook():
    """Two months of 5 and 12 requests/s in half of the hours, and a third of them in the others."""
    rentals = (Rental("held", 4.0, 1.0, 720.0), Rental("by the hour", 1.0, 0.5, None))
    loads = ((5.0, 5 / 3), (12.0, 4.0))
    future = MonthsFuture("base", 1.0, loads, (1.0, 1.0))
    return MonthsOutlook((360.0, 360.0), (), rentals, (future,), None, "pro_rata")


RENTS = [720 + 180, 720 + 8 * 180]
"""Held for $720 and by the hour for $180 a block: one held unit carries 4 of the 5, and of the 12;
the other hours need no more."""


@pytest.mark.parametrize(
    ("carried", "rents", "is_same"),
    [
        ([0.0, 0.0], RENTS, True),
        ([0.0, 0.0], [RENTS[0], RENTS[1] - 1], False),
        ([0.0, 0.0], [RENTS[0] + 1, RENTS[1]], False),
        ([5.0, 8.0], [0.0, 720.0], True),  # nothing is rented in the first month
        ([5.0, 8.0], [1.0, 720.0], False),
        ([5.0, 12.0], [0.0, 0.0], True),
    ],
)
def test_solvers_find_the_rents_of_each_month(carried, rents, is_same):
    found = check_rents(rented_outlook(), 0, carried, rents, time_limit_s=60)
    assert found.is_same == is_same
    both = ("cbc", "highs") if is_same and any(rents) else ()
    assert found.engines == both


def test_no_month_is_said_to_be_the_same_where_time_is_up():
    assert not check_rents(rented_outlook(), 0, [0.0, 0.0], RENTS, time_limit_s=0.0).is_same
