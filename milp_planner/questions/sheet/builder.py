"""decision_sheet(): a problem solved, with all that is solved beside it, as one record."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date

from milp_planner.candidates.listing import Lister, lister_of
from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import began_s, sparing, until
from milp_planner.executors.asked import spread_over
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import is_gpus_first
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rule import Rule
from milp_planner.plans.futures.documents import FuturesPart, futures_dict
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan
from milp_planner.plans.sentences import alternatives_text
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.sheet.folding import EXTRA_CUTS, alternatives_of, enough_lines
from milp_planner.questions.sheet.measure import measures_of
from milp_planner.questions.sheet.of_plan import (
    answer_of,
    diagnosis_of,
    hours_of,
    proof_of,
    purchases_of,
    question_of,
    shared_of,
    sources_of,
    workloads_of,
)
from milp_planner.questions.sheet.risks import asks_of, losses_of, risks_of
from milp_planner.questions.solve import provenance_at, solve_until
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.prepare import Outline, outline_of, unlisted
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.results import Settings
from milp_planner.today import day_today

MOST_ALTERNATIVES = 100

LOSSES_CPU_S = 0.1
"""For what losses leave, beyond a time limit that solving used up: enough but for large plans."""


def decision_sheet(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    plan: Plan | None = None,
    with_choices: bool = True,
    as_of: date | None = None,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
    reproducible: bool = False,
    cancel: threading.Event | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
    executor: Executor | None = None,
) -> Sheet:
    """`problem` solved, and put as it is decided on: what to buy, what else, what it rests on.

    catalog: default: the one that the problem names. plan: what `solve` gave, where it is known
    already. with_choices: False leaves out all that is solved besides: other choices, levers, what
    slower measurements would mean and the weightiest one is worth, other traffic, other budgets;
    with `objective: gpus` there are none of these: they are compared by cost. as_of: the day from
    which ages of prices are counted; default: today. time_limit_s: seconds for everything together;
    gap: relative to the score; solver: which engines. These stand for the problem's own settings
    where they are given. reproducible: leaves out seconds, and limits the work on choices instead
    of their time. cancel: set it from another thread to stop early. rules: rules of your own,
    beside the limits. executor: of `concurrent.futures`, or one of `executor_at`, to solve choices,
    futures and parts of large problems side by side.

    Returns a Sheet, in USD per month: plain data, which reports lay out.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import decision_sheet, load_problem
    >>> sheet = decision_sheet(load_problem("problems/inference-atlas/llama-8b-steady.yaml"))
    >>> sheet.answer.cash_usd_per_month, sheet.answer.fleet[0].gpu
    (1260.0, 'a100-80gb')
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    if problem.choices.own:
        from milp_planner.questions.choices.choices import check_own_choices

        check_own_choices(problem, catalog)
    began = began_s()
    limit_s = problem.solver.time_limit_s if time_limit_s is None else time_limit_s
    settings = settings_of(
        problem, time_limit_s=limit_s, gap=gap, solver=solver, cancel=cancel, began=began
    )
    settings = replace(settings, patient=reproducible)
    today = as_of or day_today()
    with spread_over(executor):
        if problem.futures:
            plan = plan or plan_for_sheet(problem, catalog, settings)
            return sheet_over_futures(problem, catalog, plan, today, reproducible=reproducible)
        lister, outline = lister_of(catalog), outline_of(problem, catalog)
        if plan is None:
            given = problem, catalog, settings, lister, outline
            plan = plan_for_sheet(*given, fixed_work=reproducible)
        asked = unlisted(outline)
        with in_time(settings, fixed_work=reproducible):
            sheet = sheet_of(asked, plan, today=today, reproducible=reproducible)
        if not with_choices or is_gpus_first(problem):
            return sheet
        from milp_planner.questions.choices.choices import asking_for, solved_choices
        from milp_planner.questions.sheet.beside import beside_choices  # what is solved besides

        if not plan.status.has_plan:
            return beside_choices(sheet, plan, (), None)
        asking = asking_for(
            problem,
            catalog,
            plan,
            time_limit_s=limit_s,
            gap=gap,
            solver=solver,
            cancel=cancel,
            began=began,
            fixed_work=reproducible,
            lister=lister,
            outline=outline,
        )
        return beside_choices(sheet, plan, [*solved_choices(asking)], asking)


