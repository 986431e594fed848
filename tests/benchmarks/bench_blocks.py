"""Ten workloads, the whole market, 24 blocks: without quotas, and with 64 GPUs per provider.

    python tests/benchmarks/bench_blocks.py [--solver cbc|highs|both]

Prints the size before and after pruning, the bound of the linear relaxation, and for each goal the
seconds from the problem to the verified plan, candidates, pruning and building included.
"""

from __future__ import annotations

import argparse
import math
import random
import time

from milp_planner import Plan, Problem, load_catalog, prepare, solve
from milp_planner.milp.model import build_model
from milp_planner.milp.prune import prune
from milp_planner.milp.relaxation import relaxed_values

LLMS = (
    "llama-3.3-70b",
    "llama-3.1-8b",
    "qwen3-32b",
    "gpt-oss-120b",
    "mixtral-8x7b",
    "qwen3-235b-a22b",
    "gemma-3-27b",
    "mistral-small-24b",
    "gpt-oss-20b",
    "qwen3-30b-a3b",
)


def ten_workloads(quota: int | None, growth: float = 1.0) -> Problem:
    """Ten workloads with days of their own; dedicated units may stop, so every block counts."""
    rng = random.Random(7)
    workloads = [_workload(i, llm, rng, growth) for i, llm in enumerate(LLMS)]
    billing = ["dedicated", "autoscaling", "reserved_1y", "spot"]
    limits: dict[str, object] = {"billing": {"allow": billing}}
    if quota is not None:
        providers = sorted({offering.provider for offering in load_catalog().offerings})
        limits["max_gpus"] = {"per_provider": dict.fromkeys(providers, quota)}
    return Problem(
        workloads=workloads,
        limits=limits,
        policy={"switch_off_dedicated": True},
        alternatives={"count": 0},
    )


def _workload(i: int, llm: str, rng: random.Random, growth: float) -> dict[str, object]:
    peak = rng.uniform(5, 60)
    weights = [
        0.35 + 0.65 * max(0.0, math.sin(math.pi * (hour - 6 - i % 4) / 14)) + 0.05 * rng.random()
        for hour in range(24)
    ]
    return {
        "name": f"w{i}",
        "llm": llm,
        "traffic": {
            "kind": "profile",
            "requests_per_day": peak * 3600 * sum(weights),
            "weights": weights,
            "max_blocks": 24,
            "growth": growth,
        },
        "requests": {
            "input_tokens": rng.choice([500, 1000, 2000]),
            "output_tokens": rng.choice([100, 300, 600]),
        },
        "latency": {"tpot": "60ms"},
    }


def show_size(problem: Problem) -> None:
    """Columns before and after pruning, and the linear bound."""
    given = prepare(problem, load_catalog())
    blocks = len(given.schedule.blocks)
    naive = blocks * len(given.candidates.candidates)
    kept = tuple(prune(given, given.candidates.candidates).kept)
    model = build_model(given, kept)
    print(f"  {blocks} blocks; {naive:,} integers naively, {len(model.columns):,} after pruning")
    values = relaxed_values(model)
    if values is not None:
        costs = [c * values.get(v.name, 0.0) for t in model.costs.values() for v, c in t.items()]
        print(f"  linear bound ${sum(costs):,.0f} per month")


def timed(problem: Problem, solver: str, gap: float) -> tuple[float, Plan]:
    """Seconds from the problem to the verified plan, and the plan."""
    catalog = load_catalog()
    started_s = time.perf_counter()
    plan = solve(problem, catalog, gap=gap, solver=solver, time_limit_s=120)
    return time.perf_counter() - started_s, plan


def show(label: str, problem: Problem, solver: str, gap: float, wish_s: float) -> None:
    seconds, plan = timed(problem, solver, gap)
    print(
        f"  {label:24s} {seconds:6.2f} s  (wish {wish_s:g})  {plan.status.value}, "
        f"${plan.cash_usd_per_month:,.0f}, bound ${plan.bound:,.0f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solver", choices=("cbc", "highs", "both"), default="both")
    solver = parser.parse_args().solver
    free = ten_workloads(None)
    limited = ten_workloads(64, growth=1.5)  # enough traffic for a quota to bind
    print("without quotas")
    show_size(free)
    show("proven optimal", free, solver, 0.0, 3)
    print("64 GPUs per provider")
    show_size(limited)
    show("within 2 %", limited, solver, 0.02, 5)
    show("within 0.1 %", limited, solver, 0.001, 40)
