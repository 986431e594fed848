"""what_if(): a problem solved under many scenarios, one row each.

The rows come in the order of the scenarios, as they are known; one that fails says so, and the
rest go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime, until
from milp_planner.errors import PlannerError, SolverError, argument_error
from milp_planner.executors.asked import check_executor
from milp_planner.executors.processes import stop_here
from milp_planner.executors.side_by_side import side_by_side
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_kind, check_text, items_of
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.program.language.rule import Rule
from milp_planner.plans.records import Plan, Status
from milp_planner.plans.sentences import first_reason
from milp_planner.questions.solve import provenance_of, solve_prepared
from milp_planner.questions.sweeps.break_even import BreakEven, break_even, split
from milp_planner.questions.sweeps.frontier import (
    next_step,
    requests_share,
    smallest_budget,
)
from milp_planner.questions.sweeps.rows import RowStatus, WhatIf, WhatIfRow, others_changed
from milp_planner.questions.sweeps.scenarios import Scenario, scenario_of
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.prepare import checked_problem, prepare
from milp_planner.solving.re_solve import Resolver, fleet_line, served_share, settings_of
from milp_planner.solving.results import Settings

Scenarios = Iterable[Scenario] | Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class How:
    """How every scenario is solved."""

    time_limit_s: float | None = None
    """Per scenario; None: the problem's own."""

    gap: float | None = None
    solver: SolverChoice | None = None
    cancel: threading.Event | None = None


@dataclass(frozen=True)
class Shared:
    """What all scenarios of a sweep have in common; it travels to workers."""

    problem: Problem
    catalog: Catalog
    how: How
    known: PlanningInput | None
    """The problem without a scenario, prepared: what most scenarios share."""

    def how_here(self) -> How:
        """How to solve on this worker, which may have its own word that it is to stop."""
        return replace(self.how, cancel=self.how.cancel or stop_here())

    def __getstate__(self) -> dict[str, Any]:
        """All but the event of this process."""
        return {**vars(self), "how": replace(self.how, cancel=None)}


NO_TIME = "no plan in time"
"""Why a scenario has no plan that may have one."""


