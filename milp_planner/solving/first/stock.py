"""What quotas leave, as a fleet grows."""

from __future__ import annotations

import math
from copy import copy

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.limits.quotas import user_quotas
from milp_planner.solving.first.loads import Part


class Stock:
    """Units that can still be had; counts every part at its most units, which is cautious."""

    def __init__(self, problem: Problem) -> None:
        self._limits = [(weight, limit) for _, weight, limit in user_quotas(problem)]
        self._used = [0.0] * len(self._limits)
        self._of_offering: dict[tuple[str, str], int] = {}

    def copy(self) -> Stock:
        """Another one that has as much left."""
        other = copy(self)
        other._used, other._of_offering = [*self._used], {**self._of_offering}
        return other

    def room(self, k: Candidate) -> float:
        """The most units of `k` that may be added; inf where nothing limits them."""
        if k.mode.per_token:
            return math.inf
        rooms = [
            math.floor((limit - used) / weight(k))
            for (weight, limit), used in zip(self._limits, self._used, strict=True)
            if weight(k)
        ]
        most = getattr(k.offering, "max_units", None)
        if most is not None:
            left = most - self._of_offering.get(k.offering.key, 0)
            rooms.append(left // k.units_joined)
        return max(0, min(rooms)) if rooms else math.inf

    def holds(self, part: Part) -> bool:
        """True where the units of a part can be had."""
        return max(part.units) <= self.room(part.candidate)

    def take(self, part: Part) -> None:
        """Count the units of a part as gone."""
        k, units = part.candidate, max(part.units)
        if not units:
            return
        for i, (weight, _) in enumerate(self._limits):
            self._used[i] += weight(k) * units
        key = k.offering.key
        self._of_offering[key] = self._of_offering.get(key, 0) + units * k.units_joined
