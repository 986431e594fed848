"""`milp-planner what-if`: the plan under other budgets, traffic, prices and limits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milp_planner.cli.parts import bars, exit_codes, streams
from milp_planner.cli.parts.clock import command_began_s
from milp_planner.cli.parts.formats import STDOUT, check_ending, chosen_format, tell_written
from milp_planner.cli.parts.loading import inputs_of, read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    FormatName,
    Gap,
    Jobs,
    Output,
    Overlays,
    ProblemFile,
    Quiet,
    SolverName,
    TimeLimit,
    Where,
    choice_of,
)
from milp_planner.cli.parts.signals import signals_exit_at_once
from milp_planner.cli.runs import sweeps
from milp_planner.cli.runs.workers import workers
from milp_planner.deadline import counted_from

if TYPE_CHECKING:
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.questions.sweeps.rows import WhatIf, WhatIfRow
    from milp_planner.questions.sweeps.scenarios import Scenario
    from milp_planner.questions.sweeps.what_if import How
    from milp_planner.solving.checks.arguments import SolverChoice

FORMATS = ("text", "json", "csv")
ENDINGS = {".json": "json", ".csv": "csv", ".txt": "text"}

PENALTY_KEYS = ("policy.penalties", "policy.preset")

Many = list[str] | None

Budgets = Annotated[
    str | None,
    typer.Option(
        metavar="USD,...", help="Cash per month: 4000,8k, 2000:20000:1000; 2000:20000: every step."
    ),
]
TrafficFactors = Annotated[
    str | None,
    typer.Option(
        metavar="FACTOR,...",
        help="Factors on all traffic: 0.5,1,2; 0.1:10: the cheapest way to pay at each.",
    ),
]
WaysBy = Annotated[
    str,
    typer.Option(
        metavar="WHAT", help="With --traffic 0.1:10: by kind (API, rented, owned) or by billing."
    ),
]
Without = Annotated[
    Many, typer.Option(metavar="KIND:NAME,...", help="Lost, one by one; a+b: together.")
]
Prices = Annotated[
    Many, typer.Option(metavar="OFFERING=USD,...", help="Per GPU-hour, or 80% of today's.")
]
LimitValues = Annotated[
    Many, typer.Option(metavar="KEY=VALUE,...", help="A limit: max_gpus.total=32,64,none.")
]
Targets = Annotated[
    str | None, typer.Option(metavar="SHARE,...", help="Utilization targets: 60%,75%.")
]
ScenarioFiles = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Named patches of the problem.")
]


def what_if(
    file: ProblemFile,
    budget: Budgets = None,
    traffic: TrafficFactors = None,
    by: WaysBy = "kind",
    without: Without = None,
    price: Prices = None,
    limit: LimitValues = None,
    target: Targets = None,
    scenario: ScenarioFiles = None,
    jobs: Jobs = 1,
    executor: Where = "threads",
    as_json: AsJson = False,
    format_: FormatName = None,
    output: Output = None,
    time_limit: TimeLimit = None,
    gap: Gap = None,
    solver: SolverName = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Solve a problem under other budgets, traffic, prices and limits: a row for each."""
    with signals_exit_at_once():
        from milp_planner.questions.sweeps.what_if import How
    output = None if output == STDOUT else output
    format_name = chosen_format(format_, as_json, output, ENDINGS, FORMATS)
    streams.check_output(output, [Path(file), *(scenario or ())])
    began_s = command_began_s()
    problem = read_problem(file)
    streams.check_output(output, inputs_of(problem, file, catalog, overlay))
    check_ending(output, as_json or format_ is not None, ENDINGS)
    known = read_catalog(problem, file, catalog, overlay, as_of)
    ends = None if budget is None else sweeps.every_step(budget)
    if ends is not None:
        if any([traffic, without, price, limit, target, scenario]):
            raise typer.BadParameter("--budget without a step stands alone; write 2000:20000:1000")
        engines = choice_of(solver)
        with counted_from(began_s):
            code = _every_step(problem, known, ends, format_name, output, time_limit, engines)
        tell_written(output, has_plan=True, quiet=quiet)
        return code
    span = None if traffic is None else sweeps.read_span(traffic)
    if span is not None:
        if any([budget, without, price, limit, target, scenario]):
            raise typer.BadParameter("--traffic 0.1:10 stands alone; write 0.5,1,2 beside others")
        engines = choice_of(solver)
        with counted_from(began_s):
            code = _ways_to_pay(problem, known, span, by, format_name, output, time_limit, engines)
        tell_written(output, has_plan=True, quiet=quiet)
        return code
    grid = (budget, traffic, without, price, limit, target, scenario)
    scenarios = _scenarios(problem, known, *grid)
    if not scenarios:
        raise typer.BadParameter("nothing to change: give --budget, --traffic, --without, ...")
    cancel = threading.Event()
    how = How(time_limit, gap, choice_of(solver), cancel)
    with workers(executor, jobs, cancel) as crew:
        result = _answered(problem, scenarios, known, crew, how, format_name, output, quiet)
    tell_written(output, has_plan=True, quiet=quiet)
    return _exit_code(result.rows)


