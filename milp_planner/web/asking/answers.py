"""Questions answered: the same documents, byte for byte, as those of the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from milp_planner.errors import input_error, readable_path
from milp_planner.inputs.reading.records import CATALOG_KEY, Frozen
from milp_planner.inputs.reading.strict_yaml import Document
from milp_planner.inputs.reading.validation import validate
from milp_planner.lazily import dataclass
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan
from milp_planner.questions.deployments.comparison import compare_deployments
from milp_planner.questions.months import plan_months
from milp_planner.questions.reasons.explain import explain as why_not
from milp_planner.questions.reasons.explain import why_not_dict
from milp_planner.questions.reasons.limit_costs import explain_limits
from milp_planner.questions.sheet.builder import decision_sheet
from milp_planner.questions.solve import solve
from milp_planner.questions.sweeps.frontier import budget_frontier
from milp_planner.questions.sweeps.scenarios import Scenario, scenario_grid, scenario_of
from milp_planner.questions.sweeps.what_if import How, finished, rows_of
from milp_planner.reporting.calendars import calendar_written
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.documents.options import ReportOptions
from milp_planner.reporting.formats import FORMATS
from milp_planner.reporting.html.page import sheet_page
from milp_planner.reporting.sheets.text import sheet_json
from milp_planner.reporting.text.questions.estimate import estimates_dict
from milp_planner.reporting.text.questions.what_if import frontier_dict
from milp_planner.serving.derate import DEFAULT_CONFIDENCE
from milp_planner.solving.prepare import checked_problem
from milp_planner.web.asking.questions import (
    Asked,
    EstimateQuestion,
    ExplainQuestion,
    PlanQuestion,
    Question,
    WhatIfQuestion,
    read_asked,
)
from milp_planner.web.asking.sources import Sources

T = TypeVar("T", bound=Frozen)

JSON, CSV, HTML, TEXT = "application/json", "text/csv", "text/html", "text/plain"
MOST_TIME_S = 120.0
MOST_ROWS = 100
"""Of a what-if."""


@dataclass(frozen=True)
class Answer:
    """A document, and what it is."""

    text: str
    media_type: str = JSON


@dataclass(frozen=True)
class Answers:
    """What answers questions, each within a time limit that no question can raise."""

    sources: Sources
    most_time_s: float = MOST_TIME_S

    def plan(self, question: PlanQuestion, cancel: threading.Event) -> Answer:
        """The document of `solve`, in the format asked for."""
        asked = read_asked(question, self.sources)
        if asked.problem.horizon is not None:
            return self._calendar(question, asked, cancel)
        with asked.in_force():
            if question.document in SHEETS:
                return self._sheet(question, asked, cancel)
            plan = self._plan(question, asked, cancel)
        format_name, media_type = PLANS[question.document]
        options = ReportOptions(question.reproducible)
        return Answer(FORMATS[format_name](plan, options), media_type)

    def what_if(self, question: WhatIfQuestion, cancel: threading.Event) -> Answer:
        """The document of `what-if --json`."""
        asked = read_asked(question, self.sources)
        problem, known = asked.problem, asked.catalog
        with asked.in_force():
            if question.every_budget is not None:
                found = budget_frontier(
                    problem,
                    *question.every_budget,
                    known,
                    time_limit_s=self.limit_s(question, asked),
                    solver=question.solver,
                )
                return Answer(to_json(clean(frontier_dict(found))))
            checked_problem(problem, known)
            scenarios = _scenarios(question)
            limit_s = min(self.limit_s(question, asked), self.most_time_s / len(scenarios))
            how = How(limit_s, question.gap, question.solver, cancel)
            rows = tuple(rows_of(problem, scenarios, known, None, how))
            return Answer(to_json(finished(problem, scenarios, rows, known, how).to_dict()))

    def explain(self, question: ExplainQuestion, cancel: threading.Event) -> Answer:
        """The document of `explain --json`."""
        asked = read_asked(question, self.sources)
        limit_s = self.limit_s(question, asked)
        with asked.in_force():
            if question.limits:
                costs = explain_limits(
                    asked.problem, asked.catalog, time_limit_s=limit_s, solver=question.solver
                )
                return Answer(to_json(costs.to_dict()))
            why = why_not(
                asked.problem,
                asked.catalog,
                offering=question.offering,
                gpu=question.gpu,
                provider=question.provider,
                share=question.share,
                time_limit_s=limit_s,
                solver=question.solver,
            )
            return Answer(to_json(why_not_dict(why)))

    def estimate(self, question: EstimateQuestion, cancel: threading.Event) -> Answer:
        """The document of `estimate --scenarios FILE --json`."""
        known = self.sources.catalog(question.catalog)
        asked = {"schema_version": 1, "deployments": [*question.deployments]}
        confidence = question.confidence
        table = compare_deployments(
            "deployments.yaml",
            text=json.dumps(asked),
            confidence=DEFAULT_CONFIDENCE if confidence is None else confidence,
            catalog=known,
        )
        found, names = [row.estimate for row in table.rows], [row.name for row in table.rows]
        return Answer(to_json(estimates_dict(found, names)))

    def limit_s(self, question: Question, asked: Asked) -> float:
        """Seconds for everything together."""
        limit_s = question.time_limit_s
        wanted = asked.problem.solver.time_limit_s if limit_s is None else limit_s
        return min(wanted, self.most_time_s)

    def _plan(self, question: PlanQuestion, asked: Asked, cancel: threading.Event) -> Plan:
        return solve(
            asked.problem,
            asked.catalog,
            time_limit_s=self.limit_s(question, asked),
            gap=question.gap,
            alternatives=question.alternatives,
            solver=question.solver,
            reproducible=question.reproducible,
            cancel=cancel,
        )

    def _calendar(self, question: PlanQuestion, asked: Asked, cancel: threading.Event) -> Answer:
        """Of a problem over months, as `solve` writes it."""
        if question.document not in CALENDARS:
            said = f"a calendar is written as {', '.join(CALENDARS)}, not {question.document}"
            raise input_error(said, path="document")
        with asked.in_force():
            calendar = plan_months(
                asked.problem,
                asked.catalog,
                time_limit_s=self.limit_s(question, asked),
                gap=question.gap,
                solver=question.solver,
                reproducible=question.reproducible,
                cancel=cancel,
            )
        if calendar is None:
            said = "time was up before there was a calendar; give more"
            raise input_error(said, path="time_limit")
        format_name, media_type = CALENDARS[question.document]
        return Answer(calendar_written(calendar, format_name), media_type)

    def _sheet(self, question: PlanQuestion, asked: Asked, cancel: threading.Event) -> Answer:
        sheet = decision_sheet(
            asked.problem,
            asked.catalog,
            with_choices=question.choices,
            as_of=question.as_of,
            time_limit_s=self.limit_s(question, asked),
            gap=question.gap,
            solver=question.solver,
            reproducible=question.reproducible,
            cancel=cancel,
        )
        write, media_type = SHEETS[question.document]
        return Answer(write(sheet), media_type)


PLANS = {"plan": ("json", JSON), "csv": ("csv", CSV), "text": ("text", TEXT)}
"""Format of the command line and media type of every document of a plan."""

CALENDARS = {
    "plan": ("json", JSON),
    "sheet": ("sheet-json", JSON),
    "report": ("html", HTML),
    "text": ("text", TEXT),
}
"""The same of a calendar."""

SHEETS: Mapping[str, tuple[Callable[..., str], str]] = {
    "sheet": (sheet_json, JSON),
    "report": (sheet_page, HTML),
}

QUESTIONS: Mapping[str, type[Frozen]] = {
    "plan": PlanQuestion,
    "what-if": WhatIfQuestion,
    "explain": ExplainQuestion,
    "estimate": EstimateQuestion,
}
"""What may be asked, by the last part of its address."""


def read_question(kind: type[T], data: Any) -> T:
    """The record of a request's body; raises InputError in the words that a file's reader gets."""
    if kind is EstimateQuestion and isinstance(data, dict):
        data = {"schema_version": 1, **data}
    return validate(kind, Document("", data, {}, {}))


def _scenarios(question: WhatIfQuestion) -> tuple[Scenario, ...]:
    changed = [name for name, patch in question.scenarios.items() if CATALOG_KEY in patch]
    if changed:
        path = readable_path(("scenarios", changed[0], CATALOG_KEY))
        raise input_error("a scenario cannot change it", path=path)
    scenarios = scenario_grid(
        budgets=question.budget,
        traffic=question.traffic,
        without=question.without,
        prices=question.price,
        limits=question.limit,
        targets=question.target,
        named=[scenario_of(name, patch) for name, patch in question.scenarios.items()],
    )
    if not 0 < len(scenarios) <= MOST_ROWS:
        many = f"{len(scenarios)} rows" if scenarios else "nothing to change"
        raise input_error(f"{many}: give budget, traffic, without, ... for 1 to {MOST_ROWS} rows")
    return scenarios
