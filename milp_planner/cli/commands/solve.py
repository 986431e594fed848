"""`milp-planner solve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.clock import command_began_s
from milp_planner.cli.parts.formats import STDOUT, check_ending, chosen_format, tell_written
from milp_planner.cli.parts.gates import Gates
from milp_planner.cli.parts.loading import inputs_of, read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AlternativesCount,
    AsJson,
    AsOf,
    CatalogName,
    CurrentPlan,
    DifferBy,
    Difference,
    FailOnEstimates,
    Gap,
    Jobs,
    MaxCost,
    MaxPriceAge,
    Output,
    Overlays,
    PerWorkload,
    PlanFormatName,
    Quiet,
    Reproducible,
    RequireOptimal,
    SolverName,
    TimeLimit,
    Where,
    choice_of,
)
from milp_planner.cli.parts.plan_documents import read_plan_document, read_plan_only
from milp_planner.cli.parts.problem_files import every_file, is_several, the_file_here
from milp_planner.cli.parts.signals import signals_exit_at_once
from milp_planner.cli.runs.plans import TEXT, PlanRun, unchanged
from milp_planner.cli.runs.sheets import HTML, MARKDOWN, SHEET, SHEET_FORMATS, SheetRun
from milp_planner.cli.runs.workers import spread
from milp_planner.deadline import counted_from

if TYPE_CHECKING:
    from milp_planner.cli.runs.replayed import ReplayedSolve
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.solving.checks.arguments import SolverChoice

ENDINGS = {
    **dict.fromkeys((".html", ".htm"), HTML),
    **{".md": MARKDOWN, ".json": "json", ".csv": "csv", ".txt": SHEET},
}

ROW_ENDINGS = {".json": "json", ".csv": "csv", ".txt": TEXT}


def solve(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="The problem, - for standard input; default: problem.yaml. Of several, and of "
            "folders, one row each.",
        ),
    ] = None,
    as_json: AsJson = False,
    format_: PlanFormatName = None,
    output: Output = None,
    time_limit: TimeLimit = None,
    gap: Gap = None,
    alternatives: AlternativesCount = None,
    differ_by: Difference = None,
    per_workload: PerWorkload = False,
    solver: SolverName = None,
    max_cost: MaxCost = None,
    max_price_age: MaxPriceAge = None,
    fail_on_estimates: FailOnEstimates = False,
    require_optimal: RequireOptimal = False,
    range_: Annotated[
        bool, typer.Option("--range", help="Solve again at p50 and p5 of the estimates' error.")
    ] = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    reproducible: Reproducible = False,
    no_choices: Annotated[
        bool, typer.Option("--no-choices", help="A sheet without other choices, for scripts.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="OLD", help="With markdown: what changes since this --json."
        ),
    ] = None,
    current: CurrentPlan = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Replay it, and tighten until the replay keeps every wish; else exit 4.",
        ),
    ] = False,
    jobs: Jobs = 1,
    executor: Where = "threads",
    quiet: Quiet = False,
) -> int:
    """Find the cheapest fleet, with proof."""
    began_s = command_began_s()
    with signals_exit_at_once():
        import milp_planner.questions.solve  # noqa: F401 - long enough for a Ctrl-C to come meanwhile
    from milp_planner.reporting.formats import FORMATS
    from milp_planner.today import day_today

    output = None if output == STDOUT else output
    gates = Gates(max_cost, max_price_age, fail_on_estimates, as_of or day_today())
    how = Effort(began_s, time_limit, gap, choice_of(solver))
    names = files or [the_file_here()]
    if is_several(names):
        from milp_planner.cli.runs.several import ROW_FORMATS, SeveralRun

        check_of_each(context)
        return SeveralRun(
            files=tuple(every_file(names)),
            format_name=chosen_format(format_, as_json, output, ROW_ENDINGS, ROW_FORMATS),
            output=output,
            source=partial(read_catalog, name=catalog, overlays=overlay, as_of=as_of),
            inputs=partial(inputs_of, catalog=catalog, overlays=overlay),
            how=how[1:],
            gates=gates,
            code_of=partial(exit_code, require_optimal=require_optimal),
            quiet=quiet,
        ).write()
    [file] = names
    endings = ENDINGS | ({".txt": TEXT} if range_ else {})
    formats = (*FORMATS, *SHEET_FORMATS)
    format_name = chosen_format(format_, as_json, output, endings, formats, endings[".txt"])
    if against is not None and format_name != MARKDOWN:
        raise typer.BadParameter(f"--against is for --format {MARKDOWN}, not {format_name}")
    if range_ and format_name in SHEET_FORMATS:
        raise typer.BadParameter(f"--range is not part of a sheet; leave out {format_name}")
    earlier = None if against is None else read_plan_document(against)
    plans_read = [Path(one) for one in (against, current) if one is not None]
    streams.check_output(output, [Path(file), *plans_read])
    problem = with_alternatives(read_problem(file), alternatives, differ_by, per_workload)
    problem = with_current(problem, current)
    streams.check_output(output, inputs_of(problem, file, catalog, overlay))
    check_ending(output, as_json or format_ is not None, endings)
    known = read_catalog(problem, file, catalog, overlay, as_of)
    if problem.horizon is not None:
        from milp_planner.cli.runs.months import check_of_months, write_calendar

        check_of_months(context)
        with counted_from(began_s):
            code = write_calendar(
                *(problem, known, format_name, output),
                quiet=quiet,
                time_limit_s=time_limit,
                gap=gap,
                solver=how.solver,
                gates=gates,
                reproducible=reproducible,
            )
        has_plan = code in (exit_codes.FOUND, exit_codes.GATE)
        tell_written(output, has_plan=has_plan, quiet=quiet)
        return code
    with spread(executor, jobs):
        replayed = _until_kept(problem, known, how, quiet=quiet) if replay else None
        asked = problem if replayed is None else replayed.problem, known, format_name, output
        told = unchanged if replayed is None else replayed.told
        with counted_from(began_s):
            if format_name in SHEET_FORMATS:
                about = not no_choices, reproducible, quiet, gates.today
                plan = SheetRun(*asked, *about, *how[1:], earlier, told).write()
                failed = _failed(plan, gates, replayed)
            else:
                run = PlanRun(*asked, range_, reproducible, quiet, *how[1:], told)
                plan, failed = run.write(lambda plan: _failed(plan, gates, replayed))
    if replayed is not None:
        replayed.tell(on_stdout=format_name in (SHEET, TEXT) and output is None)
    tell_written(output, has_plan=plan.status.has_plan, quiet=quiet)
    for failure in failed:
        streams.tell(failure)
    return exit_code(plan, bool(failed), require_optimal)


OF_EACH = {
    *("files", "as_json", "format_", "output", "time_limit", "gap", "solver", "max_cost"),
    *("max_price_age", "fail_on_estimates", "require_optimal", "as_of", "overlay", "catalog"),
    *("no_choices", "quiet"),
}
"""Parameters that mean the same of several problems; rows have no choices anyhow."""


def check_of_each(context: typer.Context) -> None:
    """Raise BadParameter for an option that is of one problem."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and parameter.name not in OF_EACH:
            raise typer.BadParameter(f"{parameter.opts[0]} is of one problem; name one file")


