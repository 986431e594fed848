"""`solve` as the plan alone: text, JSON or CSV, with or without its range."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.cli.parts import streams
from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.questions.confidence import ConfidenceRange
    from milp_planner.reporting.documents.options import ReportOptions
    from milp_planner.solving.checks.arguments import SolverChoice

TEXT = "text"


def unchanged(plan: Plan) -> Plan:
    """The plan as it is."""
    return plan


@dataclass(frozen=True)
class PlanRun:
    """What is asked of a plan, and where it goes."""

    problem: Problem
    catalog: Catalog
    format_name: str
    output: Path | None
    with_range: bool
    reproducible: bool
    quiet: bool
    time_limit_s: float | None
    gap: float | None
    solver: SolverChoice | None
    told: Callable[[Plan], Plan] = unchanged
    """The plan with what else is known of it."""

    def write(self, failures: Callable[[Plan], tuple[str, ...]]) -> tuple[Plan, tuple[str, ...]]:
        """Solve and write the plan; it, and what `failures` says of it, which is written with it.

        After a Ctrl-C, which is raised again, what is proven is written all the same.
        """
        from milp_planner.plans.sentences import warning_lines
        from milp_planner.reporting.documents.options import ReportOptions
        from milp_planner.solving.results import Interrupted

        try:
            with streams.progress(f"planning {self.problem.name}", quiet=self.quiet):
                plan = self._plan()
                found = self._range(plan) if self.with_range else None
        except Interrupted as stop:
            self._put(stop.plan, ReportOptions(self.reproducible))
            raise stop.cause from None
        plan = self.told(plan)
        streams.warn(warning_lines(plan), quiet=self.quiet)
        failed = failures(plan)
        self._put(plan, ReportOptions(self.reproducible, failed, found))
        return plan, failed

    def _plan(self) -> Plan:
        from milp_planner.questions.solve import solve

        return solve(
            self.problem,
            self.catalog,
            time_limit_s=self.time_limit_s,
            gap=self.gap,
            solver=self.solver,
            reproducible=self.reproducible,
        )

    def _range(self, plan: Plan) -> ConfidenceRange:
        """The plan over the error of its estimates; a Ctrl-C raises Interrupted, with the plan."""
        from milp_planner.questions.confidence import confidence_range
        from milp_planner.solving.results import Interrupted

        try:
            return confidence_range(
                self.problem,
                self.catalog,
                plan=plan,
                time_limit_s=self.time_limit_s,
                gap=self.gap,
                solver=self.solver,
            )
        except KeyboardInterrupt as stop:  # one that carries another plan is not of this problem
            raise Interrupted(plan, getattr(stop, "cause", stop)) from stop

    def _put(self, plan: Plan, options: ReportOptions) -> None:
        from milp_planner.reporting.formats import FORMATS

        text = FORMATS[self.format_name](plan, options)
        if self.output is not None:
            streams.write_file(self.output, text)
        elif self.format_name == TEXT:
            streams.answer_report(text)
        else:
            streams.answer(text)
