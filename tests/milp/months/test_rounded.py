"""Schedules out of a linear program, rounded and bettered, against one program of everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milp_planner.deadline import OutOfTime, until
from milp_planner.milp.months import bettered, rounded, search
from milp_planner.milp.months.bettered import Descent
from milp_planner.milp.months.records import MonthsFuture, MonthsOutlook, Rental, Term
from milp_planner.milp.months.recourse import recourses_of
from milp_planner.milp.months.search import GAP, MonthsSearch, best_schedule
from tests.milp.months.extensive_form import Wholes, least_usd
from tests.milp.months.test_months import RENTAL, YEAR, drawn, flop_base_hit

MONTH = Term("month", 4.0, 100.0, 1)
"""4 requests/s for $100, so that a part of it costs $25 a request/s."""

HELD = Rental("held", 1.0, 30.0 / 720.0, 720.0)
"""1 request/s for $30 a month."""


def of_one(
    loads: tuple[float, ...], *terms: Term, rental: Rental = HELD, at_end: str = "pro_rata"
) -> MonthsOutlook:
    """One future, one block a month."""
    future = MonthsFuture("base", 1.0, tuple((load,) for load in loads), (1.0,))
    return MonthsOutlook((720.0,), terms, (rental,), (future,), None, at_end)


def soon(outlook: MonthsOutlook, enough_usd: float = 0.0) -> tuple[Wholes, float] | None:
    """What comes before any search."""
    asked = MonthsSearch(outlook)
    return rounded.rounded(outlook, asked.recourses, asked.to_go, enough_usd)


def changed(outlook: MonthsOutlook, *signed: tuple[int, int, int]) -> dict[tuple[int, int], int]:
    """What changes make of so many (month, term, units) in every future: the units of the first."""
    units = np.zeros((len(outlook.futures), outlook.months, len(outlook.terms)), dtype=np.int64)
    for m, k, n in signed:
        units[:, m, k] = n
    descent = Descent(outlook, recourses_of(outlook), units)
    descent.run(0.0)
    assert descent.usd == pytest.approx(least_usd(outlook, signed=descent.units))
    return {(int(m), int(k)): int(units[0, m, k]) for m, k in np.argwhere(units[0])}


FIVE, THREE = Term("five", 5.0, 100.0, 1), Term("three", 3.0, 66.0, 1)
"""$20 and $22 a request/s."""


def test_parts_of_units_are_rounded_and_then_bettered():
    # Of 8 requests/s, $30 each to rent, the program signs 1.6 units of five, which are $160. Two of
    # them are $200; with one of three in place of the second one it is $166.
    outlook = of_one((8.0,), FIVE, THREE)
    parts = rounded._Parts(outlook, MonthsSearch(outlook).to_go).signed()
    assert parts.ravel() == pytest.approx([1.6, 0.0], abs=1e-6)
    assert rounded._whole(outlook, parts).ravel().tolist() == [2, 0]
    units, usd = soon(outlook)
    assert (units.ravel().tolist(), usd) == ([1, 1], pytest.approx(166.0))


def test_no_second_round_is_made_where_the_first_is_enough():
    outlook = of_one((8.0,) * 3, FIVE, THREE)
    rounds: list[float] = []

    class Counted(Descent):
        def _changes(self):
            rounds.append(self.usd)
            return super()._changes()

    for enough_usd, expected in ((1e9, 1), (0.0, 2)):
        rounds.clear()
        units = np.zeros((1, 3, 2), dtype=np.int64)
        Counted(outlook, recourses_of(outlook), units).run(enough_usd)
        assert len(rounds) == expected


def test_what_one_month_lacks_by_rounding_the_next_one_has():
    signed = np.array([[[0.4], [0.4], [0.4], [1.3]]])
    outlook = of_one((1.0,) * 4, replace(MONTH, months=12))
    assert rounded._whole(outlook, signed).ravel().tolist() == [0, 1, 0, 2]
    few = replace(outlook, terms=(replace(MONTH, months=3, most=1),))
    # Of the fourth month's two units one is left out while that of the second is bound.
    assert rounded._whole(few, signed).ravel().tolist() == [0, 1, 0, 0]


def test_a_unit_for_a_month_to_come_is_put_off_and_one_for_a_month_before_is_signed_earlier():
    year = replace(MONTH, months=12)
    assert changed(of_one((0.0, 0.0, 4.0), year), (0, 0, 1)) == {(2, 0): 1}
    assert changed(of_one((4.0, 4.0, 4.0), year), (2, 0, 1)) == {(0, 0): 1}


def test_a_term_is_swapped_for_one_that_costs_less():
    dear, cheap = Term("dear", 4.0, 110.0, 1), Term("cheap", 2.0, 40.0, 1)
    # Two of the cheap ones are $80; one alone would leave 2 requests/s, $60 rented.
    assert changed(of_one((4.0,), dear, cheap), (0, 0, 1)) == {(0, 1): 2}


def test_units_are_added_at_once_as_many_as_are_lacking_and_no_more_than_there_are():
    year = replace(MONTH, months=12)
    assert changed(of_one((400.0,) * 3, year)) == {(0, 0): 100}
    few = replace(MONTH, months=2, most=3)
    assert changed(of_one((400.0,) * 3, few)) == {(0, 0): 3, (2, 0): 3}


def test_what_is_signed_before_the_future_is_known_is_put_off_in_all_of_them_or_in_none():
    # 5, 19 or 56 requests/s: what base and hit sign later, all of them signed at first.
    told = flop_base_hit(known_from=3)
    units = np.zeros((3, 12, 1), dtype=np.int64)
    units[:, 2, 0] = 30
    descent = Descent(told, recourses_of(told), units)
    descent.run(0.0)
    assert [{int(m): int(of[m, 0]) for m, _ in np.argwhere(of)} for of in units] == [
        {0: 5},
        {0: 5, 3: 14},
        {0: 5, 3: 51},
    ]


def test_where_units_are_many_there_is_nothing_left_to_search(monkeypatch):
    monkeypatch.setattr(MonthsSearch, "_run", None)
    outlook = flop_base_hit(known_from=3)
    found = best_schedule(outlook, gap=GAP)
    assert found.usd == pytest.approx(234_199, abs=1)
    assert found.bound_usd == pytest.approx(found.usd)
    assert found.labels == 1


@pytest.mark.parametrize("seed", range(60))
def test_it_keeps_every_rule_costs_what_it_says_and_the_bound_is_one(seed):
    outlook = drawn(seed)
    found = soon(outlook)
    if found is None:  # rounding may not carry the load where there is only so much
        assert any(term.most is not None for term in outlook.terms)
        return
    units, usd = found
    least = least_usd(outlook)
    assert usd == pytest.approx(least_usd(outlook, signed=units), rel=1e-6, abs=1e-6)
    assert usd >= least * (1 - 2e-6) - 1e-6
    assert (units[:, : outlook.branches_at] == units[:1, : outlook.branches_at]).all()
    first = next(MonthsSearch(outlook).improving(gap=1e-6))
    assert first.usd <= usd * (1 + 1e-9)
    assert first.bound_usd <= least * (1 + 1e-6) + 1e-6


def test_what_rounding_leaves_open_is_searched_below_what_it_costs(monkeypatch):
    whole, ceilings = MonthsSearch._run, []

    def noted(self, labels, width, most, gap):
        ceilings.append(most)
        return whole(self, labels, width, most, gap)

    monkeypatch.setattr(MonthsSearch, "_run", noted)
    # Of 120 drawn ones the only one that changes one by one do not bring to its best.
    first, second = MonthsSearch(drawn(53)).improving(gap=1e-6)
    assert second.usd < first.usd * 0.99
    assert second.usd == pytest.approx(least_usd(drawn(53)), rel=1e-5)
    whole_program = least_usd(drawn(53))
    assert first.bound_usd < second.bound_usd <= whole_program * (1 + 1e-6)
    assert ceilings[0] == pytest.approx(first.usd)


def test_where_it_finds_none_a_narrow_search_comes_first(monkeypatch):
    monkeypatch.setattr(search, "rounded", lambda *_: None)
    outlook = flop_base_hit(known_from=3)
    assert best_schedule(outlook, gap=GAP).usd == pytest.approx(234_199, abs=1)


def test_a_load_that_nothing_carries_is_found_out_before_the_program():
    # Three units at most, and nothing to rent: 19 and 56 requests/s are not carried.
    few = replace(flop_base_hit(months=2), terms=(replace(YEAR, most=3),), rentals=())
    futures = tuple(replace(future, prices=()) for future in few.futures)
    assert soon(replace(few, futures=futures)) is None
    assert best_schedule(replace(few, futures=futures)) is None


def test_without_rentals_all_that_is_needed_is_signed():
    one = flop_base_hit((1.0, 0.0, 0.0), months=2).futures[:1]
    alone = MonthsOutlook(
        (720.0,), (MONTH,), (), tuple(replace(f, prices=()) for f in one), None, "pro_rata"
    )
    units, usd = soon(alone)  # 5 requests/s take two units of 4
    assert (units.ravel().tolist(), usd) == ([2, 2], pytest.approx(400.0))


def test_what_is_there_stands_where_time_ends_in_the_middle(monkeypatch):
    outlook = of_one((8.0,), FIVE, THREE)
    asked = MonthsSearch(outlook)
    togo = asked.to_go
    with until(0.0), pytest.raises(OutOfTime):  # not even rounded
        rounded.rounded(outlook, asked.recourses, togo, 0.0)

    def check() -> None:
        raise OutOfTime

    monkeypatch.setattr(bettered, "check", check)
    units, usd = soon(outlook)
    assert (units.ravel().tolist(), usd) == ([2, 0], pytest.approx(200.0))
    assert asked.best(gap=1e-6).usd == pytest.approx(166.0)  # by the search


def test_a_solver_without_an_answer_leaves_the_search_to_itself(monkeypatch):
    monkeypatch.setattr(rounded, "solved", lambda *_: None)
    outlook = replace(of_one((10.0,), MONTH), rentals=(replace(RENTAL, carries=1.0),))
    assert soon(outlook) is None
    assert best_schedule(outlook).starts == ({(0, 0): 3},)  # $300; a rented unit is $1,340


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_rents_that_are_known_serve_other_ends_and_other_days_of_knowing(seed):
    outlook = replace(drawn(seed), at_end="extend")
    known = MonthsSearch(outlook)
    assert known.to_go is not None  # all is tabulated
    for changed_ in ({"at_end": "full"}, {"at_end": "pro_rata"}, {"known_from": None}):
        other = replace(outlook, **changed_)
        found = best_schedule(other, gap=1e-6, recourses=known.recourses)
        assert found.usd == pytest.approx(least_usd(other), rel=1e-5, abs=1e-6)
    short = MonthsSearch(replace(outlook, at_end="full"))
    longer = best_schedule(outlook, gap=1e-6, recourses=short.recourses)
    assert longer.usd == pytest.approx(least_usd(outlook), rel=1e-5, abs=1e-6)
