"""100 offerings in soft mode: a ceiling above the target, and all three penalties.

    python tests/benchmarks/bench_soft_mode.py

Each case is solved by both engines, with the overload ramp exact to a dollar; in one of them
tokens can be bought besides, so that the ramp is split. The last two are three times as
large, with three workloads, and have no wish. Prints the seconds from the
problem to the verified plan, those of CPU in all processes, and how many programs it took: to make
the ramp exact, and to look for a tie.
"""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from milp_planner import Catalog, Plan, Problem, solve
from milp_planner.milp.engines.certify import CertifiedRun
from milp_planner.milp.program.model import FleetModel
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import Query
from tests.support.builders import catalog, offering, raw, token_price

OFFERINGS = 100
MANY_OFFERINGS = 300
WISH_S = 2.0


def market(seed: int, offers: int = OFFERINGS) -> Catalog:
    """Offerings of a GPU type each: price follows rate loosely, so that few dominate many."""
    rng = random.Random(seed)
    offerings, rates = [], []
    for i in range(offers):
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


def soft(rates: tuple[float, ...], ceiling: float) -> Problem:
    """A strict workload for each of the rates, in requests/s, under the three penalties."""
    return Problem(
        workloads=[
            {
                "name": f"chat-{i}",
                "llm": "tiny",
                "traffic": {"kind": "requests_per_second", "requests_per_second": rate},
                "requests": {"input_tokens": 1, "output_tokens": 1},
                "latency": {"requirement": "200ms"},
            }
            for i, rate in enumerate(rates)
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
        limits={"billing": {"allow": ["dedicated", "autoscaling", "per_token"]}},
        alternatives={"count": 0},
    )


def cpu_seconds() -> float:
    """CPU time of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def timed(problem: Problem, rented: Catalog) -> tuple[float, float, int, Plan]:
    """(seconds, CPU seconds, programs solved, plan)."""
    programs = 0
    run = Optimizer._run

    def counted(self: Optimizer, model: FleetModel, query: Query, **settings: Any) -> CertifiedRun:
        nonlocal programs
        programs += 1
        return run(self, model, query, **settings)

    Optimizer._run = counted
    try:
        started_s, started_cpu_s = time.perf_counter(), cpu_seconds()
        plan = solve(problem, rented)
        return time.perf_counter() - started_s, cpu_seconds() - started_cpu_s, programs, plan
    finally:
        Optimizer._run = run


if __name__ == "__main__":
    slowest = 0.0
    tokens = replace(market(2), token_prices=(token_price("tokn", 90),))
    cases = (
        ((20,), 1.2, market(1)),
        ((47.3,), 1.2, market(2)),
        ((90,), 1.1, market(3)),
        ((150,), 1.0, market(4)),
        ((47.3,), 1.2, tokens),
        ((20, 47.3, 90), 1.2, market(1, MANY_OFFERINGS)),
        ((33, 60, 12), 1.1, market(2, MANY_OFFERINGS)),
    )
    for rates, ceiling, rented in cases:
        seconds, cpu_s, programs, plan = timed(soft(rates, ceiling), rented)
        if len(rates) == 1:
            slowest = max(slowest, seconds)
        penalties = sum(sum(w.penalties.values()) for w in plan.workloads)
        print(
            f"{' + '.join(f'{rate:g}' for rate in rates):>14} requests/s, ceiling {ceiling:g}: "
            f"{seconds:5.2f} s ({cpu_s:.2f} s of CPU), {programs} programs, "
            f"{plan.status.value}, cash {plan.cash_usd_per_month:,.0f}, penalties {penalties:,.0f}"
        )
    print(f"slowest of one workload: {slowest:.2f} s   (wish {WISH_S:g})")
