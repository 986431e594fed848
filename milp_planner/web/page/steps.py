"""An answer as it grows: the plan first, then what else there is, each as soon as it is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field as Bound

from milp_planner.candidates.listing import lister_of
from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.policies import is_gpus_first
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.choices.choices import asking_for, check_own_choices, solved_choices
from milp_planner.questions.choices.records import Choice
from milp_planner.questions.sheet.beside import beside_choices
from milp_planner.questions.sheet.builder import (
    in_time,
    plan_for_sheet,
    sheet_of,
    sheet_over_futures,
)
from milp_planner.questions.sheet.levers import levers_of
from milp_planner.reporting.documents.csv import plan_csv
from milp_planner.reporting.documents.json import plan_json
from milp_planner.reporting.html.page import sheet_main, sheet_page
from milp_planner.reporting.sheets.text import sheet_json
from milp_planner.reporting.text.wording import escape, usd
from milp_planner.solving.prepare import outline_of, unlisted
from milp_planner.solving.re_solve import settings_of
from milp_planner.today import day_today
from milp_planner.web.asking.answers import Answers
from milp_planner.web.asking.questions import (
    Asked,
    Benchmark,
    FileName,
    Question,
    UploadId,
    read_asked,
)
from milp_planner.web.page.document import document_of, text_of, with_fields
from milp_planner.web.page.fields import FIELDS, at_a_field
from milp_planner.web.page.taking import Taking, taken

Step = dict[str, Any]
"""One thing that is known by now, with its name as `step`."""

FieldText = Annotated[str, Bound(max_length=20_000)]


class FormQuestion(Frozen):
    """What the page sends: the file it began with, and what its fields say instead."""

    fields: dict[str, FieldText] = Bound(default_factory=dict)
    yaml: str = ""
    uploads: dict[FileName, UploadId] = Bound(default_factory=dict, max_length=20)
    benchmarks: Annotated[tuple[Benchmark, ...], Bound(max_length=20)] = ()


@dataclass(frozen=True)
class Steps:
    """What answers the page."""

    answers: Answers

    def of(self, form: FormQuestion, cancel: threading.Event) -> Generator[Step]:
        """Every step of the answer; faults of the question are one, too."""
        began = time.monotonic()
        text = form.yaml
        try:
            known = {name: said for name, said in form.fields.items() if name in FIELDS}
            text = text_of(with_fields(document_of(form.yaml), known))
            yield {"step": "question", "yaml": text}
            question = Question(problem=text, uploads=form.uploads, benchmarks=form.benchmarks)
            asked = read_asked(question, self.answers.sources)
            limit_s = self.answers.limit_s(question, asked)
            for step in _solved(asked, limit_s, cancel, partial(taken, form.yaml, text)):
                yield {**step, "seconds": round(time.monotonic() - began, 2)}
        except InputError as error:
            faults = [_placed(fault, form) for fault in error.faults]
            yield {"step": "faults", "yaml": text, "faults": faults}


def _placed(fault: Fault, form: FormQuestion) -> dict[str, Any]:
    """A fault in the words of the command line, at its field where it is about one."""
    is_measured = fault.file in [benchmark.file for benchmark in form.benchmarks]
    of_file = "benchmark" if is_measured else "trace" if fault.file in form.uploads else ""
    field = of_file or at_a_field(fault) or ("" if fault.path or fault.line else "tokens_per_day")
    where = f"{fault.path}: " if fault.path and (of_file or not field) else ""
    line = fault.line if of_file or not field else 0
    message = f"{where}{fault.message}"
    return {"field": field, "line": line, "message": escape(message), "hint": escape(fault.hint)}


def _solved(asked: Asked, limit_s: float, cancel: threading.Event, take: Any) -> Iterator[Step]:
    problem, catalog = asked.problem, asked.catalog
    with asked.in_force():
        check_own_choices(problem, catalog)
        began, lister = time.monotonic(), lister_of(catalog)
        how: Any = {"time_limit_s": limit_s, "cancel": cancel, "began": began}
        settings = settings_of(problem, **how)
        yield {"step": "planning"}
        if problem.futures:  # of which no other choices are solved, and nothing is taken over
            plan = plan_for_sheet(problem, catalog, settings)
            given = problem, catalog, plan, day_today()
            yield _answer(plan, sheet_over_futures(*given, reproducible=False), {}, {}, {})
            return
        outline = outline_of(problem, catalog)
        plan = plan_for_sheet(problem, catalog, settings, lister, outline)
        with in_time(settings, fixed_work=False):
            sheet = sheet_of(unlisted(outline), plan, today=day_today())
        patches: Mapping[str, Patch] = {}
        if plan.status.has_plan and not is_gpus_first(problem):
            yield {"step": "plan", **_shown(sheet)}
            asking = asking_for(problem, catalog, plan, lister=lister, outline=outline, **how)
            solved: list[Choice] = []
            for choice in solved_choices(asking):
                solved.append(choice)
                yield {"step": "choice", "known": len(solved), "name": escape(choice.name)}
            yield {"step": "rest"}
            sheet = beside_choices(sheet, plan, solved, asking)
            patches = {lever.name: lever.patch for lever in levers_of(asking)}
        yield _whole(plan, Taking(problem, catalog, sheet, patches), take)


def _shown(sheet: Sheet) -> dict[str, Any]:
    """The sheet as the page shows it, and its figures for the sliders."""
    cash = sheet.answer.cash_usd_per_month
    return {
        "html": sheet_main(sheet),
        "usd": cash,
        "headline": "no plan" if cash is None else usd(cash, 0),
    }


def _whole(plan: Plan, taking: Taking, take: Any) -> Step:
    """All that is known, and all that can be kept of it."""
    takes = {row: take(patch) for row, patch in taking.rows()}
    levers = {row: take(patch) for row, patch in taking.levers()}
    return _answer(plan, taking.sheet, takes, levers, dict(taking.untaken()))


def _answer(
    plan: Plan,
    sheet: Sheet,
    takes: Mapping[Any, Any],
    levers: Mapping[Any, Any],
    untaken: Mapping[Any, Any],
) -> Step:
    found: Step = {"takes": takes, "levers": levers, "untaken": untaken}
    files: Mapping[str, str] = {
        "report": sheet_page(sheet),
        "csv": plan_csv(plan),
        "json": plan_json(plan),
        "sheet": sheet_json(sheet),
    }
    return {"step": "answer", **_shown(sheet), **found, "files": files, "name": sheet.name}
