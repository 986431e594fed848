"""`solve` of a problem with a horizon: a calendar instead of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.reporting.calendars import CALENDAR_FORMATS, calendar_written

if TYPE_CHECKING:
    from milp_planner.cli.parts.gates import Gates
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.solving.checks.arguments import SolverChoice

OF_MONTHS = {
    *("files", "as_json", "format_", "output", "time_limit", "gap", "solver", "as_of", "overlay"),
    *("catalog", "reproducible", "no_choices", "quiet", "max_price_age", "fail_on_estimates"),
}
"""Parameters of `solve` that mean the same over months."""


def check_of_months(context: typer.Context) -> None:
    """Raise BadParameter for an option that is of one month."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and parameter.name not in OF_MONTHS:
            said = f"{parameter.opts[0]} is of one month, and the problem has a horizon"
            raise typer.BadParameter(said)


def write_calendar(
    problem: Problem,
    catalog: Catalog,
    format_name: str,
    output: Path | None,
    *,
    quiet: bool,
    time_limit_s: float | None,
    gap: float | None,
    solver: SolverChoice | None,
    gates: Gates | None = None,
    reproducible: bool = False,
) -> int:
    """Plan the months and write them; the exit code."""
    from milp_planner.futures.months.answer import CalendarInterrupted
    from milp_planner.questions.months import plan_months

    if format_name not in CALENDAR_FORMATS:
        said = f"a calendar is written as text, markdown, json or html, not {format_name}"
        raise typer.BadParameter(said)
    try:
        with streams.progress(f"planning {problem.name}", quiet=quiet):
            calendar = plan_months(
                problem,
                catalog,
                time_limit_s=time_limit_s,
                gap=gap,
                solver=solver,
                reproducible=reproducible,
            )
    except CalendarInterrupted as stop:  # what is known is written all the same
        _put(calendar_written(stop.calendar, format_name), output)
        raise stop.cause from None
    if calendar is None:
        streams.tell("No calendar: time was up before there was one; give more --time-limit.")
        return exit_codes.NO_PLAN
    _put(calendar_written(calendar, format_name), output)
    failed = () if gates is None else tuple(gates.failures_of_months(calendar))
    for failure in failed:
        streams.tell(failure)
    return exit_codes.GATE if failed else exit_codes.FOUND


def _put(said: str, output: Path | None) -> None:
    if output is None:
        streams.answer(said)
    else:
        streams.write_file(output, said)
