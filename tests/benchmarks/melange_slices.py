"""Mélange's published formulation (arXiv:2404.14527), written afresh in PuLP.

Every bucket's rate is cut into `slice_factor` equal slices; a slice goes whole to one GPU type:

    min Σ_j c_j B_j    Σ_j A_ij = 1  ∀ slices i,    Σ_i l_ij A_ij ≤ B_j  ∀ GPU types j
    A_ij ∈ {0, 1},  B_j ∈ ℤ≥0,  l_ij = (requests/s of slice i) ÷ (throughput of j for its bucket)

A throughput of 1e-6 stands for "cannot serve", as in its own inputs; 0 has no load.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulp


@dataclass(frozen=True)
class SlicesAnswer:
    """What the sliced form gave."""

    usd_per_hour: float | None
    proven: bool
    seconds: float
    """Building, solving and reading, wall time."""

    columns: int


def solve_slices(
    document: Mapping[str, Any], *, cbc: str, time_limit_s: float, split: bool = False
) -> SlicesAnswer:
    """The cheapest fleet in Mélange's form; `split` lets a slice be shared out (A_ij in [0, 1])."""
    started_s = time.perf_counter()
    slices = list(_slices(document))
    gpus = document["gpu_info"]
    lp = pulp.LpProblem("melange", pulp.LpMinimize)
    kind = pulp.LpContinuous if split else pulp.LpInteger
    held = {gpu: lp.add_variable(f"B{j}", 0, None, pulp.LpInteger) for j, gpu in enumerate(gpus)}
    assigned = {
        (i, gpu): lp.add_variable(f"A{i}_{j}", 0, 1, kind)
        for i in range(len(slices))
        for j, gpu in enumerate(gpus)
    }
    lp.setObjective(pulp.lpSum(gpus[gpu]["cost"] * count for gpu, count in held.items()))
    for i in range(len(slices)):
        lp.addConstraint(pulp.lpSum(assigned[i, gpu] for gpu in gpus) == 1)
    for gpu, count in held.items():
        work = pulp.lpSum(
            rate / gpus[gpu]["tputs"][row][column] * assigned[i, gpu]
            for i, (row, column, rate) in enumerate(slices)
        )
        lp.addConstraint(work <= count)
    solver = pulp.COIN_CMD(path=cbc, msg=False, timeLimit=time_limit_s)
    lp.solve(solver)
    found = lp.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    return SlicesAnswer(
        usd_per_hour=float(pulp.value(lp.objective)) if found else None,
        proven=lp.sol_status == pulp.LpSolutionOptimal,
        seconds=time.perf_counter() - started_s,
        columns=len(held) + len(assigned),
    )


def _slices(document: Mapping[str, Any]) -> Iterator[tuple[int, int, float]]:
    """(row, column, requests/s) of every slice; buckets without traffic have theirs too."""
    factor = int(document["slice_factor"])
    for i, row in enumerate(document["workload_distribution"]):
        for j, share in enumerate(row):
            for _ in range(factor):
                yield i, j, share * document["total_request_rate"] / factor
