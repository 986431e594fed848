"""The rents of a schedule once more, by solvers: a program of one workload, future and its months.

    min Σ_ik d_k r_ik + Σ_itk h_t e_k r_itk,    Σ_k μ_k r_ik + Σ_k μ_k r_itk ≥ λ_it − C_i,   r whole

The commitments are fixed, so that months have nothing to do with one another but the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pulp

from milp_planner.lazily import dataclass
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
    costs, rows = _program(outlook, future, carried)
    if not rows:
        return RentChecked(math.isclose(sum(rents), 0.0, abs_tol=SAME_USD), ())
    lp = pulp.LpProblem("rents", pulp.LpMinimize)
    made = [lp.add_variable(f"r{i}", 0, cat=pulp.LpInteger) for i in range(len(costs))]
    lp.setObjective(pulp.lpSum(usd * r for r, usd in zip(made, costs, strict=True)))
    for i, row in enumerate(rows):
        lp.addConstraint(pulp.lpSum(a * made[r] for r, a in row.items()) >= 1.0, f"c{i}")

    def judged(values: Mapping[str, float]) -> float | None:
        whole = [round(values.get(r.name, 0.0)) for r in made]
        if any(sum(a * whole[r] for r, a in row.items()) < 1 - 1e-9 for row in rows):
            return None
        return sum(usd * units for usd, units in zip(costs, whole, strict=True))

    with scratch_folder() as home:
        mps = home / "rents.mps"
        write_mps(lp, [f"c{i}" for i in range(len(rows))], mps)
        names = [variable.name for variable in lp.variables()]
        run = solve_certified(
            mps, names, judge=judged, time_limit_s=time_limit_s, solver=solver, patient=patient
        )
    proven = run.status is EngineStatus.OPTIMAL and run.objective is not None
    same = proven and math.isclose(run.objective or 0.0, sum(rents), rel_tol=SAME, abs_tol=SAME_USD)
    return RentChecked(same, run.certified_by if same else ())


def _program(
    outlook: MonthsOutlook, future: int, carried: Sequence[float]
) -> tuple[list[float], list[dict[int, float]]]:
    """USD of each column, and the rows Σ a r ≥ 1 of what commitments leave to rent, by column."""
    costs: list[float] = []
    rows: list[dict[int, float]] = []
    known = outlook.futures[future]

    def column(usd: float) -> int:
        costs.append(usd)
        return len(costs) - 1

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
            rows.append({r: min(1.0, carries / left) for carries, r in (*held, *by_hour)})
    return costs, rows
