"""What can be rented is listed while time lasts; where it may not, a first plan is in hand."""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

from milp_planner.candidates.listing import Lister
from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime, sparing, until
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.serving.rates.throughput import ServingModel
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
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    lister: Lister | None = None,
    outline: Outline | None = None,
) -> InTime:
    """All that can be rented, and a first plan: before it where that takes long or time is short.

    Where listing outlasts a limit that seemed long enough, the first plan is made after it: who had
    time for a plan is not told that there is none. lister: as in `listed`. outline: of the problem,
    where it is known.
    """
    in_hand, model = None, ServingModel(catalog)
    with until(settings.ends_s, settings.cancel):
        try:
            with sparing(FIRST_PLAN_CPU_S):
                outline = outline or outline_of(problem, catalog)
                if is_large(*outline) or settings.ends_s - time.monotonic() < SHORT_S:
                    in_hand = _of_few(outline, model)
        except OutOfTime:
            return InTime(None, None)
        try:
            instance = listed(outline, lister, model)
        except OutOfTime:
            return InTime(None, in_hand or _late(outline, model))
        if in_hand is None:
            with sparing(FIRST_PLAN_CPU_S):
                in_hand = FirstPlan.of(instance)
    return InTime(instance, in_hand)


def _of_few(outline: Outline, model: ServingModel) -> FirstPlan:
    return FirstPlan.of(listed(outline, partial(list_few, model=model), model), of_few=True)


def _late(outline: Outline, model: ServingModel) -> FirstPlan | None:
    try:
        with sparing(FIRST_PLAN_CPU_S):
            return _of_few(outline, model)
    except OutOfTime:
        return None
