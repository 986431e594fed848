"""Staircases against every fleet there is, and a check that finds what a list lacks."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner.milp.curves import staircase
from milp_planner.milp.curves.staircase import Kind, Staircase, Step, units_of
from tests.support.examples import tries

# Big carries 10 for 4, small 3 for 1.5, counted in halves of a dollar. Up to 12: three small for 9
# cost 9 halves, one more than a big for 10; so a big comes after two small, then one of each, and
# four small, 12 halves, cost more than the 11 of big and small.
BIG, SMALL = Kind(10, 8, 2), Kind(3, 3, 1)


def test_the_steps_are_those_that_nothing_carries_as_much_for_less():
    stairs = Staircase.of([BIG, SMALL], 12)
    assert [(step.capacity, step.cost) for step in stairs.steps] == [
        *((0, 0), (3, 3), (6, 6), (10, 8), (12, 11)),
    ]
    assert units_of(stairs.steps[-1]) == {0: 1, 1: 1}
    assert stairs.reaching(7) == stairs.steps[3]
    assert stairs.reaching(0).cost == 0
    assert list(stairs.broken()) == []


def test_nothing_carries_anything_where_there_is_nothing():
    assert Staircase.of([], 5).reaching(1) is None
    assert Staircase.of([], 5).reaching(0).cost == 0


@pytest.mark.parametrize("missing", range(5))
def test_a_list_without_one_of_its_steps_is_found(missing):
    stairs = Staircase.of([BIG, SMALL], 12)
    fewer = (*stairs.steps[:missing], *stairs.steps[missing + 1 :])
    assert list(replace(stairs, steps=fewer).broken())


def test_a_step_that_costs_other_than_its_units_is_found():
    stairs = Staircase.of([BIG, SMALL], 12)
    cheaper = (*stairs.steps[:-1], stairs.steps[-1]._replace(cost=10))
    assert list(replace(stairs, steps=cheaper).broken()) == [
        "{1: 1, 0: 1} carry 13 for 11, not 12 for 10"
    ]


kinds = st.builds(Kind, st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))


@given(st.lists(kinds, max_size=3), st.integers(0, 20))
@tries(1)
def test_each_step_is_the_cheapest_of_all_fleets(some, most):
    stairs = Staircase.of(some, most)
    assert not list(stairs.broken())
    fleets = list(product(*(range(-(-most // kind.capacity) + 1) for kind in some)))
    for asked in range(most + 1):
        able = (
            sum(k.cost * n for k, n in zip(some, units, strict=True))
            for units in fleets
            if sum(k.capacity * n for k, n in zip(some, units, strict=True)) >= asked
        )
        least, step = min(able, default=None), stairs.reaching(asked)
        assert (None if step is None else step.cost) == least
    for step in stairs.steps:
        alike = (
            sum(k.gpus * n for k, n in zip(some, units, strict=True))
            for units in fleets
            if min(most, sum(k.capacity * n for k, n in zip(some, units, strict=True)))
            == step.capacity
            and sum(k.cost * n for k, n in zip(some, units, strict=True)) == step.cost
        )
        assert step.gpus == min(alike)


def test_no_more_units_are_tried_than_others_carry_for_no_more(monkeypatch):
    tried = []
    whole = staircase.with_units

    def noted(step: Step, i: int, kind: Kind, count: int, most: int) -> Step:
        tried.append((i, count))
        return whole(step, i, kind, count, most)

    monkeypatch.setattr(staircase, "with_units", noted)
    # Four small ones carry 12 for 12, a big and a small one 13 for 11: beside others, which is up
    # to a thousand, no four are looked at, nor eight, nor more.
    stairs = Staircase.of([BIG, SMALL], 1_000)
    assert {count for i, count in tried if i == 1} == {1, 2, 4}
    assert tried.count((1, 4)) == 1
    assert not list(stairs.broken())
