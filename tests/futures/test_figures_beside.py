"""What is told beside commitments, by other arithmetic: every number of units tried, by hand.

Two kinds of units, each rented or bound for a year. The oracle knows prices and loads, counts, and
shares nothing with the planner: regrets, what knowing more is worth, where another commitment
becomes right, and between which commitments the average hardly changes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, inf

import pytest

from milp_planner import Catalog, FuturesPlan, Problem, solve
from tests.support.builders import catalog, offering, problem, raw

MONTH = 720
CARRIES = (2, 1)
NAMES = ("acme/big/eu-1", "bolt/small/eu-1")
WITHIN = 0.025
"""How much dearer commitments of the flat range may be: as the documentation says."""

Units = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A market and what may come."""

    load: float
    rented: tuple[float, float]
    bound: tuple[float, float]
    traffic: tuple[float, ...]
    chances: tuple[float, ...]

    @classmethod
    def of(cls, seed: int) -> Case:
        pick = random.Random(seed)
        rented = round(pick.uniform(2, 5), 3), round(pick.uniform(1.2, 3), 3)
        bound = tuple(round(usd * pick.uniform(0.4, 0.95), 3) for usd in rented)
        futures = pick.choice([2, 3])
        traffic = tuple(pick.sample([0.25, 0.5, 1, 1.5, 2, 3], futures))
        parts = [pick.randint(1, 10) for _ in range(futures)]
        chances = tuple(part / sum(parts) for part in parts)
        return cls(pick.choice([2, 3, 4, 5, 6]), rented, (bound[0], bound[1]), traffic, chances)

    @property
    def names(self) -> list[str]:
        return [f"f{i}" for i in range(len(self.traffic))]

    def problem(self) -> Problem:
        futures = [
            {"name": name, "probability": p, "traffic": times}
            for name, p, times in zip(self.names, self.chances, self.traffic, strict=True)
        ]
        limits = {"billing": {"allow": ["dedicated", "reserved_1y"]}}
        return problem(self.load, futures=futures, limits=limits)

    def sold(self) -> Catalog:
        rows = [
            offering(seller, gpu, usd[i], billing=billing)
            for i, (seller, gpu) in enumerate([("acme", "big"), ("bolt", "small")])
            for billing, usd in (("dedicated", self.rented), ("reserved_1y", self.bound))
        ]
        return catalog(rows, [raw("big", CARRIES[0]), raw("small", CARRIES[1])])

    def usd(self, load: float, units: Units) -> float:
        """The least that a month costs with these units bound."""
        left = load - sum(n * carries for n, carries in zip(units, CARRIES, strict=True))
        paid = sum(n * usd for n, usd in zip(units, self.bound, strict=True))
        rent = 0.0 if left <= 1e-9 else inf
        for big in range(ceil(max(0.0, left) / CARRIES[0] - 1e-9) + 1 if left > 1e-9 else 0):
            small = max(0, ceil((left - big * CARRIES[0]) / CARRIES[1] - 1e-9))
            rent = min(rent, big * self.rented[0] + small * self.rented[1])
        return MONTH * (paid + rent)

    def all_units(self) -> list[Units]:
        most = self.load * max(self.traffic)
        return list(product(*(range(ceil(most / carries) + 1) for carries in CARRIES)))


class Oracle:
    """Every number of units in every future."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.costs = {
            units: [case.usd(case.load * times, units) for times in case.traffic]
            for units in case.all_units()
        }

    def mean(self, units: Units, chances: Sequence[float] | None = None) -> float:
        known = self.case.chances if chances is None else chances
        return sum(p * usd for p, usd in zip(known, self.costs[units], strict=True))

    def least(self, chances: Sequence[float] | None = None) -> float:
        return min(self.mean(units, chances) for units in self.costs)

    def alone(self, f: int) -> float:
        return min(usd[f] for usd in self.costs.values())

    def made_for_the_mean(self) -> Iterator[float]:
        """What the best commitments for the mean traffic cost on average; several may be best."""
        case = self.case
        times = sum(p * t for p, t in zip(case.chances, case.traffic, strict=True))
        usd = {units: case.usd(case.load * times, units) for units in self.costs}
        least = min(usd.values())
        yield from (self.mean(units) for units, cost in usd.items() if cost < least + 1e-6)

    def moved(self, upper: Sequence[int], q: float) -> list[float]:
        """The probabilities where these futures have q together, ratios kept."""
        now = sum(self.case.chances[f] for f in upper)
        return [
            p * q / now if f in upper else p * (1 - q) / (1 - now)
            for f, p in enumerate(self.case.chances)
        ]

    def owed(self, units: Units) -> float:
        return sum(n * usd for n, usd in zip(units, self.case.bound, strict=True))


def units_of(committed: Sequence[object]) -> Units:
    found = {one.offering: one.units for one in committed}  # type: ignore[attr-defined]
    return tuple(found.get(name, 0) for name in NAMES)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 30))]
)
def test_all_figures_are_those_of_who_tries_everything(seed):
    case = Case.of(seed)
    oracle = Oracle(case)
    told = solve(case.problem(), case.sold(), time_limit_s=600).futures
    assert told is not None
    mine = units_of(told.committed)
    assert told.expected_usd_per_month == pytest.approx(oracle.least(), abs=0.02)
    assert oracle.mean(mine) == pytest.approx(oracle.least(), abs=0.02)
    for f, one in enumerate(told.outcomes):
        assert one.usd_per_month == pytest.approx(oracle.costs[mine][f], abs=0.02)
        assert one.regret_usd_per_month == pytest.approx(
            oracle.costs[mine][f] - oracle.alone(f), abs=0.02
        )
    perfect = sum(p * oracle.alone(f) for f, p in enumerate(case.chances))
    assert told.information_value_usd_per_month == pytest.approx(oracle.least() - perfect, abs=0.02)
    worth = told.stochastic_value_usd_per_month
    assert any(
        worth == pytest.approx(usd - oracle.least(), abs=0.02) for usd in oracle.made_for_the_mean()
    )
    check_thresholds(oracle, told, mine)
    check_flat(oracle, told)


def check_thresholds(oracle: Oracle, told: FuturesPlan, mine: Units) -> None:
    """Told wherever there is one, and right on both sides of it."""
    names, traffic = oracle.case.names, oracle.case.traffic
    order = sorted(range(len(traffic)), key=lambda f: traffic[f])
    for k in range(1, len(order)):
        upper = order[k:]
        for end, rises in ((1.0, True), (0.0, False)):
            at_end = oracle.moved(upper, end)
            changes = oracle.mean(mine, at_end) > oracle.least(at_end) + 0.02
            found = [
                one
                for one in told.thresholds
                if set(one.futures) == {names[f] for f in upper} and one.rises == rises
            ]
            assert len(found) == changes
            for one in found:
                step = 1e-4 if rises else -1e-4
                before, after = (oracle.moved(upper, one.at + by) for by in (-step, step))
                assert oracle.mean(mine, before) <= oracle.least(before) + 0.05
                other = units_of(one.committed)
                assert oracle.mean(other, after) <= oracle.least(after) + 0.05


def check_flat(oracle: Oracle, told: FuturesPlan) -> None:
    """Nothing that costs so little more owes less, or more."""
    flat = told.flat
    assert flat is not None
    near = [n for n in oracle.costs if oracle.mean(n) <= oracle.least() * (1 + WITHIN)]
    for one, owed in (
        (flat.fewest, min(map(oracle.owed, near))),
        (flat.most, max(map(oracle.owed, near))),
    ):
        assert oracle.owed(units_of(one.committed)) == pytest.approx(owed)