class Effort(NamedTuple):
    """How long and how well it is solved, and by whom."""

    began_s: float
    time_limit_s: float | None
    gap: float | None
    solver: SolverChoice | None


def _until_kept(problem: Problem, known: Catalog, how: Effort, *, quiet: bool) -> ReplayedSolve:
    from milp_planner.cli.runs.replayed import until_kept

    return until_kept(problem, known, **how._asdict(), quiet=quiet)


def _failed(plan: Plan, gates: Gates, replayed: ReplayedSolve | None) -> tuple[str, ...]:
    """Every gate that fails, and every wish that a replay missed, in words."""
    missed = () if replayed is None else replayed.failures(plan)
    return (*gates.failures(plan), *missed)


def with_alternatives(
    problem: Problem, count: int | None, differ_by: DifferBy | None, per_workload: bool
) -> Problem:
    """The problem with what the command line says about alternatives."""
    asked = {
        name: value
        for name, value in (
            ("count", count),
            ("differ_by", None if differ_by is None else differ_by.value),
            ("per_workload", per_workload or None),
        )
        if value is not None
    }
    if not asked:
        return problem
    alternatives = problem.alternatives.model_copy(update=asked)
    return problem.model_copy(update={"alternatives": alternatives})


def with_current(problem: Problem, current: str | None) -> Problem:
    """The problem with what an earlier plan runs as its `current_fleet`."""
    from milp_planner.plans.changes import current_fleet_of

    if current is None:
        return problem
    running = current_fleet_of(read_plan_only(current))
    return problem.model_copy(update={"current_fleet": running})


def exit_code(plan: Plan, gate_failed: bool, require_optimal: bool) -> int:
    """What the shell is told about a plan; a missing proof is told before a failed gate."""
    from milp_planner.plans.records import Status

    if plan.status is Status.INFEASIBLE:
        return exit_codes.INFEASIBLE
    if plan.status is Status.NO_PLAN:
        return exit_codes.NO_PLAN
    if require_optimal and not is_proven(plan):
        streams.tell("Not proven: the solvers stopped before the proof that --require-optimal asks")
        return exit_codes.UNPROVEN
    return exit_codes.GATE if gate_failed else exit_codes.FOUND


def is_proven(plan: Plan) -> bool:
    """True when the plan is optimal, or within a gap that was asked for."""
    asked = plan.provenance.gap_asked
    return plan.gap is not None and (plan.gap == 0 or 0 < plan.gap <= asked)
