"""`milp-planner solve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    DifferBy,
    Difference,
    FailOnEstimates,
    Gap,
    MaxCost,
    MaxPriceAge,
    Output,
    Overlays,
    PerWorkload,
    PlanFormatName,
    ProblemFile,
    Quiet,
    Reproducible,
    RequireOptimal,
    SolverName,
    TimeLimit,
    choice_of,
)
from milp_planner.cli.parts.plan_documents import read_plan_document
from milp_planner.cli.parts.signals import signals_exit_at_once
from milp_planner.cli.runs.sheets import HTML, MARKDOWN, SHEET, SHEET_FORMATS, SheetRun
from milp_planner.deadline import counted_from

if TYPE_CHECKING:
    from milp_planner.cli.runs.replayed import ReplayedSolve
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.questions.confidence import ConfidenceRange
    from milp_planner.solving.checks.arguments import SolverChoice

ENDINGS = {
    **dict.fromkeys((".html", ".htm"), HTML),
    **{".md": MARKDOWN, ".json": "json", ".csv": "csv", ".txt": SHEET},
}


def solve(
    file: ProblemFile,
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
    replay: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Replay it, and tighten until the replay keeps every wish; else exit 4.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Find the cheapest fleet, with proof."""
    began_s = command_began_s()
    with signals_exit_at_once():
        from milp_planner.plans.sentences import warning_lines
        from milp_planner.questions.solve import solve as find_plan
        from milp_planner.solving.results import Interrupted
    from milp_planner.reporting.documents.options import ReportOptions
    from milp_planner.reporting.formats import FORMATS
    from milp_planner.today import day_today

    output = None if output == STDOUT else output
    endings = ENDINGS | ({".txt": "text"} if range_ else {})
    formats = (*FORMATS, *SHEET_FORMATS)
    default = endings[".txt"]
    format_name = chosen_format(format_, as_json, output, endings, formats, default)
    if against is not None and format_name != MARKDOWN:
        raise typer.BadParameter(f"--against is for --format {MARKDOWN}, not {format_name}")
    earlier = None if against is None else read_plan_document(against)
    streams.check_output(output, [Path(file), *([] if against is None else [Path(against)])])
    problem = with_alternatives(read_problem(file), alternatives, differ_by, per_workload)
    streams.check_output(output, inputs_of(problem, file, catalog, overlay))
    check_ending(output, as_json or format_ is not None, endings)
    known = read_catalog(problem, file, catalog, overlay, as_of)
    engines = choice_of(solver)
    gates = Gates(max_cost, max_price_age, fail_on_estimates, as_of or day_today())
    replayed = None
    if replay:
        from milp_planner.cli.runs.replayed import until_kept

        replayed = until_kept(
            *(problem, known),
            began_s=began_s,
            time_limit_s=time_limit,
            gap=gap,
            solver=engines,
            quiet=quiet,
        )
        problem = replayed.problem
    if format_name in SHEET_FORMATS:
        if range_:
            raise typer.BadParameter(f"--range is not part of a sheet; leave out {format_name}")
        run = SheetRun(
            problem,
            known,
            format_name,
            output,
            not no_choices,
            reproducible,
            quiet,
            gates.today,
            time_limit,
            gap,
            engines,
            earlier,
        )
        with counted_from(began_s):
            plan = run.write()
        failed = _failed(plan, gates, replayed)
        if replayed is not None:
            replayed.tell(on_stdout=format_name == SHEET and output is None)
        return _told(plan, output, failed, require_optimal, quiet=quiet)
    try:
        with streams.progress(f"planning {problem.name}", quiet=quiet), counted_from(began_s):
            plan = find_plan(problem, known, time_limit_s=time_limit, gap=gap, solver=engines)
            found = solved_again(problem, known, plan, time_limit, gap, engines) if range_ else None
    except Interrupted as stop:  # what is proven is printed all the same
        _put(FORMATS[format_name](stop.plan, ReportOptions(reproducible)), format_name, output)
        raise stop.cause from None
    streams.warn(warning_lines(plan), quiet=quiet)
    failed = _failed(plan, gates, replayed)
    report = ReportOptions(reproducible, failed, found)
    _put(FORMATS[format_name](plan, report), format_name, output)
    if replayed is not None:
        replayed.tell(on_stdout=format_name == "text" and output is None)
    return _told(plan, output, failed, require_optimal, quiet=quiet)


def _failed(plan: Plan, gates: Gates, replayed: ReplayedSolve | None) -> tuple[str, ...]:
    """Every gate that fails, and every wish that a replay missed, in words."""
    missed = () if replayed is None else replayed.failures(plan)
    return (*gates.failures(plan), *missed)


def _told(
    plan: Plan, output: Path | None, failed: Sequence[str], require_optimal: bool, *, quiet: bool
) -> int:
    """Tell what was written and which gates failed; the exit code."""
    tell_written(output, has_plan=plan.status.has_plan, quiet=quiet)
    for failure in failed:
        streams.tell(failure)
    return exit_code(plan, bool(failed), require_optimal)


def solved_again(
    problem: Problem,
    known: Catalog,
    plan: Plan,
    time_limit_s: float | None,
    gap: float | None,
    solver: SolverChoice | None,
) -> ConfidenceRange:
    """The plan over the error of its estimates; a Ctrl-C raises Interrupted, with the plan."""
    from milp_planner.questions.confidence import confidence_range
    from milp_planner.solving.results import Interrupted

    try:
        return confidence_range(
            problem, known, plan=plan, time_limit_s=time_limit_s, gap=gap, solver=solver
        )
    except KeyboardInterrupt as stop:  # one that carries another plan is not of this problem
        raise Interrupted(plan, getattr(stop, "cause", stop)) from stop


def _put(text: str, format_name: str, output: Path | None) -> None:
    if output is not None:
        streams.write_file(output, text)
    elif format_name == "text":
        streams.answer_report(text)
    else:
        streams.answer(text)


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
