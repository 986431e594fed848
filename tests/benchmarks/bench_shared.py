"""What it saves that ten workloads share units, in 24 blocks, and what CPU time that takes.

    python tests/benchmarks/bench_shared.py

On AWS, Google and Azure, who sell large GPUs by the node, and on the whole market, where single
GPUs cost as much each: units of one workload each, shared as a problem has it that says nothing,
and all shared. Exits with 1 where a plan is not proven, or takes more than 20 s of CPU time.
"""

from __future__ import annotations

import math
import random
import sys
from typing import Any

from cpu_time import timed

from milp_planner import Problem, Status, load_catalog, solve

LLMS = (
    *("llama-3.1-8b", "llama-3.3-70b", "qwen3-8b", "qwen3-32b", "gpt-oss-20b", "gpt-oss-120b"),
    *("gemma-3-27b", "mistral-small-24b", "qwen3-30b-a3b", "qwen3-235b-a22b"),
)
LEAST, MOST = 0.5, 40.0
"""Requests/s at the peak of a workload."""

WISH_S = 20.0
SELLERS: dict[str, list[str]] = {"AWS, Google, Azure": ["aws", "gcp", "azure"], "the market": []}


def ten_workloads(sellers: list[str], share: str | None) -> Problem:
    """Ten workloads with days of their own, on what is sold on demand."""
    rng = random.Random(7)
    limits: dict[str, Any] = {"billing": {"allow": ["dedicated", "autoscaling"]}}
    if sellers:
        limits["providers"] = {"allow": sellers}
    return Problem(
        workloads=[_workload(i, llm, rng) for i, llm in enumerate(LLMS)],
        limits=limits,
        policy={"share": share},
        alternatives={"count": 0},
        solver={"time_limit": "100s"},
    )


def _workload(i: int, llm: str, rng: random.Random) -> dict[str, Any]:
    peak = math.exp(rng.uniform(math.log(LEAST), math.log(MOST)))
    weights = [
        0.35 + 0.65 * max(0.0, math.sin(math.pi * (hour - 6 - i % 4) / 14)) + 0.05 * rng.random()
        for hour in range(24)
    ]
    sizes = {
        "input_tokens": rng.choice([500, 1000, 2000]),
        "output_tokens": rng.choice([100, 300, 600]),
    }
    day = 3600 * peak * sum(weights)
    traffic = {"kind": "profile", "requests_per_day": day, "weights": weights, "max_blocks": 24}
    latency = {"tpot": "60ms"}
    return {"name": f"w{i}", "llm": llm, "traffic": traffic, "requests": sizes, "latency": latency}


def main() -> None:
    """Prints a line for each market and way to share."""
    missed = False
    catalog = load_catalog()
    for name, sellers in SELLERS.items():
        for share in ("none", None, "units"):
            problem = ten_workloads(sellers, share)
            found = timed(lambda problem=problem: solve(problem, catalog, diagnose=False))
            plan = found.result
            cash = plan.cash_usd_per_month or 0.0
            said = share or "left out"
            print(
                f"{name:20} share {said:9} {plan.status.value} ${cash:,.0f} CPU {found.cpu_s:.1f} s"
            )
            missed = missed or plan.status is not Status.OPTIMAL or found.cpu_s > WISH_S
    sys.exit(missed)


if __name__ == "__main__":
    main()
