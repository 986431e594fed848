"""Whole-process times of `--help` and the quickstart, and build + solve of three-llms.

    python tests/benchmarks/bench_start.py

Prints the best of several runs: the machine is shared, and the best is the least disturbed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROBLEMS = ROOT / "problems"


def best_of(runs: int, action: Callable[[], object]) -> float:
    """Seconds of the fastest of `runs`."""
    times = []
    for _ in range(runs):
        started_s = time.perf_counter()
        action()
        times.append(time.perf_counter() - started_s)
    return min(times)


def process(*arguments: str) -> Callable[[], object]:
    """The command line as a whole process."""
    command = [sys.executable, "-m", "milp_planner", *arguments]
    return lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def catalog_seconds() -> float:
    """Loading the market catalog, in a warm process."""
    from milp_planner import load_catalog

    return best_of(5, load_catalog)


def three_llms_seconds() -> float:
    """Candidates, program, both solvers and verification, without alternatives."""
    from milp_planner import load_catalog, load_problem, solve

    catalog = load_catalog()
    problem = load_problem(PROBLEMS / "three-llms.yaml")
    return best_of(5, lambda: solve(problem, catalog, alternatives=0))


if __name__ == "__main__":
    print(f"--help, whole process            {best_of(5, process('--help')):6.2f} s   (wish 0.3)")
    quickstart = process("solve", str(PROBLEMS / "quickstart.yaml"))
    print(f"quickstart, whole process        {best_of(5, quickstart):6.2f} s   (wish 3)")
    print(f"catalog market, load and check   {catalog_seconds():6.2f} s   (wish 0.5)")
    print(f"three-llms, build and solve      {three_llms_seconds():6.2f} s   (wish 1)")
