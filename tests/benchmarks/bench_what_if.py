"""Fifty scenarios of the quickstart, and diagnoses of problems with 300 offerings.

    python tests/benchmarks/bench_what_if.py

Whole processes for what-if; the diagnoses run in this one, after its imports.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROBLEMS = ROOT / "problems"
OFFERINGS = 300

SWEEPS = {
    "50 traffic factors": ["--traffic", ",".join(f"{0.2 * 1.07**i:.3g}" for i in range(50))],
    "50 limits and targets": [
        *("--limit", "max_gpus.total=2,3,4,6,8,12,16,24,32"),
        *("--target", "60%,70%,80%,90%"),
    ],
    "50 budgets": ["--budget", "500:5400:100"],
}

FREE = {"limits.gpus": None, "limits.max_gpus": None, "limits.budget": None}

CONFLICTS: dict[str, Mapping[str, Any]] = {
    "a budget too small": {"limits.budget.usd_per_month": 3000},
    "two quotas": {
        "limits.max_gpus.total": 5,
        "limits.max_gpus.per_gpu": {"b200-180gb-sxm": 1},
    },
    "a wish that nothing meets": {"workloads.code.latency.tpot": "2ms"},
    "regions, a quota and a budget": {
        "limits.regions.allow": ["eu-*", "us-*"],
        "limits.max_gpus.total": 6,
        "limits.budget.usd_per_month": 4000,
    },
}


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    started_s = time.perf_counter()
    action()
    return time.perf_counter() - started_s


def what_if(arguments: list[str]) -> Callable[[], object]:
    """The command line as a whole process, two scenarios at a time."""
    file = str(PROBLEMS / "quickstart.yaml")
    command = [sys.executable, "-m", "milp_planner", "what-if", file, "--jobs", "2", *arguments]
    return lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def diagnosed(patch: Mapping[str, Any]) -> tuple[float, str]:
    """Seconds of three-llms with `patch`, on 300 offerings, and what the diagnosis says."""
    from milp_planner import load_catalog, load_problem, prepare, solve
    from milp_planner.inputs.problem.patching import patched
    from milp_planner.plans.sentences import first_reason

    catalog = load_catalog()
    problem = load_problem(PROBLEMS / "three-llms.yaml")
    usable = {k.offering.key for k in prepare(problem, catalog).candidates.candidates}
    offerings = [o for o in catalog.offerings if o.key in usable]
    every = max(1, len(offerings) // OFFERINGS)
    kept = offerings[::every][:OFFERINGS]
    used = {o.gpu for o in kept}
    problem = patched(problem, {**FREE, **patch})
    smaller = replace(catalog, offerings=tuple(kept), token_prices=())
    started_s = time.perf_counter()
    plan = solve(problem, smaller, alternatives=0)
    took_s = time.perf_counter() - started_s
    said = first_reason(plan) or f"{plan.status.value}, {len(used)} GPU types"
    cut = plan.diagnosis.not_reached if plan.diagnosis else ()
    changes = len(plan.diagnosis.changes) if plan.diagnosis else 0
    return took_s, f"{said[:70]}; {changes} single changes{'; cut short' if cut else ''}"


if __name__ == "__main__":
    for name, arguments in SWEEPS.items():
        print(f"{name:32} {seconds(what_if(arguments)):6.1f} s   (wish 25)", flush=True)
    for name, patch in CONFLICTS.items():
        took_s, said = diagnosed(patch)
        print(f"{name:32} {took_s:6.1f} s   (wish 10)  {said}", flush=True)
