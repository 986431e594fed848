"""Mélange's published form beside ours: same inputs, same CBC, both timed from data to answer.

    python tests/benchmarks/bench_melange.py [--quick] [--cap SECONDS]

Ours is the whole `solve`: candidates, program, CBC and HiGHS side by side, the check of the plan;
`alone` is the same with CBC only. Both are the best of three: they are short, and machines are
shared. Times are CPU time, of this process and its solvers, and beside it the ratio on the clock.
Exits with 1 when ours is dearer, unproven, or takes more than a tenth of Mélange's CPU time where
that needs over 2 s. Inputs are the collected cases where they are at hand, else three
generated here.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cpu_time import Timed, timed
from melange_slices import SlicesAnswer, solve_slices

from milp_planner import Catalog, Plan, Problem, load_catalog, load_problem, solve
from milp_planner.inputs.imports.melange import import_melange
from milp_planner.milp.engines.cbc import find_cbc

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
HOURS = 720
SLOW_S = 2.0
"""Where Mélange needs more than this, ours must take at most a tenth."""

QUICK_S = 20.0
"""Cap of Mélange's time in a quick run."""

Document = dict[str, Any]


def cases() -> Iterator[tuple[str, Document]]:
    """(name, input) of every case."""
    found = sorted(CASES.glob("melange_*_*.json"))
    for path in found:
        yield path.stem.removeprefix("melange_"), json.loads(path.read_text())
    if not found:
        for seed, rate in ((1, 8.0), (2, 32.0), (3, 64.0)):
            yield f"generated_{seed}_r{rate:g}", generated(seed, rate)


def generated(seed: int, requests_per_second: float) -> Document:
    """Four GPU types and 10 × 6 buckets: rates fall with size, dear GPUs do better at long ones."""
    rng = random.Random(seed)
    inputs = [25, 100, 250, 500, 1000, 2000, 4000, 8000, 12000, 16000]
    outputs = [25, 100, 250, 500, 1000, 2000]
    weights = [
        [rng.uniform(0.2, 1) * math.exp(-((math.log(i / 300)) ** 2) - (math.log(o / 150)) ** 2 / 2)
         for o in outputs]
        for i in inputs
    ]  # fmt: skip
    total = sum(map(sum, weights))
    gpus = {}
    for name, usd, speed, memory in (
        ("small", 0.70, 1.0, 6e3),
        ("medium", 1.01, 1.6, 7e3),
        ("large", 3.67, 6.5, 6e4),
        ("huge", 7.52, 14.0, 7e4),
    ):
        gpus[name] = {
            "cost": usd,
            "tputs": [
                [speed * 4000 / (i + 8 * o) / (1 + (i + o) ** 2 / memory**2) * rng.uniform(0.9, 1.1)
                 for o in outputs]
                for i in inputs
            ],
        }  # fmt: skip
    return {
        "gpu_info": gpus,
        "workload_distribution": [[w / total for w in row] for row in weights],
        "total_request_rate": requests_per_second,
        "slice_factor": 8,
    }


def ours(document: Document) -> tuple[Timed[Plan], Timed[Plan]]:
    """Our plan with both engines and with CBC alone; reading the files is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "input.json"
        source.write_text(json.dumps(document))
        imported = import_melange(source, Path(folder) / "new")
        problem, catalog = load_problem(imported.problem_path), load_catalog(imported.catalog_path)
    solve(problem, catalog, alternatives=0)  # imports
    return best_of_three(problem, catalog, "both"), best_of_three(problem, catalog, "cbc")


def best_of_three(problem: Problem, catalog: Catalog, solver: str) -> Timed[Plan]:
    """The plan, with the least times of three solves."""
    runs = [timed(lambda: solve(problem, catalog, alternatives=0, solver=solver)) for _ in range(3)]
    return Timed(runs[0].result, min(r.seconds for r in runs), min(r.cpu_s for r in runs))


def line(
    name: str, theirs: Timed[SlicesAnswer], both: Timed[Plan], alone: Timed[Plan]
) -> tuple[str, bool]:
    """One row of the table, and whether it is as it must be."""
    plan, answer = both.result, theirs.result
    usd = (plan.cash_usd_per_month or math.inf) / HOURS
    their_usd = math.inf if answer.usd_per_hour is None else answer.usd_per_hour
    slow = theirs.cpu_s > SLOW_S
    fine = (
        plan.gap == 0 and usd <= their_usd + 1e-6 and (not slow or both.cpu_s <= theirs.cpu_s / 10)
    )
    capped = "" if answer.proven else "(cap)"
    text = (
        f"{name:24} {their_usd:9.3f} {capped:5} {theirs.cpu_s:8.2f} s {answer.columns:6d}  "
        f"{usd:9.3f} {both.cpu_s:7.2f} s {alone.cpu_s:7.2f} s {plan.proof.columns:6d}  "
        f"{theirs.cpu_s / both.cpu_s:7.1f} x {theirs.seconds / both.seconds:7.1f} x"
        f"{'' if fine else '  MISSED'}"
    )
    return text, fine


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"cap Mélange at {QUICK_S:g} s")
    parser.add_argument("--cap", type=float, default=120.0, help="seconds for Mélange per input")
    given = parser.parse_args()
    cbc = find_cbc()
    if cbc is None:
        print("no CBC on this machine")
        return 1
    cap_s = QUICK_S if given.quick else given.cap
    print(f"CBC {cbc.version}, Mélange stopped at {cap_s:g} s")
    print(
        f"{'$/h':24} {'Mélange':>9} {'':5} {'':10} {'cols':>6}  {'ours':>9} {'':9} {'alone':>9} "
        f"{'cols':>6}  {'faster':>9} {'on clock':>9}"
    )
    all_fine = True
    for name, document in cases():
        theirs = timed(partial(solve_slices, document, cbc=cbc.path, time_limit_s=cap_s))
        text, fine = line(name, theirs, *ours(document))
        print(text, flush=True)
        all_fine = all_fine and fine
    return 0 if all_fine else 1


if __name__ == "__main__":
    sys.exit(main())
