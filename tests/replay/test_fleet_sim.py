"""Against a planner that sizes fleets by queueing, on its own service model and its own traffic.

`../shared/cases/fleet_sim` has the distributions of lengths, the model and that planner's answers.
A request takes ⌈input ÷ chunk⌉ + output iterations; an iteration with n in flight takes
W + H·(mean length ÷ 8,192)·n. So its replica is one of ours whose tokens are iterations, and its
time to the first token is the wait and the share of the first iterations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from milp_planner import Plan, Problem, Replay, ReplayWish, WishReplayed, tighten
from milp_planner.replaying.engine import send
from milp_planner.replaying.replica import ReplicaSpeed
from tests.support.builders import catalog, offering, raw

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "fleet_sim"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here")

WISH = ReplayWish("ttft", 0.5, 0.99)
SPLIT, INPUT_SHARE, MOST_UTILIZATION, HOURS_PER_YEAR = 4096, 0.8, 0.85, 8760
REQUESTS = 10_000


@dataclass(frozen=True)
class Gpu:
    """A profile of that planner."""

    w_s: float
    h_s: float
    chunk: int
    kv_blocks: int
    most_slots: int
    usd_per_hour: float


GPUS = {
    "a100": Gpu(0.0080, 0.00065, 512, 65_536, 128, 2.21),
    "h100": Gpu(0.0040, 0.00032, 1024, 65_536, 256, 4.02),
}

ANSWERED = {
    ("azure", 20, "a100"): (2, 4, 116_200, True),
    ("azure", 20, "h100"): (2, 3, 176_100, True),
    ("azure", 200, "a100"): (9, 27, 696_900, True),
    ("azure", 200, "h100"): (5, 13, 633_900, True),
    ("lmsys", 20, "a100"): (2, 2, 77_400, False),
    ("lmsys", 20, "h100"): (2, 2, 140_900, True),
    ("lmsys", 200, "a100"): (4, 10, 271_000, False),
    ("lmsys", 200, "h100"): (3, 5, 281_700, True),
    ("agent_heavy", 20, "a100"): (3, 46, 948_600, False),
    ("agent_heavy", 20, "h100"): (2, 23, 880_400, True),
    ("agent_heavy", 200, "a100"): (14, 459, 9_157_100, False),
    ("agent_heavy", 200, "h100"): (7, 226, 8_205_100, True),
}
"""(traffic, requests/s, GPU): GPUs of the short and the long pool, USD a year, and whether its own
simulation agrees that 99 of 100 requests have their first token within 500 ms."""

SLOW = pytest.mark.slow
ROWS = [
    pytest.param(*key, marks=[SLOW] if key[1] == 200 or key[0] == "agent_heavy" else [])
    for key in ANSWERED
]


@dataclass(frozen=True)
class SizedPool:
    """One of the two pools: which requests it is sent, and how a GPU serves them."""

    name: str
    gpu: Gpu
    requests_per_second: float
    prefill_iterations: np.ndarray
    iterations: np.ndarray
    speed: ReplicaSpeed

    @property
    def full_rate(self) -> float:
        """Requests/s of a GPU whose slots are all taken."""
        return self.speed.places / (float(self.iterations.mean()) * self.speed.decode_step_s[-1])

    def missed(self, gpus: int) -> float:
        """Share of the requests whose first token comes later than wished."""
        n = len(self.iterations)
        gaps = np.random.default_rng(2).exponential(1 / self.requests_per_second, n)
        arrivals = np.cumsum(gaps)
        speeds = [self.speed] * gpus
        sent = arrivals.tolist(), [0.0] * n, self.iterations.tolist()
        journeys = send(*sent, speeds, router="central")
        admitted, left = np.array(journeys.admitted_s), np.array(journeys.left_s)
        share = self.prefill_iterations / self.iterations
        ttft = admitted + (left - admitted) * share - arrivals
        return float((ttft[n // 10 :] > WISH.wished_s).mean())


def pools(traffic: str, rate: float, gpu: Gpu) -> Iterator[SizedPool]:
    """The short and the long requests of a distribution of lengths, 10,000 of each."""
    read = json.loads((CASES / f"{traffic}_cdf.json").read_text())
    points = np.array(read["cdf"] if isinstance(read, dict) else read, float)
    tokens, shares = np.r_[1, points[:, 0]], np.r_[0, points[:, 1]]
    short = float(np.interp(SPLIT, tokens, shares))
    longest = float(points[-1, 0])
    for name, low, high, most in (("short", 0, short, SPLIT), ("long", short, 1, longest)):
        drawn = low + (high - low) * np.random.default_rng(1).random(REQUESTS)
        lengths = np.interp(drawn, shares, tokens)
        inputs = np.maximum(1, np.floor(INPUT_SHARE * lengths))
        prefill = np.ceil(inputs / gpu.chunk)
        slots = int(min(gpu.most_slots * 8192 / most, gpu.kv_blocks * 16 / most))
        each = gpu.h_s * lengths.mean() / 8192
        yield SizedPool(
            name=name,
            gpu=gpu,
            requests_per_second=rate * (high - low),
            prefill_iterations=prefill,
            iterations=prefill + np.maximum(1, np.floor(lengths - inputs)),
            speed=ReplicaSpeed(tuple(gpu.w_s + each * b for b in range(1, slots + 1))),
        )


@pytest.mark.parametrize(("traffic", "rate", "gpu"), ROWS)
def test_the_replay_refutes_what_its_own_simulation_refutes_and_nothing_else(
    traffic: str, rate: int, gpu: str
) -> None:
    short, long, usd_per_year, agrees = ANSWERED[traffic, rate, gpu]
    cost = (short + long) * GPUS[gpu].usd_per_hour * HOURS_PER_YEAR
    assert cost == pytest.approx(usd_per_year, rel=1e-3)
    sized = zip(pools(traffic, rate, GPUS[gpu]), (short, long), strict=True)
    missed = [pool.missed(gpus) for pool, gpus in sized]
    assert (max(missed) <= 0.01) == agrees


@pytest.mark.parametrize(("traffic", "rate", "gpu"), ROWS)
def test_ours_is_never_dearer_where_the_wish_can_be_kept_and_says_so_where_it_cannot(
    traffic: str, rate: int, gpu: str
) -> None:
    sized = {pool.name: pool for pool in pools(traffic, rate, GPUS[gpu])}
    asked = Problem(
        workloads=[
            {
                "name": name,
                "llm": "any",
                "traffic": {
                    "kind": "requests_per_second",
                    "requests_per_second": pool.requests_per_second,
                },
                "rates": [{"gpu": gpu, "requests_per_second": pool.full_rate}],
            }
            for name, pool in sized.items()
        ],
        policy={"utilization": {"target": MOST_UTILIZATION}},
        alternatives={"count": 0},
    )
    known = catalog([offering("cloud", gpu, GPUS[gpu].usd_per_hour)], [raw(gpu, 1)])

    def replayed(plan: Plan, at: Problem) -> Replay:
        units = {p.candidate.workload: p.units for p in plan.purchases}
        missed = {name: pool.missed(units[name]) for name, pool in sized.items()}
        wishes = tuple(WishReplayed(WISH, name, None, share, 0.0) for name, share in missed.items())
        sent = len(sized) * REQUESTS
        return Replay(at.name, "central", (1,), sent, False, 1.0, (), wishes)

    _, _, usd_per_year, agrees = ANSWERED[traffic, rate, gpu]
    found = tighten(asked, replayed, known, rounds=6)
    assert found.keeps_all_wishes == agrees
    if agrees:
        cash = found.plan.cash_usd_per_month or 0.0
        assert cash / 720 * HOURS_PER_YEAR <= usd_per_year * (1 + 1e-3)
