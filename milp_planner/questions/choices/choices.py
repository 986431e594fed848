"""choices(): a plan beside the genuinely different ones, each proven by solving it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from milp_planner.candidates.listing import Lister, lister_of
from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime, began_s, check, until
from milp_planner.errors import Fault, InputError
from milp_planner.executors.asked import executor_asked, spread_over
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.comparisons import ChoicesAsked
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rule import Rule
from milp_planner.plans.records import Plan
from milp_planner.questions.choices.records import (
    Choice,
    Choices,
    ChoiceVerdict,
    fleet_key,
)
from milp_planner.questions.choices.usual import OWN, USUAL, Asking, usual_choice, usual_keys
from milp_planner.questions.solve import provenance_of, solve
from milp_planner.questions.sweeps.market import with_billings
from milp_planner.questions.sweeps.scenarios import Scenario, scenario_of
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.checks.names import limit_faults
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.narrowed import narrowed
from milp_planner.solving.prepare import Outline, listed, outline_of, prepare, unlisted
from milp_planner.solving.re_solve import Resolver, settings_of

TODAY = ("todays_fleet", "todays_bill")
"""Choices that are what they are, whatever else buys the same."""

MOST_S = 20.0
"""Seconds that all choices may take together, whatever more the time limit leaves."""

MOST_SHARE = 0.5
"""Of the time for choices, the most that one of them may take."""

FIXED_WORK = 200_000
"""Candidates times blocks, over all choices, that are solved where the clock must not decide."""


def choices(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    plan: Plan | None = None,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
    executor: Executor | None = None,
) -> Choices:
    """`problem` solved, and beside it the genuinely different ways to serve it.

    One provider, one type of GPU, an API, spot, ... and those that `problem.choices` names: each is
    a changed problem, solved and proven as the plan is. catalog: default: the one that the problem
    names. plan: what `solve` gave, where it is known already. time_limit_s: seconds for everything
    together, of which choices take 20 at the most; gap: relative to the score; solver: which
    engines. These stand for the problem's own settings where they are given. rules: rules of your
    own, beside the limits. executor: of `concurrent.futures`, or one of `executor_at`, to solve
    choices, and parts of large problems, side by side.

    Returns Choices: one row each, in USD per month; one that buys what another one buys says so,
    one that cannot be says why, and one that the problem does not allow says what it needs. Without
    a plan there are no rows.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import choices, load_problem
    >>> found = choices(load_problem("problems/inference-atlas/llama-8b-steady.yaml"))
    >>> [(row.key, row.cash_usd_per_month) for row in found.rows if row.verdict == "found"]
    [('survives_provider_loss', 2620.8)]
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    check_own_choices(problem, catalog)
    began = began_s()
    limit_s = problem.solver.time_limit_s if time_limit_s is None else time_limit_s
    with spread_over(executor):
        if plan is None:
            plan = solve(
                problem, catalog, time_limit_s=time_limit_s, gap=gap, alternatives=0, solver=solver
            )
        if not plan.status.has_plan:
            return Choices(plan, ())
        asking = asking_for(
            problem, catalog, plan, time_limit_s=limit_s, gap=gap, solver=solver, began=began
        )
        return Choices(plan, told_apart(plan, solved_choices(asking)))


def asking_for(
    problem: Problem,
    catalog: Catalog,
    plan: Plan,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
    cancel: threading.Event | None = None,
    began: float | None = None,
    fixed_work: bool = False,
    lister: Lister | None = None,
    outline: Outline | None = None,
) -> Asking:
    """What solves choices beside `plan`: candidates are listed once for all of them.

    fixed_work: a limit on the sizes of the programs decides what is solved, not the clock. lister:
    what listed the plan's candidates; outline: of the problem, where it is known. Where time ends
    before all is listed, no choice is reached that it is needed for.
    """
    lister = lister_of(catalog) if lister is None else lister
    settings = settings_of(
        problem, time_limit_s=time_limit_s, gap=gap, solver=solver, cancel=cancel, began=began
    )
    wide: PlanningInput | None = None
    try:
        with until(settings.ends_s, cancel):
            check()
            plain = problem.model_copy(update={"choices": ChoicesAsked()})
            wide = listed(outline_of(with_billings(plain, BILLING_MODES), catalog), lister)
            asked = outline or outline_of(problem, catalog)
            instance = narrowed(wide, problem) or listed(asked, lister)
    except OutOfTime:
        wide, instance = None, unlisted(outline or outline_of(problem, catalog))
    settings = replace(settings, patient=fixed_work)
    if not fixed_work:
        settings = replace(settings, time_limit_s=min(settings.time_limit_s, MOST_S))
    provenance = provenance_of(instance, settings)
    resolver = Resolver(instance, settings, provenance, lister=lister)
    if not fixed_work:
        resolver.most_s = settings.time_limit_s * MOST_SHARE
    resolver.knows_plan(plan)
    if wide is not None:
        resolver.knows(wide)
    return Asking(resolver, plan, wide, FIXED_WORK if fixed_work else None)


