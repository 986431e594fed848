"""Names left out or kept, branch by branch, against every set of names: workloads are made up."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import pytest

from milp_planner.milp.curves.few_names import Count, Least, NotProven, best_of_few

PLACES, KINDS = "abcd", "xyz"
EVERY = [*product(PLACES, KINDS)]


class Names:
    """What a thing, a pair of letters, is called: by one of its letters."""

    def __init__(self, at: int) -> None:
        self.name, self.at = f"letter {at}", at

    def name_of(self, k):
        return k[self.at]


class MadeUp:
    """A workload with a few fleets, each of some things and at a price."""

    def __init__(self, name: str, fleets: list[tuple[frozenset, int]]) -> None:
        self.name, self.fleets, self.asked = name, fleets, Counter()
        self.candidates = EVERY

    def cheapest(self, kept):
        self.asked[frozenset(kept)] += 1
        usd, fleet = self.least(kept)
        if fleet is None:
            return None
        spent = dict.fromkeys(fleet, Fraction(usd, len(fleet)))
        return Least(Fraction(usd), fleet, spent)

    def least(self, kept):
        """What its cheapest fleet of these costs, and that fleet."""
        some = [(usd, sorted(fleet)) for fleet, usd in self.fleets if fleet <= {*kept}]
        return min(some, default=(1_000_000, None))


def drawn(rng: random.Random) -> list[MadeUp]:
    """Two or three workloads of eight fleets, of up to four things; some cost nothing."""
    return [
        MadeUp(
            f"w{i}",
            [
                (frozenset(rng.sample(EVERY, rng.randint(1, 4))), rng.choice([0, 5, 7, 9, 12, 20]))
                for _ in range(8)
            ],
        )
        for i in range(rng.randint(2, 3))
    ]


def by_every_set(workloads: list[MadeUp], most: dict[int, int]) -> int:
    """The least of every set of so many letters of each kind."""
    places = combinations(PLACES, most.get(0, len(PLACES)))
    sets = product(places, combinations(KINDS, most.get(1, len(KINDS))))
    return min(
        sum(w.least([k for k in EVERY if k[0] in some and k[1] in others])[0] for w in workloads)
        for some, others in sets
    )


@pytest.mark.parametrize("most", [{0: 1}, {0: 2}, {1: 1}, {0: 2, 1: 2}, {0: 3, 1: 1}, {}])
def test_no_set_of_names_is_cheaper(most):
    counts = [Count(Names(at), number) for at, number in most.items()]
    for seed in range(60):
        workloads = drawn(random.Random(seed))
        best, least = best_of_few(workloads, counts), by_every_set(workloads, most)
        if best is None:
            assert least >= 1_000_000
            continue
        assert sum(one.usd_per_month for one in best) == least
        used = {k for one in best for k in one.fleet}
        assert all(len({k[at] for k in used}) <= number for at, number in most.items())


def test_nothing_is_looked_for_twice():
    for seed in range(20):
        workloads = drawn(random.Random(seed))
        best_of_few(workloads, [Count(Names(0), 2), Count(Names(1), 2)])
        assert all(times == 1 for w in workloads for times in w.asked.values())


def test_a_fleet_that_nobody_proves_is_none():
    class Open(MadeUp):
        def cheapest(self, kept):
            raise NotProven

    assert best_of_few([Open("w", [])], [Count(Names(0), 1)]) is None
