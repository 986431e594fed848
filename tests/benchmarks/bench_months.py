"""Three workloads, 24 blocks, five futures and twelve months: when to commit to what, to 1 %.

    python tests/benchmarks/bench_months.py [NAME ...] [--limit SECONDS]

`aws` has on-demand units that stop by the hour beside AWS's own 1-year rows; `market` rents
anywhere and has quotes for a year at 30 % off. For each: USD expected over the year, the gap, and
CPU seconds of the whole way to the calendar, this process and its solvers together. Exits with 1
where a calendar is lacking or not within 1 %.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import Any

from cpu_time import timed

from milp_planner import Catalog, Problem, load_catalog, plan_months

GAP = 0.01
LIMIT_S = 60.0

DAY = (2, 1.4, 1, 1.1, 1.2, 2, 4, 7, 9.6, 12, 13, 13, 12, 12, 13, 13, 12, 11, 9, 8, 7, 6, 4, 3)
"""Requests by the hour, as shares."""

WORKLOADS = (
    ("big", "llama-3.3-70b", "2M"),
    ("small", "llama-3.1-8b", "40M"),
    ("oss", "gpt-oss-120b", "10M"),
)
"""Name, LLM and requests a day."""

FUTURES = (("flop", 0.2, 0.3), ("low", 0.2, 0.7), ("base", 0.3, 1.0), ("up", 0.2, 1.6))
FUTURES += (("hit", 0.1, 3.0),)
"""Name, probability and times the traffic."""

ONE_YEAR_OFF = {"term": "12 months", "discount": "30%"}

KINDS: dict[str, dict[str, Any]] = {
    "aws": {
        "limits": {
            "providers": {"allow": ["aws"]},
            "billing": {"allow": ["dedicated", "reserved_1y"]},
        },
        "policy": {"switch_off_dedicated": True},
    },
    "market": {
        "quotes": [
            {"offering": f"{provider}/*", **ONE_YEAR_OFF} for provider in ("packet-ai", "vast-ai")
        ],
    },
}


def of_kind(kind: str) -> Problem:
    """The problem of a name: always the same."""
    draw = random.Random(kind)
    return Problem(
        name=kind,
        workloads=[_workload(*one, draw) for one in WORKLOADS],
        futures=[
            {"name": name, "probability": chance, "traffic": times}
            for name, chance, times in FUTURES
        ],
        known_from="3 months",
        horizon={"months": 12, "growth": "5%/month", "price_trend": "-2%/month"},
        **KINDS[kind],
    )


def _workload(name: str, llm: str, per_day: str, draw: random.Random) -> dict[str, Any]:
    weights = [share * draw.uniform(0.9, 1.1) for share in DAY]
    traffic = {"kind": "profile", "requests_per_day": per_day, "weights": weights}
    return {
        "name": name,
        "llm": llm,
        "traffic": {**traffic, "burst_factor": 1.3, "max_blocks": 24},
        "requests": {"input_tokens": 1000, "output_tokens": 250},
        "latency": {"tpot": "80ms"},
    }


def show(kind: str, catalog: Catalog, limit_s: float) -> bool:
    """A line; whether there is a calendar within 1 %."""
    problem = of_kind(kind)
    seen = timed(lambda: plan_months(problem, catalog, gap=GAP, time_limit_s=limit_s))
    calendar = seen.result
    if calendar is None:
        print(f"{kind:8s} no calendar, CPU {seen.cpu_s:.1f} s")
        return False
    gap = calendar.proof.gap
    told = "gap unknown" if gap is None else f"gap {gap:.2%}"
    print(f"{kind:8s} ${calendar.usd:,.0f}, {told}, CPU {seen.cpu_s:.1f} s")
    return gap is not None and gap <= GAP


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--limit", type=float, default=LIMIT_S)
    asked = parser.parse_args()
    catalog = load_catalog()
    return 0 if all([show(kind, catalog, asked.limit) for kind in asked.names or KINDS]) else 1


if __name__ == "__main__":
    sys.exit(main())
