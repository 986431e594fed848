"""Commitments against brute force: every fleet, every unit on any commitment or paid.

The oracle imports nothing of the program, its rows, its solvers or the plan's arithmetic.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, prepare, solve
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.examples import tries

OFFERS = (("acme", 10.0, "dedicated"), ("bolt", 6.0, "dedicated"), ("core", 9.0, "autoscaling"))
RATES = (2, 2, 2)  # requests/s of a unit


@st.composite
def cases(draw):
    """Two blocks of 360 h, one or two workloads, up to three commitments of units."""
    loads = draw(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(1, 6)).filter(lambda pair: pair[0] <= pair[1]),
            min_size=1,
            max_size=2,
        )
    )
    held = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["*", "acme/*", "bolt/*", "core/*", "[ab]*"]),
                st.integers(1, 3),
                st.sampled_from([None, 15, 6]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    return loads, held


def asked_of(loads, held):
    def traffic(low, high):
        return {
            "kind": "profile",
            "requests_per_day": (low + high) / 2 * 86_400,
            "weights": [low] * 12 + [high] * 12,
            "max_blocks": 2,
        }

    commitments = [
        {"offering": pattern, "units": n, **({} if day is None else {"until": f"2026-03-{day:02}"})}
        for pattern, n, day in held
    ]
    workloads = [
        workload(name=name, traffic=traffic(*load))
        for name, load in zip(("chat", "code"), loads, strict=False)
    ]
    return problem(workloads=workloads, commitments=commitments)


def three_offers():
    rows = [
        offering(who, f"gpu{i}", usd, billing=billing)
        for i, (who, usd, billing) in enumerate(OFFERS)
    ]
    rates = [raw(f"gpu{i}", rate) for i, rate in enumerate(RATES)]
    return replace(catalog(rows, rates), read_on=date(2026, 3, 1))


def rent_of_block(on, held, matched):
    """USD per hour for so many units on: units one by one go to the commitment, or are paid."""
    each = [i for i, n in enumerate(on) for _ in range(n)]
    best = {tuple(n for _, n, _ in held): 0.0}
    for i in each:
        price = OFFERS[i][1]
        following: dict[tuple[int, ...], float] = {}
        for left, usd in best.items():
            ways = [(left, usd + price)]
            for c, (pattern, _, day) in enumerate(held):
                if left[c] and i in matched[pattern]:
                    fewer = (*left[:c], left[c] - 1, *left[c + 1 :])
                    ways.append((fewer, usd + price * (1 - (1 if day is None else day / 30))))
            for state, total in ways:
                following[state] = min(total, following.get(state, total))
        best = following
    return min(best.values())


MATCHED = {"*": (0, 1, 2), "acme/*": (0,), "bolt/*": (1,), "core/*": (2,), "[ab]*": (0, 1)}


def cheapest_by_trying(loads, held):
    """The least USD per month of every fleet that serves the loads; 360 h a block."""
    ways = []
    for load in loads:
        most = [-(-load[1] // rate) for rate in RATES]
        fixed = itertools.product(range(most[0] + 1), range(most[1] + 1))
        mine = set()
        for a, b in fixed:
            for night, day in itertools.product(range(most[2] + 1), repeat=2):
                carried = [a * RATES[0] + b * RATES[1] + n * RATES[2] for n in (night, day)]
                if carried[0] >= load[0] and carried[1] >= load[1]:
                    mine.add(((a, b, night), (a, b, day)))
        ways.append(
            [w for w in mine if not any(o != w and all(map(_le, o, w)) for o in mine)]
        )  # what has units to spare is never cheaper
    known: dict[tuple[int, ...], float] = {}

    def hourly(on):
        if on not in known:
            known[on] = rent_of_block(on, held, MATCHED)
        return known[on]

    best = float("inf")
    for fleets in itertools.product(*ways):
        blocks = [tuple(map(sum, zip(*(f[t] for f in fleets), strict=True))) for t in (0, 1)]
        best = min(best, 360 * sum(map(hourly, blocks)))
    return best


def _le(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True))


@tries(0.12, deadline=None)
@given(cases())
def test_what_is_paid_agrees_with_trying_every_fleet(case):
    loads, held = case
    asked, rented = asked_of(loads, held), three_offers()
    usd = cheapest_by_trying(loads, held)
    whole = prepare(asked, rented)
    for merged in (True, False):
        plan = solve(asked, rented, merge_twins=merged)
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(usd, abs=0.01)
        used = sum(one.saved_usd_per_month for one in plan.commitments)
        assert plan.costs["rent"] - used == pytest.approx(usd, abs=0.01)
    assert len(whole.candidates.candidates) == 3 * len(loads)
