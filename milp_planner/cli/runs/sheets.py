"""`solve` as a sheet and `--format sheet-json`: the answer at once, then choices, then the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.cli.parts import bars, streams
from milp_planner.cli.runs.plans import unchanged
from milp_planner.lazily import dataclass, replace

if TYPE_CHECKING:
    from milp_planner.candidates.listing import Lister
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.plans.sheet.records import Sheet
    from milp_planner.questions.choices.records import Choice
    from milp_planner.questions.choices.usual import Asking
    from milp_planner.solving.checks.arguments import SolverChoice
    from milp_planner.solving.prepare import Outline
    from milp_planner.solving.results import Settings

SHEET, SHEET_JSON, MARKDOWN, HTML = "sheet", "sheet-json", "markdown", "html"
SHEET_FORMATS = (SHEET, SHEET_JSON, MARKDOWN, HTML)


@dataclass(frozen=True)
class SheetRun:
    """What is asked of a sheet, and where it goes."""

    problem: Problem
    catalog: Catalog
    format_name: str
    output: Path | None
    with_choices: bool
    reproducible: bool
    quiet: bool
    today: date
    time_limit_s: float | None
    gap: float | None
    solver: SolverChoice | None
    against: Plan | Sheet | None = None
    """An earlier plan, beside which Markdown sets this one."""

    told: Callable[[Plan], Plan] = unchanged
    """The plan with what else is known of it."""

    def write(self) -> Plan:
        """Solve and write the sheet; the plan that it is of.

        On a stream the answer comes before any choice is solved; after a Ctrl-C, which is raised
        again, what is known is written all the same.
        """
        from milp_planner.candidates.listing import lister_of

        if self.problem.futures:
            return self._over_futures()
        lister = lister_of(self.catalog)
        outline = self._outline()
        plan, stopped = self._plan(lister, outline)
        plan = plan if stopped else self.told(plan)
        sheet = self._sheet(plan, outline)
        at_once = self.format_name == SHEET and self.output is None and plan.status.has_plan
        if at_once:
            from milp_planner.reporting.sheets.text import head_text

            streams.answer_report(head_text(sheet) + "\n")
        by_cost = self.problem.objective == "cost"  # choices are compared by what they cost
        if self.with_choices and by_cost and plan.status.has_plan and stopped is None:
            sheet, stopped = self._with_choices(sheet, plan, lister, outline)
        self._put(self._text(plan, sheet, rest=at_once))
        if stopped is not None:
            raise stopped
        return plan

    def _over_futures(self) -> Plan:
        """The same over several futures, where no other choices are solved."""
        from milp_planner.questions.sheet.builder import plan_for_sheet, sheet_over_futures
        from milp_planner.solving.results import Interrupted

        stopped: KeyboardInterrupt | None = None
        try:
            with streams.progress(f"planning {self.problem.name}", quiet=self.quiet):
                plan = plan_for_sheet(self.problem, self.catalog, self._settings())
        except Interrupted as stop:
            plan, stopped = stop.plan, stop.cause
        asked = self.problem, self.catalog, plan, self.today
        sheet = sheet_over_futures(*asked, reproducible=self.reproducible)
        self._put(self._text(plan, sheet, rest=False))
        if stopped is not None:
            raise stopped
        return plan

    def _outline(self) -> Outline:
        from milp_planner.solving.prepare import outline_of

        if self.problem.choices.own:
            from milp_planner.questions.choices.choices import check_own_choices

            check_own_choices(self.problem, self.catalog)
        with bars.reading(quiet=self.quiet):
            return outline_of(self.problem, self.catalog)

    def _plan(self, lister: Lister, outline: Outline) -> tuple[Plan, KeyboardInterrupt | None]:
        from milp_planner.questions.sheet.builder import plan_for_sheet
        from milp_planner.solving.results import Interrupted

        how = self._settings()
        try:
            with streams.progress(f"planning {self.problem.name}", quiet=self.quiet):
                given = self.problem, self.catalog, how, lister, outline
                return plan_for_sheet(*given, fixed_work=self.reproducible), None
        except Interrupted as stop:
            return stop.plan, stop.cause

    def _asking(self, plan: Plan, lister: Lister, outline: Outline) -> Asking:
        from milp_planner.questions.choices.choices import asking_for

        return asking_for(
            self.problem,
            self.catalog,
            plan,
            time_limit_s=self.time_limit_s,
            gap=self.gap,
            solver=self.solver,
            fixed_work=self.reproducible,
            lister=lister,
            outline=outline,
        )

    def _with_choices(
        self, sheet: Sheet, plan: Plan, lister: Lister, outline: Outline
    ) -> tuple[Sheet, KeyboardInterrupt | None]:
        """The sheet with its choices, and the Ctrl-C that ended them."""
        try:
            from milp_planner.questions.choices.choices import solved_choices
            from milp_planner.questions.sheet.beside import beside_choices
        except KeyboardInterrupt as stop:
            return sheet, stop
        solved: list[Choice] = []
        try:
            with streams.progress("solving choices", quiet=self.quiet):
                asking = self._asking(plan, lister, outline)
                solved.extend(solved_choices(asking))
            with streams.progress("solving levers", quiet=self.quiet):
                return beside_choices(sheet, plan, solved, asking), None
        except KeyboardInterrupt as stop:
            return beside_choices(sheet, plan, solved, None), stop

    def _sheet(self, plan: Plan, outline: Outline) -> Sheet:
        from milp_planner.questions.sheet.builder import in_time, sheet_of
        from milp_planner.solving.prepare import unlisted

        with in_time(self._settings(), fixed_work=self.reproducible):
            return sheet_of(
                unlisted(outline), plan, today=self.today, reproducible=self.reproducible
            )

    def _settings(self) -> Settings:
        from milp_planner.solving.re_solve import settings_of

        settings = settings_of(
            self.problem, time_limit_s=self.time_limit_s, gap=self.gap, solver=self.solver
        )
        return replace(settings, patient=self.reproducible)

    def _text(self, plan: Plan, sheet: Sheet, *, rest: bool) -> str:
        from milp_planner.reporting.sheets.no_plan import no_plan_text
        from milp_planner.reporting.sheets.text import rest_text, sheet_json, sheet_text

        if self.format_name == SHEET_JSON:
            return sheet_json(sheet)
        if self.format_name == HTML:
            from milp_planner.reporting.html.page import sheet_page

            return sheet_page(sheet)
        if self.format_name == MARKDOWN:
            return self._markdown(sheet, plan)
        if not plan.status.has_plan:
            return no_plan_text(sheet)
        return rest_text(sheet) if rest else sheet_text(sheet)

    def _markdown(self, sheet: Sheet, plan: Plan) -> str:
        from milp_planner.plans.sheet.compared import plan_diff
        from milp_planner.reporting.sheets.markdown import no_plan_markdown, sheet_markdown

        against = None if self.against is None else plan_diff(self.against, sheet)
        written = sheet_markdown if plan.status.has_plan else no_plan_markdown
        return written(sheet, against)

    def _put(self, text: str) -> None:
        if self.output is not None:
            streams.write_file(self.output, text)
        else:
            streams.answer(text)
