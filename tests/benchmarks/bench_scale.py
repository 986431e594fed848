"""Twenty problems on the shipped catalog, from three workloads to thirty and one class to sixteen.

    python tests/benchmarks/bench_scale.py [NAME ...] [--limit SECONDS] [--next-best N]

Names are W-T-Q-feature: workloads, time blocks, request classes. For each problem: columns before
and after pruning; CPU seconds of listing and pruning, of the whole way to the plan, and of as many
next-best plans beside it, this process and its solvers together; how far it is proven, by whom.
Exits with 1 where a problem has no plan.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from typing import Any, NamedTuple

from bench_blocks import LLMS
from cpu_time import timed

from milp_planner import Catalog, Plan, Problem, load_catalog, prepare, solve
from milp_planner.milp.presolve.dominance import prune
from milp_planner.milp.program.model import build_model

NAMES = (
    *("3-1-1-base", "3-8-1-base", "10-8-1-base", "1-24-1-base", "10-24-1-base", "30-24-1-base"),
    *("10-1-1-fair", "3-8-1-fair", "30-24-1-fair"),
    *("1-8-4-share", "3-8-1-share", "10-1-1-share"),
    *("3-8-1-spot", "10-8-1-spot"),
    *("3-8-1-survive", "10-1-1-survive"),
    *("3-8-1-quota", "1-8-4-quota"),
    *("1-24-16-base", "3-8-4-base"),
)
QUOTA = 16
HOURS = 24

SOFT: dict[str, Any] = {
    "share": "none",
    "utilization": {"target": 0.75, "ceiling": 0.95},
    "penalties": {
        "overload": {"above": 0.8, "usd_at_full_load": 2000},
        "scaling": {"above_gpus": 8, "usd_per_gpu": 300},
        "strict_latency": {"usd": 900},
    },
}
"""All three penalties, and no unit shared."""


class Size(NamedTuple):
    """How large a problem is, and what is asked beyond its loads."""

    workloads: int
    blocks: int
    classes: int
    feature: str

    @classmethod
    def of(cls, name: str) -> Size:
        """Of `10-24-1-fair`, say."""
        workloads, blocks, classes, feature = name.split("-")
        return cls(int(workloads), int(blocks), int(classes), feature)


def sized(name: str, catalog: Catalog) -> Problem:
    """The problem of a name: always the same."""
    size, rng = Size.of(name), random.Random(7)
    workloads = [_workload(i, size, rng) for i in range(size.workloads)]
    return Problem(
        name=name,
        workloads=workloads,
        limits=_limits(size, catalog),
        policy=SOFT if size.feature == "soft" else {},
        alternatives={"count": 0},
    )


def _limits(size: Size, catalog: Catalog) -> dict[str, Any]:
    billing = ["dedicated", "autoscaling", "reserved_1y"]
    providers = sorted({offering.provider for offering in catalog.offerings})
    budget = {"usd_per_month": 10_000 * size.workloads, "when_short": "fair"}
    features: dict[str, dict[str, Any]] = {
        "base": {},
        "fair": {"budget": budget},
        "share": {"providers": {"max_share": 0.5}},
        "spot": {"max_spot_share": 0.5},
        "survive": {"survive_loss_of": "provider"},
        "quota": {"max_gpus": {"per_provider": dict.fromkeys(providers, QUOTA)}},
        "soft": {},
    }
    more = ["spot"] if size.feature == "spot" else []
    return {"billing": {"allow": [*billing, *more]}, **features[size.feature]}


def _workload(i: int, size: Size, rng: random.Random) -> dict[str, Any]:
    peak = rng.uniform(5, 60)
    weights = [
        0.35 + 0.65 * max(0.0, math.sin(math.pi * (hour - 6 - i % 4) / 14)) + 0.05 * rng.random()
        for hour in range(HOURS)
    ]
    by_the_hour = {
        "kind": "profile",
        "requests_per_day": round(peak * 3600 * sum(weights), 1),
        "weights": [round(weight, 4) for weight in weights],
        "max_blocks": size.blocks,
    }
    all_day = {
        "kind": "requests_per_second",
        "requests_per_second": round(peak, 3),
        "mean_requests_per_second": round(peak / 2, 3),
    }
    return {
        "name": f"w{i}",
        "llm": LLMS[i % len(LLMS)],
        "traffic": all_day if size.blocks == 1 else by_the_hour,
        "requests": _requests(size.classes, rng),
        "latency": {"tpot": "60ms", **({"requirement": "200ms"} if size.feature == "soft" else {})},
    }


def _requests(classes: int, rng: random.Random) -> Any:
    if classes == 1:
        return {
            "input_tokens": rng.choice([500, 1000, 2000]),
            "output_tokens": rng.choice([100, 300, 600]),
        }
    parts = [rng.uniform(0.2, 1) for _ in range(classes)]
    shares = [round(part / sum(parts), 6) for part in parts[:-1]]
    sizes: set[tuple[int, int]] = set()
    while len(sizes) < classes:
        sizes.add((_log_uniform(rng, 100, 8000), _log_uniform(rng, 20, 800)))
    return [
        {"input_tokens": into, "output_tokens": out, "share": share}
        for (into, out), share in zip(
            sorted(sizes), [*shares, round(1 - sum(shares), 6)], strict=True
        )
    ]


def _log_uniform(rng: random.Random, least: float, most: float) -> int:
    return int(math.exp(rng.uniform(math.log(least), math.log(most))))


class Before(NamedTuple):
    """What there is before anything is solved."""

    naive: int
    columns: int


def _before(problem: Problem, catalog: Catalog) -> Before:
    given = prepare(problem, catalog)
    kept = tuple(prune(given, given.candidates.candidates).kept)
    naive = len(given.candidates.candidates) * len(given.schedule.blocks)
    return Before(naive, len(build_model(given, kept).columns))


def _row(name: str, catalog: Catalog, limit_s: float, next_best: int) -> Plan:
    problem = sized(name, catalog)
    before = timed(lambda: _before(problem, catalog))
    first = timed(lambda: solve(problem, catalog, alternatives=0, time_limit_s=limit_s))
    beside = "-"
    if next_best:
        all_of = timed(
            lambda: solve(problem, catalog, alternatives=next_best, time_limit_s=limit_s)
        )
        beside = f"{all_of.cpu_s:7.2f} ({len(all_of.result.alternatives)} of {next_best})"
    plan = first.result
    gap = "-" if plan.gap is None else f"{plan.gap:.2%}"
    by = " and ".join(plan.proof.certified_by) or "nobody"
    print(
        f"{name:15s} {before.result.naive:9,d} {before.result.columns:6,d}  {before.cpu_s:6.2f} "
        f"{first.cpu_s:7.2f} {beside:>17s}  {plan.status.value:10s} {gap:>7s}  {by}",
        flush=True,
    )
    return plan


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--next-best", type=int, default=0)
    asked = parser.parse_args()
    catalog = load_catalog()
    print(
        f"{'problem':15s} {'naively':>9s} {'kept':>6s}  {'listed':>6s} {'solved':>7s} "
        f"{'with next-best':>17s}  {'status':10s} {'gap':>7s}  proven by"
    )
    plans = [_row(name, catalog, asked.limit, asked.next_best) for name in asked.names]
    return 0 if all(plan.status.has_plan for plan in plans) else 1


if __name__ == "__main__":
    sys.exit(main())