def what_if(
    problem: Problem,
    scenarios: Scenarios,
    catalog: Catalog | None = None,
    executor: Executor | None = None,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
) -> WhatIf:
    """`problem` under every scenario, each solved on its own: one row each, in their order.

    scenarios: Scenario records, as `load_scenarios` and `scenario_grid` give them, or patches by
    name, `{"fewer": {"limits.max_gpus.total": 8}}`. catalog: default: the one that the problem
    names. executor: of `concurrent.futures`, or one of `executor_at`, to solve side by side, here
    or on a cluster: what scenarios share travels to each worker once. time_limit_s: seconds for
    each scenario; gap: relative to the score; solver: which engines. These stand for the problem's
    own settings where they are given. rules: rules of your own, beside the limits.

    Returns a WhatIf of rows in USD per month. A scenario that does not fit the problem, or that the
    solvers fail on, gives a row that says so; the others go on.

    Raises InputError for a patch by name that cannot be read, for settings out of range and for
    names in the problem that are not known; ArgumentError for values of another type.

    >>> from milp_planner import load_problem, scenario_grid, what_if
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> found = what_if(problem, scenario_grid(traffic=[1, 2000]))
    >>> [(row.scenario, row.cash_usd, row.gpus) for row in found.rows]
    [('traffic 1x', 1260.0, 1), ('traffic 2000x', 2520.0, 2)]
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    how = How(time_limit_s, gap, solver)
    checked_problem(problem, catalog)
    chosen = listed(scenarios)
    check_executor(executor)
    rows = tuple(rows_of(problem, chosen, catalog, executor, how))
    return finished(problem, chosen, rows, catalog, how)


def listed(scenarios: Scenarios) -> tuple[Scenario, ...]:
    """The scenarios as records."""
    if isinstance(scenarios, Mapping):
        for name, keys in scenarios.items():
            if not isinstance(keys, Mapping):
                raise argument_error(
                    f"expected keys, not {type(keys).__name__}", path=f"scenarios[{name!r}]"
                )
            for key in (name, *keys):
                check_text("scenarios", key)
        return tuple(scenario_of(name, keys) for name, keys in scenarios.items())
    records = items_of("scenarios", scenarios, "scenarios", one=(str, Scenario))
    for record in records:
        check_kind(record, Scenario, "load_scenarios()")
    return tuple(records)


def rows_of(
    problem: Problem,
    scenarios: Sequence[Scenario],
    catalog: Catalog,
    executor: Executor | None = None,
    how: How = How(),
) -> Iterator[WhatIfRow]:
    """The rows in order, each as soon as it and all before it are known."""
    try:
        with until(_settings(problem, how).ends_s, how.cancel):
            known = prepare(problem, catalog)  # what most scenarios share
    except (PlannerError, OutOfTime):
        known = None  # the rows themselves will say why
    smallest = _smallest_budgets(problem, scenarios, catalog, how, known)
    tasks = [*zip(scenarios, smallest, strict=True)]
    shared = Shared(problem, catalog, how, known)
    if executor is None:
        yield from (run_scenario(shared, task) for task in tasks)
    else:
        yield from side_by_side(executor, run_scenario, shared, tasks, _lost)


def _smallest_budgets(
    problem: Problem,
    scenarios: Sequence[Scenario],
    catalog: Catalog,
    how: How,
    instance: PlanningInput | None,
) -> list[float | None]:
    """The least cash that serves everything, for every budget scenario; the same one once."""
    known: dict[str, float | None] = {}
    found = []
    for scenario in scenarios:
        others = replace(scenario, budget_usd=None, name="", settings={}, numbers={})
        if scenario.budget_usd is not None and repr(others) not in known:
            known[repr(others)] = _smallest_budget(problem, others, catalog, how, instance)
        found.append(known.get(repr(others)) if scenario.budget_usd is not None else None)
    return found


def _smallest_budget(
    problem: Problem,
    scenario: Scenario,
    catalog: Catalog,
    how: How,
    known: PlanningInput | None,
) -> float | None:
    try:
        problem, catalog = scenario.applied(problem, catalog)
        settings = _settings(problem, how)
        with until(settings.ends_s, how.cancel):
            instance = prepare(problem, catalog, known)
        return smallest_budget(_resolver(instance, settings))
    except (PlannerError, OutOfTime):
        return None  # the rows themselves will say why


def run_scenario(shared: Shared, task: tuple[Scenario, float | None]) -> WhatIfRow:
    """One scenario's row; errors of the input or of the solvers become a row that failed.

    task: the scenario, and the least cash that serves everything, where a budget is asked about.
    """
    scenario, smallest_usd = task
    how = shared.how_here()
    started_s = time.monotonic()
    row = _failed(scenario)
    if how.cancel is not None and how.cancel.is_set():
        return replace(row, status=RowStatus.NO_PLAN, error="stopped early")
    try:
        problem, catalog = scenario.applied(shared.problem, shared.catalog)
        settings = _settings(problem, how)
        with until(settings.ends_s, how.cancel):
            instance = prepare(problem, catalog, shared.known)
        row = _solved(instance, scenario, settings, smallest_usd)
    except OutOfTime:
        row = replace(row, status=RowStatus.NO_PLAN, error=NO_TIME)
    except PlannerError as error:
        text = " ".join(str(error).split())
        row = replace(row, error=text, is_solver_failure=isinstance(error, SolverError))
    return replace(row, seconds=time.monotonic() - started_s)


def _failed(scenario: Scenario) -> WhatIfRow:
    return WhatIfRow(scenario.name, scenario.settings, RowStatus.FAILED, numbers=scenario.numbers)


def _lost(task: tuple[Scenario, float | None], why: str) -> WhatIfRow:
    """The row of a scenario whose workers died."""
    return replace(_failed(task[0]), error=why, is_solver_failure=True)


def _solved(
    instance: PlanningInput, scenario: Scenario, settings: Settings, smallest_usd: float | None
) -> WhatIfRow:
    plan = solve_prepared(instance, settings)
    row = row_of(scenario, plan)
    if scenario.budget_usd is None and not scenario.compares_per_token:
        return row
    resolver = _resolver(instance, settings)
    if scenario.budget_usd is not None:
        row = _with_next_step(row, plan, resolver, smallest_usd)
    if scenario.compares_per_token:
        row = replace(row, split=split(resolver, instance.problem, plan))
    return row


def _resolver(instance: PlanningInput, settings: Settings) -> Resolver:
    return Resolver(instance, settings, provenance_of(instance, settings))


def _settings(problem: Problem, how: How) -> Settings:
    """How one scenario is solved, within a time limit that begins now."""
    return settings_of(
        problem,
        began=time.monotonic(),
        time_limit_s=how.time_limit_s,
        gap=how.gap,
        solver=how.solver,
        cancel=how.cancel,
    )


def row_of(scenario: Scenario, plan: Plan) -> WhatIfRow:
    """What a plan comes to; over several futures the average, and the fleet of the leading one."""
    status = RowStatus(plan.status.value)
    row = WhatIfRow(
        scenario.name,
        scenario.settings,
        status,
        certified=plan.proof.certified,
        numbers=scenario.numbers,
    )
    if not plan.status.has_plan:
        return replace(row, error=first_reason(plan) or NO_TIME)
    if plan.futures is not None:
        return replace(
            row,
            cash_usd=plan.futures.cash_usd_per_month,
            score_usd=plan.futures.expected_usd_per_month,
            served_share=1 - max(one.shortfall_share for one in plan.futures.outcomes),
            gpus=plan.gpus,
            fleet=f"{fleet_line(plan)}, in {plan.futures.leading}",
            plan=replace(plan, turned_down=()),
        )
    return replace(
        row,
        cash_usd=plan.cash_usd_per_month,
        score_usd=plan.score_usd_per_month,
        served_share=served_share(plan),
        gpus=plan.gpus,
        fleet=fleet_line(plan),
        usd_per_million_tokens=plan.usd_per_million_tokens,
        plan=replace(plan, turned_down=()),
    )


def _with_next_step(
    row: WhatIfRow, plan: Plan, resolver: Resolver, smallest_usd: float | None
) -> WhatIfRow:
    share = requests_share(resolver.instance, plan) if plan.status.has_plan else None
    row = replace(row, smallest_budget_usd=smallest_usd, requests_share=share)
    is_short = any(w.shortfall_share for w in plan.workloads)
    if smallest_usd is None or plan.status is not Status.OPTIMAL or not is_short:
        return row
    return replace(row, next_step=next_step(resolver, plan, smallest_usd))


# ---- what only all rows together tell


def finished(
    problem: Problem,
    scenarios: Sequence[Scenario],
    rows: Sequence[WhatIfRow],
    catalog: Catalog,
    how: How,
) -> WhatIf:
    """The rows with the break-evens of the traffic scenarios among them."""
    sweeps: dict[str, list[tuple[Scenario, WhatIfRow]]] = {}
    for scenario, row in zip(scenarios, rows, strict=True):
        if scenario.compares_per_token and scenario.budget_usd is None:
            sweeps.setdefault(others_changed(row.settings, "traffic"), []).append((scenario, row))
    found = {others: _break_even(problem, pairs, catalog, how) for others, pairs in sweeps.items()}
    evens = {others: even for others, (even, _) in found.items()}
    left_open = tuple(others for others, (even, late) in found.items() if late and even is None)
    return WhatIf(problem.name, tuple(rows), evens, left_open)


def _break_even(
    problem: Problem, pairs: Sequence[tuple[Scenario, WhatIfRow]], catalog: Catalog, how: How
) -> tuple[BreakEven | None, bool]:
    """The break-even of one sweep, and whether time ended before all about it was known."""
    late = any(r.status is RowStatus.NO_PLAN or (r.split and r.split.is_late) for _, r in pairs)
    known = sorted(
        ((scenario.traffic or 1.0, row.split) for scenario, row in pairs if row.split is not None),
        key=lambda pair: pair[0],
    )
    if not any(parts.difference is not None for _, parts in known):
        return None, late
    base, catalog = replace(pairs[0][0], traffic=None).applied(problem, catalog)
    settings = _settings(base, how)
    try:
        with until(settings.ends_s, how.cancel):
            instance = prepare(base, catalog)
    except OutOfTime:
        return None, True
    resolver = _resolver(instance, settings)
    even = break_even(resolver, base, known)
    return even, late or resolver.is_stopped
