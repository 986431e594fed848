"""The rents of a schedule once more, by solvers: a program of one workload, future and its months.

    min Σ_ik d_k r_ik + Σ_itk h_t e_k r_itk,    Σ_k μ_k r_ik + Σ_k μ_k r_itk ≥ λ_it − C_i,   r whole

The commitments are fixed, so that months have nothing to do with one another but the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulp

from milp_planner.milp.curves.curve import SLACK
from milp_planner.milp.engines.certify import BOTH, solve_certified
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.months.records import MonthsOutlook
from milp_planner.milp.program.mps_file import write_mps

SAME_USD = 0.01
SAME = 1e-7
"""Relative difference of two sums that are the same amount."""


@dataclass(frozen=True)
class RentChecked:
    """What solvers say of the rents of one future."""

    is_same: bool
    """Whether they found the rent that was enumerated, and proved it."""

    engines: tuple[str, ...]


def check_rents(
    outlook: MonthsOutlook,
    future: int,
    carried: Sequence[float],
    rents: Sequence[float],
    *,
    time_limit_s: float,
    solver: str = BOTH,
    patient: bool = False,
) -> RentChecked:
    """Solve the rents of a future within its horizon; carried, rents: by month.

    patient: the slower engine has all the time there is, too.
    """
    lp = pulp.LpProblem("rents", pulp.LpMinimize)
    costs: dict[pulp.LpVariable, float] = {}
    rows: list[tuple[str, dict[pulp.LpVariable, float], float]] = []
    known = outlook.futures[future]

    def column(usd: float) -> pulp.LpVariable:
        made = lp.add_variable(f"r{len(costs)}", 0, cat=pulp.LpInteger)
        costs[made] = usd
        return made

    for i in range(outlook.months):
        trend = outlook.price_trend**i
        priced = [
            (rental, rental.usd_per_hour * times * trend)
            for rental, times in zip(outlook.rentals, known.prices, strict=True)
            if times is not None
        ]
        held = [(r.carries, column(usd * r.hours)) for r, usd in priced if r.hours is not None]
        for hours, load in zip(outlook.hours, known.loads[i], strict=True):
            left = load * (1 - float(SLACK)) - carried[i]
            if left <= 1e-9 * max(1.0, load):
                continue
            by_hour = [(r.carries, column(usd * hours)) for r, usd in priced if r.hours is None]
            # A unit that carries more than what is left carries what is left: a tighter row.
            terms = {c: min(1.0, carries / left) for carries, c in (*held, *by_hour)}
            rows.append((f"c{len(rows)}", terms, left))
    if not rows:
        return RentChecked(math.isclose(sum(rents), 0.0, abs_tol=SAME_USD), ())
    lp.setObjective(pulp.lpSum(usd * c for c, usd in costs.items()))
    for name, terms, _ in rows:
        lp.addConstraint(pulp.lpSum(a * c for c, a in terms.items()) >= 1.0, name)

    def judged(values: Mapping[str, float]) -> float | None:
        whole = {c: round(values.get(c.name, 0.0)) for c in costs}
        for _, terms, _ in rows:
            if sum(a * whole[c] for c, a in terms.items()) < 1 - 1e-9:
                return None
        return sum(usd * whole[c] for c, usd in costs.items())

    with scratch_folder() as home:
        mps = home / "rents.mps"
        write_mps(lp, [name for name, _, _ in rows], mps)
        names = [variable.name for variable in lp.variables()]
        run = solve_certified(
            mps, names, judge=judged, time_limit_s=time_limit_s, solver=solver, patient=patient
        )
    proven = run.status is EngineStatus.OPTIMAL and run.objective is not None
    same = proven and math.isclose(run.objective or 0.0, sum(rents), rel_tol=SAME, abs_tol=SAME_USD)
    return RentChecked(same, run.certified_by if same else ())
