"""Plans inside a band of cost, the simplest first: by hand, and against every fleet tried."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import InputError, Status, solve
from milp_planner.plans.sentences import alternatives_text
from tests.support.builders import catalog, offering, problem, raw
from tests.support.examples import tries

MONTH = 720
RATES = {"big": 10, "mid": 6, "small": 3}


def market():
    """Big serves 10 requests/s, small 3; acme sells big, bolt small and a dearer big."""
    return catalog(
        [
            offering("acme", "big", 4.0),
            offering("bolt", "small", 1.5),
            offering("bolt", "big", 4.4),
            offering("cove", "small", 1.6),
        ],
        [raw(gpu, rate) for gpu, rate in RATES.items() if gpu != "mid"],
    )


def told(plan):
    """Providers and USD per hour of the further plans."""
    return [(one.providers, round(one.cash_usd_per_month / MONTH, 2)) for one in plan.alternatives]


def test_fewest_providers_come_first_and_the_dearer_is_the_cheapest_of_its_kind():
    # 13 requests/s: acme's big and bolt's small, $5.50/h. Within 10 %, $6.05: acme's big and cove's
    # small, $5.60; bolt's big and small, $5.90; bolt's big and cove's small, $6.00.
    band = {"count": 9, "within": 0.10}
    plain = solve(problem(13, alternatives=band), market())
    assert told(plain) == [(("acme", "cove"), 5.6), (("bolt",), 5.9), (("bolt", "cove"), 6.0)]
    simple = solve(problem(13, alternatives={**band, "prefer": "fewest_providers"}), market())
    assert told(simple) == [(("bolt",), 5.9), (("acme", "cove"), 5.6), (("bolt", "cove"), 6.0)]
    assert all(one.status is Status.OPTIMAL for one in simple.alternatives)


def test_nothing_outside_the_band_is_told_and_that_is_said():
    asked = {"count": 9, "within": 0.05, "prefer": "fewest_providers"}
    plan = solve(problem(13, alternatives=asked), market())
    assert told(plan) == [(("acme", "cove"), 5.6)]
    assert alternatives_text(plan).split("\n") == [
        "plans that score at most 5 % more than the best, fewest providers first",
        "no further plan within 5 % differs by offerings",
    ]


def test_fewer_types_of_gpu_and_fewer_offerings_are_counted_too():
    # 20 requests/s: 2 big at acme, $8/h, one of each. Within 25 %, $10: one type, 2 big of bolt,
    # $8.80, 1 and 1, $8.40; of big and small, acme's big and 4 of bolt's small, $10.00.
    asked = {"count": 2, "within": 0.25, "differ_by": "offerings"}
    types = solve(problem(20, alternatives={**asked, "prefer": "fewest_gpu_types"}), market())
    assert told(types) == [(("acme", "bolt"), 8.4), (("bolt",), 8.8)]
    few = solve(problem(20, alternatives={**asked, "prefer": "fewest_offerings"}), market())
    assert told(few) == [(("bolt",), 8.8), (("acme", "bolt"), 8.4)]


def test_the_most_different_plan_buys_as_little_of_the_others_as_can_be():
    # 13 requests/s: acme's big and bolt's small, $5.50/h. Within 10 %, bolt's big and cove's small,
    # $6.00, shares nothing; then acme's big and cove's small spends $5.60 on what is known by now,
    # bolt's big and small $5.90.
    asked = {"count": 9, "within": 0.10, "prefer": "most_different"}
    plan = solve(problem(13, alternatives=asked), market())
    assert told(plan) == [(("bolt", "cove"), 6.0), (("acme", "cove"), 5.6), (("bolt",), 5.9)]


def test_a_wish_without_a_band_is_refused():
    with pytest.raises(InputError, match=r"alternatives\.prefer: needs within, such as 5%"):
        problem(13).changed({"alternatives.prefer": "fewest_providers"})


prices = st.integers(10, 40)


@tries(0.2)
@given(
    usd=st.tuples(prices, prices, prices, prices),
    load=st.integers(4, 22),
    within=st.sampled_from([0.05, 0.2, 0.5]),
    prefer=st.sampled_from(
        ["fewest_providers", "fewest_offerings", "fewest_gpu_types", "most_different"]
    ),
)
def test_the_list_is_that_of_every_fleet_tried(usd, load, within, prefer):
    sold = [("acme", "big"), ("acme", "small"), ("bolt", "big"), ("bolt", "mid")]
    # Unlike last digits, so that no two fleets cost the same.
    hourly = [
        p / 10 + digits for p, digits in zip(usd, (0.001, 0.0033, 0.0107, 0.0251), strict=True)
    ]
    known = catalog(
        [offering(*what, price) for what, price in zip(sold, hourly, strict=True)],
        [raw(gpu, rate) for gpu, rate in RATES.items()],
    )
    asked = {"count": 2, "within": within, "prefer": prefer, "differ_by": "offerings"}
    plan = solve(problem(load, alternatives=asked), known)
    counts = {
        "fewest_providers": lambda fleet: len({sold[i][0] for i, n in enumerate(fleet) if n}),
        "fewest_offerings": lambda fleet: sum(n > 0 for n in fleet),
        "fewest_gpu_types": lambda fleet: len({sold[i][1] for i, n in enumerate(fleet) if n}),
    }
    cost = {
        fleet: sum(n * price for n, price in zip(fleet, hourly, strict=True))
        for fleet in product(range(9), repeat=4)
        if sum(n * RATES[gpu] for n, (_, gpu) in zip(fleet, sold, strict=True)) >= load
    }
    best = min(cost, key=cost.__getitem__)
    assert plan.cash_usd_per_month == pytest.approx(cost[best] * MONTH)
    found = [best]
    for one in plan.alternatives:
        taken = {i for fleet in found for i, n in enumerate(fleet) if n}
        wish = counts.get(prefer, partial(_spent_on, taken, hourly))
        left = [fleet for fleet in cost if _is_new(fleet, found)]
        left = [fleet for fleet in left if cost[fleet] <= cost[best] * (1 + within)]
        expected = min(left, key=lambda fleet: (wish(fleet), cost[fleet]))
        assert one.cash_usd_per_month == pytest.approx(cost[expected] * MONTH)
        found.append(expected)
    if len(plan.alternatives) < 2:
        left = [fleet for fleet in cost if _is_new(fleet, found)]
        assert not [
            fleet for fleet in left if cost[fleet] <= cost[best] * (1 + within) * (1 - 1e-6)
        ]


def _spent_on(offerings, hourly, fleet):
    """USD per hour that a fleet spends on some offerings."""
    return round(sum(n * hourly[i] for i, n in enumerate(fleet) if i in offerings), 6)


def _is_new(fleet, found):
    """Another set of offerings than any found, and none that only adds to one."""
    return not any(
        all(n >= m for n, m in zip(fleet, one, strict=True))
        or [n > 0 for n in fleet] == [m > 0 for m in one]
        for one in found
    )
