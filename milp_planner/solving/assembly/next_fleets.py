"""A search of next-best fleets that takes no solver, kept while the same candidates are in it."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.few_names import without_budget_and_counts
from milp_planner.milp.curves.fleets import curves_of
from milp_planner.milp.curves.next_best import NextBest
from milp_planner.milp.program.exclusion import Difference
from milp_planner.milp.program.limits.quotas import with_quotas
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.plans.records import Plan

QUICK_COLUMNS = 100
"""Columns up to which the engines rule out plans in tenths of a second; with more that takes most
of the time of a question."""

FEW_PLANS = 10
"""As many plans the engines rule out so quickly: each brings rows, which all programs after it have
as well."""

MOST_BROKEN = 30
"""Fleets that break a limit after which it is left to the engines, which know it as a row: where
quotas bind, five hundred took 15 s of a processor, and the next fleet was none that keeps them."""


def freed(instance: PlanningInput) -> PlanningInput:
    """The question without limits that no fleet keeps which contains one that does not: budget,
    quotas, and how many names there may be. Fleets are held against them one by one."""
    problem = without_budget_and_counts(instance.problem)
    return with_quotas(replace(instance, problem=problem), ())


@dataclass
class NextFleets:
    """What was learned of the fleets of one problem."""

    need_no_solver: bool = False
    """True while they are found without the engines."""

    broken: list[Plan] = field(default_factory=list)
    """Fleets that broke a limit which no row of the search knows; whatever contains one breaks it,
    too."""

    by_parts: object = None
    """Where the search that puts them together of parts is kept: see `tie_break.py`."""

    _model: FleetModel | None = None
    _search: NextBest | None = None

    def of(
        self,
        instance: PlanningInput,
        kept: tuple[Candidate, ...],
        difference: Difference,
        *,
        after: int,
    ) -> tuple[FleetModel, NextBest] | None:
        """The program of these candidates, and a search of its fleets; None where it takes a
        solver, or the engines are quick, after so many plans. Raises OutOfTime when time is up."""
        self.need_no_solver = False
        if self._model is None or self._model.fleet.candidates != kept:
            self._model, self._search = build_model(freed(instance), kept), None
            self.broken.clear()
        is_small = len(self._model.fleet.meaning) <= QUICK_COLUMNS and after <= FEW_PLANS
        if self._search is None or self._search.difference != difference:
            curves = None if is_small else curves_of(self._model)
            if curves is None:
                return None
            self._search = NextBest(curves, difference, len(instance.schedule.blocks))
        self.need_no_solver = True
        return self._model, self._search
