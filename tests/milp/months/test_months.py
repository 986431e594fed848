"""Commitments month by month: by hand, and against the whole program."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from milp_planner.milp.months.bound import ToGo
from milp_planner.milp.months.leaner import without_needless
from milp_planner.milp.months.records import MonthsFuture, MonthsOutlook, Rental, Term
from milp_planner.milp.months.recourse import recourses_of
from milp_planner.milp.months.search import best_schedule
from tests.milp.months.extensive_form import least_usd

# A unit carries 1 request/s: $844.15 a month bound for a year, $1,339.92 rented.
BOUND, RENTED = 1.17243 * 720, 1.861 * 720
YEAR = Term("year", 1.0, BOUND, 12)
RENTAL = Rental("rented", 1.0, 1.861, 720.0)


def flop_base_hit(chances=(0.4, 0.4, 0.2), months=12, **changed) -> MonthsOutlook:
    """5, 19 or 56 requests/s, the same in every month."""
    loads = (("flop", 5.0), ("base", 19.0), ("hit", 56.0))
    futures = tuple(
        MonthsFuture(name, chance, ((load,),) * months, (1.0,))
        for (name, load), chance in zip(loads, chances, strict=True)
    )
    given = {"known_from": None, "at_end": "pro_rata", **changed}
    return MonthsOutlook((720.0,), (YEAR,), (RENTAL,), futures, **given)


def bought(outlook: MonthsOutlook) -> list[dict[int, int]]:
    """Units by the month that they are bound from, for each future; the proof is held to 0.01 %."""
    found = best_schedule(outlook, gap=1e-4)
    assert found is not None
    assert found.gap <= 1e-4
    return [{m: n for (_, m), n in starts.items()} for starts in found.starts]


def usd(outlook: MonthsOutlook) -> float:
    found = best_schedule(outlook, gap=1e-4)
    return found.usd


def test_what_counts_is_the_chance_of_using_a_unit_against_the_ratio_of_prices():
    # A 6th to 19th unit is used in base and hit: it pays above 844.15 / 1339.92 = 63.0 %.
    assert bought(flop_base_hit((0.38, 0.42, 0.20), months=1)) == [{0: 5}] * 3
    assert bought(flop_base_hit((0.36, 0.44, 0.20), months=1)) == [{0: 19}] * 3
    # A 20th to 56th is used in a hit alone.
    assert bought(flop_base_hit((0.16, 0.20, 0.64), months=1)) == [{0: 56}] * 3


def test_a_year_that_nobody_knows_is_committed_to_as_a_month_is():
    never = flop_base_hit()
    assert bought(never) == [{0: 5}] * 3
    # 5 × 844.15 × 12, and 0.4 × 14 + 0.2 × 51 = 15.8 units rented on average.
    assert usd(never) == pytest.approx(5 * BOUND * 12 + 15.8 * RENTED * 12)
    assert usd(never) == pytest.approx(304_698, abs=1)


def test_who_will_know_waits_with_the_rest():
    told = flop_base_hit(known_from=3)
    assert bought(told) == [{0: 5}, {0: 5, 3: 14}, {0: 5, 3: 51}]
    # Three months of 15.8 units rented, nine of them bound.
    assert usd(told) == pytest.approx(5 * BOUND * 12 + 15.8 * (RENTED * 3 + BOUND * 9))
    assert usd(told) == pytest.approx(234_199, abs=1)


def test_what_is_owed_after_the_horizon_decides_what_to_sign():
    # A year signed in month 3 has three months to go: in full $10,130 against $12,059 of rent.
    full = flop_base_hit(known_from=3, at_end="full")
    assert bought(full) == [{0: 5}, {0: 5, 3: 14}, {0: 5, 3: 51}]
    assert usd(full) == pytest.approx(274_212, abs=1)
    # Signed in month 6, $10,130 against $8,040.
    assert bought(flop_base_hit(known_from=6, at_end="full")) == [{0: 5}] * 3


def test_three_years_look_cheap_over_one_when_the_rest_is_forgiven():
    three_years = (replace(YEAR, usd_per_month=0.43 * RENTED, months=36),)
    forgiven = replace(flop_base_hit(), terms=three_years)
    assert bought(forgiven) == [{0: 19}] * 3  # pays above 43 %, and base or better has 60 %
    in_full = replace(forgiven, at_end="full")
    assert bought(in_full) == [{}] * 3  # 36 × 43 % is more than 12 × 100 %
    # Where the last month goes on, base and hit save 12 × 57 % × 0.6 = 4.1 months of rent (from
    # then on one signs at 43 % anyway), and the flop pays 36 × 43 % × 0.4 = 6.2 for nothing.
    assert bought(replace(forgiven, at_end="extend")) == [{0: 5}] * 3


def test_growth_is_followed_unit_by_unit():
    loads = tuple((float(1 + m),) for m in range(6))
    one = (MonthsFuture("base", 1.0, loads, (1.0,)),)
    growing = MonthsOutlook((720.0,), (YEAR,), (RENTAL,), one, None, "pro_rata")
    assert bought(growing) == [dict.fromkeys(range(6), 1)]
    # A year from month 4 or 5 on costs in full what 7.56 months of rent do.
    in_full = replace(growing, at_end="full")
    assert bought(in_full) == [{}]
    # Going on, all are used to their end.
    assert bought(replace(growing, at_end="extend")) == [dict.fromkeys(range(6), 1)]


def test_a_term_that_ends_is_signed_again_as_often_as_it_pays():
    quarter = Term("quarter", 1.0, 700.0, 3)
    outlook = replace(flop_base_hit((1.0, 0.0, 0.0), months=6), terms=(quarter,))
    outlook = replace(outlook, futures=outlook.futures[:1])
    assert bought(outlook) == [{0: 5, 3: 5}]
    few = replace(outlook, terms=(replace(quarter, most=2),))
    assert bought(few) == [{0: 2, 3: 2}]


def test_prices_that_fall_make_a_year_dearer_than_the_rent():
    one = flop_base_hit((1.0, 0.0, 0.0)).futures[:1]
    outlook = MonthsOutlook((720.0,), (YEAR,), (RENTAL,), one, None, "pro_rata", 0.9)
    # Σ 0.9^i over a year is 7.18 months of rent: $9,616 against $10,130.
    assert bought(outlook) == [{}]
    assert bought(replace(outlook, price_trend=0.92)) == [{0: 5}]  # 7.90 months: $10,588


def test_where_nothing_carries_the_load_there_is_no_schedule():
    outlook = replace(flop_base_hit(months=2), terms=(replace(YEAR, most=3),), rentals=())
    futures = tuple(replace(future, prices=()) for future in outlook.futures)
    assert best_schedule(replace(outlook, futures=futures)) is None


def drawn(seed: int) -> MonthsOutlook:
    draw = random.Random(seed)
    blocks, months, count = (
        draw.choice([1, 2, 3]),
        draw.choice([1, 2, 3, 4]),
        draw.choice([1, 2, 3]),
    )
    terms = tuple(
        Term(
            f"k{k}",
            draw.choice([3.0, 5.0, 7.5, 11.0]),
            draw.choice([70.0, 100.0, 130.0, 200.0]),
            draw.choice([1, 2, 3, 12]),
            draw.choice([None, None, 2]),
        )
        for k in range(draw.choice([0, 1, 2]))
    )
    rentals = tuple(
        Rental(
            f"r{k}",
            draw.choice([2.0, 4.0, 9.0]),
            draw.choice([0.1, 0.15, 0.2, 0.35]),
            draw.choice([None, 720.0]),
        )
        for k in range(draw.choice([1, 2, 3]))
    )
    weights = [draw.random() + 0.1 for _ in range(count)]

    def loads() -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(draw.choice([0.0, 4.0, 10.0, 17.0, 25.0]) for _ in range(blocks))
            for _ in range(months)
        )

    futures = tuple(
        MonthsFuture(
            f"f{f}",
            weight / sum(weights),
            loads(),
            tuple(draw.choice([1.0, 0.9, 1.2]) for _ in rentals),
        )
        for f, weight in enumerate(weights)
    )
    hours = (720.0 / blocks,) * blocks
    known_from, at_end = draw.choice([None, 1, 2]), draw.choice(["extend", "pro_rata", "full"])
    return MonthsOutlook(hours, terms, rentals, futures, known_from, at_end, draw.choice([1, 0.97]))


@pytest.mark.parametrize("seed", range(40))
def test_the_search_and_its_bound_agree_with_the_whole_program(seed):
    outlook = drawn(seed)
    least = least_usd(outlook)
    found = best_schedule(outlook, gap=1e-6)
    assert found.usd == pytest.approx(least, rel=1e-5, abs=1e-6)
    assert found.bound_usd <= least * (1 + 1e-6) + 1e-6
    narrow = best_schedule(outlook, gap=1e-6, width=1)
    assert narrow.bound_usd <= least * (1 + 1e-6) + 1e-6 <= narrow.usd * (1 + 3e-6) + 2e-6


def test_capacity_is_worth_no_more_than_it_costs_whatever_the_program_said(monkeypatch):
    outlook = flop_base_hit(known_from=3)
    monkeypatch.setattr(ToGo, "_best", lambda self: np.full(len(self.nodes), 1e6))
    togo = ToGo(outlook, recourses_of(outlook))
    # 12 months at p-weighted worth y: no start may be worth more than its price.
    assert togo.usd(np.zeros((1, 12)), 0)[0] <= 234_200
    assert 0 < togo.worth.max() <= BOUND


def test_units_that_cost_as_much_to_rent_are_not_bound():
    # Bound at half the price of on demand: the 6th to 19th unit, in use in half of all cases, cost
    # what they do rented; the first 5 pay whatever comes.
    half = Term("half", 1.0, 0.5 * RENTED, 2)
    two = replace(flop_base_hit((0.5, 0.5, 0.0), months=2), terms=(half,))
    outlook = replace(two, futures=two.futures[:2])
    recourses = recourses_of(outlook)
    assert without_needless(outlook, recourses, [{(0, 0): 19}] * 2) == ({(0, 0): 5},) * 2
    # Once it is known, each future leaves out its own: the flop all but 5, base none.
    known = replace(outlook, known_from=1)
    later = [{(0, 1): 19}] * 2
    assert without_needless(known, recourses, later) == ({(0, 1): 5}, {(0, 1): 19})
    # Where rent would cost more, nothing goes.
    cheap = replace(outlook, terms=(replace(half, usd_per_month=0.49 * RENTED),))
    assert without_needless(cheap, recourses, [{(0, 0): 19}] * 2) == ({(0, 0): 19},) * 2
