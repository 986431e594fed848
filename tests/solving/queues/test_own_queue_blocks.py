"""Own queues over a day: units that are held and elastic ones are the cheapest of all counts."""

from __future__ import annotations

import math
import random

import pytest

from milp_planner import Status, prepare, solve
from tests.solving.queues.test_waits import asked, random_kinds
from tests.support.builders import catalog, offering, raw
from tests.support.oracles.queue_oracle import Wished, carried
from tests.support.oracles.reading.reader import read

MOST = 12
OFF = {1: 1e-3, 2: 0.016}
"""Relative, by burstiness: what the planner lets pass beyond the oracle's load."""


class Day:
    """A random day of two loads, one kind held all month and one that comes and goes."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"att {seed}")
        kinds = random_kinds(rng)
        self.names = list(kinds)[:2]
        self.kinds = {name: kinds[name] for name in self.names}
        self.loads = rng.uniform(4, 10), rng.uniform(1, 4)
        wait_s, self.burstiness = rng.choice((0.3, 1, 4)), rng.choice((1, 1, 2))
        self.wished = Wished([(wait_s, 0.99)], (), self.burstiness**2)
        one = {"input_tokens": 100, "output_tokens": 300}
        two = [{**one, "share": 0.6}, {**one, "output_tokens": 300.0001, "share": 0.4}]
        sizes = two if rng.random() < 0.4 else one
        self.left, self.target = rng.choice((0, 0.5)), rng.choice((0.75, 1.0))
        traffic = {
            "kind": "profile",
            "requests_per_day": sum(self.loads) / 2 * 86_400,
            "weights": [self.loads[0]] * 12 + [self.loads[1]] * 12,
            "burstiness": self.burstiness,
        }
        survive = {"survive_loss_of": {"kind": "provider", "share": self.left}}
        self.problem = asked(
            1,
            {"wait": {"p99": wait_s}},
            self.kinds,
            chat={"traffic": traffic, "requests": sizes},
            policy={"routing": "per_offering", "utilization": {"target": self.target}},
            limits=survive if self.left else {},
        )
        billings = zip(self.names, ("dedicated", "autoscaling"), strict=True)
        self.catalog = catalog(
            [offering(kinds[n].group, n, kinds[n].usd, billing=how) for n, how in billings],
            [raw(name, kinds[name].rate) for name in self.names],
        )
        self.known: dict[tuple[str, int], float] = {}

    def carry(self, name: str, n: int) -> float:
        if (name, n) not in self.known:
            self.known[name, n] = carried(self.kinds[name], n, self.wished) if n else 0.0
        return self.known[name, n]

    def keeps(self, load: float, mix: tuple[int, int]) -> bool:
        on = dict(zip(self.names, mix, strict=True))
        target = self.target
        own = [min(self.carry(k, n), target * self.kinds[k].rate * n) for k, n in on.items()]
        left = [self.carry(other, on[other]) for other in reversed(self.names)]
        lost = [rest for rest, n in zip(left, mix, strict=True) if n and self.left]
        return sum(own) >= load * (1 - 1e-9) and min(lost, default=math.inf) >= self.left * load

    def cheapest_usd(self, scale: float) -> float:
        """Of all counts that are held, with the fewest that come beside them in each half."""
        held, elastic = (self.kinds[name].usd for name in self.names)
        best = math.inf
        for n in range(MOST + 1):
            counts = (
                next((c for c in range(MOST + 1) if self.keeps(scale * load, (n, c))), math.inf)
                for load in self.loads
            )
            best = min(best, 720 * held * n + sum(360 * elastic * c for c in counts))
        return best


def is_the_cheapest(day: Day) -> None:
    plan = solve(day.problem, day.catalog, alternatives=0)
    assert plan.status is Status.OPTIMAL
    least, most = day.cheapest_usd(1 - OFF[day.burstiness]), day.cheapest_usd(1.0)
    assert least - 1e-6 <= plan.score_usd_per_month <= most + 1e-6
    assert read(prepare(day.problem, day.catalog), plan) == []


@pytest.mark.parametrize("seed", [0, 12])
def test_a_day_of_own_queues_is_the_cheapest_of_all_counts(seed):
    is_the_cheapest(Day(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_a_day_of_own_queues_is_the_cheapest_of_all_counts_whatever_it_is(seed):
    is_the_cheapest(Day(seed))
