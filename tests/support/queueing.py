"""Random queues, and the load at which a simulated one just keeps a wish."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from milp_planner.replaying.engine import send
from milp_planner.replaying.replica import ReplicaSpeed
from milp_planner.serving.queues.chain import ReplicaQueue, pool_rates
from milp_planner.serving.queues.sizes import lognormal_sizes
from milp_planner.serving.queues.wait import admissible_load, is_judged

OUTPUT_TOKENS = 300
LOW, HIGH = 0.80, 1.25
"""Where the simulated load is looked for, in admissible ones."""


@dataclass(frozen=True)
class QueueSetting:
    """Replicas of so many places before one router, and a wish for the p99 of the wait."""

    replicas: int
    places: int
    step_ms: float
    """What each request in flight adds to the 20 ms of a token."""

    size_cv: float
    gap_cv: float
    wait_s: float

    @property
    def speed(self) -> ReplicaSpeed:
        return ReplicaSpeed(
            tuple(0.02 + 1e-3 * self.step_ms * b for b in range(1, self.places + 1))
        )

    @property
    def full_rate(self) -> float:
        """Requests/s of all replicas with every place taken."""
        return self.replicas * self.places / (OUTPUT_TOKENS * self.speed.decode_step_s[-1])

    def admissible(self) -> float | None:
        """A by the formulas, without a margin; None where they do not judge."""
        service_s = [OUTPUT_TOKENS * step for step in self.speed.decode_step_s]
        rates = pool_rates([ReplicaQueue(self.replicas, service_s)])
        scv = self.gap_cv**2
        load = admissible_load(
            self.wait_s, 0.99, rates, lognormal_sizes(self.size_cv), scv, margin=1
        )
        return load if load > 0 and is_judged(load, rates, scv) else None

    def missed(self, load: float, n: int, seed: int = 5) -> float:
        """Share of the requests that wait longer than wished at that load, simulated."""
        rng = np.random.default_rng(seed)
        shape = 1 / self.gap_cv**2
        arrivals = np.cumsum(rng.gamma(shape, 1 / shape, n)) / load
        spread = math.sqrt(math.log(1 + self.size_cv**2))
        tokens = OUTPUT_TOKENS * rng.lognormal(-spread * spread / 2, spread, n)
        pool = [self.speed] * self.replicas
        journeys = send(arrivals.tolist(), [0.0] * n, tokens.tolist(), pool, router="least")
        waits = np.array(journeys.admitted_s) - arrivals
        return float((waits[n // 10 :] > self.wait_s).mean())

    def admissible_to_simulated(self, n: int, steps: int = 6) -> float | None:
        """A ÷ the load at which one of a hundred waits longer; None where A is not judged.

        The same requests at every load, nearer together: by halving between 0.8 and 1.25 of A.
        """
        load = self.admissible()
        if load is None:
            return None
        low, high = LOW * load, min(HIGH * load, 0.999 * self.full_rate)
        for _ in range(steps):
            middle = (low + high) / 2
            kept = self.missed(middle, n) <= 0.01
            low, high = (middle, high) if kept else (low, middle)
        return load / ((low + high) / 2)


def queue_settings(seed: int) -> Iterator[QueueSetting]:
    """One after another, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield QueueSetting(
            replicas=int(rng.choice([1, 2, 4, 8])),
            places=int(rng.choice([16, 42, 64, 128])),
            step_ms=float(rng.choice([0.3, 0.5, 1.0])),
            size_cv=float(rng.choice([0.5, 1.0, 2.0])),
            gap_cv=float(rng.choice([1.0, 1.0, 1.5, 2.0])),
            wait_s=float(rng.choice([0.2, 1.0, 5.0])),
        )
