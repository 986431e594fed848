"""100 offerings in soft mode: a ceiling above the target, and all three penalties.

    python tests/benchmarks/bench_soft_mode.py

Each case is solved by both engines, with the overload ramp exact to a dollar. Prints the seconds
from the problem to the verified plan, and how many programs it took to make the ramp exact.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders import catalog, offering, raw

from milp_planner import Catalog, Plan, Problem, solve
from milp_planner.planning.search import Search

OFFERINGS = 100
WISH_S = 2.0


def market(seed: int) -> Catalog:
    """100 offerings of 100 GPU types: price follows rate loosely, so that few dominate many."""
    rng = random.Random(seed)
    offerings, rates = [], []
    for i in range(OFFERINGS):
        rate = rng.uniform(1, 12)
        usd = 0.55 * rate**0.93 * rng.uniform(0.85, 1.3)
        gpus = rng.choice([1, 1, 1, 2])
        billing = rng.choice(["dedicated", "dedicated", "autoscaling"])
        offerings.append(
            offering(
                f"p{i % 12}",
                f"gpu{i:03d}",
                round(usd * gpus, 3),
                billing=billing,
                gpus_per_unit=gpus,
            )
        )
        rates.append(raw(f"gpu{i:03d}", round(rate, 3)))
    return catalog(offerings, rates)


def soft(rate: float, ceiling: float) -> Problem:
    """One strict workload of `rate` requests/s under the three reference penalties."""
    return Problem(
        workloads=[
            {
                "name": "chat",
                "llm": "tiny",
                "traffic": {"kind": "requests_per_second", "requests_per_second": rate},
                "requests": {"input_tokens": 1, "output_tokens": 1},
                "latency": {"requirement": "200ms"},
            }
        ],
        policy={
            "preset": "inference-atlas",
            "utilization": {"target": 0.75, "ceiling": ceiling},
            "penalties": {
                "overload": {"above": 0.80, "usd_at_full_load": 2000},
                "scaling": {"above_gpus": 8, "usd_per_gpu": 300},
                "strict_latency": {"usd": 900},
            },
        },
        alternatives={"count": 0},
    )


def timed(problem: Problem, rented: Catalog) -> tuple[float, int, Plan]:
    """(seconds, programs solved, plan)."""
    programs = 0
    run = Search._run

    def counted(self: Search, model: object) -> object:
        nonlocal programs
        programs += 1
        return run(self, model)  # type: ignore[arg-type]

    Search._run = counted  # type: ignore[method-assign,assignment]
    try:
        started_s = time.perf_counter()
        plan = solve(problem, rented)
        return time.perf_counter() - started_s, programs, plan
    finally:
        Search._run = run  # type: ignore[method-assign]


if __name__ == "__main__":
    slowest = 0.0
    for seed, rate, ceiling in ((1, 20, 1.2), (2, 47.3, 1.2), (3, 90, 1.1), (4, 150, 1.0)):
        seconds, programs, plan = timed(soft(rate, ceiling), market(seed))
        slowest = max(slowest, seconds)
        penalties = sum(sum(w.penalties.values()) for w in plan.workloads)
        print(
            f"{rate:6g} requests/s, ceiling {ceiling:g}: {seconds:5.2f} s, {programs:2d} programs, "
            f"{plan.status.value}, cash {plan.cash_usd_per_month:,.0f}, penalties {penalties:,.0f}"
        )
    print(f"slowest: {slowest:.2f} s   (wish {WISH_S:g})")