def _scenarios(
    problem: Problem,
    known: Catalog,
    budgets: str | None,
    traffic: str | None,
    without: Many,
    price: Many,
    limit: Many,
    target: str | None,
    files: list[Path] | None,
) -> tuple[Scenario, ...]:
    from milp_planner.questions.sweeps.scenarios import load_scenarios, scenario_grid
    from milp_planner.solving.prepare import checked_problem

    checked_problem(problem, known)  # a name that is not known is one error, and no row
    return scenario_grid(
        budgets=sweeps.read_budgets(budgets) if budgets else (),
        traffic=sweeps.read_numbers("--traffic", traffic) if traffic else (),
        without=sweeps.read_without(without or ()),
        prices=sweeps.read_prices(price or ()),
        limits=sweeps.read_limits(limit or ()),
        targets=sweeps.read_shares("--target", target) if target else (),
        named=[s for path in files or () for s in load_scenarios(path, problem, catalog=known)],
    )


def _answered(
    problem: Problem,
    scenarios: Sequence[Scenario],
    known: Catalog,
    executor: Executor | None,
    how: How,
    format_name: str,
    output: Path | None,
    quiet: bool,
) -> WhatIf:
    """All rows and findings, written as they come where a person reads them."""
    from milp_planner.questions.sweeps.what_if import finished, rows_of
    from milp_planner.reporting.text.questions.what_if import RowTable, findings

    table = RowTable(scenarios, is_scored=_is_scored(problem, scenarios))
    streams_rows = format_name == "text" and output is None
    if streams_rows:
        streams.answer(f"{table.header()}\n")
    rows: list[WhatIfRow] = []
    with bars.bar("scenarios", len(scenarios), quiet=quiet) as step:
        for row in rows_of(problem, scenarios, known, executor, how):
            rows.append(row)
            line = f"{table.line(row)}\n" if streams_rows else ""
            step(partial(streams.answer, line))
    with streams.progress("break-even", quiet=quiet):
        result = finished(problem, scenarios, rows, known, how)
    lines = "".join(f"{line}\n" for line in findings(result, problem, scenarios))
    if streams_rows:
        streams.answer(lines)
    else:
        lines = "".join([f"{line}\n" for line in (table.header(), *map(table.line, rows))]) + lines
        _put(_formatted(result, lines, format_name), output)
    return result


def _is_scored(problem: Problem, scenarios: Sequence[Scenario]) -> bool:
    """True where penalties count in the problem, or may in a scenario."""
    from milp_planner.inputs.problem.policies import has_penalties

    changed = (key for scenario in scenarios for key in scenario.patch)
    return has_penalties(problem) or any(key.startswith(PENALTY_KEYS) for key in changed)


def _formatted(result: WhatIf, text: str, format_name: str) -> str:
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.what_if import what_if_csv

    if format_name == "json":
        return to_json(result.to_dict())
    return what_if_csv(result) if format_name == "csv" else text


def _put(text: str, output: Path | None) -> None:
    if output is None:
        streams.answer(text)
    else:
        streams.write_file(output, text)


def _every_step(
    problem: Problem,
    known: Catalog,
    ends: tuple[float, float],
    format_name: str,
    output: Path | None,
    time_limit_s: float | None,
    solver: SolverChoice | None,
) -> int:
    """`--budget 2000:20000`: every step between the two, exactly."""
    from milp_planner.plans.plain import clean
    from milp_planner.questions.sweeps.frontier import FrontierEnd, budget_frontier, step_dict
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.what_if import frontier_dict, frontier_text, rows_csv

    found = budget_frontier(problem, *ends, known, time_limit_s=time_limit_s, solver=solver)
    text = {
        "json": lambda: to_json(clean(frontier_dict(found))),
        "csv": lambda: rows_csv([clean(step_dict(step)) for step in found.steps]),
    }.get(format_name, lambda: frontier_text(found))()
    _put(text, output)
    if found.steps:
        return exit_codes.FOUND
    unfinished = found.unfinished
    if unfinished is not None and unfinished.reason is FrontierEnd.TIME_LIMIT:
        return exit_codes.NO_PLAN
    return exit_codes.INFEASIBLE


def _ways_to_pay(
    problem: Problem,
    known: Catalog,
    span: tuple[float, float],
    by: str,
    format_name: str,
    output: Path | None,
    time_limit_s: float | None,
    solver: SolverChoice | None,
) -> int:
    """`--traffic 0.1:10`: which way to pay is the cheapest at every multiple between the two."""
    from milp_planner.plans.plain import clean
    from milp_planner.questions.sweeps.ways import BY, crossovers
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.crossovers import crossover_row, crossovers_text
    from milp_planner.reporting.text.questions.what_if import rows_csv

    ways = BY.get(by)
    if ways is None:
        raise typer.BadParameter(f"--by is kind or billing (is {by})")
    found = crossovers(problem, *span, known, by=ways, time_limit_s=time_limit_s, solver=solver)
    text = {
        "json": lambda: to_json(clean(found.to_dict())),
        "csv": lambda: rows_csv([clean(crossover_row(found, one)) for one in found.stretches]),
    }.get(format_name, lambda: crossovers_text(found))()
    _put(text, output)
    if any(one.way for one in found.stretches):
        return exit_codes.FOUND
    return exit_codes.INFEASIBLE if found.complete else exit_codes.NO_PLAN


def _exit_code(rows: Sequence[WhatIfRow]) -> int:
    """0 when every scenario has an answer, infeasible ones among them."""
    from milp_planner.questions.sweeps.rows import RowStatus

    failed = [row for row in rows if row.status is RowStatus.FAILED]
    if any(row.is_solver_failure for row in failed):
        return exit_codes.BUG
    return exit_codes.INPUT if failed else exit_codes.FOUND
