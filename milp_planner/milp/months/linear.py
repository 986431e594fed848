"""Small linear programs beside the search over months, which HiGHS solves in the time there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulp

from milp_planner.deadline import cancel_asked, seconds_left
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.program.mps_file import write_mps

TIME_LIMIT_S, LEAST_SOLVER_S = 30.0, 0.01


def solved(lp: pulp.LpProblem, rows: Sequence[str]) -> Mapping[str, float] | None:
    """The values by the names of columns; None where HiGHS has none.

    rows: names, in the order in which they were added.
    """
    with scratch_folder() as home:
        mps = home / f"{lp.name}.mps"
        write_mps(lp, rows, mps)
        left_s = max(LEAST_SOLVER_S, min(TIME_LIMIT_S, seconds_left()))
        run = run_highs(mps, time_limit_s=left_s, cancel=cancel_asked())
    return run.values if run.has_values else None