def plan_for_sheet(
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    lister: Lister | None = None,
    outline: Outline | None = None,
    *,
    fixed_work: bool = False,
) -> Plan:
    """The plan with next-best ones enough for as many different lines as are asked for.

    lister: what lists candidates, where choices are listed of the same catalog. outline: of the
    problem, where it is known.
    """
    count = problem.alternatives.count
    if problem.futures:
        from milp_planner.futures.answer import plan_over_futures  # which few problems need

        provenance = provenance_at(problem, catalog, settings)
        return plan_over_futures(problem, catalog, settings, provenance, next_best=count)
    enough = enough_lines(count, None if fixed_work else time.monotonic)
    most = min(count * EXTRA_CUTS, MOST_ALTERNATIVES)
    return solve_until(problem, catalog, settings, most, enough, lister=lister, outline=outline)


def sheet_over_futures(
    problem: Problem, catalog: Catalog, plan: Plan, today: date, *, reproducible: bool
) -> Sheet:
    """The sheet of a plan over several futures: what they share, and the plan in the leading one.

    Other choices, levers and curves are of a month that is known: they are left out.
    """
    from milp_planner.futures.cases import leading_problem

    asked = unlisted(outline_of(leading_problem(problem, plan), catalog))
    return sheet_of(asked, plan, today=today, reproducible=reproducible)


@contextlib.contextmanager
def in_time(settings: Settings, *, fixed_work: bool) -> Iterator[None]:
    """A block that the time limit ends, but for a little; where the work is fixed no clock does."""
    with until(math.inf if fixed_work else settings.ends_s), sparing(LOSSES_CPU_S):
        yield


def sheet_of(
    asked: PlanningInput,
    plan: Plan,
    *,
    today: date,
    reproducible: bool = False,
) -> Sheet:
    """The sheet of a plan, without other choices.

    asked: the question with its blocks; nothing here looks at what else can be rented.
    """
    problem, has_plan = asked.problem, plan.status.has_plan
    told = futures_dict(plan.futures)
    return Sheet(
        name=plan.name,
        as_of=today,
        question=question_of(asked),
        answer=answer_of(plan, today, problem.policy.stale_after_days),
        purchases=purchases_of(plan, today),
        shared_units=shared_of(plan),
        futures=None if told is None else FuturesPart.model_validate(clean(told)),
        workloads=workloads_of(plan),
        hours=hours_of(plan),
        choices=None,
        alternatives=alternatives_of(plan, problem.alternatives.count) if has_plan else (),
        alternatives_notes=tuple(_alternatives_notes(plan, problem.alternatives.count)),
        levers=None,
        risks=risks_of(plan, today, losses_of(asked, plan), problem),
        asks=asks_of(plan, today, problem.policy.stale_after_days),
        measure=measures_of(plan, asked, today),
        budgets=None,
        traffic=None,
        proof=proof_of(plan, reproducible=reproducible),
        sources=sources_of(plan),
        diagnosis=diagnosis_of(plan),
    )


def _alternatives_notes(plan: Plan, count: int) -> Iterator[str]:
    """What the search itself says, and that there are fewer lines than were asked for."""
    lines = len(alternatives_of(plan, count)) - 1 if plan.alternatives else 0
    if plan.alternatives and lines < count:
        made = f"{lines or 'no'} different fleet{'' if lines == 1 else 's'}"
        looked_at = len(plan.alternatives)
        yield (
            f"{looked_at} next-best plan{'' if looked_at == 1 else 's'} looked at: {made} beside "
            "the plan's"
        )
    yield from filter(None, alternatives_text(plan).split("\n"))
