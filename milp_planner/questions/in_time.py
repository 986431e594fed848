"""What can be rented is listed while time lasts; where it may not, a first plan is in hand."""

from __future__ import annotations

import time
from typing import NamedTuple

from milp_planner.candidates.listing import Lister
from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime, sparing, until
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.solving.first.few import is_large, list_few
from milp_planner.solving.first_plan import FIRST_PLAN_CPU_S, FirstPlan
from milp_planner.solving.prepare import Outline, listed, outline_of
from milp_planner.solving.results import Settings

SHORT_S = 1.0
"""With less time left than this, a first plan is made before everything is listed."""


class InTime(NamedTuple):
    """What a plan is chosen from, and a plan without the solvers."""

    instance: PlanningInput | None
    """None where time was up before everything was listed."""

    in_hand: FirstPlan | None
    """None where there was no time even for that."""


def listed_in_time(
    problem: Problem, catalog: Catalog, settings: Settings, lister: Lister | None = None
) -> InTime:
    """All that can be rented, and a first plan: before it where that takes long or time is short.

    Where listing outlasts a limit that seemed long enough, the first plan is made after it: who had
    time for a plan is not told that there is none. lister: as in `listed`.
    """
    in_hand = None
    with until(settings.ends_s, settings.cancel):
        try:
            with sparing(FIRST_PLAN_CPU_S):
                outline = outline_of(problem, catalog)
                if is_large(*outline) or settings.ends_s - time.monotonic() < SHORT_S:
                    in_hand = _of_few(outline)
        except OutOfTime:
            return InTime(None, None)
        try:
            instance = listed(outline, lister)
        except OutOfTime:
            return InTime(None, in_hand or _late(outline))
        if in_hand is None:
            with sparing(FIRST_PLAN_CPU_S):
                in_hand = FirstPlan.of(instance)
    return InTime(instance, in_hand)


def _of_few(outline: Outline) -> FirstPlan:
    return FirstPlan.of(listed(outline, list_few), of_few=True)


def _late(outline: Outline) -> FirstPlan | None:
    try:
        with sparing(FIRST_PLAN_CPU_S):
            return _of_few(outline)
    except OutOfTime:
        return None