def solved_choices(asking: Asking) -> Iterator[Choice]:
    """Every choice as soon as it is known, quick ones first; on the executor that is asked for."""
    keys = [*usual_keys(asking.problem), *(f"{OWN}{name}" for name in asking.problem.choices.own)]
    executor = executor_asked()
    if executor is not None and len(keys) > 1:
        from milp_planner.questions.choices.sent import choices_on  # which few need

        yield from choices_on(executor, asking, keys, solved_choice)
    else:
        yield from (one for key in keys if (one := solved_choice(asking, key)) is not None)


def solved_choice(asking: Asking, key: str) -> Choice | None:
    """One choice; None where a usual one cannot be asked of this problem.

    key: that of a usual one, or `choices.own.NAME` of one that the problem adds.
    """
    name = key.removeprefix(OWN)
    if name == key:
        return usual_choice(asking, key)
    choice = Choice(name, name, ChoiceVerdict.NOT_REACHED)
    ask = partial(_solved_scenario, scenario=scenario_of(name, asking.problem.choices.own[name]))
    return asking.in_time(ask, choice) or choice


def told_apart(plan: Plan, solved: Iterable[Choice]) -> tuple[Choice, ...]:
    """The choices in the order in which they are told, what several of them buy said once."""
    order = {key: i for i, key in enumerate(USUAL)}
    rows = sorted(solved, key=lambda choice: order.get(choice.key, len(order)))
    return tuple(_told_apart(plan, rows))


def _told_apart(plan: Plan, rows: Iterable[Choice]) -> Iterator[Choice]:
    known = {_bought(plan): ""}
    for choice in rows:
        if choice.plan is None or choice.key in TODAY:
            yield choice
            continue
        same_as = known.setdefault(_bought(choice.plan), choice.key)
        if same_as == choice.key:
            yield choice
        else:
            yield replace(choice, verdict=ChoiceVerdict.SAME, same_as=same_as)


def _bought(plan: Plan) -> tuple[object, ...]:
    """What is bought, and at what score: to the cent, as plans are compared."""
    return fleet_key(plan), round(plan.score_usd_per_month or 0.0, 2)


def _solved_scenario(asking: Asking, choice: Choice, scenario: Scenario) -> Choice:
    check()
    plain = asking.problem.model_copy(update={"choices": ChoicesAsked()})
    try:
        problem, catalog = scenario.applied(plain, asking.catalog)
        if catalog is asking.catalog:
            return asking.solved_problem(choice, problem)
        instance = prepare(problem, catalog)
        return asking.solved_instance(choice, instance, "no fleet can do it")
    except InputError as error:
        why = " ".join(str(error).split())
        return replace(choice, verdict=ChoiceVerdict.INFEASIBLE, why=why)


def check_own_choices(problem: Problem, catalog: Catalog) -> None:
    """Raise InputError for own choices that name what there is not, before anything is solved."""
    plain = problem.model_copy(update={"choices": ChoicesAsked()})
    faults: list[Fault] = []
    for name, keys in problem.choices.own.items():
        try:
            changed, _ = scenario_of(name, keys).applied(plain, catalog)
            found = list(limit_faults(changed, catalog))
        except InputError as error:
            found = list(error.faults)
        faults += (replace(fault, path=f"choices.own.{name}: {fault.path}") for fault in found)
    if faults:
        raise InputError(faults)
