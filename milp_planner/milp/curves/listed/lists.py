"""What lists say of one program after another of a search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from milp_planner.deadline import OutOfTime, check, seconds_left, until
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.search import Listed, cheapest_listed
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

    def cheapest(
        self, model: FleetModel, is_plan: Callable[[Mapping[str, float]], bool]
    ) -> Listed | None:
        """The cheapest fleet of a program; None where that takes a solver. Raises OutOfTime.

        is_plan: asked of its columns; False where there is more to it than the program knows.
        """
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
