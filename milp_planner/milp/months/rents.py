"""The rents of a schedule once more, by solvers: a program for each month of one future.

    min Σ_k d_k r_k + Σ_tk h_t e_k r_tk,    Σ_k μ_k r_k + Σ_k μ_k r_tk ≥ λ_t − C,   r whole

The commitments are fixed, so that months have nothing to do with one another; in one program the
search trees of all of them would multiply.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import isclose

import pulp

from milp_planner.lazily import dataclass
from milp_planner.milp.curves.curve import SLACK
from milp_planner.milp.engines.certify import BOTH, solve_certified
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.verdict import CertifiedRun
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

    The first month that is not the same ends it. patient: the slower engine has all the time there
    is, too.
    """
    ends_s = time.monotonic() + time_limit_s
    engines: list[set[str]] = []
    for i in range(outlook.months):
        costs, rows = _program(outlook, future, i, carried[i])
        if not rows:
            if abs(rents[i]) > SAME_USD:
                return RentChecked(False, ())
            continue
        left_s = ends_s - time.monotonic()
        if left_s <= 0:
            return RentChecked(False, ())
        run = _solved(costs, rows, left_s, solver, patient=patient)
        proven = run.status is EngineStatus.OPTIMAL and run.objective is not None
        if not proven or not isclose(run.objective or 0, rents[i], rel_tol=SAME, abs_tol=SAME_USD):
            return RentChecked(False, ())
        engines.append({*run.certified_by})
    return RentChecked(True, tuple(sorted(set.intersection(*engines))) if engines else ())


Rows = list[dict[int, float]]
"""Σ a r ≥ 1, each by the number of its columns."""


def _solved(
    costs: Sequence[float], rows: Rows, time_limit_s: float, solver: str, *, patient: bool
) -> CertifiedRun:
    """The least that whole numbers of the columns cost which keep the rows."""
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
        return solve_certified(
            mps, names, judge=judged, time_limit_s=time_limit_s, solver=solver, patient=patient
        )


def _program(
    outlook: MonthsOutlook, future: int, month: int, carried: float
) -> tuple[list[float], Rows]:
    """USD of each column, and the rows of what commitments leave to rent in a month."""
    known, costs = outlook.futures[future], list[float]()
    rows: Rows = []

    def column(usd: float) -> int:
        costs.append(usd)
        return len(costs) - 1

    trend = outlook.price_trend**month
    priced = [
        (rental, rental.usd_per_hour * times * trend)
        for rental, times in zip(outlook.rentals, known.prices, strict=True)
        if times is not None
    ]
    held = [(r.carries, column(usd * r.hours)) for r, usd in priced if r.hours is not None]
    for hours, load in zip(outlook.hours, known.loads[month], strict=True):
        left = load * (1 - float(SLACK)) - carried
        if left <= 1e-9 * max(1.0, load):
            continue
        by_hour = [(r.carries, column(usd * hours)) for r, usd in priced if r.hours is None]
        # A unit that carries more than what is left carries what is left: a tighter row.
        rows.append({r: min(1.0, carries / left) for carries, r in (*held, *by_hour)})
    return costs, rows
