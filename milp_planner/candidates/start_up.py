"""How long units are paid for before they serve, and in which hours of the clock that shows.

A unit that serves from hour h on has been paid for R hours before it. So what is paid in an hour of
block a is not n_a but the most that serves now or in the next R hours: of the part of an hour until
R is full, the blocks of one hour more count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from milp_planner.candidates.filters import is_meant
from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    is_elastic,
    rests_when_idle,
)
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.policy import StartUp
from milp_planner.inputs.problem.records import Problem
from milp_planner.traffic.schedule import Schedule
from milp_planner.units import SECONDS_PER_HOUR

Ahead = tuple[int, frozenset[int]]
"""(block of an hour, other blocks that units serve in soon after)."""


def is_started_so(one: StartUp, row: Offering | TokenPrice) -> bool:
    """Whether an entry is about a row of the catalog."""
    if not isinstance(row, Offering) or one.billing not in (None, row.billing):
        return False
    return is_meant("offerings", one.offering, row)


def ready_hours(problem: Problem, k: Candidate) -> float:
    """Hours that a unit is paid for before it serves; 0 for one that is never off."""
    if k.mode.per_token or not (is_elastic(problem, k) or rests_when_idle(problem, k)):
        return 0.0
    mine = [one for one in problem.policy.start_up if is_started_so(one, k.offering)]
    return mine[-1].ready_after_s / SECONDS_PER_HOUR if mine else 0.0


def hours_ahead(instance: PlanningInput, ready: float) -> Mapping[Ahead, float]:
    """Hours per month in which units of the blocks ahead are paid for, if the block has fewer."""
    clock = instance.schedule.block_by_hour
    found: dict[Ahead, float] = {}
    if not (clock and ready):
        return found
    whole, part = int(ready), ready - int(ready)
    each = instance.problem.policy.hours_per_month / len(clock)
    for hour, block in enumerate(clock):
        for reach, share in ((whole, 1 - part), (whole + 1, part)):
            hours = (hour + 1 + i for i in range(min(reach, len(clock))))
            ahead = frozenset(clock[h % len(clock)] for h in hours) - {block}
            if ahead and share:
                found[block, ahead] = found.get((block, ahead), 0.0) + share * each
    return found


def is_clockwork(schedule: Schedule, hours_per_month: float) -> bool:
    """Whether every hour of a day or week is of one block: then it is known what follows what."""
    clock = schedule.block_by_hour
    if len(schedule.blocks) == 1:
        return True
    return bool(clock) and all(
        math.isclose(block.hours, clock.count(t) * hours_per_month / len(clock), rel_tol=1e-6)
        for t, block in enumerate(schedule.blocks)
    )
