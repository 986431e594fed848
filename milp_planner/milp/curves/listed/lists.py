"""What lists say of one program after another of a search."""

from __future__ import annotations

import math
import time
from contextlib import suppress

from milp_planner.deadline import OutOfTime, check, seconds_left, until
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.losses import Grouped, grouped_of
from milp_planner.milp.curves.listed.reading import covering_of
from milp_planner.milp.curves.listed.search import IsPlan, Listed, any_is, cheapest_cover
from milp_planner.milp.curves.listed.survivors import cheapest_survivor
from milp_planner.milp.program.model import FleetModel

OF_TIME = 0.5
"""The part of the time left that they may take."""


@dataclass
class Lists:
    """The state of a search: its later programs say more than its earlier ones, of the same."""

    are_open: bool = True
    """False once a program of the kind took too many lists, or time, or its plan was none."""

    least_usd: float = 0.0
    """No plan scores less, USD/month."""

    def cheapest(self, model: FleetModel, is_plan: IsPlan) -> Listed | None:
        """The cheapest fleet of a program; None where that takes a solver. Raises OutOfTime."""
        if not self.are_open:
            return None
        self.are_open = False  # unless it comes to an end
        with suppress(OutOfTime), until(time.monotonic() + OF_TIME * seconds_left()):
            listed = cheapest_listed(model, is_plan)
            if listed is not None:
                self.least_usd = max(self.least_usd, listed.least_usd)
                self.are_open = bool(listed.values)
        check()
        return listed if self.are_open else None


def cheapest_listed(
    model: FleetModel, is_plan: IsPlan = any_is, below_usd: float = math.inf
) -> Listed | None:
    """The cheapest fleet of a program that costs less than so much, or a lower bound where there
    is none, or that takes too many lists or time; None where the program is not one of such rows.
    Raises OutOfTime when time is up before either."""
    began_s, covering = time.monotonic(), covering_of(model)
    if covering is None:
        return None
    grouped = None if covering.gpus.usd_each else grouped_of(model, covering)
    if grouped is None:
        found = cheapest_cover(covering, is_plan, below_usd)
    else:
        found = _after_losses(grouped, is_plan)
    return None if found is None else found._replace(began_s=began_s)


def _after_losses(grouped: Grouped, is_plan: IsPlan) -> Listed | None:
    """That of one that must survive losses; where tables of these do not find it, as of any other
    rows."""
    survivor = cheapest_survivor(grouped)
    if survivor is None:
        return None
    values, least = survivor
    if values:
        return Listed(values, least, is_plan=is_plan(values))
    with suppress(OutOfTime):
        found = cheapest_cover(grouped.covering, is_plan)
        return found and found._replace(least_usd=max(least, found.least_usd))
    return Listed({}, least)
